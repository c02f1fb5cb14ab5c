//! The command line.

mod serve;

use std::path::Path;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::settings::Settings;

#[derive(Parser)]
#[command(name = "eyeline", version, about = "Photos in by link, galleries out in the order that visitors like.")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve the API, the page and the background work.
    Serve(serve::Arguments),
}

/// Runs the command that the process was started with. Errors are one sentence on stderr.
pub fn run() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = Settings::load(Path::new("eyeline.toml")).and_then(|settings| match arguments.command {
        Command::Serve(arguments) => serve::run(settings, arguments),
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("eyeline: {error}");
            ExitCode::FAILURE
        }
    }
}
