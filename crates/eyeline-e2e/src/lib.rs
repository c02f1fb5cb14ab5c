//! Drives the built binary from outside on every set of engines, only through its command line, HTTP and sockets. A
//! test here asserts only what a user of the product could see.
//!
//! Helpers panic where a test would fail, with request and answer in the message. The server's log is printed if a test
//! that owns it fails.

pub mod animations;
pub mod api;
pub mod catalogues;
pub mod lake;
pub mod photos;
pub mod postgres;
pub mod power_cut;
pub mod processes;
pub mod project;
pub mod random;
pub mod server;
pub mod small_disk;
pub mod streams;
pub mod uploads;
pub mod visitors;

pub use api::{Answer, Api};
pub use project::Project;
pub use server::{Catalog, Server};

/// Runs each named `async fn(Server)` of the module as two tests, `sqlite::name` and, with its inbox in NATS,
/// `postgres::name`. A function that is not named is dead code, which the lints reject.
#[macro_export]
macro_rules! on_both_catalogs {
    ($($name:ident),* $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name($crate::Server::start($crate::Catalog::Sqlite).await).await;
            })*
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name($crate::Server::start($crate::Catalog::PostgresAndNats).await).await;
            })*
        }
    };
}
