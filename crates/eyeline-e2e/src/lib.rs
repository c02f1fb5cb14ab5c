//! Drives the built binary from outside, on every set of engines.
