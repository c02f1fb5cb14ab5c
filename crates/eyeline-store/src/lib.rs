//! The storage engines behind few traits, with one test suite for all of them.

pub mod backup;
pub mod cache;
pub mod catalog;
pub mod checks;
pub mod error;
pub mod inbox;
pub mod objects;
pub mod orders;
pub mod pubsub;
mod redis_client;
pub mod scheme;
pub mod sql;
pub mod tls;

pub use cache::Cache;
pub use catalog::Catalog;
pub use checks::Check;
pub use error::{Error, Result};
pub use inbox::Inbox;
pub use objects::{ObjectKey, ObjectLinks, Objects};
pub use orders::OrderRecords;
pub use pubsub::PubSub;
pub use redis_client::Installation;
pub use scheme::Scheme;
