//! Events: sent one by one or in batches, durable before the answer, never changed.

mod batch;
mod quarantine;
mod read;
mod source;

use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use eyeline_core::{ApplicationId, Envelope, Event, EventId, FieldErrors, SessionId, Timestamp};
use eyeline_store::Error;
use http::{HeaderMap, StatusCode, header};
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use self::source::Marks;
use super::allowance::{self, RateLimit};
use super::body::JSON;
use super::client_address::ClientAddress;
use super::unpacked::Unpacked;
use super::{Answer, Credential, Problem};
use crate::app::App;
use crate::flow::event::collect::{Receipt, Sender, event_id_of_key};
use crate::flow::event::receipt;

/// Bytes of one event with its envelope.
const EVENT_BYTES_MAX: usize = 128 * 1024;
const KEY_CHARS_MAX: usize = 255;
/// Usual bytes of an event's answer without its data.
const ANSWER_BYTES_USUAL: usize = 512;

/// The routes that receive events.
pub fn reception_routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(collect)).merge(batch::routes())
}

pub fn routes() -> OpenApiRouter<App> {
    read::routes().merge(quarantine::routes())
}

#[derive(Serialize, ToSchema)]
#[schema(as = Event)]
struct EventAnswer {
    event_id: EventId,
    application: ApplicationId,
    received_at: Timestamp,
    session_id: SessionId,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    visitor_id: Option<String>,
    category: String,
    name: String,
    #[schema(value_type = Object)]
    data: Box<RawValue>,
    timestamp: Timestamp,
    /// The version of the schema that the event is checked against; absent when its type has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    schema_version: Option<u32>,
}

impl TryFrom<Event> for EventAnswer {
    type Error = Problem;

    fn try_from(event: Event) -> Answer<Self> {
        let data = RawValue::from_string(event.data.into());
        Ok(EventAnswer {
            event_id: event.event_id,
            application: event.application_id,
            received_at: event.received_at,
            session_id: event.session_id,
            visitor_id: event.visitor_id,
            category: event.category,
            name: event.name,
            data: data.map_err(|error| Error::Corrupt(format!("the data of event {}: {error}", event.event_id)))?,
            timestamp: event.timestamp,
            schema_version: event.schema.map(|schema| schema.version),
        })
    }
}

/// The encodings that the body of events may have.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "describes a header, which is read by hand")]
struct EncodingHeader {
    /// The limit of the body's size holds for the decoded body too.
    #[param(rename = "Content-Encoding", inline)]
    content_encoding: Option<Encoding>,
}

#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(dead_code, reason = "describes the words of a header")]
enum Encoding {
    Gzip,
    Zstd,
    Identity,
}

/// An event as it is sent; unknown fields are ignored.
#[derive(ToSchema)]
#[schema(as = NewEvent, example = json!({
    "session_id": "e2085be5-9137-4e4e-80b5-f1ffddc25423", "category": "page interaction", "name": "pageview",
    "data": {"host": "www.example.com", "path": "/"}, "timestamp": "2021-01-01T09:15:27.243860Z",
}))]
#[expect(dead_code, reason = "describes the body; the envelope is parsed field by field to tell all errors at once")]
struct SentEvent {
    session_id: SessionId,
    #[schema(min_length = 1, max_length = 200)]
    category: String,
    #[schema(min_length = 1, max_length = 200)]
    name: String,
    #[schema(value_type = Object)]
    data: serde_json::Value,
    /// At most 24 hours ahead of the server's clock.
    timestamp: Timestamp,
    /// The sender's id for the event, with which it can be sent again without counting twice.
    event_id: Option<EventId>,
    #[schema(min_length = 1, max_length = 200)]
    visitor_id: Option<String>,
    /// The visitor of an event that a key sends, for galleries with a guard. It is stored as a salted hash of the
    /// network and the browser.
    client: Option<SentClient>,
    /// The place receipt of the gallery's item that was seen or clicked. With it, the strategy `interest` learns where
    /// the image was seen. An invalid one is ignored.
    #[schema(min_length = 1, max_length = 200)]
    place: Option<String>,
}

#[derive(ToSchema)]
#[schema(as = EventClient)]
#[expect(dead_code, reason = "describes a part of the body")]
struct SentClient {
    #[schema(example = "198.51.100.7")]
    ip: String,
    user_agent: Option<String>,
}

/// Send an event
///
/// After 201 the event is on stable storage and is counted exactly once. After 200 nothing changed: the answer shows
/// the first event with the same `event_id` or `Idempotency-Key`, but to the public credential only what it sent. The
/// admin key has to name the application as well.
#[utoipa::path(
    post, path = "/api/v1/events", operation_id = "create_event", tag = "events",
    request_body(content((SentEvent = "application/json"), (String = "text/plain"))),
    params(
        ("Idempotency-Key" = Option<String>, Header, min_length = 1, max_length = 255, description = "Makes the `event_id` of an event without one"),
        EncodingHeader,
    ),
    responses(
        (status = 201, body = EventAnswer, description = "The event is durable."),
        (status = 200, body = EventAnswer, description = "The event was sent before."),
        (status = 409, description = "The event was sent before and has been erased since."),
        (status = 429, description = "The public credential has sent too many events; each KiB of a body counts as one."),
    ),
    security(
        ("application" = []), ("application_parameter" = []), ("key" = []), ("key" = [], "application" = []),
        ("key" = [], "application_parameter" = []), ("session" = [], "application" = []),
        ("session" = [], "application_parameter" = []),
    )
)]
async fn collect(
    State(app): State<App>,
    credential: Credential,
    client: ClientAddress,
    request: Request,
) -> Answer<Response> {
    let sender = sender(&credential)?;
    let read = allowance::read_events::<EVENT_BYTES_MAX>(&app, &credential, client, request).await;
    let Unpacked { headers, body } = read?;
    let rate_limit = allowance::take_events(&app, &credential, client, 1, body.len())?;
    let key = event_key(&headers)?;
    if !matches!(Kind::of(&headers), Some(Kind::Json | Kind::Text)) {
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "An event is sent as application/json."));
    }
    let mut envelope = Envelope::parse(&body, app.clock.now())?;
    Marks::new(&app, sender, &credential, client, &headers).mark(&mut envelope);
    if let Some(key) = key {
        envelope.event_id.get_or_insert_with(|| event_id_of_key(sender.application_id, key, None));
    }
    let event_id = envelope.event_id;
    // Everybody may hold the public credential: it sees only what it sent itself.
    let is_public = matches!(credential, Credential::Application { .. });
    let own = is_public.then(|| envelope.clone());
    let receipts = app.collector.collect(sender, vec![envelope]).await?;
    let (status, event) = match receipts.into_iter().next() {
        Some(Receipt::Accepted(record)) => {
            let event = Event::decode(&record);
            (StatusCode::CREATED, event.ok_or_else(|| Error::Corrupt("an event cannot be read again".to_owned()))?)
        }
        Some(Receipt::Duplicate(first)) => {
            if let Some(own) = own {
                let (event_id, now) = (event_id.unwrap_or_else(|| app.clock.new_id()), app.clock.now());
                let event = own.into_event(event_id, true, sender.project_id, sender.application_id, now);
                return answer(StatusCode::OK, rate_limit, event);
            }
            let mut event = app.collector.first(&first).await?;
            if let (None, Some(event_id)) = (&event, event_id) {
                let (project_id, application_id) = (sender.project_id, sender.application_id);
                let found = receipt::of(&app.history, &app.catalog, Some(project_id), application_id, event_id).await?;
                event = found.map(|(event, _)| event);
            }
            let erased = "This event was accepted before, and it has since been erased, or dropped from quarantine.";
            (StatusCode::OK, event.ok_or_else(|| Problem::new(StatusCode::CONFLICT, erased))?)
        }
        Some(Receipt::Rejected(errors)) => return Err(errors.into()),
        None => return Err(Error::Corrupt("an event got no receipt".to_owned()).into()),
    };
    answer(status, rate_limit, event)
}

fn answer(status: StatusCode, rate_limit: RateLimit, event: Event) -> Answer<Response> {
    // The buffer is large enough from the start.
    let mut body = Vec::with_capacity(ANSWER_BYTES_USUAL + event.data.len());
    serde_json::to_writer(&mut body, &EventAnswer::try_from(event)?)
        .map_err(|error| Error::internal("an answer", error))?;
    Ok((status, rate_limit, [(header::CONTENT_TYPE, JSON)], body).into_response())
}

/// The sending application: that of the credential, or the one that the admin names.
fn sender(credential: &Credential) -> Answer<Sender> {
    match *credential {
        Credential::Key { application_id, project_id }
        | Credential::Application { application_id, project_id }
        | Credential::Admin { application: Some((application_id, project_id)) } => {
            Ok(Sender { application_id, project_id })
        }
        Credential::Admin { application: None } => {
            let sentence = "With the admin key, this header (or parameter) has to name an application: the sender.";
            Err(FieldErrors::one("application", sentence).into())
        }
        Credential::User { .. } => Err(Problem::forbidden("Events are sent by an application, not by a user.")),
    }
}

/// The `Idempotency-Key` of the request, if it has one.
fn event_key(headers: &HeaderMap) -> Answer<Option<&str>> {
    let Some(key) = headers.get("idempotency-key") else { return Ok(None) };
    let sane = |key: &&str| (1..=KEY_CHARS_MAX).contains(&key.len());
    key.to_str().ok().filter(sane).map(Some).ok_or_else(|| {
        let sentence = format!("This has to be 1 to {KEY_CHARS_MAX} printable ASCII characters.");
        FieldErrors::one("Idempotency-Key", sentence).into()
    })
}

/// The content type of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Json,
    Lines,
    /// Of a beacon, which cannot say more; or nothing was said.
    Text,
}

impl Kind {
    /// `None` for a kind that is not taken.
    fn of(headers: &HeaderMap) -> Option<Kind> {
        let Some(kind) = headers.get(header::CONTENT_TYPE) else { return Some(Kind::Text) };
        let kind = kind.to_str().ok()?.split(';').next()?.trim().to_ascii_lowercase();
        match kind.as_str() {
            "application/json" => Some(Kind::Json),
            "application/x-ndjson" | "application/ndjson" | "application/jsonl" => Some(Kind::Lines),
            "text/plain" | "" => Some(Kind::Text),
            _ => None,
        }
    }
}
