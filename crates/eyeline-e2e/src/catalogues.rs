//! Large catalogues of clients.

use std::fmt::Write as _;

use crate::Project;

/// Rows of one request.
const ROWS: usize = 100_000;

/// Loads images `0`, `1`, ... into a gallery; returns once they are in its order.
pub async fn load_numbered(project: &Project, gallery_id: &str, images: usize) {
    let path = format!("/galleries/{gallery_id}/dataset");
    for first in (0..images).step_by(ROWS) {
        let mut rows = String::new();
        for number in first..images.min(first + ROWS) {
            let _infallible =
                writeln!(rows, r#"{{"external_id":"{number}","url":"https://cdn.example/{number}.jpg"}}"#);
        }
        project.key.post_text(&path, "application/x-ndjson", rows).await.expect(200);
    }
    project.refresh(gallery_id).await;
}
