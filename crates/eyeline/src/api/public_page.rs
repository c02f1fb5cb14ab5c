//! The public page of a gallery: HTML that is complete without JavaScript. With it, `<eyeline-gallery>` takes over.

use std::sync::LazyLock;

use axum::extract::rejection::PathRejection;
use axum::extract::{OriginalUri, Path, State};
use axum::response::{IntoResponse as _, Response};
use axum::{Router, routing};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use eyeline_core::{AccessClass, GalleryId};
use eyeline_store::catalog::galleries::Gallery;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::accept::accepts;
use super::{Answer, Problem, Query, etag, objects};
use crate::app::App;
use crate::flow::gallery::page::{self, Asked, Cursor, Item, Page, Start};
use crate::flow::gallery::rank::Wanted;
use crate::secrets::{sha256, to_hex};

const STYLE: &str = include_str!("public_page/page.css");
const SCRIPT: &str = include_str!("public_page/page.js");

/// Allows the two inline texts by their hashes. Pictures of a dataset come from other servers.
static POLICY: LazyLock<String> = LazyLock::new(|| {
    let hash = |text: &str| STANDARD.encode(sha256(text.as_bytes()));
    format!(
        "default-src 'none'; script-src 'self' 'sha256-{}'; style-src 'sha256-{}'; img-src 'self' http: https:; \
         connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        hash(SCRIPT),
        hash(STYLE),
    )
});

/// Pixels of a row's height, as in the style sheet: on a wide screen and on a phone.
const ROW_WIDE: f64 = 220.0;
const ROW_PHONE: f64 = 140.0;
/// Pictures that load before the page is scrolled.
const EAGER: usize = 6;
/// Pictures whose names stand in the description.
const NAMED: usize = 3;

/// Pages are not part of the API, so they are not described.
pub fn routes() -> Router<App> {
    Router::new().route("/g/{gallery_id}", routing::get(show))
}

async fn show(
    State(app): State<App>,
    gallery_id: Result<Path<GalleryId>, PathRejection>,
    headers: HeaderMap,
    query: Query,
) -> Response {
    // A path without a valid id names no gallery.
    let answered = match gallery_id {
        Ok(Path(gallery_id)) => answer(&app, gallery_id, &headers, query).await,
        Err(_) => Err(Problem::not_found("gallery")),
    };
    answered.unwrap_or_else(refusal)
}

/// The page as everybody sees it. No credential shows more.
async fn answer(app: &App, gallery_id: GalleryId, headers: &HeaderMap, mut query: Query) -> Answer<Response> {
    let ranked = objects::public_ranked(app, gallery_id).await?;
    let ranked = ranked.filter(|ranked| ranked.head().is_some_and(|head| head.gallery.page.enabled));
    let ranked = ranked.ok_or_else(|| Problem::not_found("gallery"))?;
    let cursor = query.parsed("cursor", "the cursor of a page of this gallery", |text| {
        Cursor::unseal(&app.secrets, text).filter(|cursor| cursor.gallery_id == gallery_id)
    });
    query.finish()?;
    let wanted = Wanted { class: AccessClass::Public, strategy: None, snapshot: 0 };
    let start = cursor.map_or(Start::First, Start::Cursor);
    let is_first = cursor.is_none();
    let placed = page::place(app, ranked, Asked { wanted, start, limit: None }).await?;
    let public_url = app.settings.public_url();
    let write = |page: &Page| {
        let document = Document { gallery: placed.gallery(), page, images: placed.images(), is_first, public_url };
        Ok(document.html().into_string().into_bytes())
    };
    let body = placed.written(app, "public page", write).await?;
    let tag = format!("\"{}\"", &to_hex(&sha256(&body))[..32]);
    let mut own = HeaderMap::from_iter([(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=5"))]);
    own.extend(HeaderValue::from_str(&tag).ok().map(|tag| (header::ETAG, tag)));
    own.extend(page_headers());
    if headers.get(header::IF_NONE_MATCH).is_some_and(|asked| etag::matches(asked, &tag)) {
        return Ok((StatusCode::NOT_MODIFIED, own).into_response());
    }
    Ok((own, body).into_response())
}

fn page_headers() -> HeaderMap {
    let mut own = HeaderMap::from_iter([
        (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::REFERRER_POLICY, HeaderValue::from_static("strict-origin-when-cross-origin")),
    ]);
    own.extend(HeaderValue::from_str(&POLICY).ok().map(|policy| (header::CONTENT_SECURITY_POLICY, policy)));
    own
}

/// A problem as a page in plain words, with its status and its other headers.
fn refusal(problem: Problem) -> Response {
    let (title, text) = match problem.status() {
        StatusCode::NOT_FOUND => ("There is no gallery here", "The address is wrong, or the gallery is not public."),
        StatusCode::BAD_REQUEST => {
            ("This link is broken", "The part after the question mark is wrong. Open the address without it.")
        }
        _ => ("The gallery cannot be shown now", "Try again in a moment."),
    };
    in_words(problem, html! { h1 { (title) } p { (text) } }, title)
}

/// For an address without anything: people get words and a way on, programs a problem document.
pub async fn nothing(method: Method, OriginalUri(uri): OriginalUri, headers: HeaderMap) -> Response {
    let is_for_people = method == Method::GET && accepts(&headers, "text/html") && !uri.path().starts_with("/api/");
    if !is_for_people {
        return StatusCode::NOT_FOUND.into_response();
    }
    let title = "There is nothing at this address";
    let text = html! { h1 { (title) } p { "Go to " a href="/" { "the start" } ", or read " a href="/docs" { "the API" } "." } };
    in_words(Problem::not_found("page"), text, title)
}

/// A page with the problem's status and its other headers.
fn in_words(problem: Problem, text: Markup, title: &str) -> Response {
    let html = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                (common_head(title))
                meta name="robots" content="noindex";
            }
            body { main { (text) } }
        }
    };
    let mut response = problem.into_response();
    // Otherwise `envelope` would replace the page by a problem document.
    response.extensions_mut().remove::<Problem>();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response.headers_mut().extend(page_headers());
    *response.body_mut() = html.into_string().into();
    response
}

fn common_head(title: &str) -> Markup {
    html! {
        meta charset="utf-8";
        meta name="viewport" content="width=device-width, initial-scale=1";
        title { (title) }
        link rel="icon" href="/app/icon.svg" type="image/svg+xml";
        style { (PreEscaped(STYLE)) }
    }
}

/// The content of one page.
struct Document<'a> {
    gallery: &'a Gallery,
    page: &'a Page,
    /// Images of the whole gallery.
    images: usize,
    is_first: bool,
    public_url: String,
}

impl Document<'_> {
    fn html(&self) -> Markup {
        let name = &self.gallery.name;
        let application = self.gallery.page.application_id;
        html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    (common_head(name))
                    (self.preview())
                    @if application.is_some() {
                        link rel="modulepreload" href="/eyeline-gallery.js";
                        link rel="modulepreload" href="/eyeline.js";
                        script type="module" { (PreEscaped(SCRIPT)) }
                    }
                }
                body {
                    main {
                        h1 dir="auto" { (name) }
                        eyeline-gallery gallery=(self.gallery.gallery_id) application=[application] {
                            (self.items())
                            @if let Some(page) = self.first_page() {
                                script type="application/json" { (PreEscaped(page)) }
                            }
                        }
                    }
                }
            }
        }
    }

    /// The metadata for search engines and messengers.
    fn preview(&self) -> Markup {
        let (name, description, address) = (&self.gallery.name, self.description(), self.address());
        let picture = self.page.items.iter().find_map(|item| Some((shown(item.url.as_deref())?, name_of(item))));
        html! {
            meta name="description" content=(description);
            // An address with a cursor lasts for minutes.
            @if !self.gallery.page.indexed || !self.is_first { meta name="robots" content="noindex"; }
            link rel="canonical" href=(address);
            meta property="og:type" content="website";
            meta property="og:title" content=(name);
            meta property="og:description" content=(description);
            meta property="og:url" content=(address);
            @if let Some((url, alt)) = picture {
                meta property="og:image" content=(url);
                meta property="og:image:alt" content=(alt);
                meta name="twitter:card" content="summary_large_image";
            }
        }
    }

    fn items(&self) -> Markup {
        html! {
            @if self.page.items.is_empty() { p { "There are no pictures yet." } }
            ul {
                @for (index, item) in self.page.items.iter().enumerate() {
                    @if let Some(picture) = Picture::of(item) { li { (picture.html(index)) } }
                }
            }
            // A picture that is still to come changes the row before it. The style shows the list once it is whole.
            hr hidden;
            @if let Some(cursor) = &self.page.next_cursor {
                nav { a rel="next" href={ "?cursor=" (cursor) } { "More pictures" } }
            }
        }
    }

    /// The page as the API answers it, so that the element need not ask again. `None` when the element would be given
    /// another order: visitors are in arms of a hold-out, or sessions see different snapshots.
    fn first_page(&self) -> Option<String> {
        let ranking = self.gallery.ranking;
        let is_same_for_all = ranking.holdout().is_none() && ranking.strategy.snapshots() == 1;
        if !self.is_first || !is_same_for_all || self.gallery.page.application_id.is_none() {
            return None;
        }
        // Inside a script element only `<` can end the text.
        Some(serde_json::to_string(self.page).ok()?.replace('<', "\\u003c"))
    }

    fn description(&self) -> String {
        let pictures = match self.images {
            0 => return "No pictures yet.".to_owned(),
            1 => "1 picture".to_owned(),
            images => format!("{images} pictures"),
        };
        let names: Vec<&str> = self.page.items.iter().take(NAMED).map(name_of).collect();
        if names.is_empty() { format!("{pictures}.") } else { format!("{pictures}: {}.", names.join(", ")) }
    }

    fn address(&self) -> String {
        format!("{}/g/{}", self.public_url, self.gallery.gallery_id)
    }
}

/// An item that has a picture.
struct Picture<'a> {
    item: &'a Item,
    /// The file for a browser that chooses none of `srcset`.
    source: &'a str,
    /// The item's own link, else the largest picture.
    link: &'a str,
}

impl<'a> Picture<'a> {
    fn of(item: &'a Item) -> Option<Self> {
        let (smallest, largest) = (shown(item.preview.as_deref()), shown(item.url.as_deref()));
        let source = smallest.or(largest)?;
        Some(Picture { item, source, link: shown(item.link.as_deref()).or(largest).unwrap_or(source) })
    }

    fn html(&self, index: usize) -> Markup {
        let Item { srcset, srcset_webp, .. } = self.item;
        // An unknown size counts as a square, as in the element.
        let (width, height) = self.item.width.zip(self.item.height).unwrap_or((ROW_WIDE as u32, ROW_WIDE as u32));
        let aspect = (f64::from(width) / f64::from(height.max(1))).clamp(0.5, 3.0);
        let [wide, phone] = [ROW_WIDE, ROW_PHONE].map(|row| (row * aspect).ceil());
        let sizes = srcset.as_ref().map(|_| format!("(max-width:600px) {phone}px, {wide}px"));
        let loading = (index >= EAGER).then_some("lazy");
        let priority = (index == 0).then_some("high");
        html! {
            a href=(self.link) {
                picture {
                    @if let Some(webp) = srcset_webp { source type="image/webp" srcset=(webp) sizes=[&sizes]; }
                    img src=(self.source) srcset=[srcset] sizes=[&sizes] width=(width) height=(height)
                        alt=(name_of(self.item)) loading=[loading] fetchpriority=[priority];
                }
            }
        }
    }
}

fn name_of(item: &Item) -> &str {
    let names = [item.name.as_deref(), item.external_id.as_deref()];
    names.into_iter().flatten().find(|name| !name.is_empty()).unwrap_or("Picture without a name")
}

/// An address that a page may link to. Only http and https: a browser would run a `javascript:` address.
fn shown(address: Option<&str>) -> Option<&str> {
    address.filter(|address| address.starts_with("http://") || address.starts_with("https://"))
}
