//! A catalogue file, streamed to the gallery's dataset.

use std::path::Path;

use futures::TryStreamExt as _;
use serde_json::Value;
use tokio_util::io::ReaderStream;

use super::super::say;
use super::{Target, bytes_bar, conclude};

pub(super) async fn import(target: &Target, file: &Path) -> Result<(), String> {
    let extension = file.extension().and_then(|extension| extension.to_str()).unwrap_or_default().to_ascii_lowercase();
    let content_type = match extension.as_str() {
        "csv" => "text/csv",
        "ndjson" | "jsonl" => "application/x-ndjson",
        "json" => "application/json",
        _ => return Err(format!("{} is neither a folder nor a .csv, .ndjson or .json file", file.display())),
    };
    let unreadable = |error: std::io::Error| format!("{} cannot be read: {error}", file.display());
    let opened = tokio::fs::File::open(file).await.map_err(unreadable)?;
    let bar = bytes_bar(opened.metadata().await.map_err(unreadable)?.len()).with_message("catalogue");
    let progress = bar.clone();
    let pieces = ReaderStream::new(opened).inspect_ok(move |piece| progress.inc(piece.len() as u64));
    let path = format!("/galleries/{}/dataset", target.gallery_id);
    let loaded = target.client.send_stream(&path, content_type, reqwest::Body::wrap_stream(pieces)).await;
    bar.finish_and_clear();
    let loaded = loaded?;

    let number = |field: &str| loaded[field].as_u64().unwrap_or_default();
    let (created, updated, unchanged) = (number("created"), number("updated"), number("unchanged"));
    say(&format!("{created} created, {updated} updated, {unchanged} unchanged, {} rejected", number("rejected_count")));
    let rejected: Vec<String> = loaded["rejected"].as_array().into_iter().flatten().map(in_words).collect();
    conclude(&rejected, number("rejected_count"), "rows")
}

fn in_words(rejected: &Value) -> String {
    let fields = rejected["errors"].as_object().into_iter().flatten().map(|(field, sentences)| {
        let sentences = sentences.as_array().into_iter().flatten().filter_map(Value::as_str).collect::<Vec<_>>();
        format!(" {field}: {}", sentences.join(" "))
    });
    format!("row {}:{}", rejected["row"], fields.collect::<String>())
}
