//! From images and counters to published orders and their pages.

pub mod answers;
pub mod clear;
pub mod dataset;
pub mod estimate;
pub mod page;
pub mod rank;
pub mod why;
