//! The record of an event in the inbox, read from any bytes.
#![no_main]

use eyeline_core::Event;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|record: &[u8]| {
    let Some(event) = Event::decode(record) else { return };
    // Counts, or is set aside; it was checked at the door, but another program may have written it.
    let _either = event.gallery_act();
    let _shown = (event.timestamp.to_string(), event.received_at.to_string());
    assert_eq!(Event::decode(&event.encode()), Some(event), "what was read says the same again");
});
