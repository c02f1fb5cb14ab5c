//! The lake from outside: files of random events, and every query against a recount that does not use files.

mod files;
mod lists;
mod postgres;
mod questions;
mod sql;
mod sql_bounds;
mod sql_worker;
mod support;
