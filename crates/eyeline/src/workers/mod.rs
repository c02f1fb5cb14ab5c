//! Background tasks of a process: they call the flow and own no rule.

pub mod clear;
pub mod rank;
