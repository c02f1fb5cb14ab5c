//! Erasures of one session's events, or of all events of a deleted project. The request hides the events; they are
//! deleted when the lake files are rewritten.

use std::collections::BTreeMap;

use eyeline_core::{ErasureId, Event, GalleryId, ProjectId, SessionId, Timestamp};
use futures::FutureExt as _;

use super::idempotency::{Once, Repeatable};
use super::lake::Committed;
use super::rollups::ErasedEvents;
use super::{Catalog, cuts, partitions};
use crate::error::{Error, Result};
use crate::inbox::Offset;
use crate::params;
use crate::sql::{Row, Tx, Value};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Erasure {
    pub erasure_id: ErasureId,
    pub project_id: ProjectId,
    /// `None` stands for every session of a deleted project.
    pub session_id: Option<SessionId>,
    /// The erasure covers events received up to then.
    pub requested_at: Timestamp,
    /// `None` while files may still hold the events.
    pub finished_at: Option<Timestamp>,
    /// Events deleted so far.
    pub events: u64,
}

/// The progress of an erasure in a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ErasureProgress {
    /// Events up to this offset have to be in files before it runs.
    pub up_to: Offset,
    /// No file of the partition holds its events.
    pub is_done: bool,
}

/// The events that an erasure deletes from a file.
#[derive(Clone, Debug, Default)]
pub struct Erased {
    pub events: Vec<ErasedEvents>,
    /// The number of views and clicks among them, by gallery.
    pub acts: BTreeMap<GalleryId, u64>,
}

/// Deletes the rows of an erasure's session, `$1`, from a table of galleries.
macro_rules! of_session {
    ($table:literal) => {
        concat!(
            "DELETE FROM ",
            $table,
            " WHERE session_id = (SELECT session_id FROM erasures WHERE erasure_id = $1)
                AND gallery_id IN (SELECT g.gallery_id FROM galleries g JOIN erasures e
                                   ON e.project_id = g.project_id WHERE e.erasure_id = $1)"
        )
    };
}

impl Catalog {
    /// Stores an erasure. From the return until it is finished, every manifest holds it.
    pub async fn request_erasure(
        &self,
        erasure: Erasure,
        repeatable: Option<Repeatable<Erasure>>,
    ) -> Result<Once<Erasure>> {
        self.write_once(repeatable, move |tx| {
            async move {
                insert(tx, &erasure).await?;
                Ok(erasure)
            }
            .boxed()
        })
        .await
    }

    pub async fn erasure(&self, project_id: ProjectId, erasure_id: ErasureId) -> Result<Option<Erasure>> {
        let sql = "SELECT * FROM erasures WHERE erasure_id = $1 AND project_id = $2";
        self.db
            .read(move |tx| {
                async move { tx.query_one(sql, params![erasure_id, project_id]).await?.map(erasure).transpose() }
                    .boxed()
            })
            .await
    }

    /// The project's erasures, newest first, after the time and id in `after`.
    pub async fn erasures(
        &self,
        project_id: ProjectId,
        after: Option<(Timestamp, ErasureId)>,
        limit: u32,
    ) -> Result<Vec<Erasure>> {
        let sql = "SELECT * FROM erasures
                   WHERE project_id = $1 AND (requested_at, erasure_id) < ($2, $3)
                   ORDER BY requested_at DESC, erasure_id DESC LIMIT $4";
        let (time, id) = after.unwrap_or((Timestamp::from_micros(i64::MAX), ErasureId(uuid::Uuid::max())));
        self.db
            .read(move |tx| {
                async move {
                    let rows = tx.query(sql, params![project_id, time, id, limit]).await?;
                    rows.into_iter().map(erasure).collect()
                }
                .boxed()
            })
            .await
    }

    /// Views and clicks of the gallery that erasures deleted from files. They stay counted.
    pub async fn erased_acts(&self, gallery_id: GalleryId) -> Result<u64> {
        let sql = "SELECT erased_events FROM galleries WHERE gallery_id = $1";
        self.db
            .read(move |tx| {
                async move {
                    let row = tx.query_one(sql, params![gallery_id]).await?;
                    row.map_or(Ok(0), |mut row| row.take("erased_events"))
                }
                .boxed()
            })
            .await
    }

    /// True while files still hold hidden events of the project.
    pub async fn is_erasing(&self, project_id: ProjectId) -> Result<bool> {
        let sql = "SELECT 1 AS found FROM erasures WHERE project_id = $1 AND finished_at IS NULL LIMIT 1";
        self.db.read(move |tx| async move { Ok(tx.query_one(sql, params![project_id]).await?.is_some()) }.boxed()).await
    }

    /// Deletes the session's events in quarantine, after the place `after`. Reads at most `limit` rows. Returns the
    /// last place read, or `None` at the end.
    pub async fn erase_from_quarantine(
        &self,
        erasure: Erasure,
        after: (u32, Offset),
        limit: u32,
    ) -> Result<Option<(u32, Offset)>> {
        let sql = "SELECT partition, event_offset, event FROM quarantine
                   WHERE project_id = $1 AND (partition, event_offset) > ($2, $3)
                   ORDER BY partition, event_offset LIMIT $4";
        self.db
            .write(move |tx| {
                async move {
                    let (mut last, mut places) = (None, Vec::<Vec<Value>>::new());
                    for mut row in tx.query(sql, params![erasure.project_id, after.0, after.1, limit]).await? {
                        let place: (u32, Offset) = (row.take("partition")?, row.take("event_offset")?);
                        let event = Event::decode(&row.take::<Vec<u8>>("event")?);
                        if event.is_some_and(|event| erasure.covers(&event)) {
                            places.push(params![place.0, place.1].to_vec());
                        }
                        last = Some(place);
                    }
                    let sql = "DELETE FROM quarantine WHERE (partition, event_offset) IN (VALUES {rows})";
                    let erased = tx.execute_rows(sql, &places).await?;
                    count(tx, erasure.erasure_id, erased).await?;
                    Ok(last)
                }
                .boxed()
            })
            .await
    }

    /// The progress of an erasure in a partition. The first call notes `head`, the end of the inbox. `None` if the erasure
    /// is finished or another process has claimed the partition.
    pub async fn erasure_in(
        &self,
        erasure_id: ErasureId,
        partition: u32,
        fence: i64,
        head: Offset,
    ) -> Result<Option<ErasureProgress>> {
        let note = "INSERT INTO erasure_partitions (erasure_id, partition, up_to)
                    SELECT erasure_id, $2, $3 FROM erasures WHERE erasure_id = $1 AND finished_at IS NULL
                    ON CONFLICT (erasure_id, partition) DO NOTHING";
        let sql = "SELECT up_to, is_done FROM erasure_partitions WHERE erasure_id = $1 AND partition = $2";
        self.db
            .write(move |tx| {
                async move {
                    if !partitions::holds(tx, partition, fence).await? {
                        return Ok(None);
                    }
                    tx.execute(note, params![erasure_id, partition, head]).await?;
                    let row = tx.query_one(sql, params![erasure_id, partition]).await?;
                    let read =
                        |mut row: Row| Ok(ErasureProgress { up_to: row.take("up_to")?, is_done: row.take("is_done")? });
                    row.map(read).transpose()
                }
                .boxed()
            })
            .await
    }

    /// Notes that no file of the partition holds the erasure's events.
    pub async fn finish_erasure_in(&self, erasure_id: ErasureId, partition: u32, fence: i64) -> Result<Committed> {
        let sql = "UPDATE erasure_partitions SET is_done = $3 WHERE erasure_id = $1 AND partition = $2";
        self.db
            .write(move |tx| {
                async move {
                    if !partitions::holds(tx, partition, fence).await? {
                        return Ok(Committed::Moved);
                    }
                    tx.execute(sql, params![erasure_id, partition, true]).await?;
                    Ok(Committed::Done)
                }
                .boxed()
            })
            .await
    }

    /// The number of partitions in which the erasure is finished.
    pub async fn partitions_erased(&self, erasure_id: ErasureId) -> Result<u32> {
        let sql = "SELECT count(*) AS done FROM erasure_partitions WHERE erasure_id = $1 AND is_done = $2";
        self.db
            .read(move |tx| {
                async move {
                    let row = tx.query_one(sql, params![erasure_id, true]).await?;
                    row.map_or(Ok(0), |mut row| row.take("done"))
                }
                .boxed()
            })
            .await
    }

    /// Marks the erasure as finished: no file holds its events.
    pub async fn finish_erasure(&self, erasure_id: ErasureId, now: Timestamp) -> Result<()> {
        let sql = "UPDATE erasures SET finished_at = $2 WHERE erasure_id = $1 AND finished_at IS NULL";
        // Guard state keeps the session for a day, also in base pieces; hold-outs keep its counts.
        let kept = [of_session!("guard_visits"), of_session!("holdout_sessions")];
        self.db
            .write(move |tx| {
                async move {
                    for of_session in kept {
                        tx.execute(of_session, params![erasure_id]).await?;
                    }
                    cuts::erase(tx, erasure_id).await?;
                    tx.execute("DELETE FROM erasure_partitions WHERE erasure_id = $1", params![erasure_id]).await?;
                    tx.execute(sql, params![erasure_id, now]).await.map(drop)
                }
                .boxed()
            })
            .await
    }
}

impl Erasure {
    pub fn covers(&self, event: &Event) -> bool {
        event.project_id == self.project_id
            && self.session_id.is_none_or(|session_id| event.session_id == session_id)
            && event.received_at <= self.requested_at
    }
}

pub(super) async fn insert(tx: &mut Tx, erasure: &Erasure) -> Result<()> {
    let sql = "INSERT INTO erasures (erasure_id, project_id, session_id, whole_project, requested_at)
               VALUES ($1, $2, $3, $4, $5)";
    let session_id = erasure.session_id.unwrap_or(SessionId(uuid::Uuid::nil()));
    let whole_project = erasure.session_id.is_none();
    let bound = params![erasure.erasure_id, erasure.project_id, session_id, whole_project, erasure.requested_at];
    tx.execute(sql, bound).await.map(drop)
}

/// The erasures under way.
pub(super) async fn under_way(tx: &mut Tx) -> Result<Vec<Erasure>> {
    let sql = "SELECT * FROM erasures WHERE finished_at IS NULL ORDER BY requested_at";
    tx.query(sql, &[]).await?.into_iter().map(erasure).collect()
}

pub(super) async fn note_acts(tx: &mut Tx, acts: &BTreeMap<GalleryId, u64>) -> Result<()> {
    let rows: Vec<Vec<Value>> =
        acts.iter().map(|(gallery_id, acts)| vec![(*gallery_id).into(), (*acts).into()]).collect();
    let sql = "UPDATE galleries SET erased_events = erased_events + v.column2
               FROM (VALUES {rows}) AS v
               WHERE galleries.gallery_id = v.column1";
    tx.execute_rows(sql, &rows).await.map(drop)
}

pub(super) async fn count(tx: &mut Tx, erasure_id: ErasureId, events: u64) -> Result<()> {
    let sql = "UPDATE erasures SET event_count = event_count + $2 WHERE erasure_id = $1 AND finished_at IS NULL";
    if events > 0 && tx.execute(sql, params![erasure_id, events]).await? == 0 {
        return Err(Error::Conflict("the erasure was finished by somebody else".to_owned()));
    }
    Ok(())
}

fn erasure(mut row: Row) -> Result<Erasure> {
    Ok(Erasure {
        erasure_id: row.take("erasure_id")?,
        project_id: row.take("project_id")?,
        session_id: if row.take("whole_project")? { None } else { Some(row.take("session_id")?) },
        requested_at: row.take("requested_at")?,
        finished_at: row.take("finished_at")?,
        events: row.take("event_count")?,
    })
}
