//! Elements of one JSON array as rows.
//!
//! The reader finds elements by brackets, commas and strings alone, and parses each separately. Damage may hide the end
//! of an element: a missing quote swaps texts and brackets. An unreadable element is therefore searched for the next
//! row: a complete object with the required fields. Reading continues there.

use std::collections::VecDeque;

use eyeline_core::FieldErrors;
use serde::de::IgnoredAny;

use super::map::{ColumnMap, RowObject};
use super::rows::{Object, ROW_BYTES_MAX, ReadRow, parse_object, row_error, too_long};

/// Nesting depth of brackets.
const DEPTH_MAX: usize = 1_000;
/// Broken objects that a search for the next row may read.
const SEARCHES_MAX: usize = 16;

#[derive(Default)]
pub struct ArrayCutter {
    place: Place,
    /// The bytes from the start of the present element.
    buffer: Vec<u8>,
    /// The number of buffered bytes that were scanned.
    scanned: usize,
    /// The open brackets of the element.
    open: Vec<u8>,
    is_in_string: bool,
    is_escaped: bool,
    /// True if a bracket of the element was closed by the wrong one.
    is_mismatched: bool,
    /// True if the start of the element was dropped.
    is_too_long: bool,
    number: u64,
    /// The last row: what follows may show that it was damaged.
    last: Option<Last>,
}

struct Last {
    row: ReadRow,
    /// Of its first field.
    name: Vec<u8>,
}

#[derive(Clone, Copy, Default, PartialEq)]
enum Place {
    #[default]
    BeforeArray,
    Element,
    AfterArray,
}

impl ArrayCutter {
    pub fn feed(&mut self, bytes: &[u8], map: &ColumnMap, rows: &mut VecDeque<ReadRow>) -> Result<(), FieldErrors> {
        for piece in bytes.chunks(ROW_BYTES_MAX) {
            self.buffer.extend_from_slice(piece);
            self.scan(map, rows)?;
        }
        Ok(())
    }

    pub fn finish(&mut self, map: &ColumnMap, rows: &mut VecDeque<ReadRow>) -> Result<(), FieldErrors> {
        while self.place == Place::Element
            && let Some(next) = self.next_row(0, self.buffer.len(), map)
        {
            self.take(self.read(0, next, map), 0, next, rows);
            self.begin_at(next);
            self.buffer.drain(..next);
            self.scanned = 0;
            self.scan(map, rows)?;
        }
        match self.place {
            Place::AfterArray => {}
            Place::BeforeArray => return Err(no_array()),
            // A damaged element took the closing bracket of the array for its own, or for a part of a text.
            Place::Element
                if (self.is_in_string || self.is_mismatched) && self.buffer.trim_ascii_end().ends_with(b"]") =>
            {
                let end = self.buffer.len();
                self.take(self.read(0, end, map), 0, end, rows);
            }
            Place::Element => {
                rows.extend(self.last.take().map(|last| last.row));
                let sentence = format!("The JSON array is not closed: the body ends in row {}.", self.number + 1);
                return Err(FieldErrors::one("", sentence));
            }
        }
        rows.extend(self.last.take().map(|last| last.row));
        Ok(())
    }

    fn scan(&mut self, map: &ColumnMap, rows: &mut VecDeque<ReadRow>) -> Result<(), FieldErrors> {
        // The start of the present element.
        let mut start = 0;
        while let Some(byte) = self.buffer.get(self.scanned).copied() {
            let at = self.scanned;
            self.scanned += 1;
            if self.place == Place::Element {
                if self.ends_element(byte)? {
                    start = self.end_element(start, at, map, rows);
                } else if self.scanned - start > ROW_BYTES_MAX {
                    start = self.end_window(start, map, rows);
                }
                continue;
            }
            start = self.scanned;
            match (self.place, byte) {
                (Place::BeforeArray, b'[') => self.place = Place::Element,
                // The bracket before it was one too many.
                (Place::AfterArray, b',') => self.place = Place::Element,
                (Place::AfterArray, b'{') => {
                    (self.place, self.scanned) = (Place::Element, at);
                    start = at;
                }
                _ if byte.is_ascii_whitespace() => {}
                (Place::BeforeArray, _) => return Err(no_array()),
                _ => return Err(FieldErrors::one("", "The body goes on after the end of the JSON array.")),
            }
        }
        self.buffer.drain(..start);
        self.scanned -= start;
        Ok(())
    }

    /// True if `byte` is outside of every element.
    fn ends_element(&mut self, byte: u8) -> Result<bool, FieldErrors> {
        if self.is_in_string {
            match byte {
                _ if self.is_escaped => self.is_escaped = false,
                b'\\' => self.is_escaped = true,
                b'"' => self.is_in_string = false,
                _ => {}
            }
            return Ok(false);
        }
        match byte {
            b'"' => self.is_in_string = true,
            b'{' | b'[' if self.open.len() >= DEPTH_MAX => {
                let sentence = format!("At most {DEPTH_MAX} brackets within each other are taken.");
                return Err(FieldErrors::one("", sentence));
            }
            b'{' | b'[' => self.open.push(byte),
            b',' | b']' if self.open.is_empty() => return Ok(true),
            b'}' | b']' => {
                let opening = if byte == b'}' { b'{' } else { b'[' };
                let opened = self.open.iter().rposition(|open| *open == opening);
                self.is_mismatched |= opened.is_none_or(|opened| opened + 1 < self.open.len());
                self.open.truncate(opened.unwrap_or(self.open.len()));
            }
            _ => {}
        }
        Ok(false)
    }

    /// Takes the element before the comma or bracket at `end`; returns where the next one begins.
    fn end_element(&mut self, start: usize, end: usize, map: &ColumnMap, rows: &mut VecDeque<ReadRow>) -> usize {
        let is_last = self.buffer[end] == b']';
        let read = self.read(start, end, map);
        if read.is_err()
            && !is_json(&self.buffer[start..end])
            && let Some(next) = self.next_row(start, end, map)
        {
            self.take(self.read(start, next, map), start, next, rows);
            self.begin_at(next);
            return next;
        }
        // An empty element between two commas is not a row.
        if self.is_too_long || !self.buffer[start..end].trim_ascii().is_empty() {
            self.take(read, start, end, rows);
        }
        self.begin_at(end + 1);
        self.place = if is_last { Place::AfterArray } else { Place::Element };
        end + 1
    }

    /// Drops the beginning of an element over the bound. Returns the start of what is kept.
    fn end_window(&mut self, start: usize, map: &ColumnMap, rows: &mut VecDeque<ReadRow>) -> usize {
        let end = self.scanned;
        if let Some(next) = self.next_row(start, end, map) {
            self.take(self.read(start, next, map), start, next, rows);
            self.begin_at(next);
            return next;
        }
        self.is_too_long = true;
        end
    }

    fn begin_at(&mut self, start: usize) {
        self.scanned = start;
        self.open.clear();
        (self.is_in_string, self.is_escaped, self.is_mismatched, self.is_too_long) = (false, false, false, false);
    }

    /// The start of the next whole row within a broken element: after a comma, or after the rest of an object.
    fn next_row(&self, start: usize, end: usize, map: &ColumnMap) -> Option<usize> {
        let (mut at, mut broken) = (start, 0);
        while broken < SEARCHES_MAX {
            at += self.buffer[at..end].iter().position(|byte| *byte == b'{')?;
            let before = self.buffer[start..at].trim_ascii_end();
            let may_begin = before.ends_with(b",") || before.contains(&b'{') && before.contains(&b'"');
            if may_begin || self.is_too_long {
                let mut objects = serde_json::Deserializer::from_slice(&self.buffer[at..end]).into_iter::<Object>();
                match objects.next() {
                    Some(Ok(object)) if map.is_row(&object.fields) => return Some(at),
                    Some(Ok(_)) => at += objects.byte_offset().max(1) - 1,
                    _ => broken += 1,
                }
            }
            at += 1;
        }
        None
    }

    fn read(&self, start: usize, end: usize, map: &ColumnMap) -> Result<RowObject, FieldErrors> {
        if self.is_too_long { Err(too_long()) } else { parse_object(self.buffer[start..end].trim_ascii(), map) }
    }

    /// Counts the element as a row, unless it is the rest of the previous row.
    fn take(&mut self, read: Result<RowObject, FieldErrors>, start: usize, end: usize, rows: &mut VecDeque<ReadRow>) {
        let element = self.buffer[start..end].trim_ascii();
        let name = first_name(element);
        let is_rest = read.is_err() && element.starts_with(b"\"") && !name.is_empty();
        if let Some(last) = self.last.as_mut().filter(|last| is_rest && last.name != name) {
            if last.row.read.is_ok() {
                last.row.read = Err(row_error("This is not JSON: the object ends before its last field."));
            }
            return;
        }
        self.number += 1;
        let last = Last { row: ReadRow::one(self.number, read), name: name.to_owned() };
        rows.extend(self.last.replace(last).map(|last| last.row));
    }
}

fn is_json(element: &[u8]) -> bool {
    serde_json::from_slice::<IgnoredAny>(element).is_ok()
}

/// The name of the first field in an element; empty if it has none.
fn first_name(element: &[u8]) -> &[u8] {
    let mut texts = element.splitn(3, |byte| *byte == b'"').skip(1);
    let (name, rest) = (texts.next().unwrap_or_default(), texts.next().unwrap_or_default());
    if rest.trim_ascii_start().starts_with(b":") { name } else { &[] }
}

fn no_array() -> FieldErrors {
    FieldErrors::one("", "The body has to be a JSON array of objects. Lines of objects are application/x-ndjson.")
}
