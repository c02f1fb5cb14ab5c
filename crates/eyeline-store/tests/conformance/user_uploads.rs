//! A user's own uploads: private, and never one above the limit.

use eyeline_core::{ImageState, Visibility};
use eyeline_store::catalog::images::{From, ImageFilter};
use eyeline_store::catalog::uploads::{NewImage, OpenUpload};
use eyeline_store::{Catalog, Error, Result};

use crate::engines::on_every_engine;
use crate::news::{PROJECT, at, new_image, with_projects};

fn private_image(number: u128) -> NewImage {
    NewImage { visibility: Visibility::Private, ..new_image(number) }
}

async fn upload(catalog: &Catalog, user: &str, number: u128, images_max: u64) -> Result<()> {
    let image = private_image(number);
    catalog.create_user_image(PROJECT, user.to_owned(), image, images_max, at(1), None).await.map(drop)
}

async fn images_of(catalog: &Catalog, user: &str) -> Vec<u128> {
    let filter = ImageFilter { user_id: Some(user.to_owned()), ..ImageFilter::default() };
    let images = catalog.images(PROJECT, filter, None, 100).await.expect("the images");
    images.iter().map(|image| image.image_id.0.as_u128() - 1_000).collect()
}

#[tokio::test]
async fn however_many_come_at_once_a_user_never_holds_one_above_the_limit() {
    on_every_engine(async |catalog| {
        with_projects(&catalog).await;
        let uploads = futures::future::join_all((0..30).map(|number| upload(&catalog, "ann", number, 7))).await;
        let (taken, refused): (Vec<_>, Vec<_>) = uploads.into_iter().partition(Result::is_ok);
        assert_eq!(taken.len(), 7);
        assert!(refused.iter().all(|refused| matches!(refused, Err(Error::QuotaExceeded(_)))), "{refused:?}");
        assert_eq!(images_of(&catalog, "ann").await.len(), 7);
        upload(&catalog, "bob", 100, 7).await.expect("another user has a place");
    })
    .await;
}

#[tokio::test]
async fn a_limit_of_none_takes_none() {
    on_every_engine(async |catalog| {
        with_projects(&catalog).await;
        assert!(matches!(upload(&catalog, "ann", 1, 0).await, Err(Error::QuotaExceeded(_))));
    })
    .await;
}

#[tokio::test]
async fn a_deleted_image_frees_its_place_once() {
    on_every_engine(async |catalog| {
        with_projects(&catalog).await;
        upload(&catalog, "ann", 1, 1).await.expect("a place");
        assert!(upload(&catalog, "ann", 2, 1).await.is_err());
        let image_id = new_image(1).image_id;
        let both = tokio::join!(catalog.delete_image(image_id), catalog.delete_image(image_id));
        assert_eq!(usize::from(both.0.is_ok()) + usize::from(both.1.is_ok()), 1);
        upload(&catalog, "ann", 3, 1).await.expect("the place is free again");
        assert!(upload(&catalog, "ann", 4, 1).await.is_err(), "but only once");
    })
    .await;
}

#[tokio::test]
async fn what_never_arrived_frees_its_place_and_deleting_it_frees_no_second_one() {
    on_every_engine(async |catalog| {
        with_projects(&catalog).await;
        let image = private_image(1);
        let open = OpenUpload {
            image_id: image.image_id,
            incoming_key: image.incoming_key.clone(),
            link_expires_at: image.link_expires_at,
            in_parts: None,
        };
        catalog.create_user_image(PROJECT, "ann".to_owned(), image, 1, at(1), None).await.expect("a place");
        catalog.give_up_uploads(vec![open.clone()], at(2)).await.expect("given up");
        catalog.give_up_uploads(vec![open.clone()], at(3)).await.expect("given up again, which changes nothing");
        upload(&catalog, "ann", 2, 1).await.expect("the place is free again");
        catalog.delete_image(open.image_id).await.expect("deleted");
        assert!(upload(&catalog, "ann", 3, 1).await.is_err(), "the one place is taken");
    })
    .await;
}

#[tokio::test]
async fn a_user_sees_its_own_newest_first_and_page_by_page() {
    on_every_engine(async |catalog| {
        with_projects(&catalog).await;
        for number in 1..=5 {
            upload(&catalog, "ann", number, 10).await.expect("a place");
        }
        upload(&catalog, "bob", 6, 10).await.expect("a place");
        assert_eq!(images_of(&catalog, "ann").await, [5, 4, 3, 2, 1]);
        let filter = ImageFilter { user_id: Some("ann".to_owned()), ..ImageFilter::default() };
        let second = catalog.images(PROJECT, filter, Some(From::Offset(2)), 2).await.expect("a page");
        let seen: Vec<_> = second.iter().map(|image| (image.image_id.0.as_u128() - 1_000, image.state)).collect();
        assert_eq!(seen, [(3, ImageState::Init), (2, ImageState::Init)]);
        assert!(second.iter().all(|image| image.user_id.as_deref() == Some("ann")));
    })
    .await;
}
