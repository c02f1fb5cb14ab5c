//! The ownership of partitions: one process at a time, under a lease that it renews.
//!
//! Every claim has its own fencing token. A change of the partition's watermarks or files carries it in the same
//! transaction, and is refused once another process has claimed. Leases compare real time; on PostgreSQL the
//! database's.

use std::time::Duration;

use futures::FutureExt as _;

use super::Catalog;
use super::jobs::LEASE;
use crate::error::Result;
use crate::inbox::Offset;
use crate::params;
use crate::sql::Tx;

/// The outcome of a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// Changes with the fence are accepted until another process claims. `is_suspect` if an event of the partition may
    /// have killed its owners: then apply the next events one at a time.
    Held { fence: i64, is_suspect: bool },
    /// Its owner renewed the lease, which ends after `left` unless it is renewed again.
    Taken { owner: String, left: Duration },
}

/// The claiming process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimant {
    /// Its name among those that share the catalog; it survives restarts.
    pub node: String,
    /// True if the process has just started. No other process of that name can run, so its old lease need not have
    /// ended.
    pub is_new: bool,
}

/// Consecutive owners that died without progress, after which events are applied one at a time.
const STRIKES_MAX: u32 = 2;

impl Catalog {
    /// The last owner of the partition, and its applied watermark. `None` before the first claim.
    pub async fn partition_owner(&self, partition: u32) -> Result<Option<(String, Offset)>> {
        let sql = "SELECT owner, applied FROM partitions WHERE partition = $1 AND owner IS NOT NULL";
        self.db
            .read(move |tx| {
                async move {
                    let row = tx.query_one(sql, params![partition]).await?;
                    row.map(|mut row| Ok((row.take("owner")?, row.take("applied")?))).transpose()
                }
                .boxed()
            })
            .await
    }

    /// Claims a partition for [`LEASE`] if no other process holds it.
    pub async fn claim_partition(&self, partition: u32, claimant: Claimant) -> Result<Claim> {
        self.db.write(move |tx| claim(tx, partition, claimant).boxed()).await
    }

    /// Renews the lease. False if another process has claimed the partition.
    pub async fn renew_partition(&self, partition: u32, fence: i64) -> Result<bool> {
        let sql = "UPDATE partitions SET lease_until = $3 WHERE partition = $1 AND fence = $2";
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
    let Claimant { node, is_new } = claimant;
    let first = "INSERT INTO partitions (partition, applied) VALUES ($1, 0) ON CONFLICT (partition) DO NOTHING";
    tx.execute(first, params![partition]).await?;
    // A released lease is 0.
    let sql = "UPDATE partitions SET owner = $2, fence = fence + 1, lease_until = $4, claimed_applied = applied,
                   strikes = CASE WHEN lease_until = 0 THEN 0
                                  WHEN strikes >= $6 OR applied = claimed_applied THEN strikes + 1
                                  ELSE 1 END
               WHERE partition = $1 AND (lease_until <= $3 OR (owner = $2 AND $5))
               RETURNING fence, strikes";
    let now = tx.real_now().await?;
    let bound = params![partition, node, now, now.plus(LEASE), is_new, STRIKES_MAX];
    if let Some(mut row) = tx.query_one(sql, bound).await? {
        let strikes: u32 = row.take("strikes")?;
        return Ok(Claim::Held { fence: row.take("fence")?, is_suspect: strikes >= STRIKES_MAX });
    }
    let sql = "SELECT owner, lease_until FROM partitions WHERE partition = $1";
    let row = tx.query_one(sql, params![partition]).await?;
    let mut row = row.ok_or_else(|| crate::Error::Corrupt(format!("partition {partition} is gone")))?;
    let until: eyeline_core::Timestamp = row.take("lease_until")?;
    Ok(Claim::Taken { owner: row.take("owner")?, left: until.since(now) })
}

/// False if the fence is not the newest. On PostgreSQL the row stays locked, so that nobody claims before the end of
/// the transaction.
pub(super) async fn holds(tx: &mut Tx, partition: u32, fence: i64) -> Result<bool> {
    let sql = "UPDATE partitions SET fence = $2 WHERE partition = $1 AND fence = $2";
    Ok(tx.execute(sql, params![partition, fence]).await? == 1)
}
