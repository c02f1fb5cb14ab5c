//! Streams a catalogue file to the gallery's dataset.

use std::path::Path;

use futures::TryStreamExt as _;
use http::{HeaderMap, HeaderValue, header};
use serde_json::Value;
use tokio_util::io::ReaderStream;
use url::form_urlencoded;

use super::super::say;
use super::{Target, conclude};
use crate::cli::progress::bytes_bar;

/// The options for reading a catalogue, in the words of `POST /galleries/{gallery_id}/dataset`.
#[derive(clap::Args)]
pub(super) struct Feed {
    /// The fields that columns mean: google_merchant, shopify, woocommerce or COLUMN:FIELD,COLUMN:FIELD (docs/feeds.md)
    #[arg(long, value_name = "MAP")]
    map: Option<String>,
    /// The catalogue is complete: images of earlier catalogues that it lacks are removed from the gallery
    #[arg(long)]
    replace: bool,
    /// The encoding of a CSV file, such as windows-1252; UTF-8 unless stated
    #[arg(long, value_name = "NAME")]
    charset: Option<String>,
}

impl Feed {
    /// The parameters of the request.
    fn query(&self) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(self.map.iter().map(|map| ("map", map)));
        query.append_pair("replace", if self.replace { "true" } else { "false" });
        query.finish()
    }

    /// The headers of the request, by the extensions of the file name.
    fn headers(&self, file: &Path) -> Result<HeaderMap, String> {
        let name = file.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
        let (name, encoding) = match name.rsplit_once('.') {
            Some((name, "gz")) => (name, Some("gzip")),
            Some((name, "zst")) => (name, Some("zstd")),
            _ => (name.as_str(), None),
        };
        let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
        let content_type = match ending {
            "csv" | "txt" => "text/csv",
            "tsv" => "text/tab-separated-values",
            "ndjson" | "jsonl" => "application/x-ndjson",
            "json" => "application/json",
            _ => {
                let endings = ".csv, .tsv, .txt, .ndjson or .json";
                return Err(format!("{} is neither a folder nor a {endings} file", file.display()));
            }
        };
        let content_type = match &self.charset {
            None => content_type.to_owned(),
            Some(charset) if content_type.starts_with("text/") => format!("{content_type}; charset={charset}"),
            Some(_) => return Err(format!("{} is JSON, which is always UTF-8: leave --charset out", file.display())),
        };
        let content_type = HeaderValue::from_str(&content_type).map_err(|_| "--charset is no name".to_owned())?;
        let mut headers = HeaderMap::from_iter([(header::CONTENT_TYPE, content_type)]);
        headers.extend(encoding.map(|encoding| (header::CONTENT_ENCODING, HeaderValue::from_static(encoding))));
        Ok(headers)
    }
}

/// An open catalogue with its options.
pub(super) struct File {
    headers: HeaderMap,
    query: String,
    bytes: u64,
    file: tokio::fs::File,
}

/// Opens a catalogue. The extensions of its name state its format.
pub(super) async fn open(file: &Path, feed: &Feed) -> Result<File, String> {
    let headers = feed.headers(file)?;
    let unreadable = |error: std::io::Error| format!("{} cannot be read: {error}", file.display());
    let opened = tokio::fs::File::open(file).await.map_err(unreadable)?;
    let bytes = opened.metadata().await.map_err(unreadable)?.len();
    if bytes == 0 {
        return Err(format!("{} is empty", file.display()));
    }
    Ok(File { headers, query: feed.query(), bytes, file: opened })
}

pub(super) async fn import(target: &Target, catalogue: File) -> Result<(), String> {
    let File { headers, query, bytes, file } = catalogue;
    let bar = bytes_bar(bytes).with_message("catalogue");
    let progress = bar.clone();
    let pieces = ReaderStream::new(file).inspect_ok(move |piece| progress.inc(piece.len() as u64));
    let path = format!("/galleries/{}/dataset?{query}", target.gallery_id);
    let loaded = target.client.send_stream(&path, headers, reqwest::Body::wrap_stream(pieces)).await;
    bar.finish_and_clear();
    let loaded = loaded?;

    let number = |field: &str| loaded[field].as_u64().unwrap_or_default();
    let (created, updated, unchanged) = (number("created"), number("updated"), number("unchanged"));
    let (removed, rejected_count) = (number("removed"), number("rejected_count"));
    say(&format!(
        "{created} created, {updated} updated, {unchanged} unchanged, {removed} removed, {rejected_count} rejected"
    ));
    if let Some(sentence) = loaded["not_removed"].as_str() {
        say(sentence);
    }
    let rejected: Vec<String> = loaded["rejected"].as_array().into_iter().flatten().map(in_words).collect();
    conclude(&rejected, rejected_count, "rows")
}

fn in_words(rejected: &Value) -> String {
    let fields = rejected["errors"].as_object().into_iter().flatten().map(|(field, sentences)| {
        let sentences = sentences.as_array().into_iter().flatten().filter_map(Value::as_str).collect::<Vec<_>>();
        format!(" {field}: {}", sentences.join(" "))
    });
    format!("row {}:{}", rejected["row"], fields.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feed(charset: Option<&str>) -> Feed {
        Feed { map: Some("Image Src:url,a&b:name".to_owned()), replace: true, charset: charset.map(str::to_owned) }
    }

    #[test]
    fn a_files_name_tells_its_format_and_its_packing() {
        for (name, content_type, encoding) in [
            ("a.csv", "text/csv; charset=latin1", None),
            ("Feed.TXT", "text/csv; charset=latin1", None),
            ("a.b.tsv.gz", "text/tab-separated-values; charset=latin1", Some("gzip")),
            ("a.CSV.zst", "text/csv; charset=latin1", Some("zstd")),
        ] {
            let headers = feed(Some("latin1")).headers(Path::new(name)).expect(name);
            assert_eq!(headers[header::CONTENT_TYPE], content_type, "{name}");
            assert_eq!(headers.get(header::CONTENT_ENCODING).map(|value| value.to_str().expect("text")), encoding);
        }
        assert_eq!(
            feed(None).headers(Path::new("a.jsonl.gz")).expect("NDJSON")[header::CONTENT_TYPE],
            "application/x-ndjson"
        );
        assert_eq!(feed(None).headers(Path::new("a.json")).expect("JSON")[header::CONTENT_TYPE], "application/json");
        for name in ["a", "a.xml", "a.gz", ".csv.exe"] {
            assert!(feed(None).headers(Path::new(name)).is_err(), "{name}");
        }
        assert!(feed(Some("latin1")).headers(Path::new("a.json")).is_err());
        assert_eq!(feed(None).query(), "map=Image+Src%3Aurl%2Ca%26b%3Aname&replace=true");
    }
}
