//! The cells of a CSV record, and their meaning by the header.

use std::borrow::Cow;

use eyeline_core::FieldErrors;
use serde_json::Value;

use super::map::{ColumnMap, Field, NEEDED, RowObject, row};
use super::rows::row_error;

/// Possible separators of columns if the file states none.
const SEPARATORS: [u8; 3] = [b',', b';', b'\t'];

pub type Cells<'a> = Vec<Cow<'a, [u8]>>;

/// The separator with which most columns of the first line have a meaning.
pub fn separator_of(line: &[u8], map: &ColumnMap) -> Option<u8> {
    let meant = |separator: &u8| {
        let cells = split(line, Some(*separator));
        cells.iter().filter(|cell| map.fields(&String::from_utf8_lossy(cell)).next().is_some()).count()
    };
    // The first one wins a tie.
    SEPARATORS.into_iter().rev().max_by_key(meant)
}

/// Cuts a record into its cells. A quote that its cell does not close is literal.
pub fn split(record: &[u8], separator: Option<u8>) -> Cells<'_> {
    let separator = separator.unwrap_or(b',');
    let mut cells = Vec::new();
    let mut at = 0;
    loop {
        let (cell, end) = quoted(record, at, separator).unwrap_or_else(|| {
            let length = record[at..].iter().position(|byte| *byte == separator);
            let end = length.map_or(record.len(), |length| at + length);
            (Cow::Borrowed(&record[at..end]), end)
        });
        cells.push(cell);
        if end == record.len() {
            return cells;
        }
        at = end + 1;
    }
}

/// The quoted cell that begins at `start`, and where it ends.
fn quoted(record: &[u8], start: usize, separator: u8) -> Option<(Cow<'_, [u8]>, usize)> {
    if record.get(start) != Some(&b'"') {
        return None;
    }
    let mut quote = start + 1;
    let mut has_quotes = false;
    loop {
        quote += record.get(quote..)?.iter().position(|byte| *byte == b'"')?;
        if record.get(quote + 1) != Some(&b'"') {
            break;
        }
        has_quotes = true;
        quote += 2;
    }
    let blanks = record[quote + 1..].iter().take_while(|byte| **byte != separator && matches!(byte, b' ' | b'\t'));
    let end = quote + 1 + blanks.count();
    if record.get(end).is_some_and(|byte| *byte != separator) {
        return None;
    }
    let text = &record[start + 1..quote];
    if !has_quotes {
        return Some((Cow::Borrowed(text), end));
    }
    let mut cell = Vec::with_capacity(text.len());
    let mut bytes = text.iter();
    while let Some(byte) = bytes.next() {
        cell.push(*byte);
        if *byte == b'"' {
            bytes.next();
        }
    }
    Some((Cow::Owned(cell), end))
}

/// The columns of a table.
pub struct Header(Vec<Column>);

struct Column {
    name: String,
    /// With their places in the map; none for a column that means nothing.
    fields: Vec<(usize, Field)>,
}

impl Header {
    /// Reads the header. The error holds all mistakes by column. Only mapped names must be unique.
    pub fn read(cells: &[Cow<'_, [u8]>], map: &ColumnMap) -> Result<Self, FieldErrors> {
        let mut columns: Vec<Column> = Vec::with_capacity(cells.len());
        let mut errors = FieldErrors::new();
        for cell in cells {
            let Ok(name) = std::str::from_utf8(cell) else {
                return Err(FieldErrors::one("header", NOT_UTF8));
            };
            let name = name.trim().to_owned();
            let fields: Vec<(usize, Field)> = map.fields(&name).collect();
            if !fields.is_empty() && columns.iter().any(|column| column.fields == fields) {
                errors.add(format!("header.{name}"), "This column is named twice.");
            }
            columns.push(Column { name, fields });
        }
        for needed in NEEDED {
            let is_there = columns.iter().any(|column| column.fields.iter().any(|(_, field)| field.target() == needed));
            if !is_there {
                let names: Vec<&str> = map.columns_of(needed).collect();
                let sentence = format!("This field is required: a column has to be named {}.", names.join(" or "));
                errors.add(format!("header.{needed}"), sentence);
            }
        }
        for stated in map.stated_columns() {
            if !columns.iter().any(|column| map.fields(&column.name).any(|(index, _)| index == stated.0)) {
                let sentence = "The map names this column, and the header does not have it.";
                errors.add(format!("header.{}", stated.1), sentence);
            }
        }
        errors.or(Header(columns))
    }

    pub fn name(&self, column: usize) -> Option<&str> {
        self.0.get(column).map(|column| column.name.as_str())
    }

    /// The row of a record's cells. An empty cell says nothing about its field.
    pub fn row(&self, text: &[u8], cells: Cells<'_>) -> Result<RowObject, FieldErrors> {
        if std::str::from_utf8(text).is_err() {
            return Err(row_error(NOT_UTF8));
        }
        if !self.fits(&cells) {
            let (cells, columns) = (cells.len(), self.0.len());
            return Err(row_error(&format!("The row has {cells} columns, the header has {columns}.")));
        }
        let filled = self.0.iter().zip(cells).filter(|(column, cell)| !column.fields.is_empty() && !cell.is_empty());
        Ok(row(filled.flat_map(|(column, cell)| {
            let value = Value::from(String::from_utf8_lossy(&cell));
            column.fields.iter().map(move |(index, field)| (*index, *field, value.clone()))
        })))
    }

    /// True if a record has the header's columns. Spreadsheets add empty cells and omit those without a heading.
    fn fits(&self, cells: &[Cow<'_, [u8]>]) -> bool {
        let unnamed = self.0.iter().skip(cells.len()).all(|column| column.name.is_empty());
        unnamed && cells.iter().skip(self.0.len()).all(|cell| cell.is_empty())
    }

    /// True if a line alone is a row: it has the header's columns and the required fields. Prose does not look like
    /// that.
    pub fn is_row(&self, line: &[u8], separator: Option<u8>) -> bool {
        let cells = split(without_end(line), separator);
        let has = |needed: &str, is_good: fn(&[u8]) -> bool| {
            self.0.iter().zip(&cells).any(|(column, cell)| {
                column.fields.iter().any(|(_, field)| field.target() == needed) && is_good(cell.trim_ascii())
            })
        };
        self.fits(&cells) && has("external_id", |cell| !cell.is_empty()) && has("url", is_address)
    }

    /// True if a record of several lines is really several rows, joined by a stray quote.
    pub fn is_torn(&self, lines: &[&[u8]], cells: &[Cow<'_, [u8]>], separator: Option<u8>) -> bool {
        let [first, within @ .., last] = lines else { return false };
        !self.fits(cells)
            || within.iter().any(|line| self.is_row(line, separator))
            || self.is_row(first, separator) && self.is_row(last, separator)
    }
}

const NOT_UTF8: &str = "The text is not UTF-8. Send it as UTF-8, or name its encoding: \
                        Content-Type: text/csv; charset=windows-1252.";

fn is_address(cell: &[u8]) -> bool {
    let begins = |scheme: &[u8]| cell.get(..scheme.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(scheme));
    begins(b"http://") || begins(b"https://")
}

fn without_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}
