//! Listening to a project's news over a WebSocket, and like a browser's event source.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use eyeline::app::App;
use eyeline::flow::hints::{news_topic, order_topic};
use eyeline_core::{GalleryId, ImageId, ProjectId, Tier, Visibility};
use eyeline_store::ObjectKey;
use eyeline_store::catalog::idempotency::Once;
use eyeline_store::catalog::uploads::NewImage;
use eyeline_store::pubsub::BACKLOG_MAX;
use futures::{SinkExt as _, StreamExt as _};
use http::StatusCode;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::support::{ADMIN_KEY, CONTRACT, Server, Tenant, text};

const IN_TIME: Duration = Duration::from_secs(30);

impl Tenant {
    fn project(&self) -> ProjectId {
        self.project_id.parse().expect("an id")
    }

    fn stream(&self, query: &str) -> String {
        format!("/api/v1/projects/{}/stream{query}", self.project_id)
    }

    async fn ticket(&self, server: &Server) -> String {
        let path = format!("/api/v1/projects/{}/stream-tickets", self.project_id);
        let made = server.post(&path, &self.secret_key, &json!({})).await;
        assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
        text(&made.json(), "ticket")
    }
}

/// Adds `count` news without a hint. Returns the number of the last.
async fn make_unheard_news(app: &App, project_id: ProjectId, count: usize) -> u64 {
    let image = || NewImage {
        image_id: app.clock.new_id(),
        filename: "photo.jpg".to_owned(),
        stated_bytes: None,
        stated_sha256: None,
        stated_type: None,
        incoming_key: ObjectKey::incoming(),
        in_parts: None,
        link_expires_at: app.clock.now(),
        gallery_id: None,
        visibility: Visibility::Public,
        access_tier: Tier::Free,
        link: None,
        tags: vec![],
        metadata: "{}".to_owned(),
    };
    let images = (0..count).map(|_| image()).collect();
    let made = app.catalog.create_images(project_id, images, None, app.clock.now(), None).await;
    let Once::Done((_, hints)) = made.expect("images") else { panic!("a repetition without a key") };
    hints.news[0].1
}

async fn make_news(app: &App, project_id: ProjectId, count: usize) -> u64 {
    let seq = make_unheard_news(app, project_id, count).await;
    app.pubsub.publish(&news_topic(project_id), Bytes::from(seq.to_string())).await.expect("a hint");
    seq
}

struct Socket(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Socket {
    /// `Err` holds the status of the refusal.
    async fn open(address: SocketAddr, path: &str, key: &str) -> Result<Self, u16> {
        let mut request = format!("ws://{address}{path}").into_client_request().expect("a request");
        if !key.is_empty() {
            let value = format!("Bearer {key}").parse().expect("a header");
            request.headers_mut().insert("authorization", value);
        }
        match connect_async(request).await {
            Ok((socket, _)) => Ok(Socket(socket)),
            Err(Error::Http(response)) => Err(response.status().as_u16()),
            Err(error) => panic!("the handshake of {path}: {error}"),
        }
    }

    async fn frame(&mut self) -> Message {
        let frame = timeout(IN_TIME, self.0.next()).await.expect("a frame in time");
        frame.expect("an open connection").expect("a frame")
    }

    async fn next(&mut self) -> Value {
        loop {
            if let Message::Text(text) = self.frame().await {
                return CONTRACT.stream_message(&text);
            }
        }
    }

    async fn seqs(&mut self, count: usize) -> Vec<u64> {
        let mut seqs = Vec::with_capacity(count);
        while seqs.len() < count {
            seqs.push(self.next().await["seq"].as_u64().expect("a number"));
        }
        seqs
    }

    async fn closed(&mut self) -> CloseFrame {
        loop {
            if let Message::Close(frame) = self.frame().await {
                return frame.expect("a reason");
            }
        }
    }

    async fn expect_silence(&mut self, span: Duration) {
        if let Ok(heard) = timeout(span, self.next()).await {
            panic!("nothing was to be heard, but {heard}");
        }
    }
}

/// The events of an event source.
struct Events {
    response: reqwest::Response,
    text: String,
}

#[derive(Debug, PartialEq)]
struct Event {
    id: Option<String>,
    data: Option<Value>,
}

impl Events {
    async fn open(address: SocketAddr, path: &str, key: &str, last_event_id: Option<u64>) -> Result<Self, u16> {
        eyeline_store::tls::choose_provider();
        let client = reqwest::Client::builder().build().expect("a client");
        let mut request = client.get(format!("http://{address}{path}")).header("accept", "text/event-stream");
        if !key.is_empty() {
            request = request.bearer_auth(key);
        }
        if let Some(id) = last_event_id {
            request = request.header("last-event-id", id);
        }
        let response = request.send().await.expect("an answer");
        match response.status() {
            StatusCode::OK => Ok(Events { response, text: String::new() }),
            status => Err(status.as_u16()),
        }
    }

    /// The next event, without comments; `None` at the end.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
                let data = field("data").map(|data| CONTRACT.stream_message(data));
                let read = Event { id: field("id").map(str::to_owned), data };
                self.text = rest.to_owned();
                if read.id.is_some() || read.data.is_some() {
                    return Some(read);
                }
                continue;
            }
            let chunk = timeout(IN_TIME, self.response.chunk()).await.expect("a chunk in time").expect("a chunk")?;
            self.text += std::str::from_utf8(&chunk).expect("text");
        }
    }

    async fn ids(&mut self, count: usize) -> Vec<String> {
        let mut ids = Vec::with_capacity(count);
        while ids.len() < count {
            ids.push(self.next().await.expect("an open stream").id.expect("an id"));
        }
        ids
    }
}

#[tokio::test]
async fn a_listener_hears_what_happens_from_now_on_with_every_field_of_the_contract() {
    let server = Server::start().await;
    let address = server.listen().await;
    let tenant = server.tenant("shop").await;
    make_news(&server.app, tenant.project(), 3).await;
    let mut socket = Socket::open(address, &tenant.stream(""), &tenant.secret_key).await.expect("a stream");
    let mut admin = Socket::open(address, &tenant.stream(""), ADMIN_KEY).await.expect("the admin's stream");
    make_news(&server.app, tenant.project(), 1).await;

    let heard = socket.next().await;
    assert_eq!(heard["seq"], 4);
    assert_eq!(heard["type"], "image.state");
    assert_eq!(heard["project_id"], tenant.project_id);
    assert_eq!(heard["state"], "init");
    assert!(heard["image_id"].as_str().is_some_and(|id| id.parse::<ImageId>().is_ok()), "{heard}");
    assert!(heard["at"].as_str().is_some_and(|at| at.len() == 27 && at.ends_with('Z')), "{heard}");
    let none = json!({"original": null, "thumb": null, "big_thumb": null, "big_1920": null, "d2500": null});
    assert_eq!(heard["versions"], none);
    assert_eq!(admin.next().await, heard);
}

#[tokio::test]
async fn many_listeners_hear_a_burst_in_order_and_without_a_gap() {
    let server = Server::start().await;
    let address = server.listen().await;
    let tenant = server.tenant("shop").await;
    let open = (0..20).map(|_| Socket::open(address, tenant.stream("").leak(), &tenant.secret_key));
    let mut sockets: Vec<Socket> =
        futures::future::join_all(open).await.into_iter().map(|opened| opened.expect("a stream")).collect();
    let writers = (0..10).map(|_| async {
        for _ in 0..20 {
            make_news(&server.app, tenant.project(), 2).await;
        }
    });
    let expected: Vec<u64> = (1..=400).collect();
    let listening = futures::future::join_all(sockets.iter_mut().map(|socket| socket.seqs(400)));
    let (heard, _) = tokio::join!(listening, futures::future::join_all(writers));
    assert!(heard.iter().all(|heard| *heard == expected));
}

#[tokio::test]
async fn a_listener_that_comes_back_misses_nothing_and_goes_on_live() {
    let server = Server::start().await;
    let address = server.listen().await;
    let tenant = server.tenant("shop").await;
    make_news(&server.app, tenant.project(), 250).await;

    let mut socket = Socket::open(address, &tenant.stream("?since=3"), &tenant.secret_key).await.expect("a stream");
    assert_eq!(socket.seqs(247).await, (4..=250).collect::<Vec<u64>>());
    // A browser reconnects with its first address, so the id of its last event overrides `since`.
    let mut events =
        Events::open(address, &tenant.stream("?since=3"), &tenant.secret_key, Some(248)).await.expect("a stream");
    assert_eq!(events.ids(3).await, ["248", "249", "250"], "first of all where it stands");
    make_news(&server.app, tenant.project(), 1).await;
    assert_eq!(socket.seqs(1).await, [251]);
    assert_eq!(events.ids(1).await, ["251"]);
}

#[tokio::test]
async fn an_event_source_that_reconnects_before_the_first_news_knows_where_it_stood() {
    let server = Server::start().await;
    let address = server.listen().await;
    let tenant = server.tenant("shop").await;
    make_news(&server.app, tenant.project(), 2).await;
    let mut events = Events::open(address, &tenant.stream(""), &tenant.secret_key, None).await.expect("a stream");
    assert_eq!(events.response.headers()["content-type"], "text/event-stream");
    assert_eq!(events.next().await, Some(Event { id: Some("2".to_owned()), data: None }));
}

#[tokio::test]
async fn a_listener_is_told_to_start_over_when_it_is_ahead_or_away_for_too_long() {
    let server = Server::start().await;
    let address = server.listen().await;
    let tenant = server.tenant("shop").await;
    make_news(&server.app, tenant.project(), 5).await;

    let mut ahead = Socket::open(address, &tenant.stream("?since=1000"), &tenant.secret_key).await.expect("a stream");
    assert_eq!(ahead.next().await, json!({"type": "reset", "seq": 5}));

    let later = server.app.clock.now().plus(Duration::from_secs(1));
    server.app.catalog.forget_news(later, 2).await.expect("forgotten");
    let mut late = Socket::open(address, &tenant.stream("?since=0"), &tenant.secret_key).await.expect("a stream");
    assert_eq!(late.next().await, json!({"type": "reset", "seq": 5}));
    let mut in_time = Socket::open(address, &tenant.stream("?since=2"), &tenant.secret_key).await.expect("a stream");
    assert_eq!(in_time.seqs(3).await, [3, 4, 5]);

    make_news(&server.app, tenant.project(), 1).await;
    for socket in [&mut ahead, &mut late, &mut in_time] {
        assert_eq!(socket.seqs(1).await, [6]);
    }
}

#[tokio::test]
async fn news_whose_hint_was_lost_is_heard_all_the_same() {
    let server = Server::start().await;
    let address = server.listen().await;
    let tenant = server.tenant("shop").await;
    let mut socket = Socket::open(address, &tenant.stream(""), &tenant.secret_key).await.expect("a stream");
    make_unheard_news(&server.app, tenant.project(), 2).await;
    assert_eq!(socket.seqs(2).await, [1, 2]);
}

#[tokio::test]
async fn only_those_who_may_manage_a_project_listen_to_it() {
    let server = Server::start().await;
    let address = server.listen().await;
    let tenant = server.tenant("shop").await;
    let other = server.tenant("another shop").await;
    let refused = async |path: String, key: &str| {
        let over_socket = Socket::open(address, &path, key).await.err();
        assert_eq!(over_socket, Events::open(address, &path, key, None).await.err(), "both kinds of stream alike");
        over_socket
    };
    assert_eq!(refused(tenant.stream(""), "").await, Some(401));
    assert_eq!(refused(tenant.stream(""), "eyl_sk_unknown").await, Some(401));
    assert_eq!(refused(tenant.stream(""), &other.secret_key).await, Some(404));
    let public = format!("?application={}", tenant.application_id);
    assert_eq!(refused(tenant.stream(&public), "").await, Some(403));
    assert_eq!(refused(tenant.stream("?since=x"), &tenant.secret_key).await, Some(400));
    assert_eq!(
        refused("/api/v1/projects/00000000-0000-7000-8000-000000000000/stream".to_owned(), ADMIN_KEY).await,
        Some(404)
    );

    let foreign = format!("/api/v1/projects/{}/stream-tickets", tenant.project_id);
    assert_eq!(server.post(&foreign, &other.secret_key, &json!({})).await.status, StatusCode::NOT_FOUND);
    assert_eq!(server.post(&foreign, "", &json!({})).await.status, StatusCode::UNAUTHORIZED);
    let nowhere = "/api/v1/projects/00000000-0000-7000-8000-000000000000/stream-tickets";
    assert_eq!(server.post(nowhere, ADMIN_KEY, &json!({})).await.status, StatusCode::NOT_FOUND);
    assert_eq!(
        server.get(&tenant.stream(""), "").await.status,
        StatusCode::UNAUTHORIZED,
        "before it asks for a socket"
    );
    let neither = server.get(&tenant.stream(""), &tenant.secret_key).await;
    assert_eq!(neither.status, StatusCode::UPGRADE_REQUIRED, "{neither:?}");

    let mut hears = Socket::open(address, &other.stream(""), &other.secret_key).await.expect("its own stream");
    make_news(&server.app, tenant.project(), 1).await;
    hears.expect_silence(Duration::from_millis(300)).await;
}

#[tokio::test]
async fn a_ticket_opens_one_socket_of_its_own_project() {
    let server = Server::start().await;
    let address = server.listen().await;
    let tenant = server.tenant("shop").await;
    let other = server.tenant("another shop").await;
    let foreign = tenant.stream(&format!("?ticket={}", other.ticket(&server).await));
    assert_eq!(Socket::open(address, &foreign, "").await.err(), Some(401));

    let path = tenant.stream(&format!("?ticket={}", tenant.ticket(&server).await));
    assert_eq!(server.get(&path, "").await.status, StatusCode::UPGRADE_REQUIRED, "which uses nothing up");
    let mut socket = Socket::open(address, &path, "").await.expect("the first use");
    assert_eq!(Socket::open(address, &path, "").await.err(), Some(401), "the second");
    assert_eq!(Events::open(address, &path, "", None).await.err(), Some(401), "nor as another kind of stream");
    make_news(&server.app, tenant.project(), 1).await;
    assert_eq!(socket.seqs(1).await, [1]);

    let path = tenant.stream(&format!("?ticket={}", tenant.ticket(&server).await));
    server.app.clock.set(server.app.clock.now().plus(Duration::from_secs(15 * 60)));
    assert_eq!(Socket::open(address, &path, "").await.err(), Some(401), "it has expired");
}

#[tokio::test]
async fn a_ticket_serves_the_reconnects_of_an_event_source() {
    let server = Server::start().await;
    let address = server.listen().await;
    let tenant = server.tenant("shop").await;
    let path = tenant.stream(&format!("?ticket={}", tenant.ticket(&server).await));
    drop(Events::open(address, &path, "", None).await.expect("the first connection"));
    make_news(&server.app, tenant.project(), 2).await;
    let mut again = Events::open(address, &path, "", Some(0)).await.expect("the second");
    assert_eq!(again.ids(3).await, ["0", "1", "2"]);
    assert_eq!(Socket::open(address, &path, "").await.err(), Some(401), "it does not open a socket any more");
}

#[tokio::test]
async fn a_revoked_key_closes_its_streams_and_those_of_its_tickets() {
    let server = Server::start().await;
    let address = server.listen().await;
    let tenant = server.tenant("shop").await;
    let mut with_key = Socket::open(address, &tenant.stream(""), &tenant.secret_key).await.expect("a stream");
    let path = tenant.stream(&format!("?ticket={}", tenant.ticket(&server).await));
    let mut with_ticket = Socket::open(address, &path, "").await.expect("a stream");
    let mut events = Events::open(address, &tenant.stream(""), &tenant.secret_key, None).await.expect("a stream");
    let mut admin = Socket::open(address, &tenant.stream(""), ADMIN_KEY).await.expect("a stream");

    let began = Instant::now();
    let revoked = server.delete(&format!("/api/v1/applications/{}", tenant.application_id), ADMIN_KEY).await;
    assert!(revoked.status.is_success(), "{revoked:?}");
    for socket in [&mut with_key, &mut with_ticket] {
        assert_eq!(u16::from(socket.closed().await.code), 1008);
    }
    while events.next().await.is_some() {}
    assert!(began.elapsed() < Duration::from_secs(12), "after {:?}", began.elapsed());
    make_news(&server.app, tenant.project(), 1).await;
    assert_eq!(admin.seqs(1).await, [1], "others go on");
}

#[tokio::test]
async fn streams_end_when_the_server_stops_and_it_waits_until_they_have() {
    let server = Server::start().await;
    let address = server.listen().await;
    let tenant = server.tenant("shop").await;
    let mut socket = Socket::open(address, &tenant.stream(""), &tenant.secret_key).await.expect("a stream");
    let mut events = Events::open(address, &tenant.stream(""), &tenant.secret_key, None).await.expect("a stream");
    assert_eq!(events.ids(1).await, ["0"]);
    server.app.stop.cancel();
    timeout(IN_TIME, server.app.newsroom.emptied()).await.expect("nobody listens any more");
    assert_eq!(u16::from(socket.closed().await.code), 1001);
    assert_eq!(events.next().await, None);
}

#[tokio::test]
async fn a_client_that_says_goodbye_is_let_go() {
    let server = Server::start().await;
    let address = server.listen().await;
    let tenant = server.tenant("shop").await;
    let mut socket = Socket::open(address, &tenant.stream(""), &tenant.secret_key).await.expect("a stream");
    let events = Events::open(address, &tenant.stream(""), &tenant.secret_key, None).await.expect("a stream");
    socket.0.send(Message::text("nobody is interested")).await.expect("sent");
    socket.0.close(None).await.expect("closed");
    drop(events);
    timeout(IN_TIME, server.app.newsroom.emptied()).await.expect("nobody listens any more");
}

#[tokio::test]
async fn new_orders_are_told_without_a_number_and_at_most_once_a_second() {
    let server = Server::start().await;
    let address = server.listen().await;
    let tenant = server.tenant("shop").await;
    let gallery_id: GalleryId = server.app.clock.new_id();
    let mut socket = Socket::open(address, &tenant.stream(""), &tenant.secret_key).await.expect("a stream");
    let began = Instant::now();
    for _ in 0..10 {
        let message = Bytes::from(gallery_id.to_string());
        server.app.pubsub.publish(&order_topic(tenant.project()), message).await.expect("a hint");
    }
    let heard = socket.next().await;
    assert_eq!((&heard["type"], &heard["gallery_id"]), (&json!("gallery.order"), &json!(gallery_id)));
    assert_eq!(heard["project_id"], tenant.project_id);
    assert!(heard["at"].is_string() && heard["seq"].is_null(), "{heard}");
    assert_eq!(socket.next().await["gallery_id"], json!(gallery_id), "the last of them is not left out");
    assert!(began.elapsed() >= Duration::from_secs(1), "after {:?}", began.elapsed());
    socket.expect_silence(Duration::from_millis(1_500)).await;
}

#[tokio::test]
async fn a_listener_that_missed_hints_of_orders_hears_of_every_gallery() {
    let server = Server::start().await;
    let tenant = server.tenant("shop").await;
    let mut galleries = Vec::new();
    for name in ["hats", "shoes"] {
        let body = json!({"project_id": tenant.project_id, "name": name});
        let gallery = server.post("/api/v1/galleries", &tenant.secret_key, &body).await.json();
        galleries.push(text(&gallery, "gallery_id"));
    }
    let mut listener = server.app.newsroom.listen(&server.app, tenant.project(), None).await.expect("a listener");
    // More than its backlog holds; none of them names a gallery of the project.
    for _ in 0..=BACKLOG_MAX {
        let foreign = Bytes::from(GalleryId(server.app.clock.new_id()).to_string());
        server.app.pubsub.publish(&order_topic(tenant.project()), foreign).await.expect("heard");
    }
    let hearing = async {
        let mut heard = String::new();
        while !galleries.iter().all(|gallery_id| heard.contains(gallery_id.as_str())) {
            let messages = listener.next().await.expect("messages");
            messages.iter().for_each(|message| heard.push_str(message.text()));
        }
    };
    timeout(IN_TIME, hearing).await.expect("both galleries in time");
}
