//! The API on embedded engines, in process: one file a topic.

mod applications;
mod credentials;
mod dataset;
mod events;
mod galleries;
mod idempotency;
mod images;
mod operations;
mod projects;
mod session;
mod streams;
mod support;
