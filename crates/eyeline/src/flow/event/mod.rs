//! From a sent event to the counters: accept, judge, apply, quarantine, replay.

pub mod collect;
mod compiled;
pub mod event_types;
pub mod ingest;
pub mod judge;
pub mod receipt;
pub mod replay;
