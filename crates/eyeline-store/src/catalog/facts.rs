//! Single values of the installation.

use futures::FutureExt as _;
use uuid::Uuid;

use super::Catalog;
use crate::error::{Error, Result};
use crate::params;
use crate::sql::Tx;

/// The offset of the test clock, in microseconds.
const CLOCK_OFFSET: &str = "clock_offset";

/// Unused sign-in tickets of an installation.
pub const SIGN_IN_TICKETS_MAX: i64 = 10;

/// The id of the installation.
const INSTALLATION: &str = "installation";

const SET_FACT: &str = "INSERT INTO facts (name, value) VALUES ($1, $2)
                        ON CONFLICT (name) DO UPDATE SET value = excluded.value";

impl Catalog {
    /// Microseconds by which the product's clock is ahead of real time; 0 if it was never set.
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

    /// The id of the installation, which all processes on this catalog share; the first call draws it.
    pub async fn installation_id(&self) -> Result<Uuid> {
        let mut drawn = [0; 16];
        getrandom::fill(&mut drawn).map_err(|error| Error::internal("drawing an id", error))?;
        let drawn = Uuid::from_bytes(drawn).to_string();
        let known = self.db.write(move |tx| fix(tx, INSTALLATION, drawn).boxed()).await?;
        let id = known.and_then(|text| text.parse().ok());
        id.ok_or_else(|| Error::Corrupt("the id of the installation is not a UUID".to_owned()))
    }

    pub async fn set_clock_offset(&self, micros: i64) -> Result<()> {
        self.set_fact(CLOCK_OFFSET.to_owned(), micros.to_string()).await
    }

    /// Stores the hash of a sign-in ticket for the operator, which expires at `until`. Of more than
    /// [`SIGN_IN_TICKETS_MAX`], the ones that expire first end. Times are in microseconds.
    pub async fn create_sign_in_ticket(&self, hash: &str, until: i64, now: i64) -> Result<()> {
        let name = format!("sign_in_ticket:{hash}");
        // Texts of equal length compare like numbers.
        let (until, now) = (format!("{until:020}"), format!("{now:020}"));
        let forget = "DELETE FROM facts WHERE name LIKE 'sign_in_ticket:%' AND (value <= $1 OR name NOT IN
                          (SELECT name FROM facts WHERE name LIKE 'sign_in_ticket:%' ORDER BY value DESC, name LIMIT $2))";
        self.db
            .write(move |tx| {
                async move {
                    tx.execute(forget, params![now, SIGN_IN_TICKETS_MAX - 1]).await?;
                    tx.execute(SET_FACT, params![name, until]).await.map(drop)
                }
                .boxed()
            })
            .await
    }

    /// Deletes a ticket. True if it was known and had not expired at `now`, in microseconds.
    pub async fn use_sign_in_ticket(&self, hash: &str, now: i64) -> Result<bool> {
        let (name, now) = (format!("sign_in_ticket:{hash}"), format!("{now:020}"));
        let select = "SELECT name FROM facts WHERE name = $1 AND value > $2";
        let delete = "DELETE FROM facts WHERE name = $1";
        self.db
            .write(move |tx| {
                async move {
                    let is_open = tx.query_one(select, params![name.clone(), now]).await?.is_some();
                    // Of two concurrent requests with one ticket, both read it and one deletes it.
                    Ok(is_open && tx.execute(delete, params![name]).await? > 0)
                }
                .boxed()
            })
            .await
    }

    /// Ends a browser session before `until`, when it would expire. Deletes ended sessions that have expired by `now`.
    /// Both in microseconds.
    pub async fn end_session(&self, hash: &str, until: i64, now: i64) -> Result<()> {
        let name = format!("ended_session:{hash}");
        // Texts of equal length compare like numbers.
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

    /// True if [`Catalog::end_session`] ended the browser session.
    pub async fn is_session_ended(&self, hash: &str) -> Result<bool> {
        let name = format!("ended_session:{hash}");
        let sql = "SELECT name FROM facts WHERE name = $1";
        self.db.read(move |tx| async move { Ok(tx.query_one(sql, params![name]).await?.is_some()) }.boxed()).await
    }

    async fn set_fact(&self, name: String, value: String) -> Result<()> {
        self.db.write(move |tx| async move { tx.execute(SET_FACT, params![name, value]).await.map(drop) }.boxed()).await
    }
}

/// The value of a fact; `None` if it was never set.
pub(super) async fn value(tx: &mut Tx, name: &'static str) -> Result<Option<String>> {
    let row = tx.query_one("SELECT value FROM facts WHERE name = $1", params![name]).await?;
    row.map(|mut row| row.take("value")).transpose()
}

/// Sets a fact unless it is set. Returns its value.
pub(super) async fn fix(tx: &mut Tx, name: &'static str, first: String) -> Result<Option<String>> {
    let sql = "INSERT INTO facts (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING";
    tx.execute(sql, params![name, first]).await?;
    value(tx, name).await
}
