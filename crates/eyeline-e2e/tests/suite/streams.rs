//! Live news: nothing is missed after a reconnect, and nothing reaches other projects.

use std::time::Duration;

use eyeline_e2e::photos;
use eyeline_e2e::streams::{ServerSentEvents, Socket, path};
use eyeline_e2e::uploads::{Stated, id, upload};
use eyeline_e2e::{Project, Server, on_both_catalogs};
use serde_json::{Value, json};

on_both_catalogs!(
    a_listener_that_comes_back_with_its_last_seq_misses_nothing,
    a_listener_without_a_seq_hears_only_what_comes_after,
    a_listener_from_the_future_is_told_to_read_again,
    a_ticket_opens_one_socket_of_its_own_project,
    a_ticket_serves_the_reconnects_of_an_event_source,
    projects_do_not_hear_each_other,
);

/// Uploads a small photo. Returns its news, heard on its own stream.
async fn make_news(project: &Project, comment: &str) -> Vec<Value> {
    let mut socket = Socket::open(&project.key, &path(&project.id, None)).await.expect("the stream");
    upload(project, Stated::Name, &photos::jpeg(100, 80).with_comment(comment)).await;
    socket.until_final(1).await
}

fn seqs(news: &[Value]) -> Vec<u64> {
    news.iter().filter_map(|message| message["seq"].as_u64()).collect()
}

async fn a_listener_that_comes_back_with_its_last_seq_misses_nothing(server: Server) {
    let project = Project::create(&server, "resume").await;
    let first = make_news(&project, "first").await;
    let last_seen = *seqs(&first).last().expect("news");
    let missed = make_news(&project, "while away").await;

    let mut socket = Socket::open(&project.key, &path(&project.id, Some(last_seen))).await.expect("the stream");
    assert_eq!(seqs(&socket.until_final(1).await), seqs(&missed), "over the socket");

    let stream = path(&project.id, None);
    let mut events = ServerSentEvents::open(&project.key, &stream, Some(last_seen)).await.expect("the stream");
    for seq in seqs(&missed) {
        assert_eq!(events.next().await["seq"], seq, "over server-sent events");
    }

    let live = make_news(&project, "live again").await;
    assert_eq!(seqs(&socket.until_final(1).await), seqs(&live), "the socket goes on live");
    assert_eq!(seqs(&live)[0], seqs(&missed).last().expect("news") + 1, "without a gap");
}

async fn a_listener_without_a_seq_hears_only_what_comes_after(server: Server) {
    let project = Project::create(&server, "from now on").await;
    let before = make_news(&project, "before").await;
    let mut socket = Socket::open(&project.key, &path(&project.id, None)).await.expect("the stream");
    socket.expect_silence(Duration::from_millis(500)).await;
    make_news(&project, "after").await;
    let heard = socket.until_final(1).await;
    assert_eq!(seqs(&heard)[0], seqs(&before).last().expect("news") + 1);
}

async fn a_listener_from_the_future_is_told_to_read_again(server: Server) {
    let project = Project::create(&server, "reset").await;
    let last = *seqs(&make_news(&project, "only").await).last().expect("news");
    let mut socket = Socket::open(&project.key, &path(&project.id, Some(last + 1_000))).await.expect("the stream");
    assert_eq!(socket.next().await, json!({"type": "reset", "seq": last}));
    let news = make_news(&project, "goes on").await;
    assert_eq!(seqs(&socket.until_final(1).await), seqs(&news));
}

async fn ticket(project: &Project) -> String {
    let path = format!("/projects/{}/stream-tickets", project.id);
    let ticket = project.key.post_nothing(&path).await.expect(201).json();
    assert!(ticket["expires_at"].is_string(), "{ticket}");
    id(&ticket, "ticket")
}

async fn a_ticket_opens_one_socket_of_its_own_project(server: Server) {
    let project = Project::create(&server, "tickets").await;
    let other = Project::create(&server, "another project").await;
    let visitor = server.admin.without_credential();

    let stream = format!("/projects/{}/stream", project.id);
    assert_eq!(Socket::open(&visitor, &stream).await.err(), Some(401), "without a ticket");
    let with_foreign = format!("{stream}?ticket={}", ticket(&other).await);
    assert_eq!(Socket::open(&visitor, &with_foreign).await.err(), Some(401), "with another project's ticket");

    let with_ticket = format!("{stream}?ticket={}", ticket(&project).await);
    let mut socket = Socket::open(&visitor, &with_ticket).await.expect("the ticket's first use");
    assert_eq!(Socket::open(&visitor, &with_ticket).await.err(), Some(401), "its second use");
    let news = make_news(&project, "heard with a ticket").await;
    assert_eq!(seqs(&socket.until_final(1).await), seqs(&news));
}

async fn a_ticket_serves_the_reconnects_of_an_event_source(server: Server) {
    let project = Project::create(&server, "event source").await;
    let visitor = server.admin.without_credential();
    let stream = format!("/projects/{}/stream?ticket={}", project.id, ticket(&project).await);
    drop(ServerSentEvents::open(&visitor, &stream, None).await.expect("the first connection"));
    let news = make_news(&project, "while it reconnects").await;
    let before = seqs(&news)[0] - 1;
    let mut again = ServerSentEvents::open(&visitor, &stream, Some(before)).await.expect("the same address again");
    for seq in seqs(&news) {
        assert_eq!(again.next().await["seq"], seq);
    }
}

async fn projects_do_not_hear_each_other(server: Server) {
    let project = Project::create(&server, "speaks").await;
    let other = Project::create(&server, "listens").await;
    assert_eq!(Socket::open(&other.key, &path(&project.id, None)).await.err(), Some(404), "a foreign stream");
    let mut socket = Socket::open(&other.key, &path(&other.id, None)).await.expect("its own stream");
    make_news(&project, "not for others").await;
    socket.expect_silence(Duration::from_millis(500)).await;
}
