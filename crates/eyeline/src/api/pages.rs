//! Visitors' view of a gallery: pages in its order, one image, and a refresh of the order.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Redirect, Response};
use bytes::Bytes;
use eyeline_core::event::TEXT_CHARS_MAX;
use eyeline_core::ranking::experiment::Arm;
use eyeline_core::ranking::snapshot_of;
use eyeline_core::{AccessClass, GalleryId, ImageId, OrderId, SessionId, Strategy};
use eyeline_store::catalog::galleries::Gallery;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::body::JSON;
use super::openapi::FileBytes;
use super::{Answer, Credential, Problem, Query, objects};
use crate::app::App;
use crate::flow::gallery::page::{self, Asked, Cursor, Item, Page, Preview, Start};
use crate::flow::gallery::rank::Wanted;

const LIMIT_MAX: u64 = 100;
const PAGE_MAX: u64 = 1 << 40;

/// The meaning of 503 for what the process that ranks a gallery makes.
pub(super) const ORDER_PENDING: &str = "`code` is `order_pending` if the process that ranks the gallery has not published \
    the order or not answered; otherwise a part of the server is unavailable. Send the request again after `Retry-After`.";

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(ranked)).routes(routes!(one)).routes(routes!(preview)).routes(routes!(refresh))
}

/// List a gallery's images in order
///
/// A cursor continues in the order that it began in, so that a visitor sees every image once. That order is kept for 15
/// minutes after its last page. An older cursor continues at the same rank of the newest order, and the page says
/// `restarted`.
#[utoipa::path(
    get, path = "/galleries/{gallery_id}/images", operation_id = "list_gallery_images", tag = "galleries",
    params(
        ("gallery_id" = GalleryId, Path),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 100, description = "Items of the page; the gallery's `page_size` by default"),
        ("cursor" = Option<String>, Query, description = "The `next_cursor` of the page before"),
        ("page" = Option<u64>, Query, minimum = 1, description = "From 1, in the newest order or that of `order_id`; in place of a cursor"),
        ("order" = Option<Strategy>, Query, description = "The gallery's own strategy by default"),
        ("order_id" = Option<OrderId>, Query, description = "The published order to read a `page` of"),
        VisitorParameters,
    ),
    responses((status = 200, body = Page), (status = 503, description = ORDER_PENDING)),
    security(("key" = []), ("session" = []), ("user_token" = []), ("application" = []), ("application_parameter" = []))
)]
async fn ranked(
    State(app): State<App>,
    credential: Credential,
    Path(gallery_id): Path<GalleryId>,
    headers: HeaderMap,
    mut query: Query,
) -> Answer<Response> {
    let (ranked, gallery, class) = objects::ranked(&app, &credential, gallery_id).await?;
    let limit = query.integer("limit", 1..=LIMIT_MAX).and_then(|limit| usize::try_from(limit).ok());
    let strategy = query.parsed("order", Strategy::NAMES, Strategy::parse);
    let (wanted, _) = read_visitor(&mut query, strategy, &gallery, class);
    let start = read_start(&app, gallery_id, strategy, &mut query);
    let links = query.links(&app);
    query.finish()?;

    let placed = page::place(&app, ranked, Asked { wanted, start, limit }).await?;
    let validator = format!("\"{}\"", placed.validator());
    let mut response = if is_known(&headers, &validator) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        json(placed.json(&app).await?)
    };
    let answered = response.headers_mut();
    answered.extend(HeaderValue::from_str(&validator).ok().map(|validator| (header::ETAG, validator)));
    answered.insert(header::VARY, HeaderValue::from_static("Authorization, Cookie, application"));
    // Pages for others than the public contain signed links.
    let is_public = matches!(credential, Credential::Application { .. });
    let caching = if is_public { "public, max-age=5" } else { "private, max-age=5" };
    answered.insert(header::CACHE_CONTROL, HeaderValue::from_static(caching));
    answered.extend(placed.next(&app.secrets).and_then(|next| links.next(&next)).map(|link| (header::LINK, link)));
    Ok(response)
}

/// An answer that is JSON already.
pub(super) fn json(bytes: Bytes) -> Response {
    let mut response = Body::from(bytes).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, JSON);
    response
}

/// The visitor, as [`read_visitor`] reads it.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes parameters, which are read field by field")]
pub(super) struct VisitorParameters {
    /// The visitor's session, which sees the same order throughout.
    session_id: Option<SessionId>,
    /// The visitor, who stays in the same group of a hold-out in every session.
    #[param(min_length = 1, max_length = 200)]
    visitor_id: Option<String>,
}

/// Chooses a visitor's order: the strategy that the request names, else that of the arm of `visitor_id` or
/// `session_id`; and the one of the concurrent orders that belongs to the session.
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

/// True if `If-None-Match` names the validator.
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
        query.error("order", "The cursor belongs to another order.");
    }
    Start::Cursor(cursor)
}

/// Get a gallery's image
///
/// With its rank in the newest order.
#[utoipa::path(
    get, path = "/galleries/{gallery_id}/images/{image_id}", operation_id = "get_gallery_image", tag = "galleries",
    params(("gallery_id" = GalleryId, Path), ("image_id" = ImageId, Path)),
    responses((status = 200, body = Item), (status = 503, description = ORDER_PENDING)),
    security(("key" = []), ("session" = []), ("user_token" = []), ("application" = []), ("application_parameter" = []))
)]
async fn one(
    State(app): State<App>,
    credential: Credential,
    Path((gallery_id, image_id)): Path<(GalleryId, ImageId)>,
) -> Answer<Json<Item>> {
    let (ranked, _, class) = objects::ranked(&app, &credential, gallery_id).await?;
    Ok(Json(page::one_item(&app, &ranked, class, image_id).await?))
}

/// Get an image's preview
///
/// The bytes of the smallest version, for an `<img>`. A public image needs no credential.
#[utoipa::path(
    get, path = "/galleries/{gallery_id}/images/{image_id}/preview", operation_id = "get_gallery_image_preview",
    tag = "galleries", params(("gallery_id" = GalleryId, Path), ("image_id" = ImageId, Path)),
    responses(
        (status = 200, description = "The picture.", body = FileBytes, content_type = "image/*",
            headers(("ETag" = String, description = "For `If-None-Match`."))),
        (status = 304),
        (status = 307, description = "A dataset's picture has an address of its own.",
            headers(("Location" = String, description = "The address of the picture"))),
    ),
    security(
        (), ("key" = []), ("session" = []), ("user_token" = []), ("application" = []), ("application_parameter" = []),
    )
)]
async fn preview(
    State(app): State<App>,
    credential: Result<Credential, Problem>,
    Path((gallery_id, image_id)): Path<(GalleryId, ImageId)>,
    headers: HeaderMap,
) -> Answer<Response> {
    let (ranked, class) = match credential {
        Ok(credential) => {
            let (ranked, _, class) = objects::ranked(&app, &credential, gallery_id).await?;
            (ranked, class)
        }
        // A gallery that does not exist is answered like one that is not public.
        Err(problem) => (objects::public_ranked(&app, gallery_id).await?.ok_or(problem)?, AccessClass::Public),
    };
    let preview = match page::preview(&app, &ranked, class, image_id).await? {
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
    answered.insert(header::VARY, HeaderValue::from_static("Authorization, Cookie, application"));
    answered.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    let caching = if class == AccessClass::Public { "public, max-age=300" } else { "private, max-age=300" };
    answered.insert(header::CACHE_CONTROL, HeaderValue::from_static(caching));
    Ok(response)
}

#[derive(Serialize, ToSchema)]
#[schema(as = RefreshedOrder)]
struct Refreshed {
    order_id: OrderId,
    /// View and click events counted for this gallery so far.
    applied_events: u64,
}

/// Refresh a gallery's order
///
/// Answers once every event that was accepted before is counted, and a new order is published.
#[utoipa::path(
    post, path = "/galleries/{gallery_id}/refresh", operation_id = "refresh_gallery", tag = "galleries",
    params(("gallery_id" = GalleryId, Path)),
    responses((status = 200, body = Refreshed), (status = 503, description = ORDER_PENDING))
)]
async fn refresh(
    State(app): State<App>,
    credential: Credential,
    Path(gallery_id): Path<GalleryId>,
) -> Answer<Json<Refreshed>> {
    objects::managed_gallery(&app, &credential, gallery_id).await?;
    app.ingest.caught_up().await?;
    let (ranked, _, class) = objects::ranked(&app, &credential, gallery_id).await?;
    app.orders.refresh(&ranked).await?;
    let newest = app.orders.newest_slice(&ranked, Wanted { class, strategy: None, snapshot: 0 }, 0, 0).await?;
    let applied_events = ranked.head().map_or(0, |head| head.gallery.applied_events);
    Ok(Json(Refreshed { order_id: newest.head.order_id, applied_events }))
}
