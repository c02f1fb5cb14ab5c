//! Deleted projects: hidden at once, taken away here, a piece at a time. Their galleries go first, by themselves.

use eyeline_store::Error;

use crate::app::App;
use crate::flow::photo::change;

const IMAGES_MAX: u32 = 50;
const ROWS_MAX: u32 = 500;

/// Takes away a piece of a deleted project: its images with their objects, then what is left. True when there may be
/// more to do.
pub async fn clear_deleted_projects(app: &App) -> Result<bool, Error> {
    let Some((project_id, images)) = app.catalog.project_to_clear(IMAGES_MAX).await? else { return Ok(false) };
    if images.is_empty() {
        app.catalog.clear_project(project_id, ROWS_MAX).await?;
        return Ok(true);
    }
    for image_id in images {
        match change::delete(app, image_id).await {
            // Somebody else was quicker.
            Ok(()) | Err(Error::NotFound(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}
