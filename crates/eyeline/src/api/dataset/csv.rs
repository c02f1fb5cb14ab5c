//! Records of a CSV stream as rows: the first record names the columns.

use std::collections::VecDeque;

use csv_core::{ReadRecordResult, Reader};
use eyeline_core::FieldErrors;
use eyeline_core::field_errors::REQUIRED;
use serde_json::Value;

use super::rows::{ROW_BYTES_MAX, ReadRow, RowObject, row_error, too_long};

const COLUMNS_MAX: usize = 100;
/// Columns whose cells are numbers.
const NUMBERS: [&str; 2] = ["width", "height"];
/// Columns that every row needs.
const NEEDED: [&str; 2] = ["external_id", "url"];

pub struct CsvReader {
    reader: Reader,
    header: Option<Vec<String>>,
    number: u64,
    text: Vec<u8>,
    text_length: usize,
    ends: Vec<usize>,
    ends_length: usize,
    trouble: Option<FieldErrors>,
}

impl Default for CsvReader {
    fn default() -> Self {
        CsvReader {
            reader: Reader::new(),
            header: None,
            number: 0,
            text: vec![0; ROW_BYTES_MAX],
            text_length: 0,
            ends: vec![0; COLUMNS_MAX],
            ends_length: 0,
            trouble: None,
        }
    }
}

impl CsvReader {
    pub fn feed(&mut self, mut bytes: &[u8], rows: &mut VecDeque<ReadRow>) -> Result<(), FieldErrors> {
        while !bytes.is_empty() {
            let (_, read) = self.read(bytes, rows)?;
            bytes = &bytes[read..];
        }
        Ok(())
    }

    /// The last record may lack its line end.
    pub fn finish(&mut self, rows: &mut VecDeque<ReadRow>) -> Result<(), FieldErrors> {
        while !matches!(self.read(&[], rows)?.0, ReadRecordResult::End) {}
        match self.header {
            Some(_) => Ok(()),
            None => Err(FieldErrors::one("", "The CSV has no header.")),
        }
    }

    fn read(&mut self, bytes: &[u8], rows: &mut VecDeque<ReadRow>) -> Result<(ReadRecordResult, usize), FieldErrors> {
        let (result, read, written, ends) =
            self.reader.read_record(bytes, &mut self.text[self.text_length..], &mut self.ends[self.ends_length..]);
        self.text_length += written;
        self.ends_length += ends;
        match result {
            // What does not fit is read over, so that the record after it can be taken.
            ReadRecordResult::OutputFull => {
                self.text_length = 0;
                self.trouble.get_or_insert_with(too_long);
            }
            ReadRecordResult::OutputEndsFull => {
                self.ends_length = 0;
                let sentence = format!("A row may have at most {COLUMNS_MAX} columns.");
                self.trouble.get_or_insert_with(|| row_error(&sentence));
            }
            ReadRecordResult::Record => {
                let record = match self.trouble.take() {
                    Some(errors) => Err(errors),
                    None => cells(&self.text, &self.ends[..self.ends_length]),
                };
                (self.text_length, self.ends_length) = (0, 0);
                match &self.header {
                    None => self.header = Some(header(record?)?),
                    Some(header) => {
                        self.number += 1;
                        rows.push_back((self.number, record.and_then(|cells| object(header, cells))));
                    }
                }
            }
            ReadRecordResult::InputEmpty | ReadRecordResult::End => {}
        }
        Ok((result, read))
    }
}

fn cells(text: &[u8], ends: &[usize]) -> Result<Vec<String>, FieldErrors> {
    let mut start = 0;
    let mut cells = Vec::with_capacity(ends.len());
    for end in ends {
        let cell = text.get(start..*end).and_then(|cell| std::str::from_utf8(cell).ok());
        cells.push(cell.ok_or_else(|| row_error("The text is not UTF-8."))?.to_owned());
        start = *end;
    }
    Ok(cells)
}

fn header(names: Vec<String>) -> Result<Vec<String>, FieldErrors> {
    let names: Vec<String> = names.iter().map(|name| name.trim().to_ascii_lowercase()).collect();
    let mut errors = FieldErrors::new();
    for name in NEEDED.iter().filter(|name| !names.iter().any(|other| other == *name)) {
        errors.add(format!("header.{name}"), REQUIRED);
    }
    for (index, name) in names.iter().enumerate() {
        if names[..index].contains(name) {
            errors.add(format!("header.{name}"), "This column is named twice.");
        }
    }
    errors.or(names)
}

/// An empty cell says nothing about its field. `tags` are separated by `|`.
fn object(header: &[String], cells: Vec<String>) -> Result<RowObject, FieldErrors> {
    if cells.len() != header.len() {
        let (cells, columns) = (cells.len(), header.len());
        return Err(row_error(&format!("The row has {cells} columns, the header has {columns}.")));
    }
    let value = |name: &str, cell: String| match name {
        "tags" => Value::from_iter(cell.split('|').map(str::trim).filter(|tag| !tag.is_empty())),
        _ if NUMBERS.contains(&name) => cell.trim().parse::<u64>().map_or(Value::String(cell), Value::from),
        _ => Value::String(cell),
    };
    let filled = header.iter().zip(cells).filter(|(_, cell)| !cell.is_empty());
    Ok(filled.map(|(name, cell)| (name.clone(), value(name, cell))).collect())
}
