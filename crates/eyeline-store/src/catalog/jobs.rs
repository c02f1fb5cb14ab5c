//! Background jobs, in the same database as their subjects: one transaction stores a change and the job that it causes.
//!
//! A job is claimed under a lease that its holder renews. Every claim has its own fencing token: a result without the
//! current token is refused, so that one result counts. Leases compare real time; on PostgreSQL the database's.

use std::time::Duration;

use eyeline_core::{ImageErrorCode, JobId, ProjectId, Timestamp};
use futures::FutureExt as _;
use uuid::Uuid;

use super::{Catalog, processing};
use crate::error::{Error, Result};
use crate::params;
use crate::sql::{Dialect, Row, Tx, Value};

/// The duration of a claim, unless it is renewed.
pub const LEASE: Duration = Duration::from_secs(60);
/// Attempts after which a job becomes a dead letter.
pub const ATTEMPTS_MAX: u32 = 5;
/// Decoders that may die on a job before it becomes a dead letter.
pub const DEATHS_MAX: u32 = 3;
/// Servers that may lose their lease on a job before it becomes a dead letter. Most of them were stopped or cut off, so
/// that the job is rarely at fault.
pub const LOSSES_MAX: u32 = 20;
/// The back-off after the first failed attempt. It doubles with each.
const BACK_OFF: Duration = Duration::from_secs(5);

/// Makes the versions of the image in the subject.
pub const PROCESS_IMAGE: &str = "process_image";

/// The right to store the result of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Lease {
    pub job_id: JobId,
    pub fence: i64,
}

/// A claimed job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    pub lease: Lease,
    pub subject: Uuid,
    /// Attempts, this one included.
    pub attempts: u32,
}

/// The reason why an attempt failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The attempt counts. Holds a sentence.
    Failed(String),
    /// The worker process died or was killed. The attempt and the death count. Holds the error to store.
    WorkerDied(ImageErrorCode, String),
    /// An engine was unavailable, or the server stops. The attempt does not count. Holds the pause before the next one.
    PutBack(Duration),
}

/// A dead letter, which waits until somebody revives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadJob {
    pub job_id: JobId,
    pub kind: String,
    pub subject: Uuid,
    pub attempts: u32,
    pub deaths: u32,
    pub reason: String,
    pub created_at: Timestamp,
}

/// The number of jobs of a kind and state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobDepth {
    pub kind: String,
    /// waiting, leased or dead.
    pub state: String,
    pub jobs: u64,
    /// The earliest time at which one of them could run; real time.
    pub oldest: Timestamp,
}

impl Catalog {
    /// Claims up to `max` jobs of a kind for a node, by turn.
    pub async fn claim_jobs(&self, kind: &'static str, node: String, max: u32) -> Result<Vec<Job>> {
        self.db.write(move |tx| async move { claim(tx, kind, &node, max).await }.boxed()).await
    }

    /// True if a job of the kind could be claimed now.
    pub async fn has_jobs(&self, kind: &'static str) -> Result<bool> {
        let sql = "SELECT 1 AS one FROM jobs WHERE kind = $1 AND state = 'waiting' AND run_at <= $2 LIMIT 1";
        self.db
            .read(move |tx| {
                async move {
                    let now = tx.real_now().await?;
                    Ok(tx.query_one(sql, params![kind, now]).await?.is_some())
                }
                .boxed()
            })
            .await
    }

    /// Renews leases. Returns those that are still held.
    pub async fn renew_leases(&self, leases: Vec<Lease>) -> Result<Vec<Lease>> {
        let sql = "UPDATE jobs SET lease_until = v.column3
                   FROM (VALUES {rows}) AS v
                   WHERE job_id = v.column1 AND fence = v.column2 AND state = 'leased'
                   RETURNING job_id, fence";
        self.db
            .write(move |tx| {
                async move {
                    let until = tx.real_now().await?.plus(LEASE);
                    let mut rows: Vec<_> = leases.iter().map(|lease| (lease.job_id, lease.fence)).collect();
                    rows.sort();
                    let rows: Vec<Vec<Value>> =
                        rows.into_iter().map(|(job, fence)| vec![job.into(), fence.into(), until.into()]).collect();
                    let held = tx.query_rows(sql, &rows).await?.into_iter();
                    held.map(|mut row| Ok(Lease { job_id: row.take("job_id")?, fence: row.take("fence")? })).collect()
                }
                .boxed()
            })
            .await
    }

    /// Deletes the finished job.
    pub async fn complete_job(&self, lease: Lease) -> Result<()> {
        self.db.write(move |tx| complete(tx, lease).boxed()).await
    }

    /// Stores a failed attempt: the job runs again after a back-off, or becomes a dead letter. True if it did.
    pub async fn fail_job(&self, lease: Lease, failure: Failure) -> Result<bool> {
        self.db.write(move |tx| async move { Ok(fail(tx, lease, &failure).await?.is_some()) }.boxed()).await
    }

    /// Releases the leases of a node that was stopped or killed. No attempt counts.
    pub async fn release_leases(&self, node: String) -> Result<u64> {
        let sql = "UPDATE jobs
                   SET state = 'waiting', owner = NULL, lease_until = NULL, run_at = $2, attempts = attempts - 1
                   WHERE state = 'leased' AND owner = $1";
        self.db
            .write(move |tx| {
                async move {
                    let now = tx.real_now().await?;
                    tx.execute(sql, params![node, now]).await
                }
                .boxed()
            })
            .await
    }

    /// Takes jobs from holders that stopped renewing. Neither an attempt nor a death counts, but the loss does: a job that
    /// becomes a dead letter ends its image with the reason. Returns the hints for these images.
    pub async fn recover_leases(&self, now: Timestamp) -> Result<processing::Hints> {
        let sql = "UPDATE jobs
                   SET state = CASE WHEN losses + 1 >= $2 THEN 'dead' ELSE 'waiting' END,
                       losses = losses + 1, attempts = CASE WHEN attempts > 0 THEN attempts - 1 ELSE 0 END,
                       run_at = $1, owner = NULL, lease_until = NULL,
                       reason = CASE WHEN losses + 1 >= $2 THEN $3 ELSE reason END
                   WHERE state = 'leased' AND lease_until < $1
                   RETURNING kind, subject, state";
        self.db
            .write(move |tx| {
                async move {
                    let real_now = tx.real_now().await?;
                    let mut buried = Vec::new();
                    for mut row in tx.query(sql, params![real_now, LOSSES_MAX, STOPPED_ANSWERING]).await? {
                        let (kind, state): (String, String) = (row.take("kind")?, row.take("state")?);
                        if kind == PROCESS_IMAGE && state == "dead" {
                            buried.push(row.take("subject")?);
                        }
                    }
                    processing::end_with_error(tx, &buried, ImageErrorCode::WorkerDied, STOPPED_ANSWERING, now).await
                }
                .boxed()
            })
            .await
    }

    /// Dead letters, newest first, after the creation time and id in `after`.
    pub async fn dead_jobs(&self, after: Option<(Timestamp, JobId)>, limit: u32) -> Result<Vec<DeadJob>> {
        let sql = "SELECT job_id, kind, subject, attempts, deaths, reason, created_at FROM jobs
                   WHERE state = 'dead' AND (created_at, job_id) < ($1, $2)
                   ORDER BY created_at DESC, job_id DESC
                   LIMIT $3";
        let (created_at, job_id) = after.unwrap_or((Timestamp::from_micros(i64::MAX), JobId(Uuid::max())));
        self.db
            .read(move |tx| {
                async move {
                    let rows = tx.query(sql, params![created_at, job_id, limit]).await?;
                    rows.into_iter().map(read_dead).collect()
                }
                .boxed()
            })
            .await
    }

    /// Restarts a dead letter with all its attempts.
    pub async fn revive_job(&self, job_id: JobId, now: Timestamp) -> Result<processing::Hints> {
        let sql = "UPDATE jobs SET state = 'waiting', run_at = $2, attempts = 0, deaths = 0, losses = 0, reason = NULL
                   WHERE job_id = $1 AND state = 'dead'
                   RETURNING kind, subject";
        self.db
            .write(move |tx| {
                async move {
                    let real_now = tx.real_now().await?;
                    let row = tx.query_one(sql, params![job_id, real_now]).await?;
                    let mut row = row.ok_or(Error::NotFound("dead job"))?;
                    let kind: String = row.take("kind")?;
                    if kind != PROCESS_IMAGE {
                        return Ok(processing::Hints::default());
                    }
                    processing::wait_again(tx, Uuid::into(row.take("subject")?), now).await
                }
                .boxed()
            })
            .await
    }

    /// The number of jobs by kind and state, for the operator.
    pub async fn job_depths(&self) -> Result<Vec<JobDepth>> {
        let sql = "SELECT kind, state, CAST(count(*) AS BIGINT) AS jobs, min(run_at) AS oldest FROM jobs
                   GROUP BY kind, state
                   ORDER BY kind, state";
        let read = |mut row: Row| {
            Ok(JobDepth {
                kind: row.take("kind")?,
                state: row.take("state")?,
                jobs: row.take("jobs")?,
                oldest: row.take("oldest")?,
            })
        };
        self.db.read(move |tx| async move { tx.query(sql, &[]).await?.into_iter().map(read).collect() }.boxed()).await
    }
}

const STOPPED_ANSWERING: &str = "Servers that had it stopped answering, too many times.";

fn read_dead(mut row: Row) -> Result<DeadJob> {
    Ok(DeadJob {
        job_id: row.take("job_id")?,
        kind: row.take("kind")?,
        subject: row.take("subject")?,
        attempts: row.take("attempts")?,
        deaths: row.take("deaths")?,
        reason: row.take::<Option<String>>("reason")?.unwrap_or_default(),
        created_at: row.take("created_at")?,
    })
}

/// Adds a job that may run immediately. If the subject already has a waiting job of the kind, adds none; a dead one is
/// restarted.
///
/// Its turn follows the project's last one, and is not before the turn served now. Projects with jobs therefore
/// progress equally (start-time fair queueing, Goyal, Vin and Cheng 1996).
pub(crate) async fn enqueue(
    tx: &mut Tx,
    kind: &'static str,
    job_id: JobId,
    project_id: ProjectId,
    subject: Uuid,
) -> Result<()> {
    let sql = "INSERT INTO jobs (job_id, kind, project_id, subject, state, run_at, created_at, turn)
               VALUES ($1, $2, $3, $4, 'waiting', $5, $5, (
                   SELECT coalesce(max(turn), 0) FROM (
                       SELECT max(turn) + 1 AS turn FROM jobs WHERE kind = $2 AND project_id = $3 AND state <> 'dead'
                       UNION ALL
                       SELECT coalesce(
                           (SELECT max(turn) FROM jobs WHERE kind = $2 AND state = 'leased'),
                           (SELECT min(turn) FROM jobs WHERE kind = $2 AND state = 'waiting' AND run_at <= $5))
                   ) AS turns))
               ON CONFLICT (kind, subject)
               DO UPDATE SET state = 'waiting', run_at = excluded.run_at, turn = excluded.turn, attempts = 0, deaths = 0,
                             losses = 0, reason = NULL
               WHERE jobs.state = 'dead'";
    let now = tx.real_now().await?;
    tx.execute(sql, params![job_id, kind, project_id, subject, now]).await.map(drop)
}

/// Deletes the jobs of a subject, whoever holds them.
pub(crate) async fn cancel(tx: &mut Tx, kind: &'static str, subject: Uuid) -> Result<()> {
    tx.execute("DELETE FROM jobs WHERE kind = $1 AND subject = $2", params![kind, subject]).await.map(drop)
}

pub(super) async fn claim(tx: &mut Tx, kind: &'static str, node: &str, max: u32) -> Result<Vec<Job>> {
    // Concurrently claiming nodes skip each other's rows. SQLite has a single writer.
    let skip = match tx.dialect() {
        Dialect::Sqlite => "",
        Dialect::Postgres => "FOR UPDATE SKIP LOCKED",
    };
    // Materialised, because PostgreSQL may otherwise run the inner query once for each row and exceed the limit.
    let sql = format!(
        "WITH next_ones AS MATERIALIZED (
             SELECT job_id FROM jobs
             WHERE kind = $1 AND state = 'waiting' AND run_at <= $2
             ORDER BY turn, run_at
             LIMIT $5
             {skip})
         UPDATE jobs
         SET state = 'leased', owner = $3, lease_until = $4, fence = fence + 1, attempts = attempts + 1
         WHERE job_id IN (SELECT job_id FROM next_ones)
         RETURNING job_id, fence, subject, attempts"
    );
    let now = tx.real_now().await?;
    let rows = tx.query_text(&sql, params![kind, now, node, now.plus(LEASE), max]).await?;
    let read = |mut row: Row| {
        Ok(Job {
            lease: Lease { job_id: row.take("job_id")?, fence: row.take("fence")? },
            subject: row.take("subject")?,
            attempts: row.take("attempts")?,
        })
    };
    rows.into_iter().map(read).collect()
}

/// Deletes the job in the transaction that stores its result. `LeaseLost` rolls that back.
pub(super) async fn complete(tx: &mut Tx, lease: Lease) -> Result<()> {
    let sql = "DELETE FROM jobs WHERE job_id = $1 AND fence = $2 AND state = 'leased'";
    match tx.execute(sql, params![lease.job_id, lease.fence]).await? {
        0 => Err(Error::LeaseLost(lease.job_id)),
        _ => Ok(()),
    }
}

/// Returns the reason if the job is a dead letter now.
pub(super) async fn fail(tx: &mut Tx, lease: Lease, failure: &Failure) -> Result<Option<String>> {
    let held = "SELECT attempts, deaths FROM jobs WHERE job_id = $1 AND fence = $2 AND state = 'leased'";
    let row = tx.query_one(held, params![lease.job_id, lease.fence]).await?;
    let mut row = row.ok_or(Error::LeaseLost(lease.job_id))?;
    let (mut attempts, mut deaths): (u32, u32) = (row.take("attempts")?, row.take("deaths")?);
    let (reason, wait) = match failure {
        Failure::Failed(reason) => (Some(reason.clone()), back_off(attempts)),
        Failure::WorkerDied(_, reason) => {
            deaths += 1;
            (Some(reason.clone()), back_off(attempts))
        }
        Failure::PutBack(wait) => {
            attempts = attempts.saturating_sub(1);
            (None, *wait)
        }
    };
    let dead = reason.is_some() && (attempts >= ATTEMPTS_MAX || deaths >= DEATHS_MAX);
    let sql = "UPDATE jobs
               SET state = $3, run_at = $4, attempts = $5, deaths = $6, reason = coalesce($7, reason),
                   owner = NULL, lease_until = NULL
               WHERE job_id = $1 AND fence = $2 AND state = 'leased'";
    let run_at = tx.real_now().await?.plus(wait);
    let state = if dead { "dead" } else { "waiting" };
    let bound = params![lease.job_id, lease.fence, state, run_at, attempts, deaths, reason.clone()];
    if tx.execute(sql, bound).await? == 0 {
        return Err(Error::LeaseLost(lease.job_id));
    }
    Ok(reason.filter(|_| dead))
}

fn back_off(attempts: u32) -> Duration {
    BACK_OFF * 2u32.pow(attempts.saturating_sub(1).min(ATTEMPTS_MAX))
}
