//! `POST /galleries/{gallery_id}/dataset`: a client's feed, read and stored as it streams in.

mod array;
mod cells;
mod created_at;
mod csv;
mod map;
mod row;
mod rows;
#[cfg(test)]
mod tests;
mod text;
mod unpacking;

use std::time::Duration;

use axum::Json;
use axum::body::BodyDataStream;
use axum::extract::{Path, State};
use eyeline_core::{FieldErrors, GalleryId, Tier, Visibility};
use futures::StreamExt as _;
use http::{HeaderMap, StatusCode, header};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use self::map::ColumnMap;
use self::row::dataset_row;
use self::rows::{Format, RowReader};
use self::text::TextReader;
use self::unpacking::Unpacking;
use super::objects::managed_gallery;
use super::room::Streamed;
use super::{Answer, Credential, Problem, Query};
use crate::app::App;
use crate::bodies::Room;
use crate::flow::gallery::dataset::{BadRow, Load, LoadInto};
use crate::flow::photo::upload::ProjectLimits;

const ROWS_MAX: u64 = 1_000_000;
/// Bytes of read rows after which they are stored, even if they are few.
const PENDING_BYTES_MAX: usize = 4 * 1024 * 1024;
/// A client that is silent for this long counts as gone.
const PATIENCE: Duration = Duration::from_secs(60);

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(load))
}

/// A row of a dataset. Other fields are ignored.
#[derive(ToSchema)]
#[schema(as = DatasetRow)]
#[expect(dead_code, reason = "describes the body, which is read row by row")]
struct SentRow {
    /// Names the picture within its gallery. A whole number stands for its digits.
    #[schema(min_length = 1, max_length = 200, example = "sku-1")]
    external_id: String,
    /// The picture.
    #[schema(max_length = 2048, format = "uri", example = "https://cdn.example/1.jpg")]
    url: String,
    #[schema(min_length = 1, max_length = 500, example = "Red shoes")]
    name: Option<String>,
    /// The page behind the picture.
    #[schema(max_length = 2048, format = "uri", example = "https://shop.example/p/1")]
    link: Option<String>,
    /// Other offsets and a date alone are accepted too. By default the time of the first load.
    #[schema(format = DateTime, example = "2021-01-31T09:15:27Z")]
    created_at: Option<String>,
    /// Each has at most 100 characters.
    #[schema(max_items = 50, example = json!(["shoes", "red"]))]
    tags: Option<Vec<String>>,
    /// Pixels.
    #[schema(minimum = 1, maximum = 100_000)]
    width: Option<u32>,
    #[schema(minimum = 1, maximum = 100_000)]
    height: Option<u32>,
    /// `public` by default at the first load.
    visibility: Option<Visibility>,
    /// `free` by default at the first load.
    access_tier: Option<Tier>,
}

/// The four counts add up to the rows of the body.
#[derive(Serialize, ToSchema)]
#[schema(as = DatasetLoad)]
struct LoadAnswer {
    created: u64,
    updated: u64,
    unchanged: u64,
    /// Images that were removed from the gallery, because the full feed no longer has them.
    removed: u64,
    /// The reason why a full feed removed nothing, as a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    not_removed: Option<&'static str>,
    /// The first 1,000 rejected rows.
    #[schema(max_items = 1000)]
    rejected: Vec<RejectedRow>,
    rejected_count: u64,
}

#[derive(Serialize, ToSchema)]
struct RejectedRow {
    /// From 1: the element of the array, the line, or the record after the header.
    row: u64,
    /// Sentences by field; `row` stands for the row as a whole.
    errors: FieldErrors,
}

/// Load a dataset into a gallery
///
/// Stores every row, in chunks of 1,000. A row whose `external_id` the gallery knows updates that image; `created_at`,
/// `visibility` and `access_tier` keep their values if the row has none. After an error, sending all rows again is
/// harmless. `docs/feeds.md` describes the formats.
#[utoipa::path(
    post, path = "/galleries/{gallery_id}/dataset", tag = "galleries", operation_id = "load_dataset",
    params(
        ("gallery_id" = GalleryId, Path),
        ("map" = Option<String>, Query, example = "title:name,image_link:url",
         description = "Which columns mean which fields, as COLUMN:FIELD with commas between; or google_merchant, \
                        shopify or woocommerce, which COLUMN:FIELD may follow."),
        ("replace" = Option<bool>, Query,
         description = "The body is the full feed: images of earlier loads that it lacks are removed from the gallery."),
        ("fetch" = Option<bool>, Query, description = "Only false is accepted: pictures stay at their addresses."),
        ("Content-Encoding" = Option<String>, Header, description = "gzip or zstd; at most 4 GiB, unpacked."),
    ),
    request_body(
        content(
            (Vec<SentRow> = "application/json"),
            (String = "application/x-ndjson"),
            (String = "text/csv"),
            (String = "text/tab-separated-values"),
        ),
        description = "Up to 1,000,000 rows of up to 64 KiB: an array, or an object on each line, or CSV whose first \
                       record names the columns. CSV takes a charset parameter.",
    ),
    responses(
        (status = 200, body = LoadAnswer, description = "Every row that was not rejected is stored."),
        (status = 422, description = "`fetch=true` is not supported."),
    )
)]
async fn load(
    State(app): State<App>,
    credential: Credential,
    Path(gallery_id): Path<GalleryId>,
    headers: HeaderMap,
    mut query: Query,
    Streamed { body, room }: Streamed,
) -> Answer<Json<LoadAnswer>> {
    let gallery = managed_gallery(&app, &credential, gallery_id).await?;
    let fetch = query.parsed("fetch", "true or false", |text| text.parse::<bool>().ok());
    let is_full = query.parsed("replace", "true or false", |text| text.parse::<bool>().ok()).unwrap_or_default();
    let map = read_map(&mut query);
    query.finish()?;
    if fetch == Some(true) {
        let detail = "This server does not fetch pictures: it serves them from their own address (fetch=false).";
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail));
    }
    let (format, text) = format_of(&headers)?;
    let unpacking = Unpacking::of(&headers)?;
    let tier = app.catalog.project_tier(gallery.project_id).await?;
    let into = LoadInto { gallery_id, images_max: ProjectLimits::of(&app.settings, tier).images_max, is_full };
    let mut load = Load::begin(&app.catalog, &*app.pubsub, into, app.clock.now()).await?;
    let mut reading = Reading { unpacking, text, rows: RowReader::new(format, map), room, bytes_pending: 0 };
    reading.read_all(&app, body.into_data_stream(), &mut load).await?;
    let summary = load.finish().await?;
    let rejected = summary.rejected.into_iter();
    Ok(Json(LoadAnswer {
        created: summary.loaded.created,
        updated: summary.loaded.updated,
        unchanged: summary.loaded.unchanged,
        removed: summary.removed,
        not_removed: summary.not_removed,
        rejected: rejected.map(|rejected| RejectedRow { row: rejected.row, errors: rejected.errors }).collect(),
        rejected_count: summary.rejected_count,
    }))
}

fn read_map(query: &mut Query) -> Option<ColumnMap> {
    let text = query.value("map")?;
    match ColumnMap::parse(text.as_str().unwrap_or_default()) {
        Ok(map) => Some(map),
        Err(sentence) => {
            query.error("map", sentence);
            None
        }
    }
}

/// The stated type of the body. JSON is UTF-8 whatever charset is stated.
fn format_of(headers: &HeaderMap) -> Answer<(Format, TextReader)> {
    let unsupported = |detail: String| Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail);
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut parts = content_type.split(';').map(str::trim);
    let format = Format::of(parts.next().unwrap_or_default()).ok_or_else(|| {
        unsupported(
            "The Content-Type has to be application/json, application/x-ndjson, text/csv or text/tab-separated-values."
                .to_owned(),
        )
    })?;
    let Format::Csv(_) = format else { return Ok((format, TextReader::utf8())) };
    let mut charset = None;
    for (name, value) in parts.filter_map(|part| part.split_once('=')) {
        let value = value.trim().trim_matches('"');
        match name.trim().to_ascii_lowercase().as_str() {
            "charset" => charset = Some(value),
            "header" if value.eq_ignore_ascii_case("absent") => {
                return Err(unsupported("The CSV has to begin with a header that names its columns.".to_owned()));
            }
            _ => {}
        }
    }
    Ok((format, TextReader::new(charset).map_err(unsupported)?))
}

/// Turns a body's bytes into rows.
struct Reading {
    unpacking: Unpacking,
    text: TextReader,
    rows: RowReader,
    /// Counts received bytes whose rows are not stored yet.
    room: Room,
    bytes_pending: usize,
}

impl Reading {
    async fn read_all(&mut self, app: &App, mut body: BodyDataStream, load: &mut Load<'_>) -> Answer<()> {
        self.room.take(self.unpacking.memory())?;
        loop {
            let sent = tokio::time::timeout(PATIENCE, body.next()).await.map_err(|_| {
                Problem::new(StatusCode::REQUEST_TIMEOUT, "The body stopped arriving; the rows before may be stored.")
            })?;
            let Some(sent) = sent else { break };
            let broke_off = |error| Problem::new(StatusCode::BAD_REQUEST, format!("The body broke off: {error}."));
            self.unpacking.put(sent.map_err(broke_off)?)?;
            while let Some(piece) = self.unpacking.next()? {
                if self.unpacking.is_packed() {
                    self.room.take(piece.len())?;
                }
                self.bytes_pending += piece.len();
                self.rows.feed(&self.text.read(&piece, false)?)?;
                self.store(app, load).await?;
                // A small input that expands to much would otherwise block the thread.
                tokio::task::consume_budget().await;
            }
        }
        self.unpacking.finish()?;
        self.rows.feed(&self.text.read(&[], true)?)?;
        self.rows.finish()?;
        self.store(app, load).await
    }

    async fn store(&mut self, app: &App, load: &mut Load<'_>) -> Answer<()> {
        while let Some(row) = self.rows.take() {
            if row.number > ROWS_MAX {
                let detail = format!("One call takes {ROWS_MAX} rows; send the others in another call.");
                return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail));
            }
            let read = match row.read {
                Ok(Some(object)) => dataset_row(object, app.clock.new_id()).map(Some),
                Ok(None) => Ok(None),
                Err(errors) => Err(BadRow { external_id: None, errors }),
            };
            load.push(row.number, row.rows, read).await?;
        }
        if self.bytes_pending > PENDING_BYTES_MAX {
            load.store().await?;
        }
        if load.is_stored() {
            self.bytes_pending = 0;
            self.room.keep(self.unpacking.memory() as u64);
        }
        Ok(())
    }
}
