//! Cuts a stream of bytes into rows, whatever the stream's pieces and whatever its length: a row is bounded, and one
//! that cannot be read does not stop the rows after it.

use std::collections::VecDeque;

use eyeline_core::FieldErrors;
use serde_json::{Map, Value};

use super::csv::CsvReader;

/// Bytes of one row.
pub const ROW_BYTES_MAX: usize = 64 * 1024;

pub type RowObject = Map<String, Value>;

/// A row's number, from 1 (the element of the array, the line, the record after the header), and what stands in it.
pub type ReadRow = (u64, Result<RowObject, FieldErrors>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Json,
    Ndjson,
    Csv,
}

impl Format {
    /// By the media type of a request, without its parameters.
    pub fn of(media_type: &str) -> Option<Self> {
        match media_type.to_ascii_lowercase().as_str() {
            "application/json" => Some(Format::Json),
            "application/x-ndjson" | "application/ndjson" | "application/jsonl" | "application/x-jsonlines" => {
                Some(Format::Ndjson)
            }
            "text/csv" => Some(Format::Csv),
            _ => None,
        }
    }
}

/// Feed it the stream, piece by piece, and take the rows in between; then [`RowReader::finish`].
pub struct RowReader {
    cutter: Cutter,
    rows: VecDeque<ReadRow>,
}

enum Cutter {
    Json(ArrayCutter),
    Ndjson(LineCutter),
    Csv(Box<CsvReader>),
}

impl RowReader {
    pub fn new(format: Format) -> Self {
        let cutter = match format {
            Format::Json => Cutter::Json(ArrayCutter::default()),
            Format::Ndjson => Cutter::Ndjson(LineCutter::default()),
            Format::Csv => Cutter::Csv(Box::default()),
        };
        RowReader { cutter, rows: VecDeque::new() }
    }

    /// The error says why nothing after it can be read.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<(), FieldErrors> {
        match &mut self.cutter {
            Cutter::Json(cutter) => cutter.feed(bytes, &mut self.rows),
            Cutter::Ndjson(cutter) => {
                cutter.feed(bytes, &mut self.rows);
                Ok(())
            }
            Cutter::Csv(reader) => reader.feed(bytes, &mut self.rows),
        }
    }

    /// Says that the stream is at its end.
    pub fn finish(&mut self) -> Result<(), FieldErrors> {
        match &mut self.cutter {
            Cutter::Json(cutter) => cutter.finish(),
            Cutter::Ndjson(cutter) => {
                cutter.end_line(&mut self.rows);
                Ok(())
            }
            Cutter::Csv(reader) => reader.finish(&mut self.rows),
        }
    }

    pub fn take(&mut self) -> Option<ReadRow> {
        self.rows.pop_front()
    }
}

/// The bytes of the row under way, as far as they are within the bound.
#[derive(Default)]
struct RowBytes {
    bytes: Vec<u8>,
    too_long: bool,
}

impl RowBytes {
    fn extend(&mut self, more: &[u8]) {
        if self.bytes.len() + more.len() > ROW_BYTES_MAX {
            self.too_long = true;
            self.bytes.clear();
        }
        if !self.too_long {
            self.bytes.extend_from_slice(more);
        }
    }

    fn is_blank(&self) -> bool {
        !self.too_long && self.bytes.iter().all(u8::is_ascii_whitespace)
    }

    /// Reads the row and makes place for the next one.
    fn parse(&mut self) -> Result<RowObject, FieldErrors> {
        let outcome = match (self.too_long, serde_json::from_slice(&self.bytes)) {
            (true, _) => Err(too_long()),
            (false, Ok(Value::Object(object))) => Ok(object),
            (false, Ok(_)) => Err(row_error("A row has to be a JSON object.")),
            (false, Err(error)) => Err(row_error(&format!("This is not JSON: {error}."))),
        };
        self.bytes.clear();
        self.too_long = false;
        outcome
    }
}

pub(super) fn row_error(sentence: &str) -> FieldErrors {
    FieldErrors::one("row", sentence)
}

pub(super) fn too_long() -> FieldErrors {
    row_error(&format!("A row may have at most {ROW_BYTES_MAX} bytes."))
}

const BOM: &[u8] = b"\xEF\xBB\xBF";

/// Takes the byte order mark off the first line.
fn without_bom(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(BOM).unwrap_or(bytes)
}

#[derive(Default)]
struct LineCutter {
    line: RowBytes,
    number: u64,
}

impl LineCutter {
    fn feed(&mut self, bytes: &[u8], rows: &mut VecDeque<ReadRow>) {
        let mut pieces = bytes.split(|byte| *byte == b'\n');
        self.line.extend(pieces.next().unwrap_or_default());
        for piece in pieces {
            self.end_line(rows);
            self.line.extend(piece);
        }
    }

    fn end_line(&mut self, rows: &mut VecDeque<ReadRow>) {
        self.number += 1;
        if self.number == 1 {
            self.line.bytes = without_bom(&self.line.bytes).to_vec();
        }
        if self.line.is_blank() {
            self.line.bytes.clear();
        } else {
            rows.push_back((self.number, self.line.parse()));
        }
    }
}

/// Finds the elements of one JSON array by its brackets, commas and strings alone; what stands between them is read
/// element by element.
#[derive(Default)]
struct ArrayCutter {
    place: Place,
    element: RowBytes,
    number: u64,
    depth: usize,
    in_string: bool,
    escaped: bool,
    bom_seen: usize,
}

#[derive(Clone, Copy, Default, PartialEq)]
enum Place {
    #[default]
    BeforeArray,
    /// Behind the opening bracket, where the array may end at once.
    First,
    Element,
    AfterArray,
}

impl ArrayCutter {
    fn feed(&mut self, bytes: &[u8], rows: &mut VecDeque<ReadRow>) -> Result<(), FieldErrors> {
        // Start of the part of the element that lies in this piece.
        let mut start = 0;
        for (index, byte) in bytes.iter().copied().enumerate() {
            match self.place {
                Place::BeforeArray => {
                    if BOM.get(self.bom_seen) == Some(&byte) {
                        self.bom_seen += 1;
                    } else if byte == b'[' {
                        self.place = Place::First;
                    } else if !byte.is_ascii_whitespace() {
                        return Err(FieldErrors::one("", "The body has to be a JSON array of objects."));
                    }
                    start = index + 1;
                }
                Place::First | Place::Element => {
                    if self.ends_element(byte) {
                        self.element.extend(&bytes[start..index]);
                        start = index + 1;
                        let is_empty_array = self.place == Place::First && byte == b']' && self.element.is_blank();
                        if !is_empty_array {
                            self.number += 1;
                            rows.push_back((self.number, self.element.parse()));
                        }
                        self.place = if byte == b']' { Place::AfterArray } else { Place::Element };
                    }
                }
                Place::AfterArray => {
                    if !byte.is_ascii_whitespace() {
                        return Err(FieldErrors::one("", "Something stands behind the end of the JSON array."));
                    }
                    start = index + 1;
                }
            }
        }
        self.element.extend(&bytes[start..]);
        Ok(())
    }

    /// Whether `byte` stands outside of every element.
    fn ends_element(&mut self, byte: u8) -> bool {
        if self.in_string {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                b'"' => self.in_string = false,
                _ => {}
            }
            return false;
        }
        match byte {
            b'"' => self.in_string = true,
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' if self.depth > 0 => self.depth -= 1,
            b',' | b']' if self.depth == 0 => return true,
            _ => {}
        }
        false
    }

    fn finish(&mut self) -> Result<(), FieldErrors> {
        match self.place {
            Place::AfterArray => Ok(()),
            Place::BeforeArray => Err(FieldErrors::one("", "The body has to be a JSON array of objects.")),
            Place::First | Place::Element => Err(FieldErrors::one("", "The JSON array is not closed.")),
        }
    }
}
