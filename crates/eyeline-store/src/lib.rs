//! Every engine that keeps something, behind few traits, with one suite they all pass.

pub mod cache;
pub mod catalog;
pub mod checks;
pub mod error;
pub mod inbox;
pub mod objects;
pub mod pubsub;
pub mod sql;

pub use cache::Cache;
pub use catalog::Catalog;
pub use checks::Check;
pub use error::{Error, Result};
pub use inbox::Inbox;
pub use objects::{ObjectKey, Objects};
pub use pubsub::PubSub;
