//! Event types as small numbers.

use arrow_array::{Array as _, RecordBatch};
use hashbrown::HashMap;

use super::EventType;
use crate::batch::Columns;
use crate::budget::{Budget, Held};
use crate::error::Result;
use crate::schema::Column;

/// Assigns consecutive numbers to types in the order of occurrence.
#[derive(Default)]
pub(crate) struct Types {
    numbers: HashMap<EventType, u32>,
    types: Vec<EventType>,
    bytes: usize,
    held: Option<Held>,
}

impl Types {
    /// The number of each wanted row's type.
    pub(crate) fn read(&mut self, batch: &RecordBatch, rows: &[u32], budget: &Budget) -> Result<Vec<u32>> {
        const UNKNOWN: u32 = u32::MAX;
        let columns = Columns(batch);
        let (categories, names) = (columns.words(Column::Category)?, columns.words(Column::Name)?);
        let width = names.values.len();
        // Caches the number of each pair of words of the batch.
        let mut known: HashMap<usize, u32> = HashMap::new();
        let mut table = Vec::new();
        let small = categories.values.len().saturating_mul(width) <= 1 << 16;
        if small {
            table = vec![UNKNOWN; categories.values.len() * width];
        }
        let mut numbers = Vec::with_capacity(rows.len());
        for row in rows {
            let row = *row as usize;
            let pair = categories.key(row) * width + names.key(row);
            let mut number = if small { table[pair] } else { known.get(&pair).copied().unwrap_or(UNKNOWN) };
            if number == UNKNOWN {
                number = self.number(categories.at(row), names.at(row));
                if small {
                    table[pair] = number;
                } else {
                    known.insert(pair, number);
                }
            }
            numbers.push(number);
        }
        match &mut self.held {
            Some(held) => held.set(self.bytes)?,
            None => self.held = Some(budget.hold(self.bytes)?),
        }
        Ok(numbers)
    }

    pub(crate) fn number(&mut self, category: &str, name: &str) -> u32 {
        let found = EventType { category: category.to_owned(), name: name.to_owned() };
        if let Some(number) = self.numbers.get(&found) {
            return *number;
        }
        let number = u32::try_from(self.types.len()).unwrap_or(u32::MAX - 1);
        self.bytes += 2 * (size_of::<EventType>() + category.len() + name.len()) + 16;
        self.types.push(found.clone());
        self.numbers.insert(found, number);
        number
    }

    pub(crate) fn get(&self, number: u32) -> EventType {
        self.types[number as usize].clone()
    }

    pub(crate) fn len(&self) -> usize {
        self.types.len()
    }
}
