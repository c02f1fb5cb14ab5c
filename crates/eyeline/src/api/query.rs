//! The parameters of a URL, and lists in pages by cursor.

use std::convert::Infallible;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use axum::extract::{FromRequestParts, OriginalUri};
use axum::response::{IntoResponseParts, ResponseParts};
use eyeline_core::{FieldErrors, ProjectId};
use http::request::Parts;
use http::{HeaderValue, Uri, header};
use serde::Serialize;
use serde::de::DeserializeOwned;
use url::form_urlencoded;
use utoipa::IntoParams;

use super::openapi::parameters::Known;
use super::{Credential, Fields};
use crate::app::App;
use crate::secrets::Secrets;

/// Rows of a page if the request names no number.
pub const LIMIT_DEFAULT: u32 = 20;
pub const LIMIT_MAX: u32 = 100;

/// The page of a list, as [`Query::paging`] reads it.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes parameters, which are read field by field")]
pub struct PagingParameters {
    /// Rows of the page.
    #[param(minimum = 1, maximum = 100, default = 20)]
    limit: Option<u32>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// The project that is asked about, as [`Query::project_id`] reads it.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes parameters, which are read field by field")]
pub struct ProjectParameter {
    /// Required with the admin key; a secret key asks about its own project.
    project_id: Option<ProjectId>,
}

/// The query of a request. Handlers take it as an argument and read it like a body, so that all its errors are reported
/// together. A parameter that the operation does not describe is an error, and so is one that the handler does not
/// read.
pub struct Query {
    fields: Fields,
    uri: Uri,
    /// Below `/api/v1`: what the operation takes.
    known: Option<Arc<Known>>,
}

impl<S: Send + Sync> FromRequestParts<S> for Query {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        // A nested router has removed the beginning of the plain URI.
        let uri =
            parts.extensions.get::<OriginalUri>().map_or_else(|| parts.uri.clone(), |original| original.0.clone());
        let mut fields = Fields::parse_query(uri.query().unwrap_or_default());
        let known = parts.extensions.get::<Arc<Known>>().cloned();
        if let Some(known) = &known {
            fields.keep(|name| known.is_parameter(name), |name| (!known.is_credential(name)).then(|| known.sentence()));
        }
        Ok(Query { fields, uri, known })
    }
}

impl Deref for Query {
    type Target = Fields;

    fn deref(&self) -> &Fields {
        &self.fields
    }
}

impl DerefMut for Query {
    fn deref_mut(&mut self) -> &mut Fields {
        &mut self.fields
    }
}

impl Query {
    /// Reads `limit` and `cursor` of a list that is sorted by `K`, the sort key of its rows.
    pub fn paging<K: Serialize + DeserializeOwned>(&mut self, app: &App) -> Paging<K> {
        let limit = self.integer("limit", 1..=u64::from(LIMIT_MAX));
        let limit = limit.and_then(|limit| u32::try_from(limit).ok()).unwrap_or(LIMIT_DEFAULT);
        // A cursor belongs to one list: the signature covers the path.
        let purpose = format!("cursor {}", self.uri.path().trim_end_matches('/'));
        let secrets = app.secrets.clone();
        let after = self.parsed("cursor", "the cursor of an earlier page of this list", |text| {
            serde_json::from_slice(&secrets.unseal(&purpose, text)?).ok()
        });
        Paging { limit, after, secrets: app.secrets.clone(), purpose, links: self.links(app) }
    }

    /// The project that is asked about: the one that is named, else the key's own; the admin has to name one.
    pub fn project_id(&mut self, credential: &Credential) -> Option<ProjectId> {
        if credential.project().is_none() {
            self.require("project_id");
        }
        self.id("project_id").or(credential.project())
    }

    /// Builds the address of the next page.
    pub fn links(&self, app: &App) -> Links {
        Links { public_url: app.settings.public_url(), uri: self.uri.clone() }
    }

    /// Ends the reading: 400 with all that is wrong, or nothing.
    pub fn finish(mut self) -> Result<(), FieldErrors> {
        if self.known.is_some() {
            self.fields.keep(|_| false, |_| Some("This query parameter means nothing in this request.".to_owned()));
        }
        self.fields.finish()
    }
}

/// The requested page of a list.
pub struct Paging<K> {
    /// Rows of the page.
    pub limit: u32,
    /// The key of the last row of the page before.
    pub after: Option<K>,
    secrets: Secrets,
    purpose: String,
    links: Links,
}

/// The same request with another cursor, as a `Link` header.
pub struct Links {
    public_url: String,
    uri: Uri,
}

impl Links {
    pub fn next(&self, cursor: &str) -> Option<HeaderValue> {
        let given = form_urlencoded::parse(self.uri.query().unwrap_or_default().as_bytes());
        // A credential in the query (of a beacon or socket) must not be in an answer. A cursor replaces a page's
        // number.
        let kept = given.filter(|(name, _)| !matches!(name.as_ref(), "cursor" | "ticket" | "page" | "order_id"));
        let query =
            form_urlencoded::Serializer::new(String::new()).extend_pairs(kept).append_pair("cursor", cursor).finish();
        let url = format!("<{}{}?{query}>; rel=\"next\"", self.public_url, self.uri.path());
        HeaderValue::from_str(&url).ok()
    }
}

impl<K: Serialize> Paging<K> {
    /// The rows to ask the catalog for: one more than the page holds tells whether there is a next one.
    pub fn rows(&self) -> u32 {
        self.limit + 1
    }

    /// Cuts the rows of the catalog to the length of the page, and returns the beginning of the next page.
    pub fn cut<T>(self, mut rows: Vec<T>, key: impl FnOnce(&T) -> K) -> (Vec<T>, Next) {
        let limit = self.limit as usize;
        if rows.len() <= limit {
            return (rows, self.next(None));
        }
        rows.truncate(limit);
        let last = rows.last().map(key);
        (rows, self.next(last))
    }

    /// The next page of a list that knows its last key: it begins after the row with this key.
    pub fn next(self, after: Option<K>) -> Next {
        let cursor = after.map(|key| self.secrets.seal(&self.purpose, &serde_json::to_vec(&key).unwrap_or_default()));
        let link = cursor.as_deref().and_then(|cursor| self.links.next(cursor));
        Next { cursor, link }
    }
}

/// The continuation of a list: `next_cursor` for the answer, and its `Link` header as a part of the response.
pub struct Next {
    pub cursor: Option<String>,
    link: Option<HeaderValue>,
}

impl IntoResponseParts for Next {
    type Error = Infallible;

    fn into_response_parts(self, mut parts: ResponseParts) -> Result<ResponseParts, Self::Error> {
        if let Some(link) = self.link {
            parts.headers_mut().insert(header::LINK, link);
        }
        Ok(parts)
    }
}
