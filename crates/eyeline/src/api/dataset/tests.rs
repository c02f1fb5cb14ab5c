//! Streams of every format, whole and damaged, and the rows that are read of them.

use std::collections::VecDeque;

use eyeline_core::FieldErrors;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::map::ColumnMap;
use super::rows::{Format, LineCutter, ROW_BYTES_MAX, ReadRow, RowReader};

const CSV: Format = Format::Csv(None);

/// Reads `bytes` in pieces of the given length.
fn read_in_pieces(format: Format, bytes: &[u8], length: usize) -> Result<Vec<ReadRow>, FieldErrors> {
    read_mapped(format, None, bytes, length)
}

fn read_mapped(format: Format, map: Option<&str>, bytes: &[u8], length: usize) -> Result<Vec<ReadRow>, FieldErrors> {
    let mut reader = RowReader::new(format, map.map(|map| ColumnMap::parse(map).expect("a map")));
    for piece in bytes.chunks(length) {
        reader.feed(piece)?;
    }
    reader.finish()?;
    Ok(std::iter::from_fn(|| reader.take()).collect())
}

fn read(format: Format, text: &str) -> Vec<ReadRow> {
    read_in_pieces(format, text.as_bytes(), 7).expect("a whole stream")
}

fn object(row: &ReadRow) -> Value {
    let read = row.read.as_ref().unwrap_or_else(|errors| panic!("row {}: {errors:?}", row.number));
    Value::Object(read.clone().expect("something to show"))
}

fn objects(rows: &[ReadRow]) -> Vec<Value> {
    rows.iter().map(object).collect()
}

fn ids(rows: &[ReadRow]) -> Vec<String> {
    let taken = rows.iter().filter(|row| row.read.is_ok());
    taken.map(|row| object(row)["external_id"].as_str().expect("an id").to_owned()).collect()
}

fn rejected(rows: &[ReadRow]) -> Vec<u64> {
    rows.iter().filter(|row| row.read.is_err()).map(|row| row.number).collect()
}

fn sentence(row: &ReadRow) -> String {
    let errors = row.read.as_ref().expect_err("a rejected row");
    errors.iter().flat_map(|(_, sentences)| sentences.clone()).collect::<Vec<_>>().join(" ")
}

#[test]
fn the_same_rows_come_from_all_three_formats() {
    let expected = vec![
        json!({"external_id": "a", "url": "https://x/1", "tags": ["red", "big"], "width": 40}),
        json!({"external_id": "b", "url": "https://x/2"}),
    ];
    let lines = format!("{}\n\n{}\r\n", expected[0], expected[1]);
    let csv = "external_id,url,tags,width\r\na,https://x/1,red | big,40\r\n\r\nb,https://x/2,,\r\n";
    assert_eq!(objects(&read(Format::Json, &json!(expected).to_string())), expected);
    assert_eq!(objects(&read(Format::Ndjson, &lines)), expected);
    assert_eq!(objects(&read(CSV, csv)), expected);
    for end in ["\r", "\r\n", "\n"] {
        assert_eq!(objects(&read(Format::Ndjson, &lines.replace("\r\n", "\n").replace('\n', end))), expected);
        assert_eq!(objects(&read(CSV, &csv.replace("\r\n", end))), expected);
    }
}

#[test]
fn csv_is_read_as_spreadsheets_write_it() {
    let expected = vec![json!({"external_id": "a;1", "url": "https://x/1,2", "tags": ["red", "big"]})];
    for csv in [
        "external_id,url,tags\n\"a;1\",\"https://x/1,2\",\"red, big\"\n",
        "external_id;url;tags\n\"a;1\";https://x/1,2;red, big\n",
        "external_id\turl\ttags\na;1\thttps://x/1,2\tred, big\n",
        "sep=;\r\nexternal_id;url;tags\r\n\"a;1\";https://x/1,2;\"red; big\"\r\n",
        "SEP=\t\nexternal_id\turl\ttags\na;1\thttps://x/1,2\tred|big",
        "\"sep=;\"\nExternal ID;URL;Tags\n\"a;1\";https://x/1,2;red, big\n",
        // Of several separators, the one that makes columns with a meaning.
        "external_id;url;tags;price, EUR;size, cm;a, b\n\"a;1\";https://x/1,2;red, big;;;\n",
        "\n  \nexternal_id,,url,tags,,note,note\n\"a;1\",x,\"https://x/1,2\",\"red, big\",y,z,w\n",
        "external_id,url,tags,\n\"a;1\",\"https://x/1,2\",\"red, big\"\n",
        "external_id,url,tags\n\"a;1\" ,\"https://x/1,2\",\"red, big\",,\n",
    ] {
        assert_eq!(objects(&read(CSV, csv)), expected, "{csv:?}");
    }
    let tabs = read_in_pieces(Format::Csv(Some(b'\t')), b"external_id\turl,\turl\na\tb\thttps://x/1\n", 3);
    assert_eq!(objects(&tabs.expect("rows")), [json!({"external_id": "a", "url": "https://x/1"})]);
}

#[test]
fn a_header_says_everything_that_is_wrong_with_it() {
    let errors = read_in_pieces(CSV, b"url,,,name,Name,URL,note,note\n", 5).expect_err("a refusal");
    let fields: Vec<&str> = errors.iter().map(|(field, _)| field.as_str()).collect();
    assert_eq!(fields, ["header.Name", "header.URL", "header.external_id"], "not the empty ones, nor the notes");
    let errors = read_mapped(CSV, Some("sku:external_id,label:name"), b"sku,url\n", 5).expect_err("a refusal");
    assert!(errors.iter().all(|(field, _)| field == "header.label"), "{errors:?}");
    let errors = read_mapped(CSV, Some("shopify"), b"Title\n", 5).expect_err("a refusal");
    assert!(format!("{errors:?}").contains("handle or url_handle"), "{errors:?}");
}

#[test]
fn a_row_that_cannot_be_read_does_not_stop_the_others() {
    let array = read(Format::Json, r#" [{"a": 1}, 7, {"a" 1}, [1, 2], {"a": "]},{"}, , {"a": 2} ] "#);
    assert_eq!((array.len(), rejected(&array)), (6, vec![2, 3, 4]));
    let lines = read(Format::Ndjson, "{\"a\": 1}\nnull\n{\n{\"a\": 2}");
    assert_eq!((lines.len(), rejected(&lines)), (4, vec![2, 3]));
    let csv = read(CSV, "external_id,url\na,1\nb\nc,1,2\nd,\"4\n,\"\"5\"\n\"e\"x,1\nf,\"g\"h\"\ni,6");
    assert_eq!((csv.len(), rejected(&csv)), (7, vec![2, 3, 5, 6]));
    assert_eq!(object(&csv[3])["url"], "4\n,\"5");
}

#[test]
fn a_field_that_a_row_has_twice_is_told() {
    for format in [Format::Json, Format::Ndjson] {
        let row = r#"{"external_id": "a", "url": "https://x/1", "note": 1, "note": 2, "url": "https://x/2"}"#;
        let text = if format == Format::Json { format!("[{row}]") } else { row.to_owned() };
        let rows = read(format, &text);
        let errors = rows[0].read.as_ref().expect_err("a rejected row");
        assert_eq!(errors.iter().map(|(field, _)| field.as_str()).collect::<Vec<_>>(), ["url"]);
    }
}

#[test]
fn an_unclosed_quote_costs_its_own_row_and_says_what_it_took_in() {
    let mut lines: Vec<String> = (0..500).map(|row| format!("sku-{row},https://x/{row},note {row}")).collect();
    lines[10] = "sku-10,https://x/10,\"19 inch".to_owned();
    let csv = format!("external_id,url,note\n{}\n", lines.join("\n"));
    let rows = read(CSV, &csv);
    assert_eq!((rows.len(), rejected(&rows)), (500, vec![11]));
    let sentence = sentence(&rows[10]);
    assert!(sentence.contains("column 3 (note)") && sentence.contains("489 lines"), "{sentence}");
    // Closed as it should be, but by a mark of another row: in its last column, in its first, and in between.
    for (broken, closing) in [
        ("sku-10,https://x/10,\"19 inch", "sku-12,https://x/12,19\""),
        ("sku-10,https://x/10,\"19 inch", "sku-11,https://x/11,19\""),
        ("\"sku-10,https://x/10,19 inch", "sku-11\",https://x/11,19"),
        ("sku-10,https://x/10,\"19 inch", "sku-13,https://x/13,\"quoted\""),
        ("sku-10,https://x/10,\"19 inch", "\"sku-11\",\"https://x/11\",\"quoted\""),
    ] {
        let mut lines = lines.clone();
        lines[10] = broken.to_owned();
        let number: usize = closing.trim_start_matches('"')[4..6].parse().expect("a number");
        lines[number] = closing.to_owned();
        let rows = read(CSV, &format!("external_id,url,note\n{}\n", lines.join("\n")));
        assert_eq!((rows.len(), rejected(&rows)), (500, vec![11]), "{broken} {closing}");
    }
}

#[test]
fn a_quoted_text_of_several_lines_stays_one_cell() {
    for text in ["Two\nlines", "Three\r\n\r\nlines", "a, b, c\nd, e, f", "see\nhttps://x/1\n", "\n", "\"\"\n\"\""] {
        let cell = text.replace("\"\"", "\"");
        for (csv, at) in [
            (format!("external_id,url,name\na,https://x/1,\"{text}\"\nb,https://x/2,\"{text}\"\n"), 0),
            (format!("name,external_id,url\n\"{text}\",a,https://x/1\n\"{text}\",b,https://x/2\n"), 0),
            (format!("external_id,name,url\n\"\",x,\na,\"{text}\",https://x/1\nb,\"{text}\",https://x/2\n"), 1),
        ] {
            let rows = read(CSV, &csv);
            assert_eq!(rows.len(), at + 2, "{csv:?}");
            assert_eq!(object(&rows[at])["name"], cell.as_str(), "{csv:?}");
            assert_eq!(ids(&rows[at..]), ["a", "b"]);
        }
    }
}

#[test]
fn damage_of_an_array_costs_its_own_element() {
    let whole: Vec<String> = ["a", "b", "c", "d"]
        .map(|id| format!(r#"{{"external_id":"{id}","url":"https://x/{id}","tags":["x"]}}"#))
        .into();
    for broken in [
        r#"{"external_id":"b","url":"https://x/b,"tags":["x"]}"#,
        r#"{"external_id":"b,"url":"https://x/b","tags":["x"]}"#,
        r#"{external_id":"b","url":"https://x/b","tags":["x"]}"#,
        r#""external_id":"b","url":"https://x/b","tags":["x"]}"#,
        r#"{"external_id":"b","url":"https://x/b","tags":["x"]"#,
        r#"{"external_id":"b","url":"https://x/b","tags":["x"}"#,
        r#"{"external_id":"b","url":"https://x/b","tags":"x"]}"#,
        r#"{"external_id":"b","url":"https://x/b","tags":["x]}"#,
        r#"{"external_id":"b"},"url":"https://x/b","tags":["x"]}"#,
        r#"{"external_id":"b"],"url":"https://x/b","tags":["x"]}"#,
        r#"{"external_id":{"b","url":"https://x/b","tags":["x"]}"#,
        r#"{"external_id":"b","url":"https://x/b"#,
        r#"{"external_id":"b\","url":"https://x/b","tags":["x"]}"#,
        "{\"external_id\":\"b\n\",\"url\":\"https://x/b\"}",
        "nope",
        "",
    ] {
        for at in 0..4 {
            let mut elements = whole.clone();
            elements[at] = broken.to_owned();
            let mut expected: Vec<&str> = vec!["a", "b", "c", "d"];
            expected.remove(at);
            // Nothing between two commas is no row.
            let count = if broken.is_empty() { 3 } else { 4 };
            for separator in [",", ",\n", " , "] {
                let text = format!("[{}]", elements.join(separator));
                for length in [1, 7, 1_000] {
                    match read_in_pieces(Format::Json, text.as_bytes(), length) {
                        Ok(rows) => assert_eq!((ids(&rows), rows.len()), (to_owned(&expected), count), "{text}"),
                        Err(refusal) => assert!(at == 3, "{text}: {refusal:?}"),
                    }
                }
            }
        }
    }
    let text = format!("[{}]", whole.join("")).replacen("}{", "},{", 2);
    assert_eq!(read(Format::Json, &text).len(), 4, "a comma is missing: {text}");
    let text = format!("[{},]", whole.join(",")).replacen("},{", "}],{", 1);
    assert_eq!(ids(&read(Format::Json, &text)), ["a", "b", "c", "d"], "a bracket too many: {text}");
}

fn to_owned(ids: &[&str]) -> Vec<String> {
    ids.iter().map(|id| (*id).to_owned()).collect()
}

#[test]
fn a_row_over_the_bound_is_rejected_and_costs_no_more_memory_than_the_bound() {
    let long = "x".repeat(3 * ROW_BYTES_MAX);
    let array = read(Format::Json, &json!([{"a": long}, {"a": 1}]).to_string());
    assert_eq!((array.len(), rejected(&array)), (2, vec![1]));
    let lines = read(Format::Ndjson, &format!("{}\n{}", json!({"a": long}), json!({"a": 1})));
    assert_eq!((lines.len(), rejected(&lines)), (2, vec![1]));
    let text = "a line of text, and more of it\n".repeat(ROW_BYTES_MAX / 10);
    for cell in [long.clone(), format!("\"{long}\""), format!("\"{text}\""), format!("\"{long}\n{text}\"")] {
        let csv = read(CSV, &format!("external_id,url\na,{cell}\n{}\nb,2\n", "x,".repeat(300)));
        assert_eq!((csv.len(), rejected(&csv)), (3, vec![1, 2]), "{}", &cell[..20]);
    }
    let mut cutter = LineCutter::default();
    cutter.feed(long.as_bytes(), &ColumnMap::default(), &mut VecDeque::new());
    assert!(cutter.line.capacity() <= ROW_BYTES_MAX);
}

#[test]
fn an_unclosed_quote_before_more_than_the_bound_is_found_too() {
    let rows: String = (0..5_000).map(|row| format!("sku-{row},https://x/{row},note\n")).collect();
    let text = "no row of the table\n".repeat(ROW_BYTES_MAX / 10);
    let read_all = |body: String| {
        let rows = read_in_pieces(CSV, format!("external_id,url,note\n{body}").as_bytes(), 10_000).expect("rows");
        (rows.iter().map(|row| row.rows).sum::<u64>(), rejected(&rows), ids(&rows).len())
    };
    assert_eq!(read_all(format!("a,https://x/1,\"19 inch\n{rows}")), (5_001, vec![1], 5_000));
    let lines = (ROW_BYTES_MAX / 10) as u64;
    assert_eq!(read_all(format!("a,https://x/1,\"19 inch\n{text}{rows}")), (5_001 + lines, vec![1], 5_000));
    assert_eq!(read_all(format!("{rows}a,https://x/1,\"19 inch\n{text}")), (5_001 + lines, vec![5_001], 5_000));
}

#[test]
fn a_stream_that_is_no_table_is_refused_as_a_whole() {
    for (format, text) in [
        (Format::Json, ""),
        (Format::Json, "{}"),
        (Format::Json, "[{\"a\": 1}"),
        (Format::Json, "[{\"a\": 1},"),
        (Format::Json, "[{\"a\": \"]"),
        (Format::Json, "[{\"a\": 1}, {\"tags\": [\"x\"]"),
        (Format::Json, "[] []"),
        (CSV, ""),
        (CSV, "\n\n"),
        (CSV, "external_id,name\na,b\n"),
        (CSV, "external_id,url,url\n"),
        (CSV, "external_id,\"url\na,b\n"),
        (CSV, "external_id,\"url\"x\na,b\n"),
        (CSV, "external_id,\"url"),
    ] {
        // The bracket within the text that is not closed may be the array's own: then the row is damaged.
        let is_refused = read_in_pieces(format, text.as_bytes(), 3).map_or(true, |rows| rows[0].read.is_err());
        assert!(is_refused, "{format:?} {text:?}");
    }
    assert!(read_in_pieces(CSV, "x".repeat(70_000).as_bytes(), 1_000).is_err());
    assert!(read_in_pieces(Format::Json, &[b'['; 100_000], 1_000).is_err());
    assert!(read(Format::Json, " [ ] ").is_empty());
    assert!(read(Format::Ndjson, "\n \n").is_empty());
    assert!(read(CSV, "external_id,url\n").is_empty());
    assert!(read(CSV, "external_id,url").is_empty());
}

#[test]
fn the_rows_of_one_product_are_one_image() {
    let csv = "Handle,Title,Tags,Published,Image Src,Image Position,Variant SKU\n\
               shirt,Shirt,\"red, new\",true,https://x/back.jpg,2,S-1\n\
               shirt,,,,https://x/front.jpg,1,S-2\n\
               shirt,,,,,,S-3\n\
               hat,Hat,,false,,,H-1\n\
               hat,,,,https://x/hat.jpg,1,\n\
               sock,Sock,,true,,,K-1\n\
               broken row\n";
    for length in [1, 40, 10_000] {
        let rows = read_mapped(CSV, Some("shopify"), csv.as_bytes(), length).expect("rows");
        assert_eq!(rows.iter().map(|row| (row.number, row.rows)).collect::<Vec<_>>(), [(1, 3), (4, 2), (6, 1), (7, 1)]);
        let shirt = object(&rows[0]);
        assert_eq!(shirt["url"], "https://x/front.jpg");
        assert_eq!((&shirt["name"], &shirt["tags"]), (&json!("Shirt"), &json!(["red", "new"])));
        let hat = object(&rows[1]);
        assert_eq!((&hat["url"], &hat["visibility"]), (&json!("https://x/hat.jpg"), &json!("private")));
    }
}

#[test]
fn a_variation_has_nothing_of_its_own_to_show() {
    let csv = "ID,Type,SKU,Name,Published,Categories,Images,Parent\n\
               7,variable,S,Shirt,1,\"Clothing > Shirts, Sale\",\"https://x/1.jpg, https://x/2.jpg\",\n\
               8,variation,S-1,Shirt - red,1,,https://x/3.jpg,id:7\n\
               9,\"simple, virtual\",V,Voucher,0,,https://x/4.jpg,\n";
    let rows = read_mapped(CSV, Some("woocommerce"), csv.as_bytes(), 50).expect("rows");
    assert_eq!(
        object(&rows[0]),
        json!({"external_id": "7", "name": "Shirt", "url": "https://x/1.jpg", "visibility": "public",
               "tags": ["Clothing", "Shirts", "Sale"], "kind": "variable"})
    );
    assert_eq!(rows[1].read, Ok(None));
    assert_eq!(object(&rows[2])["visibility"], "private");
}

#[test]
fn a_map_names_the_fields_of_objects_too() {
    let row = json!({"id": 5, "title": "A", "image_link": "https://x/1"});
    let expected = json!({"external_id": 5, "name": "A", "url": "https://x/1"});
    for (format, text) in [(Format::Json, json!([row]).to_string()), (Format::Ndjson, row.to_string())] {
        let rows = read_mapped(format, Some("google_merchant"), text.as_bytes(), 9).expect("rows");
        assert_eq!(objects(&rows), std::slice::from_ref(&expected));
    }
}

/// Names and values full of what the cutting looks for.
fn any_object() -> impl Strategy<Value = Value> {
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

/// The content of a row in addition to its id and address, and its damage.
type Planted = Vec<(String, Option<Damage>)>;

#[derive(Clone, Copy, Debug)]
enum Damage {
    /// Takes out the byte at this part of the row, in thousandths.
    Without(usize),
    /// Puts one of `"{}[],:\\` and a letter there.
    With(usize, u8),
    /// Ends the row there.
    Cut(usize),
    /// Puts something else in the place of the row.
    Other(&'static str),
}

fn planted(note: &'static str) -> impl Strategy<Value = Planted> {
    let damage = prop_oneof![
        8 => Just(None),
        1 => (0..1_000usize).prop_map(|at| Some(Damage::Without(at))),
        2 => ((0..1_000usize), prop::sample::select(&b"\"\"\"{}[],:;\\x"[..]))
            .prop_map(|(at, byte)| Some(Damage::With(at, byte))),
        1 => (0..1_000usize).prop_map(|at| Some(Damage::Cut(at))),
        1 => prop::sample::select(&["nope", "7", "\"", "{", "\u{fffd}"][..]).prop_map(|text| Some(Damage::Other(text))),
    ];
    prop::collection::vec((note, damage), 1..30)
}

/// Of two rows that follow each other, one is whole: damage of both may join them to one row that looks whole.
fn planted_apart(note: &'static str) -> impl Strategy<Value = Planted> {
    planted(note).prop_map(|mut planted| {
        planted.iter_mut().step_by(2).for_each(|(_, damage)| *damage = None);
        planted
    })
}

fn damaged(row: &str, damage: Option<Damage>) -> String {
    let mut bytes = row.as_bytes().to_vec();
    let place = |at: usize| (at * row.len() / 1_000).min(row.len() - 1);
    match damage {
        None => {}
        Some(Damage::Without(at)) => drop(bytes.remove(place(at))),
        Some(Damage::With(at, byte)) => bytes.insert(place(at), byte),
        Some(Damage::Cut(at)) => bytes.truncate(place(at).max(1)),
        Some(Damage::Other(text)) => bytes = text.as_bytes().to_vec(),
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Every row counts once, and each that is whole is there.
fn assert_counts(rows: &[ReadRow], planted: &Planted, text: &str) -> Result<(), TestCaseError> {
    let counted: u64 = rows.iter().map(|row| row.rows).sum();
    prop_assert_eq!(counted, planted.len() as u64, "{}\n{:#?}", text, rows);
    let taken: Vec<String> = rows
        .iter()
        .filter_map(|row| row.read.as_ref().ok()?.as_ref()?.get("external_id")?.as_str().map(str::to_owned))
        .collect();
    for (number, (_, damage)) in planted.iter().enumerate() {
        if damage.is_none() {
            prop_assert!(taken.contains(&format!("sku-{number}")), "sku-{} is lost: {}\n{:#?}", number, text, rows);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    #[test]
    fn the_rows_of_damaged_csv_add_up_and_whole_ones_are_taken(
        planted in planted_apart("[a-c \"]{0,6}|[a-c]{1,3}\n[a-c\"]{1,3}"),
        separator in prop::sample::select(&[',', ';', '\t'][..]),
        quotes_all in any::<bool>(),
        end in prop::sample::select(&["\n", "\r\n", "\r"][..]),
        length in 1..200usize,
    ) {
        let cell = |text: &str| match quotes_all || text.contains(['"', '\n']) {
            true => format!("\"{}\"", text.replace('"', "\"\"")),
            false => text.to_owned(),
        };
        let mut text = format!("external_id{separator}name{separator}url{separator}note{end}");
        for (number, (note, damage)) in planted.iter().enumerate() {
            // A row that is damaged has one line.
            let note = if damage.is_some() { note.replace('\n', "") } else { note.clone() };
            let cells = [format!("sku-{number}"), note.clone(), format!("https://x/{number}"), note.clone()];
            let row = cells.map(|text| cell(&text)).join(&separator.to_string());
            text += &damaged(&row, *damage);
            text += end;
        }
        let rows = read_in_pieces(CSV, text.as_bytes(), length).expect("rows");
        assert_counts(&rows, &planted, &text)?;
    }

    #[test]
    fn the_rows_of_damaged_lines_add_up_and_whole_ones_are_taken(
        planted in planted("[a-c \"\\\\{}\\[\\],]{0,6}"),
        end in prop::sample::select(&["\n", "\r\n", "\r"][..]),
        length in 1..200usize,
    ) {
        let mut text = String::new();
        for (number, (note, damage)) in planted.iter().enumerate() {
            let row = json!({"external_id": format!("sku-{number}"), "url": format!("https://x/{number}"), "n": [note]});
            text += &damaged(&row.to_string(), *damage);
            text += end;
        }
        let rows = read_in_pieces(Format::Ndjson, text.as_bytes(), length).expect("rows");
        assert_counts(&rows, &planted, &text)?;
    }

    #[test]
    fn the_rows_of_a_damaged_array_add_up_and_whole_ones_are_taken(
        planted in planted_apart("[a-c ]{0,6}"),
        separator in prop::sample::select(&[",", ",\n", ", "][..]),
        length in 1..200usize,
    ) {
        let elements: Vec<String> = planted.iter().enumerate().map(|(number, (note, damage))| {
            let row = json!({"external_id": format!("sku-{number}"), "url": format!("https://x/{number}"), "n": [note]});
            damaged(&row.to_string(), *damage)
        }).collect();
        let text = format!("[{}]", elements.join(separator));
        match read_in_pieces(Format::Json, text.as_bytes(), length) {
            Ok(rows) => assert_counts(&rows, &planted, &text)?,
            Err(refusal) => prop_assert!(planted.last().is_some_and(|(_, damage)| damage.is_some()), "{:?} {}", refusal, text),
        }
    }
}

proptest! {
    #[test]
    fn rows_are_what_was_written_wherever_the_stream_is_cut(
        rows in prop::collection::vec(any_object(), 0..8),
        length in 1..40usize,
        pretty in any::<bool>(),
    ) {
        let array = if pretty { serde_json::to_string_pretty(&rows) } else { serde_json::to_string(&rows) };
        let array = array.expect("JSON");
        prop_assert_eq!(&objects(&read_in_pieces(Format::Json, array.as_bytes(), length).expect("rows")), &rows);
        let lines: String = rows.iter().map(|row| format!("{row}\n")).collect();
        prop_assert_eq!(&objects(&read_in_pieces(Format::Ndjson, lines.as_bytes(), length).expect("rows")), &rows);
    }

    #[test]
    fn cells_are_what_was_written_wherever_the_stream_is_cut(
        cells in prop::collection::vec(("[a,\"\n\r \u{e9}]{1,6}", "[a,\"\n\r \u{e9}]{1,6}"), 0..8),
        length in 1..40usize,
    ) {
        let quoted = |cell: &str| format!("\"{}\"", cell.replace('"', "\"\""));
        let records: String =
            cells.iter().map(|(id, url)| format!("{},{}\n", quoted(id), quoted(url))).collect();
        let csv = format!("external_id,url\n{records}");
        let expected: Vec<Value> =
            cells.iter().map(|(id, url)| json!({"external_id": id, "url": url})).collect();
        prop_assert_eq!(objects(&read_in_pieces(CSV, csv.as_bytes(), length).expect("rows")), expected);
    }

    #[test]
    fn any_bytes_end_in_the_same_rows_or_the_same_refusal_wherever_they_are_cut(
        bytes in prop::collection::vec(any::<u8>(), 0..300),
        head in prop::sample::select(vec!["", "[", "external_id,url\n"]),
        length in 1..40usize,
    ) {
        let bytes = [head.as_bytes(), &bytes].concat();
        for format in [Format::Json, Format::Ndjson, CSV] {
            let whole = read_in_pieces(format, &bytes, bytes.len().max(1));
            prop_assert_eq!(read_in_pieces(format, &bytes, length), whole);
        }
    }
}
