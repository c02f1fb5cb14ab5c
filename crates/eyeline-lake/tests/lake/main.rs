//! The lake from outside: files of random events, and every question against a recount that knows nothing of files.

mod files;
mod lists;
mod postgres;
mod questions;
mod sql;
mod sql_bounds;
mod sql_worker;
mod support;
