//! The steps of the flow on embedded engines, without HTTP, one file for each step.

mod events;
mod partitions;
mod quarantine;
