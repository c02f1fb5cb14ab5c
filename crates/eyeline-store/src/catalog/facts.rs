//! Single values of the installation.

use futures::FutureExt as _;

use super::Catalog;
use crate::error::Result;
use crate::params;

/// The offset of the test clock, in microseconds.
const CLOCK_OFFSET: &str = "clock_offset";

impl Catalog {
    /// Microseconds that the product's clock is set ahead of real time; zero when it never was set.
    pub async fn clock_offset(&self) -> Result<i64> {
        let sql = "SELECT value FROM facts WHERE name = $1";
        self.db
            .read(move |tx| {
                async move {
                    let row = tx.query_one(sql, params![CLOCK_OFFSET]).await?;
                    let text = row.map(|mut row| row.take::<String>("value")).transpose()?;
                    Ok(text.and_then(|text| text.parse().ok()).unwrap_or(0))
                }
                .boxed()
            })
            .await
    }

    pub async fn set_clock_offset(&self, micros: i64) -> Result<()> {
        self.set_fact(CLOCK_OFFSET.to_owned(), micros.to_string()).await
    }

    /// Keeps the hash of the one ticket that signs the operator in, in place of the node's last one.
    pub async fn set_admin_ticket(&self, node: &str, hash: String) -> Result<()> {
        self.set_fact(format!("admin_ticket:{node}"), hash).await
    }

    /// True for a ticket that is known, once: from then on it is not.
    pub async fn use_admin_ticket(&self, hash: String) -> Result<bool> {
        let sql = "DELETE FROM facts WHERE name LIKE 'admin_ticket:%' AND value = $1";
        self.db.write(move |tx| async move { Ok(tx.execute(sql, params![hash]).await? > 0) }.boxed()).await
    }

    async fn set_fact(&self, name: String, value: String) -> Result<()> {
        let sql = "INSERT INTO facts (name, value) VALUES ($1, $2)
                   ON CONFLICT (name) DO UPDATE SET value = excluded.value";
        self.db.write(move |tx| async move { tx.execute(sql, params![name, value]).await.map(drop) }.boxed()).await
    }
}
