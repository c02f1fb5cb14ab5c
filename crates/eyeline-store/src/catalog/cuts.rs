//! Retention cuts: the events up to a cut are deleted, and their contribution is stored as a base from which counting
//! continues.
//!
//! A base may have many pieces, which are stored before the cut. One transaction then makes the cut and replaces the
//! old bases by the new ones.

use eyeline_core::ranking::{Piece, PieceKind};
use eyeline_core::{ErasureId, GalleryId, ProjectId, SessionId, Timestamp};
use futures::FutureExt as _;

use super::lake::{Committed, LakeFile, moved_or, replace};
use super::{Catalog, erasures, galleries, partitions};
use crate::error::{Error, Result};
use crate::inbox::Offset;
use crate::objects::ObjectKey;
use crate::params;
use crate::sql::{Row, Tx, Value};

/// A cut to commit.
#[derive(Clone, Debug)]
pub struct Cut {
    pub partition: u32,
    /// The fencing token of the partition's owner.
    pub fence: i64,
    /// The previous cut.
    pub after: Offset,
    /// Every event up to this offset is deleted.
    pub cut: Offset,
    /// Every event with a timestamp from then on is kept.
    pub complete_from: Timestamp,
    /// Galleries whose bases of this cut are stored. The bases of others are unchanged.
    pub galleries: Vec<GalleryId>,
    /// The files that hold events up to the cut.
    pub inputs: Vec<ObjectKey>,
    /// Replacements with the events after the cut that some of those files held. Written under keys that were noted as
    /// unwanted.
    pub outputs: Vec<LakeFile>,
    /// The time (real) from which nobody reads the inputs.
    pub unwanted_from: Timestamp,
}

impl Catalog {
    /// Pieces of the gallery's base after the one in `after`, by kind and key, at most `limit`.
    pub async fn base_pieces(
        &self,
        gallery_id: GalleryId,
        after: Option<(PieceKind, Vec<u8>)>,
        limit: u32,
    ) -> Result<Vec<Piece>> {
        // An empty key precedes every other.
        let (kind, key) = after.map_or((-1, Vec::new()), |(kind, key)| (i64::from(kind.number()), key));
        let sql = "SELECT p.kind AS kind, p.piece_key AS piece_key, p.state AS state
                   FROM base_pieces p JOIN galleries g ON g.gallery_id = p.gallery_id AND g.base_cut = p.cut
                   WHERE p.gallery_id = $1 AND (p.kind, p.piece_key) > ($2, $3)
                   ORDER BY p.kind, p.piece_key LIMIT $4";
        self.db
            .read(move |tx| {
                async move {
                    let rows = tx.query(sql, params![gallery_id, kind, key, limit]).await?;
                    rows.into_iter().map(read_piece).collect()
                }
                .boxed()
            })
            .await
    }

    /// Stores pieces of the gallery's base for a cut that is not committed yet. Stores nothing if the gallery is gone.
    /// The gallery's events have to be in the partition.
    pub async fn store_base(
        &self,
        partition: u32,
        fence: i64,
        cut: Offset,
        gallery_id: GalleryId,
        pieces: Vec<Piece>,
    ) -> Result<Committed> {
        let exists = "SELECT 1 AS one FROM galleries WHERE gallery_id = $1";
        let sql = "INSERT INTO base_pieces (gallery_id, cut, kind, piece_key, state) VALUES {rows}";
        self.db
            .write(move |tx| {
                async move {
                    partitions::check_gallery(tx, partition, gallery_id).await?;
                    if !partitions::holds(tx, partition, fence).await? {
                        return Ok(Committed::Moved);
                    }
                    galleries::lock(tx, [gallery_id]).await?;
                    if tx.query_one(exists, params![gallery_id]).await?.is_some() {
                        let row = |piece: Piece| {
                            params![gallery_id, cut, piece.kind.number(), piece.key, piece.state].to_vec()
                        };
                        let rows: Vec<Vec<Value>> = pieces.into_iter().map(row).collect();
                        tx.execute_rows(sql, &rows).await?;
                    }
                    Ok(Committed::Done)
                }
                .boxed()
            })
            .await
    }

    /// Deletes up to `limit` pieces of the gallery outside its base: replaced ones, and those of a cut that was never
    /// committed. False if there are none, or if another process has claimed the partition and may be storing some.
    pub async fn clear_replaced_base(
        &self,
        partition: u32,
        fence: i64,
        gallery_id: GalleryId,
        limit: u32,
    ) -> Result<bool> {
        let sql = "DELETE FROM base_pieces WHERE (gallery_id, cut, kind, piece_key) IN (
                       SELECT p.gallery_id, p.cut, p.kind, p.piece_key
                       FROM base_pieces p JOIN galleries g ON g.gallery_id = p.gallery_id AND g.base_cut <> p.cut
                       WHERE p.gallery_id = $1 LIMIT $2)";
        self.db
            .write(move |tx| {
                async move {
                    partitions::check_gallery(tx, partition, gallery_id).await?;
                    let is_own = partitions::holds(tx, partition, fence).await?;
                    Ok(is_own && tx.execute(sql, params![gallery_id, limit]).await? > 0)
                }
                .boxed()
            })
            .await
    }

    /// Commits the cut in one transaction: moves the watermark, removes the files and puts the stored bases in force.
    /// Returns `Moved` while an erasure is under way.
    pub async fn commit_cut(&self, cut: Cut) -> Result<Committed> {
        moved_or(self.db.write(move |tx| make(tx, cut).boxed()).await)
    }
}

async fn make(tx: &mut Tx, cut: Cut) -> Result<()> {
    let Cut { partition, fence, after, cut, complete_from, galleries, inputs, outputs, unwanted_from } = cut;
    // An erasure must find its events in files.
    if !erasures::under_way(tx).await?.is_empty() {
        return Err(Error::Moved);
    }
    let sql = "UPDATE partitions SET cut = $3, complete_from = $4
               WHERE partition = $1 AND cut = $2 AND flushed >= $3 AND fence = $5";
    if tx.execute(sql, params![partition, after, cut, complete_from, fence]).await? == 0 {
        return Err(Error::Moved);
    }
    replace(tx, &inputs, &outputs, unwanted_from).await?;
    galleries::lock(tx, galleries.iter().copied()).await?;
    let rows: Vec<Vec<Value>> = galleries.into_iter().map(|id| vec![id.into(), cut.into()]).collect();
    let sql = "UPDATE galleries SET base_cut = v.column2 FROM (VALUES {rows}) AS v
               WHERE galleries.gallery_id = v.column1";
    tx.execute_rows(sql, &rows).await?;
    // The first remaining change tells the settings before it, under which events after the cut were counted.
    let sql = "DELETE FROM ranking_changes WHERE partition = $1 AND after_offset <= $2";
    tx.execute(sql, params![partition, cut]).await.map(drop)
}

fn read_piece(mut row: Row) -> Result<Piece> {
    let kind = PieceKind::from_number(row.take("kind")?);
    let kind = kind.ok_or_else(|| Error::Corrupt("a base has a piece of an unknown kind".to_owned()))?;
    Ok(Piece { kind, key: row.take("piece_key")?, state: row.take("state")? })
}

/// Removes an erased session from the bases of its project.
pub(super) async fn erase(tx: &mut Tx, erasure_id: ErasureId) -> Result<()> {
    let erasure = "SELECT project_id, session_id FROM erasures WHERE erasure_id = $1";
    let Some(mut row) = tx.query_one(erasure, params![erasure_id]).await? else { return Ok(()) };
    let (project_id, session_id): (ProjectId, SessionId) = (row.take("project_id")?, row.take("session_id")?);
    let sql = "DELETE FROM base_pieces
               WHERE gallery_id IN (SELECT gallery_id FROM galleries WHERE project_id = $1) AND kind = $2
                 AND piece_key = $3";
    let session = (PieceKind::Session.number(), PieceKind::key_of(session_id));
    tx.execute(sql, params![project_id, session.0, session.1]).await.map(drop)
}

/// Deletes up to `rows_max` pieces of a deleted gallery. False if there are none.
pub(super) async fn clear(tx: &mut Tx, gallery_id: GalleryId, rows_max: u32) -> Result<bool> {
    let sql = "DELETE FROM base_pieces WHERE (gallery_id, cut, kind, piece_key) IN (
                   SELECT gallery_id, cut, kind, piece_key FROM base_pieces WHERE gallery_id = $1 LIMIT $2)";
    Ok(tx.execute(sql, params![gallery_id, rows_max]).await? > 0)
}
