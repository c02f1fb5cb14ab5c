//! Who takes in the events of a partition: one process at a time, under a lease that it renews.
//!
//! Every claim has a fencing number of its own. What moves a mark of the partition or changes its files carries the number,
//! in the same transaction, and is refused once somebody else has claimed. Leases compare real time, on PostgreSQL the
//! database's.

use std::time::Duration;

use futures::FutureExt as _;

use super::Catalog;
use super::jobs::LEASE;
use crate::error::Result;
use crate::inbox::Offset;
use crate::params;
use crate::sql::Tx;

/// What came of a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// What carries the fence is taken from now on, until somebody else claims. `is_suspect` when an event of the
    /// partition may have taken its owners down: the next events are tried one at a time.
    Held { fence: i64, is_suspect: bool },
    /// Its owner has renewed the lease, which ends after so long unless it does so again.
    Taken { owner: String, left: Duration },
}

/// Which process claims.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimant {
    /// Its name among those that share the catalog: the same after a restart.
    pub node: String,
    /// It has just started, and so nobody else of that name can be at work: the lease need not have ended.
    pub is_new: bool,
}

/// Owners in a row that died without progress, after which the events are tried one at a time.
const STRIKES_MAX: u32 = 2;

impl Catalog {
    /// The process that claimed the partition last, and how far its events are applied; `None` before the first claim.
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

    /// Claims a partition for [`LEASE`] if nobody holds it.
    pub async fn claim_partition(&self, partition: u32, claimant: Claimant) -> Result<Claim> {
        self.db.write(move |tx| claim(tx, partition, claimant).boxed()).await
    }

    /// Renews the lease; false when somebody else has claimed the partition.
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

    /// Notes that the event at `offset` is tried alone. Gives how many owners have tried it so, this one included; `None` when
    /// somebody else has claimed the partition.
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

    /// Ends the suspicion against the partition's events.
    pub async fn end_trials(&self, partition: u32, fence: i64) -> Result<()> {
        let sql =
            "UPDATE partitions SET strikes = 0, tries = 0, tried_offset = NULL WHERE partition = $1 AND fence = $2";
        self.db.write(move |tx| async move { tx.execute(sql, params![partition, fence]).await.map(drop) }.boxed()).await
    }

    /// Ends the lease, if it is still held: whoever comes next need not wait.
    pub async fn release_partition(&self, partition: u32, fence: i64) -> Result<()> {
        let sql = "UPDATE partitions SET lease_until = 0 WHERE partition = $1 AND fence = $2";
        self.db.write(move |tx| async move { tx.execute(sql, params![partition, fence]).await.map(drop) }.boxed()).await
    }
}

async fn claim(tx: &mut Tx, partition: u32, claimant: Claimant) -> Result<Claim> {
    let Claimant { node, is_new } = claimant;
    let first = "INSERT INTO partitions (partition, applied) VALUES ($1, 0) ON CONFLICT (partition) DO NOTHING";
    tx.execute(first, params![partition]).await?;
    // A lease that was given back is zero.
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

/// False when the fence is not the newest. On PostgreSQL the row stays locked, so that nobody claims until the end of the
/// transaction.
pub(super) async fn holds(tx: &mut Tx, partition: u32, fence: i64) -> Result<bool> {
    let sql = "UPDATE partitions SET fence = $2 WHERE partition = $1 AND fence = $2";
    Ok(tx.execute(sql, params![partition, fence]).await? == 1)
}
