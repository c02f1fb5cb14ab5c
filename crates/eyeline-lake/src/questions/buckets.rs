//! Time buckets by the clocks of a time zone.

use eyeline_core::Timestamp;

use super::interval::{Interval, MICROS_PER_HOUR};
use crate::zone::Zone;

/// Hours, days, weeks or months without gaps, also where clocks change: a day may have 23 or 25 hours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Buckets {
    pub interval: Interval,
    pub zone: Zone,
}

impl From<Interval> for Buckets {
    fn from(interval: Interval) -> Self {
        Buckets { interval, zone: Zone::UTC }
    }
}

impl Buckets {
    /// The start of the bucket that holds this time.
    pub fn begin_of(&self, time: Timestamp) -> Timestamp {
        if self.interval == Interval::Hour && !self.zone.is_utc() {
            let ahead = self.zone.ahead(time);
            let begin = (time.micros() + ahead).div_euclid(MICROS_PER_HOUR) * MICROS_PER_HOUR - ahead;
            // A clock change within an hour begins a new hour.
            let change = self.zone.change_before(time).map_or(i64::MIN, Timestamp::micros);
            return Timestamp::from_micros(begin.max(change));
        }
        self.begin(self.number(time))
    }

    /// The start of the bucket after the one that begins at `begin`.
    pub fn after(&self, begin: Timestamp) -> Timestamp {
        if self.interval == Interval::Hour && !self.zone.is_utc() {
            let ahead = self.zone.ahead(begin);
            let end = ((begin.micros() + ahead).div_euclid(MICROS_PER_HOUR) + 1) * MICROS_PER_HOUR - ahead;
            let change = self.zone.change_after(begin).map_or(i64::MAX, Timestamp::micros);
            return Timestamp::from_micros(end.min(change));
        }
        self.begin(self.number(begin) + 1)
    }

    /// The number of the day, week or month of the time. Neighbours have consecutive numbers. Hours have numbers only
    /// in UTC.
    pub(crate) fn number(&self, time: Timestamp) -> i64 {
        let number = self.interval.number(Timestamp::from_micros(self.zone.local(time)));
        // If clocks go back over midnight, they show the previous day once more.
        number + i64::from(!self.zone.is_utc() && self.begin(number + 1) <= time)
    }

    pub(crate) fn begin(&self, number: i64) -> Timestamp {
        self.zone.first_time(self.interval.begin(number).micros())
    }

    /// The start of the period that is `count` periods before the one of this time.
    pub fn back(&self, time: Timestamp, count: i64) -> Timestamp {
        self.begin(self.number(time) - count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap_or_else(|| panic!("{text}"))
    }

    fn begins(interval: Interval, zone: &str, first: &str, count: usize) -> Vec<String> {
        let buckets = Buckets { interval, zone: Zone::parse(zone).unwrap_or_else(|| panic!("{zone}")) };
        let first = buckets.begin_of(time(first));
        std::iter::successors(Some(first), |begin| Some(buckets.after(*begin)))
            .take(count)
            .map(|begin| begin.to_string())
            .collect()
    }

    #[test]
    fn days_have_23_and_25_hours_where_clocks_are_changed() {
        let spring = begins(Interval::Day, "Europe/Berlin", "2026-03-28T23:30:00Z", 3);
        assert_eq!(
            spring,
            ["2026-03-28T23:00:00.000000Z", "2026-03-29T22:00:00.000000Z", "2026-03-30T22:00:00.000000Z"]
        );
        let autumn = begins(Interval::Day, "Europe/Berlin", "2026-10-25T12:00:00Z", 2);
        assert_eq!(autumn, ["2026-10-24T22:00:00.000000Z", "2026-10-25T23:00:00.000000Z"]);
        let weeks = begins(Interval::Week, "Europe/Berlin", "2026-03-25T12:00:00Z", 2);
        assert_eq!(weeks, ["2026-03-22T23:00:00.000000Z", "2026-03-29T22:00:00.000000Z"]);
        let months = begins(Interval::Month, "America/New_York", "2026-03-01T04:00:00Z", 3);
        assert_eq!(
            months,
            ["2026-02-01T05:00:00.000000Z", "2026-03-01T05:00:00.000000Z", "2026-04-01T04:00:00.000000Z"]
        );
        // Midnight is skipped there.
        let skipped = begins(Interval::Day, "Africa/Cairo", "2026-04-24T12:00:00Z", 2);
        assert_eq!(skipped, ["2026-04-23T22:00:00.000000Z", "2026-04-24T21:00:00.000000Z"]);
    }

    #[test]
    fn hours_begin_where_clocks_strike() {
        let half = begins(Interval::Hour, "Asia/Kolkata", "2026-07-01T00:10:00Z", 2);
        assert_eq!(half, ["2026-06-30T23:30:00.000000Z", "2026-07-01T00:30:00.000000Z"]);
        let autumn = begins(Interval::Hour, "Europe/Berlin", "2026-10-25T00:10:00Z", 3);
        assert_eq!(
            autumn,
            ["2026-10-25T00:00:00.000000Z", "2026-10-25T01:00:00.000000Z", "2026-10-25T02:00:00.000000Z"]
        );
        // Clocks go back by half an hour at 2:00.
        let lord_howe = begins(Interval::Hour, "Australia/Lord_Howe", "2026-04-04T14:10:00Z", 4);
        assert_eq!(
            lord_howe,
            [
                "2026-04-04T14:00:00.000000Z",
                "2026-04-04T15:00:00.000000Z",
                "2026-04-04T15:30:00.000000Z",
                "2026-04-04T16:30:00.000000Z"
            ]
        );
    }

    #[test]
    fn buckets_follow_each_other_in_every_zone() {
        let zones = [
            "UTC",
            "Europe/Berlin",
            "America/St_Johns",
            "Africa/Cairo",
            "America/Havana",
            "Asia/Kathmandu",
            "Australia/Lord_Howe",
            "Pacific/Apia",
            "America/Sao_Paulo",
        ];
        for name in zones {
            let zone = Zone::parse(name).unwrap_or_else(|| panic!("{name}"));
            for interval in [Interval::Hour, Interval::Day, Interval::Week, Interval::Month] {
                let buckets = Buckets { interval, zone: zone.clone() };
                let (mut begin, end) = (buckets.begin_of(time("1996-01-01T00:00:00Z")), time("2013-01-01T00:00:00Z"));
                while begin < end {
                    let next = buckets.after(begin);
                    assert!(next > begin, "{name} {interval:?} {begin}");
                    for inside in [begin.micros(), (begin.micros() + next.micros()) / 2, next.micros() - 1] {
                        let found = buckets.begin_of(Timestamp::from_micros(inside));
                        assert_eq!(found, begin, "{name} {interval:?} {inside}");
                    }
                    begin = next;
                }
            }
        }
    }
}
