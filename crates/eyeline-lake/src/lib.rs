//! The event lake: events in Parquet files, and the queries over them.
//!
//! A file is immutable. Its rows are sorted by ([project], time, offset), so that a query over one project and a span
//! of time reads few row groups. Sorted files also let events of many files be walked in the order of time by merging
//! them: following a visitor needs no join and no sort.
//!
//! This crate does not know which files exist. The caller passes a list of them, and the events that are not flushed
//! yet, both of one snapshot. Reading functions block their thread; inside a Tokio runtime, call them on a blocking
//! thread.
//!
//! [project]: eyeline_core::ProjectId

mod arrival;
mod batch;
mod budget;
mod compact;
mod erase;
mod error;
mod file;
mod list;
mod merge;
mod questions;
mod scan;
mod schema;
mod sql;
mod write;
mod zone;

pub use arrival::{Arrivals, in_order_of_arrival};
pub use batch::{Record, tail};
pub use budget::{Budget, Held, Memory};
pub use compact::{MERGE_BYTES_MAX, compact, fit_together, merge_at_once};
pub use erase::{HiddenEvents, count_hidden, count_hidden_acts, write_after, write_without};
pub use error::{Error, Result};
pub use file::{FOOTERS_BYTES_MAX, FileRef, Files};
pub use list::{Found, Order, Place, find, list};
pub use questions::buckets::Buckets;
pub use questions::counts::{Count, CountQuestion, Group, counts};
pub use questions::features::{Feature, features};
pub use questions::funnel::{FunnelStep, funnel};
pub use questions::galleries::{Acts, GalleryReport, gallery};
pub use questions::interval::Interval;
pub use questions::paths::{Anchor, Path, PathQuestion, Paths, paths};
pub use questions::retention::{Cohort, Retention, retention};
pub use questions::{EventType, SILENCE};
pub use scan::{Filter, Hidden, Snapshot};
pub use sql::worker::{self as sql_worker, SqlWorker};
pub use sql::{
    EventSource, ProjectEvents, QUERY_BYTES_MAX, Rows, ScanRequest, SqlAnswer, SqlQuestion, Table, TableColumn, answer,
    on_deep_stack,
};
pub use write::{Facts, FileWriter, write_records};
pub use zone::Zone;
