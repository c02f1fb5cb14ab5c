//! The steps of the product, in five wings. A step never calls the next one: it stores a record, which the next step
//! finds.

pub mod event;
pub mod gallery;
pub mod hints;
pub mod lake;
pub mod notify;
pub mod photo;
mod turns;
