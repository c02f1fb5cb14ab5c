//! Rows of the engine as an Arrow IPC stream: the answer of a worker, and the format for clients that compute.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::cast::AsArray as _;
use arrow_array::types::Float64Type;
use arrow_array::{Array, ArrayRef, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use datafusion::arrow::compute::cast;
use datafusion::arrow::ipc::writer::StreamWriter;
use datafusion::error::DataFusionError;

use super::SqlAnswer;
use super::cast::text;
use super::own::failed;

type Result<T, E = DataFusionError> = std::result::Result<T, E>;

/// The most bytes of an answer's rows.
pub(super) const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;

pub(super) const OUT_OF_RANGE: &str = "A result is out of the range of DOUBLE PRECISION.";

/// The metadata key of a column's type, by its name in the JSON answer.
pub(super) const TYPE: &str = "eyeline.type";

/// Writes rows until a limit of the answer is reached.
pub(super) struct ArrowWriter {
    schema: SchemaRef,
    stream: StreamWriter<Vec<u8>>,
    rows: usize,
    rows_max: usize,
    bytes: usize,
    truncated: bool,
}

impl ArrowWriter {
    pub(super) fn new(schema: &Schema, rows_max: usize) -> Result<Self> {
        require_distinct_names(schema)?;
        let field = |field: &Arc<Field>| {
            let kind = HashMap::from([(TYPE.to_owned(), kind(field.data_type()).to_owned())]);
            Field::new(field.name(), plain(field.data_type()), true).with_metadata(kind)
        };
        let schema = Arc::new(Schema::new(schema.fields().iter().map(field).collect::<Vec<_>>()));
        let stream = StreamWriter::try_new(Vec::new(), &schema)?;
        Ok(ArrowWriter { schema, stream, rows: 0, rows_max, bytes: 0, truncated: false })
    }

    /// Returns true once no more rows fit.
    pub(super) fn is_full_with(&mut self, batch: &RecordBatch) -> Result<bool> {
        let wanted = batch.num_rows().min(self.rows_max - self.rows);
        let columns = batch.columns().iter().zip(self.schema.fields());
        let columns = columns.map(|(column, field)| as_plain(&column.slice(0, wanted), field.data_type()));
        let columns: Vec<ArrayRef> = columns.collect::<Result<_>>()?;
        let (fitting, bytes) = fitting_rows(&columns, wanted, ANSWER_BYTES_MAX - self.bytes)?;
        if fitting == 0 && wanted > 0 && self.rows == 0 {
            return Err(row_too_large());
        }
        if fitting > 0 {
            let columns = columns.iter().map(|column| column.slice(0, fitting)).collect();
            self.stream.write(&RecordBatch::try_new(self.schema.clone(), columns)?)?;
        }
        self.rows += fitting;
        self.bytes += bytes;
        self.truncated = fitting < batch.num_rows();
        Ok(self.truncated)
    }

    pub(super) fn finish(mut self) -> Result<SqlAnswer> {
        self.stream.finish()?;
        Ok(SqlAnswer { stream: self.stream.into_inner()?, truncated: self.truncated })
    }
}

/// Fails if two columns of an answer have the same name.
fn require_distinct_names(schema: &Schema) -> Result<()> {
    let fields = schema.fields();
    for (index, field) in fields.iter().enumerate() {
        if fields.iter().take(index).any(|before| before.name() == field.name()) {
            let sentence = format!("Two columns are called {}: give one of them another name with AS.", field.name());
            return Err(DataFusionError::Plan(sentence));
        }
    }
    Ok(())
}

pub(super) fn row_too_large() -> DataFusionError {
    DataFusionError::ResourcesExhausted("one row of the answer is larger than an answer may be".to_owned())
}

pub(super) fn kind(of: &DataType) -> &'static str {
    match of {
        DataType::Null => "null",
        DataType::Boolean => "boolean",
        DataType::Float16 | DataType::Float32 | DataType::Float64 => "number",
        DataType::Decimal128(_, 0) => "integer",
        DataType::Decimal32(..) | DataType::Decimal64(..) | DataType::Decimal128(..) | DataType::Decimal256(..) => {
            "number"
        }
        DataType::Timestamp(..) => "timestamp",
        DataType::Date32 | DataType::Date64 => "date",
        DataType::Time32(_) | DataType::Time64(_) => "time",
        DataType::Duration(_) | DataType::Interval(_) => "interval",
        DataType::Dictionary(_, values) => kind(values),
        integer if integer.is_integer() => "integer",
        _ => "text",
    }
}

/// The type in which a column is sent. Every Arrow reader knows these types.
pub(super) fn plain(of: &DataType) -> DataType {
    match of {
        DataType::Dictionary(_, values) => plain(values),
        DataType::Timestamp(_, zone) => DataType::Timestamp(TimeUnit::Microsecond, zone.as_ref().map(|_| "UTC".into())),
        DataType::Date32 | DataType::Date64 => DataType::Date32,
        DataType::Time32(_) | DataType::Time64(_) => DataType::Time64(TimeUnit::Microsecond),
        DataType::Decimal32(digits, scale) | DataType::Decimal64(digits, scale) => {
            DataType::Decimal128(*digits, *scale)
        }
        DataType::Float16 => DataType::Float32,
        known @ (DataType::Null
        | DataType::Boolean
        | DataType::Float32
        | DataType::Float64
        | DataType::Decimal128(..)
        | DataType::Decimal256(..)) => known.clone(),
        integer if integer.is_integer() => integer.clone(),
        _ => DataType::Utf8,
    }
}

fn as_plain(column: &ArrayRef, to: &DataType) -> Result<ArrayRef> {
    match column.data_type() {
        DataType::Interval(_) | DataType::Duration(_) => {
            let value = |row| if column.is_null(row) { Ok(None) } else { text(column, row).map(Some) };
            Ok(Arc::new((0..column.len()).map(value).collect::<Result<StringArray>>()?))
        }
        DataType::Float64 if column.as_primitive::<Float64Type>().iter().flatten().any(|value| !value.is_finite()) => {
            failed(OUT_OF_RANGE)
        }
        _ => Ok(cast(column, to)?),
    }
}

/// The number of leading rows that fit into `room` bytes, and their bytes.
fn fitting_rows(columns: &[ArrayRef], rows: usize, room: usize) -> Result<(usize, usize)> {
    let bytes_of = |rows: usize| {
        let bytes = columns.iter().map(|column| column.slice(0, rows).to_data().get_slice_memory_size());
        bytes.sum::<Result<usize, _>>()
    };
    let (mut fitting, mut beyond) = (0, rows + 1);
    while beyond - fitting > 1 {
        let middle = if beyond > rows { rows } else { fitting.midpoint(beyond) };
        if bytes_of(middle)? <= room {
            fitting = middle;
        } else {
            beyond = middle;
        }
    }
    Ok((fitting, bytes_of(fitting)?))
}

#[cfg(test)]
mod tests {
    use arrow_array::types::{Decimal128Type, Int64Type, TimestampMicrosecondType};
    use arrow_array::{
        Decimal128Array, Float64Array, Int64Array, IntervalMonthDayNanoArray, LargeStringArray,
        TimestampNanosecondArray,
    };
    use arrow_schema::IntervalUnit;
    use datafusion::arrow::array::types::IntervalMonthDayNano;
    use datafusion::arrow::ipc::reader::StreamReader;

    use super::*;

    fn written(columns: Vec<(&str, ArrayRef)>, rows_max: usize) -> (Vec<RecordBatch>, bool) {
        let columns = columns.into_iter().map(|(name, column)| (name, column, true));
        let batch = RecordBatch::try_from_iter_with_nullable(columns).expect("a batch");
        let mut writer = ArrowWriter::new(&batch.schema(), rows_max).expect("columns");
        writer.is_full_with(&batch).expect("rows");
        let table = writer.finish().expect("a stream");
        let stream = StreamReader::try_new(table.stream.as_slice(), None).expect("a stream");
        (stream.map(|batch| batch.expect("a batch")).collect(), table.truncated)
    }

    #[test]
    fn every_column_has_a_type_that_readers_know_and_its_values() {
        let decimals = Decimal128Array::from(vec![-12_345, 5]).with_precision_and_scale(10, 3).expect("decimals");
        let interval = IntervalMonthDayNano::new(0, 1, 0);
        let (batches, truncated) = written(
            vec![
                ("n", Arc::new(Int64Array::from(vec![Some(i64::MIN), None]))),
                ("d", Arc::new(decimals)),
                (
                    "t",
                    Arc::new(
                        TimestampNanosecondArray::from(vec![1_609_492_527_243_860_999, 0]).with_timezone("+00:00"),
                    ),
                ),
                ("s", Arc::new(LargeStringArray::from(vec!["ä\n", ""]))),
                ("i", Arc::new(IntervalMonthDayNanoArray::from(vec![Some(interval), None]))),
            ],
            10,
        );
        assert!(!truncated);
        let batch = batches.first().expect("a batch");
        let utc = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        let types: Vec<&DataType> = batch.schema_ref().fields().iter().map(|field| field.data_type()).collect();
        assert_eq!(types, [&DataType::Int64, &DataType::Decimal128(10, 3), &utc, &DataType::Utf8, &DataType::Utf8]);
        let kinds = batch.schema_ref().fields().iter().map(|field| field.metadata()[TYPE].as_str());
        assert_eq!(kinds.collect::<Vec<_>>(), ["integer", "number", "timestamp", "text", "interval"]);
        assert_eq!(batch.column(0).as_primitive::<Int64Type>().iter().collect::<Vec<_>>(), [Some(i64::MIN), None]);
        assert_eq!(batch.column(1).as_primitive::<Decimal128Type>().value(0), -12_345);
        assert_eq!(batch.column(2).as_primitive::<TimestampMicrosecondType>().value(0), 1_609_492_527_243_860);
        assert_eq!(batch.column(3).as_string::<i32>().value(0), "ä\n");
        assert_eq!(batch.column(4).as_string::<i32>().iter().collect::<Vec<_>>(), [Some("1 day"), None]);
        assert_eq!(plain(&DataType::Interval(IntervalUnit::DayTime)), DataType::Utf8);
    }

    #[test]
    fn a_number_that_is_none_is_refused() {
        let batch = RecordBatch::try_from_iter([("n", Arc::new(Float64Array::from(vec![1.0, f64::NAN])) as ArrayRef)]);
        let batch = batch.expect("a batch");
        let mut writer = ArrowWriter::new(&batch.schema(), 10).expect("columns");
        assert!(writer.is_full_with(&batch).expect_err("no number").to_string().contains("DOUBLE PRECISION"));
    }

    #[test]
    fn rows_beyond_the_wanted_ones_and_beyond_the_bytes_of_an_answer_are_left_out_and_told() {
        let numbers = || Arc::new(Int64Array::from(vec![1, 2, 3])) as ArrayRef;
        let rows = |batches: &[RecordBatch]| batches.iter().map(RecordBatch::num_rows).sum::<usize>();
        let (batches, truncated) = written(vec![("n", numbers())], 2);
        assert_eq!((rows(&batches), truncated), (2, true));
        let (batches, truncated) = written(vec![("n", numbers())], 3);
        assert_eq!((rows(&batches), truncated), (3, false));
        let large = "x".repeat(ANSWER_BYTES_MAX / 4);
        let texts = StringArray::from(vec![large.as_str(); 6]);
        let (batches, truncated) = written(vec![("s", Arc::new(texts))], 10);
        assert_eq!((rows(&batches), truncated), (3, true));
    }
}
