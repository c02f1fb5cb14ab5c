//! Uploads of a user: sent in one request, private to the user, bounded by the user's tier.

use std::time::Duration;

use bytes::Bytes;
use eyeline_core::{ImageId, ImageState, ProjectId, Tier, Visibility};
use eyeline_store::catalog::idempotency::{IdempotencyKey, KeptAnswer, Once, Repeatable};
use eyeline_store::catalog::images::Image;
use eyeline_store::catalog::processing::Hints;
use eyeline_store::catalog::uploads::NewImage;
use eyeline_store::{Error, Result};
use futures::{Stream, StreamExt as _};
use sha2::{Digest as _, Sha256};
use tokio::time::{Instant, timeout_at};

use super::admission::WaitingPlace;
use super::change;
use super::upload;
use super::upload::{Refusal, Stated};
use crate::flow::{Flow, hints};

/// The longest time that the request waits for the versions.
const PATIENCE: Duration = Duration::from_secs(15);

/// The user who owns the upload.
#[derive(Clone, Debug)]
pub struct Owner {
    pub project_id: ProjectId,
    pub user_id: String,
    pub tier: Tier,
}

/// The stated properties of a user's private file.
pub fn private(filename: String, content_type: Option<String>) -> Stated {
    Stated {
        filename,
        bytes: None,
        sha256: None,
        in_parts: false,
        content_type,
        gallery_id: None,
        visibility: Visibility::Private,
        access_tier: Tier::Free,
        link: None,
        tags: Vec::new(),
        metadata: "{}".to_owned(),
    }
}

/// Stores a user's file in constant memory. Reserves one of the user's places before a byte is read, and frees it if
/// the file is refused. After `Ok` the file is on stable storage and its image will end as `done` or `error`. An
/// idempotency key that was used before returns its first image, if file and user are the same.
pub async fn receive<E: std::fmt::Display>(
    flow: &Flow,
    owner: Owner,
    stated: Stated,
    key: Option<IdempotencyKey>,
    body: impl Stream<Item = Result<Bytes, E>>,
) -> Result<ImageId, Refusal> {
    let image = upload::new_image(flow, stated);
    let image_id = image.image_id;
    let limits = flow.settings.tier(owner.tier);
    let policy = upload::expected(&image, limits.file_bytes_max).policy();
    let once = create(flow, &owner, image.clone(), limits.images_max, key.clone()).await?;
    let changed = match (once, key) {
        (Once::Done(changed), _) => changed,
        (Once::Repeated(kept), Some(key)) => match first_of(flow, &kept).await? {
            Some(first) => return repeated(&owner, first, policy.bytes_max, body).await,
            // The first image failed or was deleted, so the key is free again.
            None => {
                flow.catalog.forget_idempotency_key(key.clone()).await?;
                match create(flow, &owner, image, limits.images_max, Some(key)).await? {
                    Once::Done(changed) => changed,
                    Once::Repeated(_) => return Err(under_way()),
                }
            }
        },
        (Once::Repeated(_), None) => return Err(under_way()),
    };
    hints::publish(&*flow.pubsub, changed).await;
    let place = Place { flow: flow.clone(), image_id, kept: false };
    upload::receive(flow, image_id, &policy, body).await?;
    place.keep();
    Ok(image_id)
}

/// Creates the image and stores the idempotency key with it; the answer under the key is the image's id.
async fn create(
    flow: &Flow,
    owner: &Owner,
    image: NewImage,
    images_max: u64,
    key: Option<IdempotencyKey>,
) -> Result<Once<Hints>> {
    let image_id = image.image_id;
    let kept = move |_: &Hints| KeptAnswer { status: 201, body: image_id.to_string() };
    let repeatable = key.map(|key| Repeatable { key, answer: Box::new(kept) });
    let (project_id, user_id) = (owner.project_id, owner.user_id.clone());
    flow.catalog.create_user_image(project_id, user_id, image, images_max, flow.clock.now(), repeatable).await
}

#[expect(clippy::disallowed_methods, reason = "the image's id is the user's own, from an earlier answer")]
async fn first_of(flow: &Flow, kept: &KeptAnswer) -> Result<Option<Image>> {
    let image_id = kept.body.parse().map_err(|_| Error::Corrupt("an idempotency key names no image".to_owned()))?;
    flow.catalog.image(image_id).await
}

/// Compares a repeated file with the first one; stores nothing.
async fn repeated<E: std::fmt::Display>(
    owner: &Owner,
    first: Image,
    bytes_max: u64,
    body: impl Stream<Item = Result<Bytes, E>>,
) -> Result<ImageId, Refusal> {
    if first.state == ImageState::Init {
        return Err(under_way());
    }
    let mut hash = Sha256::new();
    let mut bytes = 0;
    let mut body = std::pin::pin!(body);
    while let Some(piece) = body.next().await {
        let piece = piece.map_err(|_| Refusal::BrokenOff)?;
        bytes += piece.len() as u64;
        if bytes > bytes_max {
            return Err(Refusal::TooLarge { bytes_max });
        }
        hash.update(&piece);
    }
    let sha256: [u8; 32] = hash.finalize().into();
    let is_same = first.sha256.is_none_or(|known| known == sha256) && first.bytes == Some(bytes);
    if !is_same || first.user_id.as_ref() != Some(&owner.user_id) {
        let sentence = "This Idempotency-Key was used with another file or for another user.";
        return Err(Error::Refused(sentence.to_owned()).into());
    }
    Ok(first.image_id)
}

fn under_way() -> Refusal {
    Error::Conflict("The first upload with this Idempotency-Key is still under way.".to_owned()).into()
}

/// A reserved place that is freed on drop unless it is kept, also when the client disconnects. After a crash the sweep
/// frees it.
struct Place {
    flow: Flow,
    image_id: ImageId,
    kept: bool,
}

impl Place {
    fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.kept {
            return;
        }
        let (flow, image_id) = (self.flow.clone(), self.image_id);
        tokio::spawn(async move {
            if let Err(error) = change::delete(&flow, image_id).await {
                tracing::warn!(%error, image.id = %image_id, "a refused upload could not be deleted; the sweep retries");
            }
        });
    }
}

/// Returns the image once it is `done` or `error`. Returns its present state when `PATIENCE` ends, the server stops, or
/// no waiting place is free.
#[expect(clippy::disallowed_methods, reason = "the handler has made the image, or found it for its credential")]
pub async fn wait_until_final(
    flow: &Flow,
    project_id: ProjectId,
    image_id: ImageId,
    place: Option<WaitingPlace>,
) -> Result<Image> {
    let deadline = Instant::now() + if place.is_some() { PATIENCE } else { Duration::ZERO };
    // Listens before it reads, so that no change is missed in between.
    let mut listener = flow.newsroom.listen(flow, project_id, None).await?;
    loop {
        let image = flow.catalog.image(image_id).await?.ok_or(Error::NotFound("image"))?;
        if image.state.is_final() {
            return Ok(image);
        }
        let change_of_it = async {
            loop {
                if listener.next().await?.iter().any(|message| message.may_be_about(image_id)) {
                    return Ok::<(), Error>(());
                }
            }
        };
        tokio::select! {
            () = flow.stop.cancelled() => return Ok(image),
            changed = timeout_at(deadline, change_of_it) => match changed {
                Ok(changed) => changed?,
                Err(_) => return Ok(image),
            },
        }
    }
}
