//! From images and counters to published orders and their pages.

pub mod clear;
pub mod dataset;
pub mod page;
pub mod rank;
pub mod why;
