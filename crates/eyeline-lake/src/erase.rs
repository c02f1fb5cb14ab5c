//! Rewrites a file without some of its events: those of an erased session, or those before a retention cut.

use std::collections::BTreeMap;
use std::io::Write;

use arrow_array::BooleanArray;
use arrow_select::filter::filter_record_batch;
use eyeline_core::event::gallery_act;
use eyeline_core::{ApplicationId, GalleryId, Timestamp};

use crate::batch::{Columns, id_at};
use crate::budget::Budget;
use crate::error::Result;
use crate::file::{FileRef, Files, Footer};
use crate::questions::interval::Interval;
use crate::scan::Hidden;
use crate::schema::Column;
use crate::write::{Facts, FileWriter};

/// Hidden events of one hour, application and type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HiddenEvents {
    pub hour: Timestamp,
    pub application_id: ApplicationId,
    pub category: String,
    pub name: String,
    pub events: u64,
}

/// The number of hidden events in the file, by hour, application and type. Reads few columns.
pub fn count_hidden(files: &Files, file: &FileRef, hidden: &Hidden, budget: &Budget) -> Result<Vec<HiddenEvents>> {
    let footer = files.footer(file)?;
    let groups = groups_of(&footer, hidden);
    let columns = [
        Column::ProjectId,
        Column::Timestamp,
        Column::SessionId,
        Column::ReceivedAt,
        Column::ApplicationId,
        Column::Category,
        Column::Name,
    ];
    let mut reading = files.read(file, &footer, groups, &columns, None, budget)?;
    let mut counts = BTreeMap::<(i64, u128, String, String), u64>::new();
    while let Some(batch) = reading.next()? {
        budget.check()?;
        let columns = Columns(&batch);
        let kept = kept(&columns, hidden)?;
        if kept.false_count() == 0 {
            continue;
        }
        let (times, applications) = (columns.times(Column::Timestamp)?, columns.ids(Column::ApplicationId)?);
        let (categories, names) = (columns.words(Column::Category)?, columns.words(Column::Name)?);
        for row in (0..batch.num_rows()).filter(|row| !kept.value(*row)) {
            let hour = Interval::Hour.number(Timestamp::from_micros(times.value(row)));
            let kind = (categories.at(row).to_owned(), names.at(row).to_owned());
            *counts.entry((hour, id_at(applications, row), kind.0, kind.1)).or_default() += 1;
        }
    }
    let hidden = counts.into_iter().map(|((hour, application, category, name), events)| HiddenEvents {
        hour: Interval::Hour.begin(hour),
        application_id: uuid::Uuid::from_u128(application).into(),
        category,
        name,
        events,
    });
    Ok(hidden.collect())
}

/// The number of views and clicks among the hidden events, by gallery. Reads event data, so call it only for files with
/// hidden events.
pub fn count_hidden_acts(
    files: &Files,
    file: &FileRef,
    hidden: &Hidden,
    budget: &Budget,
) -> Result<BTreeMap<GalleryId, u64>> {
    let footer = files.footer(file)?;
    let groups = groups_of(&footer, hidden);
    let columns =
        [Column::ProjectId, Column::SessionId, Column::ReceivedAt, Column::Category, Column::Name, Column::Data];
    let mut reading = files.read(file, &footer, groups, &columns, None, budget)?;
    let mut acts = BTreeMap::new();
    while let Some(batch) = reading.next()? {
        budget.check()?;
        let columns = Columns(&batch);
        let kept = kept(&columns, hidden)?;
        if kept.false_count() == 0 {
            continue;
        }
        let (categories, names) = (columns.words(Column::Category)?, columns.words(Column::Name)?);
        let data = columns.texts(Column::Data)?;
        for row in (0..batch.num_rows()).filter(|row| !kept.value(*row)) {
            if let Ok(Some(act)) = gallery_act(categories.at(row), names.at(row), data.value(row)) {
                *acts.entry(act.gallery_id).or_default() += 1;
            }
        }
    }
    Ok(acts)
}

/// The row groups that may hold events of the project.
fn groups_of(footer: &Footer, hidden: &Hidden) -> Vec<usize> {
    let may_be_in = footer
        .row_groups()
        .filter(|group| group.projects().is_none_or(|(first, last)| (first..=last).contains(&hidden.project_id)));
    may_be_in.map(|group| group.index).collect()
}

/// Writes the file without the hidden events into `sink`. `None` if no event is left.
pub fn write_without<W: Write + Send>(
    files: &Files,
    file: &FileRef,
    hidden: &Hidden,
    sink: W,
    budget: &Budget,
) -> Result<Option<(W, Facts)>> {
    write_kept(files, file, |columns| kept(columns, hidden), sink, budget)
}

/// Writes the events of the file after this offset into `sink`. `None` if there are none.
pub fn write_after<W: Write + Send>(
    files: &Files,
    file: &FileRef,
    offset: i64,
    sink: W,
    budget: &Budget,
) -> Result<Option<(W, Facts)>> {
    let is_after = |columns: &Columns<'_>| {
        let offsets = columns.offsets()?.values();
        Ok(offsets.iter().map(|of_row| Some(*of_row > offset)).collect())
    };
    write_kept(files, file, is_after, sink, budget)
}

fn write_kept<W: Write + Send>(
    files: &Files,
    file: &FileRef,
    kept: impl Fn(&Columns<'_>) -> Result<BooleanArray>,
    sink: W,
    budget: &Budget,
) -> Result<Option<(W, Facts)>> {
    let footer = files.footer(file)?;
    let groups = footer.row_groups().map(|group| group.index).collect();
    let mut reading = files.read(file, &footer, groups, &Column::ALL, None, budget)?;
    let mut writer = FileWriter::new(sink)?;
    while let Some(batch) = reading.next()? {
        budget.check()?;
        writer.write(&filter_record_batch(&batch, &kept(&Columns(&batch))?)?)?;
    }
    writer.finish()
}

fn kept(columns: &Columns<'_>, hidden: &Hidden) -> Result<BooleanArray> {
    let (projects, sessions) = (columns.ids(Column::ProjectId)?, columns.ids(Column::SessionId)?);
    let received = columns.times(Column::ReceivedAt)?.values();
    let (project, until) = (hidden.project_id.0.as_u128(), hidden.received_until.micros());
    let session = hidden.session_id.map(|session_id| session_id.0.as_u128());
    let is_hidden = |row: usize| {
        session.is_none_or(|session| id_at(sessions, row) == session)
            && id_at(projects, row) == project
            && received[row] <= until
    };
    Ok((0..received.len()).map(|row| Some(!is_hidden(row))).collect())
}
