//! Orders in a Redis that is flushed, restarted or away: the processes that made them store them again.

use std::sync::Arc;

use eyeline_store::{Error, OrderRecords};

use crate::orders::{Place, at, key, pieces, read, record};
use crate::redis_away::{Server, until};
use crate::shared_engines::new_installation;

/// The bound of the records, in MiB.
const MEGABYTES: u32 = 64;

fn flush(server: &Server) {
    server.ask(&redis::cmd("FLUSHALL"));
}

async fn until_it_answers(records: &Arc<dyn OrderRecords>) {
    until("the records answer", async || records.asked().await.is_ok()).await;
}

async fn put(records: &Arc<dyn OrderRecords>, number: u64, second: u64) {
    let bytes = record(number, 700_000);
    records.put(key(number), at(second), pieces(&bytes)).await.expect("stored");
}

async fn bytes_of(records: &Arc<dyn OrderRecords>, number: u64) -> Option<Vec<u8>> {
    read(records, key(number)).await.map(|(bytes, _)| bytes)
}

#[tokio::test]
async fn a_flushed_redis_gets_the_records_of_every_process_again_also_after_its_restart() {
    let mut server = Server::new();
    server.start();
    let place = Place::at(server.url(), new_installation());
    let reader = place.open_as("a reader", MEGABYTES).await;
    until_it_answers(&reader).await;
    let mut makers = [place.open_as("one", MEGABYTES).await, place.open_as("other", MEGABYTES).await];
    for (number, maker) in makers.iter().enumerate() {
        put(maker, number as u64, 10).await;
    }
    for round in 1..=3 {
        flush(&server);
        for (number, maker) in makers.iter().enumerate() {
            let number = number as u64;
            assert_eq!(bytes_of(&reader, number).await, None, "round {round}");
            assert!(!reader.is_settled().await.expect("an answer"), "it may be restored");
            assert_eq!(bytes_of(maker, number).await, Some(record(number, 700_000)), "from the copy");
            assert!(maker.restore(at(100 + round)).await.expect("restored"));
            assert!(!maker.restore(at(100 + round)).await.expect("restored"), "once");
            assert_eq!(read(&reader, key(number)).await, Some((record(number, 700_000), at(100 + round))));
        }
        reader.sweep(at(0)).await.expect("swept");
        assert_eq!(reader.usage().records, 2);
        if round == 2 {
            flush(&server);
            makers = [place.open_as("one", MEGABYTES).await, place.open_as("other", MEGABYTES).await];
        }
    }
}

#[tokio::test]
async fn a_process_serves_its_own_records_while_redis_is_away_and_stores_them_once_it_is_back() {
    let mut server = Server::new();
    server.start();
    let place = Place::at(server.url(), new_installation());
    let (maker, reader) = (place.open_as("maker", MEGABYTES).await, place.open_as("reader", MEGABYTES).await);
    until_it_answers(&maker).await;
    until_it_answers(&reader).await;
    put(&maker, 1, 10).await;
    server.kill();
    until("its end is noticed", async || reader.asked().await.is_err() && maker.asked().await.is_err()).await;
    assert_eq!(bytes_of(&maker, 1).await, Some(record(1, 700_000)));
    assert!(maker.mark_served(key(1), at(11)).await.expect("noted in the copy"));
    let missed = reader.read(key(1), 0..10).await;
    assert!(matches!(missed, Err(Error::Unavailable { .. })), "no reader takes it for expired: {missed:?}");
    // Made while Redis is away.
    let bytes = record(2, 5_000);
    maker.put(key(2), at(12), pieces(&bytes)).await.expect_err("away");
    assert_eq!(bytes_of(&maker, 2).await, Some(bytes));

    server.start();
    until_it_answers(&maker).await;
    until_it_answers(&reader).await;
    assert!(maker.restore(at(20)).await.expect("restored"));
    assert_eq!(bytes_of(&reader, 1).await, Some(record(1, 700_000)));
    assert_eq!(bytes_of(&reader, 2).await, Some(record(2, 5_000)));
}

#[tokio::test]
async fn a_copy_is_kept_for_as_long_as_any_process_serves_its_record() {
    let mut server = Server::new();
    server.start();
    let place = Place::at(server.url(), new_installation());
    let (maker, reader) = (place.open_as("maker", MEGABYTES).await, place.open_as("reader", MEGABYTES).await);
    until_it_answers(&maker).await;
    until_it_answers(&reader).await;
    maker.restore(at(0)).await.expect("restored");
    put(&maker, 1, 10).await;
    put(&maker, 2, 10).await;
    assert!(reader.mark_served(key(1), at(900)).await.expect("noted"));
    maker.sweep(at(800)).await.expect("swept");
    flush(&server);
    assert!(maker.restore(at(1_000)).await.expect("restored"));
    assert_eq!(bytes_of(&reader, 1).await, Some(record(1, 700_000)));
    assert_eq!(bytes_of(&reader, 2).await, None, "nobody was served from it");
}
