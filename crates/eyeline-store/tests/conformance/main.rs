//! The suite that every engine passes: one file a topic, each test run on every engine of its kind.

mod engines;
mod events;
mod galleries;
mod inbox;
mod jobs;
mod news;
mod projects;
mod objects;
mod sql;
mod user_uploads;
