//! Rows of an answer as a Parquet file.

use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use super::json_rows::batches;
use super::{SqlAnswer, broken};
use crate::error::Result;

/// Columns keep their Arrow type and the metadata with the type's name of the JSON answer.
pub(super) fn file(answer: &SqlAnswer) -> Result<Vec<u8>> {
    let stream = batches(answer).map_err(broken)?;
    let properties = WriterProperties::builder()
        .set_created_by("eyeline".to_owned())
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(3)?))
        .build();
    let mut writer = ArrowWriter::try_new(Vec::new(), stream.schema(), Some(properties))?;
    for batch in stream {
        writer.write(&batch?)?;
    }
    Ok(writer.into_inner()?)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{
        Array, ArrayRef, BooleanArray, Date32Array, Decimal128Array, Decimal256Array, Float32Array, Float64Array,
        Int64Array, NullArray, RecordBatch, StringArray, Time64MicrosecondArray, TimestampMicrosecondArray,
        UInt64Array,
    };
    use bytes::Bytes;
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

    use super::super::arrow::{ArrowWriter as AnswerWriter, TYPE};
    use super::*;

    fn answer(batches: &[RecordBatch]) -> SqlAnswer {
        let mut writer = AnswerWriter::new(&batches[0].schema(), 1_000).expect("columns");
        for batch in batches {
            writer.is_full_with(batch).expect("rows");
        }
        writer.finish().expect("a stream")
    }

    #[test]
    fn every_type_of_an_answer_reads_back_from_parquet_as_it_was() {
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("nothing", Arc::new(NullArray::new(2))),
            ("whole", Arc::new(Int64Array::from(vec![Some(i64::MIN), None]))),
            ("large", Arc::new(UInt64Array::from(vec![u64::MAX, 0]))),
            ("half", Arc::new(Float32Array::from(vec![0.5, -0.5]))),
            ("number", Arc::new(Float64Array::from(vec![0.1, f64::MAX]))),
            (
                "price",
                Arc::new(Decimal128Array::from(vec![-12_345, 5]).with_precision_and_scale(10, 3).expect("digits")),
            ),
            ("sum", Arc::new(Decimal256Array::new_null(2))),
            ("text", Arc::new(StringArray::from(vec!["ä\n", ""]))),
            ("truth", Arc::new(BooleanArray::from(vec![Some(true), None]))),
            ("day", Arc::new(Date32Array::from(vec![-1, 20_000]))),
            ("time", Arc::new(Time64MicrosecondArray::from(vec![0, 86_399_999_999]))),
            ("local", Arc::new(TimestampMicrosecondArray::from(vec![-1, 1_609_492_527_243_860]))),
            ("instant", Arc::new(TimestampMicrosecondArray::from(vec![0, 1]).with_timezone("UTC"))),
        ];
        let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
        let batch =
            RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, column)| (name, column, true)));
        let batch = batch.expect("a batch");
        let file = file(&answer(&[batch.clone(), batch.slice(0, 1)])).expect("a file");
        let reader = ParquetRecordBatchReaderBuilder::try_new(Bytes::from(file)).expect("a file").build();
        let read: Vec<RecordBatch> = reader.expect("rows").collect::<std::result::Result<_, _>>().expect("rows");
        let [read] = read.as_slice() else { panic!("{} batches", read.len()) };
        assert_eq!(read.num_rows(), 3);
        for (index, name) in names.iter().enumerate() {
            let (was, is) = (batch.column(index), read.column(index));
            assert_eq!(is.data_type(), was.data_type(), "{name}");
            assert_eq!(&is.slice(0, 2), was, "{name}");
            assert_eq!(&is.slice(2, 1), &was.slice(0, 1), "{name}");
        }
        assert_eq!(read.schema().field(1).metadata()[TYPE], "integer");
    }

    #[test]
    fn an_answer_without_rows_has_its_columns_and_bytes_that_are_no_answer_are_an_error() {
        let batch =
            RecordBatch::try_from_iter([("n", Arc::new(Int64Array::from(vec![1])) as ArrayRef)]).expect("a batch");
        let empty = answer(&[batch.slice(0, 0)]);
        let file_of_none = file(&empty).expect("a file");
        let reader = ParquetRecordBatchReaderBuilder::try_new(Bytes::from(file_of_none)).expect("a file");
        assert_eq!(reader.schema().field(0).name(), "n");
        let cut = SqlAnswer { stream: empty.stream[..20].to_vec(), truncated: false };
        assert!(file(&cut).is_err());
    }
}
