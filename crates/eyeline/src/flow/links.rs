//! The addresses of an image's pictures in a page.

use std::fmt;

use eyeline_core::{AccessClass, Visibility};
use eyeline_store::catalog::orders::GalleryItem;

use crate::app::App;

/// Links that expire are the same within a window of five minutes, so that what holds them can be cached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window(Option<i64>);

const WINDOW_SECONDS: i64 = 5 * 60;

impl Window {
    /// Only the project's own keys see images whose links expire.
    pub fn at(app: &App, class: AccessClass) -> Self {
        let number = app.clock.real_now().micros() / 1_000_000 / WINDOW_SECONDS;
        Window((class == AccessClass::Project).then_some(number))
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
}

/// A dataset's picture has its own address; an upload its versions.
pub fn of_item(app: &App, _window: Window, item: &GalleryItem) -> ItemLinks {
    if let Some(url) = &item.url {
        return ItemLinks { largest: Some(url.clone()), smallest: Some(url.clone()), srcset: None };
    }
    let link = |key: &str| match item.visibility {
        Visibility::Public | Visibility::Private => format!("{}/{key}", app.settings.public_url()),
    };
    let described: Vec<String> =
        item.versions.iter().map(|version| format!("{} {}w", link(&version.object_key), version.width)).collect();
    ItemLinks {
        largest: item.versions.last().map(|version| link(&version.object_key)),
        smallest: item.versions.first().map(|version| link(&version.object_key)),
        srcset: (!described.is_empty()).then(|| described.join(", ")),
    }
}
