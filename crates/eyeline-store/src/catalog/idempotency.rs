//! Writes that a client may send again: the first one is done, a repetition gets the first one's answer.
//!
//! The key is claimed, the write done and its answer kept in one transaction. A repetition that comes while the first
//! is under way waits for the end of that transaction.

use std::time::Duration;

use eyeline_core::Timestamp;
use futures::FutureExt as _;
use futures::future::BoxFuture;

use super::Catalog;
use crate::error::{Error, Result};
use crate::params;
use crate::sql::Tx;

/// How long a key is known.
pub const KEPT: Duration = Duration::from_secs(24 * 60 * 60);

/// The key that a client sent along with a write.
#[derive(Clone, Debug)]
pub struct IdempotencyKey {
    /// SHA-256 of the credential: the keys of two clients never meet.
    pub credential: [u8; 32],
    /// Method and path.
    pub route: String,
    pub key: String,
    /// SHA-256 of the body: another body under the same key is refused.
    pub body_hash: [u8; 32],
    pub now: Timestamp,
}

/// A key, and what of the write's outcome a repetition is answered with.
pub struct Repeatable<T> {
    pub key: IdempotencyKey,
    /// Status and body (JSON text without secrets).
    pub answer: Box<dyn FnOnce(&T) -> KeptAnswer + Send>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptAnswer {
    /// The HTTP status.
    pub status: u16,
    /// JSON text.
    pub body: String,
}

/// What became of a write that may be a repetition.
#[derive(Debug)]
pub enum Once<T> {
    Done(T),
    /// It was done before; nothing was written now.
    Repeated(KeptAnswer),
}

impl Catalog {
    /// [`Db::write`](crate::sql::Db::write), once for each key. Another body under a known key is
    /// [`Error::Refused`].
    pub(crate) async fn write_once<T, F>(&self, repeatable: Option<Repeatable<T>>, use_case: F) -> Result<Once<T>>
    where
        F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T>> + Send + 'static,
        T: Send + 'static,
    {
        let Some(Repeatable { key, answer }) = repeatable else {
            return self.db.write(use_case).await.map(Once::Done);
        };
        self.db
            .write(move |tx| {
                async move {
                    if let Some(kept) = claim(tx, &key).await? {
                        return Ok(Once::Repeated(kept));
                    }
                    let value = use_case(tx).await?;
                    keep(tx, &key, answer(&value)).await?;
                    Ok(Once::Done(value))
                }
                .boxed()
            })
            .await
    }

    /// Forgets a key whose write came to nothing.
    pub async fn forget_idempotency_key(&self, key: IdempotencyKey) -> Result<()> {
        let sql = "DELETE FROM idempotency WHERE credential = $1 AND route = $2 AND key = $3";
        let IdempotencyKey { credential, route, key, .. } = key;
        self.db
            .write(move |tx| async move { tx.execute(sql, params![credential, route, key]).await.map(drop) }.boxed())
            .await
    }

    /// Forgets up to `rows_max` keys that are older than [`KEPT`]; tells how many.
    pub async fn forget_idempotency_keys(&self, now: Timestamp, rows_max: u32) -> Result<u64> {
        let sql = "DELETE FROM idempotency WHERE (credential, route, key) IN (
                       SELECT credential, route, key FROM idempotency WHERE created_at < $1 ORDER BY created_at LIMIT $2)";
        self.db.write(move |tx| async move { tx.execute(sql, params![now.minus(KEPT), rows_max]).await }.boxed()).await
    }
}

/// Takes the key for this transaction, or gives the answer kept under it.
async fn claim(tx: &mut Tx, key: &IdempotencyKey) -> Result<Option<KeptAnswer>> {
    // A key beyond its time is taken over as if it were new.
    let claim = "INSERT INTO idempotency (credential, route, key, body_hash, status, answer, created_at)
                 VALUES ($1, $2, $3, $4, 0, '', $5)
                 ON CONFLICT (credential, route, key) DO UPDATE
                 SET body_hash = excluded.body_hash, status = 0, answer = '', created_at = excluded.created_at
                 WHERE idempotency.created_at < $6";
    let bound =
        params![key.credential, key.route.clone(), key.key.clone(), key.body_hash, key.now, key.now.minus(KEPT)];
    if tx.execute(claim, bound).await? == 1 {
        return Ok(None);
    }
    let known = "SELECT body_hash, status, answer FROM idempotency
                 WHERE credential = $1 AND route = $2 AND key = $3";
    let row = tx.query_one(known, params![key.credential, key.route.clone(), key.key.clone()]).await?;
    let mut row = row.ok_or_else(|| Error::Corrupt("a claimed idempotency key is gone".to_owned()))?;
    if row.take::<[u8; 32]>("body_hash")? != key.body_hash {
        return Err(Error::Refused("This Idempotency-Key was used with another body.".to_owned()));
    }
    Ok(Some(KeptAnswer { status: row.take("status")?, body: row.take("answer")? }))
}

async fn keep(tx: &mut Tx, key: &IdempotencyKey, answer: KeptAnswer) -> Result<()> {
    let sql = "UPDATE idempotency SET status = $4, answer = $5 WHERE credential = $1 AND route = $2 AND key = $3";
    let bound = params![key.credential, key.route.clone(), key.key.clone(), answer.status, answer.body];
    tx.execute(sql, bound).await.map(drop)
}
