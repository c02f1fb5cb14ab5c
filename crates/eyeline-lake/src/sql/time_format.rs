//! The patterns of `to_char`, `to_date` and `to_timestamp`, read as PostgreSQL does.

use std::sync::Arc;

use datafusion::common::Result;

use super::own::failed;
use super::times::{self, Day, MICROS_PER_DAY, MICROS_PER_SECOND, split};

/// Longer words first, so that the longest match wins. Names have three spellings.
const WORDS: &[&str] = &[
    "Y,YYY", "A.D.", "A.M.", "B.C.", "P.M.", "IDDD", "IYYY", "HH24", "HH12", "YYYY", "MONTH", "SSSSS", "SSSS", "IYY",
    "YYY", "DAY", "DDD", "FF1", "FF2", "FF3", "FF4", "FF5", "FF6", "MON", "TZH", "TZM", "AD", "AM", "BC", "PM", "CC",
    "DD", "DY", "HH", "ID", "IW", "IY", "MI", "MM", "MS", "OF", "RM", "SS", "TZ", "US", "WW", "YY", "D", "I", "J", "Q",
    "W", "Y",
];
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const WEEKDAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const ROMAN: [&str; 12] = ["I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII"];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Case {
    Upper,
    Title,
    Lower,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Item {
    /// Literal text.
    Text(String),
    /// A part of the time: its word in capitals, an `FM` before it, a `TH` or `th` after it.
    Part { word: &'static str, case: Case, is_bare: bool, ordinal: Option<Case> },
}

#[derive(Clone, Debug)]
pub(super) struct Pattern(Arc<[Item]>);

impl Pattern {
    pub(super) fn parse(pattern: &str) -> Result<Pattern> {
        let mut items: Vec<Item> = Vec::new();
        let mut rest = pattern;
        while let Some(letter) = rest.chars().next() {
            if letter == '"' {
                let (text, after) = quoted(&rest[1..]);
                items.push(Item::Text(text));
                rest = after;
                continue;
            }
            let (is_bare, behind) = match prefix(rest, &["FM", "fm"]) {
                Some(behind) => (true, behind),
                None => (false, rest),
            };
            if let Some(word) = ["FX", "fx", "TM", "tm"].into_iter().find(|word| behind.starts_with(word)) {
                return failed(format!("{word} cannot be used in a pattern here."));
            }
            if let Some((word, case, behind)) = word_of(behind) {
                let (ordinal, behind) = match (prefix(behind, &["TH"]), prefix(behind, &["th"])) {
                    (Some(behind), _) => (Some(Case::Upper), behind),
                    (_, Some(behind)) => (Some(Case::Lower), behind),
                    _ => (None, behind),
                };
                items.push(Item::Part { word, case, is_bare, ordinal });
                rest = behind;
            } else if is_bare {
                rest = behind;
            } else {
                items.push(Item::Text(letter.to_string()));
                rest = &rest[letter.len_utf8()..];
            }
        }
        Ok(Pattern(items.into()))
    }

    /// Writes the time in this pattern. `zoned` is for a time with a zone, which is UTC.
    pub(super) fn write(&self, time: i64, zoned: bool) -> String {
        let mut text = String::new();
        for item in self.0.iter() {
            match item {
                Item::Text(part) => text.push_str(part),
                Item::Part { word, case, is_bare, ordinal } => {
                    let part = part(word, *case, *is_bare, time, zoned);
                    text.push_str(&part);
                    if let Some(case) = ordinal {
                        text.push_str(&spelled(ending(&part), *case));
                    }
                }
            }
        }
        text
    }

    /// Reads a time from a text. Only numbers and names of months are read.
    pub(super) fn read(&self, text: &str) -> Result<i64> {
        let misfit = || failed(format!("'{text}' does not fit the pattern."));
        let (mut year, mut month, mut day) = (1, 1, 1);
        let mut micros = 0;
        let mut rest = text.trim();
        for (index, item) in self.0.iter().enumerate() {
            let word = match item {
                Item::Text(part) => match rest.strip_prefix(part.as_str()) {
                    Some(behind) => {
                        rest = behind;
                        continue;
                    }
                    None => return misfit(),
                },
                Item::Part { word, .. } => *word,
            };
            if matches!(word, "MONTH" | "MON") {
                let short = |name: &'static str| if word == "MON" { &name[..3] } else { name };
                let begins = |name: &&str| rest.get(..name.len()).is_some_and(|head| head.eq_ignore_ascii_case(name));
                let Some(found) = MONTHS.iter().position(|name| begins(&short(name))) else { return misfit() };
                month = i64::try_from(found).unwrap_or(0) + 1;
                rest = &rest[short(MONTHS[found]).len()..];
                continue;
            }
            let (least, most, unit) = match word {
                "YYYY" => (4, 4, 0),
                "MM" | "DD" => (1, 2, 0),
                "HH24" => (1, 2, 3_600 * MICROS_PER_SECOND),
                "MI" => (1, 2, 60 * MICROS_PER_SECOND),
                "SS" => (1, 2, MICROS_PER_SECOND),
                "MS" => (3, 3, 1_000),
                "US" => (6, 6, 1),
                _ => {
                    return failed(format!(
                        "{word} is not read here: a pattern has YYYY, MM, MON, MONTH, DD, HH24, MI, SS, MS and US."
                    ));
                }
            };
            // A part followed by another one takes no more than its own digits.
            let is_followed = matches!(self.0.get(index + 1), Some(Item::Part { .. }));
            let count = rest.bytes().take(most).take_while(u8::is_ascii_digit).count();
            if count < if is_followed { most } else { least } {
                return misfit();
            }
            let number: i64 = rest[..count].parse().unwrap_or(0);
            rest = &rest[count..];
            match word {
                "YYYY" => year = number,
                "MM" => month = number,
                "DD" => day = number,
                "HH24" if number > 23 => return misfit(),
                "MI" | "SS" if number > 59 => return misfit(),
                _ => micros += number * unit,
            }
        }
        match Day::new(year, month, day) {
            Some(day) if rest.trim().is_empty() => Ok(day.number() * MICROS_PER_DAY + micros),
            _ => misfit(),
        }
    }
}

fn prefix<'a>(text: &'a str, words: &[&str]) -> Option<&'a str> {
    words.iter().find_map(|word| text.strip_prefix(word))
}

/// The text up to the next quotation mark, and the rest after it.
fn quoted(text: &str) -> (String, &str) {
    let mut inner = String::new();
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return (inner, &text[at + 1..]),
            '\\' => inner.extend(letters.next().map(|(_, letter)| letter)),
            letter => inner.push(letter),
        }
    }
    (inner, "")
}

fn word_of(text: &str) -> Option<(&'static str, Case, &str)> {
    WORDS.iter().find_map(|word| {
        let head = text.get(..word.len())?;
        let is_name = matches!(*word, "MONTH" | "MON" | "DAY" | "DY");
        let case = if head == *word {
            Case::Upper
        } else if head == word.to_lowercase() {
            Case::Lower
        } else if is_name && head == spelled(word, Case::Title) {
            Case::Title
        } else {
            return None;
        };
        Some((*word, case, &text[word.len()..]))
    })
}

fn spelled(word: &str, case: Case) -> String {
    match case {
        Case::Upper => word.to_uppercase(),
        Case::Lower => word.to_lowercase(),
        Case::Title => word[..1].to_uppercase() + &word[1..].to_lowercase(),
    }
}

/// The ordinal suffix: `1st`, `2nd`, `3rd`, `4th`, `11th`.
fn ending(number: &str) -> &'static str {
    let number = number.trim().trim_start_matches('-');
    match (number.strip_suffix(['1', '2', '3']).is_some_and(|tens| tens.ends_with('1')), number.chars().last()) {
        (false, Some('1')) => "st",
        (false, Some('2')) => "nd",
        (false, Some('3')) => "rd",
        _ => "th",
    }
}

fn part(word: &str, case: Case, is_bare: bool, time: i64, zoned: bool) -> String {
    let (day, micros) = split(time);
    let number = |value: i64, width: usize| if is_bare { value.to_string() } else { format!("{value:0width$}") };
    let name = |name: &str, width: usize| {
        let name = spelled(name, case);
        if is_bare { name } else { format!("{name:width$}") }
    };
    let (hour, minute, second) =
        (micros / (3_600 * MICROS_PER_SECOND), micros / (60 * MICROS_PER_SECOND) % 60, micros / MICROS_PER_SECOND % 60);
    let fraction = micros % MICROS_PER_SECOND;
    let (iso_year, iso_week) = day.iso_week();
    // PostgreSQL counts back from 1 BC.
    let shown_year = |year: i64| if year > 0 { year } else { 1 - year };
    let month = usize::try_from(day.month - 1).unwrap_or(0);
    let weekday = usize::try_from(day.of_week()).unwrap_or(0);
    match word {
        "A.M." | "P.M." => spelled(if hour < 12 { "a.m." } else { "p.m." }, case),
        "AM" | "PM" => spelled(if hour < 12 { "am" } else { "pm" }, case),
        "A.D." | "B.C." => spelled(if day.year > 0 { "a.d." } else { "b.c." }, case),
        "AD" | "BC" => spelled(if day.year > 0 { "ad" } else { "bc" }, case),
        "Y,YYY" => {
            let year = shown_year(day.year);
            if is_bare {
                format!("{},{:03}", year / 1_000, year % 1_000)
            } else {
                format!("{:01},{:03}", year / 1_000, year % 1_000)
            }
        }
        "YYYY" => number(shown_year(day.year), 4),
        "YYY" => number(shown_year(day.year) % 1_000, 3),
        "YY" => number(shown_year(day.year) % 100, 2),
        "Y" => number(shown_year(day.year) % 10, 1),
        "IYYY" => number(shown_year(iso_year), 4),
        "IYY" => number(shown_year(iso_year) % 1_000, 3),
        "IY" => number(shown_year(iso_year) % 100, 2),
        "I" => number(shown_year(iso_year) % 10, 1),
        "CC" => number(times::field("century", time).unwrap_or(0), 2),
        "Q" => number((day.month - 1) / 3 + 1, 1),
        "MONTH" => name(MONTHS[month], 9),
        "MON" => spelled(&MONTHS[month][..3], case),
        "MM" => number(day.month, 2),
        "RM" => name(ROMAN[month], 4),
        "WW" => number((day.of_year() - 1) / 7 + 1, 2),
        "IW" => number(iso_week, 2),
        "W" => number((day.day - 1) / 7 + 1, 1),
        "DAY" => name(WEEKDAYS[weekday], 9),
        "DY" => spelled(&WEEKDAYS[weekday][..3], case),
        "DDD" => number(day.of_year(), 3),
        "IDDD" => number((iso_week - 1) * 7 + day.iso_of_week(), 3),
        "DD" => number(day.day, 2),
        "D" => number(day.of_week() + 1, 1),
        "ID" => number(day.iso_of_week(), 1),
        "J" => number(day.number() + 2_440_588, 1),
        "HH24" => number(hour, 2),
        "HH12" | "HH" => number(if hour % 12 == 0 { 12 } else { hour % 12 }, 2),
        "MI" => number(minute, 2),
        "SS" => number(second, 2),
        "SSSSS" | "SSSS" => (micros / MICROS_PER_SECOND).to_string(),
        "MS" => format!("{:03}", fraction / 1_000),
        "US" => format!("{fraction:06}"),
        "TZ" => {
            if zoned {
                spelled("utc", case)
            } else {
                String::new()
            }
        }
        "TZH" | "OF" => "+00".to_owned(),
        "TZM" => "00".to_owned(),
        // FF1 to FF6.
        fraction_word => {
            let digits = fraction_word.bytes().last().map_or(6, |digit| usize::from(digit - b'0'));
            format!("{fraction:06}")[..digits.min(6)].to_owned()
        }
    }
}
