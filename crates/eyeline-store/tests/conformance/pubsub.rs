//! The contract of every fan-out.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use eyeline_store::PubSub;
use eyeline_store::pubsub::{self, BACKLOG_MAX, Hint, MESSAGE_BYTES_MAX, TOPIC_BYTES_MAX};
use futures::stream::BoxStream;
use futures::{FutureExt as _, StreamExt as _};

use crate::shared_engines::{Row, new_installation, on_every_shared_engine};

async fn open(row: &Row) -> Arc<dyn PubSub> {
    pubsub::open(&row.url, &row.installation).await.expect("an open fan-out")
}

type Hints = BoxStream<'static, Hint>;

async fn listen(engine: &Arc<dyn PubSub>, topic: &str) -> Hints {
    engine.subscribe(topic).await.expect("a subscription")
}

/// The next message, which has to arrive soon. A listener may always be told that it missed some.
async fn heard(hints: &mut Hints) -> Bytes {
    loop {
        let hint = tokio::time::timeout(Duration::from_secs(30), hints.next()).await.expect("a hint in time");
        match hint.expect("a stream that goes on") {
            Hint::Message(message) => return message,
            Hint::Lagged => {}
        }
    }
}

/// The hints that have arrived, however many.
fn arrived(hints: &mut Hints) -> Vec<Hint> {
    std::iter::from_fn(|| tokio::task::unconstrained(hints.next()).now_or_never().flatten()).collect()
}

/// Messages that have arrived.
fn messages(hints: &mut Hints) -> Vec<Bytes> {
    let messages = arrived(hints).into_iter();
    messages.filter_map(|hint| if let Hint::Message(message) = hint { Some(message) } else { None }).collect()
}

#[tokio::test]
async fn own_listeners_have_a_message_of_any_bytes_when_publish_returns() {
    on_every_shared_engine(async |row| {
        let engine = open(&row).await;
        let (mut first, mut second) = (listen(&engine, "topic").await, listen(&engine, "topic").await);
        let mut elsewhere = listen(&engine, "topic 2").await;
        let largest: Bytes = (0..MESSAGE_BYTES_MAX).map(|index| (index % 256) as u8).collect();
        for message in [Bytes::new(), Bytes::from_static(b"\0\r\n\xff"), largest] {
            engine.publish("topic", message.clone()).await.expect("published");
            assert_eq!(messages(&mut first), [&message]);
            assert_eq!(messages(&mut second), [message]);
        }
        assert!(messages(&mut elsewhere).is_empty());
        assert!(messages(&mut listen(&engine, "topic").await).is_empty(), "what was published before is not heard");
    })
    .await;
}

#[tokio::test]
async fn own_messages_arrive_once() {
    on_every_shared_engine(async |row| {
        let (engine, other) = (open(&row).await, open(&row).await);
        let mut hints = listen(&engine, "topic").await;
        engine.publish("topic", Bytes::from_static(b"own")).await.expect("published");
        if row.is_shared {
            // It comes after what went through the engine before.
            other.publish("topic", Bytes::from_static(b"foreign")).await.expect("published");
            assert_eq!(heard(&mut hints).await, "own");
            assert_eq!(heard(&mut hints).await, "foreign");
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert!(messages(&mut hints).iter().all(|message| row.is_shared || message == "own"));
    })
    .await;
}

#[tokio::test]
async fn other_processes_of_the_installation_hear_it_in_order_and_no_other_installation() {
    on_every_shared_engine(async |row| {
        let (engine, other) = (open(&row).await, open(&row).await);
        let mut hints = listen(&other, "topic").await;
        let mut elsewhere = listen(&other, "elsewhere").await;
        let stranger = open(&Row { installation: new_installation(), url: row.url.clone(), ..row }).await;
        let mut of_stranger = listen(&stranger, "topic").await;
        let sent: Vec<String> = (0..BACKLOG_MAX / 2).map(|number| number.to_string()).collect();
        for message in &sent {
            engine.publish("topic", Bytes::from(message.clone())).await.expect("published");
        }
        if row.is_shared {
            for message in &sent {
                assert_eq!(heard(&mut hints).await, message);
            }
        }
        assert!(messages(&mut hints).is_empty());
        assert!(messages(&mut elsewhere).is_empty());
        assert!(messages(&mut of_stranger).is_empty());
    })
    .await;
}

#[tokio::test]
async fn a_slow_listener_is_told_that_it_missed_messages_and_hears_the_newest() {
    on_every_shared_engine(async |row| {
        let engine = open(&row).await;
        let mut hints = listen(&engine, "topic").await;
        for number in 0..BACKLOG_MAX * 3 {
            engine.publish("topic", Bytes::from(number.to_string())).await.expect("published");
        }
        let arrived = arrived(&mut hints);
        assert!(arrived.contains(&Hint::Lagged));
        assert!(arrived.len() <= BACKLOG_MAX + 1);
        assert_eq!(arrived.last(), Some(&Hint::Message(Bytes::from((BACKLOG_MAX * 3 - 1).to_string()))));
    })
    .await;
}

#[tokio::test]
async fn what_is_too_large_is_refused_and_reaches_nobody() {
    on_every_shared_engine(async |row| {
        let engine = open(&row).await;
        let mut hints = listen(&engine, "topic").await;
        engine.publish("topic", Bytes::from(vec![1; MESSAGE_BYTES_MAX + 1])).await.expect_err("too large");
        let longest = "t".repeat(TOPIC_BYTES_MAX);
        let mut of_longest = listen(&engine, &longest).await;
        engine.publish(&longest, Bytes::from_static(b"m")).await.expect("published");
        assert_eq!(heard(&mut of_longest).await, "m");
        let longer = "t".repeat(TOPIC_BYTES_MAX + 1);
        engine.publish(&longer, Bytes::new()).await.expect_err("too long");
        assert!(engine.subscribe(&longer).await.is_err(), "too long");
        assert!(messages(&mut hints).is_empty());
    })
    .await;
}

#[tokio::test]
async fn a_dropped_listener_hears_nothing_and_disturbs_nobody() {
    on_every_shared_engine(async |row| {
        let engine = open(&row).await;
        let mut kept = listen(&engine, "topic").await;
        for _ in 0..100 {
            drop(listen(&engine, "topic").await);
            drop(listen(&engine, "another").await);
        }
        engine.publish("another", Bytes::new()).await.expect("published");
        engine.publish("topic", Bytes::from_static(b"m")).await.expect("published");
        assert_eq!(messages(&mut kept), ["m"]);
        engine.ping().await.expect("an answer");
    })
    .await;
}
