//! Files: written events are read by this crate and by an independent reader.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use eyeline_core::Timestamp;
use eyeline_lake::{
    Arrivals, Budget, Filter, Hidden, MERGE_BYTES_MAX, Memory, Order, Record, compact, count_hidden, count_hidden_acts,
    fit_together, in_order_of_arrival, list, merge_at_once, tail, write_after, write_records, write_without,
};
use parquet::arrow::ArrowWriter;
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::record::RowAccessor as _;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;

use crate::support::{BEGIN, Lake, MINUTE, PROJECT, any_records, budget, record};

/// Offsets in the row order of a file, from the parquet library's plain row reader.
fn offsets(bytes: bytes::Bytes) -> Vec<i64> {
    let reader = SerializedFileReader::new(bytes).expect("a Parquet file");
    let rows = reader.get_row_iter(None).expect("rows");
    rows.map(|row| row.expect("a row").get_long(3).expect("an offset")).collect()
}

fn sorted(mut records: Vec<Record>) -> Vec<Record> {
    records.sort_by_key(|record| (record.event.project_id, record.event.timestamp, record.offset));
    records
}

/// Remembers the most that a query had.
struct Most(Arc<AtomicUsize>);

impl Memory for Most {
    fn set(&mut self, bytes: usize) -> bool {
        self.0.fetch_max(bytes, Ordering::Relaxed);
        true
    }
}

#[test]
fn long_events_are_read_in_bounded_memory() {
    const LENGTH: usize = 60_000;
    const FILES: usize = 5;
    let lake = Lake::new();
    // Among short events, so that the mean says little: those that compress well, and those that do not.
    let packed = |offset: i64| "x".repeat(LENGTH + offset as usize % 7);
    let unpacked = |offset: i64| {
        let bits = |at: u64| (offset as u64 * LENGTH as u64 + at).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 58;
        (0..LENGTH as u64).map(|at| char::from(b'@' + bits(at) as u8 % 63 % 28)).collect::<String>()
    };
    for (kind, text) in [&packed as &dyn Fn(i64) -> String, &unpacked].into_iter().enumerate() {
        let of_file = |file: usize| {
            let offsets = (file as i64 * 10_000..).take(5_000);
            let records = offsets.map(|offset| {
                let mut record = record(offset);
                if offset % 10_000 < 350 {
                    record.event.data = format!("{{\"a\":\"{}\"}}", text(offset)).into();
                }
                record
            });
            records.collect::<Vec<_>>()
        };
        let files: Vec<_> =
            (0..FILES).filter_map(|file| lake.file(&format!("lake/{kind}-{file}"), &of_file(file))).collect();
        assert_eq!(merge_at_once(&files), FILES, "by their numbers of events they are small");
        let fitting = fit_together(&lake.files, &files).expect("footers");
        assert!((2..FILES).contains(&fitting), "{fitting}");
        let most = Arc::new(AtomicUsize::new(0));
        let budget = || Budget::within(Box::new(Most(most.clone())), usize::MAX, Duration::from_secs(600));
        let merged = compact(&lake.files, &files[..fitting], Vec::new(), &budget()).expect("a merge");
        let (bytes, facts) = merged.expect("a file");
        assert_eq!(facts.rows, 5_000 * fitting as u64);
        assert!(most.swap(0, Ordering::Relaxed) as u64 <= MERGE_BYTES_MAX);
        // The output of a merge needs no more memory to read than its inputs.
        let key = format!("lake/{kind}-merged");
        lake.put(&key, bytes);
        let merged = eyeline_lake::FileRef { key, partition: 0, facts };
        let snapshot = eyeline_lake::Snapshot { files: vec![merged], ..Default::default() };
        let found = list(&lake.files, &snapshot, &Filter::of(PROJECT), Order::Timestamp, None, 10, &budget());
        assert_eq!(found.expect("events").records.len(), 10);
        let most = most.load(Ordering::Relaxed);
        assert!(most <= 65 << 20, "{most}");
    }
}

#[test]
fn no_events_make_no_file() {
    assert!(write_records(Vec::new()).expect("nothing went wrong").is_none());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_file_has_the_events_sorted_by_project_and_time_for_any_reader(records in any_records(60)) {
        let Some((bytes, facts)) = write_records(records.clone()).expect("a file") else {
            prop_assert!(records.is_empty());
            return Ok(());
        };
        prop_assert_eq!(facts.rows, records.len() as u64);
        prop_assert_eq!(facts.bytes, bytes.len() as u64);
        let expected: Vec<i64> = sorted(records.clone()).iter().map(|record| record.offset).collect();
        prop_assert_eq!(offsets(bytes.into()), expected);
        let times = records.iter().map(|record| record.event.timestamp);
        prop_assert_eq!(Some(facts.first_timestamp), times.clone().min());
        prop_assert_eq!(Some(facts.last_timestamp), times.max());
        prop_assert_eq!(facts.first_offset, records[0].offset);
    }

    #[test]
    fn files_merged_in_any_grouping_are_the_file_of_all_their_events(records in any_records(200), pieces in 1usize..9) {
        let lake = Lake::new();
        let files: Vec<_> = records
            .chunks(records.len().div_ceil(pieces).max(1))
            .enumerate()
            .filter_map(|(number, piece)| lake.file(&format!("lake/{number}"), piece))
            .collect();
        let merged = compact(&lake.files, &files, Vec::new(), &budget()).expect("a merge");
        let Some((bytes, facts)) = merged else {
            prop_assert!(records.is_empty());
            return Ok(());
        };
        let (_, alone) = write_records(records.clone()).expect("a file").expect("events");
        prop_assert_eq!(facts, eyeline_lake::Facts { bytes: facts.bytes, ..alone });
        let expected: Vec<i64> = sorted(records.clone()).iter().map(|record| record.offset).collect();
        prop_assert_eq!(offsets(bytes.clone().into()), expected);

        lake.put("lake/merged", bytes);
        let merged = eyeline_lake::FileRef { key: "lake/merged".to_owned(), partition: 0, facts };
        let snapshot = eyeline_lake::Snapshot { files: vec![merged], ..eyeline_lake::Snapshot::default() };
        let found = list(&lake.files, &snapshot, &Filter::of(PROJECT), Order::ReceivedAt, None, 1_000, &budget()).expect("a list");
        let mut found = found.records;
        found.sort_by_key(|record| record.offset);
        let expected: Vec<Record> = records.into_iter().filter(|record| record.event.project_id == PROJECT).collect();
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn events_of_a_category_come_in_the_order_of_their_arrival_from_files_of_any_grouping(
        records in any_records(200), pieces in 1usize..9, merged in 0usize..5, begin in 0i64..200, length in 0i64..400,
        rows_max in 1usize..40,
    ) {
        let lake = Lake::new();
        // Like files of hours, each holds every n-th event.
        let mut of_files = vec![Vec::new(); pieces];
        records.iter().for_each(|record| of_files[(record.offset as usize / 6) % pieces].push(record.clone()));
        let name = |number| format!("lake/{number}");
        let mut files: Vec<_> =
            of_files.iter().enumerate().filter_map(|(number, records)| lake.file(&name(number), records)).collect();
        let rest = files.split_off(merged.min(files.len()));
        let made = compact(&lake.files, &files, Vec::new(), &budget()).expect("a merge");
        let mut files = rest;
        if let Some((bytes, facts)) = made {
            lake.put("lake/merged", bytes);
            files.push(eyeline_lake::FileRef { key: "lake/merged".to_owned(), partition: 0, facts });
        }
        let (category, offsets) = ("category 1", begin + 1..=begin + length);
        let meant = |record: &&Record| offsets.contains(&record.offset) && record.event.category == category;
        let expected: Vec<Record> = records.iter().filter(meant).cloned().collect();
        let (mut found, mut after) = (Vec::new(), Some(begin));
        while let Some(begin_of_piece) = after {
            let wanted = Arrivals { after: begin_of_piece, up_to: begin + length, category, rows_max };
            let piece = in_order_of_arrival(&lake.files, &files, wanted, &budget(), Some).expect("events");
            prop_assert!(piece.0.len() == rows_max || piece.1.is_none());
            found.extend(piece.0);
            after = piece.1;
        }
        prop_assert_eq!(found, expected);
    }
}

#[test]
fn files_of_many_batches_whose_events_take_turns_are_merged_in_their_order() {
    let lake = Lake::new();
    let of_file = |file: i64, offset: i64| {
        // From the second file one event in a hundred, from the third a long run at the end.
        let place = [offset, offset * 100 + 50, 40_000 + offset][file as usize];
        let mut record = record(file * 100_000 + offset);
        record.event.timestamp = Timestamp::from_micros(BEGIN + 3 * place + file);
        record
    };
    let of_files: Vec<Vec<Record>> = [50_000, 400, 20_000]
        .into_iter()
        .zip(0..)
        .map(|(count, file)| (0..count).map(|offset| of_file(file, offset)).collect())
        .collect();
    let files: Vec<_> = of_files
        .iter()
        .enumerate()
        .map(|(number, records)| lake.file(&format!("lake/{number}"), records).expect("a file"))
        .collect();
    let (bytes, facts) = compact(&lake.files, &files, Vec::new(), &budget()).expect("a merge").expect("events");
    assert_eq!(facts.rows, 70_400);
    let expected: Vec<i64> = sorted(of_files.concat()).iter().map(|record| record.offset).collect();
    assert!(offsets(bytes.into()) == expected, "the order is another");
}

#[test]
fn as_many_files_are_merged_at_once_as_memory_allows_and_never_fewer_than_two() {
    let lake = Lake::new();
    let record = any_records(2);
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let records = loop {
        let records = record.new_tree(&mut runner).expect("a value").current();
        if !records.is_empty() {
            break records;
        }
    };
    let mut file = lake.file("lake/a", &records).expect("a file");
    assert_eq!(merge_at_once(&[]), 0);
    assert_eq!(merge_at_once(&vec![file.clone(); 300]), 300);
    file.facts.rows = 100_000_000;
    assert_eq!(merge_at_once(&vec![file.clone(); 300]), 4);
    assert_eq!(merge_at_once(&[file]), 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_file_written_without_what_a_session_did_has_all_the_rest(
        records in any_records(60), session in 0..4u128, minutes in 0..200i64,
    ) {
        let lake = Lake::new();
        let Some(file) = lake.file("lake/a", &records) else { return Ok(()) };
        let received_until = Timestamp::from_micros(BEGIN + minutes * MINUTE);
        let session_id = uuid::Uuid::from_u128(100 + session).into();
        let hidden = Hidden { project_id: PROJECT, session_id: Some(session_id), received_until };
        let (gone, left): (Vec<Record>, Vec<Record>) = records.into_iter().partition(|record| {
            let event = &record.event;
            event.project_id == PROJECT && event.session_id == session_id && event.received_at <= received_until
        });
        let counts = count_hidden(&lake.files, &file, &hidden, &budget()).expect("counts");
        prop_assert_eq!(counts.iter().map(|count| count.events).sum::<u64>(), gone.len() as u64);
        let acts = count_hidden_acts(&lake.files, &file, &hidden, &budget()).expect("counts");
        let mut expected = BTreeMap::new();
        for act in gone.iter().filter_map(|record| record.event.gallery_act().ok()?) {
            *expected.entry(act.gallery_id).or_insert(0) += 1;
        }
        prop_assert_eq!(acts, expected);
        for count in counts {
            let is_in = |record: &&Record| {
                let event = &record.event;
                let of_the_hour = event.timestamp.micros().div_euclid(60 * MINUTE) == count.hour.micros() / (60 * MINUTE);
                let of_the_kind = (&event.category, &event.name) == (&count.category, &count.name);
                of_the_hour && of_the_kind && event.application_id == count.application_id
            };
            prop_assert_eq!(gone.iter().filter(is_in).count() as u64, count.events);
        }
        let written = write_without(&lake.files, &file, &hidden, Vec::new(), &budget()).expect("a file");
        let found = written.map_or_else(Vec::new, |(bytes, _)| offsets(bytes.into()));
        let expected: Vec<i64> = sorted(left).iter().map(|record| record.offset).collect();
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn a_file_written_from_an_offset_on_has_what_is_behind_it(records in any_records(60), cut in any::<prop::sample::Index>()) {
        let lake = Lake::new();
        let Some(file) = lake.file("lake/a", &records) else { return Ok(()) };
        let cut = records[cut.index(records.len())].offset;
        let left: Vec<Record> = records.into_iter().filter(|record| record.offset > cut).collect();
        let written = write_after(&lake.files, &file, cut, Vec::new(), &budget()).expect("a file");
        prop_assert_eq!(written.as_ref().map_or(0, |(_, facts)| facts.rows), left.len() as u64);
        let found = written.map_or_else(Vec::new, |(bytes, _)| offsets(bytes.into()));
        let expected: Vec<i64> = sorted(left).iter().map(|record| record.offset).collect();
        prop_assert_eq!(found, expected);
    }
}

#[test]
fn a_file_of_before_a_column_came_is_read_merged_and_written_anew() {
    const FIRST_COLUMNS: [usize; 13] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];
    let lake = Lake::new();
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let records = loop {
        let records = any_records(60).new_tree(&mut runner).expect("a value").current();
        if records.len() > 20 {
            break records;
        }
    };
    let (old, new) = records.split_at(records.len() / 2);
    let batches = tail(old.to_vec()).expect("batches");
    let batches = batches.iter().map(|batch| batch.project(&FIRST_COLUMNS).expect("fewer columns"));
    let mut writer = None;
    for batch in batches {
        let writer = writer
            .get_or_insert_with(|| ArrowWriter::try_new(Vec::new(), batch.schema(), None).expect("a writer of a file"));
        writer.write(&batch).expect("written");
    }
    let bytes = writer.expect("events").into_inner().expect("a file");
    let (_, facts) = write_records(old.to_vec()).expect("a file").expect("events");
    let facts = eyeline_lake::Facts { bytes: bytes.len() as u64, ..facts };
    lake.put("lake/old", bytes);
    let file = eyeline_lake::FileRef { key: "lake/old".to_owned(), partition: 0, facts };

    let without = |record: &Record| {
        let event = eyeline_core::Event { schema: None, source: None, ..record.event.clone() };
        Record { event, place: None, ..record.clone() }
    };
    let expected: Vec<Record> = old.iter().map(without).chain(new.iter().cloned()).collect();
    let everything = |files: &[eyeline_lake::FileRef]| {
        let read = |category: &str| {
            let wanted = Arrivals { after: 0, up_to: i64::MAX, category, rows_max: usize::MAX };
            in_order_of_arrival(&lake.files, files, wanted, &budget(), Some).expect("events").0
        };
        let mut found: Vec<Record> = ["category 0", "category 1"].into_iter().flat_map(read).collect();
        found.sort_by_key(|record| record.offset);
        found
    };
    let files = [file.clone(), lake.file("lake/new", new).expect("a file")];
    assert_eq!(everything(&files), expected);
    let (bytes, facts) = compact(&lake.files, &files, Vec::new(), &budget()).expect("a merge").expect("events");
    lake.put("lake/merged", bytes);
    let merged = eyeline_lake::FileRef { key: "lake/merged".to_owned(), partition: 0, facts };
    assert_eq!(everything(&[merged]), expected);
    let nobody = Hidden {
        project_id: PROJECT,
        session_id: Some(uuid::Uuid::from_u128(0).into()),
        received_until: Timestamp::from_micros(i64::MAX),
    };
    let written = write_without(&lake.files, &file, &nobody, Vec::new(), &budget()).expect("a file").expect("events");
    assert_eq!(written.1.rows, old.len() as u64);
}
