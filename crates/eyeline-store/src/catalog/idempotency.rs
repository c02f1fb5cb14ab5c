//! Idempotency keys: a repeated write returns the answer of the first one.
//!
//! One transaction claims the key, does the write and stores its answer. A repetition that arrives meanwhile waits for
//! the end of that transaction.

use std::time::Duration;

use eyeline_core::Timestamp;
use futures::FutureExt as _;
use futures::future::BoxFuture;

use super::Catalog;
use crate::error::{Error, Result};
use crate::params;
use crate::sql::Tx;

/// The lifetime of a key.
pub const KEPT: Duration = Duration::from_secs(24 * 60 * 60);

/// The key that a client sent with a write.
#[derive(Clone, Debug)]
pub struct IdempotencyKey {
    /// SHA-256 of the credential, so that clients never share keys.
    pub credential: [u8; 32],
    /// Method and path.
    pub route: String,
    pub key: String,
    /// SHA-256 of the body. Another body under the same key is refused.
    pub body_hash: [u8; 32],
    pub now: Timestamp,
}

/// A key, and how to build the stored answer from the write's outcome.
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

/// The outcome of a write that may be a repetition.
#[derive(Debug)]
pub enum Once<T> {
    Done(T),
    /// It was done before; this call wrote nothing.
    Repeated(KeptAnswer),
}

impl Catalog {
    /// Runs [`Db::write`](crate::sql::Db::write) once for each key. Returns [`Error::Refused`] for another body under a
    /// known key.
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

    /// Deletes a key whose write failed.
    pub async fn forget_idempotency_key(&self, key: IdempotencyKey) -> Result<()> {
        let sql = "DELETE FROM idempotency WHERE credential = $1 AND route = $2 AND key = $3";
        let IdempotencyKey { credential, route, key, .. } = key;
        self.db
            .write(move |tx| async move { tx.execute(sql, params![credential, route, key]).await.map(drop) }.boxed())
            .await
    }

    /// Deletes up to `rows_max` keys older than [`KEPT`]. Returns their number.
    pub async fn forget_idempotency_keys(&self, now: Timestamp, rows_max: u32) -> Result<u64> {
        let sql = "DELETE FROM idempotency WHERE (credential, route, key) IN (
                       SELECT credential, route, key FROM idempotency WHERE created_at < $1 ORDER BY created_at LIMIT $2)";
        self.db.write(move |tx| async move { tx.execute(sql, params![now.minus(KEPT), rows_max]).await }.boxed()).await
    }
}

/// Claims the key for this transaction, or returns the stored answer.
async fn claim(tx: &mut Tx, key: &IdempotencyKey) -> Result<Option<KeptAnswer>> {
    // An expired key is claimed like a new one.
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
