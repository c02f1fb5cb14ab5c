//! Full feeds: images that they lack are removed from the gallery and may return; and the quota of a project's images.

use std::collections::BTreeMap;
use std::sync::Arc;

use eyeline_core::{GalleryId, ProjectId};
use eyeline_store::Catalog;
use eyeline_store::catalog::dataset::{DatasetLoaded, DatasetRow, Ordinals, RemovedAbsent};
use eyeline_store::catalog::orders::ChangeMark;

use crate::engines::on_every_database;
use crate::galleries::{GALLERY, PROJECT, at, catalog_with_a_gallery, image, insert_upload, read_all, row, view};

/// The ordinals of the images that the gallery shows.
async fn shown(catalog: &Catalog) -> Vec<u32> {
    let mut known = BTreeMap::new();
    read_all(catalog, ChangeMark::START, 10_000, &mut known).await;
    known.into_iter().filter(|(_, image)| image.shown_to.is_some()).map(|(ordinal, _)| ordinal).collect()
}

async fn load(
    catalog: &Catalog,
    rows: Vec<DatasetRow>,
    images_max: Option<u64>,
) -> (DatasetLoaded, Vec<usize>, Ordinals) {
    let stored = catalog.load_dataset(GALLERY, rows, images_max, at(1)).await.expect("a load");
    let mut named = Ordinals::default();
    named.extend(stored.ordinals);
    (stored.loaded, stored.over_quota, named)
}

async fn remove_absent(catalog: &Catalog, named: Ordinals) -> u64 {
    let end = catalog.next_ordinal(GALLERY).await.expect("an ordinal");
    let step = catalog.remove_absent(GALLERY, 0..end, Arc::new(named)).await.expect("a removal");
    assert_eq!(step.next, end);
    step.removed
}

async fn held(catalog: &Catalog, project_id: ProjectId) -> u64 {
    catalog.project_usage(project_id, at(0)).await.expect("a usage").1.images
}

#[tokio::test]
async fn a_picture_that_left_with_a_feed_returns_with_its_counters_and_one_that_was_taken_out_does_not() {
    on_every_database(async |db| {
        let catalog = catalog_with_a_gallery(&db).await;
        load(&catalog, vec![row(0, "a"), row(1, "b"), row(2, "c"), row(3, "d")], None).await;
        insert_upload(&db, PROJECT, image(9)).await;
        catalog.list_image(GALLERY, image(9)).await.expect("an upload in the gallery");
        catalog.unlist_image(GALLERY, image(3)).await.expect("taken out");
        view(&catalog, &[image(1), image(1)]).await;
        assert_eq!(shown(&catalog).await, [0, 1, 2, 4]);

        let (loaded, _, named) = load(&catalog, vec![row(0, "a"), row(3, "d")], None).await;
        assert_eq!(loaded, DatasetLoaded { created: 0, updated: 0, unchanged: 2 });
        assert_eq!(remove_absent(&catalog, named.clone()).await, 2, "neither the upload nor what was taken out before");
        assert_eq!(shown(&catalog).await, [0, 4]);
        assert_eq!(remove_absent(&catalog, named).await, 0);
        assert_eq!(held(&catalog, PROJECT).await, 3, "what left does not count");

        let (loaded, _, named) = load(&catalog, vec![row(0, "a"), row(1, "b"), row(3, "d"), row(5, "e")], None).await;
        assert_eq!(loaded, DatasetLoaded { created: 1, updated: 1, unchanged: 2 }, "what returns is updated");
        assert_eq!(remove_absent(&catalog, named).await, 0);
        assert_eq!(shown(&catalog).await, [0, 1, 4, 5], "d stays out: its owner took it out");
        let mut known = BTreeMap::new();
        read_all(&catalog, ChangeMark::START, 10_000, &mut known).await;
        assert_eq!(known[&1].counts.views, 2);
        assert_eq!(held(&catalog, PROJECT).await, 5);
    })
    .await;
}

#[tokio::test]
async fn an_image_that_left_and_is_taken_out_by_hand_stays_out() {
    on_every_database(async |db| {
        let catalog = catalog_with_a_gallery(&db).await;
        load(&catalog, vec![row(0, "a"), row(1, "b")], None).await;
        let (_, _, named) = load(&catalog, vec![row(0, "a")], None).await;
        assert_eq!(remove_absent(&catalog, named).await, 1);
        catalog.unlist_image(GALLERY, image(1)).await.expect("taken out");
        load(&catalog, vec![row(1, "b")], None).await;
        assert_eq!(shown(&catalog).await, [0]);
        catalog.list_image(GALLERY, image(1)).await.expect("put in");
        assert_eq!(shown(&catalog).await, [0, 1]);
    })
    .await;
}

#[tokio::test]
async fn what_is_absent_is_removed_a_bounded_number_of_images_at_a_time() {
    on_every_database(async |db| {
        let catalog = catalog_with_a_gallery(&db).await;
        load(&catalog, (0..2_500).map(|number| row(number, &format!("sku-{number}"))).collect(), None).await;
        let mut named = Ordinals::default();
        named.extend((0..2_500).step_by(2));
        let named = Arc::new(named);
        let mut steps = Vec::new();
        let mut from = 0;
        while from < 2_500 {
            let step = catalog.remove_absent(GALLERY, from..2_500, named.clone()).await.expect("a removal");
            from = step.next;
            steps.push(step);
        }
        let expected = [(500, 1_000), (500, 2_000), (250, 2_500)];
        assert_eq!(steps, expected.map(|(removed, next)| RemovedAbsent { removed, next }));
        assert_eq!(shown(&catalog).await, (0..2_500).step_by(2).collect::<Vec<u32>>());
    })
    .await;
}

#[tokio::test]
async fn a_dataset_takes_no_more_places_than_its_project_has() {
    on_every_database(async |db| {
        let catalog = catalog_with_a_gallery(&db).await;
        insert_upload(&db, PROJECT, image(9)).await;
        let (loaded, over, _) = load(&catalog, vec![row(0, "a"), row(1, "b"), row(2, "a"), row(3, "c")], Some(3)).await;
        assert_eq!((loaded, over), (DatasetLoaded { created: 2, updated: 1, unchanged: 0 }, vec![3]));
        // Known images use no place, whatever changes.
        let (loaded, over, _) = load(&catalog, vec![row(5, "b"), row(2, "a"), row(6, "d")], Some(3)).await;
        assert_eq!((loaded, over), (DatasetLoaded { created: 0, updated: 1, unchanged: 1 }, vec![2]));
        // A removed image frees its place for another one, and then finds none itself.
        let (_, _, named) = load(&catalog, vec![row(2, "a")], Some(3)).await;
        assert_eq!(remove_absent(&catalog, named).await, 1);
        let (loaded, over, _) = load(&catalog, vec![row(7, "e"), row(5, "b")], Some(3)).await;
        assert_eq!((loaded, over), (DatasetLoaded { created: 1, updated: 0, unchanged: 0 }, vec![1]));
        assert_eq!(shown(&catalog).await.len(), 2);
        assert_eq!(held(&catalog, PROJECT).await, 3);
    })
    .await;
}

#[tokio::test]
async fn the_images_of_rejected_rows_are_found_by_their_external_ids() {
    on_every_database(async |db| {
        let catalog = catalog_with_a_gallery(&db).await;
        load(&catalog, vec![row(0, "a"), row(1, "b")], None).await;
        let ids = ["b", "none", "b"].map(str::to_owned).to_vec();
        let mut ordinals = catalog.dataset_ordinals(GALLERY, ids).await.expect("ordinals");
        ordinals.dedup();
        assert_eq!(ordinals, [1]);
        assert!(catalog.dataset_ordinals(GALLERY, Vec::new()).await.expect("ordinals").is_empty());
        let gone = catalog.next_ordinal(GalleryId(image(1).0)).await;
        assert!(gone.is_err(), "no such gallery");
    })
    .await;
}
