//! Many events in one request, each with its own verdict.

use std::fmt;

use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use eyeline_core::{Envelope, FieldErrors, Timestamp};
use http::{HeaderMap, StatusCode};
use serde::de::{IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::source::Marks;
use super::{EncodingHeader, Kind, SentEvent, event_key, sender};
use crate::api::client_address::ClientAddress;
use crate::api::encoding::UTF8_MARK;
use crate::api::unpacked::Unpacked;
use crate::api::{Answer, Credential, Problem, allowance};
use crate::app::App;
use crate::flow::event::collect::{Receipt, event_id_of_key};

const BATCH_BYTES_MAX: usize = 5 * 1024 * 1024;
const BATCH_EVENTS_MAX: usize = 10_000;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(collect_batch))
}

#[derive(Serialize, ToSchema)]
#[schema(as = EventBatch)]
struct BatchAnswer {
    /// Durable, and counted exactly once from now on.
    accepted: usize,
    /// Sent before, or twice in this batch; nothing was changed.
    duplicates: usize,
    #[schema(max_items = 10_000)]
    rejected: Vec<Rejected>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = RejectedEvent)]
struct Rejected {
    /// The event's number in the batch, from 0. Empty lines do not count.
    index: usize,
    errors: FieldErrors,
}

/// The two forms of a batch in JSON.
#[derive(ToSchema)]
#[schema(as = NewEvents)]
#[serde(untagged)]
#[expect(dead_code, reason = "describes the body, which is read event by event")]
enum SentEvents {
    Batch(SentBatch),
    List(Vec<SentEvent>),
}

#[derive(ToSchema)]
#[schema(as = NewEventBatch)]
#[expect(dead_code, reason = "describes the body, which is read event by event")]
struct SentBatch {
    #[schema(max_items = 10_000)]
    events: Vec<SentEvent>,
}

/// Send many events
///
/// A JSON array, an object with `events`, or one event a line (NDJSON): at most 10,000 events and 5 MiB. Every event
/// gets its own verdict. The admin key has to name the application as well.
#[utoipa::path(
    post, path = "/api/v1/events/batch", operation_id = "create_events", tag = "events",
    request_body(
        content((SentEvents = "application/json"), (String = "application/x-ndjson"), (String = "text/plain")),
    ),
    params(
        ("Idempotency-Key" = Option<String>, Header, min_length = 1, max_length = 255,
            description = "Makes, with the index, the `event_id` of each event without one"),
        EncodingHeader,
    ),
    responses(
        (status = 200, body = BatchAnswer, description = "At least one event was accepted or is a duplicate."),
        (status = 400, body = BatchAnswer, description = "No event was accepted and none is a duplicate; or the request is malformed."),
        (status = 429, description = "The public credential has sent too many events; each KiB of a body counts as one."),
    ),
    security(
        ("application" = []), ("application_parameter" = []), ("key" = []), ("key" = [], "application" = []),
        ("key" = [], "application_parameter" = []), ("session" = [], "application" = []),
        ("session" = [], "application_parameter" = []),
    )
)]
async fn collect_batch(
    State(app): State<App>,
    credential: Credential,
    client: ClientAddress,
    request: Request,
) -> Answer<Response> {
    let sender = sender(&credential)?;
    let read = allowance::read_events::<BATCH_BYTES_MAX>(&app, &credential, client, request).await;
    let Unpacked { headers, body } = read?;
    let elements = Elements::of(&body, &headers);
    // A batch that is refused counts like another one.
    let events = elements.as_ref().map_or(1, |elements| elements.events.len());
    let rate_limit = allowance::take_events(&app, &credential, client, events, body.len())?;
    let key = event_key(&headers)?;
    let sent = elements?.read(app.clock.now())?;
    let mut rejected = Vec::new();
    let marks = Marks::new(&app, sender, &credential, client, &headers);
    let mut envelopes = Vec::with_capacity(sent.len());
    let mut indices = Vec::with_capacity(sent.len());
    for (index, parsed) in sent.into_iter().enumerate() {
        match parsed {
            Ok(mut envelope) => {
                marks.mark(&mut envelope);
                if let Some(key) = key {
                    let id = || event_id_of_key(sender.application_id, key, Some(index));
                    envelope.event_id.get_or_insert_with(id);
                }
                envelopes.push(envelope);
                indices.push(index);
            }
            Err(errors) => rejected.push(Rejected { index, errors }),
        }
    }
    let (mut accepted, mut duplicates) = (0, 0);
    for (index, receipt) in indices.into_iter().zip(app.collector.collect(sender, envelopes).await?) {
        match receipt {
            Receipt::Accepted(_) => accepted += 1,
            Receipt::Duplicate(_) => duplicates += 1,
            Receipt::Rejected(errors) => rejected.push(Rejected { index, errors }),
        }
    }
    rejected.sort_by_key(|rejected| rejected.index);
    let status = if accepted + duplicates == 0 { StatusCode::BAD_REQUEST } else { StatusCode::OK };
    let answer = BatchAnswer { accepted, duplicates, rejected };
    Ok((status, rate_limit, Json(answer)).into_response())
}

fn not_json(error: serde_json::Error) -> Problem {
    FieldErrors::one("", format!("The body is not JSON of events: {error}.")).into()
}

#[derive(Deserialize)]
struct SentObject<'a> {
    #[serde(borrow)]
    events: Option<Elements<'a>>,
}

/// The events of a batch as raw text, at most as many as it may have.
struct Elements<'a> {
    events: Vec<&'a [u8]>,
    too_many: bool,
}

impl<'a> Elements<'a> {
    /// Finds the events without reading them.
    fn of(body: &'a [u8], headers: &HeaderMap) -> Answer<Self> {
        let kind = Kind::of(headers).ok_or_else(|| {
            let sentence = "Events are sent as application/json, application/x-ndjson or text/plain.";
            Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, sentence)
        })?;
        match (kind, body.trim_ascii_start().first()) {
            (Kind::Json | Kind::Text, Some(b'[')) => serde_json::from_slice(body).map_err(not_json),
            (Kind::Json, _) => {
                let sent: SentObject<'_> = serde_json::from_slice(body).map_err(not_json)?;
                let mut errors = FieldErrors::new();
                errors.required("events");
                Ok(sent.events.ok_or(errors)?)
            }
            (Kind::Text, Some(b'{')) => match serde_json::from_slice(body) {
                Ok(SentObject { events: Some(elements) }) => Ok(elements),
                _ => Ok(Elements::of_lines(body)),
            },
            (Kind::Lines | Kind::Text, _) => Ok(Elements::of_lines(body)),
        }
    }

    fn of_lines(body: &'a [u8]) -> Self {
        // Each of several joined files has a byte order mark.
        let lines = body.split(|byte| *byte == b'\n').map(|line| line.strip_prefix(UTF8_MARK).unwrap_or(line));
        let mut lines = lines.map(<[u8]>::trim_ascii).filter(|line| !line.is_empty());
        let events = lines.by_ref().take(BATCH_EVENTS_MAX).collect();
        Elements { events, too_many: lines.next().is_some() }
    }

    /// Reads each event separately, so that an invalid one does not affect the others.
    fn read(self, now: Timestamp) -> Answer<Vec<Result<Envelope, FieldErrors>>> {
        if self.too_many {
            let sentence = format!("At most {BATCH_EVENTS_MAX} events are taken in one batch.");
            return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, sentence));
        }
        Ok(self.events.into_iter().map(|event| Envelope::parse(event, now)).collect())
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Elements<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(ElementsVisitor)
    }
}

struct ElementsVisitor;

impl<'de> Visitor<'de> for ElementsVisitor {
    type Value = Elements<'de>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an array of events")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Elements<'de>, A::Error> {
        let mut events = Vec::new();
        while events.len() < BATCH_EVENTS_MAX
            && let Some(event) = sequence.next_element::<&RawValue>()?
        {
            events.push(event.get().as_bytes());
        }
        let mut too_many = false;
        while sequence.next_element::<IgnoredAny>()?.is_some() {
            too_many = true;
        }
        Ok(Elements { events, too_many })
    }
}
