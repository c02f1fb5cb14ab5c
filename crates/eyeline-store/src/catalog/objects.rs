//! The objects that rows name, and unwanted ones: those that nothing refers to, or nothing yet. The sweep deletes
//! objects noted here.

use std::collections::HashMap;
use std::time::Duration;

use eyeline_core::{ImageId, ImageState, Timestamp};
use futures::FutureExt as _;

use super::Catalog;
use crate::error::Result;
use crate::objects::{ObjectKey, PartUpload};
use crate::params;
use crate::sql::{Row, Tx, Value};

/// Longer than a request through a link can last that began before the link expired.
pub(super) const REQUEST_MAX: Duration = Duration::from_secs(60 * 60);

/// Rows of a table in one page of names.
const PAGE_ROWS: u32 = 512;
/// Uploads in parts in one page of names. Each may have 10,000 parts.
const PAGE_UPLOADS: u32 = 8;

/// An object that a row names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Named {
    /// It exists.
    Kept(ObjectKey),
    /// A client may have sent it.
    Awaited(ObjectKey),
    /// A client may have sent some of these parts.
    Parts(PartUpload),
    /// The sweep deletes it at its time, with all objects of its folder if it is one.
    Unwanted(ObjectKey),
}

impl Named {
    fn key(&self) -> &ObjectKey {
        match self {
            Named::Kept(key) | Named::Awaited(key) | Named::Unwanted(key) => key,
            Named::Parts(upload) => &upload.incoming,
        }
    }
}

/// How far the names were read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadUpTo {
    Image(ImageId),
    Parts(ImageId),
    LakeFile(String),
    Unwanted(String),
}

impl ReadUpTo {
    pub const START: ReadUpTo = ReadUpTo::Image(ImageId(uuid::Uuid::nil()));
}

impl Catalog {
    /// Some of the objects that rows name, and where to go on; `None` at the end. The state of one moment only if nobody
    /// writes between the calls.
    pub async fn named_objects(&self, after: ReadUpTo) -> Result<(Vec<Named>, Option<ReadUpTo>)> {
        self.db.read(move |tx| async move { named(tx, after).await }.boxed()).await
    }

    /// Those of the candidates (units, see [`ObjectKey::unit`]) that no row names at one moment.
    pub async fn without_named<T: Send + 'static>(
        &self,
        mut candidates: HashMap<ObjectKey, T>,
    ) -> Result<HashMap<ObjectKey, T>> {
        self.db
            .read(move |tx| {
                async move {
                    let mut next = Some(ReadUpTo::START);
                    while let Some(after) = next
                        && !candidates.is_empty()
                    {
                        let (names, up_to) = named(tx, after).await?;
                        for name in names {
                            candidates.remove(&name.key().unit());
                        }
                        next = up_to;
                    }
                    Ok(candidates)
                }
                .boxed()
            })
            .await
    }

    /// The bytes of all originals, versions and lake files, as rows state them.
    pub async fn object_bytes(&self) -> Result<u64> {
        let sums = [
            "SELECT CAST(coalesce(sum(bytes), 0) AS BIGINT) AS bytes FROM images WHERE original_key IS NOT NULL",
            "SELECT CAST(coalesce(sum(bytes), 0) AS BIGINT) AS bytes FROM versions",
            "SELECT CAST(coalesce(sum(byte_count), 0) AS BIGINT) AS bytes FROM lake_files",
        ];
        self.db
            .read(move |tx| {
                async move {
                    let mut bytes = 0;
                    for sum in sums {
                        let row = tx.query_one(sum, &[]).await?;
                        bytes += row.map_or(Ok(0), |mut row| row.take::<u64>("bytes"))?;
                    }
                    Ok(bytes)
                }
                .boxed()
            })
            .await
    }

    /// Notes a key before an object is written to it. The sweep deletes it at `unwanted_from` (real time), unless
    /// something refers to it by then.
    pub async fn note_unwanted(&self, key: ObjectKey, unwanted_from: Timestamp) -> Result<()> {
        self.db.write(move |tx| async move { unwanted(tx, &[key], unwanted_from).await }.boxed()).await
    }

    /// Up to `limit` objects and folders to delete now.
    pub async fn unwanted_objects(&self, limit: u32) -> Result<Vec<ObjectKey>> {
        let sql = "SELECT object_key FROM unwanted_objects WHERE unwanted_from <= $1 ORDER BY unwanted_from LIMIT $2";
        self.db
            .read(move |tx| {
                async move {
                    let now = tx.real_now().await?;
                    let rows = tx.query(sql, params![now, limit]).await?;
                    rows.into_iter().map(|mut row| row.take("object_key")).collect()
                }
                .boxed()
            })
            .await
    }

    /// Removes the notes of deleted objects.
    pub async fn forget_unwanted(&self, keys: Vec<ObjectKey>) -> Result<()> {
        let sql = "DELETE FROM unwanted_objects WHERE object_key IN (VALUES {rows})";
        let rows: Vec<Vec<Value>> = keys.into_iter().map(|key| vec![key.into()]).collect();
        self.db.write(move |tx| async move { tx.execute_rows(sql, &rows).await.map(drop) }.boxed()).await
    }
}

/// The next page of names. Every column that holds a key of an object is read here: `gc` deletes what no row names.
async fn named(tx: &mut Tx, after: ReadUpTo) -> Result<(Vec<Named>, Option<ReadUpTo>)> {
    match after {
        ReadUpTo::Image(image_id) => {
            let sql = "SELECT image_id, state, original_key, incoming_key FROM images WHERE image_id > $1
                       ORDER BY image_id LIMIT $2";
            let images = tx.query(sql, params![image_id, PAGE_ROWS]).await?;
            let is_full = images.len() == PAGE_ROWS as usize;
            let (mut names, mut asked, mut last) = (Vec::new(), Vec::new(), image_id);
            for mut row in images {
                last = row.take("image_id")?;
                asked.push(vec![last.into()]);
                names.extend(row.take::<Option<ObjectKey>>("original_key")?.map(Named::Kept));
                // Later the file was copied or given up, and its key noted as unwanted.
                if row.take::<ImageState>("state")? == ImageState::Init {
                    names.extend(row.take::<Option<ObjectKey>>("incoming_key")?.map(Named::Awaited));
                }
            }
            let sql = "SELECT w.object_key FROM (VALUES {rows}) AS v JOIN versions w ON w.image_id = v.column1";
            for mut row in tx.query_rows(sql, &asked).await? {
                names.push(Named::Kept(row.take("object_key")?));
            }
            let next = if is_full { ReadUpTo::Image(last) } else { ReadUpTo::Parts(ImageId(uuid::Uuid::nil())) };
            Ok((names, Some(next)))
        }
        ReadUpTo::Parts(image_id) => {
            let sql = "SELECT p.image_id, p.incoming_key, p.original_key, p.upload_id, i.state
                       FROM part_uploads p LEFT JOIN images i ON i.image_id = p.image_id
                       WHERE p.image_id > $1 ORDER BY p.image_id LIMIT $2";
            let uploads = tx.query(sql, params![image_id, PAGE_UPLOADS]).await?;
            let is_full = uploads.len() == PAGE_UPLOADS as usize;
            let (mut names, mut last) = (Vec::new(), image_id);
            for mut row in uploads {
                last = row.take("image_id")?;
                let (incoming, to): (ObjectKey, ObjectKey) = (row.take("incoming_key")?, row.take("original_key")?);
                let waits = row.take::<Option<ImageState>>("state")? == Some(ImageState::Init);
                let id = row.take::<Option<String>>("upload_id")?.filter(|_| waits);
                // The sweep deletes what is left over of the upload once its image does not wait for it any more.
                names.push(Named::Unwanted(to.clone()));
                names.push(match id {
                    Some(id) => Named::Parts(PartUpload { incoming, to, id }),
                    None => Named::Unwanted(incoming),
                });
            }
            let next = if is_full { ReadUpTo::Parts(last) } else { ReadUpTo::LakeFile(String::new()) };
            Ok((names, Some(next)))
        }
        ReadUpTo::LakeFile(key) => {
            let sql = "SELECT object_key FROM lake_files WHERE object_key > $1 ORDER BY object_key LIMIT $2";
            let rows = tx.query(sql, params![key, PAGE_ROWS]).await?;
            let is_full = rows.len() == PAGE_ROWS as usize;
            let keys = keys(rows)?;
            let last = keys.last().map(ToString::to_string).filter(|_| is_full);
            let next = last.map_or_else(|| ReadUpTo::Unwanted(String::new()), ReadUpTo::LakeFile);
            Ok((keys.into_iter().map(Named::Kept).collect(), Some(next)))
        }
        ReadUpTo::Unwanted(key) => {
            let sql = "SELECT object_key FROM unwanted_objects WHERE object_key > $1 ORDER BY object_key LIMIT $2";
            let rows = tx.query(sql, params![key, PAGE_ROWS]).await?;
            let is_full = rows.len() == PAGE_ROWS as usize;
            let keys = keys(rows)?;
            let last = keys.last().map(ToString::to_string).filter(|_| is_full);
            Ok((keys.into_iter().map(Named::Unwanted).collect(), last.map(ReadUpTo::Unwanted)))
        }
    }
}

fn keys(rows: Vec<Row>) -> Result<Vec<ObjectKey>> {
    rows.into_iter().map(|mut row| row.take("object_key")).collect()
}

pub(super) async fn unwanted(tx: &mut Tx, keys: &[ObjectKey], from: Timestamp) -> Result<()> {
    let sql = "INSERT INTO unwanted_objects (object_key, unwanted_from) VALUES {rows}
               ON CONFLICT (object_key) DO UPDATE SET unwanted_from = excluded.unwanted_from";
    let rows: Vec<Vec<Value>> = keys.iter().map(|key| vec![key.clone().into(), from.into()]).collect();
    tx.execute_rows(sql, &rows).await.map(drop)
}

/// Notes the key of an upload link as unwanted from when nobody can write to it any more. A bucket takes a file through
/// a link as often as it is sent.
pub(super) async fn unwanted_after_link(tx: &mut Tx, key: &ObjectKey, link_expires_at: Timestamp) -> Result<()> {
    unwanted(tx, std::slice::from_ref(key), link_expires_at.plus(REQUEST_MAX)).await
}

/// Removes the note, because something refers to the key now.
pub(super) async fn wanted(tx: &mut Tx, key: &ObjectKey) -> Result<()> {
    tx.execute("DELETE FROM unwanted_objects WHERE object_key = $1", params![key.clone()]).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::Db;

    /// A column that `named` does not read would let `gc` delete what it refers to.
    #[tokio::test]
    async fn every_column_that_holds_a_key_is_known() {
        let folder = tempfile::tempdir().expect("a folder");
        let url = format!("sqlite:{}", folder.path().join("catalog.sqlite").display());
        let db = Db::open(&url).await.expect("a database");
        db.migrate().await.expect("a catalog");
        let sql = "SELECT t.name || '.' || c.name AS name FROM sqlite_schema t JOIN pragma_table_info(t.name) c
                   WHERE t.type = 'table' AND c.type = 'TEXT' AND c.name LIKE '%key%' ORDER BY 1";
        let rows = db.read(move |tx| async move { tx.query(sql, &[]).await }.boxed()).await.expect("columns");
        let names: Vec<String> = rows.into_iter().map(|mut row| row.take("name").expect("a name")).collect();
        let of_objects = [
            "images.incoming_key",
            "images.original_key",
            "lake_files.object_key",
            "part_uploads.incoming_key",
            "part_uploads.original_key",
            "unwanted_objects.object_key",
            "versions.object_key",
        ];
        let others = ["applications.ed25519_public_key", "idempotency.key"];
        let mut known = [of_objects.as_slice(), &others].concat();
        known.sort_unstable();
        assert_eq!(names, known, "if it holds keys of objects, read it in `named`");
    }
}
