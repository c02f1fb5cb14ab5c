//! Points in time, in microseconds since 1970 UTC: the unit that the API shows and both catalogs store.

use std::fmt;
use std::time::Duration;

use jiff::SignedDuration;
use jiff::civil::DateTime;
use jiff::fmt::temporal::DateTimeParser;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::ToSchema;

const PARSER: DateTimeParser = DateTimeParser::new();
const EPOCH: DateTime = DateTime::constant(1970, 1, 1, 0, 0, 0, 0);
/// The years 1 to 9999, in microseconds.
const YEARS: std::ops::Range<i64> = -62_135_596_800_000_000..253_402_300_800_000_000;

/// Microseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default, ToSchema)]
#[schema(
    value_type = String,
    format = DateTime,
    description = "A time: RFC 3339, answered in UTC with microseconds.",
    examples("2021-01-01T09:15:27.243860Z")
)]
pub struct Timestamp(i64);

impl Timestamp {
    pub const fn from_micros(micros: i64) -> Self {
        Timestamp(micros)
    }

    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Milliseconds since 1970, as UUIDv7 and JWT dates count (rounded down).
    pub const fn millis(self) -> i64 {
        self.0.div_euclid(1_000)
    }

    /// Whole minutes since 1970 (rounded down), zero before it.
    pub fn minute(self) -> u32 {
        u32::try_from(self.0.div_euclid(60_000_000)).unwrap_or(if self.0 < 0 { 0 } else { u32::MAX })
    }

    /// Later by `span`; saturates at the ends of the representable range.
    pub fn plus(self, span: Duration) -> Self {
        Timestamp(self.0.saturating_add(i64::try_from(span.as_micros()).unwrap_or(i64::MAX)))
    }

    /// Earlier by `span`; saturates at the ends of the representable range.
    pub fn minus(self, span: Duration) -> Self {
        Timestamp(self.0.saturating_sub(i64::try_from(span.as_micros()).unwrap_or(i64::MAX)))
    }

    /// The time from `earlier` to this one, zero when `earlier` is later.
    pub fn since(self, earlier: Timestamp) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// Reads RFC 3339 (`2021-01-01T09:15:27.243860Z`, any offset) and the plain `2021-01-01 09:15:27.243860`, which is
    /// taken as UTC. `None` for anything else, a date alone included, and outside of the years 1 to 9999. Digits beyond
    /// microseconds are cut.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > 40 || !text.contains([':']) {
            return None;
        }
        // The parser takes offsets of up to 25 hours; RFC 3339 has none of a day or more.
        let offset = text.get(10..).and_then(|clock| clock.rsplit_once(['+', '-']));
        let hours = offset.and_then(|(_, offset)| offset.get(..2)?.parse::<u8>().ok());
        if hours.is_some_and(|hours| hours > 23) {
            return None;
        }
        let instant = match text.parse::<jiff::Timestamp>() {
            Ok(instant) => Timestamp(instant.as_microsecond()),
            // Instants of jiff end a day before its dates do.
            Err(_) => {
                let pieces = PARSER.parse_pieces(text).ok()?;
                let ahead = pieces.to_numeric_offset().map_or(0, |offset| offset.seconds());
                let clock = pieces.date().to_datetime(pieces.time()?).duration_since(EPOCH);
                let micros = i64::try_from(clock.as_micros()).ok()?;
                Timestamp(micros.checked_sub(i64::from(ahead) * 1_000_000)?)
            }
        };
        YEARS.contains(&instant.0).then_some(instant)
    }
}

/// RFC 3339 in UTC with six digits of the second: `2021-01-01T09:15:27.243860Z`.
impl fmt::Display for Timestamp {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_microsecond(self.0) {
            Ok(instant) => write!(out, "{instant:.6}"),
            Err(_) => match EPOCH.checked_add(SignedDuration::from_micros(self.0)) {
                Ok(clock) => write!(out, "{clock:.6}Z"),
                Err(_) => write!(out, "{}us", self.0),
            },
        }
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Timestamp::parse(&text).ok_or_else(|| D::Error::custom("not a time such as 2021-01-01T09:15:27.243860Z"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn both_spellings_of_the_contract_are_the_same_instant() {
        let spaced = Timestamp::parse("2021-01-01 09:15:27.243860").expect("space form");
        let zoned = Timestamp::parse("2021-01-01T09:15:27.243860Z").expect("zoned form");
        assert_eq!(spaced, zoned);
        assert_eq!(spaced.to_string(), "2021-01-01T09:15:27.243860Z");
    }

    #[test]
    fn an_offset_is_turned_into_utc() {
        for wrong in ["2021-01-01T10:15:27+24:00", "2021-01-01T10:15:27-25:00", "2021-01-01T10:15:27+99:00"] {
            assert_eq!(Timestamp::parse(wrong), None, "{wrong}");
        }
        let time = Timestamp::parse("2021-01-01T10:15:27+01:00").expect("offset form");
        assert_eq!(time.to_string(), "2021-01-01T09:15:27.000000Z");
    }

    #[test]
    fn the_years_1_to_9999_are_read_to_their_ends() {
        for text in ["0001-01-01T00:00:00.000000Z", "9999-12-30T23:00:00.000000Z", "9999-12-31T23:59:59.999999Z"] {
            assert_eq!(Timestamp::parse(text).map(|time| time.to_string()).as_deref(), Some(text));
        }
        let offset = Timestamp::parse("9999-12-31T23:30:00-00:15").expect("a time of 9999");
        assert_eq!(offset.to_string(), "9999-12-31T23:45:00.000000Z");
        assert_eq!(Timestamp::parse("9999-12-31 23:59:59"), Timestamp::parse("9999-12-31T23:59:59Z"));
        for text in [
            "0000-12-31T23:59:59Z",
            "-000001-01-01T00:00:00Z",
            "9999-12-31T23:59:59-01:00",
            "0001-01-01T00:00:00+01:00",
        ] {
            assert_eq!(Timestamp::parse(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_not_a_time_is_refused() {
        for text in
            ["", "yesterday", "2021-01-01", "2021-13-01 00:00:00", "2021-01-01 25:00:00", "1609492527", "09:15:27"]
        {
            assert_eq!(Timestamp::parse(text), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_back(micros in YEARS) {
            let time = Timestamp::from_micros(micros);
            prop_assert_eq!(Timestamp::parse(&time.to_string()), Some(time));
        }
    }
}
