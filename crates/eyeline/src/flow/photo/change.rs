//! Changes of finished images: their visibility, access tier and metadata, and their deletion.

use std::time::Duration;

use eyeline_core::{AccessClass, ImageId};
use eyeline_store::catalog::images::{Image, ImagePatch, Move};
use eyeline_store::{Error, ObjectKey};

use super::upload;
use crate::flow::{Flow, hints};

/// Longer than copying an image's versions can take. Until then the sweep leaves the copies alone.
const COPYING_MAX: Duration = Duration::from_secs(60 * 60);

/// Attempts when the image changes while its versions are copied.
const TRIES_MAX: usize = 5;

/// Applies a patch. If the visibility or access tier changes, the versions move to new keys and the old objects are
/// deleted. Returns `Conflict` if the image kept changing.
pub async fn apply(flow: &Flow, image_id: ImageId, patch: ImagePatch) -> Result<Image, Error> {
    let mut tries = 1;
    loop {
        match attempt(flow, image_id, patch.clone()).await {
            Err(Error::Conflict(_)) if tries < TRIES_MAX => tries += 1,
            outcome => return outcome,
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the handler has found the image for its credential")]
async fn attempt(flow: &Flow, image_id: ImageId, patch: ImagePatch) -> Result<Image, Error> {
    let image = flow.catalog.image(image_id).await?.ok_or(Error::NotFound("image"))?;
    let moved = copy_versions(flow, &image, &patch).await?;
    let old = moved.as_ref().map(|moved| moved.from.clone());
    let (image, changed) = flow.catalog.update_image(image_id, patch, moved, flow.clock.now()).await?;
    upload::remove(flow, old.into_iter().collect()).await;
    hints::publish(&*flow.pubsub, changed).await;
    Ok(image)
}

/// Copies the versions to a new folder if the patch changes the visibility or access tier.
async fn copy_versions(flow: &Flow, image: &Image, patch: &ImagePatch) -> Result<Option<Move>, Error> {
    let visibility = patch.visibility.unwrap_or(image.visibility);
    let access_tier = patch.access_tier.unwrap_or(image.access_tier);
    let stays = (visibility, access_tier) == (image.visibility, image.access_tier);
    let Some(first) = image.versions.first().filter(|_| !stays) else { return Ok(None) };
    let from = first.object_key.folder();
    let to = ObjectKey::versions(AccessClass::Public.sees(visibility, access_tier));
    // Noted before it is written, so that the sweep deletes the copies after a crash.
    flow.catalog.note_unwanted(to.clone(), flow.clock.real_now().plus(COPYING_MAX)).await?;
    for version in &image.versions {
        if !flow.objects.copy(&version.object_key, &to.join(version.object_key.name())).await? {
            return Err(Error::Conflict("Another request is changing this image. Try again.".to_owned()));
        }
    }
    Ok(Some(Move { from, to }))
}

/// Deletes an image and its objects.
pub async fn delete(flow: &Flow, image_id: ImageId) -> Result<(), Error> {
    let (keys, changed) = flow.catalog.delete_image(image_id).await?;
    upload::remove(flow, keys).await;
    hints::publish(&*flow.pubsub, changed).await;
    Ok(())
}
