//! The envelope of an event as its sender writes it, and the record that is made of it.
#![no_main]

use eyeline_core::event::{DATA_BYTES_MAX, TEXT_CHARS_MAX};
use eyeline_core::{ApplicationId, Envelope, Event, EventId, ProjectId, Timestamp};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use uuid::Uuid;

fuzz_target!(|json: &[u8]| {
    let now = Timestamp::from_micros(1_764_000_000_000_000);
    let envelope = match Envelope::parse(json, now) {
        Ok(envelope) => envelope,
        Err(errors) => {
            assert!(!errors.is_empty(), "refused without a reason");
            for (field, sentences) in errors.iter() {
                assert!(!field.is_empty() && sentences.iter().all(|sentence| sentence.ends_with('.')), "{errors:?}");
            }
            return;
        }
    };
    for text in [&envelope.category, &envelope.name].into_iter().chain(&envelope.visitor_id) {
        assert!((1..=TEXT_CHARS_MAX).contains(&text.chars().count()) && !text.contains('\0'), "{text:?}");
    }
    assert!(envelope.data.len() <= DATA_BYTES_MAX);
    let data: Value = serde_json::from_str(&envelope.data).expect("what is kept can be read by any JSON parser");
    assert!(data.is_object() && is_storable(&data), "{data}");
    // Both catalogs keep a time as it is shown.
    assert_eq!(Timestamp::parse(&envelope.timestamp.to_string()), Some(envelope.timestamp));

    let (act, id_given) = (envelope.act.clone(), envelope.event_id.is_some());
    let id = |number| Uuid::from_u128(number);
    let event_id = envelope.event_id.unwrap_or(EventId(id(1)));
    let event = envelope.into_event(event_id, id_given, ProjectId(id(2)), ApplicationId(id(3)), now);
    assert_eq!(event.gallery_act(), Ok(act), "the door and the ingestion read the same");
    assert_eq!(Event::decode(&event.encode()), Some(event), "what is kept is what was sent");
});

/// PostgreSQL keeps no U+0000 in any text.
fn is_storable(value: &Value) -> bool {
    match value {
        Value::String(text) => !text.contains('\0'),
        Value::Array(items) => items.iter().all(is_storable),
        Value::Object(fields) => fields.iter().all(|(name, value)| !name.contains('\0') && is_storable(value)),
        _ => true,
    }
}
