//! The steps of the product. A step never calls the next one: it leaves a record.

pub mod rank;
