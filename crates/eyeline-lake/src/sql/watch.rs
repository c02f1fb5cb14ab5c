//! Keeps a query within its budget in every part of the engine: each operator passes its batches through here.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use arrow_array::cast::AsArray as _;
use arrow_array::{Array, RecordBatch};
use arrow_schema::SchemaRef;
use datafusion::common::Result as EngineResult;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::DataFusionError;
use datafusion::execution::memory_pool::MemoryConsumer;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use futures::StreamExt as _;

use super::plan::in_plain_words;
use crate::budget::Budget;
use crate::error::Error;

/// The most bytes of one batch. Typical batches are below 1 MB.
const BATCH_BYTES_MAX: usize = 32 * 1024 * 1024;

/// The budget of a query, and the first error outside the engine.
#[derive(Debug)]
pub(super) struct Watch {
    pub(super) budget: Budget,
    failed: Mutex<Option<Error>>,
}

impl Watch {
    pub(super) fn new(budget: Budget) -> Self {
        Watch { budget, failed: Mutex::new(None) }
    }

    /// Fails if the query's time is over or its caller is gone.
    pub(super) fn check(&self) -> EngineResult<()> {
        self.budget.check().map_err(|error| self.fail(error))
    }

    fn check_batch(&self, batch: &RecordBatch) -> EngineResult<()> {
        self.check()?;
        if batch.get_array_memory_size() > BATCH_BYTES_MAX && bytes_of(batch) > BATCH_BYTES_MAX {
            let sentence = "The query makes texts that are too long to be kept in memory.";
            return Err(self.fail(Error::TooMuch(sentence.to_owned())));
        }
        Ok(())
    }

    /// Stores our own error, of which the engine would keep only the text.
    pub(super) fn fail(&self, error: Error) -> DataFusionError {
        let sentence = error.to_string();
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        DataFusionError::Execution(sentence)
    }

    /// The reason why the query failed.
    pub(super) fn reason(&self, error: DataFusionError) -> Error {
        let own = self.failed.lock().unwrap_or_else(PoisonError::into_inner).take();
        own.unwrap_or_else(|| in_plain_words(&error))
    }
}

/// The bytes of the batch's own rows, also if it is a part of another batch.
fn bytes_of(batch: &RecordBatch) -> usize {
    batch.columns().iter().map(|column| bytes_of_rows(column)).fold(0, usize::saturating_add)
}

/// The bytes that the rows would take alone, without sharing.
pub(super) fn bytes_of_rows(array: &dyn Array) -> usize {
    let texts = array.as_string_view_opt().map_or(0, |texts| texts.lengths().map(|length| length as usize).sum());
    array.to_data().get_slice_memory_size().map_or(usize::MAX, |bytes| bytes.saturating_add(texts))
}

/// Passes the batches of its input on while the query is within its budget.
#[derive(Debug)]
pub(super) struct Watched {
    input: Arc<dyn ExecutionPlan>,
    watch: Arc<Watch>,
    /// True if the next operator keeps all rows without counting them; they are counted here.
    held: bool,
}

impl Watched {
    pub(super) fn new(input: Arc<dyn ExecutionPlan>, watch: Arc<Watch>, held: bool) -> Self {
        Watched { input, watch, held }
    }
}

impl DisplayAs for Watched {
    fn fmt_as(&self, _: DisplayFormatType, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Watched")
    }
}

impl ExecutionPlan for Watched {
    fn name(&self) -> &str {
        "Watched"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.input.properties()
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> EngineResult<TreeNodeRecursion>,
    ) -> EngineResult<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> EngineResult<Arc<dyn ExecutionPlan>> {
        let input = children.into_iter().next().unwrap_or_else(|| self.input.clone());
        Ok(Arc::new(Watched { input, watch: self.watch.clone(), held: self.held }))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> EngineResult<SendableRecordBatchStream> {
        let watch = self.watch.clone();
        let held = self.held.then(|| MemoryConsumer::new("rows of a window").register(context.memory_pool()));
        let input = self.input.execute(partition, context)?;
        let schema: SchemaRef = input.schema();
        let batches = input.map(move |batch| {
            let batch = batch?;
            watch.check_batch(&batch)?;
            if let Some(held) = &held {
                held.try_grow(bytes_of(&batch))?;
            }
            Ok(batch)
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, batches)))
    }
}
