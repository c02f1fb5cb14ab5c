//! The suite of every engine: one file for each topic, and each test runs on every engine of its kind.
#![expect(
    clippy::disallowed_methods,
    reason = "what handlers ask through their own door is asked of the catalog itself"
)]

mod backup;
mod cache;
mod cuts;
mod engines;
mod event_types;
mod events;
mod experiments;
mod feeds;
mod galleries;
mod gallery_changes;
mod guard;
mod image_lists;
mod inbox;
mod inboxes;
mod jobs;
mod lake;
mod names;
mod nats_away;
mod news;
mod object_links;
mod objects;
mod orders;
mod orders_away;
mod partitions;
mod parts;
mod projects;
mod public_pages;
mod pubsub;
mod quarantine;
mod ranking_history;
mod redis_away;
mod rollups;
mod s3_away;
mod shared_engines;
mod sql;
mod stores;
mod upgrades;
mod user_uploads;
