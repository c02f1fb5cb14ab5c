//! Lists of a project's images.

use eyeline_core::{GalleryId, ImageId};
use eyeline_store::catalog::images::{ImageFilter, ImagePatch};
use eyeline_store::catalog::uploads::NewImage;

use crate::engines::{on_every_database, on_every_engine};
use crate::galleries::{self, catalog_with_a_gallery};
use crate::news::{PROJECT, at, new_image, with_projects};

#[tokio::test]
async fn an_image_has_a_name_for_people_until_it_is_removed() {
    on_every_engine(async |catalog| {
        with_projects(&catalog).await;
        catalog.create_image(PROJECT, new_image(1), None, at(1), None).await.expect("an image");
        let image_id = new_image(1).image_id;
        for name in [Some("Boots".to_owned()), None] {
            let patch = ImagePatch { name: Some(name.clone()), ..ImagePatch::default() };
            let (changed, _) = catalog.update_image(image_id, patch, None, at(2)).await.expect("changed");
            let (kept, _) = catalog.update_image(image_id, ImagePatch::default(), None, at(3)).await.expect("kept");
            assert_eq!((changed.name, kept.name), (name.clone(), name));
        }
    })
    .await;
}

#[tokio::test]
async fn images_are_found_by_their_gallery() {
    on_every_database(async |db| {
        let catalog = catalog_with_a_gallery(&db).await;
        let of = async |gallery_id: GalleryId| -> Vec<ImageId> {
            let filter = ImageFilter { gallery_id: Some(gallery_id), ..ImageFilter::default() };
            let images = catalog.images(galleries::PROJECT, filter, None, 100).await.expect("images");
            images.into_iter().map(|image| image.image_id).collect()
        };
        assert!(of(galleries::GALLERY).await.is_empty());
        let image = new_image(1);
        let image_id = image.image_id;
        catalog.create_image(galleries::PROJECT, image, None, at(1), None).await.expect("an image");
        catalog.list_image(galleries::GALLERY, image_id).await.expect("added");
        assert_eq!(of(galleries::GALLERY).await, [image_id]);
        catalog.unlist_image(galleries::GALLERY, image_id).await.expect("removed");
        assert!(of(galleries::GALLERY).await.is_empty());
    })
    .await;
}

#[tokio::test]
async fn images_are_found_by_a_part_of_their_name_in_either_case() {
    on_every_engine(async |catalog| {
        with_projects(&catalog).await;
        let names = ["Red shoes.jpg", "50%_off.png", r"back\slash.gif", "Über.jpg"];
        for (number, filename) in (0u128..).zip(names) {
            let image = NewImage { filename: filename.to_owned(), ..new_image(number) };
            catalog.create_image(PROJECT, image, None, at(1), None).await.expect("an image");
        }
        for (part, found) in [
            ("SHOES", &[0][..]),
            ("0%_o", &[1]),
            ("%", &[1]),
            ("_", &[1]),
            (r"\", &[2]),
            (r"k\s", &[2]),
            ("Über", &[3]),
            (".jpg", &[3, 0]),
            ("boots", &[]),
        ] {
            let filter = ImageFilter { name: Some(part.to_owned()), ..ImageFilter::default() };
            let images = catalog.images(PROJECT, filter, None, 100).await.expect("images");
            let numbers: Vec<u128> = images.iter().map(|image| image.image_id.0.as_u128() - 1_000).collect();
            assert_eq!(numbers, found, "{part}");
        }
    })
    .await;
}
