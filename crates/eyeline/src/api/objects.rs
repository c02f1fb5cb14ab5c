//! Looks up objects of projects by id for a credential. Another project's object is not found, whatever the credential.
//! Every handler finds objects here, and the lints refuse other lookups.

use std::sync::Arc;

use eyeline_core::{AccessClass, ApplicationId, GalleryId, ImageId, ProjectId};
use eyeline_store::catalog::applications::Application;
use eyeline_store::catalog::galleries::Gallery;
use eyeline_store::catalog::images::Image;

use super::{Answer, Credential, Problem};
use crate::app::App;
use crate::flow::gallery::rank::Ranked;

/// A gallery of the credential's project.
#[expect(clippy::disallowed_methods, reason = "the one place where handlers look galleries up")]
pub async fn gallery(app: &App, credential: &Credential, gallery_id: GalleryId) -> Answer<Gallery> {
    own(credential, app.catalog.gallery(gallery_id).await?, |gallery| gallery.project_id, "gallery")
}

/// As [`gallery`], for a credential that may change it.
pub async fn managed_gallery(app: &App, credential: &Credential, gallery_id: GalleryId) -> Answer<Gallery> {
    let gallery = gallery(app, credential, gallery_id).await?;
    credential.manage(gallery.project_id, "gallery")?;
    Ok(gallery)
}

/// A gallery of the credential's project with its orders, and the class of images that the credential sees.
#[expect(clippy::disallowed_methods, reason = "the one place where handlers look galleries up")]
pub async fn ranked(
    app: &App,
    credential: &Credential,
    gallery_id: GalleryId,
) -> Answer<(Arc<Ranked>, Arc<Gallery>, AccessClass)> {
    let ranked = app.orders.gallery(gallery_id).await?;
    let gallery = ranked.head().map(|head| head.gallery.clone());
    let gallery = own(credential, gallery, |gallery| gallery.project_id, "gallery")?;
    let class = reader(credential, &gallery)?;
    Ok((ranked, gallery, class))
}

/// A public gallery; `None` if it does not exist or is not public.
#[expect(clippy::disallowed_methods, reason = "the one place where handlers look galleries up")]
pub async fn public_ranked(app: &App, gallery_id: GalleryId) -> Answer<Option<Arc<Ranked>>> {
    let ranked = match app.orders.gallery(gallery_id).await {
        Ok(ranked) => ranked,
        Err(eyeline_store::Error::NotFound(_)) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let is_public =
        ranked.head().is_some_and(|head| AccessClass::Public.sees(head.gallery.visibility, head.gallery.access_tier));
    Ok(is_public.then_some(ranked))
}

/// An image of the credential's project; `what` is its name in the answer.
#[expect(clippy::disallowed_methods, reason = "the one place where handlers look images up")]
pub async fn image(app: &App, credential: &Credential, image_id: ImageId, what: &str) -> Answer<Image> {
    own(credential, app.catalog.image(image_id).await?, |image| image.project_id, what)
}

/// As [`image`], for a credential that may change it.
pub async fn managed_image(app: &App, credential: &Credential, image_id: ImageId) -> Answer<Image> {
    let image = image(app, credential, image_id, "image").await?;
    credential.manage(image.project_id, "image")?;
    Ok(image)
}

/// An application of the credential's project, for a credential that may change it.
#[expect(clippy::disallowed_methods, reason = "the one place where handlers look applications up")]
pub async fn managed_application(
    app: &App,
    credential: &Credential,
    application_id: ApplicationId,
) -> Answer<Application> {
    let found = app.catalog.application(application_id).await?;
    let application = own(credential, found, |application| application.project_id, "application")?;
    credential.manage(application.project_id, "application")?;
    Ok(application)
}

/// The class of the gallery's images that the credential sees.
pub fn reader(credential: &Credential, gallery: &Gallery) -> Answer<AccessClass> {
    let class = match credential {
        Credential::Admin { .. } | Credential::Key { .. } => AccessClass::Project,
        Credential::Application { .. } => AccessClass::Public,
        Credential::User { tier, .. } => (*tier).into(),
    };
    if class.sees(gallery.visibility, gallery.access_tier) {
        return Ok(class);
    }
    Err(Problem::forbidden("This gallery is not open to this credential."))
}

fn own<T>(
    credential: &Credential,
    found: Option<T>,
    project_of: impl FnOnce(&T) -> ProjectId,
    what: &str,
) -> Answer<T> {
    let missing = || Problem::not_found(what);
    let found = found.ok_or_else(missing)?;
    if credential.is_of(project_of(&found)) { Ok(found) } else { Err(missing()) }
}
