//! The limits of a query, and that it ends.

use std::thread;
use std::time::{Duration, Instant};

use eyeline_core::Timestamp;
use eyeline_lake::{Budget, Error, Filter, QUERY_BYTES_MAX, Snapshot};

use crate::support::{BEGIN, Lake, PROJECT, record, sql};

/// Enough events for joins that never end.
fn many(count: i64) -> (Lake, Snapshot) {
    let lake = Lake::new();
    let event = |offset: i64| {
        let mut record = record(offset);
        record.event.data = r#"{"text": "some words that are looked at again and again"}"#.into();
        record
    };
    let records: Vec<_> = (0..count).map(event).collect();
    let file = lake.file("lake/many", &records).expect("a file");
    (lake, Snapshot { files: vec![file], ..Snapshot::default() })
}

fn ask(lake: &Lake, snapshot: &Snapshot, query: &str, budget: &Budget) -> Result<String, Error> {
    let now = Timestamp::from_micros(BEGIN);
    sql(&lake.files, snapshot, &Filter::of(PROJECT), query, 1_000, now, budget).map(|table| table.rows.get().to_owned())
}

fn patient() -> Budget {
    Budget::new(256 << 20, Duration::from_secs(60))
}

/// The error of the query.
fn refusal(lake: &Lake, snapshot: &Snapshot, query: &str) -> String {
    match ask(lake, snapshot, query, &patient()) {
        Err(Error::Query(sentence)) => sentence,
        other => panic!("{query}: {other:?}"),
    }
}

#[test]
fn only_a_select_over_the_events_is_taken() {
    let (lake, snapshot) = many(10);
    for query in [
        "",
        ";",
        "-- nothing",
        "SELECT 1; SELECT 2",
        "DROP TABLE events",
        "DELETE FROM events",
        "UPDATE events SET name = 'x'",
        "INSERT INTO events SELECT * FROM events",
        "WITH x AS (SELECT 1) INSERT INTO events SELECT * FROM x",
        "CREATE TABLE t AS SELECT 1",
        "CREATE VIEW v AS SELECT 1",
        "CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '/etc/passwd'",
        "CREATE FUNCTION f() RETURNS INT RETURN 1",
        "COPY events TO '/tmp/x.csv'",
        "COPY (SELECT 1) TO STDOUT",
        "SET datafusion.execution.batch_size = 1",
        "RESET datafusion.execution.batch_size",
        "SHOW TABLES",
        "SHOW ALL",
        "EXPLAIN SELECT 1",
        "EXPLAIN ANALYZE SELECT 1",
        "DESCRIBE events",
        "PREPARE p AS SELECT 1",
        "EXECUTE p",
        "BEGIN",
        "SELECT 1 INTO t",
        "TRUNCATE events",
        "MERGE INTO events USING events e ON true WHEN MATCHED THEN DELETE",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM \"/etc/passwd\"",
        "SELECT * FROM 's3://bucket/key.parquet'",
        "SELECT * FROM information_schema.tables",
        "SELECT * FROM information_schema.columns",
        "SELECT * FROM pg_catalog.pg_tables",
        "SELECT * FROM other.public.events",
        "SELECT * FROM datafusion.public.events",
        "SELECT * FROM generate_series(1, 1000000000)",
        "SELECT * FROM range(1, 1000000000)",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM parquet_metadata('/etc/passwd')",
        "SELECT unnest([1, 2])",
        "SELECT * FROM events, unnest([1, 2])",
        "SELECT repeat('x', 1000000000)",
        "SELECT lpad('x', 1000000000)",
        "SELECT version()",
        "SELECT input_file_name() FROM events",
        "SELECT arrow_cast('1', 'Int64')",
        "SELECT $1",
        "SELECT @@version",
        "WITH RECURSIVE n AS (SELECT 1 AS x UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n",
        "SELECT array_agg(data) FROM events",
        "SELECT string_agg(data, ',') OVER (ORDER BY timestamp) FROM events",
        "SELECT median(\"offset\") OVER (ORDER BY timestamp) FROM events",
        "SELECT regexp_like(data, name) FROM events",
        "SELECT count(*) FROM events WHERE data ~ name",
        "SELECT count(*) FROM events WHERE data SIMILAR TO name",
        "SELECT name, category AS name FROM events",
    ] {
        let sentence = refusal(&lake, &snapshot, query);
        assert!(
            !sentence.contains("DataFusion")
                && (!sentence.contains("datafusion") || query.contains("datafusion"))
                && sentence.len() < 600,
            "{query}: {sentence}"
        );
    }
}

#[test]
fn what_is_wrong_is_said_plainly() {
    let (lake, snapshot) = many(10);
    let sentence = |query: &str| refusal(&lake, &snapshot, query);
    assert_eq!(
        sentence("SELECT who FROM events"),
        "There is no column who; there are: event_id, application_id, session_id, visitor_id, category, name, data, timestamp, \
         received_at, schema_version, partition, offset."
    );
    assert_eq!(sentence("SELECT * FROM sessions"), "There is no table sessions: the events are in events.");
    assert_eq!(sentence("DROP TABLE events"), "Only a SELECT is taken: events are never changed.");
    assert_eq!(sentence("SELECT 1; SELECT 2"), "One statement at a time is taken.");
    assert!(sentence("SELECT 1 FROM").starts_with("This is not SQL that can be read: "));
    assert!(sentence("SELECT nonsense(1)").contains("nonsense"));
    assert!(sentence("SELECT name + 1 FROM events").contains("cast it first"), "texts are not added");
    assert!(sentence("SELECT 1 / 0 FROM events").to_lowercase().contains("zero"));
    assert!(sentence("SELECT name FROM events GROUP BY category").contains("name"));
    assert_eq!(
        sentence("SELECT a.name, b.name FROM events a JOIN events b USING (event_id)"),
        "Two columns are called name: give one of them another name with AS."
    );
}

/// Ends soon after its cancellation, or after its time.
#[test]
fn a_query_without_an_end_is_ended() {
    let (lake, snapshot) = many(60_000);
    for query in [
        "SELECT count(*) AS n FROM events a, events b, events c",
        "SELECT count(*) AS n FROM events a JOIN events b ON a.\"offset\" * b.\"offset\" = -1",
        "SELECT count(*) AS n FROM events a JOIN events b ON a.data > b.data AND a.\"offset\" + b.\"offset\" < 0",
        "SELECT count(*) AS n FROM events a JOIN events b ON a.name = b.name AND a.\"offset\" + b.\"offset\" < 0",
        "SELECT count(*) AS n FROM events WHERE name IN (SELECT name FROM events)
         OR category NOT IN (SELECT category FROM events)",
        "SELECT count(*) AS n FROM events a WHERE EXISTS
         (SELECT 1 FROM events b WHERE b.name = a.name AND b.\"offset\" + a.\"offset\" < 0)",
        "SELECT count(*) AS n FROM events a LEFT JOIN events b ON a.\"offset\" < b.\"offset\" - 100000",
        "SELECT max(a.data || b.data) AS n FROM events a, events b",
        "SELECT count(*) AS n FROM (SELECT * FROM events UNION ALL SELECT * FROM events) a, (SELECT * FROM events UNION SELECT * FROM events) b",
    ] {
        for given_up in [true, false] {
            let budget =
                Budget::new(256 << 20, if given_up { Duration::from_secs(600) } else { Duration::from_millis(700) });
            let begin = Instant::now();
            let asked = thread::scope(|scope| {
                let asked = scope.spawn(|| ask(&lake, &snapshot, query, &budget));
                if given_up {
                    thread::sleep(Duration::from_millis(700));
                    budget.cancel();
                }
                asked.join().expect("no panic")
            });
            let took = begin.elapsed();
            match asked {
                Err(Error::Cancelled) if given_up => {}
                Err(Error::TooMuch(_)) if !given_up => {}
                other => panic!("{query}: {other:?} after {took:?}"),
            }
            assert!(took < Duration::from_secs(5), "{query}: {took:?}");
        }
    }
}

#[test]
fn a_query_that_keeps_too_much_is_refused() {
    let (lake, snapshot) = many(60_000);
    let budget = || Budget::new(4 << 20, Duration::from_secs(60));
    for query in [
        "SELECT count(DISTINCT event_id) AS n FROM events",
        "SELECT * FROM events ORDER BY data, event_id",
        "SELECT event_id, count(*) AS n FROM events GROUP BY 1",
        "SELECT string_agg(data, ',') AS n FROM events",
        "SELECT sum(\"offset\") OVER () AS n, data, event_id FROM events",
        "SELECT count(*) AS n FROM events a JOIN events b USING (event_id)",
        "SELECT max(data) AS n FROM (SELECT DISTINCT event_id, data FROM events)",
    ] {
        match ask(&lake, &snapshot, query, &budget()) {
            Err(Error::TooMuch(sentence)) => assert!(sentence.contains("memory"), "{sentence}"),
            other => panic!("{query}: {:?}", other.map(|rows| rows.len())),
        }
    }
}

#[test]
fn a_window_without_an_order_looks_a_short_way() {
    let (lake, snapshot) = many(10);
    for query in [
        r#"SELECT sum("offset") OVER (ROWS BETWEEN 100000000 PRECEDING AND CURRENT ROW) FROM events"#,
        r#"SELECT sum("offset") OVER (ROWS BETWEEN CURRENT ROW AND 100000000 FOLLOWING) FROM events"#,
        "SELECT lead(data, 1000 * 1000) OVER () FROM events",
        "SELECT lag(data, 1000000) OVER (PARTITION BY name) FROM events",
    ] {
        let sentence = refusal(&lake, &snapshot, query);
        assert!(sentence.contains("ORDER BY"), "{query}: {sentence}");
    }
    for query in [
        r#"SELECT sum("offset") OVER (ROWS BETWEEN 10 PRECEDING AND CURRENT ROW) FROM events"#,
        "SELECT lead(data, 10) OVER () FROM events",
        "SELECT lead(data) OVER (PARTITION BY session_id ORDER BY timestamp) FROM events",
        "SELECT lag(data, 1000000) OVER (ORDER BY timestamp) FROM events",
        "SELECT row_number() OVER () FROM events",
    ] {
        ask(&lake, &snapshot, query, &patient()).expect(query);
    }
}

#[test]
fn long_texts_are_not_made() {
    let (lake, snapshot) = many(20_000);
    let mut doubled = "WITH t0 AS (SELECT data AS x FROM events)".to_owned();
    for step in 1..30 {
        doubled.push_str(&format!(", t{step} AS (SELECT x || x AS x FROM t{})", step - 1));
    }
    let ending = " SELECT max(length(x)) AS n FROM t29";
    let of_constants = doubled.replace("data AS x FROM events", "'0123456789' AS x") + ending;
    let growing = format!("SELECT max(length(replace(data, 's', '{}'))) AS n FROM events", "x".repeat(15_000));
    let many_times = format!("SELECT max(length(concat(data{}))) AS n FROM events", ", data".repeat(2_000));
    let separated = format!(
        "SELECT max(length(concat_ws('{}', data{}))) AS n FROM events",
        "-".repeat(3_000),
        ", data".repeat(900)
    );
    for query in [doubled + ending, of_constants, growing, many_times, separated] {
        match ask(&lake, &snapshot, &query, &patient()) {
            Err(Error::TooMuch(sentence)) => assert!(sentence.contains("too long"), "{sentence}"),
            other => panic!("{}: {other:?}", &query[..100]),
        }
    }
}

/// The parser and the planner always return.
#[test]
fn the_deepest_and_the_longest_queries_end() {
    let (lake, snapshot) = many(10);
    let fill = |begin: &str, part: &str, end: &str| {
        let count = (QUERY_BYTES_MAX - begin.len() - end.len()) / part.len();
        format!("{begin}{}{end}", part.repeat(count))
    };
    let nested = |open: &str, inner: &str, close: &str| {
        let count = (QUERY_BYTES_MAX - 100) / (open.len() + close.len());
        format!("SELECT {}{inner}{} AS n FROM events", open.repeat(count), close.repeat(count))
    };
    let mut chained = "WITH t0 AS (SELECT 1 AS x)".to_owned();
    for step in 1.. {
        let next = format!(", t{step} AS (SELECT a.x FROM t{0} a, t{0} b)", step - 1);
        if chained.len() + next.len() + 40 > QUERY_BYTES_MAX {
            chained.push_str(&format!(" SELECT count(*) AS n FROM t{}", step - 1));
            break;
        }
        chained.push_str(&next);
    }
    let queries = [
        nested("(", "1", ")"),
        nested("abs(", "1", ")"),
        nested("CASE WHEN true THEN ", "1", " END"),
        nested("(SELECT ", "1", ")"),
        fill("SELECT 1", "+1", " AS n FROM events"),
        fill("SELECT \"offset\"", "+\"offset\"", " AS n FROM events"),
        fill("SELECT count(*) AS n FROM events WHERE 1=1", " OR name='a'", ""),
        fill("SELECT count(*) AS n FROM events WHERE 1=1", " AND name<>'a'", ""),
        fill("SELECT count(*) AS n FROM events WHERE ", "NOT ", "true"),
        fill("SELECT ", "-", "1 AS n"),
        fill("SELECT ", "- ", "1 AS n"),
        fill("SELECT 1 AS n", " UNION ALL SELECT 1", ""),
        fill("SELECT 1 AS n", " UNION SELECT 1", ""),
        fill("SELECT name AS n FROM events", " UNION ALL SELECT name FROM events", ""),
        fill("SELECT name AS n FROM events", " EXCEPT SELECT name FROM events", ""),
        fill("SELECT count(*) AS n FROM events", ", events", ""),
        format!("SELECT count(*) AS n FROM {}", (0..99).map(|n| format!("events e{n}")).collect::<Vec<_>>().join(", ")),
        format!(
            "SELECT 1 AS n FROM {}",
            (0..99).map(|n| format!("events e{n}")).collect::<Vec<_>>().join(" NATURAL JOIN ")
        ),
        format!("SELECT 1{} AS n FROM events", "+1".repeat(98)),
        format!("SELECT count(*) AS n FROM events WHERE {}", vec!["name = 'a'"; 95].join(" OR ")),
        format!("SELECT \"offset\"{} AS n FROM events", " + \"offset\"".repeat(95)),
        format!("SELECT {} AS n FROM events", vec!["data"; 95].join(" || ")),
        vec!["SELECT name FROM events"; 50].join(" UNION "),
        vec!["SELECT name FROM events"; 50].join(" EXCEPT "),
        format!(
            "SELECT {}1 AS n FROM events",
            (0..400).map(|n| format!("\"offset\" + {n} AS c{n}, ")).collect::<String>()
        ),
        format!(
            "SELECT {}1 AS n FROM events",
            (0..150).map(|n| format!("lag(name, {n}) OVER (ORDER BY \"offset\" + {n}) AS c{n}, ")).collect::<String>()
        ),
        format!(
            "SELECT {}1 AS n",
            (0..49)
                .map(|n| format!("(SELECT count(*) FROM events WHERE \"offset\" > {n}) AS c{n}, "))
                .collect::<String>()
        ),
        fill("SELECT count(*) AS n FROM events WHERE name IN ('a'", ",'b'", ")"),
        fill("SELECT ", "name||", "name AS n FROM events"),
        fill("SELECT ", "name,", "1 AS n FROM events"),
        fill("SELECT '1'", "::text", " AS n"),
        fill("SELECT data", "->'a'", " AS n FROM events"),
        fill("SELECT 1 AS n FROM events ORDER BY name", ",name", ""),
        fill("SELECT 1 AS n WHERE ", "(", ""),
        fill("SELECT ", "[", ""),
        fill("", "(", ""),
        fill("", "\u{0}", ""),
        fill("SELECT '", "''", "' AS n"),
        chained,
        "x".repeat(QUERY_BYTES_MAX + 1),
    ];
    for query in queries {
        let begin = Instant::now();
        let budget = Budget::new(256 << 20, Duration::from_secs(2));
        let asked = ask(&lake, &snapshot, &query, &budget);
        let (took, head) = (begin.elapsed(), query.chars().take(60).collect::<String>());
        assert!(matches!(asked, Ok(_) | Err(Error::Query(_) | Error::TooMuch(_))), "{head}: {asked:?}");
        assert!(took < Duration::from_secs(60), "{head}: {took:?}");
    }
}
