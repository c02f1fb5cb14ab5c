//! Any bytes through the whole image pipeline.
#![no_main]

use eyeline_fuzz::{number_of, pipeline};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|file: &[u8]| {
    let _either = pipeline::check(file, number_of(file));
});
