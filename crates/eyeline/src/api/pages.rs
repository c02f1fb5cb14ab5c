//! What visitors see of a gallery: pages in its order, one image, and the order made anew.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Redirect, Response};
use eyeline_core::event::TEXT_CHARS_MAX;
use eyeline_core::ranking::experiment::Arm;
use eyeline_core::ranking::snapshot_of;
use eyeline_core::{AccessClass, GalleryId, ImageId, OrderId, SessionId, Strategy};
use eyeline_store::catalog::galleries::Gallery;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::body::JSON;
use super::galleries::{managed, reader};
use super::{Answer, Credential, Problem, Query};
use crate::app::App;
use crate::flow::page::{self, Asked, Cursor, Item, Page, Preview, Start};
use crate::flow::rank::Wanted;

const LIMIT_MAX: u64 = 100;
const PAGE_MAX: u64 = 1 << 40;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(ranked)).routes(routes!(one)).routes(routes!(preview)).routes(routes!(refresh))
}

/// A page of the gallery in its order. A cursor goes on in the order that it began in, which is kept for 15 minutes
/// after its last page; an older one goes on at the same place of the newest order, and the page says `restarted`.
#[utoipa::path(
    get, path = "/galleries/{gallery_id}/images", tag = "galleries",
    params(
        ("gallery_id" = uuid::Uuid, Path),
        ("limit" = Option<u32>, Query, description = "1 to 100; the gallery's page_size when absent."),
        ("cursor" = Option<String>, Query, description = "The next_cursor of an earlier page."),
        ("page" = Option<u64>, Query, description = "From 1, in the newest order or that of order_id."),
        ("order" = Option<String>, Query, description = "A strategy's name; the gallery's own when absent."),
        ("order_id" = Option<uuid::Uuid>, Query),
        ("session_id" = Option<uuid::Uuid>, Query, description = "The visitor's session: the same order for all of it."),
        ("visitor_id" = Option<String>, Query, description = "The visitor: the same arm of a hold-out in every session."),
    ),
    responses(
        (status = 200, body = Page),
        (status = 304, description = "The page that If-None-Match names is still right."),
        (status = "4XX", description = "A problem document"),
    )
)]
async fn ranked(
    State(app): State<App>,
    credential: Credential,
    Path(gallery_id): Path<GalleryId>,
    headers: HeaderMap,
    mut query: Query,
) -> Answer<Response> {
    let gallery = app.orders.gallery(gallery_id).await?;
    let head = gallery.head().ok_or_else(|| Problem::not_found("gallery"))?;
    let class = reader(&credential, &head.gallery)?;
    let limit = query.integer("limit", 1..=LIMIT_MAX).and_then(|limit| usize::try_from(limit).ok());
    let strategy = query.parsed("order", Strategy::NAMES, Strategy::parse);
    let (wanted, _) = read_visitor(&mut query, strategy, &head.gallery, class);
    let start = read_start(&app, gallery_id, strategy, &mut query);
    let links = query.links(&app);
    query.finish()?;

    let placed = page::place(&app, gallery, Asked { wanted, start, limit }).await?;
    let validator = format!("\"{}\"", placed.validator());
    let mut response = if is_known(&headers, &validator) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let mut response = Body::from(placed.json(&app).await?).into_response();
        response.headers_mut().insert(header::CONTENT_TYPE, JSON);
        response
    };
    let answered = response.headers_mut();
    answered.extend(HeaderValue::from_str(&validator).ok().map(|validator| (header::ETAG, validator)));
    answered.insert(header::VARY, HeaderValue::from_static("Authorization, application"));
    answered.insert(header::CACHE_CONTROL, HeaderValue::from_static("max-age=5"));
    answered.extend(placed.next(&app.secrets).and_then(|next| links.next(&next)).map(|link| (header::LINK, link)));
    Ok(response)
}

/// Reads which order a visitor sees: that of the strategy when one is asked for, else that of the arm of `visitor_id`,
/// else of `session_id`; and the one of the orders side by side that belongs to the session.
pub(super) fn read_visitor(
    query: &mut Query,
    strategy: Option<Strategy>,
    gallery: &Gallery,
    class: AccessClass,
) -> (Wanted, Option<Arm>) {
    let session_id = query.id::<SessionId>("session_id").map(|session_id| session_id.to_string());
    let visitor_id = query.text("visitor_id", TEXT_CHARS_MAX);
    let snapshot = session_id.as_ref().or(visitor_id.as_ref()).map_or(0, |id| snapshot_of(id.as_bytes()));
    let visitor = visitor_id.or(session_id).filter(|_| strategy.is_none());
    let compared = gallery.ranking.holdout().zip(visitor);
    let arm = compared.map(|(holdout, visitor)| (holdout, holdout.arm_of(gallery.gallery_id, &visitor)));
    let strategy = arm.map(|(holdout, arm)| holdout.strategy(arm)).or(strategy);
    (Wanted { class, strategy, snapshot }, arm.map(|(_, arm)| arm))
}

/// Whether `If-None-Match` names the validator.
fn is_known(headers: &HeaderMap, validator: &str) -> bool {
    let named = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    named.flat_map(|names| names.split(',')).any(|name| {
        let name = name.trim();
        name == "*" || name.strip_prefix("W/").unwrap_or(name) == validator
    })
}

/// A cursor, or a page by its number, or the beginning.
fn read_start(app: &App, gallery_id: GalleryId, strategy: Option<Strategy>, query: &mut Query) -> Start {
    let cursor = query.parsed("cursor", "the next_cursor of a page of this gallery", |text| {
        Cursor::unseal(&app.secrets, text).filter(|cursor| cursor.gallery_id == gallery_id)
    });
    let number = query.integer("page", 1..=PAGE_MAX);
    let order_id = query.id::<OrderId>("order_id");
    let Some(cursor) = cursor else {
        return match (number, order_id) {
            (None, None) => Start::First,
            (number, order_id) => Start::Page { number: number.unwrap_or(1), order_id },
        };
    };
    if number.is_some() {
        query.error("page", "A cursor and a page exclude each other.");
    }
    if strategy.is_some_and(|strategy| strategy != cursor.strategy) {
        query.error("order", "The cursor is one of another order.");
    }
    Start::Cursor(cursor)
}

/// One image of the gallery, with its place in the newest order.
#[utoipa::path(
    get, path = "/galleries/{gallery_id}/images/{image_id}", tag = "galleries",
    params(("gallery_id" = uuid::Uuid, Path), ("image_id" = uuid::Uuid, Path)),
    responses(
        (status = 200, body = Item),
        (status = "4XX", description = "A problem document"),
    )
)]
async fn one(
    State(app): State<App>,
    credential: Credential,
    Path((gallery_id, image_id)): Path<(GalleryId, ImageId)>,
) -> Answer<Json<Item>> {
    let gallery = app.orders.gallery(gallery_id).await?;
    let head = gallery.head().ok_or_else(|| Problem::not_found("gallery"))?;
    let class = reader(&credential, &head.gallery)?;
    Ok(Json(page::one_item(&app, &gallery, class, image_id).await?))
}

/// The smallest version's bytes, for an `<img>`: what everybody may see needs no credential. A dataset's picture is
/// fetched from its own address.
#[utoipa::path(
    get, path = "/galleries/{gallery_id}/images/{image_id}/preview", tag = "galleries",
    params(("gallery_id" = uuid::Uuid, Path), ("image_id" = uuid::Uuid, Path)),
    responses(
        (status = 200, description = "The picture", content_type = "image/*"),
        (status = 304),
        (status = 307, description = "The address of a dataset's picture"),
        (status = "4XX", description = "A problem document"),
    ),
    security(()),
)]
async fn preview(
    State(app): State<App>,
    credential: Result<Credential, Problem>,
    Path((gallery_id, image_id)): Path<(GalleryId, ImageId)>,
    headers: HeaderMap,
) -> Answer<Response> {
    let gallery = app.orders.gallery(gallery_id).await?;
    let head = gallery.head().ok_or_else(|| Problem::not_found("gallery"))?;
    let class = match credential {
        Ok(credential) => reader(&credential, &head.gallery)?,
        Err(_) if AccessClass::Public.sees(head.gallery.visibility, head.gallery.access_tier) => AccessClass::Public,
        Err(problem) => return Err(problem),
    };
    let preview = match page::preview(&app, &gallery, class, image_id).await? {
        Preview::At(url) => return Ok(Redirect::temporary(&url).into_response()),
        Preview::Bytes(preview) => preview,
    };
    let validator = format!("\"{}\"", preview.validator);
    let mut response = if is_known(&headers, &validator) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        Body::from(preview.bytes).into_response()
    };
    let answered = response.headers_mut();
    answered.extend(HeaderValue::from_str(&preview.content_type).ok().map(|kind| (header::CONTENT_TYPE, kind)));
    answered.extend(HeaderValue::from_str(&validator).ok().map(|validator| (header::ETAG, validator)));
    answered.insert(header::VARY, HeaderValue::from_static("Authorization, application"));
    answered.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    let caching = if class == AccessClass::Public { "public, max-age=300" } else { "private, max-age=300" };
    answered.insert(header::CACHE_CONTROL, HeaderValue::from_static(caching));
    Ok(response)
}

#[derive(Serialize, ToSchema)]
struct Refreshed {
    #[schema(value_type = uuid::Uuid)]
    order_id: OrderId,
    /// View and click events counted for this gallery so far.
    applied_events: u64,
}

/// Returns once every event that was accepted before is counted and in a published order.
#[utoipa::path(
    post, path = "/galleries/{gallery_id}/refresh", tag = "galleries", params(("gallery_id" = uuid::Uuid, Path)),
    responses(
        (status = 200, body = Refreshed),
        (status = "4XX", description = "A problem document"),
        (status = 503, description = "A problem document"),
    )
)]
async fn refresh(
    State(app): State<App>,
    credential: Credential,
    Path(gallery_id): Path<GalleryId>,
) -> Answer<Json<Refreshed>> {
    let gallery = managed(&app, &credential, gallery_id).await?;
    let class = reader(&credential, &gallery)?;
    app.ingest.caught_up().await?;
    let gallery = app.orders.gallery(gallery_id).await?;
    app.orders.publish(&gallery).await?;
    let order = app.orders.current(&gallery, Wanted { class, strategy: None, snapshot: 0 }).await?;
    let applied_events = gallery.head().map_or(0, |head| head.gallery.applied_events);
    Ok(Json(Refreshed { order_id: order.order_id, applied_events }))
}
