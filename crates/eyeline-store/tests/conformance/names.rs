//! The objects that rows name: what none of them names may be deleted.

use std::collections::{BTreeSet, HashMap};

use eyeline_core::{ImageId, Parts, Timestamp};
use eyeline_store::catalog::objects::{Named, ReadUpTo};
use eyeline_store::catalog::part_uploads::{Begun, InParts};
use eyeline_store::catalog::uploads::NewImage;
use eyeline_store::objects::PartUpload;
use eyeline_store::{Catalog, ObjectKey};
use uuid::Uuid;

use crate::engines::on_every_engine;
use crate::jobs::{claim, publish, waiting};
use crate::news::{PROJECT, at, new_image, with_projects};

/// Images, and unwanted objects: more than one page of each.
const MANY: u128 = 600;

async fn names(catalog: &Catalog) -> Vec<Named> {
    let (mut all, mut next) = (Vec::new(), Some(ReadUpTo::START));
    while let Some(after) = next {
        let (names, up_to) = catalog.named_objects(after).await.expect("names");
        all.extend(names);
        next = up_to;
    }
    all
}

#[tokio::test]
async fn what_rows_name_is_no_candidate_for_deletion_and_everything_else_is() {
    on_every_engine(async |catalog| {
        with_projects(&catalog).await;
        let published = waiting(&catalog, 1).await;
        let work = claim(&catalog, "node", 1).await.remove(0);
        publish(&catalog, &work).await.expect("published");
        waiting(&catalog, 2).await;
        let in_the_making = claim(&catalog, "node", 1).await.remove(0);
        let images: Vec<NewImage> = (10..10 + MANY).map(new_image).collect();
        let awaited: BTreeSet<ObjectKey> = images.iter().map(|image| image.incoming_key.clone()).collect();
        for images in images.chunks(500) {
            catalog.create_images(PROJECT, images.to_vec(), None, at(1), None).await.expect("images");
        }
        let unwanted: Vec<ObjectKey> = (0..MANY).map(|_| ObjectKey::lake(at(0))).collect();
        for key in &unwanted {
            catalog.note_unwanted(key.clone(), Timestamp::from_micros(0)).await.expect("noted");
        }

        let original = catalog.image(published).await.expect("the catalog").expect("an image").original_key;
        let original = original.expect("an original");
        let all = names(&catalog).await;
        assert!(all.contains(&Named::Kept(original.clone())));
        for name in ["thumb.jpg", "big_thumb.jpg"] {
            assert!(all.contains(&Named::Kept(work.folder.join(name))), "{name}");
        }
        assert!(all.contains(&Named::Unwanted(in_the_making.folder.clone())));
        let told: BTreeSet<ObjectKey> = all
            .iter()
            .filter_map(|name| if let Named::Awaited(key) = name { Some(key.clone()) } else { None })
            .collect();
        assert_eq!(told, awaited);

        let strangers = [
            ObjectKey::incoming(),
            ObjectKey::original(ImageId(Uuid::from_u128(7))),
            ObjectKey::original(published),
            ObjectKey::versions(true),
            ObjectKey::versions(false),
            ObjectKey::lake(at(0)),
        ];
        let of_rows = [original, work.folder.join("thumb.jpg"), in_the_making.folder.join("thumb.jpg")];
        let candidates = strangers.iter().chain(&of_rows).chain(&awaited).chain(&unwanted);
        let candidates: HashMap<ObjectKey, ()> = candidates.map(|key| (key.unit(), ())).collect();
        let left = catalog.without_named(candidates).await.expect("the catalog");
        assert_eq!(left.into_keys().collect::<BTreeSet<_>>(), strangers.into_iter().collect());
    })
    .await;
}

#[tokio::test]
async fn the_parts_of_an_upload_under_way_are_named_with_the_key_that_they_are_joined_to() {
    on_every_engine(async |catalog| {
        with_projects(&catalog).await;
        // More than one page.
        let images: Vec<NewImage> = (1..20)
            .map(|number| {
                let image = new_image(number);
                let original_key = ObjectKey::original(image.image_id);
                let in_parts = InParts { parts: Parts::new(100, 10), original_key, upload_id: None };
                NewImage { stated_bytes: Some(100), in_parts: Some(in_parts), ..image }
            })
            .collect();
        catalog.create_images(PROJECT, images.clone(), None, at(1), None).await.expect("images");
        let begun = Begun { upload_id: "upload".to_owned(), replaces: None };
        let id = catalog.extend_parts(images[0].image_id, Some(begun), at(2_000_000)).await.expect("the catalog");
        assert_eq!(id.as_deref(), Some("upload"));

        let all = names(&catalog).await;
        for (number, image) in images.iter().enumerate() {
            let incoming = image.incoming_key.clone();
            let to = image.in_parts.as_ref().expect("in parts").original_key.clone();
            assert!(all.contains(&Named::Awaited(incoming.clone())) && all.contains(&Named::Unwanted(to.clone())));
            let upload =
                Named::Parts(PartUpload { incoming: incoming.clone(), to: to.clone(), id: "upload".to_owned() });
            assert_eq!(all.contains(&upload), number == 0, "only what was begun has parts");
            let candidates = HashMap::from([(incoming.part(3).unit(), ()), (to, ())]);
            assert!(catalog.without_named(candidates).await.expect("the catalog").is_empty());
        }
    })
    .await;
}

#[tokio::test]
async fn a_catalog_that_is_opened_to_be_read_has_to_be_of_this_version_and_takes_no_writes() {
    let folder = tempfile::tempdir().expect("a folder");
    let url = format!("sqlite:{}", folder.path().join("catalog.sqlite").display());
    let refused = Catalog::open_to_read(&url).await.err().expect("no catalog");
    assert_eq!(refused.to_string(), "catalog not found");
    assert!(!folder.path().join("catalog.sqlite").exists(), "it was not made");

    let catalog = Catalog::open(&url).await.expect("a catalog");
    let refused = Catalog::open_to_read(&url).await.err().expect("an empty catalog");
    assert!(refused.to_string().contains("at version 0"), "{refused}");
    catalog.migrate().await.expect("migrated");
    let reading = Catalog::open_to_read(&url).await.expect("a catalog");
    with_projects(&catalog).await;
    assert_eq!(reading.object_bytes().await.expect("a sum"), 0);
    assert!(reading.set_clock_offset(1).await.is_err());
}
