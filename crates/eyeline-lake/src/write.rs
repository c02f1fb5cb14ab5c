//! Writes a file, with one row group in memory however long the file is.

use std::io::{self, Write};

use arrow_array::{Array as _, RecordBatch};
use eyeline_core::Timestamp;
use parquet::arrow::ArrowWriter;

use crate::batch::{Columns, Record, tail};
use crate::error::Result;
use crate::schema::{Column, UNPACKED_BYTES, properties, schema};

/// Facts about a file that are known without opening it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    pub rows: u64,
    pub bytes: u64,
    pub first_offset: i64,
    pub last_offset: i64,
    pub first_timestamp: Timestamp,
    pub last_timestamp: Timestamp,
    pub first_received_at: Timestamp,
    pub last_received_at: Timestamp,
}

/// Accepts batches in the order of their rows.
pub struct FileWriter<W: Write + Send> {
    writer: ArrowWriter<Counted<W>>,
    facts: Option<Facts>,
    /// Bytes of the present row group's rows in memory.
    unpacked: usize,
}

/// Counts the bytes written to the sink.
struct Counted<W> {
    sink: W,
    bytes: u64,
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.sink.write(bytes)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.sink.flush()
    }
}

impl<W: Write + Send> FileWriter<W> {
    pub fn new(sink: W) -> Result<Self> {
        let sink = Counted { sink, bytes: 0 };
        Ok(FileWriter { writer: ArrowWriter::try_new(sink, schema(), Some(properties()?))?, facts: None, unpacked: 0 })
    }

    pub fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        if let Some(facts) = facts_of(batch)? {
            self.facts = Some(self.facts.map_or(facts, |before| before.and(facts)));
        }
        let bytes = bytes_of(batch);
        if self.unpacked > 0 && self.unpacked + bytes > UNPACKED_BYTES {
            self.writer.flush()?;
            self.unpacked = 0;
        }
        self.unpacked += bytes;
        Ok(self.writer.write(batch)?)
    }

    /// Returns the sink with the whole file, and its facts; `None` if nothing was written.
    pub fn finish(self) -> Result<Option<(W, Facts)>> {
        let Counted { sink, bytes } = self.writer.into_inner()?;
        Ok(self.facts.map(|facts| (sink, Facts { bytes, ..facts })))
    }
}

/// A file of these events, which are sorted here; `None` without events.
pub fn write_records(records: Vec<Record>) -> Result<Option<(Vec<u8>, Facts)>> {
    let mut writer = FileWriter::new(Vec::new())?;
    for batch in tail(records)? {
        writer.write(&batch)?;
    }
    writer.finish()
}

/// The bytes of the rows in memory.
pub(crate) fn bytes_of(batch: &RecordBatch) -> usize {
    batch.columns().iter().map(|column| column.to_data().get_slice_memory_size().unwrap_or(0)).sum()
}

impl Facts {
    fn and(self, next: Facts) -> Facts {
        Facts {
            rows: self.rows + next.rows,
            bytes: 0,
            first_offset: self.first_offset.min(next.first_offset),
            last_offset: self.last_offset.max(next.last_offset),
            first_timestamp: self.first_timestamp.min(next.first_timestamp),
            last_timestamp: self.last_timestamp.max(next.last_timestamp),
            first_received_at: self.first_received_at.min(next.first_received_at),
            last_received_at: self.last_received_at.max(next.last_received_at),
        }
    }
}

fn facts_of(batch: &RecordBatch) -> Result<Option<Facts>> {
    fn ends(values: &[i64]) -> Option<(i64, i64)> {
        Some((*values.iter().min()?, *values.iter().max()?))
    }
    let columns = Columns(batch);
    let timestamps = columns.times(Column::Timestamp)?;
    let Some((first_offset, last_offset)) = ends(columns.offsets()?.values()) else { return Ok(None) };
    let times = ends(timestamps.values()).zip(ends(columns.times(Column::ReceivedAt)?.values()));
    let Some(((first_timestamp, last_timestamp), (first_received_at, last_received_at))) = times else {
        return Ok(None);
    };
    Ok(Some(Facts {
        rows: timestamps.len() as u64,
        bytes: 0,
        first_offset,
        last_offset,
        first_timestamp: Timestamp::from_micros(first_timestamp),
        last_timestamp: Timestamp::from_micros(last_timestamp),
        first_received_at: Timestamp::from_micros(first_received_at),
        last_received_at: Timestamp::from_micros(last_received_at),
    }))
}
