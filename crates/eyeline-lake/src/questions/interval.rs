//! Calendar intervals in UTC.

use eyeline_core::Timestamp;
use jiff::civil::date;
use jiff::tz::TimeZone;

pub(super) const MICROS_PER_HOUR: i64 = 3_600_000_000;
const MICROS_PER_DAY: i64 = 24 * MICROS_PER_HOUR;
const MICROS_PER_WEEK: i64 = 7 * MICROS_PER_DAY;
/// 1970-01-01 was a Thursday.
const FIRST_MONDAY: i64 = 4 * MICROS_PER_DAY;

/// Hours, days, weeks from Monday on, and months.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interval {
    Hour,
    Day,
    Week,
    Month,
}

impl Interval {
    pub fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "hour" => Interval::Hour,
            "day" => Interval::Day,
            "week" => Interval::Week,
            "month" => Interval::Month,
            _ => return None,
        })
    }

    /// The number of the interval of the time. Neighbours have consecutive numbers.
    pub fn number(self, time: Timestamp) -> i64 {
        match self {
            Interval::Hour => time.micros().div_euclid(MICROS_PER_HOUR),
            Interval::Day => time.micros().div_euclid(MICROS_PER_DAY),
            Interval::Week => time.micros().saturating_sub(FIRST_MONDAY).div_euclid(MICROS_PER_WEEK),
            Interval::Month => {
                let instant = jiff::Timestamp::from_microsecond(time.micros()).unwrap_or_default();
                let day = TimeZone::UTC.to_datetime(instant).date();
                i64::from(day.year()) * 12 + i64::from(day.month()) - 1
            }
        }
    }

    /// The start of the interval with this number.
    pub fn begin(self, number: i64) -> Timestamp {
        let micros = match self {
            Interval::Hour => number.saturating_mul(MICROS_PER_HOUR),
            Interval::Day => number.saturating_mul(MICROS_PER_DAY),
            Interval::Week => number.saturating_mul(MICROS_PER_WEEK).saturating_add(FIRST_MONDAY),
            Interval::Month => {
                let year = i16::try_from(number.div_euclid(12)).unwrap_or(i16::MAX).clamp(-9998, 9998);
                let month = i8::try_from(number.rem_euclid(12)).unwrap_or(0) + 1;
                let first = TimeZone::UTC.to_timestamp(date(year, month, 1).at(0, 0, 0, 0)).unwrap_or_default();
                first.as_microsecond()
            }
        };
        Timestamp::from_micros(micros)
    }
}
