//! The owner's rules over a strategy, in this order: exclude, boost or bury, the strategy itself, group cap, pin.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use serde::{Deserialize, Serialize};

use crate::{ImageId, Timestamp};

/// The images that a rule applies to.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Selector {
    ImageId(ImageId),
    ExternalId(String),
    /// Every image with the tag.
    Tag(String),
}

/// The time in which a rule applies: from `from` (included) to `until` (excluded); unbounded where one is missing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Period {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

impl Period {
    pub fn holds(self, now: Timestamp) -> bool {
        self.from.is_none_or(|from| from <= now) && self.until.is_none_or(|until| now < until)
    }
}

/// One rule of a kind: what it does, to which images, when.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rule<T> {
    #[serde(flatten)]
    pub images: Selector,
    #[serde(flatten)]
    pub does: T,
    #[serde(flatten)]
    pub period: Period,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exclude {}

/// Multiplies scores: above 1 boosts, below 1 buries.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Boost {
    pub factor: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pin {
    /// From 1.
    pub position: u32,
}

/// At most `max` images of a group within each `within` consecutive ranks from the top. A group is the images with the
/// same first tag of the prefix.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupCap {
    pub tag_prefix: String,
    pub max: u32,
    pub within: u32,
}

/// The rules of a gallery as its owner wrote them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Rules {
    pub exclude: Vec<Rule<Exclude>>,
    pub boost: Vec<Rule<Boost>>,
    pub group_cap: Option<GroupCap>,
    pub pin: Vec<Rule<Pin>>,
    /// The order of the strategy `manual`; other images follow, newest first.
    pub manual: Vec<Selector>,
}

impl Rules {
    /// All selectors that the rules name.
    pub fn selectors(&self) -> impl Iterator<Item = &Selector> {
        let excluded = self.exclude.iter().map(|rule| &rule.images);
        let boosted = self.boost.iter().map(|rule| &rule.images);
        let pinned = self.pin.iter().map(|rule| &rule.images);
        excluded.chain(boosted).chain(pinned).chain(&self.manual)
    }

    /// The span around `now` in which the same rules apply.
    pub fn period_at(&self, now: Timestamp) -> Period {
        let excluded = self.exclude.iter().map(|rule| rule.period);
        let boosted = self.boost.iter().map(|rule| rule.period);
        let pinned = self.pin.iter().map(|rule| rule.period);
        let ends = excluded.chain(boosted).chain(pinned).flat_map(|period| [period.from, period.until]).flatten();
        Period { from: ends.clone().filter(|end| *end <= now).max(), until: ends.filter(|end| *end > now).min() }
    }

    /// The group cap and the manual order count as one rule each.
    pub fn change_from(&self, before: &Rules) -> RulesChange {
        let (now, then) = (self.texts(), before.texts());
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        RulesChange { added: count(now.difference(&then).count()), removed: count(then.difference(&now).count()) }
    }

    /// Each rule as text, for comparisons of long lists.
    fn texts(&self) -> HashSet<String> {
        fn of<T: Serialize>(kind: &'static str, rules: &[T]) -> impl Iterator<Item = String> {
            rules.iter().map(move |rule| format!("{kind} {}", serde_json::to_string(rule).unwrap_or_default()))
        }
        let manual = if self.manual.is_empty() { &[][..] } else { std::slice::from_ref(&self.manual) };
        of("exclude", &self.exclude)
            .chain(of("boost", &self.boost))
            .chain(of("pin", &self.pin))
            .chain(of("group_cap", self.group_cap.as_slice()))
            .chain(of("manual", manual))
            .collect()
    }
}

/// How many rules a change adds and removes. A rule that is changed counts in both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RulesChange {
    pub added: u32,
    pub removed: u32,
}

/// Rules with the images that they select.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FoundRules {
    pub rules: Rules,
    /// The ordinals of each selector's images.
    pub images: BTreeMap<Selector, Vec<u32>>,
    /// The group of each image that is in one.
    pub groups: HashMap<u32, u32>,
}

impl FoundRules {
    fn of(&self, selector: &Selector) -> &[u32] {
        self.images.get(selector).map_or(&[], Vec::as_slice)
    }

    /// The rules that apply at a time.
    pub fn at(&self, now: Timestamp) -> RulesInForce {
        let mut in_force = RulesInForce::default();
        for rule in self.rules.exclude.iter().filter(|rule| rule.period.holds(now)) {
            in_force.excluded.extend(self.of(&rule.images));
        }
        for rule in self.rules.boost.iter().filter(|rule| rule.period.holds(now)) {
            for ordinal in self.of(&rule.images) {
                *in_force.boosts.entry(*ordinal).or_insert(1.0) *= rule.does.factor;
            }
        }
        for rule in self.rules.pin.iter().filter(|rule| rule.period.holds(now)) {
            for ordinal in self.of(&rule.images) {
                // The first of several pins of one image counts.
                if in_force.pins.iter().all(|(_, pinned)| pinned != ordinal) {
                    in_force.pins.push((rule.does.position.saturating_sub(1), *ordinal));
                }
            }
        }
        in_force.pins.sort_by_key(|(place, _)| *place);
        if let Some(cap) = &self.rules.group_cap {
            in_force.cap = Some((cap.max.max(1), cap.within.max(1)));
            in_force.groups.clone_from(&self.groups);
        }
        let arranged: Vec<u32> = self.rules.manual.iter().flat_map(|selector| self.of(selector)).copied().collect();
        for (place, ordinal) in (0u32..).zip(arranged.iter().rev()) {
            in_force.manual.insert(*ordinal, place + 1);
        }
        in_force
    }
}

/// The rules at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RulesInForce {
    excluded: HashSet<u32>,
    boosts: HashMap<u32, f64>,
    /// Ranks from 0, sorted, with the images pinned there.
    pins: Vec<(u32, u32)>,
    /// At most this many images of a group within this many ranks.
    cap: Option<(u32, u32)>,
    groups: HashMap<u32, u32>,
    /// The image with the higher number comes earlier.
    manual: HashMap<u32, u32>,
}

impl RulesInForce {
    pub fn is_empty(&self) -> bool {
        *self == RulesInForce::default()
    }

    pub fn excludes(&self, ordinal: u32) -> bool {
        self.excluded.contains(&ordinal)
    }

    /// The factor of the image's score.
    pub fn boost(&self, ordinal: u32) -> f64 {
        self.boosts.get(&ordinal).copied().unwrap_or(1.0)
    }

    pub(super) fn boosts(&self) -> bool {
        !self.boosts.is_empty()
    }

    /// The rank that the image is pinned to, from 0.
    pub fn pin(&self, ordinal: u32) -> Option<u32> {
        self.pins.iter().find(|(_, pinned)| *pinned == ordinal).map(|(place, _)| *place)
    }

    /// Zero for an image that the owner did not arrange.
    pub(super) fn manual(&self, ordinal: u32) -> u32 {
        self.manual.get(&ordinal).copied().unwrap_or(0)
    }

    /// Spreads groups, then places pins. Keeps the images of `order`.
    pub(super) fn arrange(&self, order: Vec<u32>) -> Vec<u32> {
        let order = self.spread_groups(order);
        if self.pins.is_empty() {
            return order;
        }
        let held: HashSet<u32> = order.iter().copied().collect();
        let mut pins = self.pins.iter().filter(|(_, ordinal)| held.contains(ordinal)).peekable();
        let mut free = order.iter().copied().filter(|ordinal| self.pin(*ordinal).is_none()).peekable();
        let mut arranged = Vec::with_capacity(order.len());
        while arranged.len() < order.len() {
            // A rank that is taken, or beyond the end, gives the next free one.
            let due = pins.peek().is_some_and(|(place, _)| *place as usize <= arranged.len() || free.peek().is_none());
            arranged.extend(if due { pins.next().map(|(_, ordinal)| *ordinal) } else { free.next() });
        }
        arranged
    }

    /// An image beyond its group's cap waits for the next stretch of ranks and comes first there. The cap yields when
    /// no other image is left.
    fn spread_groups(&self, order: Vec<u32>) -> Vec<u32> {
        let Some((max, within)) = self.cap else { return order };
        let mut spread = Vec::with_capacity(order.len());
        let mut rest = order.into_iter();
        let mut waiting = VecDeque::new();
        loop {
            let mut taken = HashMap::<u32, u32>::new();
            let mut passed_over = VecDeque::new();
            for _ in 0..within {
                let free = loop {
                    let Some(next) = waiting.pop_front().or_else(|| rest.next()) else { break None };
                    let Some(group) = self.groups.get(&next) else { break Some(next) };
                    let taken = taken.entry(*group).or_default();
                    if *taken < max {
                        *taken += 1;
                        break Some(next);
                    }
                    passed_over.push_back(next);
                };
                match free.or_else(|| passed_over.pop_front()) {
                    Some(next) => spread.push(next),
                    None => return spread,
                }
            }
            passed_over.append(&mut waiting);
            waiting = passed_over;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(micros: i64) -> Timestamp {
        Timestamp::from_micros(micros)
    }

    #[test]
    fn a_change_of_rules_counts_those_that_are_new_and_those_that_are_gone() {
        let pin = |tag: &str, position| Rule {
            images: Selector::Tag(tag.to_owned()),
            does: Pin { position },
            period: Period::default(),
        };
        let change = |added, removed| RulesChange { added, removed };
        let none = Rules::default();
        let some = Rules { pin: vec![pin("a", 1), pin("b", 2)], ..Rules::default() };
        let other =
            Rules { pin: vec![pin("b", 2), pin("a", 3)], manual: vec![Selector::Tag("c".to_owned())], ..none.clone() };
        assert_eq!(some.change_from(&none), change(2, 0));
        assert_eq!(none.change_from(&some), change(0, 2));
        assert_eq!(other.change_from(&some), change(2, 1), "another position, and a manual order");
        assert_eq!(some.change_from(&some.clone()), RulesChange::default());
    }

    #[test]
    fn a_rule_holds_from_its_beginning_to_before_its_end() {
        let period = Period { from: Some(at(10)), until: Some(at(20)) };
        let holds: Vec<i64> = (8..22).filter(|micros| period.holds(at(*micros))).collect();
        assert_eq!(holds, (10..20).collect::<Vec<_>>());
        let rule = Rule { images: Selector::Tag("a".to_owned()), does: Boost { factor: 2.0 }, period };
        let rules = Rules { boost: vec![rule], ..Rules::default() };
        let [before, after] = [Period { from: None, until: period.from }, Period { from: period.until, until: None }];
        assert_eq!([9, 10, 19, 20].map(|now| rules.period_at(at(now))), [before, period, period, after]);
    }

    #[test]
    fn rules_read_back_as_they_were_written() {
        let rules = Rules {
            pin: vec![Rule {
                images: Selector::ExternalId("sku-1".to_owned()),
                does: Pin { position: 3 },
                period: Period { from: None, until: Some(at(5)) },
            }],
            manual: vec![Selector::Tag("x".to_owned())],
            ..Rules::default()
        };
        let text = serde_json::to_string(&rules).expect("JSON");
        assert_eq!(serde_json::from_str::<Rules>(&text).expect("rules"), rules);
    }

    proptest! {
        #[test]
        fn an_arranged_order_holds_the_same_images_with_pins_in_their_places(
            images in 1..60u32,
            pins in prop::collection::btree_map(0..80u32, 0..60u32, 0..8),
            cap in prop::option::of((1..4u32, 1..12u32)),
            groups in prop::collection::hash_map(0..60u32, 0..4u32, 0..60),
        ) {
            let order: Vec<u32> = (0..images).rev().collect();
            let mut in_force = RulesInForce { cap, groups, ..RulesInForce::default() };
            for (place, ordinal) in pins {
                if in_force.pin(ordinal).is_none() {
                    in_force.pins.push((place, ordinal));
                }
            }
            let arranged = in_force.arrange(order.clone());
            let mut held = arranged.clone();
            held.sort_unstable();
            prop_assert_eq!(held, (0..images).collect::<Vec<_>>());
            let mut there: Vec<(u32, u32)> =
                in_force.pins.iter().copied().filter(|(_, ordinal)| *ordinal < images).collect();
            there.retain(|(place, _)| *place < images - 8.min(images));
            for (place, ordinal) in there {
                prop_assert_eq!(arranged[place as usize], ordinal);
            }
        }

        #[test]
        fn no_stretch_of_places_holds_more_of_a_group_than_the_cap(
            groups in prop::collection::vec(0..5u32, 1..80),
            max in 1..4u32,
            within in 1..12u32,
        ) {
            let order: Vec<u32> = (0..).take(groups.len()).collect();
            let groups: HashMap<u32, u32> = (0..).zip(groups).collect();
            let in_force = RulesInForce { cap: Some((max, within)), groups: groups.clone(), ..RulesInForce::default() };
            let spread = in_force.arrange(order);
            for (number, stretch) in spread.chunks(within as usize).enumerate() {
                let mut counts = HashMap::<u32, u32>::new();
                for (place, ordinal) in stretch.iter().enumerate() {
                    if counts.get(&groups[ordinal]).is_some_and(|count| *count >= max) {
                        // Only where every image that is left is of a group that has had its share here.
                        let left = &spread[number * within as usize + place..];
                        prop_assert!(left.iter().all(|left| counts.get(&groups[left]).is_some_and(|count| *count >= max)));
                        break;
                    }
                    *counts.entry(groups[ordinal]).or_default() += 1;
                }
            }
        }
    }
}
