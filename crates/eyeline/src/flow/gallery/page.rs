//! From a published order to a page of the gallery.

mod cursor;
pub mod receipt;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use eyeline_core::event::Served;
use eyeline_core::ranking::{OrderEntry, OrderHead};
use eyeline_core::{AccessClass, GalleryId, ImageId, OrderId, Strategy, Timestamp, Webp};
use eyeline_store::catalog::galleries::Gallery;
use eyeline_store::catalog::orders::GalleryItem;
use eyeline_store::{Error, ObjectKey, Result};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use self::cursor::Cursor;
use super::rank::{Head, Ranked, Slice, Wanted};
use crate::flow::Flow;
use crate::flow::photo::links::{Links, Window};
use crate::secrets::{Secrets, sha256};
use crate::web_address;

/// The time for which the bytes of a page are cached.
const CACHED: Duration = Duration::from_secs(5 * 60);

/// A requested page.
#[derive(Clone, Debug)]
pub struct Asked {
    pub wanted: Wanted,
    pub start: Start,
    /// `None` stands for the gallery's page size.
    pub limit: Option<usize>,
}

#[derive(Clone, Debug)]
pub enum Start {
    First,
    Cursor(Cursor),
    /// `number` counts from 1. Without `order_id` it is a page of the newest order.
    Page {
        number: u64,
        order_id: Option<OrderId>,
    },
}

/// A page located in an order, before its images are read.
pub struct Placed {
    ranked: Arc<Ranked>,
    head: Head,
    slice: Slice,
    start: usize,
    limit: usize,
    restarted: bool,
    window: Window,
    /// Of the place receipts.
    hour: u32,
}

/// One page of a gallery in its order.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = GalleryPage)]
pub struct Page {
    pub gallery_id: GalleryId,
    /// The published order of the page.
    pub order_id: OrderId,
    pub strategy: Strategy,
    pub published_at: Timestamp,
    /// True if the cursor's order is no longer kept, so that images may repeat. Absent otherwise.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub restarted: bool,
    #[schema(max_items = 100)]
    pub items: Vec<Item>,
    pub next_cursor: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = GalleryItem)]
pub struct Item {
    /// From 1; null for an image that the order does not have yet.
    pub position: Option<u64>,
    pub image_id: ImageId,
    pub external_id: Option<String>,
    pub name: Option<String>,
    /// The largest picture.
    #[schema(format = "uri")]
    pub url: Option<String>,
    /// The smallest.
    #[schema(format = "uri")]
    pub preview: Option<String>,
    /// For an `<img>`: every version with its width.
    pub srcset: Option<String>,
    /// For a `<source type="image/webp">` before that `<img>`: the same widths, as WebP where it exists. Null without
    /// WebP.
    pub srcset_webp: Option<String>,
    pub link: Option<String>,
    pub width: Option<u32>,
    pub height: Option<u32>,
    pub thumbhash: Option<String>,
    /// The place receipt. A view or click that returns it beside its `data` proves the rank at which the image was
    /// served. Null outside of a page.
    #[schema(max_length = 24)]
    pub place: Option<String>,
    #[serde(flatten)]
    numbers: Numbers,
}

/// The counters of an item, for keys only.
#[derive(Debug, Default, Serialize, ToSchema)]
#[schema(as = GalleryItemNumbers)]
struct Numbers {
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    weight: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    views: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    clicks: Option<u64>,
    /// The views and clicks by which a guarded gallery ranks.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    counted_views: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    counted_clicks: Option<u64>,
}

/// Finds the page's order and its start in it.
pub async fn place(flow: &Flow, ranked: Arc<Ranked>, asked: Asked) -> Result<Placed> {
    let head = ranked.head().ok_or(Error::NotFound("gallery"))?;
    let limit = asked.limit.unwrap_or(head.gallery.page_size as usize).max(1);
    let class = asked.wanted.class;
    let (named, wanted, start) = match asked.start {
        Start::First => (None, asked.wanted, 0),
        Start::Cursor(Cursor { order_id, strategy, snapshot, place, .. }) => {
            let wanted = Wanted { class, strategy: Some(strategy), snapshot };
            (Some(order_id), wanted, place as usize)
        }
        Start::Page { number, order_id } => {
            let start = usize::try_from(number.saturating_sub(1)).unwrap_or(usize::MAX).saturating_mul(limit);
            (order_id, asked.wanted, start)
        }
    };
    let kept = match named {
        Some(order_id) => flow.orders.kept_slice(&ranked, (class, order_id), start, limit).await?,
        None => None,
    };
    let restarted = named.is_some() && kept.is_none();
    let slice = match kept {
        Some(slice) => slice,
        None => flow.orders.newest_slice(&ranked, wanted, start, limit).await?,
    };
    let (window, hour) = (Window::at(flow, class), receipt::hour_of(flow.clock.real_now()));
    Ok(Placed { ranked, head, slice, start, limit, restarted, window, hour })
}

impl Placed {
    /// The content of an `ETag`. Equal bytes have equal validators.
    pub fn validator(&self) -> String {
        let parts = format!(
            "{} {} {:?} {:?} {} {} {} {} {}",
            self.slice.head.order_id,
            self.head.item_revision,
            self.head.rules_since,
            self.slice.head.class,
            self.window,
            self.start,
            self.limit,
            self.restarted,
            self.hour
        );
        URL_SAFE_NO_PAD.encode(&sha256(parts.as_bytes())[..15])
    }

    /// The sealed cursor of the next page; `None` at the end.
    pub fn next(&self, secrets: &Secrets) -> Option<String> {
        let place = self.start.checked_add(self.limit).filter(|place| *place < self.images())?;
        let OrderHead { gallery_id, order_id, strategy, snapshot, .. } = self.slice.head;
        let cursor = Cursor { gallery_id, order_id, strategy, snapshot, place: u32::try_from(place).ok()? };
        Some(cursor.seal(secrets))
    }

    /// The settings of the gallery that the page is of.
    pub fn gallery(&self) -> &Gallery {
        &self.head.gallery
    }

    /// Images in the whole order.
    pub fn images(&self) -> usize {
        self.slice.head.images as usize
    }

    /// The page as JSON.
    pub async fn json(&self, flow: &Flow) -> Result<Bytes> {
        let write = |page: &Page| serde_json::to_vec(page).map_err(|error| Error::internal("writing a page", error));
        self.written(flow, "page", write).await
    }

    /// The page as `write` writes it: from the cache, where `form` is part of the key, or by one query. Images hidden
    /// after the order was published are left out, so a page may be shorter than its limit.
    pub async fn written(
        &self,
        flow: &Flow,
        form: &str,
        write: impl FnOnce(&Page) -> Result<Vec<u8>>,
    ) -> Result<Bytes> {
        let key = format!("{form}:{}", self.validator());
        // Without the cache the page only takes longer.
        if let Ok(Some(bytes)) = flow.cache.get(&key).await {
            return Ok(bytes);
        }
        let bytes = Bytes::from(write(&self.read(flow).await?)?);
        if let Err(error) = flow.cache.set(&key, bytes.clone(), CACHED).await {
            tracing::debug!(%error, "a page could not be cached");
        }
        Ok(bytes)
    }

    async fn read(&self, flow: &Flow) -> Result<Page> {
        let Slice { head, start, entries } = &self.slice;
        let ordinals: Vec<u32> = entries.iter().map(|entry| entry.ordinal).collect();
        let shown = self.ranked.shows(&ordinals, head.class);
        let shown: Vec<(usize, &OrderEntry)> =
            (*start..).zip(entries).zip(shown).filter_map(|(placed, shown)| shown.then_some(placed)).collect();
        let ordinals: Vec<u32> = shown.iter().map(|(_, entry)| entry.ordinal).collect();
        let read = flow.catalog.gallery_items(head.gallery_id, &ordinals).await?;
        let mut read: HashMap<u32, GalleryItem> = read.into_iter().map(|item| (item.ordinal, item)).collect();
        let links = Links::at(flow);
        let items = shown.into_iter().filter_map(|(rank, entry)| {
            let served = Served { ordinal: entry.ordinal, rank: u16::try_from(rank).unwrap_or(u16::MAX) };
            let place = receipt::seal(&flow.secrets, head.gallery_id, served, self.hour);
            let read = read.remove(&entry.ordinal)?;
            Some(Item { place: Some(place), ..item(&links, head, (Some(rank), entry), read) })
        });
        Ok(Page {
            gallery_id: head.gallery_id,
            order_id: head.order_id,
            strategy: head.strategy,
            published_at: head.published_at,
            restarted: self.restarted,
            items: items.collect(),
            next_cursor: self.next(&flow.secrets),
        })
    }
}

/// One image of a gallery as the class sees it now, with its rank and numbers in the newest order. `NotFound` if the
/// class does not see it.
pub async fn one_item(flow: &Flow, ranked: &Arc<Ranked>, class: AccessClass, image_id: ImageId) -> Result<Item> {
    let read = read_one(flow, ranked, class, image_id).await?;
    let wanted = Wanted { class, strategy: None, snapshot: 0 };
    let (head, place, entry) = flow.orders.find(ranked, wanted, read.ordinal).await?;
    Ok(item(&Links::at(flow), &head, (place, &entry), read))
}

async fn read_one(flow: &Flow, ranked: &Ranked, class: AccessClass, image_id: ImageId) -> Result<GalleryItem> {
    let ordinal = flow.catalog.gallery_ordinal(ranked.gallery_id(), image_id).await?;
    let ordinal = ordinal.filter(|ordinal| ranked.shows(&[*ordinal], class) == [true]);
    let ordinal = ordinal.ok_or(Error::NotFound("image"))?;
    flow.catalog.gallery_items(ranked.gallery_id(), &[ordinal]).await?.pop().ok_or(Error::NotFound("image"))
}

/// The preview of an image.
pub enum Preview {
    /// A dataset image is at its own address.
    At(String),
    Bytes(PreviewBytes),
}

pub struct PreviewBytes {
    pub content_type: String,
    /// Equal bytes have equal validators.
    pub validator: String,
    pub bytes: Bytes,
}

/// The catalog's record of an image's preview.
#[derive(Serialize, Deserialize)]
struct KnownPreview {
    ordinal: u32,
    /// The address of a dataset image.
    url: Option<String>,
    /// The object key and media type of the smallest version.
    version: Option<(String, String)>,
}

/// The smallest version of an image that the class sees, from the cache or the objects.
pub async fn preview(flow: &Flow, ranked: &Ranked, class: AccessClass, image_id: ImageId) -> Result<Preview> {
    let known = known_preview(flow, ranked, image_id).await?;
    if ranked.shows(&[known.ordinal], class) != [true] {
        return Err(Error::NotFound("image"));
    }
    if let Some(url) = known.url {
        return web_address::served(url).map(Preview::At).ok_or(Error::NotFound("picture"));
    }
    let (object_key, content_type) = known.version.ok_or(Error::NotFound("version"))?;
    let object = ObjectKey::parse(&object_key);
    let object = object.ok_or_else(|| Error::Corrupt(format!("{object_key} is not an object key")))?;
    let key = format!("preview:{object_key}");
    let bytes = match flow.cache.get(&key).await {
        Ok(Some(bytes)) => bytes,
        Ok(None) | Err(_) => {
            let bytes = flow.objects.get(&object).await?.ok_or(Error::NotFound("version"))?;
            if let Err(error) = flow.cache.set(&key, bytes.clone(), CACHED).await {
                tracing::debug!(%error, "a preview could not be cached");
            }
            bytes
        }
    };
    let validator = object_key.replace('/', "-");
    Ok(Preview::Bytes(PreviewBytes { content_type, validator, bytes }))
}

/// From the cache, or by two queries. The key holds the revision of the gallery's items, which rises with every change
/// of one. A cached entry therefore equals the catalog's.
async fn known_preview(flow: &Flow, ranked: &Ranked, image_id: ImageId) -> Result<KnownPreview> {
    let gallery_id = ranked.gallery_id();
    let item_revision = ranked.head().ok_or(Error::NotFound("gallery"))?.item_revision;
    let key = format!("preview of:{gallery_id} {item_revision} {image_id}");
    if let Ok(Some(json)) = flow.cache.get(&key).await
        && let Ok(known) = serde_json::from_slice(&json)
    {
        return Ok(known);
    }
    let ordinal = flow.catalog.gallery_ordinal(gallery_id, image_id).await?.ok_or(Error::NotFound("image"))?;
    let item = flow.catalog.gallery_items(gallery_id, &[ordinal]).await?.pop().ok_or(Error::NotFound("image"))?;
    let smallest = item.versions.into_iter().find(|version| version.content_type != Webp::CONTENT_TYPE);
    let version = smallest.map(|version| (version.object_key, version.content_type));
    let known = KnownPreview { ordinal, url: item.url, version };
    let json = serde_json::to_vec(&known).map_err(|error| Error::internal("keeping a preview", error))?;
    if let Err(error) = flow.cache.set(&key, json.into(), CACHED).await {
        tracing::debug!(%error, "the record of a preview could not be cached");
    }
    Ok(known)
}

/// An item with its index and numbers in an order.
fn item(links: &Links, order: &OrderHead, (place, entry): (Option<usize>, &OrderEntry), item: GalleryItem) -> Item {
    let counted = order.guard.then_some(entry.counted);
    let numbers = match order.class {
        AccessClass::Project => Numbers {
            weight: Some(order.factors.weight(entry.counts.views, entry.counts.clicks)),
            views: Some(entry.counts.views),
            clicks: Some(entry.counts.clicks),
            counted_views: counted.map(|counted| counted.views),
            counted_clicks: counted.map(|counted| counted.clicks),
        },
        _ => Numbers::default(),
    };
    let links = links.of_item(&item);
    Item {
        position: place.map(|place| place as u64 + 1),
        image_id: item.image_id,
        external_id: item.external_id,
        name: item.name.or(Some(item.filename)),
        url: links.largest,
        preview: links.smallest,
        srcset: links.srcset,
        srcset_webp: links.srcset_webp,
        link: item.link.and_then(web_address::served),
        width: item.width,
        height: item.height,
        thumbhash: item.thumbhash.map(|hash| STANDARD.encode(hash)),
        place: None,
        numbers,
    }
}
