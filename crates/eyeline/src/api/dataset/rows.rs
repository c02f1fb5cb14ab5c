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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    /// Reads `bytes` in pieces of the given length.
    fn read_in_pieces(format: Format, bytes: &[u8], length: usize) -> Result<Vec<ReadRow>, FieldErrors> {
        let mut reader = RowReader::new(format);
        for piece in bytes.chunks(length) {
            reader.feed(piece)?;
        }
        reader.finish()?;
        Ok(std::iter::from_fn(|| reader.take()).collect())
    }

    fn read(format: Format, text: &str) -> Vec<ReadRow> {
        read_in_pieces(format, text.as_bytes(), 7).expect("a whole stream")
    }

    fn objects(rows: Vec<ReadRow>) -> Vec<Value> {
        rows.into_iter().map(|(_, row)| Value::Object(row.expect("a row"))).collect()
    }

    fn rejected(rows: &[ReadRow]) -> Vec<u64> {
        rows.iter().filter(|(_, row)| row.is_err()).map(|(number, _)| *number).collect()
    }

    #[test]
    fn the_same_rows_come_from_all_three_formats() {
        let expected = vec![
            json!({"external_id": "a", "url": "https://x/1", "tags": ["red", "big"], "width": 40}),
            json!({"external_id": "b", "url": "https://x/2"}),
        ];
        let lines = format!("{}\n\n{}\r\n", expected[0], expected[1]);
        let csv = "external_id,url,tags,width\r\na,https://x/1,red | big,40\r\n\r\nb,https://x/2,,\r\n";
        assert_eq!(objects(read(Format::Json, &json!(expected).to_string())), expected);
        assert_eq!(objects(read(Format::Ndjson, &lines)), expected);
        assert_eq!(objects(read(Format::Csv, csv)), expected);
    }

    #[test]
    fn a_byte_order_mark_is_read_over() {
        for (format, text) in [
            (Format::Json, "\u{feff}[{\"external_id\": \"a\"}]"),
            (Format::Ndjson, "\u{feff}{\"external_id\": \"a\"}"),
            (Format::Csv, "\u{feff}external_id,url\na,"),
        ] {
            assert_eq!(objects(read(format, text)), [json!({"external_id": "a"})], "{format:?}");
        }
    }

    #[test]
    fn a_row_that_cannot_be_read_does_not_stop_the_others() {
        let array = read(Format::Json, r#" [{"a": 1}, 7, {"a" 1}, [1, 2], {"a": "]},{"}, , {"a": 2} ] "#);
        assert_eq!((array.len(), rejected(&array)), (7, vec![2, 3, 4, 6]));
        let lines = read(Format::Ndjson, "{\"a\": 1}\nnull\n{\n{\"a\": 2}");
        assert_eq!((lines.len(), rejected(&lines)), (4, vec![2, 3]));
        let csv = read(Format::Csv, "external_id,url\na,1\nb\nc,1,2\nd,\"4\n,\"\"5\"");
        assert_eq!((csv.len(), rejected(&csv)), (4, vec![2, 3]));
        assert_eq!(csv[3].1.as_ref().expect("a row")["url"], "4\n,\"5");
    }

    #[test]
    fn a_row_over_the_bound_is_rejected_and_costs_no_more_memory_than_the_bound() {
        let long = "x".repeat(3 * ROW_BYTES_MAX);
        let array = read(Format::Json, &json!([{"a": long}, {"a": 1}]).to_string());
        assert_eq!((array.len(), rejected(&array)), (2, vec![1]));
        let lines = read(Format::Ndjson, &format!("{}\n{}", json!({"a": long}), json!({"a": 1})));
        assert_eq!((lines.len(), rejected(&lines)), (2, vec![1]));
        let csv = read(Format::Csv, &format!("external_id,url\na,\"{long}\"\n{}\nb,2\n", ",".repeat(300)));
        assert_eq!((csv.len(), rejected(&csv)), (3, vec![1, 2]));
        let mut cutter = LineCutter::default();
        cutter.feed(long.as_bytes(), &mut VecDeque::new());
        assert!(cutter.line.bytes.capacity() <= ROW_BYTES_MAX);
    }

    #[test]
    fn a_stream_that_is_no_table_is_refused_as_a_whole() {
        for (format, text) in [
            (Format::Json, ""),
            (Format::Json, "{}"),
            (Format::Json, "[{\"a\": 1}"),
            (Format::Json, "[{\"a\": \"]"),
            (Format::Json, "[] []"),
            (Format::Csv, ""),
            (Format::Csv, "external_id,name\na,b\n"),
            (Format::Csv, "external_id,url,url\n"),
        ] {
            assert!(read_in_pieces(format, text.as_bytes(), 3).is_err(), "{format:?} {text:?}");
        }
        assert!(read(Format::Json, " [ ] ").is_empty());
        assert!(read(Format::Ndjson, "\n \n").is_empty());
        assert!(read(Format::Csv, "external_id,url\n").is_empty());
    }

    /// Names and values full of what the cutting looks for.
    fn object() -> impl Strategy<Value = Value> {
        let text = "[\\[\\]{},:\"\\\\a\u{e9}\n\r]{0,8}";
        let leaf = prop_oneof![text.prop_map(Value::from), any::<i32>().prop_map(Value::from), Just(Value::Null)];
        let value = leaf.prop_recursive(3, 12, 3, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                prop::collection::hash_map(text, inner, 0..3).prop_map(Value::from_iter),
            ]
        });
        prop::collection::hash_map(text, value, 0..4).prop_map(Value::from_iter)
    }

    proptest! {
        #[test]
        fn rows_are_what_was_written_wherever_the_stream_is_cut(
            rows in prop::collection::vec(object(), 0..8),
            length in 1..40usize,
            pretty in any::<bool>(),
        ) {
            let array = if pretty { serde_json::to_string_pretty(&rows) } else { serde_json::to_string(&rows) };
            let array = array.expect("JSON");
            prop_assert_eq!(&objects(read_in_pieces(Format::Json, array.as_bytes(), length).expect("rows")), &rows);
            let lines: String = rows.iter().map(|row| format!("{row}\n")).collect();
            prop_assert_eq!(&objects(read_in_pieces(Format::Ndjson, lines.as_bytes(), length).expect("rows")), &rows);
        }

        #[test]
        fn cells_are_what_was_written_wherever_the_stream_is_cut(
            cells in prop::collection::vec(("[a,\"\n \u{e9}]{1,6}", "[a,\"\n \u{e9}]{1,6}"), 0..8),
            length in 1..40usize,
        ) {
            let quoted = |cell: &str| format!("\"{}\"", cell.replace('"', "\"\""));
            let records: String =
                cells.iter().map(|(id, url)| format!("{},{}\n", quoted(id), quoted(url))).collect();
            let csv = format!("external_id,url\n{records}");
            let expected: Vec<Value> =
                cells.iter().map(|(id, url)| json!({"external_id": id, "url": url})).collect();
            prop_assert_eq!(objects(read_in_pieces(Format::Csv, csv.as_bytes(), length).expect("rows")), expected);
        }

        #[test]
        fn any_bytes_end_in_rows_or_a_refusal(
            bytes in prop::collection::vec(any::<u8>(), 0..300),
            length in 1..40usize,
        ) {
            for format in [Format::Json, Format::Ndjson, Format::Csv] {
                let _either = read_in_pieces(format, &bytes, length);
            }
        }
    }
}
