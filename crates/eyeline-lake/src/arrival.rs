//! Reads events in the order of their offsets, whatever the sort order of the files.

use crate::batch::{Columns, Record};
use crate::budget::Budget;
use crate::error::Result;
use crate::file::{FileRef, Files, Footer};
use crate::list::visit_rows_of_group;
use crate::scan::fitting;
use crate::schema::Column;

/// The first events of a category after the offset `after`, up to and including `up_to`.
#[derive(Clone, Copy, Debug)]
pub struct Arrivals<'a> {
    pub after: i64,
    pub up_to: i64,
    pub category: &'a str,
    /// The most results; above zero.
    pub rows_max: usize,
}

impl Arrivals<'_> {
    fn may_be_in(&self, (first, last): (i64, i64)) -> bool {
        first <= self.up_to && last > self.after
    }
}

/// Applies `read` to the wanted events, and returns the first results by offset. Also returns the offset after which
/// there may be more; `None` at the end. The files are of one partition. Memory: one batch, and some more results than
/// are returned.
pub fn in_order_of_arrival<T>(
    files: &Files,
    of_partition: &[FileRef],
    mut wanted: Arrivals<'_>,
    budget: &Budget,
    mut read: impl FnMut(Record) -> Option<T>,
) -> Result<(Vec<T>, Option<i64>)> {
    let (end, held_max) = (wanted.up_to, wanted.rows_max.saturating_add(wanted.rows_max / 8));
    // Files with early events come first, so that the others soon need not be read.
    let mut by_offset: Vec<&FileRef> = of_partition.iter().collect();
    by_offset.sort_unstable_by_key(|file| file.facts.first_offset);
    let mut found = Vec::new();
    for file in by_offset {
        if !wanted.may_be_in((file.facts.first_offset, file.facts.last_offset)) {
            continue;
        }
        let footer = files.footer(file)?;
        for group in footer.row_groups() {
            if group.numbers(Column::Offset).is_some_and(|span| !wanted.may_be_in(span)) {
                continue;
            }
            let rows = rows_of(wanted, files, file, &footer, group.index, budget)?;
            visit_rows_of_group(files, file, &footer, group.index, &rows, budget, |record| {
                let offset = record.offset;
                if offset <= wanted.up_to {
                    found.extend(read(record).map(|made| (offset, made)));
                }
                if found.len() > held_max {
                    wanted.up_to = keep_first(&mut found, wanted.rows_max).unwrap_or(wanted.up_to);
                }
            })?;
        }
    }
    wanted.up_to = keep_first(&mut found, wanted.rows_max).unwrap_or(wanted.up_to);
    found.sort_unstable_by_key(|(offset, _)| *offset);
    let rest_after = Some(wanted.up_to).filter(|reached| *reached < end);
    Ok((found.into_iter().map(|(_, made)| made).collect(), rest_after))
}

/// Drops all results but the first ones by offset. Returns the last offset that is left, if any result was dropped.
fn keep_first<T>(found: &mut Vec<(i64, T)>, rows_max: usize) -> Option<i64> {
    if found.len() <= rows_max {
        return None;
    }
    let (_, (last, _), _) = found.select_nth_unstable_by_key(rows_max - 1, |(offset, _)| *offset);
    let last = *last;
    found.truncate(rows_max);
    Some(last)
}

/// The sorted rows of a row group that are wanted.
fn rows_of(
    wanted: Arrivals<'_>,
    files: &Files,
    file: &FileRef,
    footer: &Footer,
    group: usize,
    budget: &Budget,
) -> Result<Vec<usize>> {
    let columns = [Column::Offset, Column::Category];
    let mut reading = files.read(file, footer, vec![group], &columns, None, budget)?;
    let (mut rows, mut at) = (Vec::new(), 0);
    while let Some(batch) = reading.next()? {
        budget.check()?;
        let columns = Columns(&batch);
        let (of_rows, words) = (columns.offsets()?.values(), columns.words(Column::Category)?);
        let fits = fitting(&words, wanted.category);
        let is_in_span = |offset: i64| wanted.after < offset && offset <= wanted.up_to;
        let meant = (0..of_rows.len()).filter(|row| is_in_span(of_rows[*row]) && fits[words.key(*row)]);
        rows.extend(meant.map(|row| at + row));
        at += batch.num_rows();
    }
    Ok(rows)
}
