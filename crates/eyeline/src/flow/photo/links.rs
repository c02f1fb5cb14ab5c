//! The addresses of versions and originals. Public ones never change; others are signed and expire.

use std::collections::HashMap;
use std::fmt;

use eyeline_core::{AccessClass, Webp};
use eyeline_store::catalog::orders::GalleryItem;
use eyeline_store::objects::Span;
use eyeline_store::{ObjectKey, ObjectLinks};

use crate::flow::Flow;
use crate::web_address;

/// A signed link stays the same for 5 minutes, so that pages and responses with it can be cached.
const WINDOW_SECONDS: i64 = 5 * 60;

/// Makes links as of one moment.
pub struct Links {
    links: ObjectLinks,
    span: Span,
}

impl Links {
    pub fn at(flow: &Flow) -> Self {
        let window = window_seconds(flow);
        let from = now_seconds(flow) / window * window;
        let until = from + window + i64::from(flow.settings.download_link_seconds);
        Links { links: flow.object_links.clone(), span: Span { from, until } }
    }

    /// The link of a version.
    pub fn version(&self, key: &ObjectKey) -> String {
        self.links.version(key, self.span)
    }

    /// The link of an original, which a browser saves as `filename`.
    pub fn original(&self, key: &ObjectKey, filename: &str) -> String {
        self.links.original(key, filename, self.span)
    }
}

fn now_seconds(flow: &Flow) -> i64 {
    flow.clock.real_now().micros() / 1_000_000
}

/// At most the lifetime of a link, which a setting may make shorter than the window. In seconds.
fn window_seconds(flow: &Flow) -> i64 {
    WINDOW_SECONDS.min(i64::from(flow.settings.download_link_seconds)).max(1)
}

/// The window of the signed links in a page; a cached page is valid within one window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window(Option<i64>);

impl Window {
    /// Public links never expire, so pages of the public class have no window.
    pub fn at(flow: &Flow, class: AccessClass) -> Self {
        Window((class != AccessClass::Public).then(|| now_seconds(flow) / window_seconds(flow)))
    }
}

impl fmt::Display for Window {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(number) => number.fmt(out),
            None => out.write_str("-"),
        }
    }
}

#[derive(Debug, Default, PartialEq)]
pub struct ItemLinks {
    pub largest: Option<String>,
    pub smallest: Option<String>,
    pub srcset: Option<String>,
    /// The widths of `srcset`, each in WebP where that exists. `None` if no WebP version exists.
    pub srcset_webp: Option<String>,
}

impl Links {
    /// A dataset image has one address of its own; an uploaded image has its versions.
    pub fn of_item(&self, item: &GalleryItem) -> ItemLinks {
        if let Some(url) = &item.url {
            let url = web_address::served(url.clone());
            return ItemLinks { largest: url.clone(), smallest: url, ..ItemLinks::default() };
        }
        let mut pictures = Vec::with_capacity(item.versions.len());
        let mut webp = HashMap::new();
        for version in &item.versions {
            let Some(link) = ObjectKey::parse(&version.object_key).map(|key| self.version(&key)) else { continue };
            if version.content_type == Webp::CONTENT_TYPE {
                webp.insert(version.width, link);
            } else {
                pictures.push((link, version.width));
            }
        }
        // A small original gives several versions of the same width; one is kept.
        pictures.dedup_by_key(|(_, width)| *width);
        let as_webp = pictures.iter().map(|(link, width)| (webp.get(width).unwrap_or(link), *width));
        ItemLinks {
            largest: pictures.last().map(|(link, _)| link.clone()),
            smallest: pictures.first().map(|(link, _)| link.clone()),
            srcset: srcset(pictures.iter().map(|(link, width)| (link, *width))),
            srcset_webp: if webp.is_empty() { None } else { srcset(as_webp) },
        }
    }
}

/// Each link with its width, as the `srcset` attribute writes it.
fn srcset<'a>(links: impl Iterator<Item = (&'a String, u32)>) -> Option<String> {
    let widths: Vec<String> = links.map(|(link, width)| format!("{link} {width}w")).collect();
    (!widths.is_empty()).then(|| widths.join(", "))
}
