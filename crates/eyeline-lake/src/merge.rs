//! Walks many sources, each sorted by time, as one.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::{ControlFlow, Range};

use arrow_array::RecordBatch;

use crate::budget::Budget;
use crate::error::Result;
use crate::scan::Source;

/// The wanted rows of a batch, with the values that a query needs.
pub(crate) trait Page: Sized {
    fn times(&self) -> &[i64];
}

/// A source, and its present page.
struct Cursor<P> {
    source: Source,
    page: Option<P>,
    at: usize,
}

/// Walks over the rows of all sources in the order of time. At equal times, earlier sources come first. `read` makes a
/// page of the wanted rows of a batch. `visit` receives a page and the range of its next rows, and may end the walk.
pub(crate) fn in_order_of_time<P: Page>(
    sources: Vec<Source>,
    budget: &Budget,
    mut read: impl FnMut(&RecordBatch, &[u32]) -> Result<P>,
    mut visit: impl FnMut(&P, Range<usize>) -> Result<ControlFlow<()>>,
) -> Result<()> {
    // A source that is not open yet waits with a lower bound of its times.
    let mut waiting: BinaryHeap<Reverse<(i64, usize)>> =
        sources.iter().enumerate().map(|(index, source)| Reverse((source.not_before, index))).collect();
    let mut cursors: Vec<Cursor<P>> = sources.into_iter().map(|source| Cursor { source, page: None, at: 0 }).collect();
    while let Some(Reverse((_, index))) = waiting.pop() {
        let cursor = &mut cursors[index];
        let page = match cursor.page.take() {
            Some(page) => page,
            None => {
                let Some((batch, rows)) = cursor.source.next(budget)? else { continue };
                cursor.at = 0;
                let page = read(&batch, &rows)?;
                // Its first row may be later than that of another source.
                waiting.push(Reverse((page.times()[0], index)));
                cursor.page = Some(page);
                continue;
            }
        };
        let rest = &page.times()[cursor.at..];
        let run = match waiting.peek() {
            Some(Reverse((time, other))) if *other < index => rest.partition_point(|at| at < time),
            Some(Reverse((time, _))) => rest.partition_point(|at| at <= time),
            None => rest.len(),
        };
        let next = cursor.at..cursor.at + run;
        if visit(&page, next.clone())?.is_break() {
            return Ok(());
        }
        cursor.at = next.end;
        match page.times().get(cursor.at) {
            Some(time) => {
                waiting.push(Reverse((*time, index)));
                cursor.page = Some(page);
            }
            // The next page begins no earlier than this one ended.
            None => waiting.push(Reverse((page.times()[next.end - 1], index))),
        }
    }
    Ok(())
}
