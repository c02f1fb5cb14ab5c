//! Eyeline in one binary: settings, wiring, HTTP, flow, workers, command line.
//!
//! `cli, api, workers -> app -> flow -> engines -> store`. A step of the flow never calls the next one: it stores a
//! record, which the next step finds.

pub mod api;
pub mod app;
pub mod background;
mod bodies;
pub mod cli;
pub mod clock;
mod compressors;
mod connections;
mod credentials;
mod data_folder;
pub mod engines;
mod file_name;
pub mod flow;
mod memory;
mod metrics;
mod patience;
mod rate_limits;
mod remembered;
pub mod secrets;
pub mod server;
pub mod settings;
mod shares;
pub mod supervisor;
mod walls;
mod web_address;
pub mod workers;
