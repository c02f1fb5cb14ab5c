//! How an event is kept in the inbox: a byte that says which layout, then fixed fields, then texts with their lengths.
//!
//! A layout, once released, stays readable: a change gets the next number and a reader of its own.

use uuid::Uuid;

use super::Event;
use crate::{ApplicationId, EventId, ProjectId, SessionId, Timestamp};

const LAYOUT: u8 = 1;
const ID_GIVEN: u8 = 1;
const HAS_VISITOR: u8 = 2;

impl Event {
    /// The bytes that [`Event::decode`] reads.
    pub fn encode(&self) -> Vec<u8> {
        let visitor_id = self.visitor_id.as_deref().unwrap_or_default();
        let texts = [self.category.as_str(), self.name.as_str(), visitor_id, &self.data];
        let length = 98 + texts.iter().map(|text| text.len()).sum::<usize>();
        let mut bytes = Vec::with_capacity(length);
        let given = if self.id_given { ID_GIVEN } else { 0 };
        let visitor = if self.visitor_id.is_some() { HAS_VISITOR } else { 0 };
        bytes.extend([LAYOUT, given | visitor]);
        for id in [self.event_id.0, self.project_id.0, self.application_id.0, self.session_id.0] {
            bytes.extend(id.as_bytes());
        }
        bytes.extend(self.received_at.micros().to_le_bytes());
        bytes.extend(self.timestamp.micros().to_le_bytes());
        for text in texts {
            // The door's limits keep every text far below 4 GiB.
            bytes.extend(u32::try_from(text.len()).unwrap_or(u32::MAX).to_le_bytes());
            bytes.extend(text.as_bytes());
        }
        bytes
    }

    /// `None` for bytes that are no event of a layout known here.
    pub fn decode(bytes: &[u8]) -> Option<Event> {
        let mut reader = Reader(bytes);
        let [layout, flags] = reader.take()?;
        if layout != LAYOUT {
            return None;
        }
        let event_id = EventId(reader.id()?);
        let project_id = ProjectId(reader.id()?);
        let application_id = ApplicationId(reader.id()?);
        let session_id = SessionId(reader.id()?);
        let received_at = reader.timestamp()?;
        let timestamp = reader.timestamp()?;
        let category = reader.text()?.to_owned();
        let name = reader.text()?.to_owned();
        let visitor_id = Some(reader.text()?.to_owned()).filter(|_| flags & HAS_VISITOR != 0);
        let data = reader.text()?.into();
        let id_given = flags & ID_GIVEN != 0;
        reader.0.is_empty().then_some(Event {
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
        })
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }

    fn id(&mut self) -> Option<Uuid> {
        self.take().map(Uuid::from_bytes)
    }

    fn timestamp(&mut self) -> Option<Timestamp> {
        self.take().map(i64::from_le_bytes).map(Timestamp::from_micros)
    }

    fn text(&mut self) -> Option<&'a str> {
        let length = usize::try_from(u32::from_le_bytes(self.take()?)).ok()?;
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        std::str::from_utf8(taken).ok()
    }
}
