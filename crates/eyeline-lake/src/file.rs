//! Reads one file: its footer once, then the requested row groups and columns.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use arrow_array::RecordBatch;
use bytes::Bytes;
use eyeline_core::ProjectId;
use object_store::ObjectStore;
use object_store::path::Path;
use parquet::DecodeResult;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, RowSelection};
use parquet::arrow::push_decoder::{ParquetPushDecoder, ParquetPushDecoderBuilder};
use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaDataReader, RowGroupMetaData};
use tokio::runtime::Handle;

use crate::batch::{BATCH_ROWS, with_nulls};
use crate::budget::{Budget, Held};
use crate::error::{Error, Result};
use crate::schema::Column;
use crate::write::Facts;

/// Bytes from the end of a file that the first read fetches. Most footers, and whole files of a flush, are smaller.
const FOOTER_BYTES: u64 = 64 * 1024;
/// The target size of a batch. Typical batches are far below it; batches of long rows have fewer rows.
const BATCH_BYTES: usize = 2 * 1024 * 1024;
const BATCH_ROWS_MIN: usize = 16;
/// The most bytes of cached footers.
pub const FOOTERS_BYTES_MAX: usize = 32 * 1024 * 1024;

/// A lake file, as listed in the manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileRef {
    pub key: String,
    pub partition: u32,
    pub facts: Facts,
}

/// Opens files. Cheap to clone; clones share the cached footers.
#[derive(Clone)]
pub struct Files {
    store: Arc<dyn ObjectStore>,
    runtime: Handle,
    footers: Arc<Mutex<Footers>>,
}

/// The footers used last.
#[derive(Default)]
struct Footers {
    newest_last: VecDeque<(String, Arc<Footer>)>,
    bytes: usize,
}

pub(crate) struct Footer {
    metadata: ArrowReaderMetadata,
    bytes: usize,
}

impl Files {
    /// `runtime` runs the reads of `store`.
    pub fn new(store: Arc<dyn ObjectStore>, runtime: Handle) -> Self {
        Files { store, runtime, footers: Arc::default() }
    }

    /// The footer of a file, from the cache if possible.
    pub(crate) fn footer(&self, file: &FileRef) -> Result<Arc<Footer>> {
        if let Some(footer) = self.lock().get(&file.key) {
            return Ok(footer);
        }
        let size = file.facts.bytes;
        let mut wanted = FOOTER_BYTES.min(size);
        let mut reader = ParquetMetaDataReader::new();
        loop {
            let end = size - wanted..size;
            let [bytes] = &self.fetch(file, std::slice::from_ref(&end))?[..] else {
                return Err(Error::Broken(format!("{} gave no footer", file.key)));
            };
            match reader.try_parse_sized(bytes, size) {
                Ok(()) => break,
                Err(ParquetError::NeedMoreData(needed)) => wanted = (needed as u64).min(size),
                Err(error) => return Err(Error::Broken(format!("{}: {error}", file.key))),
            }
        }
        let metadata = Arc::new(reader.finish()?);
        let bytes = metadata.memory_size();
        let metadata = ArrowReaderMetadata::try_new(metadata, ArrowReaderOptions::new())?;
        let footer = Arc::new(Footer { metadata, bytes });
        self.lock().keep(&file.key, &footer);
        Ok(footer)
    }

    /// Reads `columns` of the row groups, or of their rows in `only`, in batches of at most `BATCH_ROWS` rows and about
    /// `BATCH_BYTES`. The memory is the budget's.
    pub(crate) fn read(
        &self,
        file: &FileRef,
        footer: &Footer,
        row_groups: Vec<usize>,
        columns: &[Column],
        only: Option<RowSelection>,
        budget: &Budget,
    ) -> Result<Reading> {
        let batch_rows = footer.batch_rows(&row_groups, columns);
        let held = budget.hold(footer.bytes_to_read(&row_groups, columns))?;
        let parquet_schema = footer.metadata.parquet_schema();
        let known = parquet_schema.root_schema().get_fields().len();
        let (there, lacking): (Vec<usize>, Vec<usize>) =
            columns.iter().map(|column| *column as usize).partition(|column| *column < known);
        let mask = ProjectionMask::roots(parquet_schema, there);
        let mut decoder = ParquetPushDecoderBuilder::new_with_metadata(footer.metadata.clone())
            .with_row_groups(row_groups)
            .with_projection(mask)
            .with_batch_size(batch_rows);
        if let Some(only) = only {
            decoder = decoder.with_row_selection(only);
        }
        let lacks_some_of = (!lacking.is_empty()).then(|| columns.to_vec());
        let decoder = decoder.build()?;
        Ok(Reading { files: self.clone(), file: file.clone(), decoder, lacks_some_of, _held: held })
    }

    fn fetch(&self, file: &FileRef, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let (store, path, ranges) = (self.store.clone(), Path::from(file.key.as_str()), ranges.to_vec());
        // Waits without a runtime, because an SQL query calls this from within one.
        let (done, bytes) = std::sync::mpsc::sync_channel(1);
        self.runtime.spawn(async move { done.send(store.get_ranges(&path, &ranges).await) });
        // The runtime is about to end.
        Ok(bytes.recv().map_err(|_| Error::Cancelled)??)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Footers> {
        self.footers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Footers {
    fn get(&mut self, key: &str) -> Option<Arc<Footer>> {
        self.newest_last.iter().rev().find(|(kept, _)| kept == key).map(|(_, footer)| footer.clone())
    }

    fn keep(&mut self, key: &str, footer: &Arc<Footer>) {
        self.bytes += footer.bytes;
        self.newest_last.push_back((key.to_owned(), footer.clone()));
        while self.bytes > FOOTERS_BYTES_MAX
            && let Some((_, oldest)) = self.newest_last.pop_front()
        {
            self.bytes -= oldest.bytes;
        }
    }
}

impl Footer {
    /// The bytes in memory while these columns of a row group are read.
    pub(crate) fn bytes_of(&self, group: usize, columns: &[Column]) -> usize {
        self.sum_of(group, columns, |column| column.compressed_size())
    }

    /// The most bytes in memory while these columns are read, one row group at a time. A batch may hold all of a row
    /// group's long events.
    pub(crate) fn bytes_to_read(&self, groups: &[usize], columns: &[Column]) -> usize {
        let unpacked = |group: usize| self.sum_of(group, columns, |column| column.uncompressed_size());
        groups.iter().map(|group| self.bytes_of(*group, columns) + unpacked(*group)).max().unwrap_or(0)
    }

    /// The number of rows of these columns in a batch within `BATCH_BYTES`, because events may be long.
    fn batch_rows(&self, groups: &[usize], columns: &[Column]) -> usize {
        let rows: usize = groups.iter().map(|group| self.rows_of(*group)).sum();
        let bytes = |group: &usize| self.sum_of(*group, columns, |column| column.uncompressed_size());
        let bytes_of_row = groups.iter().map(bytes).sum::<usize>() / rows.max(1);
        (BATCH_BYTES / bytes_of_row.max(1)).clamp(BATCH_ROWS_MIN, BATCH_ROWS)
    }

    fn sum_of(&self, group: usize, columns: &[Column], size: fn(&ColumnChunkMetaData) -> i64) -> usize {
        let group = self.metadata.metadata().row_group(group);
        let known = columns.iter().filter_map(|column| group.columns().get(*column as usize));
        known.map(|column| usize::try_from(size(column)).unwrap_or(0)).sum()
    }

    pub(crate) fn rows_of(&self, group: usize) -> usize {
        usize::try_from(self.metadata.metadata().row_group(group).num_rows()).unwrap_or(0)
    }

    pub(crate) fn row_groups(&self) -> impl DoubleEndedIterator<Item = RowGroup<'_>> {
        self.metadata.metadata().row_groups().iter().enumerate().map(|(index, metadata)| RowGroup { index, metadata })
    }
}

/// A row group as described by the footer.
#[derive(Clone, Copy)]
pub(crate) struct RowGroup<'a> {
    pub(crate) index: usize,
    metadata: &'a RowGroupMetaData,
}

impl RowGroup<'_> {
    /// The smallest and largest number of the column, if known.
    pub(crate) fn numbers(&self, column: Column) -> Option<(i64, i64)> {
        let (least, most) = self.bytes(column)?;
        let number = |bytes: &[u8]| bytes.try_into().ok().map(i64::from_le_bytes);
        number(least).zip(number(most))
    }

    /// The first and last project of the row group, if known.
    pub(crate) fn projects(&self) -> Option<(ProjectId, ProjectId)> {
        let (first, last) = self.bytes(Column::ProjectId)?;
        let id = |bytes: &[u8]| bytes.try_into().ok().map(|bytes| ProjectId(uuid::Uuid::from_bytes(bytes)));
        id(first).zip(id(last))
    }

    fn bytes(&self, column: Column) -> Option<(&[u8], &[u8])> {
        let statistics = self.metadata.column(column as usize).statistics()?;
        statistics.min_bytes_opt().zip(statistics.max_bytes_opt())
    }
}

/// An open reader of a file.
pub(crate) struct Reading {
    files: Files,
    file: FileRef,
    decoder: ParquetPushDecoder,
    /// The requested columns, if the file is older than some of them.
    lacks_some_of: Option<Vec<Column>>,
    _held: Held,
}

impl Reading {
    pub(crate) fn next(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            match self.decoder.try_decode()? {
                DecodeResult::NeedsData(ranges) => {
                    let data = self.files.fetch(&self.file, &ranges)?;
                    self.decoder.push_ranges(ranges, data)?;
                }
                DecodeResult::Data(batch) => {
                    return Ok(Some(match &self.lacks_some_of {
                        None => batch,
                        Some(columns) => with_nulls(&batch, columns)?,
                    }));
                }
                DecodeResult::Finished => return Ok(None),
            }
        }
    }
}
