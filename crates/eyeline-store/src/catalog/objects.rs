//! Unwanted objects: those that nothing refers to, or nothing yet. The sweep deletes objects noted here.

use std::time::Duration;

use eyeline_core::Timestamp;
use futures::FutureExt as _;

use super::Catalog;
use crate::error::Result;
use crate::objects::ObjectKey;
use crate::params;
use crate::sql::{Tx, Value};

/// Longer than a request through a link can last that began before the link expired.
pub(super) const REQUEST_MAX: Duration = Duration::from_secs(60 * 60);

impl Catalog {
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
