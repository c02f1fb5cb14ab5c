//! The product as users meet it: every behaviour on embedded engines, and on PostgreSQL with an inbox in NATS.
//!
//! Needs the built binary (`cargo build --release --bin eyeline`, or `EYELINE_BIN`), PostgreSQL's programs, and the NATS
//! in `EYELINE_TEST_NATS_URL`, which `scripts/with-nats` starts.

mod analytics;
mod backup;
mod command_line;
mod crash;
mod cuts;
mod datasets;
mod doctor;
mod events;
mod gc;
mod heif;
mod hostile;
mod installations;
mod order;
mod outage;
mod photos;
mod ranking;
mod requests;
mod seeds;
mod sql;
mod streams;
mod tenants;
mod uploads;
mod webp;
