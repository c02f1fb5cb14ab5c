//! The product as users meet it: every behaviour on both catalogs.
//!
//! Needs the built binary (`cargo build --release --bin eyeline`, or `EYELINE_BIN`) and PostgreSQL's programs.

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
