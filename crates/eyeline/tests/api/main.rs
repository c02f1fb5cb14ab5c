//! The API on embedded engines, in process: one file a topic.

mod operations;
mod support;
