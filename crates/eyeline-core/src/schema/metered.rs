//! An event as the validator sees it: every access to a part is paid from a budget.
//!
//! The validator cannot be interrupted. Once the budget is spent, every part looks empty, so that loops end and the
//! validator returns soon. Its verdict is then discarded.

use std::borrow::Cow;
use std::cell::Cell;
use std::ops::ControlFlow;

use jsonschema::JsonType;
use jsonschema::json::{Array, Json, Node, NodeIdentity, Object, SerdeJson, cmp, unique};
use serde_json::{Map, Number, Value};

/// Bytes of an error, besides what it copies.
pub(super) const ERROR_BYTES: u64 = 512;
/// Bytes of a value in memory besides its text, and of a node of an object's tree.
const VALUE_BYTES: u64 = 32;
const NODE_BYTES: u64 = 640;
/// Minimum members of a node.
const NODE_MEMBERS: usize = 5;
/// Bytes of memory that are filled in the time of one step.
const BYTES_A_STEP: u64 = 32;
/// Bytes of text that are counted, compared or hashed in the time of one step.
const TEXT_BYTES_A_STEP: u64 = 32;
/// Below this number of items `uniqueItems` compares all pairs.
const FEW_ITEMS: u64 = 16;

/// The prices of accesses under one schema.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Prices {
    /// Steps for each item or member.
    pub(super) part: u64,
    /// Steps for each byte of a member's name.
    pub(super) name_byte: u64,
    /// Steps for each access to a number.
    pub(super) number: u64,
    /// Bytes that an error may copy from the schema.
    pub(super) error: u64,
}

/// The rest of the budget of one judgement.
pub(super) struct Meter {
    prices: Prices,
    steps: Cell<u64>,
    bytes: Cell<u64>,
}

impl Meter {
    pub(super) fn new(prices: Prices, steps: u64, bytes: u64) -> Self {
        Meter { prices, steps: Cell::new(steps), bytes: Cell::new(bytes) }
    }

    /// Pays; false if the budget is spent.
    #[inline]
    fn pay(&self, steps: u64) -> bool {
        let left = self.steps.get().saturating_sub(steps);
        self.steps.set(left);
        left > 0
    }

    fn pay_bytes(&self, bytes: u64) -> bool {
        let left = self.bytes.get().saturating_sub(bytes);
        self.bytes.set(left);
        if left == 0 {
            self.steps.set(0);
        }
        self.pay(bytes / BYTES_A_STEP)
    }

    /// The budget is spent: the verdict is discarded.
    pub(super) fn is_spent(&self) -> bool {
        self.steps.get() == 0
    }
}

/// A part of an event.
#[derive(Clone, Copy)]
pub(super) struct Part<'a> {
    value: &'a Value,
    meter: &'a Meter,
    /// Bytes of its path.
    path: u64,
}

impl<'a> Part<'a> {
    pub(super) fn root(value: &'a Value, meter: &'a Meter) -> Self {
        Part { value, meter, path: 0 }
    }

    /// Pays for a search through `text`; false if the budget is spent.
    pub(super) fn pay_text(&self, text: &str, steps_a_byte: u64) -> bool {
        self.meter.pay((text.len() as u64).saturating_mul(steps_a_byte))
    }

    #[inline]
    fn look<T>(&self, found: Option<T>) -> Option<T> {
        found.filter(|_| self.meter.pay(1))
    }
}

/// Approximate bytes of a value in memory.
pub(super) fn bytes(value: &Value) -> u64 {
    VALUE_BYTES
        + match value {
            Value::Null | Value::Bool(_) | Value::Number(_) => 0,
            Value::String(text) => text.len() as u64,
            Value::Array(items) => items.iter().map(bytes).sum(),
            Value::Object(members) => {
                let nodes = members.len().div_ceil(NODE_MEMBERS) as u64 * NODE_BYTES;
                nodes + members.iter().map(|(name, value)| name.len() as u64 + bytes(value)).sum::<u64>()
            }
        }
}

/// The number of parts of a value; a text counts by its length.
fn weight(value: &Value) -> u64 {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 1,
        Value::String(text) => 1 + text.len() as u64 / TEXT_BYTES_A_STEP,
        Value::Array(items) => 1 + items.iter().map(weight).sum::<u64>(),
        Value::Object(members) => {
            let name = |name: &String| 1 + name.len() as u64 / TEXT_BYTES_A_STEP;
            1 + members.iter().map(|(key, value)| name(key) + weight(value)).sum::<u64>()
        }
    }
}

/// Parts that carry a meter.
pub(super) struct Metered;

impl Json for Metered {
    type Node<'a> = Part<'a>;
    type PreparedKey = String;
    type StringBuffer = String;

    const KEYS_PER_LOOKUP: usize = SerdeJson::KEYS_PER_LOOKUP;
    const ACYCLIC: bool = true;

    fn prepare_key(key: &str) -> String {
        key.to_owned()
    }

    /// The validator takes names from their object, which has a meter. Without one nothing can be paid.
    fn with_string_node<T>(_: &mut String, string: &str, f: impl FnOnce(Part<'_>) -> T) -> T {
        let meter = Meter::new(Prices::default(), 0, 0);
        f(Part::root(&Value::from(string), &meter))
    }
}

impl<'a> Node<'a, Metered> for Part<'a> {
    type Object = Members<'a>;
    type Array = Items<'a>;
    type Number = &'a Number;

    fn as_object(&self) -> Option<Members<'a>> {
        let members = self.look(self.value.as_object())?;
        Some(Members { members, meter: self.meter, path: self.path })
    }

    fn as_array(&self) -> Option<Items<'a>> {
        let items = self.look(self.value.as_array())?;
        Some(Items { items, meter: self.meter, path: self.path })
    }

    fn as_string(&self) -> Option<Cow<'a, str>> {
        let text = self.value.as_str()?;
        self.meter.pay(1 + text.len() as u64 / TEXT_BYTES_A_STEP).then_some(Cow::Borrowed(text))
    }

    fn as_number(&self) -> Option<&'a Number> {
        match self.value {
            Value::Number(number) => self.meter.pay(self.meter.prices.number).then_some(number),
            _ => None,
        }
    }

    fn is_number(&self) -> bool {
        self.meter.pay(1) && self.value.is_number()
    }

    fn as_boolean(&self) -> Option<bool> {
        self.look(self.value.as_bool())
    }

    fn is_null(&self) -> bool {
        self.meter.pay(1) && self.value.is_null()
    }

    fn json_type(&self) -> JsonType {
        if !self.meter.pay(1) {
            return JsonType::Null;
        }
        Node::<SerdeJson>::json_type(&self.value)
    }

    fn string_length(&self) -> Option<u64> {
        self.look(Node::<SerdeJson>::string_length(&self.value))
    }

    fn string_length_within(&self, min: u64, max: u64) -> Option<bool> {
        let text = self.value.as_str()?;
        let is_paid = self.meter.pay(1 + text.len() as u64 / TEXT_BYTES_A_STEP);
        is_paid.then(|| Node::<SerdeJson>::string_length_within(&self.value, min, max)).flatten()
    }

    fn equals_value(&self, expected: &Value) -> bool {
        self.meter.pay(weight(self.value)) && cmp::equal(self.value, expected)
    }

    /// Every error calls this. An error within another (a branch of `anyOf`) copies the value. An error that was made
    /// after the budget was spent holds a null.
    fn to_value(&self) -> Cow<'a, Value> {
        let is_paid =
            !self.meter.is_spent() && self.meter.pay_bytes(self.meter.prices.error + self.path + bytes(self.value));
        if is_paid { Cow::Borrowed(self.value) } else { Cow::Owned(Value::Null) }
    }

    fn identity(&self) -> Option<NodeIdentity> {
        Node::<SerdeJson>::identity(&self.value)
    }
}

pub(super) struct Members<'a> {
    members: &'a Map<String, Value>,
    meter: &'a Meter,
    path: u64,
}

impl<'a> Object<'a, Metered> for Members<'a> {
    type Node = Part<'a>;
    type MemberName = &'a str;
    type MembersIter = MembersIter<'a>;

    fn len(&self) -> usize {
        self.members.len()
    }

    fn get(&self, key: &String) -> Option<Part<'a>> {
        let value = self.meter.pay(2).then(|| self.members.get(key)).flatten()?;
        Some(Part { value, meter: self.meter, path: self.path + 1 + key.len() as u64 })
    }

    fn members(&self) -> MembersIter<'a> {
        MembersIter { members: self.members.iter(), meter: self.meter, path: self.path }
    }

    fn try_for_each_name_node<B>(
        &self,
        buffer: &mut String,
        mut f: impl FnMut(Part<'_>) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        for (name, part) in self.members() {
            buffer.clear();
            buffer.push_str(name);
            let text = Value::String(std::mem::take(buffer));
            let flow = f(Part { value: &text, meter: self.meter, path: part.path });
            if let Value::String(text) = text {
                *buffer = text;
            }
            flow?;
        }
        ControlFlow::Continue(())
    }
}

pub(super) struct MembersIter<'a> {
    members: serde_json::map::Iter<'a>,
    meter: &'a Meter,
    path: u64,
}

impl<'a> Iterator for MembersIter<'a> {
    type Item = (&'a str, Part<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let (name, value) = self.members.next()?;
        let (meter, bytes) = (self.meter, name.len() as u64);
        let is_paid = meter.pay(meter.prices.part + bytes * meter.prices.name_byte);
        is_paid.then_some((name.as_str(), Part { value, meter, path: self.path + 1 + bytes }))
    }
}

pub(super) struct Items<'a> {
    items: &'a [Value],
    meter: &'a Meter,
    path: u64,
}

impl<'a> Array<'a, Metered> for Items<'a> {
    type Node = Part<'a>;
    type ElementsIter = ItemsIter<'a>;

    fn len(&self) -> usize {
        self.items.len()
    }

    fn elements(&self) -> ItemsIter<'a> {
        ItemsIter { items: self.items.iter(), meter: self.meter, path: self.path + 6 }
    }

    /// Arrays and objects can be made so that all have one hash: then each is compared with each.
    fn is_unique(&self) -> bool {
        let count = self.items.len() as u64;
        let have_parts = self.items.iter().any(|item| item.is_array() || item.is_object());
        let comparisons = if have_parts || count < FEW_ITEMS { count.div_ceil(2) } else { 2 };
        let weight = self.items.iter().map(weight).sum::<u64>();
        self.meter.pay(weight.saturating_mul(comparisons)) && unique::is_unique(self.items)
    }
}

pub(super) struct ItemsIter<'a> {
    items: std::slice::Iter<'a, Value>,
    meter: &'a Meter,
    path: u64,
}

impl<'a> Iterator for ItemsIter<'a> {
    type Item = Part<'a>;

    fn next(&mut self) -> Option<Part<'a>> {
        let value = self.items.next()?;
        let meter = self.meter;
        meter.pay(meter.prices.part).then_some(Part { value, meter, path: self.path })
    }
}
