//! The seam through which planning and computing get the rows of the table `events`. Behind it are the files of one
//! project, in this process or another.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow_array::{RecordBatch, RecordBatchOptions, UInt32Array};
use arrow_schema::{Schema, SchemaRef};
use serde::{Deserialize, Serialize};

use crate::batch::Columns;
use crate::budget::Budget;
use crate::error::{Error, Result};
use crate::file::Files;
use crate::scan::{Filter, Narrow, Snapshot, Source};
use crate::schema::Column;

/// The columns of the table: the fields of an event in the API, and its offset.
pub(super) const COLUMNS: [Column; 12] = [
    Column::EventId,
    Column::ApplicationId,
    Column::SessionId,
    Column::VisitorId,
    Column::Category,
    Column::Name,
    Column::Data,
    Column::Timestamp,
    Column::ReceivedAt,
    Column::SchemaVersion,
    Column::Partition,
    Column::Offset,
];

/// One scan of the table.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ScanRequest {
    pub(super) columns: Vec<Column>,
    pub(super) wanted: Narrow,
}

/// Returns the next batch of rows as files store them, and `None` at the end.
pub type Rows = Box<dyn FnMut() -> Result<Option<RecordBatch>> + Send>;

/// Opens scans of the table.
pub trait EventSource: fmt::Debug + Send + Sync {
    /// The wanted rows, in no order.
    fn open(&self, request: &ScanRequest) -> Result<Rows>;
}

/// The events of one project, in files or not flushed yet.
#[derive(Clone)]
pub struct ProjectEvents {
    files: Files,
    snapshot: Snapshot,
    filter: Filter,
    budget: Budget,
    /// Bytes of the row groups that open scans hold.
    held: Arc<AtomicUsize>,
}

impl fmt::Debug for ProjectEvents {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("events of a project")
    }
}

impl ProjectEvents {
    /// The table holds the events that the filter accepts. `budget` bounds the reading.
    pub fn new(files: &Files, snapshot: &Snapshot, filter: &Filter, budget: &Budget) -> Self {
        ProjectEvents {
            files: files.clone(),
            snapshot: snapshot.clone(),
            filter: filter.clone(),
            budget: budget.clone(),
            held: Arc::default(),
        }
    }

    /// Counts the memory of a scan until the result is dropped.
    fn hold(&self, bytes: usize) -> Result<Held> {
        let held = Held { bytes, of_all: self.held.clone() };
        if self.held.fetch_add(bytes, Ordering::Relaxed) + bytes > self.budget.bytes_max / 2 {
            return Err(Error::TooMuch(
                "Reading the events takes more memory than a question may use: read the table fewer times at once, or fewer \
                 columns of it."
                    .to_owned(),
            ));
        }
        Ok(held)
    }
}

struct Held {
    bytes: usize,
    of_all: Arc<AtomicUsize>,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.of_all.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl EventSource for ProjectEvents {
    fn open(&self, request: &ScanRequest) -> Result<Rows> {
        let ScanRequest { columns, wanted } = request;
        if columns.len() > COLUMNS.len() || !columns.iter().all(|column| COLUMNS.contains(column)) {
            return Err(Error::Broken("a query asked for columns that the table does not have".to_owned()));
        }
        let sources = Source::of(&self.files, &self.snapshot, &self.filter.narrowed(wanted), columns)?;
        // A scan reads one row group at a time.
        let held = self.hold(sources.iter().map(Source::bytes).max().unwrap_or(0))?;
        let schema = Arc::new(Schema::new(columns.iter().map(|column| column.field()).collect::<Vec<_>>()));
        let (budget, columns) = (self.budget.clone(), columns.clone());
        let mut sources = sources.into_iter();
        let mut current = sources.next();
        Ok(Box::new(move || {
            let _held = &held;
            while let Some(source) = &mut current {
                if let Some((batch, rows)) = source.next(&budget)? {
                    return picked(&batch, rows, &columns, &schema).map(Some);
                }
                current = sources.next();
            }
            Ok(None)
        }))
    }
}

/// These rows and columns of the batch.
fn picked(batch: &RecordBatch, rows: Vec<u32>, columns: &[Column], schema: &SchemaRef) -> Result<RecordBatch> {
    let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
    let some = (rows.len() < batch.num_rows()).then(|| UInt32Array::from(rows));
    let from = Columns(batch);
    let pick = |column: &Column| {
        let all = from.column(*column)?;
        Ok(match &some {
            Some(rows) => arrow_select::take::take(all, rows, None)?,
            None => all.clone(),
        })
    };
    let columns = columns.iter().map(pick).collect::<Result<Vec<_>>>()?;
    Ok(RecordBatch::try_new_with_options(schema.clone(), columns, &options)?)
}
