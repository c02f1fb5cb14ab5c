//! JPEG files of every layout through the whole image pipeline, whole ones and damaged ones.
#![no_main]

use arbitrary::{Arbitrary, Unstructured};
use eyeline_fuzz::jpeg::Recipe;
use eyeline_fuzz::{number_of, pipeline};
use libfuzzer_sys::{Corpus, fuzz_target};

fuzz_target!(|bytes: &[u8]| -> Corpus {
    let mut bytes = Unstructured::new(bytes);
    let Ok(recipe) = Recipe::arbitrary(&mut bytes) else { return Corpus::Reject };
    let file = recipe.write(bytes.take_rest());
    let size = pipeline::check(&file, number_of(&file)).map(|made| (made.width, made.height));
    assert!(!recipe.is_sound() || size == Ok(recipe.upright()), "a sound file: {size:?} {recipe:?}");
    Corpus::Keep
});
