//! SQL over the events of a project.
//!
//! The engine is DataFusion. It gets one table and can reach nothing else: it has no catalog of files and no functions
//! that read. Statements other than SELECT are rejected before planning. None of its operators is trusted with time or
//! memory. A server plans and computes queries in a [worker process](worker), which asks for rows of the table and is
//! killed at its deadline. [`answer`] and [`EventSource`] are the two sides of that boundary.

mod arrow;
mod cast;
mod decimal;
mod events;
mod functions;
mod json;
mod json_rows;
mod math;
mod numbers;
mod own;
mod parquet_rows;
mod pattern;
mod percentile;
mod plan;
mod planner;
mod source;
mod spans;
mod syntax;
mod time_format;
mod time_functions;
mod times;
mod verify;
mod watch;
pub mod worker;

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};

use datafusion::error::DataFusionError;
use datafusion::execution::TaskContext;
use eyeline_core::Timestamp;
use futures::StreamExt as _;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::budget::Budget;
use crate::error::{Error, Result};
pub use source::{EventSource, ProjectEvents, Rows, ScanRequest};
pub(crate) use times::parse_timestamp;

use arrow::ArrowWriter;
use events::Events;
use watch::Watch;

/// The most bytes of a query.
pub const QUERY_BYTES_MAX: usize = 16 * 1024;
/// The stack for planning a query of that size. Only used pages take memory.
const STACK_BYTES: usize = 256 * 1024 * 1024;

/// A query and its limits.
#[derive(Clone, Debug)]
pub struct SqlQuestion {
    /// One `SELECT` over the table `events`.
    pub query: String,
    /// The most rows of the answer.
    pub rows_max: usize,
    /// The value of `now()`.
    pub now: Timestamp,
}

/// The rows of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SqlAnswer {
    /// An Arrow IPC stream. Column types are known to every Arrow reader; the metadata holds the type's name of
    /// [`TableColumn`].
    pub stream: Vec<u8>,
    /// True if there are more rows than requested, or than an answer can hold.
    pub truncated: bool,
}

impl SqlAnswer {
    /// The rows as JSON, in the spelling of other answers.
    pub fn into_table(self) -> Result<Table> {
        json_rows::table(&self).map_err(broken)
    }

    /// The rows as a Parquet file, with the columns of the Arrow stream.
    pub fn into_parquet(self) -> Result<Vec<u8>> {
        parquet_rows::file(&self)
    }
}

fn broken(error: DataFusionError) -> Error {
    match error {
        DataFusionError::ResourcesExhausted(_) => plan::in_plain_words(&error),
        _ => Error::Broken(format!("the answer of a query: {error}")),
    }
}

/// An answer as JSON.
#[derive(Debug)]
pub struct Table {
    pub columns: Vec<TableColumn>,
    /// A JSON array with an object for each row.
    pub rows: Box<RawValue>,
    /// True if there are more rows than requested, or than an answer can hold.
    pub truncated: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TableColumn {
    pub name: String,
    /// `text`, `integer`, `number`, `boolean`, `timestamp`, `date`, `time`, `interval` or `null`.
    pub kind: &'static str,
}

/// Runs the work on a thread with enough stack to plan the deepest accepted query.
pub fn on_deep_stack<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> io::Result<JoinHandle<T>> {
    Builder::new().name("sql".to_owned()).stack_size(STACK_BYTES).spawn(work)
}

/// Plans and computes a query over the rows of `source`. A mistake in the query is [`Error::Query`]. Needs a [deep
/// stack](on_deep_stack). The budget is checked between batches and binds no operator of the engine, so a server calls
/// this in a worker process.
pub fn answer(source: Arc<dyn EventSource>, question: &SqlQuestion, budget: &Budget) -> Result<SqlAnswer> {
    let SqlQuestion { query, rows_max, now } = question;
    if query.len() > QUERY_BYTES_MAX {
        return Err(Error::Query(format!("A query has at most {QUERY_BYTES_MAX} bytes.")));
    }
    let watch = Arc::new(Watch::new(budget.clone()));
    let events = Events { source, now: *now, watch: watch.clone() };
    // The engine's tasks stay on this thread.
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let computed = catch_unwind(AssertUnwindSafe(|| runtime.block_on(compute(events, query, *rows_max))));
    match computed {
        Ok(answer) => answer.map_err(|error| watch.reason(error)),
        // The engine has rare panics; this one was logged.
        Err(_) => Err(Error::Query("This query cannot be answered: write it in another way.".to_owned())),
    }
}

async fn compute(events: Events, query: &str, rows_max: usize) -> Result<SqlAnswer, DataFusionError> {
    let watch = events.watch.clone();
    let (plan, context): (_, Arc<TaskContext>) = plan::plan(events, query, rows_max).await?;
    let mut batches = datafusion::physical_plan::execute_stream(plan, context)?;
    let mut writer = ArrowWriter::new(&batches.schema(), rows_max)?;
    while let Some(batch) = batches.next().await {
        watch.check()?;
        if writer.is_full_with(&batch?)? {
            break;
        }
    }
    writer.finish()
}
