//! Named leases, for work that one process does at a time. They compare real time; on PostgreSQL the database's.

use std::time::Duration;

use futures::FutureExt as _;

use super::Catalog;
use crate::error::Result;
use crate::params;

impl Catalog {
    /// Claims the lease for `length` if nobody holds it. Returns the fencing token to release it with.
    pub async fn claim_lease(&self, name: &'static str, length: Duration) -> Result<Option<i64>> {
        let sql = "INSERT INTO leases (name, fence, lease_until) VALUES ($1, 1, $3)
                   ON CONFLICT (name) DO UPDATE SET fence = leases.fence + 1, lease_until = excluded.lease_until
                   WHERE leases.lease_until <= $2
                   RETURNING fence";
        self.db
            .write(move |tx| {
                async move {
                    let now = tx.real_now().await?;
                    let row = tx.query_one(sql, params![name, now, now.plus(length)]).await?;
                    row.map(|mut row| row.take("fence")).transpose()
                }
                .boxed()
            })
            .await
    }

    /// Ends the lease unless another process has claimed it since.
    pub async fn release_lease(&self, name: &'static str, fence: i64) -> Result<()> {
        let sql = "UPDATE leases SET lease_until = 0 WHERE name = $1 AND fence = $2";
        self.db.write(move |tx| async move { tx.execute(sql, params![name, fence]).await.map(drop) }.boxed()).await
    }
}
