//! Uploads in parts, which go on after a break.
//!
//! A client asks for links to parts as often as it likes, and learns which parts have arrived. They are joined to the
//! key of the original, to which no client can write: the join is the only copy of the file.

use eyeline_core::{ImageId, Parts, Timestamp};
use eyeline_store::Error;
use eyeline_store::catalog::part_uploads::{Begun, InParts};
use eyeline_store::catalog::uploads::{Arrived, OpenUpload};
use eyeline_store::objects::{Part, PartUpload, StoredPart, UploadLink};

use super::upload::{self, Arrival};
use crate::flow::Flow;

/// Numbers of parts in one call for links.
pub const NUMBERS_MAX: usize = 1_000;
/// The number of missing parts that one answer names.
pub const MISSING_NAMED_MAX: usize = 100;
/// Leftovers of one turn.
const LEFTOVERS_MAX: u32 = 200;

/// Links to parts.
pub struct PartLinks {
    /// By the number of the part.
    pub links: Vec<(u32, UploadLink)>,
    /// The numbers of the parts that have arrived, sorted.
    pub received: Vec<u32>,
    /// The end of these links, in real time.
    pub expires_at: Timestamp,
}

/// The open upload in parts of an image, with the sizes of its parts.
pub async fn open(flow: &Flow, image_id: ImageId) -> Result<Option<(OpenUpload, InParts)>, Error> {
    let upload = flow.catalog.open_upload(image_id).await?;
    Ok(upload.and_then(|upload| upload.in_parts.clone().map(|in_parts| (upload, in_parts))))
}

/// Makes links to the parts of these numbers, and puts off the end of the upload until they have expired. `None` if the
/// image does not wait for parts any more.
pub async fn links(
    flow: &Flow,
    upload: &OpenUpload,
    in_parts: &InParts,
    numbers: &[u32],
) -> Result<Option<PartLinks>, Error> {
    let expires_at = upload::link_end(flow);
    let (begun, stored) = match stored(flow, upload, in_parts).await? {
        Stored::Parts(parts) => (None, parts),
        Stored::Joined => {
            let received = (1..=in_parts.parts.count()).collect();
            return Ok(Some(PartLinks { links: Vec::new(), received, expires_at }));
        }
        Stored::Unknown => {
            let upload_id = flow.objects.begin_parts(&in_parts.original_key).await?;
            (Some(Begun { upload_id, replaces: in_parts.upload_id.clone() }), Vec::new())
        }
    };
    let in_force = flow.catalog.extend_parts(upload.image_id, begun.clone(), expires_at).await?;
    if let Some(Begun { upload_id, .. }) = begun.filter(|begun| Some(&begun.upload_id) != in_force.as_ref()) {
        // Another process has begun the upload, or it has ended.
        let mine = InParts { upload_id: Some(upload_id), ..in_parts.clone() };
        end(flow, mine.upload(&upload.incoming_key)).await;
    }
    let in_force = InParts { upload_id: in_force, ..in_parts.clone() };
    let Some(part_upload) = in_force.upload(&upload.incoming_key) else { return Ok(None) };
    let now = flow.clock.real_now();
    let links = numbers.iter().filter_map(|number| {
        let bytes = in_parts.parts.bytes_of(*number)?;
        let part = Part { upload: &part_upload, number: *number, bytes, expires_at };
        Some((*number, flow.object_links.part(&part, now)))
    });
    Ok(Some(PartLinks { links: links.collect(), received: numbers_of(&stored), expires_at }))
}

/// Joins the parts of an open upload once all have arrived.
pub(super) async fn take_in(flow: &Flow, upload: OpenUpload, in_parts: InParts) -> Result<Arrival, Error> {
    let (image_id, parts) = (upload.image_id, in_parts.parts);
    let is_joined = match stored(flow, &upload, &in_parts).await? {
        Stored::Joined => true,
        Stored::Unknown => false,
        Stored::Parts(stored) => {
            let numbers = parts.missing(&numbers_of(&stored));
            if !numbers.is_empty() {
                return missing(flow, image_id, parts, numbers).await;
            }
            match in_parts.upload(&upload.incoming_key) {
                Some(part_upload) => flow.objects.join_parts(&part_upload, &stored).await?,
                None => false,
            }
        }
    };
    if !is_joined {
        return missing(flow, image_id, parts, parts.missing(&[])).await;
    }
    let arrived = Arrived { bytes: parts.bytes(), sha256: None };
    // Another caller joins the same parts to the same key. The sweep deletes what no image has taken in.
    let is_first = upload::record(flow, upload, in_parts.original_key, arrived).await?;
    Ok(if is_first { Arrival::TakenIn } else { Arrival::Earlier })
}

/// Parts are missing now, but another caller may just have joined them.
async fn missing(flow: &Flow, image_id: ImageId, parts: Parts, numbers: Vec<u32>) -> Result<Arrival, Error> {
    let is_open = flow.catalog.open_upload(image_id).await?.is_some();
    Ok(if is_open { Arrival::Missing { numbers, count: parts.count() } } else { Arrival::Earlier })
}

/// The state of an upload in the object store.
enum Stored {
    /// The parts that have arrived with their exact size, sorted by number.
    Parts(Vec<StoredPart>),
    Joined,
    /// The upload was not begun, or the store has lost it.
    Unknown,
}

async fn stored(flow: &Flow, upload: &OpenUpload, in_parts: &InParts) -> Result<Stored, Error> {
    let Some(part_upload) = in_parts.upload(&upload.incoming_key) else { return Ok(Stored::Unknown) };
    let Some(mut stored) = flow.objects.parts(&part_upload).await? else {
        let joined = flow.objects.head(&part_upload.to).await?;
        let is_joined = joined.is_some_and(|head| head.bytes == in_parts.parts.bytes());
        return Ok(if is_joined { Stored::Joined } else { Stored::Unknown });
    };
    stored.retain(|part| in_parts.parts.bytes_of(part.number) == Some(part.bytes));
    Ok(Stored::Parts(stored))
}

fn numbers_of(stored: &[StoredPart]) -> Vec<u32> {
    stored.iter().map(|part| part.number).collect()
}

/// Ends an upload of which the catalog knows nothing. A failure leaves an upload without parts, which costs nothing and
/// which a rule of the bucket deletes.
async fn end(flow: &Flow, upload: Option<PartUpload>) {
    let Some(upload) = upload else { return };
    if let Err(error) = flow.objects.abort_parts(&upload).await {
        tracing::warn!(%error, key = %upload.to, "an upload in parts could not be ended");
    }
}

/// Ends uploads in parts for which no image waits any more, and deletes what no image has taken in.
pub async fn end_leftovers(flow: &Flow) -> Result<(), Error> {
    loop {
        let leftovers = flow.catalog.leftover_parts(LEFTOVERS_MAX).await?;
        for leftover in &leftovers {
            if let Some(upload) = leftover.upload() {
                flow.objects.abort_parts(&upload).await?;
            }
            if !leftover.is_taken_in {
                flow.objects.delete(&leftover.original_key).await?;
            }
        }
        let is_last = leftovers.len() < LEFTOVERS_MAX as usize;
        flow.catalog.end_parts(leftovers.into_iter().map(|leftover| leftover.image_id).collect()).await?;
        if is_last {
            return Ok(());
        }
    }
}
