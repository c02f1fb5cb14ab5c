//! Drives the built binary from outside, on every set of engines: its command line, its HTTP and its sockets, nothing
//! else. What a test here asserts is what a user of the product could have seen.
//!
//! The helpers panic where a test would fail anyway, with the request and the answer in the message; the server's log
//! is printed when a test that owns it fails.

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

/// Runs each named `async fn(Server)` of the module as two tests, `sqlite::name` and `postgres::name`. A function that
/// is left out is dead code, which the lints refuse.
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
                super::$name($crate::Server::start($crate::Catalog::Postgres).await).await;
            })*
        }
    };
}
