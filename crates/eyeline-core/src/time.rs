//! Points in time, in microseconds since 1970 UTC: the unit that the API shows and both catalogs store.

use std::fmt;
use std::time::Duration;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::ToSchema;

/// Microseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default, ToSchema)]
#[schema(value_type = String, format = DateTime, examples("2021-01-01T09:15:27.243860Z"))]
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
    /// taken as UTC. `None` for anything else, a date alone included. Digits beyond microseconds are cut.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > 40 || !text.contains([':']) {
            return None;
        }
        let instant = match text.parse::<jiff::Timestamp>() {
            Ok(instant) => instant,
            Err(_) => text.parse::<DateTime>().ok()?.to_zoned(TimeZone::UTC).ok()?.timestamp(),
        };
        Some(Timestamp(instant.as_microsecond()))
    }
}

/// RFC 3339 in UTC with six digits of the second: `2021-01-01T09:15:27.243860Z`.
impl fmt::Display for Timestamp {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_microsecond(self.0) {
            Ok(instant) => write!(out, "{instant:.6}"),
            Err(_) => write!(out, "{}us", self.0),
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
        let time = Timestamp::parse("2021-01-01T10:15:27+01:00").expect("offset form");
        assert_eq!(time.to_string(), "2021-01-01T09:15:27.000000Z");
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
        fn what_is_shown_reads_back(micros in -60_000_000_000_000_000i64..250_000_000_000_000_000) {
            let time = Timestamp::from_micros(micros);
            prop_assert_eq!(Timestamp::parse(&time.to_string()), Some(time));
        }
    }
}
