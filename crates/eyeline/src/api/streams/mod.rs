//! Live news of a project, over a WebSocket or as server-sent events.

mod deliver;

use std::time::Duration;

use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{FromRequestParts as _, Path, Request, State};
use axum::response::Response;
use eyeline_core::{ProjectId, Timestamp};
use http::request::Parts;
use http::{HeaderMap, StatusCode, Uri, header};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::accept::accepts;
use super::idempotency::IdempotencyKeyHeader;
use super::{Answer, Credential, Idempotency, Problem, Query, answer_once, auth};
use crate::app::App;
use crate::flow::notify::StreamMessage;
use crate::secrets::{new_key, sha256};
use deliver::Stream;

/// Lifetime of a ticket.
const TICKET_LIFETIME: Duration = Duration::from_secs(15 * 60);
/// The catalog stores sequence numbers as signed integers.
const SEQ_MAX: u64 = i64::MAX.unsigned_abs();

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(open_stream)).routes(routes!(create_stream_ticket))
}

/// The holder of a stream, whose credential is checked repeatedly.
enum Holder {
    /// The sender of the request.
    Sender { headers: HeaderMap, uri: Uri },
    /// The holder of the key, given by its hash, that the ticket was made with.
    Key([u8; 32]),
}

impl Holder {
    /// Fails once the credential is revoked or has ended.
    async fn check(&self, app: &App, project_id: ProjectId) -> Answer<()> {
        let credential = match self {
            Holder::Key(key_hash) => auth::by_key_hash(*key_hash, app).await?,
            Holder::Sender { headers, uri } => {
                let (mut parts, ()) = http::Request::new(()).into_parts();
                parts.headers = headers.clone();
                parts.uri = uri.clone();
                Credential::from_request_parts(&mut parts, app).await?
            }
        };
        credential.manage_project(app, project_id).await
    }
}

/// Open a project's live updates
///
/// A WebSocket, or with `Accept: text/event-stream` the same messages as server-sent events. Each message is a JSON
/// text. A piece of news has a `seq`. `{"type":"reset","seq":N}` says that older news is missing: read again what you
/// show, and continue from `N`. `gallery.order` has no `seq` and says that a gallery has a new order. Without `since`
/// the stream begins now. A browser cannot set a header here and sends a ticket.
#[utoipa::path(
    get, path = "/projects/{project_id}/stream", tag = "live updates",
    params(
        ("project_id" = ProjectId, Path),
        ("since" = Option<u64>, Query, description = "The last `seq` that you have; nothing after it is missed"),
        ("Last-Event-ID" = Option<u64>, Header, description = "The same, as browsers send it; it has priority over `since`"),
        ("ticket" = Option<String>, Query, max_length = 200, description = "In place of a credential"),
    ),
    responses(
        (status = 101, description = "The connection is a WebSocket now."),
        (status = 200, content_type = "text/event-stream", body = StreamMessage),
        (status = 426, description = "The request asks for neither of the two."),
    ),
    security(("key" = []), ("session" = []), ())
)]
async fn open_stream(
    State(app): State<App>,
    Path(project_id): Path<ProjectId>,
    mut query: Query,
    request: Request,
) -> Answer<Response> {
    let (mut parts, _) = request.into_parts();
    let since = query.integer("since", 0..=SEQ_MAX);
    let ticket = query.text("ticket", 200);
    let last_event_id = last_event_id(&parts.headers, &mut query);
    query.finish()?;
    let sender = Holder::Sender { headers: parts.headers.clone(), uri: parts.uri.clone() };
    if ticket.is_none() {
        sender.check(&app, project_id).await?;
    }
    let upgrade = if wants_events(&parts.headers) { None } else { Some(upgrade(&mut parts, &app).await?) };

    // This uses up the ticket, so no check that may refuse the request follows.
    let holder = match ticket {
        Some(ticket) => {
            let hash = sha256(ticket.as_bytes());
            let used = app.catalog.use_stream_ticket(hash, project_id, upgrade.is_some(), app.clock.now()).await?;
            let refused = || Problem::unauthorized("This ticket is unknown, or it was used, or it has expired.");
            Holder::Key(used.ok_or_else(refused)?)
        }
        None => sender,
    };
    if matches!(holder, Holder::Key(_)) {
        holder.check(&app, project_id).await?;
    }
    let listener = app.newsroom.listen(&app, project_id, last_event_id.or(since)).await?;
    let stream = Stream::new(app, listener, holder, project_id);
    Ok(match upgrade {
        Some(upgrade) => deliver::over_socket(upgrade, stream),
        None => deliver::as_events(stream),
    })
}

fn last_event_id(headers: &HeaderMap, query: &mut Query) -> Option<u64> {
    let sent = headers.get("last-event-id")?;
    let seq = sent.to_str().ok().and_then(|text| text.parse().ok()).filter(|seq| *seq <= SEQ_MAX);
    if seq.is_none() {
        query.error("Last-Event-ID", "This has to be the id of an event of this stream.");
    }
    seq
}

fn wants_events(headers: &HeaderMap) -> bool {
    !headers.contains_key(header::UPGRADE) && accepts(headers, "text/event-stream")
}

async fn upgrade(parts: &mut Parts, app: &App) -> Answer<WebSocketUpgrade> {
    WebSocketUpgrade::from_request_parts(parts, app).await.map_err(|_| {
        let detail = "This address takes a WebSocket (version 13), or a request with Accept: text/event-stream.";
        Problem::new(StatusCode::UPGRADE_REQUIRED, detail)
    })
}

#[derive(Serialize, ToSchema)]
struct StreamTicket {
    /// For `?ticket=` of the stream; absent in the answer to a repetition.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    ticket: Option<String>,
    expires_at: Timestamp,
    /// Always true, and present only in the answer to a repetition: the first answer had the ticket.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    secret_shown: Option<bool>,
}

/// Create a ticket for live updates
///
/// A ticket opens one WebSocket. For server-sent events it stays valid until it expires, since browsers reconnect with
/// the same address.
#[utoipa::path(
    post, path = "/projects/{project_id}/stream-tickets", tag = "live updates",
    params(("project_id" = ProjectId, Path), IdempotencyKeyHeader),
    responses((status = 201, body = StreamTicket))
)]
async fn create_stream_ticket(
    State(app): State<App>,
    credential: Credential,
    Path(project_id): Path<ProjectId>,
    once: Idempotency,
    headers: HeaderMap,
) -> Answer<Response> {
    credential.manage_project(&app, project_id).await?;
    let ticket = new_key("eyl_stream_");
    let expires_at = app.clock.now().plus(TICKET_LIFETIME);
    // A signed-in browser stands for the admin key.
    let key_hash = auth::sent_key_hash(&headers).unwrap_or(app.admin_key_hash);
    let not_again = move |_: &()| StreamTicket { ticket: None, expires_at, secret_shown: Some(true) };
    let repeatable = once.repeatable(&[], StatusCode::CREATED, not_again);
    let hash = sha256(ticket.as_bytes());
    let made = app.catalog.create_stream_ticket(hash, project_id, key_hash, expires_at, repeatable).await?;
    Ok(answer_once(made, StatusCode::CREATED, |()| StreamTicket {
        ticket: Some(ticket),
        expires_at,
        secret_shown: None,
    }))
}
