//! Compiled schemas within a bound in bytes. The most recently used ones stay.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use eyeline_core::Schema;

/// Bytes that an entry takes in addition to its schema.
const ENTRY_BYTES: u64 = 512;

/// The cache by version. `None` stands for a version that takes any object.
pub struct Compiled<K> {
    bytes_max: u64,
    state: Mutex<State<K>>,
}

struct State<K> {
    entries: HashMap<K, Entry>,
    bytes: u64,
    /// The number of uses so far, which orders entries by recency.
    uses: u64,
}

struct Entry {
    schema: Option<Arc<Schema>>,
    used: u64,
}

impl Entry {
    fn bytes(&self) -> u64 {
        ENTRY_BYTES + self.schema.as_ref().map_or(0, |schema| schema.bytes())
    }
}

impl<K: Eq + Hash> Compiled<K> {
    pub fn new(bytes_max: u64) -> Self {
        let state = State { entries: HashMap::new(), bytes: 0, uses: 0 };
        Compiled { bytes_max, state: Mutex::new(state) }
    }

    pub fn get(&self, key: &K) -> Option<Option<Arc<Schema>>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.uses += 1;
        let uses = state.uses;
        let entry = state.entries.get_mut(key)?;
        entry.used = uses;
        Some(entry.schema.clone())
    }

    /// Keeps the schema. While the bytes exceed the bound, drops the less recently used half.
    pub fn insert(&self, key: K, schema: Option<Arc<Schema>>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.uses += 1;
        let entry = Entry { schema, used: state.uses };
        state.bytes += entry.bytes();
        if let Some(replaced) = state.entries.insert(key, entry) {
            state.bytes -= replaced.bytes();
        }
        while state.bytes > self.bytes_max && state.entries.len() > 1 {
            let mut uses: Vec<u64> = state.entries.values().map(|entry| entry.used).collect();
            let middle = uses.len() / 2;
            let (_, median, _) = uses.select_nth_unstable(middle);
            let median = *median;
            state.entries.retain(|_, entry| entry.used >= median);
            state.bytes = state.entries.values().map(Entry::bytes).sum();
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_most_recently_used_schemas_stay_within_the_bytes() {
        let schema = || Some(Arc::new(Schema::compile(&json!({"enum": vec!["x"; 1_000]})).expect("a schema")));
        let bytes = schema().expect("a schema").bytes() + ENTRY_BYTES;
        let compiled = Compiled::new(bytes * 10);
        for number in 0..100 {
            compiled.insert(number, schema());
            assert!(compiled.get(&0).is_some(), "it is used all the time");
            assert!(compiled.state.lock().expect("the state").bytes <= bytes * 10);
        }
        assert!(compiled.get(&99).is_some());
        assert!(compiled.get(&1).is_none());
        compiled.insert(1, None);
        assert!(matches!(compiled.get(&1), Some(None)));
    }

    #[test]
    fn one_schema_beyond_the_bytes_is_kept_until_the_next_one() {
        let compiled = Compiled::new(1);
        let schema = || Some(Arc::new(Schema::compile(&json!(true)).expect("a schema")));
        compiled.insert(1, schema());
        assert!(compiled.get(&1).is_some());
        compiled.insert(2, schema());
        assert!(compiled.get(&1).is_none() && compiled.get(&2).is_some());
    }
}
