//! Bytes in, bytes out: probe, decode within limits, fit, encode.
