//! A Redis that is killed, stopped, flushed or written to by others: it costs time and changes no answer.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use eyeline_store::pubsub::Hint;
use eyeline_store::{Cache, Error, Installation, PubSub, cache, pubsub};
use futures::StreamExt as _;
use futures::stream::BoxStream;

use crate::shared_engines::new_installation;

const MINUTE: Duration = Duration::from_secs(60);
/// Longer than any recovery takes, also beside heavy work.
const PATIENCE: Duration = Duration::from_secs(60);

/// A Redis of a test's own, whose port stays the same over restarts.
pub struct Server {
    port: u16,
    child: Option<Child>,
}

impl Server {
    /// A server that does not run yet.
    pub fn new() -> Self {
        let port = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port();
        Server { port, child: None }
    }

    pub fn start(&mut self) {
        let port = self.port.to_string();
        let mut command = Command::new("redis-server");
        command.args(["--port", &port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
        let child = command.stdout(Stdio::null()).spawn();
        self.child = Some(child.expect("redis-server, which scripts/install-deps test installs"));
    }

    fn signal(&self, signal: &str) {
        let child = self.child.as_ref().expect("a running server").id().to_string();
        assert!(Command::new("kill").args([signal, &child]).status().expect("kill").success());
    }

    pub fn kill(&mut self) {
        let mut child = self.child.take().expect("a running server");
        child.kill().expect("killed");
        child.wait().expect("ended");
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/2", self.port)
    }

    /// A command from outside of Eyeline, once the server answers.
    pub fn ask(&self, command: &redis::Cmd) -> redis::Value {
        let started = Instant::now();
        loop {
            let mut connection = redis::Client::open(self.url()).and_then(|client| client.get_connection());
            match connection.as_mut().map(|connection| command.query(connection)) {
                Ok(Ok(value)) => return value,
                wrong => assert!(started.elapsed() < PATIENCE, "no answer: {:?}", wrong.map(drop)),
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    async fn cache(&self, installation: &Installation) -> Arc<dyn Cache> {
        cache::open(&self.url(), installation).await.expect("a cache, also while it is away")
    }

    async fn pubsub(&self, installation: &Installation) -> Arc<dyn PubSub> {
        pubsub::open(&self.url(), installation).await.expect("a fan-out, also while it is away")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.child.is_some() {
            self.kill();
        }
    }
}

pub async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let started = Instant::now();
    while !holds().await {
        assert!(started.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn until_it_answers(cache: &Arc<dyn Cache>) {
    until("the cache answers", async || cache.ping().await.is_ok()).await;
}

fn is_unavailable<T>(outcome: &Result<T, Error>) -> bool {
    matches!(outcome, Err(Error::Unavailable { .. }))
}

#[tokio::test]
async fn a_cache_that_is_away_misses_and_comes_back_by_itself() {
    let mut server = Server::new();
    let cache = server.cache(&new_installation()).await;
    for round in 0..3 {
        let value = Bytes::from(format!("value {round}"));
        assert!(is_unavailable(&cache.get("key").await), "round {round}");
        assert!(is_unavailable(&cache.set("key", value.clone(), MINUTE).await));
        assert!(is_unavailable(&cache.ping().await));
        let started = Instant::now();
        for _ in 0..1_000 {
            assert!(cache.get("key").await.is_err());
        }
        assert!(started.elapsed() < PATIENCE / 2, "a thousand misses took {:?}", started.elapsed());

        server.start();
        until_it_answers(&cache).await;
        assert_eq!(cache.get("key").await.expect("an answer"), None, "a restarted server has lost it");
        cache.set("key", value.clone(), MINUTE).await.expect("set");
        assert_eq!(cache.get("key").await.expect("an answer"), Some(value));
        server.kill();
        until("its end is noticed", async || cache.get("key").await.is_err()).await;
    }
}

#[tokio::test]
async fn a_server_that_does_not_answer_costs_one_deadline_and_is_then_not_waited_for() {
    let mut server = Server::new();
    server.start();
    let cache = server.cache(&new_installation()).await;
    until_it_answers(&cache).await;
    server.signal("-STOP");
    // Far more than may be outstanding: most calls fail at once, and none waits for another.
    let started = Instant::now();
    let calls = (0..200).map(|number| {
        let (cache, key) = (cache.clone(), format!("key {number}"));
        async move { cache.set(&key, Bytes::from(vec![1; 1024 * 1024]), MINUTE).await }
    });
    let outcomes = futures::future::join_all(calls).await;
    assert!(outcomes.iter().all(is_unavailable));
    assert!(started.elapsed() < PATIENCE / 2, "{:?}", started.elapsed());
    for _ in 0..1_000 {
        assert!(cache.get("key").await.is_err());
    }
    assert!(started.elapsed() < PATIENCE / 2, "{:?}", started.elapsed());
    server.signal("-CONT");
    until_it_answers(&cache).await;
    cache.set("key", Bytes::from_static(b"value"), MINUTE).await.expect("set");
    assert_eq!(cache.get("key").await.expect("an answer").as_deref(), Some(&b"value"[..]));
}

#[tokio::test]
async fn a_flush_in_the_middle_only_empties_the_cache() {
    let mut server = Server::new();
    server.start();
    let cache = server.cache(&new_installation()).await;
    until_it_answers(&cache).await;
    for round in 0..3 {
        let value = Bytes::from(format!("value {round}"));
        cache.set("key", value.clone(), MINUTE).await.expect("set");
        assert_eq!(cache.get("key").await.expect("an answer"), Some(value));
        server.ask(&redis::cmd("FLUSHALL"));
        assert_eq!(cache.get("key").await.expect("an answer"), None);
    }
}

#[tokio::test]
async fn values_that_are_torn_foreign_or_of_another_type_are_misses_and_can_be_replaced() {
    let mut server = Server::new();
    server.start();
    let installation = new_installation();
    let cache = server.cache(&installation).await;
    until_it_answers(&cache).await;
    let value = Bytes::from_static(b"the value");
    let name = |key: &str| format!("eyeline:{}:{key}", installation.id.simple());
    let raw = |command: &str, key: &str, arguments: &[&[u8]]| {
        let mut command = redis::cmd(command);
        command.arg(name(key));
        for argument in arguments {
            command.arg(*argument);
        }
        server.ask(&command)
    };
    cache.set("key", value.clone(), MINUTE).await.expect("set");
    let redis::Value::BulkString(whole) = raw("GET", "key", &[]) else { panic!("the entry is not where it should be") };
    let mut changed = whole.clone();
    *changed.last_mut().expect("a byte") ^= 1;
    let long = [whole.clone(), vec![0; 3 * 1024 * 1024]].concat();
    for (what, damaged) in [
        ("cut", &whole[..whole.len() - 1]),
        ("cut within its seal", &whole[..5]),
        ("changed", &changed),
        ("with more behind it", &long),
        ("of somebody else", b"plain text"),
    ] {
        raw("SET", "key", &[damaged]);
        assert_eq!(cache.get("key").await.expect("an answer"), None, "{what}");
        cache.set("key", value.clone(), MINUTE).await.expect("set");
        assert_eq!(cache.get("key").await.expect("an answer"), Some(value.clone()), "after one that was {what}");
    }
    raw("SET", "other", &[&whole]);
    assert_eq!(cache.get("other").await.expect("an answer"), None, "the value of another key");
    raw("DEL", "key", &[]);
    raw("RPUSH", "key", &[b"a list"]);
    assert!(!matches!(cache.get("key").await, Ok(Some(_))), "of another type");
    cache.set("key", value.clone(), MINUTE).await.expect("set");
    assert_eq!(cache.get("key").await.expect("an answer"), Some(value));
}

#[tokio::test]
async fn a_refused_value_is_an_error_of_that_call_alone() {
    let mut server = Server::new();
    server.start();
    let cache = server.cache(&new_installation()).await;
    until_it_answers(&cache).await;
    cache.set("kept", Bytes::from_static(b"kept"), MINUTE).await.expect("set");
    // Without an eviction policy a full server refuses to write.
    server.ask(redis::cmd("CONFIG").arg("SET").arg("maxmemory").arg(1));
    let large = cache.set("key", Bytes::from(vec![1; 1000]), MINUTE);
    let (refused, read) = futures::join!(large, cache.get("kept"));
    assert!(is_unavailable(&refused), "{refused:?}");
    assert_eq!(read.expect("an answer").as_deref(), Some(&b"kept"[..]));
}

type Hints = BoxStream<'static, Hint>;

async fn until_heard(hints: &mut Hints, expected: &Hint) {
    let found = tokio::time::timeout(PATIENCE, async {
        while let Some(hint) = hints.next().await {
            if hint == *expected {
                return;
            }
        }
        panic!("the stream ended");
    });
    found.await.unwrap_or_else(|_| panic!("{expected:?} was not heard"));
}

fn message(text: &'static str) -> Hint {
    Hint::Message(Bytes::from_static(text.as_bytes()))
}

/// Publishes until the other process hears it: each of the two may find the server again at another moment.
async fn until_it_reaches(from: &Arc<dyn PubSub>, to: &mut Hints) {
    until("a hint reaches another process", async || {
        from.publish("topic", Bytes::from_static(b"reaches")).await.expect("published");
        let heard = tokio::time::timeout(Duration::from_millis(500), async {
            while to.next().await != Some(message("reaches")) {}
        });
        heard.await.is_ok()
    })
    .await;
}

#[tokio::test]
async fn hints_reach_the_own_process_while_the_server_is_away_and_all_listeners_look_once_it_is_back() {
    let mut server = Server::new();
    let installation = new_installation();
    let (one, other) = (server.pubsub(&installation).await, server.pubsub(&installation).await);
    let mut of_one = one.subscribe("topic").await.expect("a subscription");
    let mut of_other = other.subscribe("topic").await.expect("a subscription");
    let mut idle = other.subscribe("idle").await.expect("a subscription");
    for _ in 0..3 {
        one.publish("topic", Bytes::from_static(b"away")).await.expect("published");
        until_heard(&mut of_one, &message("away")).await;
        assert!(is_unavailable(&one.ping().await));
        server.start();
        until_heard(&mut of_other, &Hint::Lagged).await;
        until_heard(&mut idle, &Hint::Lagged).await;
        until_it_reaches(&one, &mut of_other).await;
        until_it_reaches(&other, &mut of_one).await;
        until("both say so", async || one.ping().await.is_ok() && other.ping().await.is_ok()).await;
        server.kill();
        until("the end is noticed", async || one.ping().await.is_err()).await;
    }
}

#[tokio::test]
async fn listeners_are_told_of_hints_that_only_the_publisher_could_not_send() {
    let mut server = Server::new();
    server.start();
    let installation = new_installation();
    let (one, other) = (server.pubsub(&installation).await, server.pubsub(&installation).await);
    let mut hints = other.subscribe("topic").await.expect("a subscription");
    until_it_reaches(&one, &mut hints).await;
    // Connections that listen stay.
    let mut lost = redis::cmd("CLIENT");
    lost.arg("KILL").arg("TYPE").arg("normal").arg("SKIPME").arg("yes");
    server.ask(&lost);
    one.publish("topic", Bytes::from_static(b"lost")).await.expect("published");
    until_heard(&mut hints, &Hint::Lagged).await;
    until_it_reaches(&one, &mut hints).await;
}

#[tokio::test]
async fn messages_of_others_on_the_channel_are_ignored() {
    let mut server = Server::new();
    server.start();
    let installation = new_installation();
    let engine = server.pubsub(&installation).await;
    until("it listens", async || engine.ping().await.is_ok()).await;
    let mut hints = engine.subscribe("topic").await.expect("a subscription");
    let channel = format!("eyeline:{}:hints", installation.id.simple());
    for forged in [&b""[..], b"text", &[0; 16], &[0; 40], &[255; 2_000]] {
        let reached = server.ask(redis::cmd("PUBLISH").arg(&channel).arg(forged));
        assert_eq!(reached, redis::Value::Int(1), "it is not on this channel");
    }
    engine.publish("topic", Bytes::from_static(b"own")).await.expect("published");
    until_heard(&mut hints, &message("own")).await;
}
