//! The API on embedded engines, in process: one file a topic.

mod analytics;
mod applications;
mod cors;
mod credentials;
mod cuts;
mod dataset;
mod downloads;
mod event_types;
mod events;
mod galleries;
mod guard;
mod hostile;
mod idempotency;
mod images;
mod lake;
mod operations;
mod orders;
mod pages_of_the_server;
mod processing;
mod projects;
mod ranking;
mod session;
mod sql;
mod streams;
mod support;
mod uploads;
