//! The steps of the flow on embedded engines, without HTTP: one file a step.

mod events;
mod partitions;
mod quarantine;
