//! Times as shops write them. One without an offset is UTC; a date means its midnight.

use eyeline_core::Timestamp;

/// Completes "This has to be …".
pub const FORMS: &str =
    "a time such as 2021-01-31T09:15:27Z, 2021-01-31 09:15:27 +0100, 2021-01-31 or 31.01.2021 09:15";

/// `None` for anything else, and for 01/02/2021, which countries read as different days.
pub fn parse(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    Timestamp::parse(text).or_else(|| {
        let (date, time) = text.split_once([' ', 'T']).unwrap_or((text, ""));
        let date = if date.contains('.') { with_day_first(date)? } else { date.to_owned() };
        let (time, offset) = with_offset(time.trim())?;
        let time = if time.is_empty() { "00:00".to_owned() } else { format!("{time:0>5}") };
        Timestamp::parse(&format!("{date}T{time}{offset}"))
    })
}

/// `31.1.2021` as `2021-01-31`.
fn with_day_first(date: &str) -> Option<String> {
    let mut parts = date.split('.');
    let (day, month, year) = (parts.next()?, parts.next()?, parts.next()?);
    let is_date = parts.next().is_none() && day.len() <= 2 && month.len() <= 2 && year.len() == 4;
    is_date.then(|| format!("{year}-{month:0>2}-{day:0>2}"))
}

/// A time and its offset, as RFC 3339 has it.
fn with_offset(time: &str) -> Option<(&str, String)> {
    if let Some(time) = ["UTC", "GMT", "Z"].iter().find_map(|zone| time.strip_suffix(zone)) {
        return Some((time.trim_end(), "Z".to_owned()));
    }
    let Some(at) = time.find(['+', '-']) else { return Some((time, "Z".to_owned())) };
    let (time, offset) = time.split_at(at);
    let digits = offset[1..].replace(':', "");
    let (hours, minutes) = digits.split_at_checked(2)?;
    let minutes = if minutes.is_empty() { "00" } else { minutes };
    Some((time.trim_end(), format!("{}{hours}:{minutes}", &offset[..1])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_shops_are_read() {
        for (text, time) in [
            ("2021-01-31T09:15:27.243860Z", "2021-01-31T09:15:27.243860Z"),
            ("2021-01-31 09:15:27", "2021-01-31T09:15:27.000000Z"),
            ("2021-01-31", "2021-01-31T00:00:00.000000Z"),
            (" 2021-01-31 09:15 ", "2021-01-31T09:15:00.000000Z"),
            ("2021-01-31T09:15", "2021-01-31T09:15:00.000000Z"),
            ("2021-01-31 09:15:27 -0500", "2021-01-31T14:15:27.000000Z"),
            ("2021-01-31T09:15:27+0100", "2021-01-31T08:15:27.000000Z"),
            ("2021-01-31T09:15:27+01", "2021-01-31T08:15:27.000000Z"),
            ("2021-01-31 09:15:27 UTC", "2021-01-31T09:15:27.000000Z"),
            ("31.01.2021", "2021-01-31T00:00:00.000000Z"),
            ("1.2.2021 9:05", "2021-02-01T09:05:00.000000Z"),
            ("31.01.2021 09:15:27", "2021-01-31T09:15:27.000000Z"),
        ] {
            assert_eq!(parse(text).map(|time| time.to_string()).as_deref(), Some(time), "{text:?}");
        }
    }

    #[test]
    fn what_may_mean_two_times_or_none_is_refused() {
        for text in [
            "",
            "yesterday",
            "01/02/2021",
            "2021/01/31",
            "31.02.2021",
            "31.01.21",
            "2021-13-01",
            "2021-01-31 25:00",
            "2021-01-31 09:15 +1",
            "09:15",
            "1612084527",
            "2021-01-31 \u{e9}",
        ] {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }
}
