//! Completion scripts and manual pages.

use std::path::PathBuf;

use clap::Command;
use clap_complete::Shell;

/// `eyeline completions`.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  eyeline completions bash > ~/.local/share/bash-completion/completions/eyeline")]
pub(super) struct Completions {
    /// The shell that the script is for
    #[arg(value_enum)]
    shell: Shell,
}

/// `eyeline man`.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  eyeline man ~/.local/share/man/man1")]
pub(super) struct Manual {
    /// The folder that the pages are written to
    folder: PathBuf,
}

/// Prints the completion script.
pub(super) fn completions(arguments: &Completions, mut command: Command) {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut command, "eyeline", &mut script);
    super::say(String::from_utf8_lossy(&script).trim_end());
}

/// Writes a page for the program and one for each command.
pub(super) fn manual(arguments: &Manual, command: Command) -> Result<(), String> {
    let folder = &arguments.folder;
    let written = std::fs::create_dir_all(folder).and_then(|()| clap_mangen::generate_to(command, folder));
    written.map_err(|error| format!("the pages cannot be written to {}: {error}", folder.display()))
}
