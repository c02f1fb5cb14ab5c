//! A NATS that is killed, stopped, full, deleted from or set wrongly: what was acknowledged stays, and no call hangs.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use async_nats::jetstream;
use eyeline_store::checks::{self, Verdict};
use eyeline_store::inbox::{self, Entry, Inbox, Offset};
use eyeline_store::{Error, Result};

use crate::inboxes::{entries, entries_of, new_in_nats, server};

/// Longer than any recovery takes, also beside heavy work.
const PATIENCE: Duration = Duration::from_secs(90);
/// The longest time of one call, with what a busy machine adds.
const CALL_MAX: Duration = Duration::from_secs(8);

/// A NATS of a test's own, whose ports and folder stay the same over restarts.
struct Server {
    program: String,
    port: u16,
    monitor: u16,
    folder: tempfile::TempDir,
    child: Option<Child>,
}

impl Server {
    /// A server that acknowledges after an fsync.
    fn start() -> Self {
        Server::start_with("sync_interval: always", "")
    }

    fn start_with(jetstream: &str, lines: &str) -> Self {
        Server::start_program(&server("EYELINE_TEST_NATS_SERVER"), jetstream, lines)
    }

    fn start_program(program: &str, jetstream: &str, lines: &str) -> Self {
        let mut server = Server::prepare(program, jetstream, lines);
        server.run();
        server.wait();
        server
    }

    fn prepare(program: &str, jetstream: &str, lines: &str) -> Self {
        let [port, monitor] = ports();
        let folder = tempfile::tempdir().expect("a temporary folder");
        let store = folder.path().join("store");
        let text = format!(
            "listen: 127.0.0.1:{port}\nhttp: 127.0.0.1:{monitor}\n\
             jetstream {{ store_dir: \"{}\", max_file_store: 20GB\n {jetstream} }}\n{lines}\n",
            store.display()
        );
        std::fs::write(folder.path().join("nats.conf"), text).expect("a configuration");
        Server { program: program.to_owned(), port, monitor, folder, child: None }
    }

    fn run(&mut self) {
        let mut command = Command::new(&self.program);
        command.arg("-c").arg(self.configuration());
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        self.child = Some(child.expect("nats-server, which scripts/with-nats installs"));
    }

    fn configuration(&self) -> PathBuf {
        self.folder.path().join("nats.conf")
    }

    /// Returns once it listens.
    fn wait(&self) {
        let started = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(started.elapsed() < PATIENCE, "NATS does not start");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn signal(&self, signal: &str) {
        let child = self.child.as_ref().expect("a running server").id().to_string();
        assert!(Command::new("kill").args([signal, &child]).status().expect("kill").success());
    }

    fn kill(&mut self) {
        let mut child = self.child.take().expect("a running server");
        child.kill().expect("killed");
        child.wait().expect("ended");
    }

    fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// The interface of JetStream, from outside of Eyeline.
    async fn jetstream(&self) -> jetstream::Context {
        jetstream::new(async_nats::connect(self.url()).await.expect("a connection"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.child.is_some() {
            self.kill();
        }
    }
}

/// A cluster of three.
fn cluster() -> Vec<Server> {
    let routes: [u16; 3] = ports();
    let all = routes.map(|port| format!("nats://127.0.0.1:{port}")).join(", ");
    let lines = |number: usize| {
        let listen = routes[number];
        format!("server_name: n{number}\ncluster {{ name: c, listen: 127.0.0.1:{listen}, routes: [ {all} ] }}")
    };
    let program = server("EYELINE_TEST_NATS_SERVER");
    let prepare = |number| Server::prepare(&program, "sync_interval: always", &lines(number));
    let mut servers: Vec<Server> = (0..3).map(prepare).collect();
    servers.iter_mut().for_each(Server::run);
    servers.iter().for_each(Server::wait);
    servers
}

/// Ports that are free now.
fn ports<const N: usize>() -> [u16; N] {
    let held = [(); N].map(|()| TcpListener::bind("127.0.0.1:0").expect("a port"));
    held.map(|listener| listener.local_addr().expect("an address").port())
}

async fn open(url: &str) -> Arc<dyn Inbox> {
    inbox::open(url).await.expect("an open inbox")
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let started = Instant::now();
    while !holds().await {
        assert!(started.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// All events of a partition.
async fn read(inbox: &dyn Inbox, partition: u32) -> Vec<(Offset, String)> {
    let (mut reached, mut read) = (Offset::START, Vec::new());
    loop {
        let deliveries = inbox.pull(partition, reached, 1_000).await.expect("a pull");
        let Some(last) = deliveries.last() else { return read };
        reached = last.offset;
        read.extend(
            deliveries
                .into_iter()
                .map(|delivery| (delivery.offset, String::from_utf8_lossy(&delivery.event).into_owned())),
        );
    }
}

/// The outcome of a call, which has to end in time.
async fn in_time<T>(call: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::time::timeout(CALL_MAX, call).await.expect("no call hangs")
}

fn is_away<T>(outcome: &Result<T>) -> bool {
    matches!(outcome, Err(Error::Unavailable { .. }))
}

/// Senders that append numbered events, one call after the other, until they are stopped.
struct Senders {
    acked: Arc<AtomicUsize>,
    refused: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
    tasks: Vec<tokio::task::JoinHandle<Vec<(u32, String)>>>,
}

const PARTITIONS: u32 = 2;

impl Senders {
    fn start(inbox: &Arc<dyn Inbox>) -> Self {
        let (acked, refused, stop) = <(Arc<AtomicUsize>, Arc<AtomicUsize>, Arc<AtomicBool>)>::default();
        let tasks = (0..4).map(|sender| {
            let (inbox, acked, refused, stop) = (inbox.clone(), acked.clone(), refused.clone(), stop.clone());
            tokio::spawn(async move {
                let mut promised = Vec::new();
                for call in 0.. {
                    if stop.load(Ordering::Acquire) {
                        break;
                    }
                    let partition = call % PARTITIONS;
                    let names: Vec<String> = (0..3).map(|part| format!("{sender} {call:06} {part}")).collect();
                    match in_time(inbox.append(&entries_of(partition, &names))).await {
                        Ok(()) => {
                            promised.extend(names.into_iter().map(|name| (partition, name)));
                            acked.fetch_add(1, Ordering::AcqRel);
                        }
                        Err(error) => {
                            assert!(error.is_retryable(), "{error:?}");
                            refused.fetch_add(1, Ordering::AcqRel);
                            tokio::time::sleep(Duration::from_millis(10)).await;
                        }
                    }
                }
                promised
            })
        });
        Senders { tasks: tasks.collect(), acked, refused, stop }
    }

    /// Waits until as many calls more have succeeded.
    async fn some_more_acked(&self, calls: usize) {
        let before = self.acked.load(Ordering::Acquire);
        until("appends succeed", async || self.acked.load(Ordering::Acquire) >= before + calls).await;
    }

    async fn one_refused(&self) {
        let before = self.refused.load(Ordering::Acquire);
        until("an append is refused", async || self.refused.load(Ordering::Acquire) > before).await;
    }

    /// Stops, and checks that what was acknowledged is there, once, and in order.
    async fn check(self, inbox: &dyn Inbox) {
        self.stop.store(true, Ordering::Release);
        let mut promised = Vec::new();
        for task in self.tasks {
            promised.extend(task.await.expect("no panic"));
        }
        for partition in 0..PARTITIONS {
            let read = read(inbox, partition).await;
            assert!(read.is_sorted_by(|one, next| one.0 < next.0), "offsets rise");
            let head = inbox.head(partition).await.expect("a head");
            assert_eq!(read.last().map(|last| last.0), Some(head));
            assert_eq!(inbox.waiting(partition, Offset::START).await.expect("a number"), read.len() as u64);
            let names: Vec<&String> = read.iter().map(|(_, name)| name).collect();
            for sender in 0..4 {
                let of_sender: Vec<&&String> =
                    names.iter().filter(|name| name.starts_with(&sender.to_string())).collect();
                assert!(of_sender.is_sorted_by(|one, next| one < next), "each once, in the order of the calls");
            }
            let promised = promised.iter().filter(|(of, _)| *of == partition).map(|(_, name)| name);
            let names: std::collections::HashSet<&String> = names.into_iter().collect();
            let lost: Vec<&String> = promised.filter(|name| !names.contains(name)).collect();
            assert!(lost.is_empty(), "{} acknowledged events are lost: {lost:?}", lost.len());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_over_five_kills_and_offsets_never_fall() {
    let mut server = Server::start();
    let url = new_in_nats(&server.url(), PARTITIONS);
    let inbox = open(&url).await;
    let senders = Senders::start(&inbox);
    let mut heads = [Offset::START; PARTITIONS as usize];
    for round in 0..5 {
        senders.some_more_acked(50).await;
        server.kill();
        if round == 2 {
            senders.one_refused().await;
        }
        server.run();
        senders.some_more_acked(1).await;
        for (partition, head) in (0..).zip(&mut heads) {
            let now = in_time(inbox.head(partition)).await.expect("a head");
            assert!(now >= *head, "{now} after {head}");
            *head = now;
        }
    }
    // A process that has seen nothing of it reads the same.
    let other = open(&url).await;
    senders.check(&*other).await;
    assert_eq!(read(&*inbox, 0).await, read(&*other, 0).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_loses_nothing_while_one_server_after_the_other_is_killed() {
    let mut servers = cluster();
    let hosts: Vec<String> = servers.iter().map(|server| format!("127.0.0.1:{}", server.port)).collect();
    let url = new_in_nats(&format!("nats://{}", hosts.join(",")), PARTITIONS);
    let inbox = open(&url).await;
    let senders = Senders::start(&inbox);
    for round in 0..5 {
        senders.some_more_acked(30).await;
        let server = &mut servers[round % 3];
        server.kill();
        senders.some_more_acked(10).await;
        server.run();
        // A majority has to be whole before the next one is killed.
        let page = format!("http://127.0.0.1:{}/healthz", server.monitor);
        until("the server is healthy", async || {
            Command::new("curl").args(["-fsS", "-o", "/dev/null", &page]).output().expect("curl").status.success()
        })
        .await;
    }
    let other = open(&url).await;
    senders.check(&*other).await;
    assert_eq!(read(&*inbox, 1).await, read(&*other, 1).await);
}

#[tokio::test]
async fn while_it_is_away_every_call_ends_in_bounded_time_and_then_all_goes_on() {
    let mut server = Server::start();
    let inbox = open(&new_in_nats(&server.url(), 1)).await;
    inbox.append(&entries(&["a"])).await.expect("durable");
    inbox.ping().await.expect("there");
    let head = inbox.head(0).await.expect("a head");
    server.kill();
    let lost = entries(&["lost"]);
    for _ in 0..3 {
        let (append, pull, newest, waiting, ping, forget) = tokio::join!(
            in_time(inbox.append(&lost)),
            in_time(inbox.pull(0, head, 1)),
            in_time(inbox.head(0)),
            in_time(inbox.waiting(0, Offset::START)),
            in_time(inbox.ping()),
            in_time(inbox.forget(0, head)),
        );
        assert!(is_away(&append) && is_away(&pull) && is_away(&newest), "{append:?} {pull:?} {newest:?}");
        assert!(is_away(&waiting) && is_away(&ping) && is_away(&forget), "{waiting:?} {ping:?} {forget:?}");
    }
    // After a while nobody waits any more.
    until("calls fail without waiting", async || {
        let started = Instant::now();
        let outcome = in_time(inbox.append(&entries(&["lost"]))).await;
        assert!(is_away(&outcome), "{outcome:?}");
        started.elapsed() < Duration::from_secs(1)
    })
    .await;
    server.run();
    until("it goes on", async || inbox.ping().await.is_ok()).await;
    inbox.append(&entries(&["b"])).await.expect("durable");
    let texts: Vec<String> = read(&*inbox, 0).await.into_iter().map(|(_, text)| text).collect();
    assert_eq!((texts.first().map(String::as_str), texts.last().map(String::as_str)), (Some("a"), Some("b")));
}

#[tokio::test]
async fn a_server_that_stands_still_costs_bounded_time() {
    let server = Server::start();
    let inbox = open(&new_in_nats(&server.url(), 1)).await;
    inbox.append(&entries(&["a"])).await.expect("durable");
    let head = inbox.head(0).await.expect("a head");
    server.signal("-STOP");
    until("calls are not answered", async || is_away(&in_time(inbox.ping()).await)).await;
    let sent = entries(&["b"]);
    let (append, pull, ping) =
        tokio::join!(in_time(inbox.append(&sent)), in_time(inbox.pull(0, head, 1)), in_time(inbox.ping()));
    assert!(is_away(&append) && is_away(&pull) && is_away(&ping), "{append:?} {pull:?} {ping:?}");
    server.signal("-CONT");
    until("it goes on", async || in_time(inbox.append(&entries(&["c"]))).await.is_ok()).await;
    let texts: Vec<String> = read(&*inbox, 0).await.into_iter().map(|(_, text)| text).collect();
    assert!(["a", "c"].iter().all(|text| texts.iter().filter(|read| read == text).count() >= 1), "{texts:?}");
    assert!(texts.iter().filter(|text| *text == "b").count() <= 1, "a message that was sent twice counts once");
}

#[tokio::test]
async fn an_event_within_a_message_is_found_after_a_restart() {
    let mut server = Server::start();
    let url = new_in_nats(&server.url(), 1);
    let inbox = open(&url).await;
    inbox.append(&entries(&["a", "b", "c", "d", "e"])).await.expect("durable");
    inbox.append(&entries(&["f"])).await.expect("durable");
    let two = inbox.pull(0, Offset::START, 2).await.expect("a pull");
    drop(inbox);
    server.kill();
    server.run();
    server.wait();
    let inbox = open(&url).await;
    let rest = inbox.pull(0, two[1].offset, 10).await.expect("a pull");
    let texts: Vec<&[u8]> = rest.iter().map(|delivery| &delivery.event[..]).collect();
    assert_eq!(texts, [b"c", b"d", b"e", b"f"]);
    assert_eq!(inbox.waiting(0, two[1].offset).await.expect("a number"), 4);
    // Nothing of the message is deleted while a part of it is needed.
    inbox.forget(0, two[1].offset).await.expect("room");
    assert_eq!(inbox.pull(0, two[1].offset, 10).await.expect("a pull"), rest);
}

#[tokio::test]
async fn a_reader_that_fell_behind_gets_what_is_left_from_any_point() {
    let server = Server::start();
    let url = new_in_nats(&server.url(), 1);
    let (writer, reader) = (open(&url).await, open(&url).await);
    for call in 0..40 {
        let texts: Vec<String> = (0..50).map(|part| format!("{call:02} {part:02}")).collect();
        let mut calls: Vec<_> = Vec::new();
        for part in texts.chunks(10) {
            calls.push(writer.append(&entries(part)).await);
        }
        assert!(calls.iter().all(Result::is_ok));
    }
    let all = read(&*reader, 0).await;
    assert_eq!(all.len(), 2_000);
    assert_eq!(all, read(&*writer, 0).await);
    writer.forget(0, all[999].0).await.expect("room");
    let late = open(&url).await;
    assert_eq!(read(&*late, 0).await, all[1_000..], "deleted events are passed over");
    for (offset, left) in [(Offset::START, 1_000), (all[500].0, 1_000), (all[999].0, 1_000), (all[1_500].0, 499)] {
        assert_eq!(late.waiting(0, offset).await.expect("a number"), left);
        let next = late.pull(0, offset, 1).await.expect("a pull");
        assert_eq!(next[0].offset, all[2_000 - left as usize].0);
    }
}

#[tokio::test]
async fn a_full_stream_refuses_until_there_is_room() {
    let server = Server::start();
    let url = new_in_nats(&server.url(), 1).replace("mb=64", "mb=2");
    let inbox = open(&url).await;
    let large = [Entry { partition: 0, event: vec![7; 400_000] }];
    let mut taken = 0;
    let refused = loop {
        match in_time(inbox.append(&large)).await {
            Ok(()) => taken += 1,
            Err(error) => break error,
        }
    };
    assert!((3..=6).contains(&taken), "{taken}");
    assert!(refused.is_retryable() && refused.to_string().contains("full"), "{refused}");
    let head = inbox.head(0).await.expect("a head");
    assert_eq!(inbox.pull(0, Offset::START, 10).await.expect("a pull").len(), taken, "nothing of it is kept");
    inbox.forget(0, head).await.expect("room");
    in_time(inbox.append(&large)).await.expect("there is room");
    assert!(inbox.head(0).await.expect("a head") > head);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_that_begin_at_the_same_time_have_one_inbox() {
    for (name, base) in
        [("one server", server("EYELINE_TEST_NATS_URL")), ("a cluster", server("EYELINE_TEST_NATS_CLUSTER_URL"))]
    {
        let url = new_in_nats(&base, 4);
        let opened = futures::future::join_all((0..6).map(|_| {
            let url = url.clone();
            tokio::spawn(async move { open(&url).await })
        }));
        let inboxes: Vec<Arc<dyn Inbox>> = opened.await.into_iter().map(|inbox| inbox.expect("no panic")).collect();
        for inbox in &inboxes {
            assert_eq!((inbox.id(), inbox.partitions()), (inboxes[0].id(), 4), "{name}");
            inbox.append(&entries_of(3, &["x"])).await.expect("durable");
        }
        assert_eq!(read(&*inboxes[0], 3).await.len(), 6);
        let other = inbox::open(&url.replace("partitions=4", "partitions=8")).await.err().expect("a refusal");
        assert!(other.to_string().contains("4 partitions"), "{other}");
        let same = open(&url.replace("&partitions=4", "")).await;
        assert_eq!(same.id(), inboxes[0].id());
    }
}

#[tokio::test]
async fn a_deleted_stream_is_told_and_not_made_again() {
    let server = Server::start();
    let url = new_in_nats(&server.url(), 2);
    let inbox = open(&url).await;
    for partition in 0..2 {
        inbox.append(&entries_of(partition, &["a", "b"])).await.expect("durable");
    }
    let (_, stream) = url.split_once("stream=").expect("a name");
    let (stream, _) = stream.split_once('&').expect("a name");
    let (first, second) = (format!("{stream}-0"), format!("{stream}-1"));
    server.jetstream().await.delete_stream(&second).await.expect("deleted");
    let append = in_time(inbox.append(&entries_of(1, &["c"]))).await.expect_err("no stream");
    let head = in_time(inbox.head(1)).await.expect_err("no stream");
    let again = inbox::open(&url).await.err().expect("a refusal");
    for error in [append, head, again] {
        assert!(error.to_string().contains(&second) && error.to_string().contains("deleted"), "{error}");
    }
    assert!(in_time(inbox.ping()).await.is_err());
    inbox.append(&entries_of(0, &["c"])).await.expect("the other one goes on");

    // All of them are deleted and made again, while the first process runs.
    server.jetstream().await.delete_stream(&first).await.expect("deleted");
    let new = open(&url).await;
    assert_ne!(new.id(), inbox.id());
    let append = in_time(inbox.append(&entries_of(0, &["stray"]))).await;
    assert!(is_away(&append), "{append:?}");
    assert_eq!(read(&*new, 0).await, []);
}

#[tokio::test]
async fn a_server_that_is_too_old_or_set_wrongly_is_refused_in_a_sentence() {
    let refusal = async |server: &Server| {
        let error = inbox::open(&new_in_nats(&server.url(), 1)).await.err().expect("a refusal");
        assert!(!error.is_retryable(), "{error:?}");
        error.to_string()
    };
    let old = Server::start_program(&server("EYELINE_TEST_NATS_OLD_SERVER"), "sync_interval: always", "");
    let sentence = refusal(&old).await;
    assert!(sentence.contains("2.12.2") && sentence.contains("2.12.3"), "{sentence}");
    let small = Server::start_with("sync_interval: always", "max_payload: 100KB");
    let sentence = refusal(&small).await;
    assert!(sentence.contains("max_payload"), "{sentence}");
    let full = Server::start_with("max_file_store: 1MB", "");
    let sentence = refusal(&full).await;
    assert!(sentence.contains("max_file_store") && sentence.contains("mb="), "{sentence}");
}

#[tokio::test]
async fn doctor_tells_whether_a_server_acknowledges_after_an_fsync() {
    for (lines, verdict) in [("sync_interval: always", Verdict::Holds), ("sync_interval: 2m", Verdict::Broken)] {
        let server = Server::start_with(lines, "");
        let url = format!("{}&monitor=http://127.0.0.1:{}", new_in_nats(&server.url(), 1), server.monitor);
        let before = checks::inbox(&url).await;
        assert!(before.iter().any(|check| check.name == "inbox.replicas" && check.verdict == Verdict::Noted));
        let inbox = open(&url).await;
        inbox.append(&entries(&["a"])).await.expect("durable");
        let found = checks::inbox(&url).await;
        let of = |name: &str| found.iter().find(|check| check.name == name).expect(name).verdict;
        assert_eq!(of("inbox.fsync"), verdict, "{found:?}");
        assert_eq!((of("inbox.version"), of("inbox.max_payload")), (Verdict::Holds, Verdict::Holds));
        assert_eq!(of("inbox.space"), Verdict::Holds);
        let (without, _) = url.split_once("&monitor").expect("a parameter");
        let found = checks::inbox(without).await;
        assert!(found.iter().any(|check| check.name == "inbox.fsync" && check.verdict == Verdict::Noted));
    }
    let away = checks::inbox("nats://127.0.0.1:1").await;
    assert!(away.iter().any(|check| check.name == "inbox.reachable" && check.verdict == Verdict::Broken));
}

#[tokio::test]
async fn credentials_are_checked_and_never_told() {
    let user = Server::start_with("sync_interval: always", "authorization { user: me, password: \"p@ss hush\" }");
    let token = Server::start_with("sync_interval: always", "authorization { token: hush }");
    for (server, right, wrong) in [(&user, "me:p%40ss%20hush", "me:hush1"), (&token, "hush", "hush1")] {
        let url = |credentials: &str| new_in_nats(&format!("nats://{credentials}@127.0.0.1:{}", server.port), 1);
        open(&url(right)).await.append(&entries(&["a"])).await.expect("durable");
        for url in [url(wrong), new_in_nats(&server.url(), 1)] {
            let error = inbox::open(&url).await.err().expect("a refusal").to_string();
            assert!(error.contains("credentials") && !error.contains("hush"), "{error}");
        }
    }
}
