//! The operator's browser: signed in by a one-time ticket or the admin key, then recognised by a cookie.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use eyeline_core::Timestamp;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Answer, Credential, JsonBody, Problem};
use crate::app::App;
use crate::secrets::{new_key, same, sha256, to_hex};

const COOKIE: &str = "eyeline_session";
const PURPOSE: &str = "session";

/// Cookies of this name that are checked.
const SESSIONS_MAX: usize = 4;
/// Lifetime of a session.
const LIFETIME: Duration = Duration::from_secs(7 * 24 * 60 * 60);

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(sign_in, session, sign_out)).routes(routes!(create_sign_in_link))
}

/// Lifetime of an unused sign-in link.
const TICKET_LIFETIME: Duration = Duration::from_secs(30 * 60);

/// A sign-in link that works once.
#[derive(Serialize, ToSchema)]
pub struct SignInLink {
    /// The web application's address with the ticket in it.
    pub url: String,
    pub ticket: String,

    pub expires_at: Timestamp,
}

/// Creates a sign-in link. Earlier ones stay valid, up to [`eyeline_store::catalog::facts::SIGN_IN_TICKETS_MAX`].
pub async fn new_link(app: &App) -> Answer<SignInLink> {
    let ticket = new_key("eyl_ticket_");
    let now = app.clock.real_now();
    let expires_at = now.plus(TICKET_LIFETIME);
    let hash = to_hex(&sha256(ticket.as_bytes()));
    app.catalog.create_sign_in_ticket(&hash, expires_at.micros(), now.micros()).await?;
    Ok(SignInLink { url: format!("{}/#ticket={ticket}", app.settings.public_url()), ticket, expires_at })
}

#[derive(Serialize, ToSchema)]
struct Session {
    /// True if the request has the cookie of a signed-in browser.
    signed_in: bool,
    /// The address that links in answers begin with (`EYELINE_PUBLIC_URL`). A page at another address replaces it by
    /// its own.
    public_url: String,
}

/// The credential of a sign-in: one of the two.
#[derive(ToSchema)]
#[schema(example = json!({"ticket": "eyl_ticket_…"}))]
#[expect(dead_code, reason = "describes the body, which is read field by field")]
struct SignIn {
    /// From the link that the server prints at its start or `eyeline link` prints; works once, within 30 minutes.
    #[schema(max_length = 200)]
    ticket: Option<String>,
    #[schema(max_length = 200)]
    admin_key: Option<String>,
}

/// Sign a browser in
///
/// Sets an `HttpOnly`, `SameSite=Strict` cookie that stands for the admin key for seven days.
#[utoipa::path(
    post, path = "/session", operation_id = "create_session", tag = "session", request_body = SignIn, security(()),
    responses(
        (status = 204, description = "The browser is signed in.",
            headers(("Set-Cookie" = String, description = "The cookie `eyeline_session`"))),
        (status = 401, description = "The ticket or key is unknown, or the ticket was used."),
        (status = 403, description = "The request comes from a page of another origin."),
    )
)]
async fn sign_in(State(app): State<App>, headers: HeaderMap, JsonBody(body): JsonBody) -> Answer<Response> {
    if !is_same_origin(&headers, &app) {
        return Err(Problem::forbidden("Signing in takes a page of this server."));
    }
    let mut fields = super::Fields::parse(&body)?;
    let ticket = fields.text("ticket", 200);
    let admin_key = fields.text("admin_key", 200);
    if ticket.is_none() && admin_key.is_none() && !fields.has_errors() {
        fields.error("", "One of ticket and admin_key is required.");
    }
    fields.finish()?;
    let known = match (ticket, admin_key) {
        (_, Some(key)) => same(&sha256(key.as_bytes()), &app.admin_key_hash),
        (Some(ticket), None) => {
            let hash = to_hex(&sha256(ticket.as_bytes()));
            app.catalog.use_sign_in_ticket(&hash, app.clock.real_now().micros()).await?
        }
        (None, None) => false,
    };
    if !known {
        return Err(Problem::unauthorized("This ticket or key is unknown, or the ticket was used or has expired."));
    }
    let until = app.clock.real_now().plus(LIFETIME);
    let sealed = app.secrets.seal(PURPOSE, format!("{} {}", until.micros(), to_hex(&app.admin_key_hash)).as_bytes());
    cookie(&app, &sealed, LIFETIME)
}

/// Create a sign-in link
///
/// The link signs one browser in as the operator, once, within 30 minutes. At most 10 unused links are valid: the
/// eleventh ends the oldest. Requires the admin key.
#[utoipa::path(
    post, path = "/session/links", operation_id = "create_sign_in_link", tag = "session",
    responses((status = 201, body = SignInLink))
)]
async fn create_sign_in_link(State(app): State<App>, credential: Credential) -> Answer<Response> {
    credential.admin()?;
    Ok((StatusCode::CREATED, Json(new_link(&app).await?)).into_response())
}

/// Get a browser's session
#[utoipa::path(
    get, path = "/session", operation_id = "get_session", tag = "session", security(()),
    responses((status = 200, body = Session))
)]
async fn session(State(app): State<App>, headers: HeaderMap) -> Answer<Json<Session>> {
    let signed_in = is_signed_in(&headers, &app).await?;
    Ok(Json(Session { signed_in, public_url: app.settings.public_url() }))
}

/// Sign a browser out
///
/// Ends the session. Every copy of its cookie is refused afterwards.
#[utoipa::path(
    delete, path = "/session", operation_id = "delete_session", tag = "session", security(()),
    responses(
        (status = 204, description = "The browser is signed out.",
            headers(("Set-Cookie" = String, description = "Removes the cookie `eyeline_session`"))),
    )
)]
async fn sign_out(State(app): State<App>, headers: HeaderMap) -> Answer<Response> {
    if is_same_origin(&headers, &app) {
        // With a clock that was set forward, ended sessions would be forgotten before their cookies expire.
        let now = if app.clock.jump().is_none() { app.clock.real_now() } else { Timestamp::from_micros(0) };
        for open in open_sessions(&headers, &app) {
            app.credentials.end_session(open.hash, open.until, now).await?;
        }
    }
    cookie(&app, "", Duration::ZERO)
}

fn cookie(app: &App, value: &str, lifetime: Duration) -> Answer<Response> {
    let secure = if app.settings.public_url().starts_with("https:") { "; Secure" } else { "" };
    let seconds = lifetime.as_secs();
    let text = format!("{COOKIE}={value}; Path=/; HttpOnly; SameSite=Strict; Max-Age={seconds}{secure}");
    let value = HeaderValue::from_str(&text)
        .map_err(|_| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "The cookie cannot be set."))?;
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, value)]).into_response())
}

/// True if the request has a valid cookie and comes from a page of this server. `SameSite` alone would accept a page on
/// another port of this host.
pub(super) async fn is_signed_in(headers: &HeaderMap, app: &App) -> Answer<bool> {
    if !is_same_origin(headers, app) {
        return Ok(false);
    }
    for open in open_sessions(headers, app) {
        if app.credentials.is_session(open.hash).await? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// A browser's session that has not expired.
struct OpenSession {
    hash: [u8; 32],
    until: Timestamp,
}

/// The sessions of the request's cookies: one, unless somebody made more by hand.
fn open_sessions(headers: &HeaderMap, app: &App) -> Vec<OpenSession> {
    cookies(headers).take(SESSIONS_MAX).filter_map(|sealed| open_session(sealed, app)).collect()
}

fn cookies(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let texts = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let pairs = texts.flat_map(|text| text.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.filter(|(name, _)| *name == COOKIE).map(|(_, value)| value)
}

fn open_session(sealed: &str, app: &App) -> Option<OpenSession> {
    let value = app.secrets.unseal(PURPOSE, sealed)?;
    let text = String::from_utf8_lossy(&value);
    let (until, admin_key) = text.split_once(' ')?;
    let until = until.parse().map(Timestamp::from_micros).ok()?;
    // A new admin key ends every session.
    let is_open = until > app.clock.real_now() && same(admin_key.as_bytes(), to_hex(&app.admin_key_hash).as_bytes());
    is_open.then(|| OpenSession { hash: sha256(&value), until })
}

/// False if the browser says that a page of another origin sent the request.
pub(super) fn is_same_origin(headers: &HeaderMap, app: &App) -> bool {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let site_is_ours = text("sec-fetch-site").is_none_or(|site| matches!(site, "same-origin" | "none"));
    let origin_is_ours = text("origin").is_none_or(|origin| {
        let host = origin.split_once("://").map_or(origin, |(_, host)| host);
        origin == app.settings.public_url() || Some(host) == text("host")
    });
    site_is_ours && origin_is_ours
}
