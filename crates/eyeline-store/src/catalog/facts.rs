//! Single values of the installation.

use futures::FutureExt as _;

use super::Catalog;
use crate::error::Result;
use crate::params;

/// The offset of the test clock, in microseconds.
const CLOCK_OFFSET: &str = "clock_offset";

const SET_FACT: &str = "INSERT INTO facts (name, value) VALUES ($1, $2)
                        ON CONFLICT (name) DO UPDATE SET value = excluded.value";

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

    /// Ends a browser's session before `until`, when it would end by itself, and forgets those that have by `now`.
    /// Microseconds both.
    pub async fn end_session(&self, hash: &str, until: i64, now: i64) -> Result<()> {
        let name = format!("ended_session:{hash}");
        // Compared as texts of one length.
        let (until, now) = (format!("{until:020}"), format!("{now:020}"));
        let forget = "DELETE FROM facts WHERE name LIKE 'ended_session:%' AND value <= $1";
        self.db
            .write(move |tx| {
                async move {
                    tx.execute(forget, params![now]).await?;
                    tx.execute(SET_FACT, params![name, until]).await.map(drop)
                }
                .boxed()
            })
            .await
    }

    /// Whether a browser's session was ended by [`Catalog::end_session`].
    pub async fn is_session_ended(&self, hash: &str) -> Result<bool> {
        let name = format!("ended_session:{hash}");
        let sql = "SELECT name FROM facts WHERE name = $1";
        self.db.read(move |tx| async move { Ok(tx.query_one(sql, params![name]).await?.is_some()) }.boxed()).await
    }

    async fn set_fact(&self, name: String, value: String) -> Result<()> {
        self.db.write(move |tx| async move { tx.execute(SET_FACT, params![name, value]).await.map(drop) }.boxed()).await
    }
}
