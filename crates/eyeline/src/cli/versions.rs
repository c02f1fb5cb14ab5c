//! `eyeline versions`.

use std::fs;
use std::path::{Path, PathBuf};

use eyeline_core::PRESETS;
use eyeline_image::{Limits, make_versions};

use super::say;

#[derive(clap::Args)]
#[command(after_help = "\
Example:
  eyeline versions beach.jpg logo.png --out versions
writes versions/beach-thumb.jpg, versions/beach-big_thumb.jpg and so on.")]
pub(super) struct Arguments {
    /// JPEG or PNG files
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The folder to write to; made when absent
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

/// A file that fails does not stop the others; the error names every one that did.
pub(super) fn run(arguments: &Arguments) -> Result<(), String> {
    let out = &arguments.out;
    fs::create_dir_all(out).map_err(|error| format!("{} cannot be made: {error}", out.display()))?;
    let failed = arguments.files.iter().filter_map(|file| {
        let why = write_versions(file, out).err()?;
        Some(format!("{}: {why}", file.display()))
    });
    let failed: Vec<String> = failed.collect();
    if failed.is_empty() { Ok(()) } else { Err(failed.join("\neyeline: ")) }
}

fn write_versions(file: &Path, out: &Path) -> Result<(), String> {
    let original = fs::read(file).map_err(|error| error.to_string())?;
    let made = make_versions(&original, &PRESETS, &Limits::default()).map_err(|error| error.to_string())?;
    let name = file.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    for version in &made.versions {
        let ending = if version.content_type == "image/png" { "png" } else { "jpg" };
        let path = out.join(format!("{name}-{}.{ending}", version.name));
        fs::write(&path, &version.bytes).map_err(|error| format!("{} cannot be written: {error}", path.display()))?;
        say(&format!("{}  {} x {}", path.display(), version.width, version.height));
    }
    Ok(())
}
