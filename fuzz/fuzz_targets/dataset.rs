//! A client's catalogue in its formats, as it streams in: whatever the pieces, the rows are the same.
#![no_main]

use eyeline_core::FieldErrors;
use eyeline_fuzz::server::map::ColumnMap;
use eyeline_fuzz::server::rows::{Format, ROW_BYTES_MAX, ReadRow, RowReader};
use libfuzzer_sys::fuzz_target;

const MAPS: [Option<&str>; 3] = [None, Some("shopify"), Some("woocommerce,a:url,b:external_id")];

fuzz_target!(|bytes: &[u8]| {
    let Some(([choice, piece], text)) = bytes.split_first_chunk() else { return };
    let format = [Format::Json, Format::Ndjson, Format::Csv(None), Format::Csv(Some(b'\t'))][usize::from(choice % 4)];
    let map = MAPS[usize::from(choice / 4 % 3)];
    // Sometimes over and over, since a row over the bound is longer than what a fuzzer writes.
    let times = if choice & 0x80 != 0 && !text.is_empty() { 2 * ROW_BYTES_MAX / text.len() } else { 1 };
    let text = text.repeat(times);
    let whole = read(format, map, &text, text.len().max(1));
    let length = usize::from(*piece).max(times / 4).max(1);
    assert_eq!(read(format, map, &text, length), whole, "in pieces of {length}");
    let (rows, outcome) = whole;
    assert!(rows.is_sorted_by(|before, after| before.number + before.rows <= after.number), "{rows:?}");
    assert!(rows.iter().all(|row| row.number >= 1 && row.rows >= 1));
    for errors in rows.iter().filter_map(|row| row.read.as_ref().err()).chain(outcome.as_ref().err()) {
        let sentences = errors.iter().flat_map(|(_, sentences)| sentences);
        assert!(!errors.is_empty() && sentences.into_iter().all(|sentence| sentence.ends_with('.')), "{errors:?}");
    }
});

fn read(format: Format, map: Option<&str>, text: &[u8], length: usize) -> (Vec<ReadRow>, Result<(), FieldErrors>) {
    let mut reader = RowReader::new(format, map.and_then(|map| ColumnMap::parse(map).ok()));
    let outcome = text.chunks(length).try_for_each(|piece| reader.feed(piece)).and_then(|()| reader.finish());
    (std::iter::from_fn(|| reader.take()).collect(), outcome)
}
