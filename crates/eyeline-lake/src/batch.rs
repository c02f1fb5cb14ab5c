//! Converts events to rows of Arrow batches and back.

use std::sync::Arc;

use arrow_array::builder::{
    BooleanBuilder, FixedSizeBinaryBuilder, StringBuilder, StringDictionaryBuilder, TimestampMicrosecondBuilder,
};
use arrow_array::cast::AsArray as _;
use arrow_array::types::{Int32Type, Int64Type, TimestampMicrosecondType, UInt32Type, UInt64Type};
use arrow_array::{
    Array as _, ArrayRef, BooleanArray, DictionaryArray, FixedSizeBinaryArray, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray, UInt32Array, UInt64Array, new_null_array,
};
use eyeline_core::event::{SchemaMark, Source};
use eyeline_core::{Event, Timestamp};
use uuid::Uuid;

use crate::error::{Error, Result};
use crate::schema::{Column, schema};

/// Rows of one batch.
pub(crate) const BATCH_ROWS: usize = 8 * 1024;

/// An event and its offset in the inbox. Its way there is not stored: the check of its schema, and its stay in
/// quarantine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub partition: u32,
    pub offset: i64,
    pub event: Event,
    /// The rank, from 0, at which a page had served the image; `None` if the event came without a valid place receipt.
    pub place: Option<u32>,
}

/// The sort key of rows; keys are unique.
type Key = (Uuid, i64, u32, i64);

impl Record {
    fn key(&self) -> Key {
        (self.event.project_id.0, self.event.timestamp.micros(), self.partition, self.offset)
    }
}

/// Sorted batches of events that are not flushed yet.
pub fn tail(mut records: Vec<Record>) -> Result<Vec<RecordBatch>> {
    records.sort_unstable_by_key(Record::key);
    records.chunks(BATCH_ROWS).map(to_batch).collect()
}

/// One batch, in the order of the records.
fn to_batch(records: &[Record]) -> Result<RecordBatch> {
    let ids = |id: fn(&Event) -> Uuid| -> Result<ArrayRef> {
        let mut ids = FixedSizeBinaryBuilder::with_capacity(records.len(), 16);
        for record in records {
            ids.append_value(id(&record.event).as_bytes())?;
        }
        Ok(Arc::new(ids.finish()))
    };
    let times = |time: fn(&Event) -> Timestamp| -> ArrayRef {
        let mut times = TimestampMicrosecondBuilder::with_capacity(records.len()).with_timezone("UTC");
        records.iter().for_each(|record| times.append_value(time(&record.event).micros()));
        Arc::new(times.finish())
    };
    let words = |word: fn(&Event) -> &str| -> Result<ArrayRef> {
        let mut words = StringDictionaryBuilder::<Int32Type>::new();
        for record in records {
            words.append(word(&record.event))?;
        }
        Ok(Arc::new(words.finish()))
    };
    let column = |column: Column| -> Result<ArrayRef> {
        Ok(match column {
            Column::ProjectId => ids(|event| event.project_id.0)?,
            Column::SessionId => ids(|event| event.session_id.0)?,
            Column::EventId => ids(|event| event.event_id.0)?,
            Column::ApplicationId => ids(|event| event.application_id.0)?,
            Column::Timestamp => times(|event| event.timestamp),
            Column::ReceivedAt => times(|event| event.received_at),
            Column::Category => words(|event| &event.category)?,
            Column::Name => words(|event| &event.name)?,
            Column::Partition => Arc::new(UInt32Array::from_iter_values(records.iter().map(|record| record.partition))),
            Column::Offset => Arc::new(Int64Array::from_iter_values(records.iter().map(|record| record.offset))),
            Column::IdGiven => {
                let mut given = BooleanBuilder::with_capacity(records.len());
                records.iter().for_each(|record| given.append_value(record.event.id_given));
                Arc::new(given.finish())
            }
            Column::VisitorId => {
                let mut visitors = StringBuilder::new();
                records.iter().for_each(|record| visitors.append_option(record.event.visitor_id.as_deref()));
                Arc::new(visitors.finish())
            }
            Column::Data => Arc::new(StringArray::from_iter_values(records.iter().map(|record| &record.event.data))),
            Column::SchemaVersion => {
                let version = |record: &Record| record.event.schema.map(|schema| schema.version);
                Arc::new(records.iter().map(version).collect::<UInt32Array>())
            }
            Column::Place => Arc::new(records.iter().map(|record| record.place).collect::<UInt32Array>()),
            Column::Source => {
                let source = |record: &Record| record.event.source.map(Source::to_bits);
                Arc::new(records.iter().map(source).collect::<UInt64Array>())
            }
        })
    };
    let columns = Column::ALL.into_iter().map(column).collect::<Result<Vec<_>>>()?;
    Ok(RecordBatch::try_new(schema(), columns)?)
}

/// These columns of the batch. A missing column is null in every row; new columns come last and may be null.
pub(crate) fn with_nulls(batch: &RecordBatch, columns: &[Column]) -> Result<RecordBatch> {
    let mut indexes: Vec<usize> = columns.iter().map(|column| *column as usize).collect();
    indexes.sort_unstable();
    indexes.dedup();
    let wanted = Arc::new(schema().project(&indexes)?);
    let arrays = wanted.fields().iter().map(|field| {
        let found = batch.column_by_name(field.name()).cloned();
        found.unwrap_or_else(|| new_null_array(field.data_type(), batch.num_rows()))
    });
    Ok(RecordBatch::try_new(wanted.clone(), arrays.collect())?)
}

/// Typed access to the columns of a batch. The caller must know which columns exist.
pub(crate) struct Columns<'a>(pub(crate) &'a RecordBatch);

impl<'a> Columns<'a> {
    pub(crate) fn column(&self, column: Column) -> Result<&'a ArrayRef> {
        let name = schema();
        let name = name.field(column as usize).name();
        self.0.column_by_name(name).ok_or_else(|| Error::Broken(format!("the column {name} is missing")))
    }

    pub(crate) fn ids(&self, column: Column) -> Result<&'a FixedSizeBinaryArray> {
        let ids = self.column(column)?.as_fixed_size_binary_opt().filter(|ids| ids.value_length() == 16);
        ids.ok_or_else(|| wrong(column))
    }

    pub(crate) fn times(&self, column: Column) -> Result<&'a TimestampMicrosecondArray> {
        self.column(column)?.as_primitive_opt::<TimestampMicrosecondType>().ok_or_else(|| wrong(column))
    }

    pub(crate) fn words(&self, column: Column) -> Result<Words<'a>> {
        let keys = self.column(column)?.as_dictionary_opt::<Int32Type>().ok_or_else(|| wrong(column))?;
        let values = keys.values().as_string_opt::<i32>().ok_or_else(|| wrong(column))?;
        Ok(Words { keys, values })
    }

    pub(crate) fn texts(&self, column: Column) -> Result<&'a StringArray> {
        self.column(column)?.as_string_opt::<i32>().ok_or_else(|| wrong(column))
    }

    /// The ranks at which pages had served the images; null where none is known.
    pub(crate) fn served_places(&self) -> Result<&'a UInt32Array> {
        self.numbers(Column::Place)
    }

    pub(crate) fn partitions(&self) -> Result<&'a UInt32Array> {
        self.numbers(Column::Partition)
    }

    fn numbers(&self, column: Column) -> Result<&'a UInt32Array> {
        self.column(column)?.as_primitive_opt::<UInt32Type>().ok_or_else(|| wrong(column))
    }

    pub(crate) fn offsets(&self) -> Result<&'a Int64Array> {
        self.column(Column::Offset)?.as_primitive_opt::<Int64Type>().ok_or_else(|| wrong(Column::Offset))
    }

    fn sources(&self) -> Result<&'a UInt64Array> {
        self.column(Column::Source)?.as_primitive_opt::<UInt64Type>().ok_or_else(|| wrong(Column::Source))
    }

    fn given(&self) -> Result<&'a BooleanArray> {
        self.column(Column::IdGiven)?.as_boolean_opt().ok_or_else(|| wrong(Column::IdGiven))
    }

    /// The event in this row. Needs all columns.
    pub(crate) fn record(&self, row: usize) -> Result<Record> {
        let id = |column| Ok::<_, Error>(uuid_at(self.ids(column)?, row));
        let time = |column| Ok::<_, Error>(Timestamp::from_micros(self.times(column)?.value(row)));
        let number = |column| {
            let numbers = self.numbers(column)?;
            Ok::<_, Error>(numbers.is_valid(row).then(|| numbers.value(row)))
        };
        let (visitors, sources) = (self.texts(Column::VisitorId)?, self.sources()?);
        Ok(Record {
            partition: self.partitions()?.value(row),
            offset: self.offsets()?.value(row),
            event: Event {
                event_id: id(Column::EventId)?.into(),
                id_given: self.given()?.value(row),
                project_id: id(Column::ProjectId)?.into(),
                application_id: id(Column::ApplicationId)?.into(),
                received_at: time(Column::ReceivedAt)?,
                session_id: id(Column::SessionId)?.into(),
                visitor_id: visitors.is_valid(row).then(|| visitors.value(row).to_owned()),
                category: self.words(Column::Category)?.at(row).to_owned(),
                name: self.words(Column::Name)?.at(row).to_owned(),
                data: self.texts(Column::Data)?.value(row).into(),
                timestamp: time(Column::Timestamp)?,
                source: sources.is_valid(row).then(|| Source::from_bits(sources.value(row))),
                // An event in the lake counts, so it fits its schema.
                schema: number(Column::SchemaVersion)?.map(|version| SchemaMark { version, checked: true }),
                served: None,
                replay: None,
            },
            place: number(Column::Place)?,
        })
    }
}

fn wrong(column: Column) -> Error {
    Error::Broken(format!("the column {column:?} is of another type"))
}

/// A dictionary column: few distinct words, often repeated.
#[derive(Clone, Copy)]
pub(crate) struct Words<'a> {
    keys: &'a DictionaryArray<Int32Type>,
    pub(crate) values: &'a StringArray,
}

impl<'a> Words<'a> {
    /// The index of the row's word in `values`.
    pub(crate) fn key(&self, row: usize) -> usize {
        self.keys.keys().value(row).unsigned_abs() as usize
    }

    pub(crate) fn at(&self, row: usize) -> &'a str {
        self.values.value(self.key(row))
    }
}

pub(crate) fn id_at(ids: &FixedSizeBinaryArray, row: usize) -> u128 {
    ids.value(row).try_into().map_or(0, u128::from_be_bytes)
}

fn uuid_at(ids: &FixedSizeBinaryArray, row: usize) -> Uuid {
    Uuid::from_u128(id_at(ids, row))
}
