//! What the owner of a gallery changed about its order, and when.

use eyeline_core::ranking::rules::RulesChange;
use eyeline_core::{GalleryId, Ranking, Timestamp};
use futures::FutureExt as _;
use serde::{Deserialize, Serialize};

use super::Catalog;
use crate::error::{Error, Result};
use crate::params;
use crate::sql::{Row, Tx};

/// Changes of a gallery that are kept. A further one deletes the oldest.
pub const KEPT: u64 = 1_000;

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GalleryChange {
    /// Rises by one within a gallery.
    pub number: u64,
    pub changed_at: Timestamp,
    pub what: Changed,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Changed {
    Ranking { was: Ranking, is: Ranking },
    Rules(RulesChange),
}

impl Catalog {
    /// The gallery's changes, the newest first, before the change `before`. None for an unknown gallery.
    pub async fn past_changes(
        &self,
        gallery_id: GalleryId,
        before: Option<u64>,
        limit: u32,
    ) -> Result<Vec<GalleryChange>> {
        let sql = "SELECT number, changed_at, what FROM gallery_changes
                   WHERE gallery_id = $1 AND number < $2 ORDER BY number DESC LIMIT $3";
        let before = before.and_then(|number| i64::try_from(number).ok()).unwrap_or(i64::MAX);
        self.db
            .read(move |tx| {
                async move {
                    let rows = tx.query(sql, params![gallery_id, before, limit]).await?;
                    rows.into_iter().map(read).collect()
                }
                .boxed()
            })
            .await
    }
}

fn read(mut row: Row) -> Result<GalleryChange> {
    let text: String = row.take("what")?;
    let what = serde_json::from_str(&text);
    Ok(GalleryChange {
        number: row.take("number")?,
        changed_at: row.take("changed_at")?,
        what: what.map_err(|error| Error::Corrupt(format!("a change of a gallery: {error}")))?,
    })
}

/// Stores a change. The gallery's row is locked.
pub(super) async fn note(tx: &mut Tx, gallery_id: GalleryId, changed_at: Timestamp, what: Changed) -> Result<()> {
    let last = "SELECT coalesce(max(number), 0) AS number FROM gallery_changes WHERE gallery_id = $1";
    let last: u64 = match tx.query_one(last, params![gallery_id]).await? {
        Some(mut row) => row.take("number")?,
        None => 0,
    };
    let number = last + 1;
    let text = serde_json::to_string(&what).map_err(|error| Error::internal("writing a change", error))?;
    let sql = "INSERT INTO gallery_changes (gallery_id, number, changed_at, what) VALUES ($1, $2, $3, $4)";
    tx.execute(sql, params![gallery_id, number, changed_at, text]).await?;
    let old = "DELETE FROM gallery_changes WHERE gallery_id = $1 AND number <= $2";
    tx.execute(old, params![gallery_id, number.saturating_sub(KEPT)]).await.map(drop)
}

/// Deletes the changes of a deleted gallery.
pub(super) async fn clear(tx: &mut Tx, gallery_id: GalleryId) -> Result<()> {
    tx.execute("DELETE FROM gallery_changes WHERE gallery_id = $1", params![gallery_id]).await.map(drop)
}
