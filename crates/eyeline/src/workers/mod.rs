//! Background tasks of a process. They call the flow, hold no rule of their own, and belong to the supervisor.

pub mod clear;
pub mod flush;
pub mod forget;
pub mod ingest;
pub mod process;
pub mod rank;
pub mod sql;
pub mod sweep;

use futures::FutureExt as _;
use futures::future::BoxFuture;

use crate::app::App;
use crate::settings::Role::{self, Api, Ingest, Worker};
use crate::settings::Roles;
use crate::supervisor::Supervisor;

/// A loop that runs until `app.stop` is cancelled.
struct Task {
    name: &'static str,
    /// A process runs it if it has one of these roles.
    roles: &'static [Role],
    start: fn(App) -> BoxFuture<'static, Result<(), String>>,
}

static TASKS: [Task; 13] = [
    Task { name: "clear", roles: &[Worker], start: |app| clear::run(app).boxed() },
    Task { name: "process", roles: &[Worker], start: |app| process::run(app).boxed() },
    Task { name: "sweep", roles: &[Worker], start: |app| sweep::run(app).boxed() },
    Task { name: "forget", roles: &[Worker], start: |app| forget::run(app).boxed() },
    Task { name: "sql", roles: &[Api], start: |app| sql::run(app).boxed() },
    Task { name: "streams", roles: &[Api], start: |app| wait_for_streams(app).boxed() },
    // The owner of a gallery publishes its orders; a process that serves them notices changes.
    Task { name: "rank", roles: &[Api, Ingest], start: |app| rank::run(app.orders.clone(), app.stop.clone()).boxed() },
    Task { name: "ingest", roles: &[Ingest], start: |app| ingest::run(app.ingest.clone(), app.stop.clone()).boxed() },
    Task { name: "quarantine news", roles: &[Ingest], start: |app| ingest::tell_quarantined(app).boxed() },
    Task { name: "old events", roles: &[Ingest], start: |app| ingest::forget(app).boxed() },
    Task { name: "flush", roles: &[Ingest], start: |app| flush::run(app).boxed() },
    Task { name: "compact", roles: &[Ingest], start: |app| flush::compact(app).boxed() },
    Task { name: "erase and cut", roles: &[Ingest], start: |app| flush::erase_and_cut(app).boxed() },
];

/// Starts every task of the process's roles.
pub fn spawn(app: &App, supervisor: &mut Supervisor) {
    for task in tasks_of(&app.settings.roles) {
        supervisor.spawn(task.name, (task.start)(app.clone()));
    }
}

fn tasks_of(roles: &Roles) -> impl Iterator<Item = &'static Task> {
    TASKS.iter().filter(move |task| task.roles.iter().any(|role| roles.has(*role)))
}

/// Open streams end when the process stops. The process waits until all of them have ended.
async fn wait_for_streams(app: App) -> Result<(), String> {
    app.stop.cancelled().await;
    app.newsroom.emptied().await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(roles: &[Role]) -> Vec<&'static str> {
        tasks_of(&Roles::of(roles)).map(|task| task.name).collect()
    }

    #[test]
    fn processes_of_single_roles_do_together_what_one_process_does() {
        let all = names(&Role::ALL);
        assert_eq!(all.len(), TASKS.len());
        let mut apart: Vec<&str> = Role::ALL.iter().flat_map(|role| names(&[*role])).collect();
        apart.sort_unstable();
        apart.dedup();
        assert_eq!(apart.len(), all.len());
    }

    #[test]
    fn only_ingest_moves_watermarks_and_only_workers_take_jobs() {
        assert_eq!(names(&[Api]), ["sql", "streams", "rank"]);
        assert!(names(&[Worker]).contains(&"process") && !names(&[Worker]).contains(&"ingest"));
        assert!(names(&[Ingest]).contains(&"flush") && !names(&[Ingest]).contains(&"process"));
    }
}
