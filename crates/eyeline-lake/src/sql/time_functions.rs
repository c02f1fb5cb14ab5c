//! Functions on times, for all years from 1 to 9999. The engine's functions end in 1677 and 2262.

use std::sync::Arc;

use arrow_array::cast::AsArray as _;
use arrow_array::types::{Float64Type, Int64Type, Time64MicrosecondType};
use arrow_array::{Array as _, ArrayRef, Date32Array, Float64Array, StringViewArray};
use arrow_schema::DataType;
use datafusion::arrow::compute::cast;
use datafusion::common::Result;
use datafusion::scalar::ScalarValue;
use eyeline_core::Timestamp;

use super::cast::{convert, timestamp};
use super::decimal::{self, Decimal};
use super::own::{self, Own, failed, refused};
use super::spans::{is_moment, is_temporal, moments, spans, times_of};
use super::time_format::Pattern;
use super::times::{self, MICROS_PER_DAY, MICROS_PER_SECOND, Span, TIMEZONE};
use crate::zone::Zone;

type Kinds<'a> = &'a [DataType];
type Constants<'a> = &'a [Option<&'a ScalarValue>];

pub(super) static EXTRACT: Own = Own { name: "extract", kind: field_kind, value: extract, label: own::call };

pub(super) static FUNCTIONS: &[Own] = &[
    Own { name: TIMEZONE, kind: zone_kind, value: at_zone, label: own::call },
    Own { name: "date_trunc", kind: truncated_kind, value: truncate, label: own::call },
    Own { name: "date_bin", kind: bin_kind, value: bin, label: own::call },
    Own { name: "date_part", kind: part_of_kind, value: date_part, label: own::call },
    Own { name: "make_date", kind: |kinds, _| numbers(kinds, 3, DataType::Date32), value: make_date, label: own::call },
    Own {
        name: "make_timestamp",
        kind: |kinds, _| numbers(kinds, 6, timestamp(false)),
        value: make_timestamp,
        label: own::call,
    },
    Own { name: "to_timestamp", kind: |kinds, _| moment(kinds, true), value: to_timestamp, label: own::call },
    Own { name: "to_timestamp_seconds", kind: |kinds, _| moment(kinds, true), value: to_timestamp, label: own::call },
    Own {
        name: "to_timestamp_millis",
        kind: |kinds, _| numbers(kinds, 1, timestamp(true)),
        value: of_millis,
        label: own::call,
    },
    Own {
        name: "to_timestamp_micros",
        kind: |kinds, _| numbers(kinds, 1, timestamp(true)),
        value: of_micros,
        label: own::call,
    },
    Own { name: "to_date", kind: to_date_kind, value: to_date, label: own::call },
    Own { name: "to_char", kind: to_char_kind, value: to_char, label: own::call },
];

fn words(array: &ArrayRef) -> Result<StringViewArray> {
    Ok(cast(array, &DataType::Utf8View)?.as_string_view().clone())
}

/// Caches the result of reading a text, because most rows repeat it.
struct Read<T> {
    last: Option<(String, T)>,
}

impl<T: Clone> Read<T> {
    fn new() -> Self {
        Read { last: None }
    }

    fn of(&mut self, text: &str, read: impl FnOnce(&str) -> Result<T>) -> Result<T> {
        match &self.last {
            Some((last, made)) if last == text => Ok(made.clone()),
            _ => {
                let made = read(text)?;
                self.last = Some((text.to_owned(), made.clone()));
                Ok(made)
            }
        }
    }
}

fn zone_of(name: &str) -> Result<Zone> {
    match Zone::parse(name) {
        Some(zone) => Ok(zone),
        None => failed(format!("There is no time zone {name}: write a name such as Europe/Berlin, or UTC.")),
    }
}

fn zone_kind(kinds: Kinds<'_>, _: Constants<'_>) -> Result<DataType> {
    match kinds {
        [zone, time] if (zone.is_string() || zone.is_null()) && (is_moment(time) || time.is_null()) => {
            Ok(timestamp(matches!(time, DataType::Timestamp(_, None))))
        }
        [_, time] if time.is_string() => {
            refused("AT TIME ZONE needs a time: cast the text to TIMESTAMP or TIMESTAMPTZ.")
        }
        _ => refused("AT TIME ZONE needs a time and the name of a time zone."),
    }
}

/// Converts a time with a zone to local time there, and back.
fn at_zone(args: &[ArrayRef], kind: &DataType) -> Result<ArrayRef> {
    let is_back = matches!(kind, DataType::Timestamp(_, Some(_)));
    let (zones, times, mut read) = (words(&args[0])?, moments(&args[1])?, Read::new());
    let moved = zones.iter().zip(&times).map(|(zone, time)| {
        let (Some(zone), Some(time)) = (zone, time) else { return Ok(None) };
        let zone = read.of(zone, zone_of)?;
        let moved = if is_back { zone.time(time).micros() } else { zone.local(Timestamp::from_micros(time)) };
        times::checked(Some(moved)).map(Some)
    });
    times_of(moved, kind)
}

fn truncated_kind(kinds: Kinds<'_>, _: Constants<'_>) -> Result<DataType> {
    match kinds {
        [unit, time] if is_text(unit) && (is_moment(time) || time.is_null()) => {
            Ok(timestamp(!matches!(time, DataType::Timestamp(_, None))))
        }
        [unit, DataType::Timestamp(_, Some(_)) | DataType::Date32, zone] if is_text(unit) && is_text(zone) => {
            Ok(timestamp(true))
        }
        [unit, time] if is_text(unit) && times::is_span(time) => {
            refused("date_trunc cuts times: of an interval take extract(epoch FROM …).")
        }
        _ => refused("date_trunc needs a unit and a time, such as date_trunc('day', timestamp)."),
    }
}

fn is_text(kind: &DataType) -> bool {
    kind.is_string() || kind.is_null()
}

fn truncate(args: &[ArrayRef], kind: &DataType) -> Result<ArrayRef> {
    let (units, times) = (words(&args[0])?, moments(&args[1])?);
    let zones = args.get(2).map(words).transpose()?;
    let (mut read, mut unit) = (Read::new(), Read::new());
    let cut = (0..times.len()).map(|row| {
        if units.is_null(row) || times.is_null(row) || zones.as_ref().is_some_and(|zones| zones.is_null(row)) {
            return Ok(None);
        }
        let unit = unit.of(units.value(row), |unit| Ok(unit.to_ascii_lowercase()))?;
        let time = times.value(row);
        let zone = zones.as_ref().map(|zones| read.of(zones.value(row), zone_of)).transpose()?;
        let local = zone.as_ref().map_or(time, |zone| zone.local(Timestamp::from_micros(time)));
        let Some(cut) = times::truncated(&unit, local) else {
            return failed(format!("There is no unit {unit}: the units are {}.", times::UNITS));
        };
        Ok(Some(zone.map_or(cut, |zone| zone.time(cut).micros())))
    });
    times_of(cut, kind)
}

fn bin_kind(kinds: Kinds<'_>, _: Constants<'_>) -> Result<DataType> {
    match kinds {
        [stride, times @ ..]
            if times::is_span(stride)
                && matches!(times.len(), 1 | 2)
                && is_moment(&times[0])
                && times[1..].iter().all(|origin| is_moment(origin) || origin.is_string()) =>
        {
            Ok(timestamp(!matches!(times[0], DataType::Timestamp(_, None))))
        }
        _ => refused("date_bin needs an interval, a time and a time from which it counts."),
    }
}

fn bin(args: &[ArrayRef], kind: &DataType) -> Result<ArrayRef> {
    let (strides, times) = (spans(&args[0])?, moments(&args[1])?);
    let origins = args.get(2).map(moments).transpose()?;
    let bins = strides.into_iter().zip(times.iter().enumerate()).map(|(stride, (row, time))| {
        let origin = origins.as_ref().map_or(Some(0), |origins| origins.is_valid(row).then(|| origins.value(row)));
        let (Some(stride), Some(time), Some(origin)) = (stride, time, origin) else { return Ok(None) };
        let length = stride.length()?;
        if stride.months != 0 || length <= 0 {
            return failed(
                "date_bin needs an interval of days or less, longer than 0: date_trunc cuts to months and years.",
            );
        }
        let begin =
            i128::from(origin) + (i128::from(time) - i128::from(origin)).div_euclid(length.into()) * i128::from(length);
        times::checked(i64::try_from(begin).ok()).map(Some)
    });
    times_of(bins, kind)
}

/// Decimals whose scale depends on the field, so the field must be known during planning.
fn field_kind(kinds: Kinds<'_>, constants: Constants<'_>) -> Result<DataType> {
    part_of_kind(kinds, constants)?;
    let Some(field) = constants.first().copied().flatten().and_then(|field| field.try_as_str().flatten()) else {
        return refused("The field of extract has to be a constant.");
    };
    Ok(decimal::kind(times::field_scale(&singular(field))))
}

fn part_of_kind(kinds: Kinds<'_>, _: Constants<'_>) -> Result<DataType> {
    match kinds {
        [field, time] if is_text(field) && (is_temporal(time) || time.is_null()) => Ok(DataType::Float64),
        [_, time] if time.is_string() => refused("extract needs a time: cast the text to TIMESTAMP or TIMESTAMPTZ."),
        _ => refused("extract needs a field and a time, such as extract(hour FROM timestamp)."),
    }
}

/// Accepts plurals of fields: `hours` for `hour`.
fn singular(field: &str) -> String {
    let field = field.to_ascii_lowercase();
    let is_known = |word: &str| times::field(word, 0).is_some();
    match field.strip_suffix('s') {
        _ if is_known(&field) => field,
        Some(one) if is_known(one) => one.to_owned(),
        _ if is_known(&format!("{field}s")) => format!("{field}s"),
        _ => field,
    }
}

fn fields(args: &[ArrayRef]) -> Result<Vec<Option<Decimal>>> {
    let (names, mut read) = (words(&args[0])?, Read::new());
    let unknown = |name: &str| failed(format!("There is no field {name} here: the fields are {}.", times::FIELDS));
    let mut value = |name: Option<&str>, time: Option<(i64, bool)>| {
        let (Some(name), Some((time, is_whole))) = (name, time) else { return Ok(None) };
        let name = read.of(name, |name| Ok(singular(name)))?;
        let is_clock = matches!(&*name, "hour" | "minute" | "second" | "milliseconds" | "microseconds" | "epoch");
        match times::field(&name, time) {
            Some(value) if is_whole || is_clock => Ok(Some(Decimal::new(value.into(), times::field_scale(&name)))),
            _ => unknown(&name),
        }
    };
    let kind = args[1].data_type();
    if times::is_span(kind) {
        let epoch = |(name, span): (Option<&str>, Option<Span>)| {
            let (Some(name), Some(span)) = (name, span) else { return Ok(None) };
            if !name.eq_ignore_ascii_case("epoch") {
                return failed("Of an interval take the seconds, extract(epoch FROM …), and divide them.");
            }
            // A year has 365.25 days here, and a month outside whole years has 30.
            let years = (span.months / 12) * (MICROS_PER_DAY / 4 * 1_461);
            Ok(Some(Decimal::new((years + Span { months: span.months % 12, ..span }.length()?).into(), 6)))
        };
        return names.iter().zip(spans(&args[1])?).map(epoch).collect();
    }
    if let DataType::Time64(_) = kind {
        let times = args[1].as_primitive::<Time64MicrosecondType>().iter();
        return names.iter().zip(times).map(|(name, time)| value(name, time.map(|time| (time, false)))).collect();
    }
    names.iter().zip(&moments(&args[1])?).map(|(name, time)| value(name, time.map(|time| (time, true)))).collect()
}

fn extract(args: &[ArrayRef], kind: &DataType) -> Result<ArrayRef> {
    decimal::column(fields(args)?.into_iter().map(Ok), kind)
}

fn date_part(args: &[ArrayRef], _: &DataType) -> Result<ArrayRef> {
    let scale = 6;
    let exact = fields(args)?
        .into_iter()
        .map(|field| field.map(|field| field.with_scale(scale, decimal::Rest::Cut)).transpose());
    Ok(cast(&decimal::column(exact, &decimal::kind(scale))?, &DataType::Float64)?)
}

fn numbers(kinds: Kinds<'_>, count: usize, kind: DataType) -> Result<DataType> {
    let is_number = |kind: &DataType| {
        kind.is_integer() || kind.is_null() || matches!(kind, DataType::Decimal128(..) | DataType::Float64)
    };
    if kinds.len() == count && kinds.iter().all(is_number) {
        return Ok(kind);
    }
    refused(format!("This function needs {count} numbers."))
}

fn whole(array: &ArrayRef) -> Result<arrow_array::Int64Array> {
    Ok(convert(array, &DataType::Int64, false)?.as_primitive::<Int64Type>().clone())
}

fn day(year: i64, month: i64, day: i64) -> Result<i64> {
    match times::Day::new(year, month, day) {
        Some(day) => Ok(day.number()),
        None => failed(format!("There is no day {year}-{month}-{day} in the years 1 to 9999.")),
    }
}

fn days(args: &[ArrayRef]) -> Result<Vec<Option<i64>>> {
    let (years, months, days) = (whole(&args[0])?, whole(&args[1])?, whole(&args[2])?);
    let parts = years.iter().zip(&months).zip(&days);
    parts
        .map(|((year, month), of_month)| match (year, month, of_month) {
            (Some(year), Some(month), Some(of_month)) => day(year, month, of_month).map(Some),
            _ => Ok(None),
        })
        .collect()
}

fn make_date(args: &[ArrayRef], _: &DataType) -> Result<ArrayRef> {
    let dates = days(args)?.into_iter().map(|day| day.map(times::checked_day).transpose());
    Ok(Arc::new(dates.collect::<Result<Date32Array>>()?))
}

fn make_timestamp(args: &[ArrayRef], kind: &DataType) -> Result<ArrayRef> {
    let (hours, minutes) = (whole(&args[3])?, whole(&args[4])?);
    let seconds = convert(&args[5], &DataType::Float64, false)?;
    let seconds: Float64Array = seconds.as_primitive::<Float64Type>().clone();
    let days = days(args)?;
    let times = (0..seconds.len()).map(|row| {
        let Some(day) = days[row] else { return Ok(None) };
        if hours.is_null(row) || minutes.is_null(row) || seconds.is_null(row) {
            return Ok(None);
        }
        let (hour, minute, second) = (hours.value(row), minutes.value(row), seconds.value(row));
        if !(0..24).contains(&hour) || !(0..60).contains(&minute) || !(0.0..60.0).contains(&second) {
            return failed(format!("There is no time {hour}:{minute}:{second}."));
        }
        let micros = (second * 1e6).round_ties_even() as i64;
        times::checked(Some(day * MICROS_PER_DAY + (hour * 60 + minute) * 60 * MICROS_PER_SECOND + micros)).map(Some)
    });
    times_of(times, kind)
}

fn moment(kinds: Kinds<'_>, zone: bool) -> Result<DataType> {
    match kinds {
        [kind] if kind.is_string() || is_moment(kind) => Ok(timestamp(zone)),
        [text, pattern] if is_text(text) && is_text(pattern) => Ok(timestamp(zone)),
        kinds => numbers(kinds, 1, timestamp(zone)),
    }
}

/// From seconds since 1970, from a text, or from a text and a pattern.
fn to_timestamp(args: &[ArrayRef], kind: &DataType) -> Result<ArrayRef> {
    let from = args[0].data_type();
    if args.len() == 2 {
        return times_of(parsed(args)?, kind);
    }
    if from.is_string() || is_moment(from) {
        return convert(&args[0], kind, false);
    }
    if *from == DataType::Float64 {
        let micros = |second: f64| {
            let micros = (second * 1e6).round_ties_even();
            times::checked((micros.abs() < 9e18).then_some(micros as i64)).map(Some)
        };
        return times_of(
            args[0].as_primitive::<Float64Type>().iter().map(|second| second.map_or(Ok(None), micros)),
            kind,
        );
    }
    scaled(&args[0], 6, kind)
}

/// Whole microseconds from a unit that is `digits` decimal places larger.
fn scaled(array: &ArrayRef, digits: i8, kind: &DataType) -> Result<ArrayRef> {
    let exact = if *array.data_type() == DataType::Float64 {
        convert(array, &decimal::kind(decimal::SCALE), false)?
    } else {
        array.clone()
    };
    let times = decimal::decimals(&exact)?.into_iter().map(|number| {
        let Some(number) = number else { return Ok(None) };
        let micros =
            number.times(Decimal { value: decimal::pow10(digits)?, scale: 0 })?.with_scale(0, decimal::Rest::Round)?;
        times::checked(i64::try_from(micros.stored()?).ok()).map(Some)
    });
    times_of(times, kind)
}

fn of_millis(args: &[ArrayRef], kind: &DataType) -> Result<ArrayRef> {
    scaled(&args[0], 3, kind)
}

fn of_micros(args: &[ArrayRef], kind: &DataType) -> Result<ArrayRef> {
    scaled(&args[0], 0, kind)
}

fn parsed(args: &[ArrayRef]) -> Result<impl Iterator<Item = Result<Option<i64>>>> {
    let (texts, patterns, mut read) = (words(&args[0])?, words(&args[1])?, Read::new());
    let mut times = Vec::with_capacity(texts.len());
    for (text, pattern) in texts.iter().zip(&patterns) {
        times.push(match (text, pattern) {
            (Some(text), Some(pattern)) => read.of(pattern, Pattern::parse)?.read(text).map(Some),
            _ => Ok(None),
        });
    }
    Ok(times.into_iter())
}

fn to_date_kind(kinds: Kinds<'_>, _: Constants<'_>) -> Result<DataType> {
    match kinds {
        [text] | [text, _] if is_text(text) => Ok(DataType::Date32),
        _ => refused("to_date reads a text with a pattern, such as to_date('02.11.2026', 'DD.MM.YYYY')."),
    }
}

fn to_date(args: &[ArrayRef], kind: &DataType) -> Result<ArrayRef> {
    match args {
        [texts] => convert(texts, kind, false),
        args => convert(&times_of(parsed(args)?, &timestamp(false))?, kind, false),
    }
}

fn to_char_kind(kinds: Kinds<'_>, _: Constants<'_>) -> Result<DataType> {
    match kinds {
        [time, pattern] if (is_moment(time) || time.is_null()) && is_text(pattern) => Ok(DataType::Utf8View),
        [_, _] => refused("to_char writes times here: write a number with round(…, 2)::text, an interval with ::text."),
        _ => refused("to_char needs a time and a pattern, such as to_char(timestamp, 'YYYY-MM-DD')."),
    }
}

fn to_char(args: &[ArrayRef], _: &DataType) -> Result<ArrayRef> {
    let zoned = !matches!(args[0].data_type(), DataType::Timestamp(_, None));
    let (times, patterns, mut read) = (moments(&args[0])?, words(&args[1])?, Read::new());
    let texts = times.iter().zip(&patterns).map(|(time, pattern)| match (time, pattern) {
        (Some(_), Some("")) => Ok(None),
        (Some(time), Some(pattern)) => Ok(Some(read.of(pattern, Pattern::parse)?.write(time, zoned))),
        _ => Ok(None),
    });
    Ok(Arc::new(texts.collect::<Result<StringViewArray>>()?))
}
