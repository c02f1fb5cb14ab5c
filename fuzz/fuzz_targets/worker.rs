//! What a server makes of a worker that says anything: first the bytes as they are, then as the text of one message.
#![no_main]

use eyeline_core::PRESETS;
use eyeline_image::fuzzing::{honest_reply, worker_reply};
use eyeline_image::{ImageError, Made};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    check(bytes, bytes);
    // The text up to a zero is framed as the server expects it, and the rest is the memory.
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    let length = (end as u32).to_le_bytes();
    check(&[&length, &bytes[..end]].concat(), bytes.get(end + 1..).unwrap_or_default());
});

fn check(said: &[u8], memory: &[u8]) {
    for presets in [&PRESETS[..1], &PRESETS] {
        let Ok(reply) = worker_reply(said, memory, presets) else { continue };
        if let Ok(made) = &reply {
            assert!(made.width >= 1 && made.height >= 1 && made.versions.len() == presets.len());
            for (version, preset) in made.versions.iter().zip(presets) {
                assert!(version.name == preset.name && version.content_type.starts_with("image/"));
                assert!(!version.bytes.is_empty(), "a version without bytes");
                assert!(version.width >= 1 && version.height >= 1, "an empty version");
                assert!(version.width <= preset.width && version.height <= preset.height, "larger than its box");
            }
            assert!(
                made.thumbhash.len() <= 64 && total(made) <= said.len() + memory.len(),
                "bytes that were never sent"
            );
        }
        let (said, memory) = honest_reply(&reply).expect("writes");
        let again = worker_reply(&said, &memory, presets);
        assert!(same(&again.expect("an honest reply is read"), &reply), "what was read says the same again");
    }
}

fn total(made: &Made) -> usize {
    made.thumbhash.len() + made.versions.iter().map(|version| version.bytes.len()).sum::<usize>()
}

fn same(a: &Result<Made, ImageError>, b: &Result<Made, ImageError>) -> bool {
    match (a, b) {
        (Ok(a), Ok(b)) => a == b,
        (Err(a), Err(b)) => a.code == b.code && a.sentence == b.sentence,
        _ => false,
    }
}
