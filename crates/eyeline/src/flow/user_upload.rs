//! A user's own uploads: sent in one request, private to the user, bounded by the user's tier.

use std::time::Duration;

use bytes::Bytes;
use eyeline_core::{ImageId, ProjectId, Tier, Visibility};
use eyeline_store::catalog::images::Image;
use eyeline_store::{Error, Result};
use futures::Stream;
use tokio::time::{Instant, timeout_at};

use super::notify::Message;
use super::upload::{Policy, Refusal, Stated};
use super::{change, hints, upload};
use crate::app::App;

/// How long the one who sent a file waits for its versions.
const PATIENCE: Duration = Duration::from_secs(15);

/// Whose upload it is.
#[derive(Clone, Debug)]
pub struct Owner {
    pub project_id: ProjectId,
    pub user_id: String,
    pub tier: Tier,
}

/// What is known of a user's file before it is read.
pub fn private(filename: String, content_type: Option<String>) -> Stated {
    Stated {
        filename,
        bytes: None,
        sha256: None,
        content_type,
        gallery_id: None,
        visibility: Visibility::Private,
        access_tier: Tier::Free,
        link: None,
        tags: Vec::new(),
        metadata: "{}".to_owned(),
    }
}

/// Takes a file in constant memory. The user's place is taken before a byte is read, and free again if the file is not
/// taken. When this returns `Ok` the file is on stable storage and will end as `done` or `error`.
pub async fn receive<E: std::fmt::Display>(
    app: &App,
    owner: Owner,
    stated: Stated,
    body: impl Stream<Item = Result<Bytes, E>>,
) -> Result<ImageId, Refusal> {
    let image = upload::new_image(app, stated);
    let image_id = image.image_id;
    let limits = app.settings.tier(owner.tier);
    let policy = Policy::of(&image, limits.file_bytes_max);
    let changed =
        app.catalog.create_user_image(owner.project_id, owner.user_id, image, limits.images_max, app.clock.now());
    hints::publish(app, changed.await?).await;
    let place = Place { app: app.clone(), image_id, kept: false };
    upload::receive(app, image_id, &policy, body).await?;
    place.keep();
    Ok(image_id)
}

/// A place that is given back unless it is kept: also when the one who sends goes away and nobody waits any more. Should
/// the process end just then, the sweep gives it back.
struct Place {
    app: App,
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
        let (app, image_id) = (self.app.clone(), self.image_id);
        tokio::spawn(async move {
            if let Err(error) = change::delete(&app, image_id).await {
                tracing::warn!(%error, image.id = %image_id, "an upload that was not taken is left to the sweep");
            }
        });
    }
}

/// The image once it is `done` or ended with an error, or as it is when the patience is over or the server stops.
pub async fn wait_until_final(app: &App, project_id: ProjectId, image_id: ImageId) -> Result<Image> {
    let deadline = Instant::now() + PATIENCE;
    // Listens before it looks, so that no change falls between the two.
    let mut listener = app.newsroom.listen(app, project_id, None).await?;
    loop {
        let image = app.catalog.image(image_id).await?.ok_or(Error::NotFound("image"))?;
        if image.state.is_final() {
            return Ok(image);
        }
        let change_of_it = async {
            loop {
                let about_it = |message: &Message| message.image_id() == Some(image_id) || message.is_reset();
                if listener.next().await?.iter().any(about_it) {
                    return Ok::<(), Error>(());
                }
            }
        };
        tokio::select! {
            () = app.stop.cancelled() => return Ok(image),
            changed = timeout_at(deadline, change_of_it) => match changed {
                Ok(changed) => changed?,
                Err(_) => return Ok(image),
            },
        }
    }
}
