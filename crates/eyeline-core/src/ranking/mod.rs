//! How a gallery is put in order: its settings, what is known of its images, and the sequence that follows from both.

mod columns;
mod sequence;
mod settings;

pub use columns::{Columns, Counts, CountsSnapshot, RankedImage};
pub use sequence::{resequence, sequence};
pub use settings::{Ranking, Strategy};
