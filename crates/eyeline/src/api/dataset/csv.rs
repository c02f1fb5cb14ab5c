//! Records of a CSV stream as rows: the first record names the columns.
//!
//! An unclosed quote swallows the lines after it, up to the next quote. The lines of a record are therefore kept until
//! it ends. A torn record gives an error for its first line, and the lines after it are read as records of their own.

use std::collections::VecDeque;

use eyeline_core::FieldErrors;

use super::cells::{Header, separator_of, split};
use super::map::ColumnMap;
use super::rows::{ROW_BYTES_MAX, ReadRow, row_error, too_long};

/// The state of the reader within a record.
#[derive(Clone, Copy, Default, PartialEq)]
enum State {
    /// At the beginning of a cell.
    #[default]
    Begin,
    Plain,
    Quoted,
    /// After a quote within a quoted cell: it closes the cell, or another quote follows.
    Quote,
    /// After the closing quote and a space.
    Closed,
    /// Text follows the closing quote. The record ends with its line.
    Broken,
}

#[derive(Default)]
pub struct CsvReader {
    separator: Option<u8>,
    /// True if the first line was searched for the separator.
    has_begun: bool,
    header: Option<Header>,
    /// The bytes from the start of the present record. For a record over the bound, from the start of its last line.
    buffer: Vec<u8>,
    /// The number of buffered bytes that were scanned.
    scanned: usize,
    state: State,
    /// The number of the present cell, from 0.
    cell: usize,
    /// The starts of the record's further lines, which begin within quotes, counted from its own start.
    lines: Vec<usize>,
    /// The cell with the first line break.
    long_cell: usize,
    /// Set if the record exceeds the bound and its start was dropped: the number of its further lines so far.
    dropped: Option<u64>,
    /// True if the start of the present line was dropped.
    is_partial: bool,
    /// The number of the last row.
    number: u64,
}

impl CsvReader {
    pub fn new(separator: Option<u8>) -> Self {
        CsvReader { separator, ..CsvReader::default() }
    }

    pub fn feed(&mut self, bytes: &[u8], map: &ColumnMap, rows: &mut VecDeque<ReadRow>) -> Result<(), FieldErrors> {
        for piece in bytes.chunks(ROW_BYTES_MAX) {
            self.buffer.extend_from_slice(piece);
            self.read(false, map, rows)?;
        }
        Ok(())
    }

    pub fn finish(&mut self, map: &ColumnMap, rows: &mut VecDeque<ReadRow>) -> Result<(), FieldErrors> {
        self.read(true, map, rows)?;
        match self.header {
            Some(_) => Ok(()),
            None => Err(FieldErrors::one("", "The CSV has no header.")),
        }
    }

    fn read(&mut self, at_end: bool, map: &ColumnMap, rows: &mut VecDeque<ReadRow>) -> Result<(), FieldErrors> {
        if !self.has_begun && !self.begin(at_end, map) {
            return Ok(());
        }
        let separator = self.separator.unwrap_or(b',');
        let mut start = 0;
        loop {
            while let Some(byte) = self.buffer.get(self.scanned).copied() {
                if let b'\n' | b'\r' = byte {
                    let end = self.scanned;
                    let Some(next) = line_end(&self.buffer, end, at_end) else { break };
                    self.scanned = next;
                    start = match self.state {
                        State::Quoted => self.go_on(start, next, rows),
                        _ => self.end_record(start, end, next, map, rows)?,
                    };
                    continue;
                }
                self.scanned += 1;
                self.step(byte, separator);
                if self.state == State::Broken && !self.lines.is_empty() {
                    start = self.tear(start, rows)?;
                } else if self.scanned - start > ROW_BYTES_MAX {
                    start = self.overflow(start, rows)?;
                }
            }
            let is_unfinished = start < self.buffer.len() || self.dropped.is_some();
            if !at_end || !is_unfinished {
                break;
            }
            let end = self.buffer.len();
            start = match self.state {
                State::Quoted => self.tear(start, rows)?,
                _ => self.end_record(start, end, end, map, rows)?,
            };
        }
        self.buffer.drain(..start);
        self.scanned -= start;
        Ok(())
    }

    /// Looks at the first line for the separator, once the line is there.
    fn begin(&mut self, at_end: bool, map: &ColumnMap) -> bool {
        loop {
            let end = self.buffer.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
            let (line, next) = match end.map(|end| (end, line_end(&self.buffer, end, at_end))) {
                Some((_, None)) => return false,
                Some((end, Some(next))) => (&self.buffer[..end], next),
                None if at_end || self.buffer.len() > ROW_BYTES_MAX => (&self.buffer[..], self.buffer.len()),
                None => return false,
            };
            let stated = stated_separator(line);
            let is_header = stated.is_none() && !line.trim_ascii().is_empty();
            if is_header || next == 0 {
                self.separator = self.separator.or_else(|| separator_of(line, map));
                self.has_begun = true;
                return true;
            }
            self.separator = stated.or(self.separator);
            self.buffer.drain(..next);
        }
    }

    fn step(&mut self, byte: u8, separator: u8) {
        self.state = match (self.state, byte) {
            (State::Quoted, b'"') => State::Quote,
            (State::Quoted, _) => State::Quoted,
            (State::Broken, _) => State::Broken,
            (_, byte) if byte == separator => {
                self.cell += 1;
                State::Begin
            }
            (State::Begin | State::Quote, b'"') => State::Quoted,
            (State::Begin | State::Plain, _) => State::Plain,
            (State::Quote | State::Closed, b' ' | b'\t') => State::Closed,
            (State::Quote | State::Closed, _) => State::Broken,
        };
    }

    /// Begins another line of a record, within quotes. Returns the start of what is kept.
    fn go_on(&mut self, start: usize, next: usize, rows: &mut VecDeque<ReadRow>) -> usize {
        let Some(dropped) = self.dropped else {
            if self.lines.is_empty() {
                self.long_cell = self.cell;
            }
            self.lines.push(next - start);
            return start;
        };
        let header = self.header.as_ref();
        let line = &self.buffer[start..next];
        if !std::mem::take(&mut self.is_partial) && header.is_some_and(|header| header.is_row(line, self.separator)) {
            self.reject_unclosed(dropped.saturating_sub(1), false, rows);
            self.begin_at(start);
            return start;
        }
        self.dropped = Some(dropped + 1);
        next
    }

    /// Takes the record that ends before the line end at `end`; returns where the next one begins.
    fn end_record(
        &mut self,
        start: usize,
        end: usize,
        next: usize,
        map: &ColumnMap,
        rows: &mut VecDeque<ReadRow>,
    ) -> Result<usize, FieldErrors> {
        let text = &self.buffer[start..end];
        let is_blank = text.iter().all(|byte| matches!(byte, b' ' | b'\t')) && self.cell == 0;
        let read = if self.dropped.is_some() {
            Err(too_long())
        } else if is_blank {
            self.begin_at(next);
            return Ok(next);
        } else if self.state == State::Broken {
            let name = self.name_of(self.cell);
            let sentence =
                format!("Text follows the closing quote of {name}. Inside a quoted cell, a quote is written twice.");
            if self.header.is_none() {
                return Err(FieldErrors::one("header", sentence));
            }
            Err(row_error(&sentence))
        } else {
            let cells = split(text, self.separator);
            let Some(header) = &self.header else {
                self.header = Some(Header::read(&cells, map)?);
                self.begin_at(next);
                return Ok(next);
            };
            if header.is_torn(&lines_of(text, &self.lines), &cells, self.separator) {
                return self.tear(start, rows);
            }
            header.row(text, cells)
        };
        self.number += 1;
        rows.push_back(ReadRow::one(self.number, read));
        self.begin_at(next);
        Ok(next)
    }

    /// Rejects the first line of a record with an unclosed quote. The lines after it are read again.
    fn tear(&mut self, start: usize, rows: &mut VecDeque<ReadRow>) -> Result<usize, FieldErrors> {
        if self.header.is_none() {
            let sentence = format!("The quote that opens column {} is not closed in its line.", self.long_cell + 1);
            return Err(FieldErrors::one("header", sentence));
        }
        if let Some(dropped) = self.dropped {
            let is_empty = start == self.buffer.len() && !self.is_partial;
            self.reject_unclosed(dropped.saturating_sub(u64::from(is_empty)), false, rows);
            self.begin_at(self.buffer.len());
            return Ok(self.buffer.len());
        }
        let left = self.buffer.len() - start;
        let taken_in = self.lines.iter().filter(|line| **line < left).count() as u64;
        self.reject_unclosed(taken_in, true, rows);
        let next = self.lines.first().map_or(self.buffer.len(), |line| start + line);
        self.begin_at(next);
        Ok(next)
    }

    /// Handles a record over the bound. Returns the start of what is kept.
    fn overflow(&mut self, start: usize, rows: &mut VecDeque<ReadRow>) -> Result<usize, FieldErrors> {
        let Some(header) = &self.header else {
            let sentence = format!("The header may have at most {ROW_BYTES_MAX} bytes.");
            return Err(FieldErrors::one("header", sentence));
        };
        let lines = lines_of(&self.buffer[start..self.scanned], &self.lines);
        let whole = lines.get(1..lines.len().saturating_sub(1)).unwrap_or_default();
        if self.dropped.is_none() && whole.iter().any(|line| header.is_row(line, self.separator)) {
            return self.tear(start, rows);
        }
        if self.lines.is_empty() && self.dropped.is_none() {
            self.long_cell = self.cell;
        }
        self.dropped = Some(self.dropped.unwrap_or_default() + self.lines.len() as u64);
        let line = start + self.lines.last().copied().unwrap_or_default();
        self.lines.clear();
        if self.scanned - line > ROW_BYTES_MAX {
            self.is_partial = true;
            return Ok(self.scanned);
        }
        Ok(line)
    }

    fn reject_unclosed(&mut self, lines: u64, are_read: bool, rows: &mut VecDeque<ReadRow>) {
        let cell = if self.lines.is_empty() && self.dropped.is_none() { self.cell } else { self.long_cell };
        let mut sentence = format!("The quote that opens {} is not closed in its line.", self.name_of(cell));
        if lines > 0 {
            let noun = if lines == 1 { "line" } else { "lines" };
            let fate = if are_read { "read as rows of their own" } else { "not read" };
            sentence += &format!(" It took in {lines} {noun} after this one, {fate}.");
        }
        let count = if are_read { 1 } else { 1 + lines };
        rows.push_back(ReadRow { number: self.number + 1, rows: count, read: Err(row_error(&sentence)) });
        self.number += count;
    }

    fn name_of(&self, cell: usize) -> String {
        let name = self.header.as_ref().and_then(|header| header.name(cell)).filter(|name| !name.is_empty());
        let number = cell + 1;
        name.map_or_else(|| format!("column {number}"), |name| format!("column {number} ({name})"))
    }

    fn begin_at(&mut self, start: usize) {
        self.scanned = start;
        self.lines.clear();
        (self.state, self.cell, self.dropped, self.is_partial) = (State::Begin, 0, None, false);
    }
}

/// The start of the next line, after the LF, CR LF or CR at `end`. `None` if it is not known yet.
fn line_end(buffer: &[u8], end: usize, at_end: bool) -> Option<usize> {
    match (buffer[end], buffer.get(end + 1)) {
        (b'\r', Some(b'\n')) => Some(end + 2),
        (b'\r', None) if !at_end => None,
        _ => Some(end + 1),
    }
}

/// Excel's first line that states the separator: `sep=;`.
fn stated_separator(line: &[u8]) -> Option<u8> {
    let line = line.strip_prefix(b"\"").unwrap_or(line);
    match line.split_at_checked(4)? {
        (name, [separator] | [separator, b'"']) if name.eq_ignore_ascii_case(b"sep=") => Some(*separator),
        _ => None,
    }
}

/// The lines of a record, by where those after the first one begin.
fn lines_of<'a>(text: &'a [u8], starts: &[usize]) -> Vec<&'a [u8]> {
    let ends = starts.iter().copied().chain([text.len()]);
    std::iter::once(0).chain(starts.iter().copied()).zip(ends).map(|(start, end)| &text[start..end]).collect()
}
