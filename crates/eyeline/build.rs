//! Compresses the files of the web application and writes the table of them that `src/api/assets.rs` embeds.

use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use brotli::enc::BrotliEncoderParams;
use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest as _, Sha256};

/// The folders, each with the endings of the files that are served.
const SERVED: [(&str, &[&str]); 4] =
    [("", &["html"]), ("app", &["js", "css", "svg"]), ("bundle", &["js", "css", "txt"]), ("dist", &["js"])];

/// Bytes below which a compressed form saves nothing.
const COMPRESSED_MIN: usize = 1024;

fn main() -> Result<(), Box<dyn Error>> {
    let web = Path::new(&std::env::var("CARGO_MANIFEST_DIR")?).join("../../web").canonicalize()?;
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    let mut table = String::from("&[\n");
    for (folder, endings) in SERVED {
        let folder = web.join(folder);
        // A folder changes when a file is added or removed.
        writeln!(io::stdout(), "cargo::rerun-if-changed={}", folder.display())?;
        let mut files = fs::read_dir(&folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
        files.retain(|file| file.extension().is_some_and(|ending| endings.iter().any(|known| ending == *known)));
        files.sort();
        for file in files {
            writeln!(io::stdout(), "cargo::rerun-if-changed={}", file.display())?;
            let path = file.strip_prefix(&web)?.to_str().ok_or("a file name is not UTF-8")?;
            write_row(&mut table, &file, path, &out)?;
        }
    }
    table.push(']');
    Ok(fs::write(out.join("assets.rs"), table)?)
}

/// Writes the file's compressed forms to `out`, and a row that includes all forms.
fn write_row(table: &mut String, file: &Path, path: &str, out: &Path) -> Result<(), Box<dyn Error>> {
    let plain = fs::read(file)?;
    let tag: String = Sha256::digest(&plain)[..16].iter().map(|byte| format!("{byte:02x}")).collect();
    let form = |ending: &str, bytes: Vec<u8>| -> Result<String, Box<dyn Error>> {
        let target = out.join(format!("{}.{ending}", path.replace('/', "-")));
        fs::write(&target, bytes)?;
        Ok(format!("Some(include_bytes!({target:?}))"))
    };
    let (brotli, gzip) = if plain.len() < COMPRESSED_MIN {
        ("None".to_owned(), "None".to_owned())
    } else {
        (form("br", brotli(&plain)?)?, form("gz", gzip(&plain)?)?)
    };
    writeln!(table, "Asset {{")?;
    writeln!(table, "    path: {path:?}, tag: {:?},", format!("\"{tag}\""))?;
    writeln!(table, "    plain: include_bytes!({file:?}), brotli: {brotli}, gzip: {gzip},")?;
    Ok(writeln!(table, "}},")?)
}

fn brotli(plain: &[u8]) -> io::Result<Vec<u8>> {
    let parameters = BrotliEncoderParams { quality: 11, size_hint: plain.len(), ..Default::default() };
    let mut packed = Vec::new();
    brotli::BrotliCompress(&mut &*plain, &mut packed, &parameters)?;
    Ok(packed)
}

fn gzip(plain: &[u8]) -> io::Result<Vec<u8>> {
    let mut packing = GzEncoder::new(Vec::new(), Compression::best());
    packing.write_all(plain)?;
    packing.finish()
}
