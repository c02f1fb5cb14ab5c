//! Rows of an answer as JSON, in the spelling of other answers.

use arrow_array::cast::AsArray as _;
use arrow_array::types::{
    Decimal128Type, Decimal256Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    TimestampMicrosecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, RecordBatch};
use arrow_schema::{DataType, Schema, TimeUnit};
use datafusion::arrow::ipc::reader::StreamReader;
use datafusion::arrow::ipc::root_as_message;
use datafusion::error::DataFusionError;
use serde::Serialize;
use serde_json::value::RawValue;

use super::arrow::{ANSWER_BYTES_MAX, OUT_OF_RANGE, TYPE, kind, plain, row_too_large};
use super::cast::text;
use super::own::failed;
use super::{SqlAnswer, Table, TableColumn, times};

type Result<T, E = DataFusionError> = std::result::Result<T, E>;

const TYPES: [&str; 9] = ["text", "integer", "number", "boolean", "timestamp", "date", "time", "interval", "null"];

/// The batches of an answer. It comes from another process and is read as untrusted bytes.
pub(super) fn batches(answer: &SqlAnswer) -> Result<StreamReader<&[u8]>> {
    require_plain(&answer.stream)?;
    let stream = StreamReader::try_new(answer.stream.as_slice(), None)?;
    let schema = stream.schema();
    if schema.fields().iter().any(|field| plain(field.data_type()) != *field.data_type()) {
        return Err(not_plain());
    }
    Ok(stream)
}

/// The answer as JSON.
pub(super) fn table(answer: &SqlAnswer) -> Result<Table> {
    let stream = batches(answer)?;
    let mut writer = Writer::new(&stream.schema())?;
    let mut truncated = answer.truncated;
    for batch in stream {
        if writer.is_full_with(&batch?)? {
            truncated = true;
            break;
        }
    }
    writer.finish(truncated)
}

/// Writes rows as JSON while they fit.
struct Writer {
    columns: Vec<TableColumn>,
    /// `"name":` of each column.
    keys: Vec<Vec<u8>>,
    json: Vec<u8>,
    rows: usize,
}

impl Writer {
    fn new(schema: &Schema) -> Result<Self> {
        let fields = schema.fields();
        let column = |field: &arrow_schema::FieldRef| {
            let named = field.metadata().get(TYPE).and_then(|name| TYPES.iter().find(|known| *known == name));
            TableColumn { name: field.name().clone(), kind: named.copied().unwrap_or_else(|| kind(field.data_type())) }
        };
        let mut keys = Vec::with_capacity(fields.len());
        for field in fields {
            let mut key = Vec::new();
            write_json(&mut key, field.name())?;
            key.push(b':');
            keys.push(key);
        }
        let columns = fields.iter().map(column).collect();
        Ok(Writer { columns, keys, json: vec![b'['], rows: 0 })
    }

    /// Returns true once a row was left out.
    fn is_full_with(&mut self, batch: &RecordBatch) -> Result<bool> {
        for row in 0..batch.num_rows() {
            let before = self.json.len();
            self.json.extend_from_slice(if self.rows == 0 { b"{" } else { b",{" });
            for (index, (key, column)) in self.keys.iter().zip(batch.columns()).enumerate() {
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
                return Ok(true);
            }
            self.rows += 1;
        }
        Ok(false)
    }

    fn finish(mut self, truncated: bool) -> Result<Table> {
        self.json.push(b']');
        let json = String::from_utf8(self.json).map_err(|error| DataFusionError::External(error.into()))?;
        let rows = RawValue::from_string(json).map_err(|error| DataFusionError::External(error.into()))?;
        Ok(Table { columns: self.columns, rows, truncated })
    }
}

/// Rejects a stream that no honest worker writes, before memory is allocated for it: messages longer than the sent
/// bytes, compressed ones, and dictionaries.
fn require_plain(mut stream: &[u8]) -> Result<()> {
    while let Some((&[0xff, 0xff, 0xff, 0xff, a, b, c, d], rest)) = stream.split_first_chunk() {
        let length = u32::from_le_bytes([a, b, c, d]) as usize;
        if length == 0 {
            return Ok(());
        }
        let (head, rest) = rest.split_at_checked(length).ok_or_else(not_plain)?;
        let message = root_as_message(head).map_err(|_| not_plain())?;
        if message.header_as_dictionary_batch().is_some()
            || message.header_as_record_batch().is_some_and(|batch| batch.compression().is_some())
        {
            return Err(not_plain());
        }
        let body = usize::try_from(message.bodyLength()).ok();
        stream = body.and_then(|body| rest.split_at_checked(body)).ok_or_else(not_plain)?.1;
    }
    Err(not_plain())
}

fn not_plain() -> DataFusionError {
    DataFusionError::Execution("it is not a stream that a worker writes".to_owned())
}

fn write_json(out: &mut Vec<u8>, value: impl Serialize) -> Result<()> {
    serde_json::to_writer(out, &value).map_err(|error| DataFusionError::External(error.into()))
}

/// Writes the value as JSON. Numbers are exact; NaN and infinity are errors.
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
        DataType::Float32 => number!(Float32Type),
        DataType::Float64 => match array.as_primitive::<Float64Type>().value(row) {
            value if value.is_finite() => write_json(out, value),
            _ => failed(OUT_OF_RANGE),
        },
        DataType::Decimal128(..) => write_digits(out, array.as_primitive::<Decimal128Type>().value_as_string(row)),
        DataType::Decimal256(..) => write_digits(out, array.as_primitive::<Decimal256Type>().value_as_string(row)),
        DataType::Utf8 => write_json(out, array.as_string::<i32>().value(row)),
        DataType::Timestamp(TimeUnit::Microsecond, zone) => {
            let micros = array.as_primitive::<TimestampMicrosecondType>().value(row);
            write_json(out, iso(micros, zone.is_some()))
        }
        DataType::Date32 | DataType::Time64(_) => write_json(out, text(array, row)?),
        _ => Err(not_plain()),
    }
}

/// A time in the API's spelling; without a `Z` if no time zone is known.
fn iso(micros: i64, zoned: bool) -> String {
    let (day, of_day) = times::split(micros);
    let (second, part) = (of_day / times::MICROS_PER_SECOND, of_day % times::MICROS_PER_SECOND);
    let times::Day { year, month, day } = day;
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    let zone = if zoned { "Z" } else { "" };
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{part:06}{zone}")
}

/// Decimal digits are a JSON number. Trailing zeros carry no information.
fn write_digits(out: &mut Vec<u8>, digits: String) -> Result<()> {
    let digits = if digits.contains('.') { digits.trim_end_matches('0').trim_end_matches('.') } else { &digits };
    out.extend_from_slice(digits.as_bytes());
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{
        ArrayRef, BooleanArray, Decimal128Array, DictionaryArray, Float64Array, Int64Array, StringArray,
        TimestampNanosecondArray, UInt64Array,
    };
    use datafusion::arrow::ipc::CompressionType;
    use datafusion::arrow::ipc::writer::{IpcWriteOptions, StreamWriter};

    use super::super::arrow::ArrowWriter;
    use super::*;

    fn rows(columns: Vec<(&str, ArrayRef)>, rows_max: usize) -> Table {
        let batch =
            RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, column)| (name, column, true)));
        let batch = batch.expect("a batch");
        let mut writer = ArrowWriter::new(&batch.schema(), rows_max).expect("columns");
        writer.is_full_with(&batch).expect("rows");
        table(&writer.finish().expect("a stream")).expect("JSON")
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
    fn rows_that_are_longer_in_json_are_left_out_and_told() {
        // Each byte takes six in JSON.
        let escaped = "\u{1}".repeat(ANSWER_BYTES_MAX / 20);
        let texts = |count: usize| Arc::new(StringArray::from(vec![escaped.as_str(); count])) as ArrayRef;
        let table = rows(vec![("s", texts(5))], 10);
        assert!(table.truncated && table.rows.get().len() <= ANSWER_BYTES_MAX + 1, "{}", table.rows.get().len());
        assert!(!rows(vec![("s", texts(1))], 10).truncated);
    }

    #[test]
    fn bytes_that_are_no_answer_are_an_error() {
        let honest = {
            let batch = RecordBatch::try_from_iter([("n", Arc::new(Int64Array::from(vec![1, 2])) as ArrayRef)]);
            let batch = batch.expect("a batch");
            let mut writer = ArrowWriter::new(&batch.schema(), 9).expect("a column");
            writer.is_full_with(&batch).expect("rows");
            writer.finish().expect("a stream").stream
        };
        for length in [0, 1, 8, 60, honest.len() / 2] {
            let answer = SqlAnswer { stream: honest[..length].to_vec(), truncated: false };
            assert!(table(&answer).is_err(), "{length} of {} bytes", honest.len());
        }
    }

    #[test]
    fn streams_that_take_more_memory_than_they_have_bytes_are_refused() {
        let texts = vec!["the same text again and again"; 1_000];
        let plain = RecordBatch::try_from_iter([("s", Arc::new(StringArray::from(texts.clone())) as ArrayRef)]);
        let words: DictionaryArray<Int32Type> = texts.into_iter().collect();
        let words = RecordBatch::try_from_iter([("s", Arc::new(words) as ArrayRef)]);
        let written = |batch: &RecordBatch, compression| {
            let options = IpcWriteOptions::default().try_with_compression(compression).expect("options");
            let mut writer =
                StreamWriter::try_new_with_options(Vec::new(), &batch.schema(), options).expect("a stream");
            writer.write(batch).expect("rows");
            writer.finish().expect("the end");
            let stream = writer.into_inner().expect("a stream");
            table(&SqlAnswer { stream, truncated: false })
        };
        let (plain, words) = (plain.expect("a batch"), words.expect("a batch"));
        assert!(written(&plain, None).is_ok());
        for (batch, compression) in
            [(&plain, Some(CompressionType::ZSTD)), (&plain, Some(CompressionType::LZ4_FRAME)), (&words, None)]
        {
            assert!(written(batch, compression).is_err(), "{compression:?}");
        }
    }

    #[test]
    fn one_row_more_than_wanted_is_left_out_and_told() {
        let numbers = || Arc::new(Int64Array::from(vec![1, 2, 3])) as ArrayRef;
        let table = rows(vec![("n", numbers())], 2);
        assert_eq!((table.rows.get(), table.truncated), (r#"[{"n":1},{"n":2}]"#, true));
        assert!(!rows(vec![("n", numbers())], 3).truncated);
    }
}
