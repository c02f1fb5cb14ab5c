//! Ranking of a gallery: its settings, the knowledge about its images, and the sequence that follows from both.

mod base;
mod columns;
pub mod estimate;
mod evidence;
pub mod experiment;
mod guard;
mod learnt;
mod prior;
mod reckoner;
mod record;
pub mod rules;
mod score;
mod sequence;
mod settings;

pub use base::{Piece, PieceKind};
pub use columns::{Columns, Counts, CountsSnapshot, RankedImage};
pub use evidence::Evidence;
pub use guard::{Deed, Guard, NETWORK_VIEWS_MAX, SOURCES_MAX, SourceState, Undone, Verdict, Visit};
pub use learnt::{Act, Learnt, Taught};
pub use prior::Prior;
pub use reckoner::{Reckoned, Reckoner};
pub use record::{OrderEntry, OrderHead, OrderRecord};
pub use rules::{FoundRules, Rules, RulesInForce};
pub use score::{Appeal, BOUND, Basis, CTR_VIEWS, Scorer, TEMPER, hash_of, snapshot_of};
pub use sequence::{resequence, sequence};
pub use settings::{Ranking, RankingPatch, Strategy};
