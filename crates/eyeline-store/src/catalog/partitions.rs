//! The ownership of partitions: one process at a time, under a lease that it renews. Live processes share them.
//!
//! Every claim has its own fencing token. A change of the partition's watermarks or files carries it in the same
//! transaction, and is refused once another process has claimed. Leases compare real time; on PostgreSQL the
//! database's.

use std::time::Duration;

use eyeline_core::{GalleryId, Timestamp};
use futures::FutureExt as _;
use uuid::Uuid;

use super::jobs::LEASE;
use super::{Catalog, facts};
use crate::error::{Error, Result};
use crate::inbox::{self, Offset};
use crate::params;
use crate::sql::Tx;

/// The processes that share the partitions, at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owners {
    /// The processes that pass for alive, by name.
    pub alive: Vec<String>,
    /// The partitions whose lease has not ended, with their owners.
    pub held: Vec<(u32, String)>,
}

/// The outcome of a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// Changes with the fence are accepted until another process claims. `is_suspect` if an event of the partition may
    /// have killed its owners: then apply the next events one at a time.
    Held { fence: i64, is_suspect: bool },
    /// Its owner renewed the lease, which ends after `left` unless it is renewed again.
    Taken { owner: String, left: Duration },
    /// Its watermarks are offsets of another inbox, so that events of this inbox would be left out or counted twice.
    /// Holds the last owner.
    OfOtherInbox { owner: String },
}

/// The claiming process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimant {
    /// Its name among those that share the catalog.
    pub node: String,
    /// The inbox that it reads.
    pub inbox_id: Uuid,
    /// True if the process has just started. No other process of that name can run, so its old lease need not have
    /// ended.
    pub is_new: bool,
}

/// Rows of dead processes are deleted after this time. Processes whose leases only just ended may renew them now, and
/// two that did both would wait for each other.
const FORGOTTEN: Duration = Duration::from_secs(24 * 60 * 60);
/// The fact that holds the number of partitions.
const PARTITIONS: &str = "partitions";
/// Consecutive owners that died without progress, after which events are applied one at a time.
const STRIKES_MAX: u32 = 2;

impl Catalog {
    /// Fixes the number of partitions at the first call. Returns the number that is fixed.
    pub async fn fix_partitions(&self, count: u32) -> Result<u32> {
        let fixed = self.db.write(move |tx| facts::fix(tx, PARTITIONS, count.to_string()).boxed()).await?;
        read_count(fixed)
    }

    /// Notes that the process is alive for [`LEASE`], and returns those that share the partitions with it.
    pub async fn join_owners(&self, node: String) -> Result<Owners> {
        let alive = "INSERT INTO partition_owners (node, lease_until) VALUES ($1, $2)
                     ON CONFLICT (node) DO UPDATE SET lease_until = excluded.lease_until";
        self.db
            .write(move |tx| {
                async move {
                    let now = tx.real_now().await?;
                    tx.execute(alive, params![node, now.plus(LEASE)]).await?;
                    tx.execute("DELETE FROM partition_owners WHERE lease_until <= $1", params![now.minus(FORGOTTEN)])
                        .await?;
                    let sql = "SELECT node FROM partition_owners WHERE lease_until > $1 ORDER BY node";
                    let rows = tx.query(sql, params![now]).await?;
                    let alive = rows.into_iter().map(|mut row| row.take("node")).collect::<Result<_>>()?;
                    let sql = "SELECT partition, owner FROM partitions WHERE lease_until > $1 ORDER BY partition";
                    let rows = tx.query(sql, params![now]).await?;
                    let held = rows.into_iter().map(|mut row| Ok((row.take("partition")?, row.take("owner")?)));
                    Ok(Owners { alive, held: held.collect::<Result<_>>()? })
                }
                .boxed()
            })
            .await
    }

    /// Notes that the process takes no share any more.
    pub async fn leave_owners(&self, node: String) -> Result<()> {
        let sql = "DELETE FROM partition_owners WHERE node = $1";
        self.db.write(move |tx| async move { tx.execute(sql, params![node]).await.map(drop) }.boxed()).await
    }

    /// Claims a partition for [`LEASE`] if no other process holds it.
    pub async fn claim_partition(&self, partition: u32, claimant: Claimant) -> Result<Claim> {
        self.db.write(move |tx| claim(tx, partition, claimant).boxed()).await
    }

    /// Renews the lease. False if another process has claimed the partition, or it was released.
    pub async fn renew_partition(&self, partition: u32, fence: i64) -> Result<bool> {
        let sql = "UPDATE partitions SET lease_until = $3 WHERE partition = $1 AND fence = $2 AND lease_until > 0";
        self.db
            .write(move |tx| {
                async move {
                    let until = tx.real_now().await?.plus(LEASE);
                    Ok(tx.execute(sql, params![partition, fence, until]).await? == 1)
                }
                .boxed()
            })
            .await
    }

    /// Notes a trial of the event at `offset`. Returns the number of owners that have tried it alone, this one
    /// included; `None` if another process has claimed the partition.
    pub async fn note_trial(&self, partition: u32, fence: i64, offset: Offset) -> Result<Option<u32>> {
        let sql =
            "UPDATE partitions SET tries = CASE WHEN tried_offset = $3 THEN tries + 1 ELSE 1 END, tried_offset = $3
                   WHERE partition = $1 AND fence = $2
                   RETURNING tries";
        self.db
            .write(move |tx| {
                async move {
                    let row = tx.query_one(sql, params![partition, fence, offset]).await?;
                    row.map(|mut row| row.take("tries")).transpose()
                }
                .boxed()
            })
            .await
    }

    /// Clears the suspicion against the partition's events.
    pub async fn end_trials(&self, partition: u32, fence: i64) -> Result<()> {
        let sql =
            "UPDATE partitions SET strikes = 0, tries = 0, tried_offset = NULL WHERE partition = $1 AND fence = $2";
        self.db.write(move |tx| async move { tx.execute(sql, params![partition, fence]).await.map(drop) }.boxed()).await
    }

    /// Ends the lease if it is still held, so that the next owner need not wait.
    pub async fn release_partition(&self, partition: u32, fence: i64) -> Result<()> {
        let sql = "UPDATE partitions SET lease_until = 0 WHERE partition = $1 AND fence = $2";
        self.db.write(move |tx| async move { tx.execute(sql, params![partition, fence]).await.map(drop) }.boxed()).await
    }
}

async fn claim(tx: &mut Tx, partition: u32, claimant: Claimant) -> Result<Claim> {
    let Claimant { node, inbox_id, is_new } = claimant;
    let first = "INSERT INTO partitions (partition, applied) VALUES ($1, 0) ON CONFLICT (partition) DO NOTHING";
    tx.execute(first, params![partition]).await?;
    // A released lease is 0.
    let sql = "UPDATE partitions SET owner = $2, fence = fence + 1, lease_until = $4, claimed_applied = applied,
                   inbox_id = $7,
                   strikes = CASE WHEN lease_until = 0 THEN 0
                                  WHEN strikes >= $6 OR applied = claimed_applied THEN strikes + 1
                                  ELSE 1 END
               WHERE partition = $1 AND (lease_until <= $3 OR (owner = $2 AND $5)) AND (applied = 0 OR inbox_id = $7
                     -- Watermarks of an older binary are those of the data folder that has the name.
                     OR (inbox_id IS NULL AND owner = $2))
               RETURNING fence, strikes";
    let now = tx.real_now().await?;
    let bound = params![partition, node, now, now.plus(LEASE), is_new, STRIKES_MAX, inbox_id];
    if let Some(mut row) = tx.query_one(sql, bound).await? {
        let strikes: u32 = row.take("strikes")?;
        return Ok(Claim::Held { fence: row.take("fence")?, is_suspect: strikes >= STRIKES_MAX });
    }
    let sql = "SELECT owner, applied, lease_until, inbox_id FROM partitions WHERE partition = $1";
    let row = tx.query_one(sql, params![partition]).await?;
    let mut row = row.ok_or_else(|| Error::Corrupt(format!("partition {partition} is gone")))?;
    let (owner, until) = (row.take("owner")?, row.take::<Timestamp>("lease_until")?);
    let is_used = row.take::<Offset>("applied")? > Offset::START;
    let is_of_other = row.take::<Option<Uuid>>("inbox_id")?.is_some_and(|of| of != inbox_id);
    if is_used && (is_of_other || until <= now) {
        return Ok(Claim::OfOtherInbox { owner });
    }
    Ok(Claim::Taken { owner, left: until.since(now) })
}

/// The fixed number of partitions; 1 before it is fixed.
fn read_count(fixed: Option<String>) -> Result<u32> {
    let Some(text) = fixed else { return Ok(1) };
    text.parse().map_err(|_| Error::Corrupt(format!("the number of partitions is stored as {text}")))
}

/// Fails unless the gallery's events are in the partition. Otherwise two owners could store for one gallery.
pub(super) async fn check_gallery(tx: &mut Tx, partition: u32, gallery_id: GalleryId) -> Result<()> {
    let its_own = inbox::partition_of(gallery_id.0, read_count(facts::value(tx, PARTITIONS).await?)?);
    if its_own == partition {
        return Ok(());
    }
    let sentence = format!("gallery {gallery_id} is of partition {its_own}, not of {partition}");
    Err(Error::internal("the owner of a partition", sentence))
}

/// False if the fence is not the newest. On PostgreSQL the row stays locked, so that nobody claims before the end of
/// the transaction.
pub(super) async fn holds(tx: &mut Tx, partition: u32, fence: i64) -> Result<bool> {
    let sql = "UPDATE partitions SET fence = $2 WHERE partition = $1 AND fence = $2";
    Ok(tx.execute(sql, params![partition, fence]).await? == 1)
}
