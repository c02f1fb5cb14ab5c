//! The manifest of lake files, and the watermarks of the inbox.
//!
//! One transaction changes files together with the watermark or the files they replace. In every snapshot the files and
//! the inbox after the flushed watermark therefore hold every event once.

use std::collections::BTreeSet;

use eyeline_core::{ErasureId, ProjectId, Timestamp};
use futures::FutureExt as _;

use super::erasures::{self, Erased, Erasure};
use super::objects::unwanted;
use super::{Catalog, partitions, rollups};
use crate::error::{Error, Result};
use crate::inbox::{Offset, Span};
use crate::objects::ObjectKey;
use crate::params;
use crate::sql::{Row, Tx, Value};

/// An immutable lake file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LakeFile {
    pub key: ObjectKey,
    pub partition: u32,
    /// The span of `received_at` that its events share: 0 is part of an hour, 1 an hour, 2 a day.
    pub level: u32,
    pub rows: u64,
    pub bytes: u64,
    pub first_offset: Offset,
    pub last_offset: Offset,
    pub first_timestamp: Timestamp,
    pub last_timestamp: Timestamp,
    pub first_received_at: Timestamp,
    pub last_received_at: Timestamp,
}

/// The watermarks of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Marks {
    pub partition: u32,
    /// Every event up to this offset is counted.
    pub applied: Offset,
    /// Every event up to this offset is in a file, or does not count.
    pub flushed: Offset,
    /// Every event up to this offset is deleted; bases hold its contribution.
    pub cut: Offset,
    /// Every event with a timestamp from then on is kept; `None` before the first cut.
    pub complete_from: Option<Timestamp>,
    /// Events between flushed and applied, including those that do not count.
    pub waiting: u64,
}

impl Marks {
    /// The events that are applied and not in files.
    pub fn unflushed(&self) -> Span {
        Span { after: self.flushed, up_to: self.applied }
    }
}

/// All events at one moment: those in the files, and those of the inbox between flushed and applied that were not
/// dropped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Manifest {
    pub files: Vec<LakeFile>,
    pub partitions: Vec<Marks>,
    /// Offsets between the watermarks whose events do not count.
    pub dropped: BTreeSet<(u32, Offset)>,
    /// Erasures under way, whose events are hidden.
    pub hidden: Vec<Erasure>,
}

/// Every event with a timestamp from then on is kept, in every partition. `None` if no event was deleted.
pub fn complete_from(partitions: &[Marks]) -> Option<Timestamp> {
    partitions.iter().filter_map(|marks| marks.complete_from).max()
}

/// Consecutive events of a partition, written into files.
#[derive(Clone, Debug)]
pub struct FlushBatch {
    pub partition: u32,
    /// The fencing token of the partition's owner.
    pub fence: i64,
    /// The watermark before the batch, and the one after it.
    pub after: Offset,
    pub reached: Offset,
    /// The records of the inbox that the batch holds, including those that do not count.
    pub records: u64,
    /// Files under keys noted as unwanted from a future time; `Conflict` if that time has passed.
    pub files: Vec<LakeFile>,
}

/// The outcome of a change of the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Committed {
    Done,
    /// Another process was faster or owns the partition. Nothing changed.
    Moved,
}

impl Catalog {
    /// The files and watermarks of one snapshot.
    pub async fn manifest(&self) -> Result<Manifest> {
        self.db.read(|tx| manifest(tx).boxed()).await
    }

    /// The watermarks of every partition.
    pub async fn marks(&self) -> Result<Vec<Marks>> {
        self.db.read(|tx| marks(tx).boxed()).await
    }

    /// For each partition, the offset up to which the inbox may have forgotten records.
    pub async fn trimmed_marks(&self) -> Result<Vec<(u32, Offset)>> {
        let sql = "SELECT partition, trimmed FROM partitions";
        let read = |mut row: Row| Ok((row.take("partition")?, row.take("trimmed")?));
        self.db.read(move |tx| async move { tx.query(sql, &[]).await?.into_iter().map(read).collect() }.boxed()).await
    }

    /// Adds the files of a batch and moves the flushed watermark in one transaction. The inbox may then forget the
    /// records before the batch. Readers that began before this commit find all records until the next one.
    pub async fn commit_flush(&self, batch: FlushBatch) -> Result<Committed> {
        self.db
            .write(move |tx| {
                async move {
                    // A partition with unflushed events never counts none, even if an older binary applied some.
                    let sql = "UPDATE partitions SET flushed = $3, trimmed = $2,
                                   waiting = CASE WHEN applied = $3 THEN 0 WHEN waiting > $5 THEN waiting - $5 ELSE 1 END
                               WHERE partition = $1 AND flushed = $2 AND applied >= $3 AND fence = $4";
                    let FlushBatch { partition, fence, after, reached, records, files } = batch;
                    if tx.execute(sql, params![partition, after, reached, fence, records]).await? == 0 {
                        return Ok(Committed::Moved);
                    }
                    add(tx, &files).await?;
                    let sql = "DELETE FROM dropped_events WHERE partition = $1 AND event_offset <= $2";
                    tx.execute(sql, params![partition, reached]).await?;
                    // The files hold them now. A row that ends after the batch waits for the next one.
                    let sql = "DELETE FROM served_places WHERE partition = $1 AND last_offset <= $2";
                    tx.execute(sql, params![partition, reached]).await?;
                    Ok(Committed::Done)
                }
                .boxed()
            })
            .await
    }

    /// Replaces `inputs`, all of one partition, by one file in one transaction. The objects of the inputs are deleted
    /// at `unwanted_from` (real time), when nobody reads them.
    pub async fn commit_compaction(
        &self,
        fence: i64,
        inputs: Vec<ObjectKey>,
        output: LakeFile,
        unwanted_from: Timestamp,
    ) -> Result<Committed> {
        let partition = output.partition;
        self.replace_files(partition, fence, inputs, Some(output), unwanted_from, None).await
    }

    /// Replaces a file by one without the erased events, or by none. Counts them for the erasure and subtracts them
    /// from the roll-ups.
    pub async fn commit_erasure(
        &self,
        erasure: &Erasure,
        fence: i64,
        input: &LakeFile,
        output: Option<LakeFile>,
        erased: Erased,
        unwanted_from: Timestamp,
    ) -> Result<Committed> {
        let erased = Some((erasure.erasure_id, erasure.project_id, erased));
        self.replace_files(input.partition, fence, vec![input.key.clone()], output, unwanted_from, erased).await
    }

    /// Moves the trimmed watermark to the flushed one and returns it; the start if another process owns the partition.
    /// A reader between them notices and starts again.
    pub async fn trim(&self, partition: u32, fence: i64) -> Result<Offset> {
        let sql = "UPDATE partitions SET trimmed = flushed WHERE partition = $1 AND fence = $2 RETURNING flushed";
        self.db
            .write(move |tx| {
                async move {
                    let row = tx.query_one(sql, params![partition, fence]).await?;
                    row.map_or(Ok(Offset::START), |mut row| row.take("flushed"))
                }
                .boxed()
            })
            .await
    }

    async fn replace_files(
        &self,
        partition: u32,
        fence: i64,
        inputs: Vec<ObjectKey>,
        output: Option<LakeFile>,
        unwanted_from: Timestamp,
        erased: Option<(ErasureId, ProjectId, Erased)>,
    ) -> Result<Committed> {
        let replaced = self
            .db
            .write(move |tx| {
                async move {
                    if !partitions::holds(tx, partition, fence).await? {
                        return Err(Error::Moved);
                    }
                    replace(tx, &inputs, output.as_slice(), unwanted_from).await?;
                    if let Some((erasure_id, project_id, erased)) = erased {
                        let events = erased.events.iter().map(|erased| erased.events).sum();
                        erasures::count(tx, erasure_id, events).await?;
                        rollups::subtract(tx, project_id, &erased.events).await?;
                        erasures::note_acts(tx, &erased.acts).await?;
                    }
                    Ok(())
                }
                .boxed()
            })
            .await;
        moved_or(replaced)
    }
}

pub(super) fn moved_or(replaced: Result<()>) -> Result<Committed> {
    match replaced {
        Ok(()) => Ok(Committed::Done),
        Err(Error::Moved) => Ok(Committed::Moved),
        Err(error) => Err(error),
    }
}

/// Replaces `inputs` by `outputs`. The objects of the inputs are deleted at `unwanted_from`. Returns `Moved` if one of
/// them is gone.
pub(super) async fn replace(
    tx: &mut Tx,
    inputs: &[ObjectKey],
    outputs: &[LakeFile],
    unwanted_from: Timestamp,
) -> Result<()> {
    let rows: Vec<Vec<Value>> = inputs.iter().map(|key| vec![key.clone().into()]).collect();
    let sql = "DELETE FROM lake_files WHERE object_key IN (VALUES {rows})";
    if tx.execute_rows(sql, &rows).await? != inputs.len() as u64 {
        return Err(Error::Moved);
    }
    add(tx, outputs).await?;
    unwanted(tx, inputs, unwanted_from).await
}

async fn manifest(tx: &mut Tx) -> Result<Manifest> {
    let mut manifest = Manifest { partitions: marks(tx).await?, ..Manifest::default() };
    let sql = "SELECT d.partition AS partition, d.event_offset AS event_offset
               FROM dropped_events d JOIN partitions p ON p.partition = d.partition
               WHERE d.event_offset > p.flushed";
    for mut row in tx.query(sql, &[]).await? {
        manifest.dropped.insert((row.take("partition")?, row.take("event_offset")?));
    }
    let sql = "SELECT object_key, partition, level, row_count, byte_count, first_offset, last_offset, first_timestamp,
                      last_timestamp, first_received_at, last_received_at
               FROM lake_files ORDER BY partition, first_offset";
    manifest.hidden = erasures::under_way(tx).await?;
    manifest.files = tx.query(sql, &[]).await?.into_iter().map(file).collect::<Result<_>>()?;
    Ok(manifest)
}

async fn marks(tx: &mut Tx) -> Result<Vec<Marks>> {
    let sql = "SELECT partition, applied, flushed, cut, complete_from,
                      CASE WHEN applied > flushed AND waiting = 0 THEN 1 ELSE waiting END AS waiting
               FROM partitions ORDER BY partition";
    let read = |mut row: Row| {
        Ok(Marks {
            partition: row.take("partition")?,
            applied: row.take("applied")?,
            flushed: row.take("flushed")?,
            cut: row.take("cut")?,
            complete_from: row.take("complete_from")?,
            waiting: row.take("waiting")?,
        })
    };
    tx.query(sql, &[]).await?.into_iter().map(read).collect()
}

fn file(mut row: Row) -> Result<LakeFile> {
    Ok(LakeFile {
        key: row.take("object_key")?,
        partition: row.take("partition")?,
        level: row.take("level")?,
        rows: row.take("row_count")?,
        bytes: row.take("byte_count")?,
        first_offset: row.take("first_offset")?,
        last_offset: row.take("last_offset")?,
        first_timestamp: row.take("first_timestamp")?,
        last_timestamp: row.take("last_timestamp")?,
        first_received_at: row.take("first_received_at")?,
        last_received_at: row.take("last_received_at")?,
    })
}

async fn add(tx: &mut Tx, files: &[LakeFile]) -> Result<()> {
    let rows: Vec<Vec<Value>> = files
        .iter()
        .map(|file| {
            params![
                file.key.clone(),
                file.partition,
                file.level,
                file.rows,
                file.bytes,
                file.first_offset,
                file.last_offset,
                file.first_timestamp,
                file.last_timestamp,
                file.first_received_at,
                file.last_received_at
            ]
            .to_vec()
        })
        .collect();
    let sql = "INSERT INTO lake_files (object_key, partition, level, row_count, byte_count, first_offset, last_offset,
                                       first_timestamp, last_timestamp, first_received_at, last_received_at)
               VALUES {rows}";
    tx.execute_rows(sql, &rows).await?;
    // A file is noted as unwanted until it is added. After that time its object may be deleted already.
    let now = tx.real_now().await?;
    for file in files {
        let sql = "DELETE FROM unwanted_objects WHERE object_key = $1 AND unwanted_from > $2";
        if tx.execute(sql, params![file.key.clone(), now]).await? == 0 {
            return Err(Error::Conflict("a file of events was written too long ago to be taken in".to_owned()));
        }
    }
    Ok(())
}
