//! SQL over the events of a project, for what no other question asks.
//!
//! The engine is DataFusion. It is given one table and can reach nothing else: it has no catalog of files, no functions that
//! read, and statements that do anything but select are refused before they are planned. A query runs on one thread of its
//! own, whose stack holds the deepest query that is taken.

mod answer;
mod arrow;
mod cast;
mod decimal;
mod events;
mod functions;
mod json;
mod math;
mod numbers;
mod own;
mod pattern;
mod percentile;
mod plan;
mod planner;
mod spans;
mod syntax;
mod time_format;
mod time_functions;
mod times;
mod verify;
mod watch;

use std::sync::Arc;
use std::thread;

use datafusion::error::DataFusionError;
use datafusion::execution::TaskContext;
use eyeline_core::Timestamp;
use futures::StreamExt as _;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::budget::Budget;
use crate::error::{Error, Result};
use crate::file::Files;
use crate::scan::{Filter, Snapshot};
pub(crate) use times::parse_timestamp;

use answer::{Rows, Writer};
use arrow::ArrowWriter;
use events::Events;
use watch::Watch;

/// Bytes of a query at the most.
pub const QUERY_BYTES_MAX: usize = 16 * 1024;
/// What planning a query of that size may need; only what is used is taken.
const STACK_BYTES: usize = 256 * 1024 * 1024;

/// What a query gave.
#[derive(Debug)]
pub struct Table {
    pub columns: Vec<TableColumn>,
    /// A JSON array with an object for each row.
    pub rows: Box<RawValue>,
    /// There are more rows than were asked for, or than an answer can hold.
    pub truncated: bool,
}

/// The same as an Arrow IPC stream.
#[derive(Debug)]
pub struct ArrowTable {
    /// Columns have types that every reader of Arrow knows, and the type's name in [`TableColumn`] as metadata.
    pub stream: Vec<u8>,
    /// There are more rows than were asked for, or than an answer can hold.
    pub truncated: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TableColumn {
    pub name: String,
    /// `text`, `integer`, `number`, `boolean`, `timestamp`, `date`, `time`, `interval` or `null`.
    pub kind: &'static str,
}

/// Answers a `SELECT` over the table `events`, which holds those that the filter wants, with at most `rows_max` rows. `now` is
/// what `now()` gives. What is wrong with the query is [`Error::Query`].
pub fn sql(
    files: &Files,
    snapshot: &Snapshot,
    filter: &Filter,
    query: &str,
    rows_max: usize,
    now: Timestamp,
    budget: &Budget,
) -> Result<Table> {
    run::<Writer>(files, snapshot, filter, query, rows_max, now, budget)
}

/// The same with the rows as an Arrow IPC stream.
pub fn sql_as_arrow(
    files: &Files,
    snapshot: &Snapshot,
    filter: &Filter,
    query: &str,
    rows_max: usize,
    now: Timestamp,
    budget: &Budget,
) -> Result<ArrowTable> {
    run::<ArrowWriter>(files, snapshot, filter, query, rows_max, now, budget)
}

fn run<R: Rows<Answer: Send + 'static>>(
    files: &Files,
    snapshot: &Snapshot,
    filter: &Filter,
    query: &str,
    rows_max: usize,
    now: Timestamp,
    budget: &Budget,
) -> Result<R::Answer> {
    if query.len() > QUERY_BYTES_MAX {
        return Err(Error::Query(format!("A query has at most {QUERY_BYTES_MAX} bytes.")));
    }
    let watch = Arc::new(Watch::new(budget.clone()));
    let events =
        Events { files: files.clone(), snapshot: snapshot.clone(), filter: filter.clone(), now, watch: watch.clone() };
    let query = query.to_owned();
    let worker = thread::Builder::new().name("sql".to_owned()).stack_size(STACK_BYTES);
    let worker = worker.spawn(move || {
        // Whatever the engine starts stays on this thread.
        let runtime = tokio::runtime::Builder::new_current_thread().build()?;
        let answer = runtime.block_on(answer::<R>(events, &query, rows_max));
        answer.map_err(|error| watch.reason(error))
    })?;
    // The engine has many corners, and the panic has been logged.
    worker
        .join()
        .unwrap_or_else(|_| Err(Error::Query("This query cannot be answered: write it in another way.".to_owned())))
}

async fn answer<R: Rows>(events: Events, query: &str, rows_max: usize) -> Result<R::Answer, DataFusionError> {
    let watch = events.watch.clone();
    let (plan, context): (_, Arc<TaskContext>) = plan::plan(events, query, rows_max).await?;
    let mut batches = datafusion::physical_plan::execute_stream(plan, context)?;
    let mut writer = R::new(&batches.schema(), rows_max)?;
    while let Some(batch) = batches.next().await {
        watch.check()?;
        if writer.is_full_with(&batch?)? {
            break;
        }
    }
    writer.finish()
}
