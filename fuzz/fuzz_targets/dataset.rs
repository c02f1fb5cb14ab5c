//! A client's catalogue in its three formats, as it streams in: whatever the pieces, the rows are the same.
#![no_main]

use eyeline_core::FieldErrors;
use eyeline_fuzz::server::rows::{Format, ROW_BYTES_MAX, ReadRow, RowReader};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some(([choice, piece], text)) = bytes.split_first_chunk() else { return };
    let format = [Format::Json, Format::Ndjson, Format::Csv][usize::from(choice % 3)];
    // Sometimes over and over, since a row over the bound is longer than what a fuzzer writes.
    let times = if choice & 0x80 != 0 && !text.is_empty() { 2 * ROW_BYTES_MAX / text.len() } else { 1 };
    let text = text.repeat(times);
    let whole = read(format, &text, text.len().max(1));
    let length = usize::from(*piece).max(times / 4).max(1);
    assert_eq!(read(format, &text, length), whole, "in pieces of {length}");
    let (rows, outcome) = whole;
    assert!(rows.is_sorted_by(|before, after| before.0 < after.0) && rows.first().is_none_or(|first| first.0 >= 1));
    for errors in rows.iter().filter_map(|(_, row)| row.as_ref().err()).chain(outcome.as_ref().err()) {
        let sentences = errors.iter().flat_map(|(_, sentences)| sentences);
        assert!(!errors.is_empty() && sentences.into_iter().all(|sentence| sentence.ends_with('.')), "{errors:?}");
    }
});

fn read(format: Format, text: &[u8], length: usize) -> (Vec<ReadRow>, Result<(), FieldErrors>) {
    let mut reader = RowReader::new(format);
    let outcome = text.chunks(length).try_for_each(|piece| reader.feed(piece)).and_then(|()| reader.finish());
    (std::iter::from_fn(|| reader.take()).collect(), outcome)
}
