//! HTTP: thin handlers over the flow and the catalog, one file a topic.

pub mod auth;
pub mod fields;
pub mod problem;

pub use auth::Credential;
pub use fields::Fields;
pub use problem::{Answer, Problem};
