//! Orders in pages under any change: properties of cursors, pins, exclusions and expiry for all galleries and all
//! sequences of events.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::time::Duration;

use eyeline_core::Timestamp;
use http::StatusCode;
use proptest::prelude::{Just, any, prop, prop_oneof};
use proptest::strategy::Strategy as Generator;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

use crate::galleries::{Shop, names, new_gallery, string};
use crate::ranking::STRATEGIES;

/// Runs `test` on `cases` cases, each in a new gallery of one shop, at the same time of the clock.
fn check<C: Debug>(cases: u32, of: impl Generator<Value = C>, test: impl AsyncFn(&Shop, C)) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let shop = RefCell::new(runtime.block_on(Shop::open()));
    let run = |case| {
        let mut shop = shop.borrow_mut();
        runtime.block_on(async {
            shop.server.app.clock.set_offset(0);
            shop.gallery_id = new_gallery(&shop).await;
            test(&shop, case).await;
        });
        Ok(())
    };
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    TestRunner::new(config).run(&of, run).unwrap_or_else(|failure| panic!("{failure}"));
}

fn sku(number: usize) -> String {
    format!("sku-{number}")
}

/// The images of a page by name.
fn items(page: &Value) -> BTreeMap<String, Value> {
    let items = page["items"].as_array().expect("items").iter();
    items.map(|item| (string(&item["external_id"]), item.clone())).collect()
}

/// A change of a gallery. Image numbers are taken modulo their count.
#[derive(Clone, Debug)]
enum Change {
    Acts { picture: usize, clicks: usize },
    Exclude(Vec<usize>),
    Pin { picture: usize, position: u32 },
    Strategy(&'static str),
    TakeOut(usize),
    PutBack(usize),
    Add,
    Publish,
}

fn change() -> impl Generator<Value = Change> {
    let picture = any::<usize>();
    prop_oneof![
        4 => (picture, 0..4usize).prop_map(|(picture, clicks)| Change::Acts { picture, clicks }),
        1 => prop::collection::vec(picture, 0..4).prop_map(Change::Exclude),
        1 => (picture, 1..9u32).prop_map(|(picture, position)| Change::Pin { picture, position }),
        1 => prop::sample::select(&STRATEGIES).prop_map(Change::Strategy),
        1 => picture.prop_map(Change::TakeOut),
        1 => picture.prop_map(Change::PutBack),
        1 => Just(Change::Add),
        4 => Just(Change::Publish),
    ]
}

/// The state that a walk through a gallery needs about changes.
struct World<'a> {
    shop: &'a Shop,
    pictures: usize,
    ids: BTreeMap<String, String>,
    excluded: BTreeSet<String>,
    taken_out: BTreeSet<String>,
}

impl World<'_> {
    fn hides(&self, name: &str) -> bool {
        self.excluded.contains(name) || self.taken_out.contains(name)
    }

    async fn happen(&mut self, change: Change) {
        let pictures = self.pictures;
        let name = |picture: usize| sku(picture % pictures);
        match change {
            Change::Acts { picture, clicks } => {
                self.shop.send("view", &name(picture), 1).await;
                if clicks > 0 {
                    self.shop.send("click", &name(picture), clicks).await;
                }
            }
            Change::Exclude(pictures) => {
                self.excluded = pictures.into_iter().map(name).collect();
                let exclude: Vec<Value> = self.excluded.iter().map(|name| json!({"external_id": name})).collect();
                self.shop.rules(&json!({"exclude": exclude})).await;
            }
            Change::Pin { picture, position } => {
                self.excluded.clear();
                let pin = json!([{"external_id": name(picture), "position": position}]);
                self.shop.rules(&json!({"pin": pin})).await;
            }
            Change::Strategy(strategy) => self.shop.patch(json!({"strategy": strategy})).await,
            Change::TakeOut(picture) => self.list("DELETE", &name(picture)).await,
            Change::PutBack(picture) => self.list("PUT", &name(picture)).await,
            Change::Add => {
                let name = sku(self.pictures);
                let row = json!([{"external_id": name, "url": format!("https://cdn.example/{name}.jpg")}]);
                self.shop.load("application/json", row.to_string()).await;
                self.pictures += 1;
            }
            Change::Publish => drop(self.shop.refresh().await),
        }
    }

    async fn list(&mut self, method: &str, name: &str) {
        // An image added meanwhile is in no earlier order.
        let Some(image_id) = self.ids.get(name) else { return };
        let path = self.shop.path(&format!("/images/{image_id}"));
        let answer = self.shop.server.write(method, &path, &self.shop.key, &json!({})).await;
        assert_eq!(answer.status, StatusCode::NO_CONTENT, "{answer:?}");
        match method {
            "DELETE" => self.taken_out.insert(name.to_owned()),
            _ => self.taken_out.remove(name),
        };
    }
}

#[test]
fn a_walk_by_cursors_meets_every_image_of_its_order_once_unless_it_is_hidden() {
    let pages = prop::collection::vec((1..8usize, prop::collection::vec(change(), 0..4)), 1..10);
    let strategy = prop::sample::select(&STRATEGIES);
    check(40, (1..30usize, strategy, 0..9u128, pages), async |shop, (pictures, strategy, session, pages)| {
        shop.load_pictures(pictures).await;
        let session_id = uuid::Uuid::from_u128(session);
        let first_limit = pages[0].0;
        let first = shop.page(&format!("order={strategy}&session_id={session_id}&limit={first_limit}")).await;
        let order_id = string(&first["order_id"]);
        let begun = shop.page(&format!("order_id={order_id}&limit=100")).await;
        assert_eq!((&begun["restarted"], names(&begun).len()), (&Value::Null, pictures));
        let (order, begun) = (names(&begun), items(&begun));
        let ids = begun.iter().map(|(name, item)| (name.clone(), string(&item["image_id"]))).collect();
        let (excluded, taken_out) = (BTreeSet::new(), BTreeSet::new());
        let mut world = World { shop, pictures, ids, excluded, taken_out };
        let mut ever_hidden = BTreeSet::new();

        let mut met = names(&first);
        assert_eq!(met, order[..first_limit.min(pictures)]);
        let (mut place, mut page) = (first_limit, first);
        let mut next = pages.into_iter();
        while let Some(cursor) = page["next_cursor"].as_str().map(str::to_owned) {
            let (limit, changes) = next.next().unwrap_or((5, Vec::new()));
            for change in changes {
                world.happen(change).await;
                ever_hidden.extend(order.iter().filter(|name| world.hides(name)).cloned());
            }
            page = shop.page(&format!("limit={limit}&cursor={cursor}")).await;
            assert_eq!((string(&page["order_id"]), &page["restarted"]), (order_id.clone(), &Value::Null));
            let stretch = &order[place..(place + limit).min(pictures)];
            let shown: Vec<String> = stretch.iter().filter(|name| !world.hides(name)).cloned().collect();
            assert_eq!(names(&page), shown);
            for (name, item) in items(&page) {
                assert_eq!(item, begun[&name], "its place and numbers are those of the order");
            }
            met.extend(shown);
            place += limit;
        }
        assert!(place >= pictures, "the last page has no cursor, and only that one");
        let once: BTreeSet<&String> = met.iter().collect();
        assert_eq!(once.len(), met.len(), "nothing twice");
        assert!(order.iter().all(|name| once.contains(name) || ever_hidden.contains(name)), "nothing missed");
    });
}

/// The minutes at which a rule begins and ends; even numbers.
type Minutes = (Option<u64>, Option<u64>);

fn minutes() -> impl Generator<Value = Minutes> {
    let from = prop::option::of((0..6u64).prop_map(|number| 2 * number));
    let lasting = prop::option::of((1..6u64).prop_map(|number| 2 * number));
    (from, lasting).prop_map(|(from, lasting)| (from, lasting.map(|minutes| from.unwrap_or(0) + minutes)))
}

fn holds((from, until): Minutes, minute: u64) -> bool {
    from.is_none_or(|from| from <= minute) && until.is_none_or(|until| minute < until)
}

/// The rule for an image, as its owner writes it.
fn rule(base: Timestamp, picture: usize, (from, until): Minutes) -> Value {
    let at = |minute: u64| base.plus(Duration::from_secs(60 * minute)).to_string();
    json!({"external_id": sku(picture), "from": from.map(at), "until": until.map(at)})
}

/// The places of pinned images. A pin takes its own place, else the next free one, else one of the last places.
fn pinned_places(pins: &[(String, usize)], pictures: usize) -> Vec<(String, usize)> {
    let mut pins = pins.to_vec();
    pins.sort_by_key(|(_, place)| *place);
    let mut free = 0;
    let left = (1..=pins.len()).rev();
    let placed = pins.into_iter().zip(left).map(|((name, place), left)| {
        let place = place.max(free).min(pictures - left);
        free = place + 1;
        (name, place)
    });
    placed.collect()
}

#[test]
fn pins_and_exclusions_hold_in_every_order_from_their_beginning_to_their_end_and_no_longer() {
    let pin = (any::<usize>(), 1..18u32, minutes());
    let rules = (prop::collection::vec(pin, 0..5), prop::collection::vec((any::<usize>(), minutes()), 0..4));
    let cap = prop::option::of((1..3u32, 1..5u32));
    // Odd minutes, so that none is the start or end of a rule.
    let moments = prop::collection::btree_set((0..7u64).prop_map(|number| 2 * number + 1), 1..4);
    check(30, (1..15usize, rules, cap, moments), async |shop, (pictures, (pins, excludes), cap, moments)| {
        let rows: Vec<Value> = (0..pictures)
            .map(|number| {
                let url = format!("https://cdn.example/{number}.jpg");
                json!({"external_id": sku(number), "url": url, "tags": [format!("group:{}", number % 3)]})
            })
            .collect();
        shop.load("application/json", json!(rows).to_string()).await;
        let clock = &shop.server.app.clock;
        let base = clock.now();
        let pins: Vec<(usize, u32, Minutes)> =
            pins.into_iter().map(|(of, at, when)| (of % pictures, at, when)).collect();
        let excludes: Vec<(usize, Minutes)> = excludes.into_iter().map(|(of, when)| (of % pictures, when)).collect();
        // A visitor is half-way through an order without rules.
        let first = shop.page("limit=1").await;
        let order_id = string(&first["order_id"]);
        let begun = names(&shop.page(&format!("order_id={order_id}&limit=100")).await);

        let pin = pins.iter().map(|(picture, position, when)| {
            let mut rule = rule(base, *picture, *when);
            rule["position"] = json!(position);
            rule
        });
        let mut rules = json!({
            "pin": pin.collect::<Vec<Value>>(),
            "exclude": excludes.iter().map(|(picture, when)| rule(base, *picture, *when)).collect::<Vec<Value>>(),
        });
        if let Some((max, within)) = cap {
            rules["group_cap"] = json!({"tag_prefix": "group:", "max": max, "within": within});
        }
        shop.rules(&rules).await;
        for minute in moments {
            clock.set(base.plus(Duration::from_secs(60 * minute)));
            let holding = excludes.iter().filter(|(_, when)| holds(*when, minute));
            let excluded: BTreeSet<String> = holding.map(|(picture, _)| sku(*picture)).collect();
            let shown: Vec<String> = begun.iter().filter(|name| !excluded.contains(*name)).cloned().collect();
            // Immediately, on pages of the earlier order and of the newest one, even if they are cached.
            let old = shop.page(&format!("order_id={order_id}&limit=100")).await;
            assert_eq!((&old["restarted"], names(&old)), (&Value::Null, shown.clone()), "minute {minute}");
            if let Some(cursor) = first["next_cursor"].as_str() {
                let rest = names(&shop.page(&format!("limit=100&cursor={cursor}")).await);
                assert_eq!(
                    rest,
                    begun[1..].iter().filter(|name| !excluded.contains(*name)).cloned().collect::<Vec<_>>()
                );
            }
            assert!(names(&shop.page("limit=100").await).iter().all(|name| !excluded.contains(name)));

            shop.refresh().await;
            let mut in_force: Vec<(String, usize)> = Vec::new();
            for (picture, position, _) in pins.iter().filter(|(.., when)| holds(*when, minute)) {
                let name = sku(*picture);
                // Of several pins of one image the first counts.
                if !excluded.contains(&name) && in_force.iter().all(|(pinned, _)| *pinned != name) {
                    in_force.push((name, *position as usize - 1));
                }
            }
            for strategy in STRATEGIES {
                let order = names(&shop.page(&format!("order={strategy}&limit=100")).await);
                assert_eq!(
                    order.iter().collect::<BTreeSet<_>>(),
                    shown.iter().collect(),
                    "{strategy}, minute {minute}"
                );
                for (name, place) in pinned_places(&in_force, order.len()) {
                    assert_eq!(order[place], name, "{strategy}, minute {minute}: {order:?}");
                }
            }
        }
    });
}

#[derive(Clone, Debug)]
enum Visit {
    /// A visitor comes.
    First,
    /// An earlier visitor continues; the number is taken modulo the cursors.
    GoOn(usize),
    /// A visitor clicks, and a new order is published.
    Click(usize),
    /// Even numbers, so that no two add up to 15 minutes.
    Minutes(u64),
    /// Expired orders are dropped.
    Sweep,
}

fn visit() -> impl Generator<Value = Visit> {
    prop_oneof![
        2 => Just(Visit::First),
        4 => any::<usize>().prop_map(Visit::GoOn),
        3 => any::<usize>().prop_map(Visit::Click),
        3 => prop::sample::select(&[2u64, 6, 10, 14, 16, 40]).prop_map(Visit::Minutes),
        1 => Just(Visit::Sweep),
    ]
}

#[test]
fn an_order_is_kept_for_a_quarter_of_an_hour_after_its_last_page_and_then_gives_its_place_to_the_newest() {
    const PICTURES: usize = 9;
    check(40, prop::collection::vec(visit(), 1..25), async |shop, visits| {
        shop.load_pictures(PICTURES).await;
        let orders = &shop.server.app.orders;
        let clock = &shop.server.app.clock;
        let (mut minute, mut newest) = (0, None);
        // The minute of each order's last page, and the cursors of pages with their targets.
        let mut served: BTreeMap<String, u64> = BTreeMap::new();
        let mut cursors: Vec<(String, String, usize)> = Vec::new();
        for visit in visits {
            let page = match visit {
                Visit::First => shop.page("limit=2").await,
                Visit::GoOn(number) if !cursors.is_empty() => {
                    let (order_id, cursor, place) = cursors[number % cursors.len()].clone();
                    let page = shop.page(&format!("limit=2&cursor={cursor}")).await;
                    let kept = newest.as_ref() == Some(&order_id) || minute - served[&order_id] <= 15;
                    assert_eq!(string(&page["order_id"]) == order_id, kept);
                    assert_eq!(page["restarted"], if kept { Value::Null } else { json!(true) });
                    // It continues at the same position.
                    assert_eq!(page["items"][0]["position"], place + 1);
                    let whole = shop.page(&format!("limit=100&order_id={}", string(&page["order_id"]))).await;
                    assert_eq!(names(&page), names(&whole)[place..(place + 2).min(PICTURES)]);
                    page
                }
                Visit::GoOn(_) => continue,
                Visit::Click(picture) => {
                    shop.send("click", &sku(picture % PICTURES), 1).await;
                    newest = Some(string(&shop.refresh().await["order_id"]));
                    continue;
                }
                Visit::Minutes(minutes) => {
                    minute += minutes;
                    clock.set(clock.now().plus(Duration::from_secs(60 * minutes)));
                    continue;
                }
                Visit::Sweep => {
                    orders.sweep();
                    orders.sweep_records().await.expect("swept");
                    continue;
                }
            };
            let order_id = string(&page["order_id"]);
            if page["restarted"] == true || matches!(visit, Visit::First) {
                newest = Some(order_id.clone());
            }
            served.insert(order_id.clone(), minute);
            let place = page["items"][0]["position"].as_u64().expect("a position") as usize + 1;
            if let Some(cursor) = page["next_cursor"].as_str() {
                cursors.push((order_id, cursor.to_owned(), place));
            }
        }
    });
}

#[test]
fn a_cursor_is_taken_as_it_was_given_and_for_its_own_gallery_alone() {
    let forgery = (any::<prop::sample::Index>(), prop::sample::select(b"AZaz09-_.%2B=".as_slice()), any::<bool>());
    check(40, (2..9usize, forgery), async |shop, (pictures, (at, letter, cut))| {
        shop.load_pictures(pictures).await;
        let first = shop.page("limit=1").await;
        let cursor = string(&first["next_cursor"]);
        let at = at.index(cursor.len());
        let mut forged = cursor.clone().into_bytes();
        forged[at] = letter;
        if cut {
            forged.truncate(at);
        }
        let forged = String::from_utf8(forged).expect("letters");
        let ask = async |shop: &Shop, cursor: &str, key: &str| {
            shop.server.get(&shop.path(&format!("/images?cursor={cursor}")), key).await
        };
        let refused = ask(shop, &forged, &shop.key).await;
        if forged != cursor {
            assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{forged}");
            let sentence = "This has to be the next_cursor of a page of this gallery.";
            assert_eq!(refused.json()["errors"], json!({"cursor": [sentence]}));
        }
        assert_eq!(names(&ask(shop, &cursor, &shop.key).await.json()).len(), pictures - 1);

        // Not in another gallery, even of the same project. No key of another project finds this gallery.
        let beside = new_gallery(shop).await;
        let path = format!("/api/v1/galleries/{beside}/images?cursor={cursor}");
        let foreign = shop.server.get(&path, &shop.key).await;
        assert_eq!(foreign.status, StatusCode::BAD_REQUEST);
        assert!(foreign.json()["errors"]["cursor"].is_array(), "{foreign:?}");
        let stranger = shop.server.tenant("stranger").await;
        assert_eq!(ask(shop, &cursor, &stranger.secret_key).await.status, StatusCode::NOT_FOUND);
        // A visitor continues an owner's walk, in an order of the images that visitors see.
        let visitor = shop.visit(&format!("cursor={cursor}")).await.json();
        assert_eq!((&visitor["restarted"], &visitor["items"][0]["position"]), (&json!(true), &json!(2)));
    });
}
