//! Deletes the data of deleted projects, a piece at a time. A deleted project is hidden at once; its galleries are
//! deleted first, elsewhere.

use eyeline_store::Error;

use crate::flow::Flow;
use crate::flow::photo::change;

const IMAGES_MAX: u32 = 50;
const ROWS_MAX: u32 = 500;

/// Deletes a piece of a deleted project: some images with their objects, or rows once no image is left. True if there
/// may be more to do.
pub async fn clear_deleted_projects(flow: &Flow) -> Result<bool, Error> {
    let Some((project_id, images)) = flow.catalog.project_to_clear(IMAGES_MAX).await? else { return Ok(false) };
    if images.is_empty() {
        flow.catalog.clear_project(project_id, ROWS_MAX).await?;
        return Ok(true);
    }
    for image_id in images {
        match change::delete(flow, image_id).await {
            // Another process was faster.
            Ok(()) | Err(Error::NotFound(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}
