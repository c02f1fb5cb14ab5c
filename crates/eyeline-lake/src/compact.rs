//! Merges many files into one, with a few row groups in memory.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::Write;

use arrow_array::RecordBatch;
use arrow_select::interleave::interleave_record_batch;

use crate::batch::{BATCH_ROWS, Columns, id_at};
use crate::budget::Budget;
use crate::error::Result;
use crate::file::{FileRef, Files, Reading};
use crate::schema::{Column, ROW_GROUP_ROWS};
use crate::write::{Facts, FileWriter, bytes_of};

/// The most bytes in memory for all files of a merge.
pub const MERGE_BYTES_MAX: u64 = 96 * 1024 * 1024;
/// Bytes of the rows that are written together.
const WRITE_BYTES: usize = 8 * 1024 * 1024;
/// The most bytes of a row while its row group is read: fetched, decompressed, and in a batch.
const ROW_BYTES: u64 = 192;

/// The number of files, counted from the first, that can be merged together.
pub fn merge_at_once(files: &[FileRef]) -> usize {
    let mut bytes = 0;
    files
        .iter()
        .take_while(|file| {
            bytes += file.facts.rows.min(ROW_GROUP_ROWS as u64) * ROW_BYTES;
            bytes <= MERGE_BYTES_MAX
        })
        .count()
        .max(2)
        .min(files.len())
}

/// The number of files, counted from the first, that a merge can read together, by what their footers say. Long events
/// take more memory than [`merge_at_once`] expects.
pub fn fit_together(files: &Files, inputs: &[FileRef]) -> Result<usize> {
    let (mut bytes, mut fitting) = (0, 0);
    for input in inputs {
        let footer = files.footer(input)?;
        let groups: Vec<usize> = footer.row_groups().map(|group| group.index).collect();
        bytes += footer.bytes_to_read(&groups, &Column::ALL) as u64;
        if bytes > MERGE_BYTES_MAX {
            break;
        }
        fitting += 1;
    }
    Ok(fitting.max(2).min(inputs.len()))
}

/// Writes all rows of `files` into `sink`, in the sort order of files. `None` if there are no rows.
pub fn compact<W: Write + Send>(
    files: &Files,
    inputs: &[FileRef],
    sink: W,
    budget: &Budget,
) -> Result<Option<(W, Facts)>> {
    let mut writer = FileWriter::new(sink)?;
    let mut cursors = Vec::with_capacity(inputs.len());
    let mut waiting = BinaryHeap::new();
    for input in inputs {
        let footer = files.footer(input)?;
        let groups = footer.row_groups().map(|group| group.index).collect();
        let mut cursor = Cursor::new(files.read(input, &footer, groups, &Column::ALL, None, budget)?);
        if cursor.next_batch()? {
            waiting.push(Reverse((cursor.key()?, cursors.len())));
        }
        cursors.push(cursor);
    }
    // The rows of the next batch: the index of a held batch, and a row in it. A batch is held once, even if its rows
    // alternate with others, because the cost of combining grows with the number of batches.
    let mut held: Vec<RecordBatch> = Vec::new();
    let mut rows: Vec<(usize, usize)> = Vec::with_capacity(BATCH_ROWS);
    let mut bytes = 0;
    while let Some(Reverse((_, index))) = waiting.pop() {
        let cursor = &mut cursors[index];
        let Some(batch) = &cursor.batch else { continue };
        let end = match waiting.peek() {
            Some(Reverse((key, _))) => cursor.first_not_before(key)?,
            None => batch.num_rows(),
        };
        let place = *cursor.held_at.get_or_insert_with(|| {
            held.push(batch.clone());
            held.len() - 1
        });
        rows.extend((cursor.at..end).map(|row| (place, row)));
        bytes += (end - cursor.at) * cursor.row_bytes;
        cursor.at = end;
        if rows.len() >= BATCH_ROWS || bytes >= WRITE_BYTES {
            budget.check()?;
            write(&mut writer, &mut held, &mut rows)?;
            bytes = 0;
            cursors.iter_mut().for_each(|cursor| cursor.held_at = None);
        }
        let cursor = &mut cursors[index];
        if cursor.at < cursor.rows() || cursor.next_batch()? {
            waiting.push(Reverse((cursor.key()?, index)));
        }
    }
    write(&mut writer, &mut held, &mut rows)?;
    writer.finish()
}

fn write<W: Write + Send>(
    writer: &mut FileWriter<W>,
    held: &mut Vec<RecordBatch>,
    rows: &mut Vec<(usize, usize)>,
) -> Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    writer.write(&interleave_record_batch(&held.iter().collect::<Vec<_>>(), rows)?)?;
    held.clear();
    rows.clear();
    Ok(())
}

type Key = (u128, i64, u32, i64);

struct Cursor {
    reading: Reading,
    batch: Option<RecordBatch>,
    /// The mean bytes of the batch's rows.
    row_bytes: usize,
    at: usize,
    /// The batch's index among the held batches.
    held_at: Option<usize>,
}

impl Cursor {
    fn new(reading: Reading) -> Self {
        Cursor { reading, batch: None, row_bytes: 0, at: 0, held_at: None }
    }

    /// False at the end.
    fn next_batch(&mut self) -> Result<bool> {
        self.at = 0;
        self.held_at = None;
        self.batch = self.reading.next()?;
        self.row_bytes = self.batch.as_ref().map_or(0, |batch| bytes_of(batch) / batch.num_rows().max(1));
        Ok(self.batch.is_some())
    }

    fn rows(&self) -> usize {
        self.batch.as_ref().map_or(0, RecordBatch::num_rows)
    }

    fn key(&self) -> Result<Key> {
        self.key_at(self.at)
    }

    fn key_at(&self, row: usize) -> Result<Key> {
        let Some(batch) = &self.batch else { return Ok((u128::MAX, i64::MAX, u32::MAX, i64::MAX)) };
        let columns = Columns(batch);
        let time = columns.times(Column::Timestamp)?.value(row);
        Ok((
            id_at(columns.ids(Column::ProjectId)?, row),
            time,
            columns.partitions()?.value(row),
            columns.offsets()?.value(row),
        ))
    }

    /// The first row from here on whose key is not before `key`, by binary search: runs are long or very short.
    fn first_not_before(&self, key: &Key) -> Result<usize> {
        let (mut early, mut late) = (self.at, self.rows());
        // The current row has the smallest key of all.
        early += 1;
        while early < late {
            let middle = early + (late - early) / 2;
            if self.key_at(middle)? < *key { early = middle + 1 } else { late = middle }
        }
        Ok(early.min(self.rows()))
    }
}
