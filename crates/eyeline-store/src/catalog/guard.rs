//! Guard state of galleries, kept for a day. A batch of acts reads only the sources and sessions that it names.

use std::collections::{BTreeSet, HashMap};

use eyeline_core::event::Source;
use eyeline_core::ranking::{Deed, Guard, SOURCES_MAX, SourceState, Undone, Verdict, Visit};
use eyeline_core::{GalleryId, SessionId, Timestamp};
use futures::FutureExt as _;

use super::Catalog;
use crate::error::{Error, Result};
use crate::params;
use crate::sql::{Row, Tx, Value};

impl Catalog {
    /// Deletes up to `limit` sources and as many visits that began before `before`. Returns the larger of both numbers.
    /// Guards do not need them, unless events that old are still to be applied.
    pub async fn forget_guarded(&self, before: Timestamp, limit: u32) -> Result<u64> {
        let sources = "DELETE FROM guard_sources WHERE (gallery_id, source) IN (
                           SELECT gallery_id, source FROM guard_sources WHERE since < $1 ORDER BY since LIMIT $2)";
        let visits = "DELETE FROM guard_visits WHERE (gallery_id, session_id, source) IN (
                          SELECT gallery_id, session_id, source FROM guard_visits
                          WHERE since < $1 ORDER BY since LIMIT $2)";
        self.db
            .write(move |tx| {
                async move {
                    let sources = tx.execute(sources, params![before.minute(), limit]).await?;
                    let visits = tx.execute(visits, params![before.minute(), limit]).await?;
                    Ok(sources.max(visits))
                }
                .boxed()
            })
            .await
    }
}

/// Deletes up to `rows_max` rows of a deleted gallery. False if there are none.
pub(super) async fn clear(tx: &mut Tx, gallery_id: GalleryId, rows_max: u32) -> Result<bool> {
    let visits = "DELETE FROM guard_visits WHERE (gallery_id, session_id, source) IN (
                      SELECT gallery_id, session_id, source FROM guard_visits WHERE gallery_id = $1 LIMIT $2)";
    let sources = "DELETE FROM guard_sources WHERE (gallery_id, source) IN (
                       SELECT gallery_id, source FROM guard_sources WHERE gallery_id = $1 LIMIT $2)";
    for sql in [visits, sources] {
        if tx.execute(sql, params![gallery_id, rows_max]).await? > 0 {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The guard of a gallery during a batch.
pub(super) struct Guarded {
    gallery_id: GalleryId,
    guard: Guard,
    /// All stored sources of the gallery, not only those of the batch.
    held: usize,
    named: BTreeSet<Source>,
}

impl Guarded {
    /// Reads the state that the batch needs; `minute` is the gallery's.
    pub async fn read(
        tx: &mut Tx,
        gallery_id: GalleryId,
        minute: u32,
        named: BTreeSet<Source>,
        sessions: BTreeSet<SessionId>,
    ) -> Result<Guarded> {
        let sources = read_sources(tx, gallery_id, &named).await?;
        let mut visits = HashMap::<SessionId, Vec<Visit>>::new();
        let sql = "SELECT g.session_id, g.source, g.since, g.seen FROM (VALUES {rows}) AS v
                   JOIN guard_visits g ON g.gallery_id = v.column1 AND g.session_id = v.column2";
        let rows: Vec<Vec<Value>> =
            sessions.into_iter().map(|session_id| vec![gallery_id.into(), session_id.into()]).collect();
        for row in tx.query_rows(sql, &rows).await? {
            let (session_id, visit) = read_visit(row)?;
            visits.entry(session_id).or_default().push(visit);
        }
        let held = if named.is_empty() { 0 } else { count_sources(tx, gallery_id).await? };
        Ok(Guarded { gallery_id, guard: Guard { minute, sources, visits }, held, named })
    }

    /// Judges an act. Also returns the acts that no longer count because of it.
    pub async fn judge(&mut self, tx: &mut Tx, deed: &Deed) -> Result<(Verdict, Vec<Undone>)> {
        if self.guard.is_full(deed, self.held) {
            self.make_room(tx).await?;
        }
        let known = self.guard.sources.len();
        let verdict = self.guard.judge(deed);
        self.held += self.guard.sources.len() - known;
        let undone = match verdict {
            Verdict::SourceDropped(source) => self.undo(tx, source).await?,
            Verdict::Counts | Verdict::Ignored => Vec::new(),
        };
        Ok((verdict, undone))
    }

    /// The guard, for noting acts that count and reading the gallery's minute.
    pub fn guard(&mut self) -> &mut Guard {
        &mut self.guard
    }

    pub async fn write(self, tx: &mut Tx) -> Result<()> {
        self.write_sources(tx).await?;
        let mut rows: Vec<Vec<Value>> = Vec::new();
        for (session_id, visits) in &self.guard.visits {
            rows.extend(visits.iter().map(|visit| {
                let source = Source::optional_to_bits(visit.source).cast_signed();
                params![self.gallery_id, *session_id, source, visit.since, visit.to_bytes()].to_vec()
            }));
        }
        let sql = "INSERT INTO guard_visits (gallery_id, session_id, source, since, seen) VALUES {rows}
                   ON CONFLICT (gallery_id, session_id, source)
                   DO UPDATE SET since = excluded.since, seen = excluded.seen";
        tx.execute_rows(sql, &rows).await?;
        let minute = "UPDATE galleries SET guard_minute = $2 WHERE gallery_id = $1";
        tx.execute(minute, params![self.gallery_id, self.guard.minute]).await.map(drop)
    }

    async fn write_sources(&self, tx: &mut Tx) -> Result<()> {
        let row = |(source, state): (&Source, &SourceState)| {
            params![self.gallery_id, column(*source), state.since, state.to_bytes()].to_vec()
        };
        let rows: Vec<Vec<Value>> = self.guard.sources.iter().map(row).collect();
        let sql = "INSERT INTO guard_sources (gallery_id, source, since, state) VALUES {rows}
                   ON CONFLICT (gallery_id, source) DO UPDATE SET since = excluded.since, state = excluded.state";
        tx.execute_rows(sql, &rows).await.map(drop)
    }

    /// Like [`Guard::make_room`], for all stored sources.
    async fn make_room(&mut self, tx: &mut Tx) -> Result<()> {
        self.write_sources(tx).await?;
        let over = "DELETE FROM guard_sources WHERE gallery_id = $1 AND since <= $2";
        tx.execute(over, params![self.gallery_id, Guard::over_since(self.guard.minute)]).await?;
        if count_sources(tx, self.gallery_id).await? >= SOURCES_MAX {
            let oldest = "DELETE FROM guard_sources WHERE (gallery_id, source) IN (
                              SELECT gallery_id, source FROM guard_sources WHERE gallery_id = $1
                              ORDER BY since, source LIMIT $2)";
            tx.execute(oldest, params![self.gallery_id, Guard::FORGOTTEN as i64]).await?;
        }
        self.held = count_sources(tx, self.gallery_id).await?;
        self.guard.sources = read_sources(tx, self.gallery_id, &self.named).await?;
        Ok(())
    }

    /// Like [`Guard::undo`], for all stored visits.
    async fn undo(&mut self, tx: &mut Tx, source: Source) -> Result<Vec<Undone>> {
        let sql = "SELECT session_id, source, since, seen FROM guard_visits
                   WHERE gallery_id = $1 AND source >= $2 AND source <= $3";
        let (first, last) = source.range();
        for row in tx.query(sql, params![self.gallery_id, column(first), column(last)]).await? {
            let (session_id, visit) = read_visit(row)?;
            let visits = self.guard.visits.entry(session_id).or_default();
            // State in memory is newer than the stored one. A session outside the batch may only lack visits of another
            // source, which was dropped before this one.
            if visits.iter().all(|known| known.source != visit.source) {
                visits.push(visit);
            }
        }
        Ok(self.guard.undo(source))
    }
}

async fn read_sources(
    tx: &mut Tx,
    gallery_id: GalleryId,
    named: &BTreeSet<Source>,
) -> Result<HashMap<Source, SourceState>> {
    let rows: Vec<Vec<Value>> = named.iter().map(|source| vec![gallery_id.into(), column(*source).into()]).collect();
    let sql = "SELECT g.source, g.state FROM (VALUES {rows}) AS v
               JOIN guard_sources g ON g.gallery_id = v.column1 AND g.source = v.column2";
    let mut sources = HashMap::new();
    for mut row in tx.query_rows(sql, &rows).await? {
        let state = SourceState::from_bytes(&row.take::<Vec<u8>>("state")?);
        let state = state.ok_or_else(|| Error::Corrupt("what a guard knows of a source cannot be read".to_owned()))?;
        sources.insert(Source::from_bits(row.take::<i64>("source")?.cast_unsigned()), state);
    }
    Ok(sources)
}

async fn count_sources(tx: &mut Tx, gallery_id: GalleryId) -> Result<usize> {
    let sql = "SELECT count(*) AS held FROM guard_sources WHERE gallery_id = $1";
    let Some(mut row) = tx.query_one(sql, params![gallery_id]).await? else { return Ok(0) };
    Ok(usize::try_from(row.take::<u64>("held")?).unwrap_or(usize::MAX))
}

fn read_visit(mut row: Row) -> Result<(SessionId, Visit)> {
    let source = Source::optional_from_bits(row.take::<i64>("source")?.cast_unsigned());
    let visit = Visit::from_bytes(source, row.take("since")?, &row.take::<Vec<u8>>("seen")?);
    let visit = visit.ok_or_else(|| Error::Corrupt("what a guard knows of a session cannot be read".to_owned()))?;
    Ok((row.take("session_id")?, visit))
}

/// The source as a signed integer, because neither database has unsigned ones.
fn column(source: Source) -> i64 {
    source.to_bits().cast_signed()
}
