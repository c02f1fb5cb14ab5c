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

    /// Stores the hash of the one ticket that signs the operator in, in place of the node's last one. `until`:
    /// microseconds, when the ticket expires.
    pub async fn set_admin_ticket(&self, node: &str, hash: &str, until: i64) -> Result<()> {
        self.set_fact(format!("admin_ticket:{node}"), format!("{hash} {until}")).await
    }

    /// Deletes a ticket; true when it was known and had not expired at `now`, in microseconds.
    pub async fn use_admin_ticket(&self, hash: &str, now: i64) -> Result<bool> {
        let pattern = format!("{hash} %");
        let select = "SELECT value FROM facts WHERE name LIKE 'admin_ticket:%' AND value LIKE $1";
        let delete = "DELETE FROM facts WHERE name LIKE 'admin_ticket:%' AND value LIKE $1";
        self.db
            .write(move |tx| {
                async move {
                    let row = tx.query_one(select, params![pattern.clone()]).await?;
                    let Some(value) = row.map(|mut row| row.take::<String>("value")).transpose()? else {
                        return Ok(false);
                    };
                    // Two that come with one ticket both read it; one deletes it.
                    let was_there = tx.execute(delete, params![pattern]).await? > 0;
                    let until = value.rsplit(' ').next().and_then(|until| until.parse().ok()).unwrap_or(0);
                    Ok(was_there && now < until)
                }
                .boxed()
            })
            .await
    }

    async fn set_fact(&self, name: String, value: String) -> Result<()> {
        let sql = "INSERT INTO facts (name, value) VALUES ($1, $2)
                   ON CONFLICT (name) DO UPDATE SET value = excluded.value";
        self.db.write(move |tx| async move { tx.execute(sql, params![name, value]).await.map(drop) }.boxed()).await
    }
}
