//! From an original to versions: read, check, make and write them, then publish them in one transaction.
//!
//! Every step can be interrupted. Nothing of an attempt is visible before its transaction, and the sweep removes what
//! it wrote because its objects were noted as unwanted before.

use std::time::Duration;

use bytes::Bytes;
use eyeline_core::ImageErrorCode;
use eyeline_image::worker::WorkerFailure;
use eyeline_image::{Limits, START_BYTES, memory_needed};
use eyeline_store::catalog::jobs::{Failure, PROCESS_IMAGE};
use eyeline_store::catalog::processing::{Hints, Made, MadeVersion, Refusal, Work};
use eyeline_store::{Error, ObjectKey};
use futures::TryStreamExt as _;

use super::makers::MakeError;
use crate::flow::{Flow, hints};
use crate::secrets::{sha256, to_hex};

/// The pause before another try when an engine is unavailable.
const ENGINE_PAUSE: Duration = Duration::from_secs(2);
/// The longest pause between tries to store the outcome of an attempt.
const SETTLE_PAUSE_MAX: Duration = Duration::from_secs(5);

/// How an attempt ended.
enum Outcome {
    Made(Made),
    /// The file cannot be made into versions.
    Refused(Refusal),
    /// The attempt failed for another reason. Holds the original's SHA-256 if it was read.
    NotDone(Failure, Option<[u8; 32]>),
}

impl From<Failure> for Outcome {
    fn from(failure: Failure) -> Self {
        Outcome::NotDone(failure, None)
    }
}

/// Processes one claimed image to its end: published, refused, or put back for another attempt.
pub async fn process(flow: &Flow, work: Work) {
    let outcome = attempt(flow, &work).await.unwrap_or_else(|error| {
        Outcome::from(match error {
            Error::Unavailable { reason, .. } => {
                tracing::warn!(reason, image.id = %work.image_id, "an engine is unavailable; the photo waits");
                Failure::PutBack(ENGINE_PAUSE)
            }
            error => {
                tracing::error!(%error, image.id = %work.image_id, "a photo could not be processed");
                Failure::Failed("Something went wrong in the server; it was logged.".to_owned())
            }
        })
    });
    settle(flow, &work, outcome).await;
}

/// Stores the outcome in the catalog and retries while that is unavailable. While the lease is held, nobody else takes
/// the job; once it is lost, the catalog refuses the outcome.
async fn settle(flow: &Flow, work: &Work, mut outcome: Outcome) {
    let mut pause = Duration::from_millis(100);
    loop {
        let told = tell(flow, work, &outcome).await;
        match told {
            Ok(changed) => return hints::publish(&*flow.pubsub, changed).await,
            Err(Error::LeaseLost(_)) => {
                tracing::info!(image.id = %work.image_id, "another process has the photo, or it was deleted");
                return;
            }
            // The visibility changed meanwhile, so the versions belong into another folder.
            Err(Error::Conflict(_)) => outcome = Failure::PutBack(Duration::ZERO).into(),
            Err(error) => {
                tracing::warn!(%error, image.id = %work.image_id, "the outcome of a photo could not be stored yet");
                tokio::select! {
                    // The leases of this node are released when it stops, or at its next start.
                    () = flow.stop.cancelled() => return,
                    () = tokio::time::sleep(pause) => pause = (pause * 2).min(SETTLE_PAUSE_MAX),
                }
            }
        }
    }
}

async fn tell(flow: &Flow, work: &Work, outcome: &Outcome) -> Result<Hints, Error> {
    let now = flow.clock.now();
    match outcome {
        Outcome::Made(made) => flow.catalog.publish_image(work.clone(), made.clone(), now).await,
        Outcome::Refused(refusal) => flow.catalog.refuse_image(work.clone(), refusal.clone(), now).await,
        Outcome::NotDone(failure, sha256) => {
            let (lease, image_id) = (work.job.lease, work.image_id);
            let mut changed = flow.catalog.fail_image(lease, image_id, failure.clone(), *sha256, now).await?;
            changed.jobs = *failure == Failure::PutBack(Duration::ZERO);
            Ok(changed)
        }
    }
}

async fn attempt(flow: &Flow, work: &Work) -> Result<Outcome, Error> {
    let missing = || Ok(Failure::Failed("The stored original is missing.".to_owned()).into());
    let Some(needed) = memory_needed_for(flow, &work.original_key).await? else { return missing() };
    // Nothing of the photo is in memory before it is admitted, and it is counted until its versions are written.
    let _admitted = tokio::select! {
        admitted = flow.admission.admit(needed) => admitted,
        () = flow.stop.cancelled() => return Ok(Failure::PutBack(Duration::ZERO).into()),
    };
    let Some(original) = flow.objects.get(&work.original_key).await? else { return missing() };
    let (stated_bytes, stated_sha256) = (work.stated_bytes, work.stated_sha256);
    let (bytes, makers, project_id) = (original.len() as u64, flow.makers.clone(), work.project_id);
    // A new worker takes a moment, which costs nothing while no other photo waits.
    let renews = makers.has_read_others(project_id) && !flow.catalog.has_jobs(PROCESS_IMAGE).await?;
    let task = tokio::task::spawn_blocking(move || {
        let found = sha256(&original);
        if stated_bytes.is_some_and(|stated| stated != bytes) || stated_sha256.is_some_and(|stated| stated != found) {
            return (found, None);
        }
        (found, Some(makers.make(project_id, renews, &original)))
    });
    let (sha256, made) = task.await.map_err(|error| Error::internal("making versions", error))?;
    let Some(made) = made else {
        let sentence =
            format!("The file that arrived ({bytes} bytes, SHA-256 {}) is not the one announced.", to_hex(&sha256));
        return Ok(Outcome::Refused(Refusal { code: ImageErrorCode::NotAsStated, sentence, sha256 }));
    };
    Ok(match made {
        Ok(made) => Outcome::Made(write(flow, work, made, bytes, sha256).await?),
        Err(MakeError::Worker(WorkerFailure::Refused(error))) => {
            Outcome::Refused(Refusal { code: error.code, sentence: error.sentence, sha256 })
        }
        Err(MakeError::Worker(WorkerFailure::Gone(error))) => {
            tracing::warn!(image.id = %work.image_id, code = error.code.as_str(), "a worker died over a photo");
            Outcome::NotDone(Failure::WorkerDied(error.code, error.sentence), Some(sha256))
        }
        Err(MakeError::NotStarted(error)) => {
            return Err(Error::unavailable(format!("no image worker could be started: {error}")));
        }
    })
}

/// The bytes that making the versions will take; `None` if the original is missing.
async fn memory_needed_for(flow: &Flow, original: &ObjectKey) -> Result<Option<u64>, Error> {
    let Some(reading) = flow.objects.read(original, Some(0..START_BYTES)).await? else { return Ok(None) };
    let cut_off = |error| Error::unavailable(format!("the start of an original cannot be read: {error}"));
    let pieces: Vec<Bytes> = reading.stream.try_collect().await.map_err(cut_off)?;
    Ok(Some(memory_needed(&pieces.concat(), reading.bytes_total, &Limits::default())))
}

/// Writes the versions to the folder of the attempt.
async fn write(
    flow: &Flow,
    work: &Work,
    made: eyeline_image::Made,
    bytes: u64,
    original_sha256: [u8; 32],
) -> Result<Made, Error> {
    let mut objects = Vec::with_capacity(made.versions.len());
    let mut versions = Vec::with_capacity(made.versions.len());
    for version in made.versions {
        let object_name = format!("{}.{}", version.name, version.extension());
        versions.push(MadeVersion {
            name: version.name.to_string(),
            object_name: object_name.clone(),
            content_type: version.content_type.to_owned(),
            width: version.width,
            height: version.height,
            bytes: version.bytes.len() as u64,
            sha256: sha256(&version.bytes),
        });
        objects.push((object_name, Bytes::from(version.bytes)));
    }
    flow.objects.put_folder(&work.folder, objects).await?;
    Ok(Made {
        bytes,
        sha256: original_sha256,
        content_type: made.content_type.to_owned(),
        width: made.width,
        height: made.height,
        thumbhash: made.thumbhash,
        versions,
    })
}
