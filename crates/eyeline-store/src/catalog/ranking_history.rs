//! The settings under which the events of a gallery were counted, for recounts.

use eyeline_core::{GalleryId, Ranking};
use futures::FutureExt as _;

use super::Catalog;
use super::galleries::{ranking_text, read_ranking, read_ranking_of};
use crate::error::{Error, Result};
use crate::inbox::Offset;
use crate::params;
use crate::sql::{Row, Tx};

/// The settings of a gallery by offsets of a partition. Settings that affect only orders may be of another time.
#[derive(Clone, Debug, PartialEq)]
pub struct RankingHistory {
    pub present: Ranking,
    /// In the order of offsets.
    pub changes: Vec<RankingChange>,
}

/// A change of the settings that affect counting.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RankingChange {
    /// The last event applied before the change.
    pub after: Offset,
    pub was: Ranking,
    pub is: Ranking,
}

impl RankingHistory {
    /// The settings under which the event at this offset was applied.
    pub fn at(&self, offset: Offset) -> Ranking {
        let before = self.changes.partition_point(|change| change.after < offset);
        match before.checked_sub(1) {
            Some(last) => self.changes[last].is,
            None => self.changes.first().map_or(self.present, |first| first.was),
        }
    }
}

impl Catalog {
    /// `NotFound` if the gallery does not exist.
    pub async fn ranking_history(&self, gallery_id: GalleryId, partition: u32) -> Result<RankingHistory> {
        let present = "SELECT ranking FROM galleries WHERE gallery_id = $1";
        let changes = "SELECT after_offset, was, became FROM ranking_changes
                       WHERE gallery_id = $1 AND partition = $2 ORDER BY after_offset";
        self.db
            .read(move |tx| {
                async move {
                    let row = tx.query_one(present, params![gallery_id]).await?;
                    let present = read_ranking(&mut row.ok_or(Error::NotFound("gallery"))?)?;
                    let rows = tx.query(changes, params![gallery_id, partition]).await?;
                    let changes = rows.into_iter().map(read_change).collect::<Result<_>>()?;
                    Ok(RankingHistory { present, changes })
                }
                .boxed()
            })
            .await
    }
}

fn read_change(mut row: Row) -> Result<RankingChange> {
    Ok(RankingChange {
        after: row.take("after_offset")?,
        was: read_ranking_of(&mut row, "was")?,
        is: read_ranking_of(&mut row, "became")?,
    })
}

/// Stores a change of a gallery's settings if it affects how later events are counted. The gallery's row is locked. A
/// batch under way either takes that lock later and uses the new settings, or had it before, so that its events are
/// applied here.
pub(super) async fn note(tx: &mut Tx, gallery_id: GalleryId, was: Ranking, is: Ranking) -> Result<()> {
    if was.counts_like(is) {
        return Ok(());
    }
    let sql = "INSERT INTO ranking_changes (gallery_id, partition, after_offset, was, became)
               SELECT $1, partition, applied, $2, $3 FROM partitions WHERE applied > 0
               ON CONFLICT (gallery_id, partition, after_offset) DO UPDATE SET became = excluded.became";
    tx.execute(sql, params![gallery_id, ranking_text(&was)?, ranking_text(&is)?]).await.map(drop)
}

/// Deletes the history of a deleted gallery.
pub(super) async fn clear(tx: &mut Tx, gallery_id: GalleryId) -> Result<()> {
    tx.execute("DELETE FROM ranking_changes WHERE gallery_id = $1", params![gallery_id]).await.map(drop)
}
