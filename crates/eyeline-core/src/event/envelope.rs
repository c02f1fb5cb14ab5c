//! The envelope of an event: five fields that every event has, checked before it is accepted.

use std::net::IpAddr;
use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::data::{check_data, gallery_act, text, uuid};
use super::{Client, Event, GalleryAct, SchemaMark, Served, Source};
use crate::text::check_text;
use crate::{ApplicationId, EventId, FieldErrors, ProjectId, SessionId, Timestamp};

/// Characters of `category`, `name` and `visitor_id`.
pub const TEXT_CHARS_MAX: usize = 200;

/// Characters of `client.user_agent` that are used; they are enough to tell browsers apart.
const USER_AGENT_CHARS_MAX: usize = 1_000;

/// The maximum lead of a sender's clock over the server's.
const AHEAD_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// A valid event, as its sender wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    pub event_id: Option<EventId>,
    pub session_id: SessionId,
    pub visitor_id: Option<String>,
    pub category: String,
    pub name: String,
    /// A JSON object, byte for byte as sent.
    pub data: Box<str>,
    pub timestamp: Timestamp,
    /// Read from `data` when this is a gallery's view or click.
    pub act: Option<GalleryAct>,
    /// The visitor's network and browser, as the sender says.
    pub client: Option<Client>,
    /// The place receipt of the image, as the sender returns it.
    pub place: Option<String>,
    /// Added by the server on receipt: the source, the contents of a valid place receipt, and the schema of the type.
    pub source: Option<Source>,
    pub served: Option<Served>,
    pub schema: Option<SchemaMark>,
}

/// Every field as raw text, so that one invalid field does not hide another.
#[derive(Deserialize)]
struct Sent<'a> {
    #[serde(borrow)]
    event_id: Option<&'a RawValue>,
    #[serde(borrow)]
    session_id: Option<&'a RawValue>,
    #[serde(borrow)]
    visitor_id: Option<&'a RawValue>,
    #[serde(borrow)]
    category: Option<&'a RawValue>,
    #[serde(borrow)]
    name: Option<&'a RawValue>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    #[serde(borrow)]
    timestamp: Option<&'a RawValue>,
    #[serde(borrow)]
    client: Option<&'a RawValue>,
    #[serde(borrow)]
    place: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct SentClient<'a> {
    #[serde(borrow)]
    ip: Option<&'a RawValue>,
    #[serde(borrow)]
    user_agent: Option<&'a RawValue>,
}

impl Envelope {
    /// Reads one JSON object. Unknown fields are ignored, `null` counts as absent. A `timestamp` more than 24 h after
    /// `now` is refused. The error names every invalid field.
    pub fn parse(json: &[u8], now: Timestamp) -> Result<Envelope, FieldErrors> {
        let whole = |sentence: String| FieldErrors::one("", sentence);
        if json.trim_ascii_start().first() != Some(&b'{') {
            return Err(whole("This has to be a JSON object.".to_owned()));
        }
        let sent: Sent<'_> =
            serde_json::from_slice(json).map_err(|error| whole(format!("This is not JSON: {error}.")))?;
        let mut reading = Reading::default();
        let event_id = reading.uuid("event_id", sent.event_id).map(EventId);
        let session_id = reading.required(Reading::uuid, "session_id", sent.session_id).map(SessionId);
        let visitor_id = reading.text("visitor_id", sent.visitor_id);
        let category = reading.required(Reading::text, "category", sent.category);
        let name = reading.required(Reading::text, "name", sent.name);
        let data = reading.required(Reading::object, "data", sent.data);
        let timestamp = reading.required(Reading::timestamp, "timestamp", sent.timestamp);
        if timestamp.is_some_and(|timestamp| timestamp > now.plus(AHEAD_MAX)) {
            reading.errors.add("timestamp", "This is more than 24 hours ahead of the server's clock.");
        }
        let client = sent.client.and_then(|sent| reading.client(sent));
        let place = reading.text("place", sent.place);
        let mut act = None;
        if let (Some(category), Some(name), Some(data)) = (&category, &name, &data) {
            match gallery_act(category, name, data) {
                Ok(read) => act = read,
                Err(errors) => reading.errors.merge(errors),
            }
        }
        let (Some(session_id), Some(category), Some(name), Some(data), Some(timestamp)) =
            (session_id, category, name, data, timestamp)
        else {
            return Err(reading.errors);
        };
        let (source, served, schema) = (None, None, None);
        reading.errors.or(Envelope {
            event_id,
            session_id,
            visitor_id,
            category,
            name,
            data,
            timestamp,
            act,
            client,
            place,
            source,
            served,
            schema,
        })
    }

    /// Events of one gallery share a partition, and so do the other events of one session.
    pub fn partition_key(&self) -> Uuid {
        self.act.as_ref().map_or(self.session_id.0, |act| act.gallery_id.0)
    }

    /// The event to store. `event_id` is the sender's, or one that the server made.
    pub fn into_event(
        self,
        event_id: EventId,
        id_given: bool,
        project_id: ProjectId,
        application_id: ApplicationId,
        received_at: Timestamp,
    ) -> Event {
        let Envelope { session_id, visitor_id, category, name, data, timestamp, source, served, schema, .. } = self;
        Event {
            event_id,
            id_given,
            project_id,
            application_id,
            received_at,
            session_id,
            visitor_id,
            category,
            name,
            data,
            timestamp,
            source,
            schema,
            served,
            replay: None,
        }
    }
}

/// Reads fields and collects their errors.
#[derive(Default)]
struct Reading {
    errors: FieldErrors,
}

impl Reading {
    fn required<'a, T>(
        &mut self,
        read: impl FnOnce(&mut Self, &str, Option<&'a RawValue>) -> Option<T>,
        field: &str,
        raw: Option<&'a RawValue>,
    ) -> Option<T> {
        if raw.is_none() {
            self.errors.required(field);
        }
        read(self, field, raw)
    }

    fn uuid(&mut self, field: &str, raw: Option<&RawValue>) -> Option<Uuid> {
        let read = uuid(raw?);
        if read.is_none() {
            self.errors.add(field, "This has to be a UUID.");
        }
        read
    }

    fn text(&mut self, field: &str, raw: Option<&RawValue>) -> Option<String> {
        let Some(read) = text(raw?) else {
            self.errors.add(field, "This has to be a text.");
            return None;
        };
        match check_text(&read, TEXT_CHARS_MAX) {
            Ok(()) => Some(read.into_owned()),
            Err(sentence) => {
                self.errors.add(field, sentence);
                None
            }
        }
    }

    fn object(&mut self, field: &str, raw: Option<&RawValue>) -> Option<Box<str>> {
        let json = raw?.get();
        match check_data(json) {
            Ok(()) => Some(json.into()),
            Err(sentence) => {
                self.errors.add(field, sentence);
                None
            }
        }
    }

    fn client(&mut self, raw: &RawValue) -> Option<Client> {
        let Ok(SentClient { ip, user_agent }) = serde_json::from_str(raw.get()) else {
            self.errors.add("client", "This has to be an object with ip and user_agent.");
            return None;
        };
        let address = ip.and_then(text).and_then(|text| text.parse::<IpAddr>().ok());
        if address.is_none() {
            self.errors.add("client.ip", "This has to be the visitor's IP address.");
        }
        let user_agent: Option<Option<String>> =
            user_agent.map(|raw| Some(text(raw)?.chars().take(USER_AGENT_CHARS_MAX).collect()));
        if user_agent == Some(None) {
            self.errors.add("client.user_agent", "This has to be a text.");
        }
        Some(Client { address: address?, user_agent: user_agent.flatten() })
    }

    fn timestamp(&mut self, field: &str, raw: Option<&RawValue>) -> Option<Timestamp> {
        let read = text(raw?).and_then(|text| Timestamp::parse(&text));
        if read.is_none() {
            self.errors.add(field, "This has to be a time such as 2021-01-01T09:15:27.243860Z.");
        }
        read
    }
}
