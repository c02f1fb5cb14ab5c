//! Parsers of the server, by their sources: its other crates would be compiled for nothing.

#[path = "../../crates/eyeline/src/api/dataset/array.rs"]
mod array;
#[path = "../../crates/eyeline/src/api/dataset/cells.rs"]
mod cells;
#[path = "../../crates/eyeline/src/api/dataset/csv.rs"]
mod csv;
#[path = "../../crates/eyeline/src/flow/gallery/page/cursor.rs"]
pub mod cursor;
#[path = "../../crates/eyeline/src/api/dataset/map.rs"]
pub mod map;
#[path = "../../crates/eyeline/src/api/dataset/rows.rs"]
pub mod rows;
