//! Workers that say anything: the server believes none of it, waits no longer than allowed and answers with an error.

use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use eyeline_core::Timestamp;
use eyeline_lake::{Budget, Error, Filter, ProjectEvents, Snapshot, SqlAnswer, SqlQuestion, SqlWorker};

use crate::support::{BEGIN, Lake, PROJECT, record};

/// Stays until the server ends it, so that the question can be written to it.
const STAY: &str = "exec sleep 300";

const HELLO: &str = r#"{"confinement":{"landlock":"full","seccomp":"full"}}"#;

/// A command of the shell that writes these bytes.
fn print(bytes: &[u8]) -> String {
    let octal = bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "\\{byte:03o}");
        text
    });
    format!("printf '{octal}'")
}

/// A command that sends a message over the line, which is the standard input. The standard output is the shared memory.
fn send(message: &str) -> String {
    let length = u32::try_from(message.len()).expect("a length").to_le_bytes();
    format!("{} >&0", print(&[length.as_slice(), message.as_bytes()].concat()))
}

fn open(columns: &str) -> String {
    let wanted = r#"{"application_id":null,"session_id":null,"category":null,"name":null,"from":null,"to":null}"#;
    format!(r#"{{"Open":{{"scan":1000,"request":{{"columns":[{columns}],"wanted":{wanted}}}}}}}"#)
}

/// Asks a shell that runs these commands in place of a worker.
fn ask(commands: &[String], seconds: u64) -> Result<SqlAnswer, Error> {
    let lake = Lake::new();
    let records: Vec<_> = (0..100).map(record).collect();
    let snapshot: Snapshot = lake.snapshot(&records, 2);
    let budget = Budget::new(64 << 20, Duration::from_secs(seconds));
    let events = ProjectEvents::new(&lake.files, &snapshot, &Filter::of(PROJECT), &budget);
    let worker = SqlWorker::start(Path::new("/bin/sh"), &["-c", &commands.join("\n")]).expect("a shell");
    let question = SqlQuestion { query: "SELECT 1".to_owned(), rows_max: 10, now: Timestamp::from_micros(BEGIN) };
    worker.answer(&events, &question, &budget)
}

#[test]
fn a_worker_that_ends_or_says_what_nobody_understands_is_gone() {
    let endless = format!("{} >&0", print(&[0xff; 8]));
    let cut = format!("{} >&0", print(&[9, 0, 0, 0, b'{']));
    for (what, said) in [
        ("nothing", vec![]),
        ("no greeting", vec![send("[]")]),
        ("an endless greeting", vec![endless.clone()]),
        ("a greeting alone", vec![send(HELLO)]),
        ("an endless message", vec![send(HELLO), endless]),
        ("half a message", vec![send(HELLO), cut]),
        ("no JSON", vec![send(HELLO), send("{\"Answer\":")]),
        ("an unknown message", vec![send(HELLO), send(r#"{"Files":{}}"#)]),
        ("a negative number", vec![send(HELLO), send(r#"{"Answer":{"bytes":-1,"truncated":false}}"#)]),
        ("the next batch of no walk", vec![send(HELLO), send(r#"{"Next":{"scan":7}}"#)]),
        ("a huge answer", vec![send(HELLO), send(r#"{"Answer":{"bytes":1099511627776,"truncated":false}}"#)]),
        ("an answer that is not there", vec![send(HELLO), send(r#"{"Answer":{"bytes":100,"truncated":false}}"#)]),
    ] {
        let answer = ask(&said, 60);
        assert!(matches!(answer, Err(Error::WorkerGone(_))), "{what}: {answer:?}");
    }
}

#[test]
fn a_worker_gets_no_columns_beside_those_of_the_table_and_not_too_many_walks() {
    for columns in ["\"ProjectId\"", "\"Source\"", "\"Name\",\"Place\"", &["\"Data\""; 13].join(",")] {
        let answer = ask(&[send(HELLO), send(&open(columns)), STAY.to_owned()], 60);
        assert!(matches!(&answer, Err(Error::Broken(told)) if told.contains("columns")), "{columns}: {answer:?}");
    }
    // Numbers of four digits, so that all messages have one length.
    let one = open("\"Name\"");
    let length = u32::try_from(one.len()).expect("a length").to_le_bytes();
    let again = one.replace("1000", "'$i'");
    let walks =
        format!("i=1000; while [ $i -lt 2100 ]; do {}; printf %s '{again}'; i=$((i+1)); done >&0", print(&length));
    let answer = ask(&[send(HELLO), walks, STAY.to_owned()], 60);
    assert!(matches!(answer, Err(Error::TooMuch(_))), "{answer:?}");
}

#[test]
fn a_worker_that_is_silent_is_ended_when_the_time_is_over() {
    let begin = Instant::now();
    let answer = ask(&[send(HELLO), STAY.to_owned()], 1);
    assert!(matches!(&answer, Err(Error::TooMuch(told)) if told.contains("too long")), "{answer:?}");
    assert!(begin.elapsed() < Duration::from_secs(60), "{:?}", begin.elapsed());
}

#[test]
fn an_answer_that_is_no_arrow_stream_is_not_shown() {
    for bytes in [b"not Arrow".as_slice(), &[0xff; 64], &[0; 64], &[]] {
        let answer = format!(r#"{{"Answer":{{"bytes":{},"truncated":false}}}}"#, bytes.len());
        let answer = ask(&[send(HELLO), print(bytes), send(&answer), STAY.to_owned()], 60).expect("bytes");
        assert_eq!(answer.stream, bytes);
        assert!(matches!(answer.into_table(), Err(Error::Broken(_))), "{bytes:?}");
    }
}
