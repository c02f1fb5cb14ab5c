//! SQL over the events of a project, for what no other question asks.
//!
//! The engine is DataFusion. It is given one table and can reach nothing else: it has no catalog of files, no functions that
//! read, and statements that do anything but select are refused before they are planned. No operator of it is trusted with
//! time or memory: a server has queries planned and computed in a [worker process](worker), which asks for rows of the table
//! and is killed at its deadline. [`answer`] and [`EventSource`] are the two sides of that boundary.

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

/// Bytes of a query at the most.
pub const QUERY_BYTES_MAX: usize = 16 * 1024;
/// What planning a query of that size may need; only what is used is taken.
const STACK_BYTES: usize = 256 * 1024 * 1024;

/// A query, and what it may give.
#[derive(Clone, Debug)]
pub struct SqlQuestion {
    /// One `SELECT` over the table `events`.
    pub query: String,
    /// Rows of the answer at the most.
    pub rows_max: usize,
    /// The value of `now()`.
    pub now: Timestamp,
}

/// The rows that a query gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SqlAnswer {
    /// An Arrow IPC stream. Columns have types that every reader of Arrow knows, and the type's name in [`TableColumn`] as
    /// metadata.
    pub stream: Vec<u8>,
    /// There are more rows than were asked for, or than an answer can hold.
    pub truncated: bool,
}

impl SqlAnswer {
    /// The rows as JSON, the way every other answer spells them.
    pub fn into_table(self) -> Result<Table> {
        json_rows::table(&self).map_err(|error| match error {
            DataFusionError::ResourcesExhausted(_) => plan::in_plain_words(&error),
            _ => Error::Broken(format!("the answer of a query: {error}")),
        })
    }
}

/// An answer as JSON.
#[derive(Debug)]
pub struct Table {
    pub columns: Vec<TableColumn>,
    /// A JSON array with an object for each row.
    pub rows: Box<RawValue>,
    /// There are more rows than were asked for, or than an answer can hold.
    pub truncated: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TableColumn {
    pub name: String,
    /// `text`, `integer`, `number`, `boolean`, `timestamp`, `date`, `time`, `interval` or `null`.
    pub kind: &'static str,
}

/// Runs the work on a thread whose stack holds the planning of the deepest query that is taken.
pub fn on_deep_stack<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> io::Result<JoinHandle<T>> {
    Builder::new().name("sql".to_owned()).stack_size(STACK_BYTES).spawn(work)
}

/// Plans and computes a query over the rows of `source`. What is wrong with the query is [`Error::Query`]. Needs a
/// [deep stack](on_deep_stack). The budget is looked at between batches and binds no operator of the engine: a server calls
/// this in a worker process.
pub fn answer(source: Arc<dyn EventSource>, question: &SqlQuestion, budget: &Budget) -> Result<SqlAnswer> {
    let SqlQuestion { query, rows_max, now } = question;
    if query.len() > QUERY_BYTES_MAX {
        return Err(Error::Query(format!("A query has at most {QUERY_BYTES_MAX} bytes.")));
    }
    let watch = Arc::new(Watch::new(budget.clone()));
    let events = Events { source, now: *now, watch: watch.clone() };
    // Whatever the engine starts stays on this thread.
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let computed = catch_unwind(AssertUnwindSafe(|| runtime.block_on(compute(events, query, *rows_max))));
    match computed {
        Ok(answer) => answer.map_err(|error| watch.reason(error)),
        // The engine has many corners, and the panic has been logged.
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
