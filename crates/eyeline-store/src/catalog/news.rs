//! News for the subscribers of a project, numbered without gaps and kept for a limited time.

use std::collections::BTreeMap;

use eyeline_core::{ImageId, ImageState, ProjectId, Timestamp};
use futures::FutureExt as _;

use super::Catalog;
use super::idempotency::{Once, Repeatable};
use crate::error::{Error, Result};
use crate::params;
use crate::sql::{Row, Tx, Value};

/// An image changed its state.
pub const IMAGE_STATE: &str = "image.state";
/// Events were quarantined.
pub const EVENTS_QUARANTINED: &str = "events.quarantined";

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct News {
    /// Rises by one within a project.
    pub seq: u64,
    pub at: Timestamp,
    /// [`IMAGE_STATE`] or [`EVENTS_QUARANTINED`].
    pub kind: String,
    pub image_id: Option<ImageId>,
    /// The state at that time; the image may have another one now.
    pub state: Option<ImageState>,
}

/// One page of news.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewsPage {
    /// The number of the project's newest news.
    pub newest: u64,
    /// Requested news are deleted or never existed: the reader must start over from `newest`.
    pub gap: bool,
    pub news: Vec<News>,
}

impl Catalog {
    /// Up to `limit` news after number `after`, in order.
    pub async fn news(&self, project_id: ProjectId, after: u64, limit: u32) -> Result<NewsPage> {
        let newest = "SELECT news_seq FROM projects WHERE project_id = $1 AND deleted_at IS NULL";
        let news = "SELECT seq, at, type, image_id, state FROM news
                    WHERE project_id = $1 AND seq > $2
                    ORDER BY seq
                    LIMIT $3";
        self.db
            .read(move |tx| {
                async move {
                    let row = tx.query_one(newest, params![project_id]).await?;
                    let newest: u64 = row.ok_or(Error::NotFound("project"))?.take("news_seq")?;
                    let rows = tx.query(news, params![project_id, after, limit]).await?;
                    let news = rows.into_iter().map(read).collect::<Result<Vec<_>>>()?;
                    let gap = match news.last() {
                        Some(last) => last.seq - after != news.len() as u64,
                        None => after != newest,
                    };
                    Ok(NewsPage { newest, gap, news })
                }
                .boxed()
            })
            .await
    }

    /// The number of the project's newest news; 0 if there was none.
    pub async fn newest_news(&self, project_id: ProjectId) -> Result<u64> {
        let sql = "SELECT news_seq FROM projects WHERE project_id = $1 AND deleted_at IS NULL";
        self.db
            .read(move |tx| {
                async move {
                    let row = tx.query_one(sql, params![project_id]).await?;
                    row.ok_or(Error::NotFound("project"))?.take("news_seq")
                }
                .boxed()
            })
            .await
    }

    /// Deletes up to `rows_max` news from before `before`. Returns their number.
    pub async fn forget_news(&self, before: Timestamp, rows_max: u32) -> Result<u64> {
        let sql = "DELETE FROM news WHERE (project_id, seq) IN
                       (SELECT project_id, seq FROM news WHERE at < $1 ORDER BY at LIMIT $2)";
        self.db.write(move |tx| async move { tx.execute(sql, params![before, rows_max]).await }.boxed()).await
    }

    /// Stores the hash of a ticket that opens streams of a project for the holder of `credential`, also a hash.
    pub async fn create_stream_ticket(
        &self,
        ticket_hash: [u8; 32],
        project_id: ProjectId,
        credential: [u8; 32],
        expires_at: Timestamp,
        repeatable: Option<Repeatable<()>>,
    ) -> Result<Once<()>> {
        let sql =
            "INSERT INTO stream_tickets (ticket_hash, project_id, credential, expires_at) VALUES ($1, $2, $3, $4)";
        self.write_once(repeatable, move |tx| {
            async move { tx.execute(sql, params![ticket_hash, project_id, credential, expires_at]).await.map(drop) }
                .boxed()
        })
        .await
    }

    /// Uses a ticket. Returns the hash of its credential, or `None` if the ticket is used, expired or of another
    /// project. A ticket for an event stream opens that again, because browsers reconnect with the same address. A
    /// ticket for a WebSocket works once.
    pub async fn use_stream_ticket(
        &self,
        ticket_hash: [u8; 32],
        project_id: ProjectId,
        websocket: bool,
        now: Timestamp,
    ) -> Result<Option<[u8; 32]>> {
        let sql = "UPDATE stream_tickets SET used_for = $3
                   WHERE ticket_hash = $1 AND project_id = $2 AND expires_at > $4
                     AND (used_for IS NULL OR (used_for = 'sse' AND $3 = 'sse'))
                   RETURNING credential";
        let used_for = if websocket { "websocket" } else { "sse" };
        self.db
            .write(move |tx| {
                async move {
                    let row = tx.query_one(sql, params![ticket_hash, project_id, used_for, now]).await?;
                    row.map(|mut row| row.take("credential")).transpose()
                }
                .boxed()
            })
            .await
    }

    /// Deletes up to `rows_max` expired tickets. Returns their number.
    pub async fn forget_stream_tickets(&self, now: Timestamp, rows_max: u32) -> Result<u64> {
        let sql = "DELETE FROM stream_tickets WHERE ticket_hash IN
                       (SELECT ticket_hash FROM stream_tickets WHERE expires_at < $1 ORDER BY expires_at LIMIT $2)";
        self.db.write(move |tx| async move { tx.execute(sql, params![now, rows_max]).await }.boxed()).await
    }
}

fn read(mut row: Row) -> Result<News> {
    Ok(News {
        seq: row.take("seq")?,
        at: row.take("at")?,
        kind: row.take("type")?,
        image_id: row.take("image_id")?,
        state: row.take("state")?,
    })
}

/// News about to be numbered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Item {
    pub project_id: ProjectId,
    pub kind: &'static str,
    pub image_id: Option<ImageId>,
    pub state: Option<ImageState>,
}

impl Item {
    pub(crate) fn image(project_id: ProjectId, image_id: ImageId, state: ImageState) -> Self {
        Item { project_id, kind: IMAGE_STATE, image_id: Some(image_id), state: Some(state) }
    }
}

/// Appends news at the end of a transaction. Until the commit no other transaction of the project gets a number, so
/// that numbers become visible in order. Returns each project's newest number, for hints after the commit.
pub(crate) async fn append(tx: &mut Tx, at: Timestamp, items: &[Item]) -> Result<Vec<(ProjectId, u64)>> {
    let mut by_project = BTreeMap::<ProjectId, Vec<&Item>>::new();
    for item in items {
        by_project.entry(item.project_id).or_default().push(item);
    }
    let number = "UPDATE projects SET news_seq = news_seq + $2 WHERE project_id = $1 RETURNING news_seq";
    let insert = "INSERT INTO news (project_id, seq, at, type, image_id, state) VALUES {rows}";
    let mut newest = Vec::with_capacity(by_project.len());
    let mut rows: Vec<Vec<Value>> = Vec::with_capacity(items.len());
    for (project_id, items) in by_project {
        let count = items.len() as u64;
        let row = tx.query_one(number, params![project_id, count]).await?;
        let last: u64 = row.ok_or(Error::NotFound("project"))?.take("news_seq")?;
        rows.extend((last - count + 1..).zip(items).map(|(seq, item)| {
            vec![project_id.into(), seq.into(), at.into(), item.kind.into(), item.image_id.into(), item.state.into()]
        }));
        newest.push((project_id, last));
    }
    tx.execute_rows(insert, &rows).await?;
    Ok(newest)
}
