//! The description of the API, made from the code: OpenAPI 3.1.

use axum::body::Bytes;
use axum::{Router, routing};
use http::header;
use utoipa::Modify;
use utoipa::OpenApi as _;
use utoipa::openapi::OpenApi;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme};

use super::body::JSON;
use crate::app::App;

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Eyeline",
        description = "Photos in by link, galleries out in the order that visitors like, usage understood."
    ),
    security(("key" = []), ("user_token" = []), ("application" = []), ("application_parameter" = []), ("session" = [])),
    modifiers(&Credentials)
)]
struct Frame;

struct Credentials;

impl Modify for Credentials {
    fn modify(&self, api: &mut OpenApi) {
        let bearer = |format: &str, about: &str| {
            let mut scheme = Http::new(HttpAuthScheme::Bearer);
            scheme.bearer_format = Some(format.to_owned());
            scheme.description = Some(about.to_owned());
            SecurityScheme::Http(scheme)
        };
        let schemes = [
            ("key", bearer("eyl_…", "The admin key (everything), or an application's secret key (its project).")),
            ("user_token", bearer("JWT", "Made by an application for its user; kid is the application_id.")),
            (
                "application",
                SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::with_description(
                    "application",
                    "The public id of an application: sends events, reads public galleries.",
                ))),
            ),
            (
                "application_parameter",
                SecurityScheme::ApiKey(ApiKey::Query(ApiKeyValue::with_description(
                    "application",
                    "The same where no header can be set.",
                ))),
            ),
            (
                "session",
                SecurityScheme::ApiKey(ApiKey::Cookie(ApiKeyValue::with_description(
                    "eyeline_session",
                    "A browser that was signed in with the admin key; for pages of this server alone.",
                ))),
            ),
        ];
        let components = api.components.get_or_insert_default();
        components.security_schemes.extend(schemes.map(|(name, scheme)| (name.to_owned(), scheme.into())));
    }
}

/// What stands around the descriptions of the routes.
pub fn frame() -> OpenApi {
    Frame::openapi()
}

/// Serves the finished description.
pub fn routes(api: &OpenApi) -> Router<App> {
    let document = Bytes::from(document(api));
    let serve = move || std::future::ready(([(header::CONTENT_TYPE, JSON)], document.clone()));
    Router::new().route("/api/v1/openapi.json", routing::get(serve))
}

fn document(api: &OpenApi) -> String {
    let mut document = serde_json::to_value(api).unwrap_or_default();
    // "No credential" is written as an empty list; the generator writes a list of one empty requirement.
    if let Some(paths) = document["paths"].as_object_mut() {
        for operation in paths.values_mut().filter_map(|path| path.as_object_mut()).flat_map(|path| path.values_mut()) {
            if operation["security"] == serde_json::json!([{}]) {
                operation["security"] = serde_json::json!([]);
            }
        }
    }
    document.to_string()
}
