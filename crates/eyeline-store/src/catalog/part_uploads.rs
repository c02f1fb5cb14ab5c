//! Uploads in parts: what an image waits for, and what is left over once it does not wait any more.

use eyeline_core::{ImageId, Parts, Timestamp};
use futures::FutureExt as _;

use super::Catalog;
use super::objects::REQUEST_MAX;
use super::uploads::NewImage;
use crate::error::Result;
use crate::objects::{ObjectKey, PartUpload};
use crate::params;
use crate::sql::{Row, Tx, Value};

/// How a file is sent in parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InParts {
    /// The sizes of the file and of its parts.
    pub parts: Parts,
    /// The key to which the parts are joined. No client can write to it.
    pub original_key: ObjectKey,
    /// The object store's id of the upload. `None` until a client asks for links to parts.
    pub upload_id: Option<String>,
}

/// An upload that was begun in the object store, to be used from now on.
#[derive(Clone, Debug)]
pub struct Begun {
    pub upload_id: String,
    /// The upload that the store has lost.
    pub replaces: Option<String>,
}

/// An upload in parts whose image does not wait for it any more.
#[derive(Clone, Debug)]
pub struct Leftover {
    pub image_id: ImageId,
    pub incoming_key: ObjectKey,
    pub original_key: ObjectKey,
    pub upload_id: Option<String>,
    /// True if the joined object is the image's original.
    pub is_taken_in: bool,
}

impl InParts {
    /// The upload in the object store, whose parts are sent to `incoming_key`. `None` if it was not begun.
    pub fn upload(&self, incoming_key: &ObjectKey) -> Option<PartUpload> {
        part_upload(incoming_key, &self.original_key, self.upload_id.as_deref())
    }
}

impl Leftover {
    /// The upload in the object store; `None` if it was not begun.
    pub fn upload(&self) -> Option<PartUpload> {
        part_upload(&self.incoming_key, &self.original_key, self.upload_id.as_deref())
    }
}

fn part_upload(incoming: &ObjectKey, to: &ObjectKey, id: Option<&str>) -> Option<PartUpload> {
    Some(PartUpload { incoming: incoming.clone(), to: to.clone(), id: id?.to_owned() })
}

impl Catalog {
    /// Notes, before they are given out, that links to parts of an image expire at `links_expire_at` (real time), and
    /// the upload that was begun for them, unless another process has noted one. Returns the id of the upload in force.
    /// `None` if the image does not wait for parts.
    pub async fn extend_parts(
        &self,
        image_id: ImageId,
        begun: Option<Begun>,
        links_expire_at: Timestamp,
    ) -> Result<Option<String>> {
        // Holds the image, so that it is not taken in or given up meanwhile.
        let wait = "UPDATE images SET link_expires_at = CASE WHEN link_expires_at < $2 THEN $2 ELSE link_expires_at END
                    WHERE image_id = $1 AND state = 'init'";
        let begin = "UPDATE part_uploads SET upload_id = $2 WHERE image_id = $1 AND upload_id IS NOT DISTINCT FROM $3";
        let extend = "UPDATE part_uploads
                      SET links_expire_at = CASE WHEN links_expire_at < $2 THEN $2 ELSE links_expire_at END
                      WHERE image_id = $1
                      RETURNING upload_id";
        self.db
            .write(move |tx| {
                async move {
                    if tx.execute(wait, params![image_id, links_expire_at]).await? == 0 {
                        return Ok(None);
                    }
                    if let Some(Begun { upload_id, replaces }) = begun.clone() {
                        tx.execute(begin, params![image_id, upload_id, replaces]).await?;
                    }
                    match tx.query_one(extend, params![image_id, links_expire_at]).await? {
                        Some(mut row) => row.take("upload_id"),
                        None => Ok(None),
                    }
                }
                .boxed()
            })
            .await
    }

    /// Up to `limit` uploads in parts to end now: those whose image has stopped waiting, and once more those through
    /// whose links nothing can be under way any more.
    pub async fn leftover_parts(&self, limit: u32) -> Result<Vec<Leftover>> {
        let sql = "SELECT p.image_id, p.incoming_key, p.original_key, p.upload_id,
                          coalesce(i.original_key = p.original_key, FALSE) AS is_taken_in
                   FROM part_uploads p LEFT JOIN images i ON i.image_id = p.image_id
                   WHERE p.forget_from <= $1 OR (p.forget_from IS NULL AND (i.image_id IS NULL OR i.state <> 'init'))
                   ORDER BY p.image_id
                   LIMIT $2";
        self.db
            .read(move |tx| {
                async move {
                    let now = tx.real_now().await?;
                    let rows = tx.query(sql, params![now, limit]).await?;
                    rows.into_iter().map(read_leftover).collect()
                }
                .boxed()
            })
            .await
    }

    /// Notes that uploads were ended. A part may still be under way through a link. Each upload is therefore ended once
    /// more when none can be, and forgotten then.
    pub async fn end_parts(&self, images: Vec<ImageId>) -> Result<()> {
        let forget = "DELETE FROM part_uploads
                      WHERE image_id IN (SELECT v.column1 FROM (VALUES {rows}) AS v WHERE forget_from <= v.column2)";
        let note = "UPDATE part_uploads SET forget_from = links_expire_at + v.column2 FROM (VALUES {rows}) AS v
                    WHERE image_id = v.column1 AND forget_from IS NULL";
        let request_micros = i64::try_from(REQUEST_MAX.as_micros()).unwrap_or(i64::MAX);
        self.db
            .write(move |tx| {
                async move {
                    let now = tx.real_now().await?;
                    let ended: Vec<Vec<Value>> = images.iter().map(|id| vec![(*id).into(), now.into()]).collect();
                    tx.execute_rows(forget, &ended).await?;
                    let ended: Vec<Vec<Value>> =
                        images.iter().map(|id| vec![(*id).into(), request_micros.into()]).collect();
                    tx.execute_rows(note, &ended).await.map(drop)
                }
                .boxed()
            })
            .await
    }
}

/// Inserts the uploads of those new images whose files are sent in parts.
pub(super) async fn insert(tx: &mut Tx, images: &[NewImage]) -> Result<()> {
    let sql = "INSERT INTO part_uploads (image_id, part_bytes, incoming_key, original_key, links_expire_at)
               VALUES {rows}";
    let rows: Vec<Vec<Value>> = images
        .iter()
        .filter_map(|image| {
            let in_parts = image.in_parts.as_ref()?;
            Some(vec![
                image.image_id.into(),
                in_parts.parts.part_bytes().into(),
                image.incoming_key.clone().into(),
                in_parts.original_key.clone().into(),
                image.link_expires_at.into(),
            ])
        })
        .collect();
    tx.execute_rows(sql, &rows).await.map(drop)
}

/// Reads the columns `part_bytes`, `parts_key`, `upload_id` and `stated_bytes`; `None` if the file is sent as a whole.
pub(super) fn read_in_parts(row: &mut Row) -> Result<Option<InParts>> {
    let Some(part_bytes) = row.take::<Option<u64>>("part_bytes")? else { return Ok(None) };
    let bytes = row.take::<Option<u64>>("stated_bytes")?.unwrap_or_default();
    Ok(Some(InParts {
        parts: Parts::new(bytes, part_bytes),
        original_key: row.take("parts_key")?,
        upload_id: row.take("upload_id")?,
    }))
}

fn read_leftover(mut row: Row) -> Result<Leftover> {
    Ok(Leftover {
        image_id: row.take("image_id")?,
        incoming_key: row.take("incoming_key")?,
        original_key: row.take("original_key")?,
        upload_id: row.take("upload_id")?,
        is_taken_in: row.take("is_taken_in")?,
    })
}
