//! The calendar of queries: times in microseconds since 1970, exact for all years from 1 to 9999.

use arrow_schema::DataType;
use datafusion::common::Result;

use super::own::failed;

pub(super) const UTC: &str = "UTC";
pub(super) const TIMEZONE: &str = "timezone";
pub(super) const MICROS_PER_SECOND: i64 = 1_000_000;
pub(super) const MICROS_PER_DAY: i64 = 86_400 * MICROS_PER_SECOND;
/// The days of a calendar with four-digit years, before 1 BC too.
const DAYS: std::ops::Range<i64> = -4_371_953..2_932_897;

/// A day of the calendar. The year before 1 is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Day {
    pub(super) year: i64,
    pub(super) month: i64,
    pub(super) day: i64,
}

impl Day {
    /// The day with this number of days since 1970-01-01. After Howard Hinnant's `civil_from_days`.
    pub(super) fn of(days: i64) -> Day {
        let days = days + 719_468;
        let era = days.div_euclid(146_097);
        let of_era = days.rem_euclid(146_097);
        let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month = (5 * of_year + 2) / 153;
        let day = of_year - (153 * month + 2) / 5 + 1;
        let month = if month < 10 { month + 3 } else { month - 9 };
        Day { year: year_of_era + era * 400 + i64::from(month <= 2), month, day }
    }

    /// Days since 1970-01-01. After Howard Hinnant's `days_from_civil`.
    pub(super) fn number(self) -> i64 {
        let year = self.year - i64::from(self.month <= 2);
        let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
        let month = (self.month + 9) % 12;
        let of_year = (153 * month + 2) / 5 + self.day - 1;
        era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year - 719_468
    }

    /// `None` if no calendar has the day, or if it lies outside the years 1 to 9999.
    pub(super) fn new(year: i64, month: i64, day: i64) -> Option<Day> {
        let is_there =
            (1..=9999).contains(&year) && (1..=12).contains(&month) && (1..=days_of(year, month)).contains(&day);
        is_there.then_some(Day { year, month, day })
    }

    /// The day of the year, from 1.
    pub(super) fn of_year(self) -> i64 {
        self.number() - Day { year: self.year, month: 1, day: 1 }.number() + 1
    }

    /// The day of the week; 0 is Sunday.
    pub(super) fn of_week(self) -> i64 {
        (self.number() + 4).rem_euclid(7)
    }

    /// The ISO day of the week: 1 is Monday, 7 is Sunday.
    pub(super) fn iso_of_week(self) -> i64 {
        (self.number() + 3).rem_euclid(7) + 1
    }

    /// The ISO year, and the week in it.
    pub(super) fn iso_week(self) -> (i64, i64) {
        let thursday = Day::of(self.number() + 4 - self.iso_of_week());
        (thursday.year, (thursday.of_year() - 1) / 7 + 1)
    }
}

pub(super) fn days_of(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// The day, and the microseconds since its start.
pub(super) fn split(time: i64) -> (Day, i64) {
    (Day::of(time.div_euclid(MICROS_PER_DAY)), time.rem_euclid(MICROS_PER_DAY))
}

pub(super) fn checked_day(days: i64) -> Result<i32> {
    match i32::try_from(days) {
        Ok(day) if DAYS.contains(&days) => Ok(day),
        _ => failed("A date is outside of the years to 9999."),
    }
}

pub(super) fn checked(time: Option<i64>) -> Result<i64> {
    match time {
        Some(time) if DAYS.contains(&time.div_euclid(MICROS_PER_DAY)) => Ok(time),
        _ => failed("A time is outside of the years to 9999."),
    }
}

/// Months, days and microseconds, like an interval of PostgreSQL.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) months: i64,
    pub(super) days: i64,
    pub(super) micros: i64,
}

impl Span {
    pub(super) fn negative(self) -> Span {
        Span { months: -self.months, days: -self.days, micros: self.micros.saturating_neg() }
    }

    /// The length in microseconds. A month counts 30 days, as in comparisons of intervals.
    pub(super) fn length(self) -> Result<i64> {
        let days = self.months.checked_mul(30).and_then(|days| days.checked_add(self.days));
        let micros =
            days.and_then(|days| days.checked_mul(MICROS_PER_DAY)).and_then(|micros| micros.checked_add(self.micros));
        micros.map_or_else(|| failed("An interval is too long."), Ok)
    }
}

/// Reads `1 year 2 mons -3 days 04:05:06.7`.
pub(super) fn parse_span(text: &str) -> Option<Span> {
    let mut span = Span::default();
    let mut words = text.split_ascii_whitespace().peekable();
    words.peek()?;
    while let Some(word) = words.next() {
        if word.contains(':') {
            let (sign, clock) = word.strip_prefix('-').map_or((1, word.trim_start_matches('+')), |clock| (-1, clock));
            let (hours, rest) = clock.split_once(':')?;
            let micros = digits(hours, 1..=6)? * 3_600 * MICROS_PER_SECOND + parse_time(&format!("00:{rest}"))?;
            span.micros = span.micros.checked_add(sign * micros)?;
            continue;
        }
        let at = word.find(|letter: char| letter.is_ascii_alphabetic()).unwrap_or(word.len());
        let (number, unit) = if at < word.len() { word.split_at(at) } else { (word, words.next()?) };
        let unit = unit.to_ascii_lowercase();
        let unit = unit.strip_suffix('s').filter(|one| !one.is_empty()).unwrap_or(&unit);
        let micros = match unit {
            "microsecond" => 1,
            "millisecond" => 1_000,
            "second" | "sec" => MICROS_PER_SECOND,
            "minute" | "min" => 60 * MICROS_PER_SECOND,
            "hour" | "hr" | "h" => 3_600 * MICROS_PER_SECOND,
            _ => 0,
        };
        if micros > 0 {
            let part = number.parse::<f64>().ok()? * micros as f64;
            span.micros = span.micros.checked_add((part.abs() < 9e15).then_some(part.round() as i64)?)?;
            continue;
        }
        let whole: i64 = number.parse().ok().filter(|whole: &i64| whole.abs() < 1_000_000)?;
        match unit {
            "day" | "d" => span.days += whole,
            "week" => span.days += 7 * whole,
            "month" | "mon" => span.months += whole,
            "year" => span.months += 12 * whole,
            _ => return None,
        }
    }
    Some(span)
}

/// Adds a span to a time. The last days of long months become the last day of a shorter month.
pub(super) fn after(time: i64, span: Span) -> Result<i64> {
    let (day, of_day) = split(time);
    let months = day.year * 12 + day.month - 1 + span.months;
    let (year, month) = (months.div_euclid(12), months.rem_euclid(12) + 1);
    let day = Day { year, month, day: day.day.min(days_of(year, month)) };
    let days = day.number().checked_add(span.days);
    let time = days.and_then(|days| days.checked_mul(MICROS_PER_DAY)).and_then(|time| time.checked_add(of_day));
    checked(time.and_then(|time| time.checked_add(span.micros)))
}

/// The difference in years, months and days, like `age` in PostgreSQL.
pub(super) fn age(later: i64, earlier: i64) -> Span {
    if later < earlier {
        return age_of(earlier, later, true).negative();
    }
    age_of(later, earlier, false)
}

fn age_of(later: i64, earlier: i64, is_turned: bool) -> Span {
    let ((late, late_time), (early, early_time)) = (split(later), split(earlier));
    let mut micros = late_time - early_time;
    let mut days = late.day - early.day;
    let mut months = (late.year - early.year) * 12 + late.month - early.month;
    if micros < 0 {
        micros += MICROS_PER_DAY;
        days -= 1;
    }
    if days < 0 {
        // The borrowed month is that of the second time.
        let of = if is_turned { late } else { early };
        days += days_of(of.year, of.month);
        months -= 1;
    }
    Span { months, days, micros }
}

/// The units to which times are truncated, largest first.
pub(super) const UNITS: &str =
    "millennium, century, decade, year, quarter, month, week, day, hour, minute, second, milliseconds, microseconds";

/// The start of the unit; `None` for an unknown unit.
pub(super) fn truncated(unit: &str, time: i64) -> Option<i64> {
    let by = |micros: i64| Some(time - time.rem_euclid(micros));
    let (day, _) = split(time);
    let year = |year: i64| Some(Day { year, month: 1, day: 1 }.number() * MICROS_PER_DAY);
    match unit {
        "microsecond" | "microseconds" => Some(time),
        "millisecond" | "milliseconds" => by(1_000),
        "second" => by(MICROS_PER_SECOND),
        "minute" => by(60 * MICROS_PER_SECOND),
        "hour" => by(3_600 * MICROS_PER_SECOND),
        "day" => by(MICROS_PER_DAY),
        "week" => Some((day.number() + 1 - day.iso_of_week()) * MICROS_PER_DAY),
        "month" => Some(Day { day: 1, ..day }.number() * MICROS_PER_DAY),
        "quarter" => Some(Day { month: (day.month - 1) / 3 * 3 + 1, day: 1, ..day }.number() * MICROS_PER_DAY),
        "year" => year(day.year),
        "decade" => year(day.year.div_euclid(10) * 10),
        "century" => year((day.year - 1).div_euclid(100) * 100 + 1),
        "millennium" => year((day.year - 1).div_euclid(1_000) * 1_000 + 1),
        _ => None,
    }
}

/// A field of a time, in units of 10 to the minus [`field_scale`]. `None` for an unknown field.
pub(super) fn field(name: &str, time: i64) -> Option<i64> {
    let (day, micros) = split(time);
    let of_minute = micros.rem_euclid(60 * MICROS_PER_SECOND);
    Some(match name {
        "microseconds" | "milliseconds" | "second" => of_minute,
        "minute" => micros / (60 * MICROS_PER_SECOND) % 60,
        "hour" => micros / (3_600 * MICROS_PER_SECOND),
        "day" => day.day,
        "dow" => day.of_week(),
        "isodow" => day.iso_of_week(),
        "doy" => day.of_year(),
        "week" => day.iso_week().1,
        "isoyear" => day.iso_week().0,
        "month" => day.month,
        "quarter" => (day.month - 1) / 3 + 1,
        "year" => day.year,
        "decade" => day.year.div_euclid(10),
        "century" => (day.year - 1).div_euclid(100) + 1,
        "millennium" => (day.year - 1).div_euclid(1_000) + 1,
        "epoch" => time,
        _ => return None,
    })
}

pub(super) const FIELDS: &str = "century, day, decade, dow, doy, epoch, hour, isodow, isoyear, microseconds, millennium, \
                                 milliseconds, minute, month, quarter, second, week, year";

/// The digits of a field after the point.
pub(super) fn field_scale(name: &str) -> i8 {
    match name {
        "epoch" | "second" => 6,
        "milliseconds" => 3,
        _ => 0,
    }
}

/// Reads `2026-11-02`.
pub(super) fn parse_date(text: &str) -> Option<i32> {
    let time = parse_timestamp(text, false)?;
    i32::try_from(time.div_euclid(MICROS_PER_DAY)).ok()
}

fn digits(text: &str, count: std::ops::RangeInclusive<usize>) -> Option<i64> {
    let is_number = count.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok()).flatten()
}

/// Reads `09:15`, `09:15:27` and `09:15:27.25`, as microseconds of the day.
pub(super) fn parse_time(text: &str) -> Option<i64> {
    let mut parts = text.trim().split(':');
    let (hour, minute) = (digits(parts.next()?, 1..=2)?, digits(parts.next()?, 2..=2)?);
    let (second, part) = match parts.next() {
        Some(seconds) => seconds.split_once('.').unwrap_or((seconds, "")),
        None => ("00", ""),
    };
    let second = digits(second, 2..=2)?;
    if parts.next().is_some() || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let part = if part.is_empty() {
        0
    } else {
        digits(&format!("{part:0<7.7}"), 7..=7).filter(|_| part.bytes().all(|byte| byte.is_ascii_digit()))?
    };
    Some(((hour * 60 + minute) * 60 + second) * MICROS_PER_SECOND + (part + 5) / 10)
}

/// Reads `2026-11-02 09:15:27.25+01:00`, of which only the date is required. The offset is used if `with_offset`.
pub(crate) fn parse_timestamp(text: &str, with_offset: bool) -> Option<i64> {
    let text = text.trim();
    let end = text.find(['T', 't', ' ']).unwrap_or(text.len());
    let mut parts = text[..end].splitn(3, '-');
    let (year, month, day) =
        (digits(parts.next()?, 4..=4)?, digits(parts.next()?, 1..=2)?, digits(parts.next()?, 1..=2)?);
    let day = Day::new(year, month, day)?.number() * MICROS_PER_DAY;
    let rest = text.get(end + 1..).unwrap_or("").trim();
    if rest.is_empty() {
        return Some(day);
    }
    let clock_end = rest.find(['Z', 'z', '+', '-']).unwrap_or(rest.len());
    let offset = match rest[clock_end..].trim() {
        "" | "Z" | "z" => 0,
        offset => {
            let (hours, minutes) = offset[1..].split_once(':').unwrap_or(match offset.len() {
                5 => (&offset[1..3], &offset[3..]),
                _ => (&offset[1..], "00"),
            });
            let seconds = digits(hours, 1..=2).filter(|hours| *hours < 16)? * 3_600
                + digits(minutes, 2..=2).filter(|minutes| *minutes < 60)? * 60;
            if offset.starts_with('-') { -seconds } else { seconds }
        }
    };
    let local = day + parse_time(&rest[..clock_end])?;
    Some(if with_offset { local - offset * MICROS_PER_SECOND } else { local })
}

pub(super) fn date_text(days: i32) -> String {
    let Day { year, month, day } = Day::of(days.into());
    if year > 0 { format!("{year:04}-{month:02}-{day:02}") } else { format!("{:04}-{month:02}-{day:02} BC", 1 - year) }
}

/// Writes as many digits of a second as the time has.
pub(super) fn time_text(micros: i64) -> String {
    let (second, part) = (micros / MICROS_PER_SECOND, micros % MICROS_PER_SECOND);
    let time = format!("{:02}:{:02}:{:02}", second / 3_600, second / 60 % 60, second % 60);
    if part == 0 { time } else { format!("{time}.{part:06}").trim_end_matches('0').to_owned() }
}

pub(super) fn timestamp_text(time: i64, separator: char) -> String {
    let (day, micros) = split(time);
    let date = date_text(i32::try_from(day.number()).unwrap_or_default());
    match date.strip_suffix(" BC") {
        Some(date) => format!("{date}{separator}{} BC", time_text(micros)),
        None => format!("{date}{separator}{}", time_text(micros)),
    }
}

/// Spells an interval as PostgreSQL does: `1 year 2 mons 3 days 04:05:06.7`.
pub(super) fn interval_words(months: i64, days: i64, micros: i64) -> String {
    let mut words = String::new();
    let mut was_negative = false;
    for (count, unit) in [(months / 12, "year"), (months % 12, "mon"), (days, "day")] {
        if count != 0 {
            let sign = if was_negative && count > 0 { "+" } else { "" };
            let plural = if count == 1 { "" } else { "s" };
            words += &format!("{}{sign}{count} {unit}{plural}", if words.is_empty() { "" } else { " " });
            was_negative = count < 0;
        }
    }
    if micros != 0 || words.is_empty() {
        let sign = if micros < 0 {
            "-"
        } else if was_negative {
            "+"
        } else {
            ""
        };
        let separator = if words.is_empty() { "" } else { " " };
        words += &format!("{separator}{sign}{}", time_text(micros.saturating_abs()));
    }
    words
}

pub(super) fn is_span(kind: &DataType) -> bool {
    matches!(kind, DataType::Interval(_) | DataType::Duration(_))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_day_of_all_years_is_found_again() {
        let (first, last) = (Day::new(1, 1, 1), Day::new(9999, 12, 31));
        let (first, last) = (first.expect("a day").number(), last.expect("a day").number());
        assert_eq!((first, last + 1), (-719_162, DAYS.end));
        let mut before = Day::of(first - 1);
        for number in first..=last {
            let day = Day::of(number);
            assert_eq!(day.number(), number);
            let is_next = day == Day { day: before.day + 1, ..before }
                || day.day == 1 && before.day == days_of(before.year, before.month);
            assert!(is_next, "{before:?} {day:?}");
            before = day;
        }
    }

    #[test]
    fn times_are_read_and_written() {
        for text in
            ["0001-01-01 00:00:00", "1969-12-31 23:59:59.999999", "2026-11-02 09:15:27.25", "9999-12-31 23:59:59"]
        {
            let time = parse_timestamp(text, false).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(timestamp_text(time, ' '), text);
            assert_eq!(split(time).0, Day::of(time.div_euclid(MICROS_PER_DAY)));
        }
        let berlin = parse_timestamp("2026-11-02T01:00:00+01:00", true);
        assert_eq!(berlin, parse_timestamp("2026-11-02", true));
        assert_eq!(parse_timestamp("2026-11-02 01:00:00+01", false), parse_timestamp("2026-11-02 01:00", false));
        for text in [
            "",
            "2026",
            "2026-02-30",
            "2026-13-01",
            "0000-01-01",
            "2026-01-01 24:00",
            "2026-01-01 1:2:3",
            "x",
            "2026-01-01 10:00 Berlin",
            "2026-01-01 10:00:00.x",
        ] {
            assert_eq!(parse_timestamp(text, true), None, "{text}");
        }
    }

    #[test]
    fn intervals_are_spelled_as_in_postgresql() {
        let hour = 3_600 * MICROS_PER_SECOND;
        for (span, words) in [
            ((0, 0, 0), "00:00:00"),
            ((14, 3, 4 * hour), "1 year 2 mons 3 days 04:00:00"),
            ((-14, 3, -4 * hour), "-1 years -2 mons +3 days -04:00:00"),
            ((0, -1, hour), "-1 days +01:00:00"),
            ((0, 0, 36 * hour + 500_000), "36:00:00.5"),
        ] {
            assert_eq!(interval_words(span.0, span.1, span.2), words);
        }
    }
}
