//! The settings of public pages, and the applications that belong to them.

use eyeline_core::{ApplicationId, GalleryId};
use eyeline_store::Catalog;
use eyeline_store::catalog::applications::Application;
use eyeline_store::catalog::galleries::{Gallery, GalleryPatch};
use eyeline_store::catalog::public_pages::{PublicPage, PublicPagePatch};
use uuid::Uuid;

use crate::engines::on_every_database;
use crate::galleries::{GALLERY, PROJECT, at, catalog_with_a_gallery};

fn application(number: u128) -> Application {
    Application {
        application_id: ApplicationId(Uuid::from_u128(number)),
        project_id: PROJECT,
        name: "page".to_owned(),
        allowed_origins: Vec::new(),
        signing_secret: vec![1],
        ed25519_public_key: None,
        page_of: None,
        created_at: at(1),
    }
}

async fn open(catalog: &Catalog, with: u128) -> Gallery {
    let page = PublicPagePatch { enabled: Some(true), indexed: None, application: Some(application(with)) };
    let patch = GalleryPatch { page, ..GalleryPatch::default() };
    catalog.update_gallery(GALLERY, patch, at(2)).await.expect("an open page")
}

async fn revision(catalog: &Catalog) -> i64 {
    catalog.gallery_revisions(&[GALLERY]).await.expect("a reading")[0].1.items
}

#[tokio::test]
async fn a_page_has_one_application_until_that_is_deleted() {
    on_every_database(async |db| {
        let catalog = catalog_with_a_gallery(&db).await;
        let (first, second) = (ApplicationId(Uuid::from_u128(7)), ApplicationId(Uuid::from_u128(8)));
        let opened = open(&catalog, 7).await;
        assert_eq!(opened.page, PublicPage { enabled: true, indexed: false, application_id: Some(first) });
        assert_eq!(open(&catalog, 8).await.page, opened.page, "it keeps the first");
        assert_eq!(catalog.application(second).await.expect("a reading"), None);
        let known = catalog.application(first).await.expect("a reading").expect("the application");
        assert_eq!(known, Application { page_of: Some(GALLERY), ..application(7) });
        let listed = catalog.applications(PROJECT, None, 10).await.expect("a list");
        assert_eq!(listed, [known]);

        let before = revision(&catalog).await;
        catalog.delete_application(first).await.expect("a deletion");
        assert!(revision(&catalog).await > before, "whoever shows the page hears of it");
        let gallery = catalog.gallery(GALLERY).await.expect("a reading").expect("the gallery");
        assert_eq!(gallery.page, PublicPage { enabled: true, indexed: false, application_id: None });
        assert_eq!(open(&catalog, 8).await.page.application_id, Some(second));

        catalog.delete_gallery(GALLERY, at(3)).await.expect("a deletion");
        assert_eq!(catalog.application(second).await.expect("a reading"), None);
    })
    .await;
}

#[tokio::test]
async fn a_gallery_may_be_created_with_an_open_page() {
    on_every_database(async |db| {
        let catalog = catalog_with_a_gallery(&db).await;
        let gallery_id = GalleryId(Uuid::from_u128(4));
        let page = PublicPage { enabled: true, indexed: true, application_id: Some(ApplicationId(Uuid::from_u128(7))) };
        let known = catalog.gallery(GALLERY).await.expect("a reading").expect("the gallery");
        let gallery = Gallery { gallery_id, page, ..known };
        catalog.create_gallery(gallery.clone(), Some(application(7)), None).await.expect("a gallery");
        assert_eq!(catalog.gallery(gallery_id).await.expect("a reading"), Some(gallery));
        let known = catalog.application(ApplicationId(Uuid::from_u128(7))).await.expect("a reading");
        assert_eq!(known.and_then(|application| application.page_of), Some(gallery_id));
    })
    .await;
}
