//! Jobs under leases: done at least once, published once, and dead letters with a reason.

use std::time::Duration;

use eyeline_core::{ImageErrorCode, ImageId, ImageState, JobId, ProjectId, Visibility};
use eyeline_store::catalog::images::{Image, ImagePatch};
use eyeline_store::catalog::jobs::{ATTEMPTS_MAX, DEATHS_MAX, Failure, LOSSES_MAX, PROCESS_IMAGE};
use eyeline_store::catalog::processing::{Made, MadeVersion, Refusal, Work};
use eyeline_store::catalog::uploads::{Arrived, OpenUpload};
use eyeline_store::sql::Db;
use eyeline_store::{Catalog, Error, ObjectKey};
use futures::FutureExt as _;
use futures::future::join_all;
use uuid::Uuid;

use crate::engines::on_every_database;
use crate::news::{OTHER_PROJECT, PROJECT, at, new_image, with_projects};

/// A migrated catalog with a project on each database, and the database itself, to let time pass.
async fn on_every_engine(test: impl AsyncFn(Catalog, Db)) {
    on_every_database(async |db| {
        let catalog = Catalog::from(db.clone());
        catalog.migrate().await.expect("a migrated catalog");
        with_projects(&catalog).await;
        test(catalog, db).await;
    })
    .await;
}

/// An image with its file that waits for its versions.
pub async fn waiting(catalog: &Catalog, number: u128) -> ImageId {
    waiting_in(catalog, PROJECT, number).await
}

async fn waiting_in(catalog: &Catalog, project_id: ProjectId, number: u128) -> ImageId {
    let image = new_image(number);
    let upload = OpenUpload {
        image_id: image.image_id,
        incoming_key: image.incoming_key.clone(),
        link_expires_at: image.link_expires_at,
        in_parts: None,
    };
    catalog.create_images(project_id, vec![image], None, at(1), None).await.expect("an image");
    let original = ObjectKey::original(upload.image_id);
    let job_id = JobId(Uuid::from_u128(5_000 + number));
    let arrived = Arrived { bytes: 10, sha256: None };
    let taken = catalog.take_in(upload.clone(), original.clone(), arrived, job_id, at(2)).await.expect("the catalog");
    assert!(taken.is_some_and(|hints| hints.jobs));
    let again = catalog.take_in(upload.clone(), original, arrived, job_id, at(3)).await.expect("the catalog");
    assert_eq!(again, None, "taken in once");
    upload.image_id
}

pub async fn claim(catalog: &Catalog, node: &str, max: u32) -> Vec<Work> {
    catalog.claim_images(node.to_owned(), max, at(4)).await.expect("the catalog").0
}

fn made(work: &Work) -> (Work, Made) {
    let version = |name: &str| MadeVersion {
        name: name.to_owned(),
        object_name: format!("{name}.jpg"),
        content_type: "image/jpeg".to_owned(),
        width: 1,
        height: 1,
        bytes: 3,
        sha256: [1; 32],
    };
    let made = Made {
        bytes: 10,
        sha256: [2; 32],
        content_type: "image/jpeg".to_owned(),
        width: 4,
        height: 3,
        thumbhash: vec![1, 2, 3],
        versions: ["thumb", "big_thumb"].map(version).to_vec(),
    };
    (work.clone(), made)
}

pub async fn publish(catalog: &Catalog, work: &Work) -> Result<(), Error> {
    let (work, made) = made(work);
    catalog.publish_image(work, made, at(5)).await.map(drop)
}

async fn image(catalog: &Catalog, image_id: ImageId) -> Image {
    catalog.image(image_id).await.expect("the catalog").expect("the image")
}

async fn states(catalog: &Catalog) -> Vec<ImageState> {
    let news = catalog.news(PROJECT, 0, 100).await.expect("the news").news;
    news.into_iter().filter_map(|news| news.state).collect()
}

/// Ends every wait and every lease.
async fn let_time_pass(db: &Db) {
    let sql = "UPDATE jobs SET run_at = 0, lease_until = CASE WHEN state = 'leased' THEN 0 ELSE NULL END";
    db.write(move |tx| async move { tx.execute(sql, &[]).await }.boxed()).await.expect("the catalog");
}

#[tokio::test]
async fn an_image_goes_through_its_states_and_each_is_news() {
    on_every_engine(async |catalog, _db| {
        let image_id = waiting(&catalog, 1).await;
        let work = claim(&catalog, "a", 5).await;
        assert_eq!((work.len(), work[0].image_id, work[0].job.attempts), (1, image_id, 1));
        assert_eq!(image(&catalog, image_id).await.state, ImageState::Processing);
        publish(&catalog, &work[0]).await.expect("published");
        let done = image(&catalog, image_id).await;
        assert_eq!((done.state, done.width, done.versions.len()), (ImageState::Done, Some(4), 2));
        assert_eq!(done.versions[0].object_key.folder(), work[0].folder);
        use ImageState::{Done, Init, Processing, Uploaded};
        assert_eq!(states(&catalog).await, [Init, Uploaded, Processing, Done]);
        assert!(!catalog.has_jobs(PROCESS_IMAGE).await.expect("the catalog"));
        assert_eq!(catalog.job_depths().await.expect("the catalog"), vec![]);
    })
    .await;
}

#[tokio::test]
async fn projects_take_turns_however_many_photos_one_of_them_has() {
    on_every_engine(async |catalog, db| {
        let mut flood = Vec::new();
        for number in 0..10 {
            flood.push(waiting(&catalog, number).await);
        }
        let mut claimed: Vec<ImageId> = Vec::new();
        let claim_one = async || {
            let work = claim(&catalog, "a", 1).await;
            assert_eq!(work.len(), 1);
            publish(&catalog, &work[0]).await.expect("published");
            work[0].image_id
        };
        for _ in 0..4 {
            claimed.push(claim_one().await);
        }
        let mut others = Vec::new();
        for number in 100..103 {
            others.push(waiting_in(&catalog, OTHER_PROJECT, number).await);
        }
        for _ in 0..6 {
            claimed.push(claim_one().await);
        }
        for of_other in &others {
            let place = claimed.iter().position(|image_id| image_id == of_other);
            assert!(place.is_some(), "{claimed:?}");
        }
        assert!(claimed[4..6].contains(&others[0]), "the first is next: {claimed:?}");
        for _ in 0..3 {
            claimed.push(claim_one().await);
        }
        // Each project's jobs come in their order.
        let of_flood: Vec<ImageId> = claimed.into_iter().filter(|image_id| !others.contains(image_id)).collect();
        assert_eq!(of_flood, flood);
        let_time_pass(&db).await;
        assert!(claim(&catalog, "a", 5).await.is_empty());
    })
    .await;
}

#[tokio::test]
async fn however_many_claim_at_once_each_job_has_one_holder() {
    on_every_engine(async |catalog, _db| {
        for number in 0..20 {
            waiting(&catalog, number).await;
        }
        let nodes = ["a", "b", "c", "d", "e", "f"];
        let claimed = join_all(nodes.map(|node| claim(&catalog, node, 5))).await;
        let mut images: Vec<ImageId> = claimed.iter().flatten().map(|work| work.image_id).collect();
        images.extend(claim(&catalog, "g", 20).await.iter().map(|work| work.image_id));
        images.sort();
        images.dedup();
        assert_eq!(images.len(), 20);
        assert!(claimed.iter().all(|works| works.len() <= 5));
    })
    .await;
}

#[tokio::test]
async fn a_holder_that_lost_its_lease_can_bring_no_result() {
    on_every_engine(async |catalog, db| {
        let image_id = waiting(&catalog, 1).await;
        let slow = claim(&catalog, "slow", 1).await.remove(0);
        let_time_pass(&db).await;
        catalog.recover_leases(at(6)).await.expect("the catalog");
        let quick = claim(&catalog, "quick", 1).await.remove(0);
        assert!(quick.job.lease.fence > slow.job.lease.fence);

        assert!(matches!(publish(&catalog, &slow).await, Err(Error::LeaseLost(_))));
        let refused = catalog.refuse_image(slow.clone(), refusal(), at(7)).await;
        assert!(matches!(refused, Err(Error::LeaseLost(_))));
        let failed = catalog.fail_image(slow.job.lease, image_id, Failure::PutBack(Duration::ZERO), None, at(7)).await;
        assert!(matches!(failed, Err(Error::LeaseLost(_))));
        let held = catalog.renew_leases(vec![slow.job.lease, quick.job.lease]).await.expect("the catalog");
        assert_eq!(held, [quick.job.lease]);
        assert_eq!(image(&catalog, image_id).await.state, ImageState::Processing, "nothing of it was published");

        publish(&catalog, &quick).await.expect("published");
        assert!(matches!(publish(&catalog, &quick).await, Err(Error::LeaseLost(_))), "one result is published");
        assert_eq!(image(&catalog, image_id).await.versions[0].object_key.folder(), quick.folder);
    })
    .await;
}

fn refusal() -> Refusal {
    Refusal { code: ImageErrorCode::Truncated, sentence: "It is cut off.".to_owned(), sha256: [7; 32] }
}

#[tokio::test]
async fn what_is_known_of_a_refused_file_is_kept_with_the_reason() {
    on_every_engine(async |catalog, _db| {
        let image_id = waiting(&catalog, 1).await;
        let work = claim(&catalog, "a", 1).await.remove(0);
        catalog.refuse_image(work, refusal(), at(6)).await.expect("refused");
        let ended = image(&catalog, image_id).await;
        assert_eq!(ended.error, Some((ImageErrorCode::Truncated, "It is cut off.".to_owned())));
        assert_eq!(ended.sha256, Some([7; 32]));
        assert!(catalog.dead_jobs(None, 10).await.expect("the catalog").is_empty(), "its job is done");
    })
    .await;
}

#[tokio::test]
async fn a_file_that_kills_its_decoder_each_time_ends_with_what_the_decoder_did() {
    on_every_engine(async |catalog, db| {
        let image_id = waiting(&catalog, 1).await;
        for _ in 0..DEATHS_MAX {
            let work = claim(&catalog, "a", 1).await.remove(0);
            let failure = Failure::WorkerDied(ImageErrorCode::TimedOut, "It took too long.".to_owned());
            catalog.fail_image(work.job.lease, image_id, failure, Some([8; 32]), at(6)).await.expect("the catalog");
            let_time_pass(&db).await;
        }
        let ended = image(&catalog, image_id).await;
        assert_eq!(ended.error, Some((ImageErrorCode::TimedOut, "It took too long.".to_owned())));
        assert_eq!(ended.sha256, Some([8; 32]));
    })
    .await;
}

#[tokio::test]
async fn a_renewed_lease_is_not_taken_away() {
    on_every_engine(async |catalog, db| {
        waiting(&catalog, 1).await;
        let work = claim(&catalog, "a", 1).await.remove(0);
        let_time_pass(&db).await;
        assert_eq!(catalog.renew_leases(vec![work.job.lease]).await.expect("the catalog"), [work.job.lease]);
        catalog.recover_leases(at(6)).await.expect("the catalog");
        publish(&catalog, &work).await.expect("published");
    })
    .await;
}

#[tokio::test]
async fn after_so_many_attempts_a_job_is_a_dead_letter_and_can_be_started_anew() {
    on_every_engine(async |catalog, db| {
        let image_id = waiting(&catalog, 1).await;
        for attempt in 1..=ATTEMPTS_MAX {
            let work = claim(&catalog, "a", 1).await.remove(0);
            assert_eq!(work.job.attempts, attempt);
            let failure = Failure::Failed(format!("try {attempt}"));
            catalog.fail_image(work.job.lease, image_id, failure, None, at(6)).await.expect("the catalog");
            assert!(claim(&catalog, "a", 1).await.is_empty(), "it waits a while before the next try");
            let_time_pass(&db).await;
        }
        let ended = image(&catalog, image_id).await;
        assert_eq!(
            (ended.state, ended.error),
            (ImageState::Error, Some((ImageErrorCode::ProcessingFailed, "try 5".to_owned())))
        );
        let dead = catalog.dead_jobs(None, 10).await.expect("the catalog");
        assert_eq!((dead.len(), dead[0].reason.as_str(), dead[0].attempts), (1, "try 5", ATTEMPTS_MAX));
        assert!(claim(&catalog, "a", 1).await.is_empty());

        catalog.revive_job(dead[0].job_id, at(7)).await.expect("the catalog");
        assert!(matches!(catalog.revive_job(dead[0].job_id, at(8)).await, Err(Error::NotFound(_))));
        assert_eq!(image(&catalog, image_id).await.state, ImageState::Uploaded);
        let work = claim(&catalog, "a", 1).await.remove(0);
        assert_eq!(work.job.attempts, 1);
        publish(&catalog, &work).await.expect("published");
    })
    .await;
}

#[tokio::test]
async fn deaths_of_a_decoder_end_an_image_and_a_restart_is_no_strike() {
    on_every_engine(async |catalog, db| {
        let image_id = waiting(&catalog, 1).await;
        for _ in 0..10 {
            assert_eq!(claim(&catalog, "a", 1).await.len(), 1);
            assert_eq!(catalog.release_leases("b".to_owned()).await.expect("the catalog"), 0, "another node's");
            assert_eq!(catalog.release_leases("a".to_owned()).await.expect("the catalog"), 1);
        }
        for death in 1..DEATHS_MAX {
            let work = claim(&catalog, "a", 1).await.remove(0);
            assert_eq!(work.job.attempts, death);
            let failure = Failure::WorkerDied(ImageErrorCode::DecoderCrashed, "It crashed.".to_owned());
            catalog.fail_image(work.job.lease, image_id, failure, None, at(6)).await.expect("the catalog");
            let_time_pass(&db).await;
        }
        // Servers that are killed or cut off do not add to them.
        for _ in 0..=DEATHS_MAX + ATTEMPTS_MAX {
            assert_eq!(claim(&catalog, "a", 1).await.remove(0).job.attempts, DEATHS_MAX);
            let_time_pass(&db).await;
            assert!(catalog.recover_leases(at(6)).await.expect("the catalog").news.is_empty());
        }
        let work = claim(&catalog, "a", 1).await.remove(0);
        let failure = Failure::WorkerDied(ImageErrorCode::DecoderCrashed, "It crashed.".to_owned());
        let hints = catalog.fail_image(work.job.lease, image_id, failure, None, at(7)).await.expect("the catalog");
        assert_eq!(hints.news.len(), 1, "the end is news");
        assert_eq!(image(&catalog, image_id).await.state, ImageState::Error);
        let dead = catalog.dead_jobs(None, 10).await.expect("the catalog");
        assert_eq!((dead.len(), dead[0].deaths), (1, DEATHS_MAX));
    })
    .await;
}

#[tokio::test]
async fn a_lost_lease_is_no_strike_and_a_job_that_loses_every_server_ends() {
    on_every_engine(async |catalog, db| {
        let image_id = waiting(&catalog, 1).await;
        for loss in 1..=LOSSES_MAX {
            assert_eq!(image(&catalog, image_id).await.error, None, "after {} losses", loss - 1);
            assert_eq!(claim(&catalog, "a", 1).await.remove(0).job.attempts, 1);
            let_time_pass(&db).await;
            let hints = catalog.recover_leases(at(6)).await.expect("the catalog");
            assert_eq!(hints.news.len(), usize::from(loss == LOSSES_MAX), "only the end is news");
        }
        assert_eq!(image(&catalog, image_id).await.state, ImageState::Error);
        let dead = catalog.dead_jobs(None, 10).await.expect("the catalog");
        assert_eq!((dead.len(), dead[0].deaths, dead[0].attempts), (1, 0, 0));

        catalog.revive_job(dead[0].job_id, at(7)).await.expect("the catalog");
        claim(&catalog, "a", 1).await;
        let_time_pass(&db).await;
        catalog.recover_leases(at(8)).await.expect("the catalog");
        let work = claim(&catalog, "a", 1).await.remove(0);
        publish(&catalog, &work).await.expect("published after one loss");
    })
    .await;
}

#[tokio::test]
async fn an_engine_that_was_away_costs_no_attempt() {
    on_every_engine(async |catalog, _db| {
        let image_id = waiting(&catalog, 1).await;
        for _ in 0..10 {
            let work = claim(&catalog, "a", 1).await.remove(0);
            assert_eq!(work.job.attempts, 1);
            let failure = Failure::PutBack(Duration::ZERO);
            catalog.fail_image(work.job.lease, image_id, failure, None, at(6)).await.expect("the catalog");
        }
    })
    .await;
}

#[tokio::test]
async fn versions_are_not_published_to_more_than_may_see_the_image_now() {
    on_every_engine(async |catalog, _db| {
        let image_id = waiting(&catalog, 1).await;
        let work = claim(&catalog, "a", 1).await.remove(0);
        let patch = ImagePatch { visibility: Some(Visibility::Private), ..ImagePatch::default() };
        catalog.update_image(image_id, patch, None, at(5)).await.expect("private");
        assert!(matches!(publish(&catalog, &work).await, Err(Error::Conflict(_))));
        assert_eq!(image(&catalog, image_id).await.versions, vec![]);
        let failure = Failure::PutBack(Duration::ZERO);
        catalog.fail_image(work.job.lease, image_id, failure, None, at(6)).await.expect("the catalog");
        let again = claim(&catalog, "a", 1).await.remove(0);
        assert!(again.folder.as_str().starts_with("private/"));
        publish(&catalog, &again).await.expect("published");
    })
    .await;
}

#[tokio::test]
async fn an_image_deleted_while_it_is_made_stays_deleted_and_what_was_written_is_swept() {
    on_every_engine(async |catalog, db| {
        let image_id = waiting(&catalog, 1).await;
        let work = claim(&catalog, "a", 1).await.remove(0);
        catalog.delete_image(image_id).await.expect("deleted");
        assert!(matches!(publish(&catalog, &work).await, Err(Error::LeaseLost(_))));
        assert_eq!(catalog.image(image_id).await.expect("the catalog"), None);
        let sql = "UPDATE unwanted_objects SET unwanted_from = 0";
        db.write(move |tx| async move { tx.execute(sql, &[]).await }.boxed()).await.expect("the catalog");
        let unwanted = catalog.unwanted_objects(10).await.expect("the catalog");
        assert!(unwanted.contains(&work.folder) && unwanted.contains(&work.original_key));
        catalog.forget_unwanted(unwanted).await.expect("the catalog");
        assert_eq!(catalog.unwanted_objects(10).await.expect("the catalog"), vec![]);
    })
    .await;
}

#[tokio::test]
async fn a_version_is_kept_in_several_types_under_one_name() {
    on_every_engine(async |catalog, _db| {
        let image_id = waiting(&catalog, 1).await;
        let types = async || -> Vec<(String, String, String)> {
            let versions = image(&catalog, image_id).await.versions.into_iter();
            versions.map(|one| (one.name, one.content_type, one.object_key.name().to_owned())).collect()
        };
        let row = |name: &str, ending: &str, content_type: &str| {
            (name.to_owned(), content_type.to_owned(), format!("{name}.{ending}"))
        };
        let jpegs = [row("big_thumb", "jpg", "image/jpeg"), row("thumb", "jpg", "image/jpeg")];

        let work = claim(&catalog, "a", 1).await.remove(0);
        let (work, mut with_webp) = made(&work);
        let webp = with_webp.versions.iter().map(|version| MadeVersion {
            object_name: format!("{}.webp", version.name),
            content_type: "image/webp".to_owned(),
            ..version.clone()
        });
        let webp: Vec<MadeVersion> = webp.collect();
        with_webp.versions.extend(webp);
        catalog.publish_image(work, with_webp, at(5)).await.expect("published");
        let webps = [row("big_thumb", "webp", "image/webp"), row("thumb", "webp", "image/webp")];
        let [big_jpeg, small_jpeg] = jpegs.clone();
        let [big_webp, small_webp] = webps;
        assert_eq!(types().await, [big_jpeg, big_webp, small_jpeg, small_webp]);

        // Processed again without them, it has none left.
        catalog.reprocess_image(image_id, JobId(Uuid::from_u128(9)), at(6)).await.expect("again");
        let work = claim(&catalog, "a", 1).await.remove(0);
        publish(&catalog, &work).await.expect("published");
        assert_eq!(types().await, jpegs);
    })
    .await;
}

#[tokio::test]
async fn making_versions_anew_gives_up_the_old_ones_only_with_the_new_ones() {
    on_every_engine(async |catalog, _db| {
        let image_id = waiting(&catalog, 1).await;
        let early = catalog.reprocess_image(image_id, JobId(Uuid::from_u128(9)), at(5)).await;
        assert!(matches!(early, Err(Error::Conflict(_))));
        let first = claim(&catalog, "a", 1).await.remove(0);
        publish(&catalog, &first).await.expect("published");
        catalog.reprocess_image(image_id, JobId(Uuid::from_u128(9)), at(6)).await.expect("again");
        let second = claim(&catalog, "a", 1).await.remove(0);
        assert!(!catalog.unwanted_objects(10).await.expect("the catalog").contains(&first.folder));
        publish(&catalog, &second).await.expect("published");
        assert!(catalog.unwanted_objects(10).await.expect("the catalog").contains(&first.folder));
        assert_eq!(image(&catalog, image_id).await.versions[0].object_key.folder(), second.folder);
    })
    .await;
}
