//! The owner's rules over a gallery's order.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use eyeline_core::ranking::rules::{Boost, Exclude, GroupCap, Period, Pin, Rule, Rules, Selector};
use eyeline_core::{GalleryId, ImageId, Timestamp};
use http::StatusCode;
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::galleries::Published;
use super::objects::managed_gallery;
use super::{Answer, Credential, Fields, JsonBody};
use crate::app::App;

/// Rules of one kind.
const RULES_MAX: usize = 1_000;
const MANUAL_MAX: usize = 10_000;
const NAME_CHARS_MAX: usize = 500;
const POSITION_MAX: u64 = 1_000_000;
const FACTORS: std::ops::RangeInclusive<f64> = 0.1..=10.0;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(set, show, clear))
}

/// The rules of a gallery. Every rule selects its images by exactly one of `image_id`, `external_id` and `tag`, and may
/// hold only `from` one time `until` another.
#[derive(ToSchema)]
#[schema(as = GalleryRules, example = json!({
    "pin": [{"image_id": "0198c0de-0000-7000-8000-00000000a003", "position": 1}]
}))]
#[expect(dead_code, reason = "only its description is used: bodies are read field by field")]
struct RulesBody {
    /// Hides images.
    #[schema(max_items = 1000)]
    exclude: Option<Vec<RuleBody>>,
    /// Multiplies scores.
    #[schema(max_items = 1000)]
    boost: Option<Vec<BoostBody>>,
    group_cap: Option<GroupCapBody>,
    /// Fixes images at positions.
    #[schema(max_items = 1000)]
    pin: Option<Vec<PinBody>>,
    /// The order of the strategy `manual`; images that are not named follow, newest first.
    #[schema(max_items = 10_000)]
    manual: Option<Vec<SelectorBody>>,
}

/// The rules of a gallery as they are stored.
#[derive(ToSchema)]
#[schema(as = StoredGalleryRules)]
#[expect(dead_code, reason = "describes the answer, which is the stored rules")]
struct RulesAnswer {
    exclude: Vec<RuleBody>,
    boost: Vec<BoostBody>,
    group_cap: Option<GroupCapBody>,
    pin: Vec<PinBody>,
    manual: Vec<SelectorBody>,
}

/// Exactly one of the three is present.
#[derive(ToSchema)]
#[schema(as = ImageSelector)]
#[expect(dead_code, reason = "only its description is used: bodies are read field by field")]
struct SelectorBody {
    #[schema(nullable = false)]
    image_id: Option<ImageId>,
    #[schema(nullable = false, min_length = 1, max_length = 500)]
    external_id: Option<String>,
    /// Selects every image with the tag.
    #[schema(nullable = false, min_length = 1, max_length = 500)]
    tag: Option<String>,
}

#[derive(ToSchema)]
#[schema(as = ExcludeRule)]
#[expect(dead_code, reason = "only its description is used: bodies are read field by field")]
struct RuleBody {
    #[serde(flatten)]
    images: SelectorBody,
    #[serde(flatten)]
    period: PeriodBody,
}

/// The time in which a rule holds: from `from`, included, to `until`, excluded.
#[derive(ToSchema)]
#[schema(as = RulePeriod)]
#[expect(dead_code, reason = "only its description is used: bodies are read field by field")]
struct PeriodBody {
    #[schema(nullable = false)]
    from: Option<Timestamp>,
    #[schema(nullable = false)]
    until: Option<Timestamp>,
}

#[derive(ToSchema)]
#[schema(as = BoostRule)]
#[expect(dead_code, reason = "only its description is used: bodies are read field by field")]
struct BoostBody {
    #[serde(flatten)]
    images: SelectorBody,
    /// The score is multiplied by it; a factor below 1 buries.
    #[schema(minimum = 0.1, maximum = 10)]
    factor: f64,
    #[serde(flatten)]
    period: PeriodBody,
}

#[derive(ToSchema)]
#[schema(as = PinRule)]
#[expect(dead_code, reason = "only its description is used: bodies are read field by field")]
struct PinBody {
    #[serde(flatten)]
    images: SelectorBody,
    /// From 1.
    #[schema(minimum = 1, maximum = 1_000_000)]
    position: u32,
    #[serde(flatten)]
    period: PeriodBody,
}

/// At most `max` images of a group in each `within` positions. A group is the images whose first tag with the prefix is
/// the same.
#[derive(ToSchema)]
#[schema(as = GroupCap)]
#[expect(dead_code, reason = "only its description is used: bodies are read field by field")]
struct GroupCapBody {
    #[schema(min_length = 1, max_length = 500)]
    tag_prefix: String,
    #[schema(minimum = 1, maximum = 1_000_000)]
    max: u32,
    /// The gallery's `page_size` by default.
    #[schema(nullable = false, minimum = 1, maximum = 1_000_000)]
    within: Option<u32>,
}

/// Set a gallery's rules
///
/// Replaces all rules. They hold on the next page, and apply in this order: `exclude`, `boost`, the strategy,
/// `group_cap`, `pin`.
#[utoipa::path(
    put, path = "/galleries/{gallery_id}/rules", operation_id = "set_gallery_rules", tag = "ranking",
    params(("gallery_id" = GalleryId, Path)), request_body = RulesBody,
    responses(
        (status = 200, body = Published<RulesAnswer>),
        (status = 202, body = Published<RulesAnswer>, description = "Stored; the new orders follow."),
    )
)]
async fn set(
    State(app): State<App>,
    credential: Credential,
    Path(gallery_id): Path<GalleryId>,
    JsonBody(body): JsonBody,
) -> Answer<(StatusCode, Json<Published<Rules>>)> {
    let gallery = managed_gallery(&app, &credential, gallery_id).await?;
    let mut fields = Fields::parse(&body)?;
    let rules = read_rules(&mut fields, gallery.page_size);
    fields.finish()?;
    app.catalog.set_gallery_rules(gallery_id, Some(rules.clone()), app.clock.now()).await?;
    Published::answer(&app, gallery_id, rules).await
}

/// Get a gallery's rules
#[utoipa::path(
    get, path = "/galleries/{gallery_id}/rules", operation_id = "get_gallery_rules", tag = "ranking",
    params(("gallery_id" = GalleryId, Path)), responses((status = 200, body = RulesAnswer))
)]
async fn show(
    State(app): State<App>,
    credential: Credential,
    Path(gallery_id): Path<GalleryId>,
) -> Answer<Json<Rules>> {
    managed_gallery(&app, &credential, gallery_id).await?;
    Ok(Json(app.catalog.gallery_rules(gallery_id).await?))
}

/// Delete a gallery's rules
#[utoipa::path(
    delete, path = "/galleries/{gallery_id}/rules", operation_id = "delete_gallery_rules", tag = "ranking",
    params(("gallery_id" = GalleryId, Path)), 
    responses(
        (status = 204),
        (status = 202, body = Published<RulesAnswer>, description = "Deleted; the new orders follow."),
    )
)]
async fn clear(State(app): State<App>, credential: Credential, Path(gallery_id): Path<GalleryId>) -> Answer<Response> {
    managed_gallery(&app, &credential, gallery_id).await?;
    app.catalog.set_gallery_rules(gallery_id, None, app.clock.now()).await?;
    let (status, published) = Published::answer(&app, gallery_id, Rules::default()).await?;
    let is_done = status == StatusCode::OK;
    Ok(if is_done { StatusCode::NO_CONTENT.into_response() } else { (status, published).into_response() })
}

fn read_rules(fields: &mut Fields, page_size: u32) -> Rules {
    Rules {
        exclude: read_list(fields, "exclude", RULES_MAX, |rule| read_rule(rule, |_| Some(Exclude {}))),
        boost: read_list(fields, "boost", RULES_MAX, |rule| read_rule(rule, read_boost)),
        group_cap: fields.object("group_cap").and_then(|given| {
            let mut given = Fields::new(given);
            let cap = read_group_cap(&mut given, page_size);
            if let Err(errors) = given.finish() {
                fields.errors_below("group_cap", errors);
            }
            cap
        }),
        pin: read_list(fields, "pin", RULES_MAX, |rule| read_rule(rule, read_pin)),
        manual: read_list(fields, "manual", MANUAL_MAX, read_selector),
    }
}

/// An array of objects. The errors of one are listed under its number.
fn read_list<T>(fields: &mut Fields, name: &str, count_max: usize, read: impl Fn(&mut Fields) -> Option<T>) -> Vec<T> {
    let items = match fields.value(name) {
        None => return Vec::new(),
        Some(Value::Array(items)) if items.len() <= count_max => items,
        Some(_) => {
            fields.error(name, format!("This has to be an array of at most {count_max} objects."));
            return Vec::new();
        }
    };
    let mut list = Vec::with_capacity(items.len());
    for (index, item) in items.into_iter().enumerate() {
        let Value::Object(item) = item else {
            fields.error(&format!("{name}.{index}"), "This has to be an object.");
            continue;
        };
        let mut item = Fields::new(item);
        list.extend(read(&mut item));
        if let Err(errors) = item.finish() {
            fields.errors_below(&format!("{name}.{index}"), errors);
        }
    }
    list
}

fn read_rule<T>(rule: &mut Fields, does: impl Fn(&mut Fields) -> Option<T>) -> Option<Rule<T>> {
    let images = read_selector(rule);
    let does = does(rule);
    let time = "a time such as 2021-01-01T09:15:27.243860Z";
    let period = Period {
        from: rule.parsed("from", time, Timestamp::parse),
        until: rule.parsed("until", time, Timestamp::parse),
    };
    if let (Some(from), Some(until)) = (period.from, period.until)
        && until <= from
    {
        rule.error("until", "This has to be after from.");
    }
    Some(Rule { images: images?, does: does?, period })
}

fn read_selector(rule: &mut Fields) -> Option<Selector> {
    let image_id = rule.id::<ImageId>("image_id").map(Selector::ImageId);
    let external_id = rule.text("external_id", NAME_CHARS_MAX).map(Selector::ExternalId);
    let tag = rule.text("tag", NAME_CHARS_MAX).map(Selector::Tag);
    let mut given = [image_id, external_id, tag].into_iter().flatten();
    let (first, second) = (given.next(), given.next());
    if !rule.has_errors() && (first.is_none() || second.is_some()) {
        rule.error("image_id", "One of image_id, external_id and tag is required, and only one.");
    }
    first
}

fn read_boost(rule: &mut Fields) -> Option<Boost> {
    rule.require("factor");
    let given = rule.value("factor")?;
    let factor = given.as_f64().filter(|factor| FACTORS.contains(factor));
    if factor.is_none() {
        rule.error("factor", format!("This has to be a number from {} to {}.", FACTORS.start(), FACTORS.end()));
    }
    factor.map(|factor| Boost { factor })
}

fn read_pin(rule: &mut Fields) -> Option<Pin> {
    rule.require("position");
    let position = rule.integer("position", 1..=POSITION_MAX)?;
    u32::try_from(position).ok().map(|position| Pin { position })
}

fn read_group_cap(given: &mut Fields, page_size: u32) -> Option<GroupCap> {
    let tag_prefix = given.required_text("tag_prefix", NAME_CHARS_MAX);
    given.require("max");
    let max = given.integer("max", 1..=POSITION_MAX).and_then(|max| u32::try_from(max).ok());
    let within = given.integer("within", 1..=POSITION_MAX).and_then(|within| u32::try_from(within).ok());
    Some(GroupCap { tag_prefix: tag_prefix?, max: max?, within: within.unwrap_or(page_size) })
}
