//! SQL over HTTP: the visible events, the answers, and the forbidden statements.

use std::time::{Duration, Instant};

use axum::body::Body;
use http::StatusCode;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{ADMIN_KEY, Answer, Server, Tenant, request, text};

const PATH: &str = "/api/v1/analytics/sql";

fn event(session: u128, name: &str, minute: u32) -> Value {
    json!({
        "session_id": Uuid::from_u128(session), "category": "shop", "name": name, "data": {"price": minute},
        "timestamp": format!("2026-11-02T10:{minute:02}:00Z")
    })
}

async fn send(server: &Server, tenant: &Tenant, events: &[Value]) {
    let sent = server.post("/api/v1/events/batch", &tenant.secret_key, &json!(events)).await;
    assert_eq!(sent.json()["accepted"], events.len(), "{sent:?}");
    server.apply_events().await;
}

async fn ask(server: &Server, tenant: &Tenant, query: &str) -> Answer {
    server.post(PATH, &tenant.secret_key, &json!({"query": query})).await
}

async fn rows(server: &Server, tenant: &Tenant, query: &str) -> Value {
    let answer = ask(server, tenant, query).await;
    assert_eq!(answer.status, StatusCode::OK, "{query}: {answer:?}");
    answer.json()["rows"].clone()
}

#[tokio::test]
async fn a_select_is_answered_with_columns_and_rows_whether_events_are_in_files_or_not() {
    let server = Server::start().await;
    let tenant = server.tenant("shop").await;
    send(&server, &tenant, &[event(1, "view", 1), event(1, "buy", 2), event(2, "view", 3)]).await;
    let query = "SELECT name, count(*) AS events, sum((data->>'price')::int) AS price, max(timestamp) AS last FROM events \
                 GROUP BY name ORDER BY name";
    for _ in 0..2 {
        let answer = ask(&server, &tenant, query).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        let mut report = answer.json();
        assert!(report["as_of"].as_str().is_some_and(|time| time.ends_with('Z')), "{report}");
        report.as_object_mut().expect("an object").remove("as_of");
        let column = |name: &str, kind: &str| json!({"name": name, "type": kind});
        let expected = json!({
            "columns": [column("name", "text"), column("events", "integer"), column("price", "integer"), column("last", "timestamp")],
            "rows": [
                {"name": "buy", "events": 1, "price": 2, "last": "2026-11-02T10:02:00.000000Z"},
                {"name": "view", "events": 2, "price": 4, "last": "2026-11-02T10:03:00.000000Z"},
            ],
            "truncated": false,
            "served_from": "raw",
        });
        assert_eq!(report, expected);
        server.app.flush.run().await.expect("a flush");
        // An event that is not flushed is visible too.
        assert_eq!(rows(&server, &tenant, "SELECT count(*) AS n FROM events").await, json!([{"n": 3}]));
    }
    send(&server, &tenant, &[event(3, "view", 4)]).await;
    assert_eq!(rows(&server, &tenant, "SELECT count(*) AS n FROM events").await, json!([{"n": 4}]));
    let cut =
        server.post(PATH, &tenant.secret_key, &json!({"query": "SELECT name FROM events", "limit": 3})).await.json();
    assert_eq!((cut["rows"].as_array().map(Vec::len), &cut["truncated"]), (Some(3), &json!(true)));
}

#[tokio::test]
async fn rows_come_as_an_arrow_stream_or_a_parquet_file_to_those_who_ask_for_it() {
    let server = Server::start().await;
    let tenant = server.tenant("shop").await;
    send(&server, &tenant, &[event(1, "view", 1), event(1, "buy", 2), event(2, "view", 3)]).await;
    let ask_for = async |accept: &str, body: Value| {
        let asked = request("POST", PATH, &tenant.secret_key).header("accept", accept);
        let asked = asked.header("content-type", "application/json").body(Body::from(body.to_string()));
        server.send(asked.expect("a request")).await
    };
    let arrow = "application/vnd.apache.arrow.stream";
    let query = json!({"query": "SELECT name, count(*) AS n FROM events GROUP BY name ORDER BY name"});
    for (limit, truncated) in [(10, "false"), (1, "true")] {
        let mut body = query.clone();
        body["limit"] = json!(limit);
        let answer = ask_for(&format!("{arrow}, application/json;q=0.5"), body).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        assert_eq!((answer.header("content-type"), answer.header("vary")), (arrow, "Accept"));
        assert_eq!(answer.header("eyeline-truncated"), truncated);
        assert!(answer.header("eyeline-as-of").ends_with('Z'), "{answer:?}");
        // The marker of a message at both ends, the last message being empty.
        let (begin, end) = ([0xFF; 4], [0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0]);
        assert!(answer.body.starts_with(&begin) && answer.body.ends_with(&end), "{:?}", answer.body);
        assert!(answer.body.windows(3).any(|bytes| bytes == b"buy"), "the first row is there");
        assert_eq!(answer.body.windows(4).any(|bytes| bytes == b"view"), truncated == "false");
    }
    let parquet = "application/vnd.apache.parquet";
    for (limit, truncated) in [(10, "false"), (1, "true")] {
        let mut body = query.clone();
        body["limit"] = json!(limit);
        let answer = ask_for(parquet, body).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        assert_eq!((answer.header("content-type"), answer.header("vary")), (parquet, "Accept"));
        assert_eq!(answer.header("eyeline-truncated"), truncated);
        assert!(answer.header("eyeline-as-of").ends_with('Z'), "{answer:?}");
        assert!(answer.body.starts_with(b"PAR1") && answer.body.ends_with(b"PAR1"), "{:?}", answer.body);
    }
    for accept in
        ["*/*", "application/json", "application/vnd.apache.arrow.stream;q=0", "application/vnd.apache.parquet;q=0"]
    {
        let answer = ask_for(accept, query.clone()).await;
        assert_eq!(answer.header("content-type"), "application/json", "{accept}");
        assert_eq!(answer.json()["rows"][0], json!({"name": "buy", "n": 1}), "{accept}");
    }
    let wrong = ask_for(arrow, json!({"query": "SELECT a.n, b.n FROM (SELECT 1 AS n) a, (SELECT 2 AS n) b"})).await;
    assert_eq!(wrong.status, StatusCode::BAD_REQUEST, "{wrong:?}");
    assert!(wrong.json()["errors"]["query"][0].as_str().is_some_and(|said| said.contains("Two columns")), "{wrong:?}");
}

#[tokio::test]
async fn a_query_is_about_what_its_filters_leave() {
    let server = Server::start().await;
    let tenant = server.tenant("shop").await;
    send(&server, &tenant, &[event(1, "view", 1), event(1, "buy", 2), event(2, "view", 3)]).await;
    let query = "SELECT count(*) AS n FROM events";
    for (filter, count) in [
        (json!({"name": "view"}), 2),
        (json!({"from": "2026-11-02T10:02:00Z"}), 2),
        (json!({"to": "2026-11-02 10:02:00"}), 1),
        (json!({"category": "none"}), 0),
        (json!({"application": tenant.application_id}), 3),
        (json!({"project_id": tenant.project_id}), 3),
    ] {
        let mut body = filter.clone();
        body["query"] = json!(query);
        let answer = server.post(PATH, &tenant.secret_key, &body).await.json();
        assert_eq!(answer["rows"], json!([{"n": count}]), "{filter}");
    }
    let in_the_url = format!("{PATH}?project_id={}&name=buy", tenant.project_id);
    let answer = server.post(&in_the_url, ADMIN_KEY, &json!({"query": query})).await;
    assert_eq!(answer.json()["rows"], json!([{"n": 1}]), "{answer:?}");
}

#[tokio::test]
async fn nobody_sees_the_events_of_another_project_by_any_query() {
    let server = Server::start().await;
    let (tenant, stranger) = (server.tenant("shop").await, server.tenant("stranger").await);
    send(&server, &tenant, &[event(1, "view", 1), event(2, "secret", 2)]).await;
    send(&server, &stranger, &[event(1, "view", 1)]).await;
    for _ in 0..2 {
        let own = format!("application_id = '{}'", stranger.application_id);
        let others = format!("application_id = '{}'", tenant.application_id);
        for (query, expected) in [
            ("SELECT count(*) AS n FROM events".to_owned(), json!([{"n": 1}])),
            ("SELECT count(*) AS n FROM events WHERE name = 'secret' OR true".to_owned(), json!([{"n": 1}])),
            (format!("SELECT count(*) AS n FROM events WHERE {others}"), json!([{"n": 0}])),
            (format!("SELECT count(*) AS n FROM events WHERE {others} OR {own}"), json!([{"n": 1}])),
            (
                "SELECT count(*) AS n FROM events WHERE session_id = '00000000-0000-0000-0000-000000000002'".to_owned(),
                json!([{"n": 0}]),
            ),
            (
                "SELECT count(*) AS n FROM public.events a FULL JOIN events b USING (event_id)".to_owned(),
                json!([{"n": 1}]),
            ),
            ("WITH events AS (SELECT * FROM events) SELECT count(*) AS n FROM events".to_owned(), json!([{"n": 1}])),
            (
                "SELECT count(*) AS n FROM (SELECT * FROM events UNION ALL SELECT * FROM events) AS both".to_owned(),
                json!([{"n": 2}]),
            ),
            ("SELECT count(*) AS n FROM events /* */ -- WHERE false".to_owned(), json!([{"n": 1}])),
        ] {
            assert_eq!(rows(&server, &stranger, &query).await, expected, "{query}");
        }
        for query in [
            "SELECT project_id FROM events",
            "SELECT * FROM information_schema.tables",
            "SELECT * FROM '/etc/passwd'",
            "SELECT * FROM \"/etc/passwd\"",
            "COPY events TO '/tmp/stolen.csv'",
            "CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '/etc/passwd'",
            "SELECT 1; SELECT 2",
            "DELETE FROM events",
        ] {
            let answer = ask(&server, &stranger, query).await;
            assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{query}: {answer:?}");
            let sentence = text(&json!({"it": answer.json()["errors"]["query"][0]}), "it");
            assert!(!sentence.is_empty() && !sentence.contains("root:"), "{query}: {sentence}");
        }
        server.app.flush.run().await.expect("a flush");
    }
    let named = json!({"query": "SELECT 1", "project_id": tenant.project_id});
    assert_eq!(server.post(PATH, &stranger.secret_key, &named).await.status, StatusCode::NOT_FOUND);
    assert_eq!(server.post(PATH, ADMIN_KEY, &named).await.status, StatusCode::OK);
    assert_eq!(server.post(PATH, "", &named).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn what_is_wrong_with_a_question_is_told_by_field() {
    let server = Server::start().await;
    let tenant = server.tenant("shop").await;
    let bad = server.post(PATH, ADMIN_KEY, &json!({"limit": 0, "from": "yesterday"})).await;
    assert_eq!(bad.status, StatusCode::BAD_REQUEST, "{bad:?}");
    let errors = bad.json()["errors"].clone();
    let fields: Vec<&String> = errors.as_object().expect("errors").keys().collect();
    assert_eq!(fields, ["from", "limit", "project_id", "query"]);
    let unknown = ask(&server, &tenant, "SELECT who FROM events").await;
    assert_eq!(unknown.status, StatusCode::BAD_REQUEST);
    let errors = unknown.json()["errors"].clone();
    assert!(
        errors["query"][0]
            .as_str()
            .is_some_and(|sentence| sentence.starts_with("There is no column who; there are: event_id,")),
        "{errors}"
    );
    let long = ask(&server, &tenant, &format!("SELECT '{}'", "x".repeat(17 * 1024))).await;
    assert_eq!(long.status, StatusCode::BAD_REQUEST, "{long:?}");
    let much =
        ask(&server, &tenant, "SELECT count(*) FROM events a, events b WHERE concat(repeat('x', 10)) = ''").await;
    assert_eq!(much.status, StatusCode::BAD_REQUEST, "{much:?}");
    assert_eq!(server.get(PATH, &tenant.secret_key).await.status, StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn what_a_session_did_is_in_no_table_from_its_erasure_on() {
    let server = Server::start().await;
    let tenant = server.tenant("shop").await;
    send(&server, &tenant, &[event(1, "view", 1), event(2, "view", 2)]).await;
    server.app.flush.run().await.expect("a flush");
    send(&server, &tenant, &[event(1, "view", 3)]).await;
    let path = format!("/api/v1/projects/{}/erasures", tenant.project_id);
    server.post(&path, ADMIN_KEY, &json!({"session_id": Uuid::from_u128(1)})).await;
    let left = rows(&server, &tenant, "SELECT session_id, count(*) AS n FROM events GROUP BY 1").await;
    assert_eq!(left, json!([{"session_id": Uuid::from_u128(2), "n": 1}]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_query_that_nobody_waits_for_any_more_frees_its_place() {
    let server = Server::start().await;
    let tenant = server.tenant("shop").await;
    let events: Vec<Value> = (0..1_000).map(|number| event(number, "view", 1)).collect();
    send(&server, &tenant, &events).await;
    let endless = json!({"query": "SELECT count(*) AS n FROM events a, events b, events c, events d"});
    let begin = Instant::now();
    for _ in 0..2 {
        // As many as run concurrently.
        let asked = || {
            let request = request("POST", PATH, &tenant.secret_key).header("content-type", "application/json");
            server.send(request.body(Body::from(endless.to_string())).expect("a request"))
        };
        let gone = tokio::time::timeout(Duration::from_millis(500), futures::future::join(asked(), asked())).await;
        assert!(gone.is_err(), "{gone:?}");
    }
    let counted =
        tokio::time::timeout(Duration::from_secs(5), rows(&server, &tenant, "SELECT count(*) AS n FROM events"));
    assert_eq!(counted.await.expect("a place"), json!([{"n": 1_000}]));
    assert!(begin.elapsed() < Duration::from_secs(15), "{:?}", begin.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_projects_slow_queries_leave_a_place_for_the_others() {
    let server = Server::start().await;
    let (slow, other) = (server.tenant("slow").await, server.tenant("other").await);
    let events: Vec<Value> = (0..1_000).map(|number| event(number, "view", 1)).collect();
    send(&server, &slow, &events).await;
    send(&server, &other, &[event(1, "view", 1)]).await;
    let endless = "SELECT count(*) AS n FROM events a, events b, events c, events d";
    let floods = futures::future::join_all((0..8).map(|_| ask(&server, &slow, endless)));
    let questions = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        for _ in 0..3 {
            let one = rows(&server, &other, "SELECT count(*) AS n FROM events");
            let one = tokio::time::timeout(Duration::from_secs(20), one).await.expect("the other project is answered");
            assert_eq!(one, json!([{"n": 1}]));
            let counts = server.get("/api/v1/analytics/counts?interval=all", &other.secret_key).await;
            assert_eq!(counts.json()["rows"][0]["count"], 1, "{counts:?}");
        }
    };
    // The flood ends with its clients.
    tokio::select! {
        answers = floods => panic!("the flood came to an end: {answers:?}"),
        () = questions => {}
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_takes_too_long_to_plan_or_to_compute_ends_and_says_so() {
    let server = Server::start_with(|settings| settings.question_seconds_max = 1).await;
    let tenant = server.tenant("shop").await;
    let events: Vec<Value> = (0..1_000).map(|number| event(number, "view", 1)).collect();
    send(&server, &tenant, &events).await;
    let nested = (0..40).fold("timestamp".to_owned(), |inner, _| format!("date_trunc('day', {inner})"));
    for query in [
        format!("SELECT count(*) AS n FROM events WHERE {nested} = now()"),
        "SELECT count(*) AS n FROM events a, events b, events c, events d".to_owned(),
    ] {
        let asked = tokio::time::timeout(Duration::from_secs(30), ask(&server, &tenant, &query));
        let answer = asked.await.expect("it has an end");
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{answer:?}");
        assert!(answer.json()["detail"].as_str().is_some_and(|told| told.contains("takes too long")), "{answer:?}");
    }
    assert_eq!(rows(&server, &tenant, "SELECT count(*) AS n FROM events").await, json!([{"n": 1_000}]));
}

#[tokio::test]
async fn every_column_comes_through_from_files_with_other_words_and_from_the_tail() {
    let server = Server::start().await;
    let tenant = server.tenant("shop").await;
    let mut expected = Vec::new();
    for round in 0..4_u32 {
        let events: Vec<Value> = (0..900)
            .map(|number| {
                let mut event = event(u128::from(number % 7), &format!("name {round} {}", number % 50), number % 60);
                event["data"] = json!({"text": "ä \u{1}\"".repeat(number as usize % 40), "n": number});
                if number % 3 == 0 {
                    event["visitor_id"] = json!(format!("visitor {number}"));
                }
                event
            })
            .collect();
        expected.extend(events.iter().map(|event| {
            let field = |name: &str| event.get(name).cloned().unwrap_or(Value::Null);
            json!([field("name"), field("session_id"), field("visitor_id"), field("data")])
        }));
        send(&server, &tenant, &events).await;
        if round < 3 {
            server.app.flush.run().await.expect("a flush");
        }
    }
    let body = json!({"query": "SELECT * FROM events ORDER BY \"offset\"", "limit": 10_000});
    let answer = server.post(PATH, &tenant.secret_key, &body).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    let report = answer.json();
    let columns: Vec<String> =
        report["columns"].as_array().expect("columns").iter().map(|column| text(column, "name")).collect();
    let all = [
        "event_id",
        "application_id",
        "session_id",
        "visitor_id",
        "category",
        "name",
        "data",
        "timestamp",
        "received_at",
        "schema_version",
        "partition",
        "offset",
    ];
    assert_eq!(columns, all);
    let found = report["rows"].as_array().expect("rows");
    let found: Vec<Value> = found
        .iter()
        .map(|row| {
            let data: Value = serde_json::from_str(&text(row, "data")).expect("JSON");
            json!([row["name"], row["session_id"], row["visitor_id"], data])
        })
        .collect();
    assert_eq!(found.len(), expected.len());
    let differs = found.iter().zip(&expected).find(|(found, expected)| found != expected);
    assert!(differs.is_none(), "{differs:?}");
}
