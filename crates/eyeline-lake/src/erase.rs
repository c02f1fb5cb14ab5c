//! A file without what a session did.

use std::io::Write;

use arrow_array::BooleanArray;
use arrow_select::filter::filter_record_batch;

use crate::batch::{BATCH_ROWS, Columns, id_at};
use crate::budget::Budget;
use crate::error::Result;
use crate::file::{FileRef, Files};
use crate::scan::Hidden;
use crate::schema::Column;
use crate::write::{Facts, FileWriter};

/// How many events of the file are hidden; few columns are read.
pub fn count_hidden(files: &Files, file: &FileRef, hidden: &Hidden, budget: &Budget) -> Result<u64> {
    let footer = files.footer(file)?;
    let may_be_in = footer
        .row_groups()
        .filter(|group| group.projects().is_none_or(|(first, last)| (first..=last).contains(&hidden.project_id)));
    let groups: Vec<usize> = may_be_in.map(|group| group.index).collect();
    let columns = [Column::ProjectId, Column::SessionId, Column::ReceivedAt];
    let mut reading = files.read(file, &footer, groups, &columns, BATCH_ROWS, None)?;
    let mut count = 0;
    while let Some(batch) = reading.next()? {
        budget.check()?;
        count += kept(&Columns(&batch), hidden)?.false_count() as u64;
    }
    Ok(count)
}

/// Writes the file without the hidden events into `sink`; `None` when nothing is left.
pub fn write_without<W: Write + Send>(
    files: &Files,
    file: &FileRef,
    hidden: &Hidden,
    sink: W,
    budget: &Budget,
) -> Result<Option<(W, Facts)>> {
    let footer = files.footer(file)?;
    let groups = footer.row_groups().map(|group| group.index).collect();
    let mut reading = files.read(file, &footer, groups, &Column::ALL, BATCH_ROWS, None)?;
    let mut writer = FileWriter::new(sink)?;
    while let Some(batch) = reading.next()? {
        budget.check()?;
        writer.write(&filter_record_batch(&batch, &kept(&Columns(&batch), hidden)?)?)?;
    }
    writer.finish()
}

fn kept(columns: &Columns<'_>, hidden: &Hidden) -> Result<BooleanArray> {
    let (projects, sessions) = (columns.ids(Column::ProjectId)?, columns.ids(Column::SessionId)?);
    let received = columns.times(Column::ReceivedAt)?.values();
    let (project, session) = (hidden.project_id.0.as_u128(), hidden.session_id.0.as_u128());
    let until = hidden.received_until.micros();
    let is_hidden =
        |row: usize| id_at(sessions, row) == session && id_at(projects, row) == project && received[row] <= until;
    Ok((0..received.len()).map(|row| Some(!is_hidden(row))).collect())
}
