//! The sweep finds what no request reports: files whose completion call was lost, unused links, unreferenced objects.
//! Every part can be interrupted and repeated.

use std::time::Duration;

use eyeline_store::Error;
use eyeline_store::catalog::uploads::OpenUpload;

use super::upload::Arrival;
use super::{parts, upload};
use crate::flow::{Flow, hints};

/// Rows of one transaction, so that other writes do not wait long.
const ROWS_MAX: u32 = 200;

/// Runs each part once, over everything.
pub async fn sweep(flow: &Flow) -> Result<(), Error> {
    uploads(flow).await?;
    parts::end_leftovers(flow).await?;
    objects(flow).await
}

/// Takes in files that arrived through links, and closes uploads whose link expired longer ago than the grace period.
pub async fn uploads(flow: &Flow) -> Result<(), Error> {
    let grace = Duration::from_secs(flow.settings.upload_grace_seconds.into());
    let mut last = None;
    loop {
        let open = flow.catalog.open_uploads(last.as_ref(), ROWS_MAX).await?;
        let complete = open.len() < ROWS_MAX as usize;
        last = open.last().cloned();
        let mut dead = Vec::new();
        for upload in open {
            if !has_arrived(flow, &upload).await? && upload.link_expires_at.plus(grace) < flow.clock.real_now() {
                dead.push(upload);
            }
        }
        if !dead.is_empty() {
            hints::publish(&*flow.pubsub, flow.catalog.give_up_uploads(dead, flow.clock.now()).await?).await;
        }
        if complete {
            return Ok(());
        }
    }
}

/// Takes in the file of an upload, if all of it is there. False if it is not.
async fn has_arrived(flow: &Flow, upload: &OpenUpload) -> Result<bool, Error> {
    if upload.in_parts.is_none() && flow.objects.head(&upload.incoming_key).await?.is_none() {
        return Ok(false);
    }
    match upload::take_in(flow, upload.image_id, None).await {
        Ok(arrival) => Ok(matches!(arrival, Arrival::TakenIn | Arrival::Earlier)),
        // One file that cannot be taken in must not delay the others.
        Err(error) if !error.is_retryable() => {
            tracing::error!(%error, image.id = %upload.image_id, "an uploaded file could not be taken in");
            Ok(true)
        }
        Err(error) => Err(error),
    }
}

/// Deletes objects that nothing refers to.
async fn objects(flow: &Flow) -> Result<(), Error> {
    loop {
        let keys = flow.catalog.unwanted_objects(ROWS_MAX).await?;
        let complete = keys.len() < ROWS_MAX as usize;
        for key in &keys {
            flow.objects.delete(key).await?;
        }
        flow.catalog.forget_unwanted(keys).await?;
        if complete {
            return Ok(());
        }
    }
}
