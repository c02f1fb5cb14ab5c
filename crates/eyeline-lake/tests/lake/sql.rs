//! SQL against a straightforward recount.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use eyeline_core::Timestamp;
use eyeline_lake::{Error, FileRef, Filter, Hidden, Snapshot, Table};
use proptest::prelude::*;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{BEGIN, Lake, MINUTE, PROJECT, any_filter, any_records, budget, record, sql, visits, wanted};

const NOW: Timestamp = Timestamp::from_micros(BEGIN);

impl Lake {
    /// The answer to a query over all events of the project.
    pub fn try_query(&self, snapshot: &Snapshot, query: &str) -> Result<Table, Error> {
        sql(&self.files, snapshot, &Filter::of(PROJECT), query, 10_000, NOW, &budget())
    }

    pub fn query(&self, snapshot: &Snapshot, query: &str) -> Value {
        let table = self.try_query(snapshot, query).unwrap_or_else(|error| panic!("{query}: {error}"));
        rows(&table)
    }
}

pub fn rows(table: &Table) -> Value {
    serde_json::from_str(table.rows.get()).expect("JSON")
}

fn quoted(text: &str) -> String {
    format!("'{text}'")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn groups_are_counted_as_in_a_recount(
        records in any_records(200), pieces in 1usize..6, filter in any_filter(),
    ) {
        let lake = Lake::new();
        let snapshot = lake.snapshot(&records, pieces);
        let mut expected = BTreeMap::<(String, String), (u64, BTreeSet<Uuid>, i64)>::new();
        for record in wanted(&records, &filter) {
            let event = &record.event;
            let entry = expected.entry((event.category.clone(), event.name.clone())).or_default();
            entry.0 += 1;
            entry.1.insert(event.session_id.0);
            entry.2 = entry.2.max(event.received_at.micros());
        }
        let expected: Vec<Value> = expected.into_iter().map(|((category, name), (count, sessions, last))| json!({
            "category": category, "name": name, "n": count, "sessions": sessions.len(),
            "last": Timestamp::from_micros(last).to_string(),
        })).collect();
        let query = "SELECT category, name, count(*) AS n, count(DISTINCT session_id) AS sessions, max(received_at) AS last
                     FROM events GROUP BY category, name ORDER BY category, name";
        let table = sql(&lake.files, &snapshot, &filter, query, 10_000, NOW, &budget()).expect("an answer");
        prop_assert_eq!(rows(&table), Value::from(expected));
    }

    #[test]
    fn conditions_in_a_query_are_those_of_a_filter(
        records in any_records(200), pieces in 1usize..6, filter in any_filter(), outer in any_filter(),
    ) {
        let lake = Lake::new();
        let snapshot = lake.snapshot(&records, pieces);
        let mut conditions = vec!["true".to_owned()];
        conditions.extend(filter.application_id.map(|id| format!("application_id = '{id}'")));
        conditions.extend(filter.session_id.map(|id| format!("'{id}' = session_id")));
        conditions.extend(filter.category.as_deref().map(quoted).map(|word| format!("category = {word}")));
        conditions.extend(filter.name.as_deref().map(quoted).map(|word| format!("name = {word}")));
        conditions.extend(filter.from.map(|time| format!("timestamp >= '{time}'")));
        conditions.extend(filter.to.map(|time| format!("timestamp < TIMESTAMP '{time}'")));
        let query = format!("SELECT \"offset\" AS o FROM events WHERE {} ORDER BY 1", conditions.join(" AND "));
        let table = sql(&lake.files, &snapshot, &outer, &query, 10_000, NOW, &budget()).expect("an answer");
        let both = wanted(&records, &outer);
        let both: BTreeSet<i64> = both.into_iter().map(|record| record.offset).collect();
        let expected: Vec<Value> = wanted(&records, &filter)
            .into_iter()
            .filter(|record| both.contains(&record.offset))
            .map(|record| json!({"o": record.offset}))
            .collect();
        prop_assert_eq!(rows(&table), Value::from(expected));
    }

    #[test]
    fn what_follows_what_is_told_by_lead(records in any_records(120), pieces in 1usize..4) {
        let lake = Lake::new();
        let snapshot = lake.snapshot(&records, pieces);
        let mut expected = BTreeMap::<(String, String), u64>::new();
        for visit in visits(&wanted(&records, &Filter::of(PROJECT))) {
            for pair in visit.windows(2) {
                *expected.entry((pair[0].1.1.clone(), pair[1].1.1.clone())).or_default() += 1;
            }
        }
        let expected: Vec<Value> = expected.into_iter().map(|((one, next), count)| json!({"one": one, "next": next, "n": count})).collect();
        let query = r#"
            WITH steps AS (
                SELECT name AS one, lead(name) OVER visit AS next, lead(timestamp) OVER visit - timestamp AS silence
                FROM events WINDOW visit AS (PARTITION BY session_id ORDER BY timestamp, "partition", "offset"))
            SELECT one, next, count(*) AS n FROM steps WHERE silence <= INTERVAL '30 minutes' GROUP BY 1, 2 ORDER BY 1, 2"#;
        prop_assert_eq!(lake.query(&snapshot, query), Value::from(expected));
    }

    #[test]
    fn sessions_are_joined(records in any_records(120), pieces in 1usize..4) {
        let lake = Lake::new();
        let snapshot = lake.snapshot(&records, pieces);
        let of = |name: &str| -> BTreeSet<Uuid> {
            let events = wanted(&records, &Filter { name: Some(name.to_owned()), ..Filter::of(PROJECT) });
            events.into_iter().map(|record| record.event.session_id.0).collect()
        };
        let (one, other) = (of("name 1"), of("name 2"));
        let both = one.intersection(&other).count();
        let only_one = one.difference(&other).count();
        let joined = "SELECT count(DISTINCT a.session_id) AS n FROM events a JOIN events b USING (session_id)
                      WHERE a.name = 'name 1' AND b.name = 'name 2'";
        prop_assert_eq!(lake.query(&snapshot, joined), json!([{"n": both}]));
        let within = "SELECT count(DISTINCT session_id) AS n FROM events WHERE name = 'name 1'
                      AND session_id IN (SELECT session_id FROM events WHERE name = 'name 2')";
        prop_assert_eq!(lake.query(&snapshot, within), json!([{"n": both}]));
        let without = "SELECT count(DISTINCT session_id) AS n FROM events WHERE name = 'name 1'
                       AND session_id NOT IN (SELECT session_id FROM events WHERE name = 'name 2')";
        prop_assert_eq!(lake.query(&snapshot, without), json!([{"n": only_one}]));
        let exists = "SELECT count(DISTINCT session_id) AS n FROM events a WHERE name = 'name 1' AND NOT EXISTS
                      (SELECT 1 FROM events b WHERE b.name = 'name 2' AND b.session_id = a.session_id)";
        prop_assert_eq!(lake.query(&snapshot, exists), json!([{"n": only_one}]));
    }

    #[test]
    fn fields_of_data_are_read(records in any_records(60), pieces in 1usize..4) {
        let lake = Lake::new();
        let snapshot = lake.snapshot(&records, pieces);
        let numbers: Vec<usize> = (0..records.len()).filter(|index| records[*index].event.project_id == PROJECT).collect();
        let query = "SELECT count(*) AS n, coalesce(sum((data->>'n')::bigint), 0) AS sum,
                            coalesce(sum(json_number(data, 'n')), 0) AS same, count(data->'missing') AS missing
                     FROM events";
        let sum: usize = numbers.iter().sum();
        let expected = json!([{"n": numbers.len(), "sum": sum, "same": sum as f64, "missing": 0}]);
        prop_assert_eq!(lake.query(&snapshot, query), expected);
        let found = lake.query(&snapshot, "SELECT \"offset\" AS o FROM events WHERE data->>'n' = '7'");
        prop_assert_eq!(found, if numbers.contains(&7) { json!([{"o": 15}]) } else { json!([]) });
    }

    #[test]
    fn what_is_hidden_is_in_no_table(records in any_records(120), pieces in 1usize..4, session in 0..4u128, until in 0..600i64) {
        let lake = Lake::new();
        let hidden = Hidden {
            project_id: PROJECT,
            session_id: Some(Uuid::from_u128(100 + session).into()),
            received_until: Timestamp::from_micros(BEGIN + until * MINUTE),
        };
        let snapshot = Snapshot { hidden: Arc::new([hidden]), ..lake.snapshot(&records, pieces) };
        let is_hidden = |record: &&eyeline_lake::Record| {
            Some(record.event.session_id) == hidden.session_id && record.event.received_at <= hidden.received_until
        };
        let expected = wanted(&records, &Filter::of(PROJECT)).into_iter().filter(|record| !is_hidden(record)).count();
        prop_assert_eq!(lake.query(&snapshot, "SELECT count(*) AS n FROM events"), json!([{"n": expected}]));
    }
}

/// Three events of one session, of which two are in a file.
fn three() -> (Lake, Snapshot) {
    let lake = Lake::new();
    let mut records: Vec<_> = (1..=3).map(record).collect();
    for (index, record) in records.iter_mut().enumerate() {
        let event = &mut record.event;
        event.timestamp = Timestamp::from_micros(BEGIN + index as i64 * MINUTE);
        event.data =
            [r#"{"price": 1.5, "tags": ["a", "b\"c"]}"#, r#"{"price": 9007199254740993}"#, r#"{"price": null}"#][index]
                .into();
        event.session_id = Uuid::from_u128(100).into();
        event.event_id = Uuid::from_u128(index as u128).into();
    }
    let snapshot = lake.snapshot(&records, 2);
    (lake, snapshot)
}

#[test]
fn values_are_spelled_as_in_every_other_answer() {
    let (lake, snapshot) = three();
    let first =
        lake.query(&snapshot, "SELECT event_id, session_id, timestamp, data FROM events ORDER BY timestamp LIMIT 1");
    let expected = json!([{
        "event_id": Uuid::from_u128(0), "session_id": Uuid::from_u128(100), "timestamp": "2026-11-02T00:00:00.000000Z",
        "data": r#"{"price": 1.5, "tags": ["a", "b\"c"]}"#,
    }]);
    assert_eq!(first, expected);
    let fields = "SELECT data->>'price' AS price, data->'tags'->>1 AS tag, data->'tags' AS tags,
                         (data->>'price')::bigint + 0 AS exact FROM events WHERE data->>'price' <> '1.5' ORDER BY timestamp";
    let expected = json!([{"price": "9007199254740993", "tag": null, "tags": null, "exact": 9_007_199_254_740_993u64}]);
    assert_eq!(lake.query(&snapshot, fields), expected);
    let tag = "SELECT data->'tags'->>1 AS tag FROM events WHERE data->'tags' IS NOT NULL";
    assert_eq!(lake.query(&snapshot, tag), json!([{"tag": "b\"c"}]));
    let odd = "SELECT 1.0 / 4 AS part, 1 / 4 AS quarter, date_trunc('hour', max(timestamp)) AS hour, max(timestamp)::date AS day,
                      now() AS now, NULL AS nothing,
                      string_agg(data->>'price', ' > ' ORDER BY timestamp) AS prices FROM events";
    let expected = json!([{
        "part": 0.25, "quarter": 0, "hour": "2026-11-02T00:00:00.000000Z", "day": "2026-11-02",
        "now": "2026-11-02T00:00:00.000000Z", "nothing": null,
        "prices": "1.5 > 9007199254740993",
    }]);
    assert_eq!(lake.query(&snapshot, odd), expected);
    let table = lake.try_query(&snapshot, "SELECT name, 1 AS one, timestamp FROM events").expect("an answer");
    let kinds: Vec<(&str, &str)> = table.columns.iter().map(|column| (column.name.as_str(), column.kind)).collect();
    assert_eq!(kinds, [("name", "text"), ("one", "integer"), ("timestamp", "timestamp")]);
}

#[test]
fn usual_sql_works() {
    let (lake, snapshot) = three();
    let answers = [
        ("SELECT count(*) AS n FROM events", json!([{"n": 3}])),
        ("select count(*) as n from public.events;", json!([{"n": 3}])),
        ("SELECT 1 AS a UNION ALL SELECT 2 ORDER BY a DESC", json!([{"a": 2}, {"a": 1}])),
        ("VALUES (1, 'x')", json!([{"column1": 1, "column2": "x"}])),
        ("SELECT DISTINCT session_id IS NULL AS x FROM events", json!([{"x": false}])),
        ("SELECT 'a' || 'b' AS x, 'a' || NULL AS y, concat('a', NULL) AS z", json!([{"x": "ab", "y": null, "z": "a"}])),
        ("SELECT count(*) FILTER (WHERE data LIKE '%tags%') AS n FROM events", json!([{"n": 1}])),
        ("SELECT count(*) AS n FROM events WHERE data ~ 'TAGS' OR data ~* 'TAGS'", json!([{"n": 1}])),
        (
            "SELECT regexp_replace('2026-11', '(\\d+)-(\\d+)', '\\2/\\1') AS x, replace('aXa', 'X', '--') AS y",
            json!([{"x": "11/2026", "y": "a--a"}]),
        ),
        ("SELECT extract(hour FROM timestamp) AS h FROM events GROUP BY 1", json!([{"h": 0}])),
        (
            "SELECT row_number() OVER (ORDER BY timestamp DESC) AS n FROM events ORDER BY timestamp LIMIT 1",
            json!([{"n": 3}]),
        ),
        ("SELECT sum(count(*)) OVER () AS n FROM events GROUP BY timestamp LIMIT 1", json!([{"n": 3}])),
        ("SELECT (SELECT count(*) FROM events) + 1 AS n", json!([{"n": 4}])),
        (
            "SELECT substring(name FROM 1 FOR 3) AS s, position('e' IN name) AS p FROM events LIMIT 1",
            json!([{"s": "vie", "p": 3}]),
        ),
        (
            "SELECT count(*) AS n FROM events WHERE timestamp BETWEEN '2026-11-02' AND '2026-11-02 00:01:00'",
            json!([{"n": 2}]),
        ),
        (
            "SELECT count(*) AS n FROM events WHERE timestamp >= now() - INTERVAL '1 day' AND timestamp > DATE '2026-11-02'",
            json!([{"n": 2}]),
        ),
        (
            "SELECT date_bin(INTERVAL '1 day', timestamp) AS d, count(*) AS n FROM events GROUP BY 1",
            json!([{"d": "2026-11-02T00:00:00.000000Z", "n": 3}]),
        ),
        ("WITH events AS (SELECT 1 AS x) SELECT * FROM events", json!([{"x": 1}])),
        (
            "SELECT approx_distinct(session_id) AS d, median(\"offset\") > 0 AS m FROM events",
            json!([{"d": 1, "m": true}]),
        ),
        ("SELECT count(*) AS n FROM events GROUP BY ROLLUP (session_id)", json!([{"n": 3}, {"n": 3}])),
    ];
    for (query, expected) in answers {
        assert_eq!(lake.query(&snapshot, query), expected, "{query}");
    }
    let table = sql(&lake.files, &snapshot, &Filter::of(PROJECT), "SELECT 1 FROM events", 2, NOW, &budget());
    let table = table.expect("an answer");
    assert_eq!((rows(&table).as_array().map(Vec::len), table.truncated), (Some(2), true));
}

#[test]
fn a_file_of_another_time_is_not_opened() {
    let (lake, snapshot) = three();
    let mut files = snapshot.files.clone();
    let mut facts = files[0].facts;
    facts.first_timestamp = Timestamp::from_micros(BEGIN - 1_000 * MINUTE);
    facts.last_timestamp = Timestamp::from_micros(BEGIN - 500 * MINUTE);
    files.push(FileRef { key: "lake/lost".to_owned(), partition: 0, facts });
    let snapshot = Snapshot { files, ..snapshot };
    assert!(matches!(lake.try_query(&snapshot, "SELECT count(*) AS n FROM events"), Err(Error::Away(_))));
    for condition in [
        "timestamp >= '2026-11-02T00:00:00Z'",
        "timestamp > '2026-11-01 23:00:00'",
        "'2026-11-02' <= timestamp",
        "timestamp BETWEEN TIMESTAMP '2026-11-02 00:00:00' AND now() + INTERVAL '1 day'",
        "timestamp >= DATE '2026-11-02' AND name IS NOT NULL",
    ] {
        let query = format!("SELECT count(*) AS n FROM events WHERE {condition}");
        assert_eq!(lake.query(&snapshot, &query), json!([{"n": 3}]), "{query}");
    }
}
