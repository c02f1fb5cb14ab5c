//! The command line.

mod backup;
mod client;
mod config;
mod demo;
mod doctor;
mod gc;
mod import;
mod keys;
mod link;
mod migrate;
mod names;
mod progress;
mod rebuild;
mod restore;
mod serve;
mod shell;
mod simulate;
mod versions;

use std::future::Future;
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};

use crate::flow::lake::sql_workers::SQL_WORKER_COMMAND;
use crate::flow::photo::makers::WORKER_COMMAND;
use crate::settings::{Flags, Settings};

const EXAMPLES: &str = "\
Examples:
  eyeline serve                                  start with everything embedded, data in ./data
  EYELINE_LISTEN=0.0.0.0:80 eyeline serve        the same for the whole network
  eyeline demo                                   a gallery with simulated visitors, on a running server
  eyeline link                                   a fresh link that signs the operator's browser in
  eyeline keys create --project Shop --name web  an application with its keys
  eyeline import photos/ --project shop --gallery shoes
                                                 photos of a folder into a gallery
  eyeline versions beach.jpg --out versions      the versions of a local photo
  eyeline simulate --strategy interest           how well an order does with simulated visitors
  eyeline config show                            every setting, secrets masked
  eyeline doctor                                 which promises hold on this machine, and what to do
  eyeline backup /mnt/backup                     a copy of everything, beside the running server
  eyeline restore /mnt/backup --data restored    a data folder from such a copy
  eyeline gc --dry-run                           files that nothing refers to

Settings come from eyeline.toml, then .env, then EYELINE_* in the environment.";

#[derive(Parser)]
#[command(
    name = "eyeline",
    version,
    about = "A self-hosted image gallery that orders itself by what people look at.",
    after_help = EXAMPLES
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the server: the API, the web application and the background work
    Serve(serve::Arguments),
    /// Migrate the catalog to this version, as `serve` does
    Migrate,
    /// Show a gallery that improves while simulated visitors look at it, on a running server
    Demo(demo::Arguments),
    /// Print a fresh sign-in link for the web application of a running server
    Link,
    /// Create, rotate and revoke the keys of applications, on a running server
    #[command(subcommand)]
    Keys(keys::Command),
    /// Import a folder of photos or a catalogue into a gallery of a running server
    Import(import::Arguments),
    /// Check the settings, or show them
    #[command(subcommand)]
    Config(config::Command),
    /// Check this installation, and report which promises hold
    Doctor(doctor::Arguments),
    /// Make the versions of local photos, as the server does
    Versions(versions::Arguments),
    /// Copy an installation to a folder, beside its running server
    Backup(backup::Arguments),
    /// Fill an empty data folder from a backup
    Restore(restore::Arguments),
    /// Delete objects that no row of the catalog names, such as a kill leaves them
    Gc(gc::Arguments),
    /// Recount every event and compare the result with the catalog; the server has to be stopped
    Rebuild(rebuild::Arguments),
    /// Print the description of the HTTP API (OpenAPI 3.1), without a server
    Openapi,
    /// Simulate visitors of a ranking, and report its clicks as a share of an oracle's
    Simulate(simulate::Arguments),
    /// Print the completion script for a shell
    Completions(shell::Completions),
    /// Write the manual pages to a folder
    Man(shell::Manual),
    /// Decodes what its parent sends; started by the other commands
    #[command(name = WORKER_COMMAND, hide = true)]
    ImageWorker,
    /// Answers one query in SQL of its parent; started by the server
    #[command(name = SQL_WORKER_COMMAND, hide = true)]
    SqlWorker,
}

/// Runs the command of the process. An error is one sentence on stderr.
pub fn run() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = match arguments.command {
        Command::Serve(arguments) => settings_with(arguments.flags()).and_then(serve::run),
        Command::Migrate => settings().and_then(|settings| block_on(migrate::run(&settings))),
        Command::Keys(command) => settings().and_then(|settings| block_on(keys::run(&settings, command))),
        Command::Import(arguments) => settings().and_then(|settings| block_on(import::run(&settings, arguments))),
        Command::Config(command) => settings().and_then(|settings| config::run(&settings, &command)),
        Command::Doctor(arguments) => settings().and_then(|settings| block_on(doctor::run(&settings, &arguments))),
        Command::Versions(arguments) => versions::run(&arguments),
        Command::Backup(arguments) => settings().and_then(|settings| block_on(backup::run(&settings, &arguments))),
        Command::Restore(arguments) => settings().and_then(|settings| block_on(restore::run(&settings, arguments))),
        Command::Gc(arguments) => settings().and_then(|settings| block_on(gc::run(&settings, &arguments))),
        Command::Rebuild(arguments) => settings().and_then(|settings| block_on(rebuild::run(settings, &arguments))),
        Command::Openapi => settings().map(|settings| say(&crate::api::document(&settings.public_url()).to_string())),
        Command::Simulate(arguments) => simulate::run(&arguments),
        Command::Demo(arguments) => settings().and_then(|settings| block_on(demo::run(&settings, &arguments))),
        Command::Link => settings().and_then(|settings| block_on(link::run(&settings))),
        Command::Completions(arguments) => {
            shell::completions(&arguments, Arguments::command());
            Ok(())
        }
        Command::Man(arguments) => shell::manual(&arguments, Arguments::command()),
        // No thread runs yet, so none stays unconfined.
        Command::ImageWorker => return eyeline_image::worker::run(),
        Command::SqlWorker => return eyeline_lake::sql_worker::run(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("eyeline: {error}");
            ExitCode::FAILURE
        }
    }
}

fn settings() -> Result<Settings, String> {
    settings_with(Flags::default())
}

fn settings_with(flags: Flags) -> Result<Settings, String> {
    Settings::load(Path::new("eyeline.toml"), flags)
}

/// Runs an asynchronous command.
fn block_on<T>(work: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.map_err(|error| format!("the runtime cannot be started: {error}"))?.block_on(work)
}

/// Writes a command's output to stdout. Ignores a closed pipe.
fn say(text: &str) {
    let _reader_may_be_gone = writeln!(std::io::stdout(), "{text}");
}
