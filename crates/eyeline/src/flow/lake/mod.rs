//! Events in lake files: write, merge, delete, recount and query them.

pub mod compact;
pub mod cut;
pub mod erase;
pub mod files;
pub mod flush;
pub mod history;
pub mod partitions;
pub mod rebuild;
mod recount;
mod shares;
pub mod sql_workers;
pub mod usage;
