//! Background tasks of a process: they call the flow and own no rule.
