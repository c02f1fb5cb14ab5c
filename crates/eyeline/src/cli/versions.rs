//! `eyeline versions`.

use std::fs;
use std::path::{Path, PathBuf};

use clap::builder::{PossibleValuesParser, TypedValueParser};
use eyeline_core::{Preset, Webp};
use eyeline_image::Limits;
use eyeline_image::worker::{WorkerFailure, WorkerProcess};

use super::{WORKER_COMMAND, say};

#[derive(clap::Args)]
#[command(after_help = "\
Example:
  eyeline versions beach.jpg logo.png --out versions
writes versions/beach-thumb.jpg, versions/beach-big_thumb.jpg and so on; with --webp small also
versions/beach-thumb.webp and versions/beach-big_thumb.webp.")]
pub(super) struct Arguments {
    /// JPEG, PNG, WebP, GIF, HEIC or AVIF files
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The folder to write to; created if missing
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// WebP versions beside JPEG and PNG: off, small (thumb and big_thumb) or all
    #[arg(long, default_value = Webp::Off.as_str(), value_parser = webp_parser())]
    webp: Webp,
}

fn webp_parser() -> impl TypedValueParser<Value = Webp> {
    PossibleValuesParser::new(Webp::EVERY.map(Webp::as_str)).map(|text| Webp::parse(&text).unwrap_or_default())
}

/// A failed file does not stop the others. The error names every file that failed.
pub(super) fn run(arguments: &Arguments) -> Result<(), String> {
    let out = &arguments.out;
    fs::create_dir_all(out).map_err(|error| format!("{} cannot be created: {error}", out.display()))?;
    let program = std::env::current_exe().map_err(|error| format!("this program cannot be found: {error}"))?;
    let start = || {
        WorkerProcess::spawn(&program, &[WORKER_COMMAND])
            .map_err(|error| format!("the decoding process cannot be started: {error}"))
    };
    let presets = arguments.webp.presets();
    let mut worker = start()?;
    let mut failed = Vec::new();
    for file in &arguments.files {
        match write_versions(&mut worker, &presets, file, out) {
            Ok(()) => {}
            Err(Failure::File(why)) => failed.push(format!("{}: {why}", file.display())),
            Err(Failure::Worker(why)) => {
                failed.push(format!("{}: {why}", file.display()));
                worker = start()?;
            }
        }
    }
    if failed.is_empty() { Ok(()) } else { Err(failed.join("\neyeline: ")) }
}

enum Failure {
    /// The file or the folder is at fault.
    File(String),
    /// The worker died over the file.
    Worker(String),
}

fn write_versions(worker: &mut WorkerProcess, presets: &[Preset], file: &Path, out: &Path) -> Result<(), Failure> {
    let original = fs::read(file).map_err(|error| Failure::File(error.to_string()))?;
    let made = worker.make_versions(&original, presets, &Limits::default()).map_err(|failure| match failure {
        WorkerFailure::Refused(error) => Failure::File(error.to_string()),
        WorkerFailure::Gone(error) => Failure::Worker(error.to_string()),
    })?;
    let name = file.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    for version in &made.versions {
        let path = out.join(format!("{name}-{}.{}", version.name, version.extension()));
        fs::write(&path, &version.bytes)
            .map_err(|error| Failure::File(format!("{} cannot be written: {error}", path.display())))?;
        say(&format!("{}  {} x {}", path.display(), version.width, version.height));
    }
    Ok(())
}
