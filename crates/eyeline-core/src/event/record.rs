//! The inbox format of an event: a layout byte, fixed fields, then texts with their lengths.
//!
//! A released layout stays readable: a change gets the next number and a reader of its own.

use uuid::Uuid;

use super::{Event, Replay, SchemaMark, Served, Source};
use crate::{ApplicationId, EventId, ProjectId, SessionId, Timestamp};

/// The layouts before schemas, sources and place receipts: the same without the fields of the later flags.
const LAYOUT_1: u8 = 1;
const LAYOUT_2: u8 = 2;
const LAYOUT_3: u8 = 3;
const LAYOUT: u8 = 4;
const ID_GIVEN: u8 = 1;
const HAS_VISITOR: u8 = 2;
const SCHEMA_CHECKED: u8 = 4;
/// After the times: the version of the schema.
const HAS_SCHEMA: u8 = 8;
/// Next: the position in quarantine and the time.
const IS_REPLAY: u8 = 16;
/// Next: the source.
const HAS_SOURCE: u8 = 32;
/// Next: the ordinal and the rank of a place receipt.
const HAS_PLACE: u8 = 64;

/// The fields that stand at the same place in every layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outline {
    pub event_id: EventId,
    pub project_id: ProjectId,
    pub application_id: ApplicationId,
    pub session_id: SessionId,
    pub received_at: Timestamp,
    pub timestamp: Timestamp,
}

impl Outline {
    /// Reads the outline of what [`Event::encode`] made, at a fraction of the cost of decoding. `None` for other bytes;
    /// bytes with an outline may still be no event.
    pub fn read(bytes: &[u8]) -> Option<Outline> {
        let mut reader = Reader(bytes);
        let [_layout, _flags] = reader.take()?;
        reader.outline()
    }
}

impl Event {
    pub fn outline(&self) -> Outline {
        Outline {
            event_id: self.event_id,
            project_id: self.project_id,
            application_id: self.application_id,
            session_id: self.session_id,
            received_at: self.received_at,
            timestamp: self.timestamp,
        }
    }

    /// Bytes that [`Event::decode`] reads.
    pub fn encode(&self) -> Vec<u8> {
        let visitor_id = self.visitor_id.as_deref().unwrap_or_default();
        let texts = [self.category.as_str(), self.name.as_str(), visitor_id, &self.data];
        let length = 140 + texts.iter().map(|text| text.len()).sum::<usize>();
        let mut bytes = Vec::with_capacity(length);
        bytes.extend([LAYOUT, self.flags()]);
        for id in [self.event_id.0, self.project_id.0, self.application_id.0, self.session_id.0] {
            bytes.extend(id.as_bytes());
        }
        bytes.extend(self.received_at.micros().to_le_bytes());
        bytes.extend(self.timestamp.micros().to_le_bytes());
        if let Some(schema) = self.schema {
            bytes.extend(schema.version.to_le_bytes());
        }
        if let Some(replay) = self.replay {
            bytes.extend(replay.partition.to_le_bytes());
            bytes.extend(replay.offset.to_le_bytes());
            bytes.extend(replay.at.micros().to_le_bytes());
        }
        if let Some(source) = self.source {
            bytes.extend(source.to_bits().to_le_bytes());
        }
        if let Some(served) = self.served {
            bytes.extend(served.ordinal.to_le_bytes());
            bytes.extend(served.rank.to_le_bytes());
        }
        for text in texts {
            // The limits on receipt keep every text far below 4 GiB.
            bytes.extend(u32::try_from(text.len()).unwrap_or(u32::MAX).to_le_bytes());
            bytes.extend(text.as_bytes());
        }
        bytes
    }

    fn flags(&self) -> u8 {
        let flag = |is_set: bool, flag: u8| if is_set { flag } else { 0 };
        flag(self.id_given, ID_GIVEN)
            | flag(self.visitor_id.is_some(), HAS_VISITOR)
            | flag(self.schema.is_some(), HAS_SCHEMA)
            | flag(self.schema.is_some_and(|schema| schema.checked), SCHEMA_CHECKED)
            | flag(self.replay.is_some(), IS_REPLAY)
            | flag(self.source.is_some(), HAS_SOURCE)
            | flag(self.served.is_some(), HAS_PLACE)
    }

    /// `None` for bytes of an unknown layout.
    pub fn decode(bytes: &[u8]) -> Option<Event> {
        let mut reader = Reader(bytes);
        let [layout, flags] = reader.take()?;
        let known = match layout {
            LAYOUT_1 => ID_GIVEN | HAS_VISITOR,
            LAYOUT_2 => ID_GIVEN | HAS_VISITOR | HAS_SCHEMA | SCHEMA_CHECKED | IS_REPLAY,
            LAYOUT_3 => ID_GIVEN | HAS_VISITOR | HAS_SCHEMA | SCHEMA_CHECKED | IS_REPLAY | HAS_SOURCE,
            LAYOUT => ID_GIVEN | HAS_VISITOR | HAS_SCHEMA | SCHEMA_CHECKED | IS_REPLAY | HAS_SOURCE | HAS_PLACE,
            _ => return None,
        };
        if flags & !known != 0 {
            return None;
        }
        let outline = reader.outline()?;
        let mut schema = None;
        if flags & HAS_SCHEMA != 0 {
            let version = u32::from_le_bytes(reader.take()?);
            schema = Some(SchemaMark { version, checked: flags & SCHEMA_CHECKED != 0 });
        }
        let mut replay = None;
        if flags & IS_REPLAY != 0 {
            let partition = u32::from_le_bytes(reader.take()?);
            let offset = i64::from_le_bytes(reader.take()?);
            replay = Some(Replay { partition, offset, at: reader.timestamp()? });
        }
        let mut source = None;
        if flags & HAS_SOURCE != 0 {
            source = Some(Source::from_bits(u64::from_le_bytes(reader.take()?)));
        }
        let mut served = None;
        if flags & HAS_PLACE != 0 {
            let ordinal = u32::from_le_bytes(reader.take()?);
            served = Some(Served { ordinal, rank: u16::from_le_bytes(reader.take()?) });
        }
        let category = reader.text()?.to_owned();
        let name = reader.text()?.to_owned();
        let visitor_id = Some(reader.text()?.to_owned()).filter(|_| flags & HAS_VISITOR != 0);
        let data = reader.text()?.into();
        let id_given = flags & ID_GIVEN != 0;
        reader.0.is_empty().then_some(Event {
            event_id: outline.event_id,
            id_given,
            project_id: outline.project_id,
            application_id: outline.application_id,
            received_at: outline.received_at,
            session_id: outline.session_id,
            visitor_id,
            category,
            name,
            data,
            timestamp: outline.timestamp,
            source,
            schema,
            served,
            replay,
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

    fn outline(&mut self) -> Option<Outline> {
        Some(Outline {
            event_id: EventId(self.id()?),
            project_id: ProjectId(self.id()?),
            application_id: ApplicationId(self.id()?),
            session_id: SessionId(self.id()?),
            received_at: self.timestamp()?,
            timestamp: self.timestamp()?,
        })
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
