//! Cuts a stream of bytes into rows, whatever its pieces and its length. A row is bounded, and an unreadable one does
//! not stop the rows after it. Every row is counted once.

use std::collections::VecDeque;
use std::fmt;

use eyeline_core::FieldErrors;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::array::ArrayCutter;
use super::csv::CsvReader;
use super::map::{ColumnMap, RowObject};

/// Bytes of one row.
pub const ROW_BYTES_MAX: usize = 64 * 1024;

/// A row that was read.
#[derive(Debug, PartialEq)]
pub struct ReadRow {
    /// From 1: the element of the array, the line, or the record after the header.
    pub number: u64,
    /// The number of stream rows that it stands for, itself included.
    pub rows: u64,
    /// `None` for a row without its own content, such as a variation of a product.
    pub read: Result<Option<RowObject>, FieldErrors>,
}

impl ReadRow {
    pub fn one(number: u64, read: Result<RowObject, FieldErrors>) -> Self {
        ReadRow { number, rows: 1, read: read.map(Some) }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Json,
    Ndjson,
    /// With its separator, unless the first line tells it.
    Csv(Option<u8>),
}

impl Format {
    /// By the media type of a request, without its parameters.
    pub fn of(media_type: &str) -> Option<Self> {
        match media_type.to_ascii_lowercase().as_str() {
            "application/json" => Some(Format::Json),
            "application/x-ndjson" | "application/ndjson" | "application/jsonl" | "application/x-jsonlines" => {
                Some(Format::Ndjson)
            }
            // Windows gives CSV the type of Excel.
            "text/csv" | "application/csv" | "text/comma-separated-values" | "application/vnd.ms-excel" => {
                Some(Format::Csv(None))
            }
            "text/tab-separated-values" | "text/tsv" => Some(Format::Csv(Some(b'\t'))),
            _ => None,
        }
    }
}

/// Feed it the stream, piece by piece, and take the rows in between; then [`RowReader::finish`].
pub struct RowReader {
    cutter: Cutter,
    map: ColumnMap,
    /// The client stated the map: it holds for the names in objects too.
    is_mapped: bool,
    rows: VecDeque<ReadRow>,
    /// The product under way, when rows of one product follow each other.
    product: Option<ReadRow>,
    is_finished: bool,
}

enum Cutter {
    Json(ArrayCutter),
    Ndjson(LineCutter),
    Csv(Box<CsvReader>),
}

impl RowReader {
    /// Without a map, every column means the field of its own name.
    pub fn new(format: Format, map: Option<ColumnMap>) -> Self {
        let cutter = match format {
            Format::Json => Cutter::Json(ArrayCutter::default()),
            Format::Ndjson => Cutter::Ndjson(LineCutter::default()),
            Format::Csv(separator) => Cutter::Csv(Box::new(CsvReader::new(separator))),
        };
        let (is_mapped, map) = (map.is_some(), map.unwrap_or_default());
        RowReader { cutter, map, is_mapped, rows: VecDeque::new(), product: None, is_finished: false }
    }

    /// The error says why nothing after it can be read.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<(), FieldErrors> {
        match &mut self.cutter {
            Cutter::Json(cutter) => cutter.feed(bytes, &self.map, &mut self.rows),
            Cutter::Ndjson(cutter) => {
                cutter.feed(bytes, &self.map, &mut self.rows);
                Ok(())
            }
            Cutter::Csv(reader) => reader.feed(bytes, &self.map, &mut self.rows),
        }
    }

    /// Ends the stream.
    pub fn finish(&mut self) -> Result<(), FieldErrors> {
        self.is_finished = true;
        match &mut self.cutter {
            Cutter::Json(cutter) => cutter.finish(&self.map, &mut self.rows),
            Cutter::Ndjson(cutter) => {
                cutter.end_line(&self.map, &mut self.rows);
                Ok(())
            }
            Cutter::Csv(reader) => reader.finish(&self.map, &mut self.rows),
        }
    }

    pub fn take(&mut self) -> Option<ReadRow> {
        while let Some(row) = self.rows.pop_front() {
            let row = self.mapped(row);
            if !self.map.joins_rows {
                return Some(row);
            }
            if let Some(product) = &mut self.product
                && joined(product, &row)
            {
                continue;
            }
            if let Some(product) = self.product.replace(row) {
                return Some(product);
            }
        }
        if self.is_finished { self.product.take() } else { None }
    }

    fn mapped(&self, mut row: ReadRow) -> ReadRow {
        if let Ok(Some(object)) = &mut row.read
            && self.is_mapped
        {
            if !matches!(self.cutter, Cutter::Csv(_)) {
                *object = self.map.apply(std::mem::take(object));
            }
            let kind = object.get("kind").and_then(Value::as_str).unwrap_or_default();
            if kind.to_ascii_lowercase().contains("variation") {
                row.read = Ok(None);
            }
        }
        row
    }
}

/// Joins a row to the previous product if both have the same `external_id`: it fills what the product lacks. The
/// picture at position 1 is the product's.
fn joined(product: &mut ReadRow, row: &ReadRow) -> bool {
    let (Ok(Some(known)), Ok(Some(more))) = (&mut product.read, &row.read) else { return false };
    if known.get("external_id").is_none() || known.get("external_id") != more.get("external_id") {
        return false;
    }
    let is_first = more.get("position").is_some_and(|position| position == "1");
    for (name, value) in more {
        if is_first && name == "url" {
            known.insert(name.clone(), value.clone());
        } else {
            known.entry(name.clone()).or_insert_with(|| value.clone());
        }
    }
    product.rows += row.rows;
    true
}

/// Reads a row of JSON.
pub(super) fn parse_object(bytes: &[u8], map: &ColumnMap) -> Result<RowObject, FieldErrors> {
    let read = match bytes.trim_ascii_start().first() {
        Some(b'{') => serde_json::from_slice::<Object>(bytes).map(Some),
        _ => serde_json::from_slice::<IgnoredAny>(bytes).map(|_| None),
    };
    match read {
        Ok(Some(object)) => {
            let mut errors = FieldErrors::new();
            for name in object.repeated.into_iter().filter(|name| map.fields(name).next().is_some()) {
                errors.add(name, "The row has this field twice.");
            }
            errors.or(object.fields)
        }
        Ok(None) => Err(row_error("A row has to be a JSON object.")),
        Err(_) if std::str::from_utf8(bytes).is_err() => Err(row_error("The text is not UTF-8.")),
        Err(error) => Err(row_error(&format!("This is not JSON: {error}."))),
    }
}

/// An object of JSON, and the names that it repeats: which of their values is meant is unknown.
#[derive(Default)]
pub(super) struct Object {
    pub fields: RowObject,
    repeated: Vec<String>,
}

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor)
    }
}

struct ObjectVisitor;

impl<'de> Visitor<'de> for ObjectVisitor {
    type Value = Object;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
        let mut object = Object::default();
        while let Some((name, value)) = map.next_entry::<String, Value>()? {
            if object.fields.contains_key(&name) {
                object.repeated.push(name.clone());
            }
            object.fields.insert(name, value);
        }
        Ok(object)
    }
}

pub(super) fn row_error(sentence: &str) -> FieldErrors {
    FieldErrors::one("row", sentence)
}

pub(super) fn too_long() -> FieldErrors {
    row_error(&format!("A row may have at most {ROW_BYTES_MAX} bytes."))
}

/// Lines of JSON. They end with LF, CR LF or CR; blank ones are no rows, but have their number.
#[derive(Default)]
pub(super) struct LineCutter {
    /// Of the line under way, as far as it is within the bound.
    pub(super) line: Vec<u8>,
    is_too_long: bool,
    /// The last byte was a CR: an LF after it ends the same line.
    is_after_cr: bool,
    number: u64,
}

impl LineCutter {
    pub(super) fn feed(&mut self, mut bytes: &[u8], map: &ColumnMap, rows: &mut VecDeque<ReadRow>) {
        while let Some(first) = bytes.first() {
            if std::mem::take(&mut self.is_after_cr) && *first == b'\n' {
                bytes = &bytes[1..];
                continue;
            }
            let end = bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
            self.extend(&bytes[..end.unwrap_or(bytes.len())]);
            let Some(end) = end else { return };
            self.is_after_cr = bytes[end] == b'\r';
            self.end_line(map, rows);
            bytes = &bytes[end + 1..];
        }
    }

    fn extend(&mut self, more: &[u8]) {
        if self.line.len() + more.len() > ROW_BYTES_MAX {
            self.is_too_long = true;
            self.line = Vec::new();
        }
        if !self.is_too_long {
            self.line.extend_from_slice(more);
        }
    }

    fn end_line(&mut self, map: &ColumnMap, rows: &mut VecDeque<ReadRow>) {
        self.number += 1;
        // Each of several joined files has a byte order mark.
        let line = self.line.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&self.line).trim_ascii();
        let read = match line {
            _ if self.is_too_long => Some(Err(too_long())),
            [] => None,
            line => Some(parse_object(line, map)),
        };
        rows.extend(read.map(|read| ReadRow::one(self.number, read)));
        self.line.clear();
        self.is_too_long = false;
    }
}
