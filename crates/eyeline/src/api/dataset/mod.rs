//! `POST /galleries/{gallery_id}/dataset`: a client's catalogue, read and stored as it streams in.

mod csv;
mod row;
mod rows;

use std::time::Duration;

use axum::Json;
use axum::body::{Body, BodyDataStream};
use axum::extract::{Path, State};
use eyeline_core::{FieldErrors, GalleryId};
use futures::StreamExt as _;
use http::{HeaderMap, StatusCode, header};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use self::row::dataset_row;
use self::rows::{Format, RowReader};
use super::galleries::managed;
use super::{Answer, Credential, Problem, Query};
use crate::app::App;
use crate::flow::dataset::Load;

const ROWS_MAX: u64 = 1_000_000;
const BODY_BYTES_MAX: u64 = 4 * 1024 * 1024 * 1024;
/// A client that sends nothing for so long has gone.
const PATIENCE: Duration = Duration::from_secs(60);

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(load))
}

#[derive(Serialize, ToSchema)]
struct LoadAnswer {
    created: u64,
    updated: u64,
    unchanged: u64,
    /// The first thousand rows that were not taken.
    rejected: Vec<RejectedRow>,
    rejected_count: u64,
}

#[derive(Serialize, ToSchema)]
struct RejectedRow {
    /// From 1: the element of the array, the line, or the record after the header.
    row: u64,
    /// Field to sentences; `row` speaks of the row as a whole.
    #[schema(value_type = std::collections::BTreeMap<String, Vec<String>>)]
    errors: FieldErrors,
}

/// Loads the client's catalogue. An `external_id` that the gallery knows is changed to what the row says; `created_at`,
/// `visibility` and `access_tier` stay as they are when the row tells none. In CSV the first record names the columns
/// and `tags` are separated by `|`.
#[utoipa::path(
    post, path = "/galleries/{gallery_id}/dataset", tag = "galleries", params(("gallery_id" = uuid::Uuid, Path)),
    request_body(
        content((String = "application/json"), (String = "application/x-ndjson"), (String = "text/csv")),
        description = "Rows of external_id, url, and optionally name, link, created_at, tags, width, height, \
                       visibility, access_tier; up to 1,000,000 of up to 64 KiB.",
    ),
    responses(
        (status = 200, body = LoadAnswer, description = "Every row that was not rejected is stored."),
        (status = "4XX", description = "A problem document; rows before the trouble may be stored, and sending \
                                        all of them again is harmless."),
        (status = 503, description = "A problem document"),
    )
)]
async fn load(
    State(app): State<App>,
    credential: Credential,
    Path(gallery_id): Path<GalleryId>,
    headers: HeaderMap,
    mut query: Query,
    body: Body,
) -> Answer<Json<LoadAnswer>> {
    managed(&app, &credential, gallery_id).await?;
    let fetch = query.parsed("fetch", "true or false", |text| text.parse::<bool>().ok());
    query.finish()?;
    if fetch == Some(true) {
        let detail = "This server does not fetch pictures: it serves them from their own address (fetch=false).";
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail));
    }
    let format = format_of(&headers)?;
    let mut load = Load::new(&app.catalog, &*app.pubsub, gallery_id, app.clock.now());
    read_all(&app, format, body.into_data_stream(), &mut load).await?;
    let summary = load.finish().await?;
    let rejected = summary.rejected.into_iter();
    Ok(Json(LoadAnswer {
        created: summary.loaded.created,
        updated: summary.loaded.updated,
        unchanged: summary.loaded.unchanged,
        rejected: rejected.map(|rejected| RejectedRow { row: rejected.row, errors: rejected.errors }).collect(),
        rejected_count: summary.rejected_count,
    }))
}

fn format_of(headers: &HeaderMap) -> Answer<Format> {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    Format::of(media_type).ok_or_else(|| {
        let detail = "The Content-Type has to be application/json, application/x-ndjson or text/csv.";
        Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail)
    })
}

async fn read_all(app: &App, format: Format, mut body: BodyDataStream, load: &mut Load<'_>) -> Answer<()> {
    let mut reader = RowReader::new(format);
    let mut bytes_read = 0;
    loop {
        let piece = tokio::time::timeout(PATIENCE, body.next()).await.map_err(|_| {
            Problem::new(StatusCode::REQUEST_TIMEOUT, "The body stopped coming; the rows before may be stored.")
        })?;
        match piece {
            Some(piece) => {
                let piece = piece
                    .map_err(|error| Problem::new(StatusCode::BAD_REQUEST, format!("The body broke off: {error}.")))?;
                bytes_read += piece.len() as u64;
                if bytes_read > BODY_BYTES_MAX {
                    return Err(too_large(&format!("A body may have at most {BODY_BYTES_MAX} bytes.")));
                }
                reader.feed(&piece)?;
            }
            None => {
                reader.finish()?;
                return store_rows(app, &mut reader, load).await;
            }
        }
        store_rows(app, &mut reader, load).await?;
    }
}

async fn store_rows(app: &App, reader: &mut RowReader, load: &mut Load<'_>) -> Answer<()> {
    while let Some((row, read)) = reader.take() {
        if row > ROWS_MAX {
            return Err(too_large(&format!("One call takes {ROWS_MAX} rows; send the others by another one.")));
        }
        load.push(row, read.and_then(|object| dataset_row(object, app.clock.new_id()))).await?;
    }
    Ok(())
}

fn too_large(detail: &str) -> Problem {
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail)
}
