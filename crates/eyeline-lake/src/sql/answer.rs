//! Rows of the engine as JSON, the way every other answer spells them.

use arrow_array::cast::AsArray as _;
use arrow_array::types::{
    Decimal32Type, Decimal64Type, Decimal128Type, Decimal256Type, Float16Type, Float32Type, Float64Type, Int8Type,
    Int16Type, Int32Type, Int64Type, TimestampMicrosecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, RecordBatch};
use arrow_schema::{DataType, Schema, TimeUnit};
use datafusion::arrow::compute::cast;
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::error::DataFusionError;
use serde::Serialize;
use serde_json::value::RawValue;

use super::cast::text;
use super::own::failed;
use super::{Table, TableColumn, times};

/// Bytes of the rows of an answer.
pub(super) const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;

pub(super) const OUT_OF_RANGE: &str = "A result is out of the range of DOUBLE PRECISION.";

type Result<T, E = DataFusionError> = std::result::Result<T, E>;

/// Takes the rows of an answer in, in some form.
pub(super) trait Rows: Sized {
    /// The finished answer.
    type Answer;

    fn new(schema: &Schema, rows_max: usize) -> Result<Self>;

    /// Returns true when no more rows are taken.
    fn is_full_with(&mut self, batch: &RecordBatch) -> Result<bool>;

    fn finish(self) -> Result<Self::Answer>;
}

/// Writes rows as JSON until there are enough.
pub(super) struct Writer {
    columns: Vec<TableColumn>,
    /// `"name":` of each column.
    keys: Vec<Vec<u8>>,
    json: Vec<u8>,
    rows: usize,
    rows_max: usize,
    truncated: bool,
}

impl Rows for Writer {
    type Answer = Table;

    fn new(schema: &Schema, rows_max: usize) -> Result<Self> {
        require_distinct_names(schema)?;
        let fields = schema.fields();
        let column =
            |field: &arrow_schema::FieldRef| TableColumn { name: field.name().clone(), kind: kind(field.data_type()) };
        let mut keys = Vec::with_capacity(fields.len());
        for field in fields {
            let mut key = Vec::new();
            write_json(&mut key, field.name())?;
            key.push(b':');
            keys.push(key);
        }
        let columns = fields.iter().map(column).collect();
        Ok(Writer { columns, keys, json: vec![b'['], rows: 0, rows_max, truncated: false })
    }

    fn is_full_with(&mut self, batch: &RecordBatch) -> Result<bool> {
        let columns: Vec<_> = batch.columns().iter().map(with_known_types).collect::<Result<_>>()?;
        for row in 0..batch.num_rows() {
            let before = self.json.len();
            if self.rows == self.rows_max {
                self.truncated = true;
                return Ok(true);
            }
            self.json.extend_from_slice(if self.rows == 0 { b"{" } else { b",{" });
            for (index, (key, column)) in self.keys.iter().zip(&columns).enumerate() {
                if index > 0 {
                    self.json.push(b',');
                }
                self.json.extend_from_slice(key);
                write_value(&mut self.json, column, row)?;
            }
            self.json.push(b'}');
            if self.json.len() > ANSWER_BYTES_MAX {
                if self.rows == 0 {
                    return Err(row_too_large());
                }
                self.json.truncate(before);
                self.truncated = true;
                return Ok(true);
            }
            self.rows += 1;
        }
        Ok(false)
    }

    fn finish(mut self) -> Result<Table> {
        self.json.push(b']');
        let json = String::from_utf8(self.json).map_err(|error| DataFusionError::External(error.into()))?;
        let rows = RawValue::from_string(json).map_err(|error| DataFusionError::External(error.into()))?;
        Ok(Table { columns: self.columns, rows, truncated: self.truncated })
    }
}

/// Refuses an answer in which a name does not say which column is meant.
pub(super) fn require_distinct_names(schema: &Schema) -> Result<()> {
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

/// Times in the unit that the API shows, and nothing behind a dictionary.
fn with_known_types(column: &arrow_array::ArrayRef) -> Result<arrow_array::ArrayRef> {
    let known = match column.data_type() {
        DataType::Timestamp(_, zone) => DataType::Timestamp(TimeUnit::Microsecond, zone.clone()),
        DataType::Dictionary(_, values) => (**values).clone(),
        DataType::Utf8 | DataType::LargeUtf8 => DataType::Utf8View,
        known => known.clone(),
    };
    Ok(cast(column, &known)?)
}

fn write_json(out: &mut Vec<u8>, value: impl Serialize) -> Result<()> {
    serde_json::to_writer(out, &value).map_err(|error| DataFusionError::External(error.into()))
}

/// The value as JSON; numbers exactly, and an error for what is no number.
fn write_value(out: &mut Vec<u8>, array: &dyn Array, row: usize) -> Result<()> {
    macro_rules! number {
        ($($kind:ty),*) => { write_json(out, array.as_primitive::<$($kind)*>().value(row)) };
    }
    if array.is_null(row) {
        out.extend_from_slice(b"null");
        return Ok(());
    }
    match array.data_type() {
        DataType::Null => write_json(out, ()),
        DataType::Boolean => write_json(out, array.as_boolean().value(row)),
        DataType::Int8 => number!(Int8Type),
        DataType::Int16 => number!(Int16Type),
        DataType::Int32 => number!(Int32Type),
        DataType::Int64 => number!(Int64Type),
        DataType::UInt8 => number!(UInt8Type),
        DataType::UInt16 => number!(UInt16Type),
        DataType::UInt32 => number!(UInt32Type),
        DataType::UInt64 => number!(UInt64Type),
        DataType::Float16 => write_json(out, f32::from(array.as_primitive::<Float16Type>().value(row))),
        DataType::Float32 => number!(Float32Type),
        DataType::Float64 => match array.as_primitive::<Float64Type>().value(row) {
            value if value.is_finite() => write_json(out, value),
            _ => failed(OUT_OF_RANGE),
        },
        DataType::Decimal32(..) => write_digits(out, array.as_primitive::<Decimal32Type>().value_as_string(row)),
        DataType::Decimal64(..) => write_digits(out, array.as_primitive::<Decimal64Type>().value_as_string(row)),
        DataType::Decimal128(..) => write_digits(out, array.as_primitive::<Decimal128Type>().value_as_string(row)),
        DataType::Decimal256(..) => write_digits(out, array.as_primitive::<Decimal256Type>().value_as_string(row)),
        DataType::Utf8View => write_json(out, array.as_string_view().value(row)),
        DataType::Timestamp(TimeUnit::Microsecond, zone) => {
            let micros = array.as_primitive::<TimestampMicrosecondType>().value(row);
            write_json(out, iso(micros, zone.is_some()))
        }
        DataType::Date32 | DataType::Time64(_) | DataType::Interval(_) | DataType::Duration(_) => {
            write_json(out, text(array, row)?)
        }
        _ => {
            let text = ArrayFormatter::try_new(array, &FormatOptions::new())?.value(row).to_string();
            write_json(out, text)
        }
    }
}

/// A time as it is spelled everywhere; without a `Z` when no time zone is known.
fn iso(micros: i64, zoned: bool) -> String {
    let (day, of_day) = times::split(micros);
    let (second, part) = (of_day / times::MICROS_PER_SECOND, of_day % times::MICROS_PER_SECOND);
    let times::Day { year, month, day } = day;
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    let zone = if zoned { "Z" } else { "" };
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{part:06}{zone}")
}

/// Decimal digits are a number of JSON; how many zeros end them says nothing.
fn write_digits(out: &mut Vec<u8>, digits: String) -> Result<()> {
    let digits = if digits.contains('.') { digits.trim_end_matches('0').trim_end_matches('.') } else { &digits };
    out.extend_from_slice(digits.as_bytes());
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{
        ArrayRef, BooleanArray, Decimal128Array, Float64Array, Int64Array, StringArray, TimestampNanosecondArray,
        UInt64Array,
    };

    use super::*;

    fn rows(columns: Vec<(&str, ArrayRef)>, rows_max: usize) -> Table {
        let batch =
            RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, column)| (name, column, true)));
        let batch = batch.expect("a batch");
        let mut writer = Writer::new(&batch.schema(), rows_max).expect("columns");
        writer.is_full_with(&batch).expect("rows");
        writer.finish().expect("JSON")
    }

    #[test]
    fn values_are_exact_and_spelled_as_everywhere() {
        let decimals = Decimal128Array::from(vec![-12_345, 5]).with_precision_and_scale(10, 3).expect("decimals");
        let table = rows(
            vec![
                ("a \"b\"", Arc::new(Int64Array::from(vec![Some(i64::MIN), None]))),
                ("u", Arc::new(UInt64Array::from(vec![u64::MAX, 0]))),
                ("f", Arc::new(Float64Array::from(vec![0.25, 0.5]))),
                ("d", Arc::new(decimals)),
                ("t", Arc::new(TimestampNanosecondArray::from(vec![1_609_492_527_243_860_999, 0]))),
                ("s", Arc::new(StringArray::from(vec!["ä\n", ""]))),
                ("b", Arc::new(BooleanArray::from(vec![true, false]))),
            ],
            10,
        );
        let expected = concat!(
            r#"[{"a \"b\"":-9223372036854775808,"u":18446744073709551615,"f":0.25,"d":-12.345,"#,
            r#""t":"2021-01-01T09:15:27.243860","s":"ä\n","b":true},"#,
            r#"{"a \"b\"":null,"u":0,"f":0.5,"d":0.005,"t":"1970-01-01T00:00:00.000000","s":"","b":false}]"#,
        );
        assert_eq!(table.rows.get(), expected);
        assert!(!table.truncated);
        let kinds: Vec<&str> = table.columns.iter().map(|column| column.kind).collect();
        assert_eq!(kinds, ["integer", "integer", "number", "number", "timestamp", "text", "boolean"]);
    }

    #[test]
    fn what_is_no_number_is_an_error() {
        let batch = RecordBatch::try_from_iter([("f", Arc::new(Float64Array::from(vec![f64::INFINITY])) as ArrayRef)]);
        let batch = batch.expect("a batch");
        assert!(Writer::new(&batch.schema(), 1).expect("a column").is_full_with(&batch).is_err());
    }

    #[test]
    fn one_row_more_than_wanted_is_left_out_and_told() {
        let numbers = || Arc::new(Int64Array::from(vec![1, 2, 3])) as ArrayRef;
        let table = rows(vec![("n", numbers())], 2);
        assert_eq!((table.rows.get(), table.truncated), (r#"[{"n":1},{"n":2}]"#, true));
        assert!(!rows(vec![("n", numbers())], 3).truncated);
    }
}
