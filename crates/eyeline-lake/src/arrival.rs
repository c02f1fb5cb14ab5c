//! Reads events in the order of their offsets, whatever the sort order of the files.

use std::ops::RangeInclusive;

use crate::batch::{Columns, Record};
use crate::budget::Budget;
use crate::error::Result;
use crate::file::{FileRef, Files, Footer};
use crate::list::visit_rows_of_group;
use crate::scan::fitting;
use crate::schema::Column;

/// Applies `read` to the events of a category whose offsets are in the range, and returns the results by offset. The
/// files are of one partition. Memory: one batch, and the results.
pub fn in_order_of_arrival<T>(
    files: &Files,
    wanted: &[FileRef],
    offsets: &RangeInclusive<i64>,
    category: &str,
    budget: &Budget,
    mut read: impl FnMut(Record) -> Option<T>,
) -> Result<Vec<T>> {
    let overlaps = |(first, last): (i64, i64)| first <= *offsets.end() && last >= *offsets.start();
    let mut found = Vec::new();
    for file in wanted.iter().filter(|file| overlaps((file.facts.first_offset, file.facts.last_offset))) {
        let footer = files.footer(file)?;
        let groups = footer.row_groups().filter(|group| group.numbers(Column::Offset).is_none_or(overlaps));
        let groups: Vec<usize> = groups.map(|group| group.index).collect();
        for group in groups {
            let rows = rows_in_range(files, file, &footer, group, offsets, category, budget)?;
            visit_rows_of_group(files, file, &footer, group, &rows, budget, |record| {
                let offset = record.offset;
                found.extend(read(record).map(|made| (offset, made)));
            })?;
        }
    }
    found.sort_unstable_by_key(|(offset, _)| *offset);
    Ok(found.into_iter().map(|(_, made)| made).collect())
}

/// The sorted rows of a row group that are in the range.
fn rows_in_range(
    files: &Files,
    file: &FileRef,
    footer: &Footer,
    group: usize,
    offsets: &RangeInclusive<i64>,
    category: &str,
    budget: &Budget,
) -> Result<Vec<usize>> {
    let columns = [Column::Offset, Column::Category];
    let mut reading = files.read(file, footer, vec![group], &columns, None, budget)?;
    let (mut rows, mut at) = (Vec::new(), 0);
    while let Some(batch) = reading.next()? {
        budget.check()?;
        let columns = Columns(&batch);
        let (of_rows, words) = (columns.offsets()?.values(), columns.words(Column::Category)?);
        let fits = fitting(&words, category);
        let meant = (0..of_rows.len()).filter(|row| offsets.contains(&of_rows[*row]) && fits[words.key(*row)]);
        rows.extend(meant.map(|row| at + row));
        at += batch.num_rows();
    }
    Ok(rows)
}
