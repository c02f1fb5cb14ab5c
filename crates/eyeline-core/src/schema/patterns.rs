//! Regular expressions: their cost, and the keyword `pattern`, which pays for what it reads.

use std::borrow::Cow;
use std::sync::Arc;

use jsonschema::json::Node as _;
use jsonschema::{Keyword, ValidationError};
use jsonschema_regex::to_rust_regex;
use regex::{Regex, RegexBuilder};
use regex_syntax::hir::{Class, Hir, HirKind};

use super::metered::{Metered, Part};
use super::{STEPS_MAX, cut};

/// Bytes of a compiled pattern.
pub(super) const BYTES_MAX: usize = 256 * 1024;
/// Bytes of a pattern and the memory of its searches, besides its places.
const BYTES: u64 = 64 * 1024;
/// Bytes of each place, and of each range of a character class, in the compiled pattern.
const PLACE_BYTES: u64 = 64;
const RANGE_BYTES: u64 = 80;
/// Any pattern can judge a text of this many bytes.
const TEXT_BYTES: u64 = 1_000;
/// Places of a pattern at which a search may be at one time. Each byte of a text can cost this many steps.
const PLACES_MAX: u64 = STEPS_MAX / TEXT_BYTES;
/// Number of ranges of a character class that cost about as much as a place.
const CLASS_RANGES: u64 = 16;

/// The parts of a pattern, repetitions counted.
#[derive(Clone, Copy, Default)]
struct Size {
    places: u64,
    bytes: u64,
}

impl Size {
    fn of(pattern: &Hir) -> Size {
        let places = |places: u64| Size { places, bytes: places * PLACE_BYTES };
        match pattern.kind() {
            HirKind::Empty | HirKind::Look(_) => places(1),
            HirKind::Literal(literal) => places(literal.0.len() as u64),
            HirKind::Class(class) => {
                let ranges = match class {
                    Class::Unicode(class) => class.ranges().len() as u64,
                    Class::Bytes(class) => class.ranges().len() as u64,
                };
                Size { places: 1 + ranges / CLASS_RANGES, bytes: PLACE_BYTES + ranges * RANGE_BYTES }
            }
            HirKind::Repetition(repeated) => {
                let times = u64::from(repeated.max.unwrap_or(repeated.min).max(1));
                let Size { places, bytes } = Size::of(&repeated.sub);
                Size { places: places.saturating_mul(times), bytes: bytes.saturating_mul(times) }
            }
            HirKind::Capture(captured) => Size::of(&captured.sub),
            HirKind::Concat(parts) | HirKind::Alternation(parts) => {
                parts.iter().map(Size::of).fold(Size::default(), |sum, part| Size {
                    places: sum.places.saturating_add(part.places),
                    bytes: sum.bytes.saturating_add(part.bytes),
                })
            }
        }
    }
}

/// The keyword `pattern`. Clones share the compiled pattern.
#[derive(Clone)]
pub(super) struct Pattern {
    regex: Regex,
    /// Steps for each byte of a text that is searched.
    pub(super) places: u64,
    /// Approximate bytes of memory.
    pub(super) bytes: u64,
    sentence: Arc<str>,
}

impl Pattern {
    /// The error is a sentence.
    pub(super) fn compile(text: &str) -> Result<Self, String> {
        let unusable = |cause: String| {
            cut(format!("This is no regular expression that can be used: {}", cause.trim_end_matches('.'))) + "."
        };
        // Without a translation the text itself shows what is wrong.
        let rust = to_rust_regex(text).unwrap_or(Cow::Borrowed(text));
        let hir = regex_syntax::parse(&rust).map_err(|error| {
            unusable(match error {
                regex_syntax::Error::Parse(error) => error.kind().to_string(),
                regex_syntax::Error::Translate(error) => error.kind().to_string(),
                error => error.to_string(),
            })
        })?;
        let builder = RegexBuilder::new(&rust).size_limit(BYTES_MAX).dfa_size_limit(BYTES_MAX).build();
        let too_large = format!("it takes more than {} KiB when it is compiled: repeat less", BYTES_MAX / 1024);
        let regex = builder.map_err(|_| unusable(too_large))?;
        let Size { places, bytes } = Size::of(&hir);
        if places > PLACES_MAX {
            return Err(format!(
                "A search by this pattern can be at {places} places at one time, and at most {PLACES_MAX} are taken: \
                 repeat less, or use maxLength for a length and enum for a list of texts."
            ));
        }
        let sentence = cut(format!("This does not match {}", serde_json::Value::from(text))).into();
        Ok(Pattern { regex, places, bytes: BYTES + bytes, sentence })
    }
}

impl<'i> Keyword<'i, Metered> for Pattern {
    fn validate(&self, part: Part<'i>) -> Result<(), ValidationError<'i>> {
        if self.is_valid(part) { Ok(()) } else { Err(ValidationError::custom(&*self.sentence)) }
    }

    fn is_valid(&self, part: Part<'i>) -> bool {
        let Some(text) = part.as_string() else { return true };
        part.pay_text(&text, self.places) && self.regex.is_match(&text)
    }
}
