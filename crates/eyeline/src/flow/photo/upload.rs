//! From an upload link to a stored original.
//!
//! A client writes to its own key under `incoming/`. [`take_in`] copies the file to an immutable key, and only that
//! copy counts. The request that brought the file, the completion call and the sweep all call it; repeated calls change
//! nothing.

use std::time::Duration;

use bytes::Bytes;
use eyeline_core::{GalleryId, ImageId, Parts, Tier, Timestamp, Visibility};
use eyeline_store::catalog::part_uploads::InParts;
use eyeline_store::catalog::uploads::{Arrived, NewImage, OpenUpload};
use eyeline_store::objects::{Area, ReceiveError, Received, Upload, UploadPolicy};
use eyeline_store::{Error, ObjectKey};
use futures::Stream;

use super::parts;
use crate::flow::{Flow, hints};
use crate::secrets::to_hex;
use crate::settings::Settings;

/// The media types that clients may declare. The worker determines the real type from the bytes.
pub const CONTENT_TYPES: [&str; 9] = [
    "image/jpeg",
    "image/png",
    "image/webp",
    "image/gif",
    "image/avif",
    "image/heic",
    "image/heif",
    "image/heic-sequence",
    "image/heif-sequence",
];

/// Longer than copying a file can take. Until then the sweep leaves the copy alone.
const COPYING_MAX: Duration = Duration::from_secs(60 * 60);

/// Types below `application/` that are clearly no image. Others say nothing about the bytes: clients send many spellings of
/// `application/octet-stream`, and the type of a form is what curl sends with any file.
const OTHER_APPLICATIONS: [&str; 12] =
    ["gzip", "javascript", "json", "msword", "ogg", "pdf", "postscript", "rtf", "wasm", "x-tar", "xml", "zip"];

/// Reads a declared media type: in lower case and without its parameters. `None` if it says nothing about the bytes.
pub fn declared_type(text: &str) -> Option<String> {
    let essence = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    (essence.starts_with("image/") || !may_be_photo(&essence)).then_some(essence)
}

/// Returns whether the bytes decide about a file of this declared type. Many clients declare a wrong type of image; only
/// what is clearly none is refused before it is read.
pub fn may_be_photo(declared: &str) -> bool {
    match declared.split_once('/') {
        Some(("application", kind)) => {
            let is_document = kind.starts_with("vnd.") || kind.ends_with("+json") || kind.ends_with("+xml");
            !is_document && !OTHER_APPLICATIONS.contains(&kind)
        }
        Some(("image", kind)) => kind != "svg+xml",
        Some((kind, _)) => !matches!(kind, "audio" | "font" | "message" | "model" | "multipart" | "text" | "video"),
        None => true,
    }
}

/// The reason, in one sentence, why a file of this declared type is refused; `None` if it is accepted.
pub fn type_refusal(declared: Option<String>) -> Option<String> {
    let kind = declared.filter(|kind| !may_be_photo(kind))?;
    Some(format!("Files of type {kind} are not taken; these are: {}.", CONTENT_TYPES.join(", ")))
}

/// The upload limits of a project by its tier. The highest tier has no limit on the number of images.
pub struct ProjectLimits {
    pub file_bytes_max: u64,
    pub images_max: Option<u64>,
}

impl ProjectLimits {
    pub fn of(settings: &Settings, tier: Tier) -> Self {
        let limits = settings.tier(tier);
        ProjectLimits {
            file_bytes_max: limits.file_bytes_max.min(settings.upload_bytes_max),
            images_max: (tier != Tier::Business).then_some(limits.images_max),
        }
    }
}

/// The properties of a file that a client states before it sends it.
#[derive(Clone, Debug)]
pub struct Stated {
    pub filename: String,
    pub bytes: Option<u64>,
    pub sha256: Option<[u8; 32]>,
    /// True if the file, whose size is stated, is sent in parts.
    pub in_parts: bool,
    pub content_type: Option<String>,
    pub gallery_id: Option<GalleryId>,
    pub visibility: Visibility,
    pub access_tier: Tier,
    pub link: Option<String>,
    pub tags: Vec<String>,
    /// The JSON text of an object.
    pub metadata: String,
}

impl Stated {
    /// The declared type, else the type of the filename's extension.
    pub fn likely_type(&self) -> Option<String> {
        if self.content_type.is_some() {
            return self.content_type.clone();
        }
        let ending = self.filename.rsplit_once('.')?.1.to_ascii_lowercase();
        let kind = match ending.as_str() {
            "jpg" | "jpeg" | "jpe" | "jfif" => "image/jpeg",
            "png" => "image/png",
            "webp" => "image/webp",
            "gif" => "image/gif",
            "avif" | "avifs" => "image/avif",
            "heic" | "heics" => "image/heic",
            "heif" | "heifs" | "hif" => "image/heif",
            "svg" => "image/svg+xml",
            "pdf" => "application/pdf",
            "htm" | "html" => "text/html",
            _ => return None,
        };
        Some(kind.to_owned())
    }
}

/// A new image for the file, with its own key under `incoming/`.
pub fn new_image(flow: &Flow, stated: Stated) -> NewImage {
    let image_id = flow.clock.new_id();
    let in_parts = stated.bytes.filter(|_| stated.in_parts).map(|bytes| InParts {
        parts: Parts::of_file(bytes),
        original_key: ObjectKey::original(image_id),
        upload_id: None,
    });
    NewImage {
        image_id,
        in_parts,
        stated_bytes: stated.bytes,
        stated_sha256: stated.sha256,
        stated_type: stated.likely_type(),
        filename: stated.filename,
        incoming_key: ObjectKey::incoming(),
        link_expires_at: link_end(flow),
        gallery_id: stated.gallery_id,
        visibility: stated.visibility,
        access_tier: stated.access_tier,
        link: stated.link,
        tags: stated.tags,
        metadata: stated.metadata,
    }
}

/// The end of a link that is given out now, in real time.
pub fn link_end(flow: &Flow) -> Timestamp {
    flow.clock.real_now().plus(Duration::from_secs(flow.settings.upload_link_seconds.into()))
}

/// The file that is expected for the image, with at most `file_bytes_max` bytes.
pub fn expected(image: &NewImage, file_bytes_max: u64) -> Upload {
    Upload {
        key: image.incoming_key.clone(),
        expires_at: image.link_expires_at,
        bytes_max: image.stated_bytes.unwrap_or(file_bytes_max),
        exact: image.stated_bytes.zip(image.stated_sha256),
        content_type: image.stated_type.clone(),
    }
}

/// The reason why a file sent through a link was refused.
#[derive(Debug)]
pub enum Refusal {
    /// The link was used before.
    Used,
    /// The part was sent before, or its upload has ended.
    PartArrived,
    /// The image was deleted.
    Gone,
    Empty,
    TooLarge {
        bytes_max: u64,
    },
    /// The size differs from the stated one.
    OtherSize {
        stated: u64,
        sent: u64,
    },
    /// The SHA-256 differs from the stated one.
    OtherHash,
    /// The client sends the file again over another connection.
    Replaced,
    /// The client broke off, or the server closed an idle connection. The same link may be used again.
    BrokenOff,
    Store(Error),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Refusal::Store(error)
    }
}

impl From<ReceiveError> for Refusal {
    fn from(error: ReceiveError) -> Self {
        match error {
            ReceiveError::TooLarge { bytes_max } => Refusal::TooLarge { bytes_max },
            ReceiveError::BrokenOff(_) => Refusal::BrokenOff,
            ReceiveError::Store(error) => Refusal::Store(error),
        }
    }
}

/// Checks, before a byte is read, that the link is unused and the file, or part of one, not too large. Returns the
/// image's id.
pub async fn admit(flow: &Flow, policy: &UploadPolicy, bytes_announced: Option<u64>) -> Result<ImageId, Refusal> {
    let key = ObjectKey::try_from(policy.key.as_str())?;
    let (incoming_key, used) = match key.part_number() {
        Some(_) => (key.folder(), Refusal::PartArrived),
        None => (key.clone(), Refusal::Used),
    };
    let target = flow.catalog.upload_target(incoming_key).await?.ok_or(Refusal::Gone)?;
    if !target.open || flow.objects.head(&key).await?.is_some() {
        return Err(used);
    }
    match (bytes_announced, policy.bytes) {
        (Some(sent), _) if sent > policy.bytes_max => Err(Refusal::TooLarge { bytes_max: policy.bytes_max }),
        (Some(sent), Some(stated)) if sent != stated => Err(Refusal::OtherSize { stated, sent }),
        _ => Ok(target.image_id),
    }
}

/// Stores a file sent through an admitted link, in constant memory. After `Ok` the file is on stable storage and its
/// image will end as `done` or `error`.
pub async fn receive<E: std::fmt::Display>(
    flow: &Flow,
    image_id: ImageId,
    policy: &UploadPolicy,
    body: impl Stream<Item = Result<Bytes, E>>,
) -> Result<(), Refusal> {
    let key = ObjectKey::try_from(policy.key.as_str())?;
    let received = receive_at(flow, image_id, &key, policy, body).await?;
    let arrived = Arrived { bytes: received.bytes, sha256: Some(received.sha256) };
    if !received.keep().await? {
        return Err(Refusal::Used);
    }
    // The file is safe from here on. If taking it in fails, the completion call or the sweep repeats it.
    if let Err(error) = take_in(flow, image_id, Some(arrived)).await {
        tracing::warn!(%error, image.id = %image_id, "an uploaded file could not be taken in; the sweep retries");
    }
    Ok(())
}

/// Stores a part sent through an admitted link, in constant memory. After `Ok` it is on stable storage.
pub async fn receive_part<E: std::fmt::Display>(
    flow: &Flow,
    image_id: ImageId,
    policy: &UploadPolicy,
    body: impl Stream<Item = Result<Bytes, E>>,
) -> Result<(), Refusal> {
    let key = ObjectKey::try_from(policy.key.as_str())?;
    let received = receive_at(flow, image_id, &key, policy, body).await?;
    if received.keep().await? { Ok(()) } else { Err(Refusal::PartArrived) }
}

/// Receives what the policy allows, which nobody sees before it is kept.
async fn receive_at<E: std::fmt::Display>(
    flow: &Flow,
    image_id: ImageId,
    key: &ObjectKey,
    policy: &UploadPolicy,
    body: impl Stream<Item = Result<Bytes, E>>,
) -> Result<Received, Refusal> {
    let transfer = flow.transfers.begin(image_id, key.part_number());
    let received = tokio::select! {
        received = flow.objects.receive(key, body, policy.bytes_max) => received?,
        () = transfer.replaced() => return Err(Refusal::Replaced),
    };
    if received.bytes == 0 {
        return Err(Refusal::Empty);
    }
    if let Some(stated) = policy.bytes.filter(|stated| *stated != received.bytes) {
        return Err(Refusal::OtherSize { stated, sent: received.bytes });
    }
    if policy.sha256.as_ref().is_some_and(|stated| *stated != to_hex(&received.sha256)) {
        return Err(Refusal::OtherHash);
    }
    Ok(received)
}

/// The result of looking for the file of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Arrival {
    TakenIn,
    /// The file was taken in before, or the upload was closed.
    Earlier,
    Nothing,
    /// The numbers of the parts that have not arrived, of `count`.
    Missing {
        numbers: Vec<u32>,
        count: u32,
    },
}

/// Copies the image's incoming file, or joins its parts, to a key that no client can write to, and adds the job that
/// makes versions. `arrived` tells what the caller knows of the file, if it has read it.
pub async fn take_in(flow: &Flow, image_id: ImageId, arrived: Option<Arrived>) -> Result<Arrival, Error> {
    let Some(upload) = flow.catalog.open_upload(image_id).await? else { return Ok(Arrival::Earlier) };
    if let Some(in_parts) = upload.in_parts.clone() {
        return parts::take_in(flow, upload, in_parts).await;
    }
    let arrived = match arrived {
        Some(arrived) => arrived,
        None => match flow.objects.head(&upload.incoming_key).await? {
            Some(head) => Arrived { bytes: head.bytes, sha256: None },
            None => return nothing(flow, image_id).await,
        },
    };
    let original_key = ObjectKey::original(image_id);
    // Noted before it is made, so that the sweep deletes the copy after a crash.
    flow.catalog.note_unwanted(original_key.clone(), flow.clock.real_now().plus(COPYING_MAX)).await?;
    if !flow.objects.copy(&upload.incoming_key, &original_key).await? {
        return nothing(flow, image_id).await;
    }
    if !record(flow, upload, original_key.clone(), arrived).await? {
        // Another caller was faster.
        remove(flow, vec![original_key]).await;
        return Ok(Arrival::Earlier);
    }
    Ok(Arrival::TakenIn)
}

/// Records the original at its key, and deletes what the client has sent. False if the upload is not open any more.
pub(super) async fn record(
    flow: &Flow,
    upload: OpenUpload,
    original_key: ObjectKey,
    arrived: Arrived,
) -> Result<bool, Error> {
    let incoming_key = upload.incoming_key.clone();
    let taken = flow.catalog.take_in(upload, original_key, arrived, flow.clock.new_id(), flow.clock.now()).await?;
    let Some(hints) = taken else { return Ok(false) };
    hints::publish(&*flow.pubsub, hints).await;
    remove(flow, vec![incoming_key]).await;
    Ok(true)
}

/// There is no file now, but another caller may just have taken it in.
async fn nothing(flow: &Flow, image_id: ImageId) -> Result<Arrival, Error> {
    let open = flow.catalog.open_upload(image_id).await?.is_some();
    Ok(if open { Arrival::Nothing } else { Arrival::Earlier })
}

/// Deletes objects that the catalog has noted as unwanted. The sweep deletes those that fail here.
pub async fn remove(flow: &Flow, keys: Vec<ObjectKey>) {
    for key in &keys {
        if let Err(error) = flow.objects.delete(key).await {
            tracing::warn!(%error, %key, "an object could not be deleted; the sweep retries");
            return;
        }
    }
    let mut forgotten = keys;
    if !flow.object_links.are_served_here() {
        // A bucket takes a file through a link until that expires, also after the first one was deleted.
        forgotten.retain(|key| key.area() != Area::Incoming);
    }
    if let Err(error) = flow.catalog.forget_unwanted(forgotten).await {
        tracing::debug!(%error, "deleted objects are still noted as unwanted; the sweep retries");
    }
}

pub fn parse_sha256(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * index..2 * index + 2], 16).ok()?;
    }
    Some(bytes)
}
