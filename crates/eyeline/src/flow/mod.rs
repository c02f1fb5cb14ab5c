//! The steps of the product. A step never calls the next one: it leaves a record.

pub mod admission;
pub mod change;
pub mod clear;
pub mod collect;
pub mod dataset;
pub mod event_types;
pub mod hints;
pub mod history;
pub mod ingest;
pub mod links;
pub mod makers;
pub mod notify;
pub mod page;
pub mod process;
pub mod rank;
pub mod rebuild;
pub mod receipt;
pub mod replay;
pub mod sweep;
pub mod upload;
pub mod user_upload;
pub mod versions;
pub mod why;
