//! The table `events` in the engine.

use std::fmt;
use std::sync::Arc;

use arrow_array::builder::StringViewBuilder;
use arrow_array::cast::AsArray as _;
use arrow_array::{Array as _, ArrayRef, RecordBatch, RecordBatchOptions};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::arrow::compute::cast;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::Result as EngineResult;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{BinaryExpr, Expr, Operator, TableProviderFilterPushDown, TableType};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties};
use datafusion::scalar::ScalarValue;
use eyeline_core::Timestamp;
use uuid::Uuid;

use super::cast::timestamp;
use super::source::{COLUMNS, EventSource, ScanRequest};
use super::watch::Watch;
use crate::batch::{Columns, id_at};
use crate::error::{Error, Result};
use crate::scan::Narrow;
use crate::schema::Column;

/// The column's field. It is text if the API shows it as text.
fn field(column: Column) -> Field {
    let kind = match column {
        Column::Timestamp | Column::ReceivedAt => timestamp(true),
        Column::SchemaVersion | Column::Partition | Column::Offset => DataType::Int64,
        _ => DataType::Utf8View,
    };
    Field::new(column.name(), kind, matches!(column, Column::VisitorId | Column::SchemaVersion))
}

/// The events of a query.
#[derive(Clone)]
pub(super) struct Events {
    pub(super) source: Arc<dyn EventSource>,
    /// The value of `now()`.
    pub(super) now: Timestamp,
    pub(super) watch: Arc<Watch>,
}

impl fmt::Debug for Events {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("events")
    }
}

#[async_trait]
impl TableProvider for Events {
    fn schema(&self) -> SchemaRef {
        Arc::new(Schema::new(COLUMNS.map(field).to_vec()))
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    /// Filters that our scan can evaluate let it skip files, row groups and rows.
    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> EngineResult<Vec<TableProviderFilterPushDown>> {
        let known = |filter: &&Expr| match narrow(&mut Narrow::default(), filter) {
            Some(()) => TableProviderFilterPushDown::Exact,
            None => TableProviderFilterPushDown::Unsupported,
        };
        Ok(filters.iter().map(known).collect())
    }

    async fn scan(
        &self,
        _: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        _: Option<usize>,
    ) -> EngineResult<Arc<dyn ExecutionPlan>> {
        let mut wanted = Narrow::default();
        for filter in filters {
            narrow(&mut wanted, filter);
        }
        let columns: Vec<Column> = match projection {
            Some(projection) => projection.iter().map(|index| COLUMNS[*index]).collect(),
            None => COLUMNS.to_vec(),
        };
        let schema = Arc::new(Schema::new(columns.iter().copied().map(field).collect::<Vec<_>>()));
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema.clone()),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        let request = ScanRequest { columns, wanted };
        Ok(Arc::new(Scan { events: self.clone(), request, schema, properties: Arc::new(properties) }))
    }
}

/// Narrows the filter by the expression. `None` if a filter cannot express it.
fn narrow(filter: &mut Narrow, expression: &Expr) -> Option<()> {
    let Expr::BinaryExpr(BinaryExpr { left, op, right }) = expression else { return None };
    let (column, op, value) = match (&**left, &**right) {
        (Expr::Column(column), Expr::Literal(value, _)) => (column, *op, value),
        (Expr::Literal(value, _), Expr::Column(column)) => (column, op.swap()?, value),
        _ => return None,
    };
    let column = COLUMNS.into_iter().find(|known| known.name() == column.name())?;
    if column == Column::Timestamp {
        return narrow_time(filter, op, value);
    }
    if op != Operator::Eq {
        return None;
    }
    let text = value.try_as_str()??;
    // Only an id in our spelling can be equal.
    let id = || text.parse::<Uuid>().ok().filter(|id| id.to_string() == text);
    let fits = match column {
        Column::ApplicationId => {
            let id = id()?.into();
            *filter.application_id.get_or_insert(id) == id
        }
        Column::SessionId => {
            let id = id()?.into();
            *filter.session_id.get_or_insert(id) == id
        }
        Column::Category => filter.category.get_or_insert_with(|| text.to_owned()) == text,
        Column::Name => filter.name.get_or_insert_with(|| text.to_owned()) == text,
        _ => return None,
    };
    if !fits {
        // Nothing equals two values.
        filter.to = Some(i64::MIN);
    }
    Some(())
}

fn narrow_time(filter: &mut Narrow, op: Operator, value: &ScalarValue) -> Option<()> {
    let ScalarValue::TimestampMicrosecond(Some(at), _) = value else { return None };
    let (at, after) = (*at, at.checked_add(1)?);
    let (from, to) = match op {
        Operator::GtEq => (Some(at), None),
        Operator::Gt => (Some(after), None),
        Operator::Lt => (None, Some(at)),
        Operator::LtEq => (None, Some(after)),
        Operator::Eq => (Some(at), Some(after)),
        _ => return None,
    };
    filter.from = filter.from.max(from);
    if let Some(to) = to {
        filter.to = Some(filter.to.map_or(to, |known| known.min(to)));
    }
    Some(())
}

/// One scan of the table.
#[derive(Debug)]
struct Scan {
    events: Events,
    request: ScanRequest,
    schema: SchemaRef,
    properties: Arc<PlanProperties>,
}

impl DisplayAs for Scan {
    fn fmt_as(&self, _: DisplayFormatType, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "events {:?}", self.request.columns)
    }
}

impl ExecutionPlan for Scan {
    fn name(&self) -> &str {
        "Scan"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> EngineResult<TreeNodeRecursion>,
    ) -> EngineResult<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(self: Arc<Self>, _: Vec<Arc<dyn ExecutionPlan>>) -> EngineResult<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn execute(&self, _: usize, _: Arc<TaskContext>) -> EngineResult<SendableRecordBatchStream> {
        let Events { source, watch, .. } = self.events.clone();
        let mut rows = source.open(&self.request).map_err(|error| watch.fail(error))?;
        let (columns, schema) = (self.request.columns.clone(), self.schema.clone());
        let mut next = move || -> Result<Option<RecordBatch>> {
            watch.budget.check()?;
            rows()?.map(|batch| shown(&batch, &columns, &schema)).transpose()
        };
        let watch = self.events.watch.clone();
        let batches = std::iter::from_fn(move || next().map_err(|error| watch.fail(error)).transpose());
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema.clone(), futures::stream::iter(batches))))
    }
}

/// The batch with the columns and types of the table.
fn shown(batch: &RecordBatch, columns: &[Column], schema: &SchemaRef) -> Result<RecordBatch> {
    let from = Columns(batch);
    let column = |column: &Column| -> Result<ArrayRef> {
        let stored = from.column(*column)?;
        Ok(match column {
            Column::EventId | Column::ApplicationId | Column::SessionId => spelled(stored)?,
            _ => cast(stored, field(*column).data_type())?,
        })
    };
    let columns = columns.iter().map(column).collect::<Result<Vec<_>>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(RecordBatch::try_new_with_options(schema.clone(), columns, &options)?)
}

/// Spells UUIDs as text.
fn spelled(ids: &ArrayRef) -> Result<ArrayRef> {
    let ids = ids.as_fixed_size_binary_opt().ok_or_else(|| Error::Broken("an id is of another type".to_owned()))?;
    let bytes = u32::try_from(36 * ids.len()).unwrap_or(u32::MAX).max(1);
    let mut texts = StringViewBuilder::with_capacity(ids.len()).with_fixed_block_size(bytes);
    let mut text = Uuid::encode_buffer();
    for row in 0..ids.len() {
        texts.append_value(Uuid::from_u128(id_at(ids, row)).hyphenated().encode_lower(&mut text));
    }
    Ok(Arc::new(texts.finish()))
}
