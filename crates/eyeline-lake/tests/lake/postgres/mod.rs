//! SQL against PostgreSQL: the same expressions and queries over the same events.
//!
//! PostgreSQL is the server in `EYELINE_TEST_POSTGRES_URL`; `scripts/with-postgres` starts one.

use eyeline_core::Timestamp;
use eyeline_lake::{Error, Record, Snapshot};
use serde_json::Value;
use sqlx::postgres::PgConnection;
use sqlx::{Connection as _, Executor as _, Row as _};
use uuid::Uuid;

use crate::sql::rows;
use crate::support::{BEGIN, Lake, record};

const EXPRESSIONS: &str = include_str!("expressions.txt");
const HOUR: i64 = 3_600_000_000;
/// The starts of the years 1 and 9999.
const YEAR_1: i64 = -62_135_596_800_000_000;
const YEAR_9999: i64 = 253_370_764_800_000_000;

/// Name, time, visitor and data of each event.
fn events() -> Vec<Record> {
    let all = [
        ("view", BEGIN, Some("v1"), r#"{"n": 1, "price": 1.50, "flag": true, "text": "äöü"}"#),
        ("view", BEGIN + HOUR / 2, Some("v1"), r#"{"n": 2, "price": 2.25, "tags": ["a", "b"]}"#),
        ("click", BEGIN + 5 * HOUR, None, r#"{"n": 3, "text": "a\nb", "deep": {"er": {"x": "y"}}}"#),
        ("View", BEGIN + 23 * HOUR, Some("v2"), r#"{"n": 10, "price": null, "flag": false}"#),
        ("view", BEGIN + 24 * HOUR + 123_456, None, r#"{"n": 9, "price": 0.1}"#),
        ("click", BEGIN + 40 * 24 * HOUR, Some("v1"), r#"{"n": -4, "price": 0.2}"#),
        ("buy", BEGIN - 200 * 24 * HOUR, Some("ä"), r#"{"n": 0}"#),
        ("view", YEAR_1, Some("v3"), r#"{"n": 7}"#),
        ("view", YEAR_9999 + 13 * HOUR, None, r#"{"n": 8, "price": 3}"#),
    ];
    let event = |(index, (name, time, visitor, data)): (usize, (&str, i64, Option<&str>, &str))| {
        let mut record = record(index as i64 + 1);
        record.event.name = name.to_owned();
        record.event.timestamp = Timestamp::from_micros(time);
        record.event.received_at = Timestamp::from_micros(BEGIN + 41 * 24 * HOUR + index as i64);
        record.event.visitor_id = visitor.map(str::to_owned);
        record.event.data = data.into();
        record.event.session_id = Uuid::from_u128(100 + index as u128 / 3).into();
        record
    };
    all.into_iter().enumerate().map(event).collect()
}

/// The same events as a PostgreSQL table.
async fn table(events: &[Record]) -> PgConnection {
    let url = std::env::var("EYELINE_TEST_POSTGRES_URL")
        .expect("EYELINE_TEST_POSTGRES_URL has to name a PostgreSQL: run the tests through scripts/with-postgres");
    let mut postgres = PgConnection::connect(&url).await.expect("the PostgreSQL of EYELINE_TEST_POSTGRES_URL");
    let mut script = r#"SET TimeZone = 'UTC';
        CREATE TEMP TABLE events (event_id text, application_id text, session_id text, visitor_id text, category text, name text,
            data json, timestamp timestamptz, received_at timestamptz, schema_version bigint, partition bigint, "offset" bigint);
        "#
    .to_owned();
    for Record { event, offset, partition, .. } in events {
        let quoted = |text: &str| format!("'{}'", text.replace('\'', "''"));
        let visitor = event.visitor_id.as_deref().map_or("NULL".to_owned(), quoted);
        script += &format!(
            "INSERT INTO events VALUES ('{}', '{}', '{}', {visitor}, {}, {}, {}, '{}', '{}', NULL, {partition}, {offset});\n",
            event.event_id.0,
            event.application_id.0,
            event.session_id.0,
            quoted(&event.category),
            quoted(&event.name),
            quoted(&event.data),
            event.timestamp,
            event.received_at,
        );
    }
    postgres.execute(sqlx::raw_sql(sqlx::AssertSqlSafe(script))).await.expect("a table of events");
    postgres
}

async fn of_postgres(postgres: &mut PgConnection, query: &str) -> Result<Value, String> {
    let all = format!("SELECT coalesce(json_agg(row_to_json(q)), '[]')::text FROM ({query}) q");
    let row = postgres.fetch_one(sqlx::raw_sql(sqlx::AssertSqlSafe(all))).await.map_err(|error| error.to_string())?;
    serde_json::from_str(row.get(0)).map_err(|error| error.to_string())
}

fn of_lake(lake: &Lake, snapshot: &Snapshot, query: &str) -> Result<Value, String> {
    match lake.try_query(snapshot, query) {
        Ok(table) => Ok(rows(&table)),
        Err(error @ (Error::Query(_) | Error::TooMuch(_))) => Err(error.to_string()),
        Err(error) => panic!("{query}: {error:?}"),
    }
}

/// Numbers in 12 digits, exact if both are integers; times with six digits of a second.
fn is_same(lake: &Value, postgres: &Value) -> bool {
    match (lake, postgres) {
        (Value::Number(one), Value::Number(other)) => {
            let (one, other) = (one.to_string(), other.to_string());
            let plain = |number: &str| match number.split_once('.') {
                Some((whole, part)) if part.bytes().all(|digit| digit == b'0') => whole.to_owned(),
                _ => number.to_owned(),
            };
            if plain(&one) == plain(&other) {
                return true;
            }
            let is_whole = |number: &str| number.len() < 16 && number.parse::<i64>().is_ok();
            let (near, far) = (one.parse::<f64>().expect("a number"), other.parse::<f64>().expect("a number"));
            !(is_whole(&plain(&one)) && is_whole(&plain(&other))) && (near - far).abs() <= far.abs() * 1e-9
        }
        (Value::String(one), Value::String(other)) => {
            one == other || matches!((in_full(one), in_full(other)), (Some(one), Some(other)) if one == other)
        }
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| is_same(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one.iter().all(|(key, one)| other.get(key).is_some_and(|other| is_same(one, other)))
        }
        (one, other) => one == other,
    }
}

/// `2026-11-02T10:00:00+00:00` as `2026-11-02T10:00:00.000000Z`.
fn in_full(text: &str) -> Option<String> {
    let is_time = text.len() > 18 && text.as_bytes()[4] == b'-' && text.as_bytes()[10] == b'T';
    let (clock, zone) = match text.strip_suffix("+00:00").or_else(|| text.strip_suffix('Z')) {
        Some(clock) => (clock, "Z"),
        None => (text, ""),
    };
    let (second, part) = clock.split_once('.').unwrap_or((clock, ""));
    is_time.then(|| format!("{second}.{part:0<6}{zone}"))
}

#[test]
fn every_expression_agrees_with_postgresql_or_is_refused() {
    let lake = Lake::new();
    let events = events();
    let snapshot = lake.snapshot(&events, 2);
    let mut postgres = lake.runtime.block_on(table(&events));
    let (mut wrong, mut equal, mut refused) = (Vec::new(), 0, 0);
    for line in EXPRESSIONS.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (mark, text) = match line.split_at(1) {
            (mark @ ("!" | "+" | "~"), text) => (mark, text.trim()),
            _ => ("", line),
        };
        let is_query = ["SELECT ", "WITH "].into_iter().any(|word| text.starts_with(word));
        let query = if is_query { text.to_owned() } else { format!("SELECT {text} AS v") };
        let expected = lake.runtime.block_on(of_postgres(&mut postgres, &query));
        let found = of_lake(&lake, &snapshot, &query);
        let is_fine = match (mark, &found, &expected) {
            ("", Ok(found), Ok(expected)) => is_same(found, expected),
            ("~", Ok(found), Ok(expected)) => !is_same(found, expected),
            ("", Err(_), Err(_)) | ("!", Err(_), Ok(_)) | ("+", Ok(_), Err(_)) => true,
            _ => false,
        };
        // A refusal tells a person what to change.
        let sentence = found.as_ref().err().filter(|sentence| {
            sentence.len() < 12
                || sentence.contains("DataFusion")
                || sentence.contains("Internal")
                || sentence.contains("in another way")
        });
        if !is_fine || sentence.is_some() {
            wrong.push(format!("{line}\n    PostgreSQL: {expected:?}\n    lake:       {found:?}"));
        }
        if found.is_ok() { equal += 1 } else { refused += 1 }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), equal + refused, wrong.join("\n"));
    assert!(equal >= 300, "{equal} answers, {refused} refusals");
}
