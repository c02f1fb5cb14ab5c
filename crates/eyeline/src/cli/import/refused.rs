//! Photos that the server could not read in an earlier import.

use std::collections::HashMap;

use eyeline_core::ImageErrorCode;
use http::Method;

use super::{Target, text};

/// Errors that the same bytes would cause again. All others had a passing cause.
const LASTING: [ImageErrorCode; 6] = [
    ImageErrorCode::Truncated,
    ImageErrorCode::NotAnImage,
    ImageErrorCode::TooManyPixels,
    ImageErrorCode::Unsupported,
    ImageErrorCode::Damaged,
    ImageErrorCode::DecoderCrashed,
];

/// The project's files that the server cannot read, as SHA-256 with the reason. The server keeps them as images in
/// state `error`, so this works from every machine, until such an image is deleted.
pub(super) async fn known(target: &Target) -> Result<HashMap<String, String>, String> {
    let mut refused = HashMap::new();
    let mut cursor = String::new();
    loop {
        let path = format!("/projects/{}/images?state=error&limit=100{cursor}", target.project_id);
        let page = target.client.send(Method::GET, &path, None).await?;
        let images = page["images"].as_array().into_iter().flatten();
        let lasting = images.filter(|image| LASTING.iter().any(|code| image["error_code"] == code.as_str()));
        refused.extend(lasting.map(|image| (text(&image["sha256"]), text(&image["error"]))));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return Ok(refused),
        }
    }
}
