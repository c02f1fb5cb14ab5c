//! Every engine that keeps something, behind few traits, with one suite they all pass.
