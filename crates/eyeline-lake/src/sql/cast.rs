//! Casts as in PostgreSQL: rounded instead of truncated, checked, and for every time of the years 1 to 9999.

use std::sync::Arc;

use arrow_array::builder::StringViewBuilder;
use arrow_array::cast::AsArray as _;
use arrow_array::types::{
    Date32Type, Decimal128Type, DurationMicrosecondType, Float64Type, Int32Type, Int64Type, IntervalMonthDayNanoType,
    Time64MicrosecondType, TimestampMicrosecondType,
};
use arrow_array::{
    Array, ArrayRef, BooleanArray, Date32Array, Float64Array, Int64Array, PrimitiveArray, TimestampMicrosecondArray,
};
use arrow_schema::{DataType, IntervalUnit, TimeUnit};
use datafusion::arrow::compute::cast;
use datafusion::common::Result;
use datafusion::scalar::ScalarValue;
use serde::de::IgnoredAny;

use super::decimal::{self, Decimal, Rest, SCALE};
use super::numbers::out_of_range;
use super::own::{Own, failed, refused, word};
use super::spans::spans_of;
use super::times::{self, MICROS_PER_DAY, UTC, interval_words};

/// `cast(value, 'TYPE')`, the form into which every cast is rewritten.
pub(super) const CAST: &str = "cast";

pub(super) static FUNCTION: Own = Own { name: CAST, kind, value, label };

fn label(_: &'static str, args: &[String]) -> String {
    let to = args.get(1).map_or("", |to| to.trim_start_matches("Utf8(\"").trim_end_matches("\")"));
    format!("{}::{}", args.first().map_or("", String::as_str), to.to_lowercase())
}

pub(super) fn timestamp(zone: bool) -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, zone.then(|| UTC.into()))
}

fn kind(kinds: &[DataType], constants: &[Option<&ScalarValue>]) -> Result<DataType> {
    let Some(to) = constants.get(1).copied().flatten().and_then(|to| to.try_as_str().flatten()) else {
        return refused("A cast needs a type.");
    };
    let to = target(to)?;
    if is_possible(&kinds[0], &to) {
        return Ok(to);
    }
    refused(format!("{} cannot be cast to {}.", word(&kinds[0]), word(&to)))
}

/// The type that these words name.
fn target(words: &str) -> Result<DataType> {
    let words = words.to_uppercase();
    let (name, numbers) = match words.split_once('(') {
        Some((name, rest)) => (name.trim(), Some(rest.trim_end_matches(')'))),
        None => (words.as_str(), None),
    };
    let unknown = || refused(format!("There is no type {words} here: docs/sql.md lists the types."));
    if let ("NUMERIC" | "DECIMAL" | "DEC", Some(numbers)) = (name, numbers) {
        let (digits, scale) = numbers.split_once(',').unwrap_or((numbers, "0"));
        return match (digits.trim().parse::<u8>(), scale.trim().parse::<i8>()) {
            (Ok(digits @ 1..=decimal::DIGITS_MAX), Ok(scale @ 0..)) if scale.unsigned_abs() <= digits => {
                Ok(DataType::Decimal128(digits, scale))
            }
            _ => refused(format!("{words} has to have 1 to 38 digits, and at most as many after the point.")),
        };
    }
    match (name, numbers) {
        ("TIMESTAMP", Some("6")) => return Ok(timestamp(false)),
        (_, Some(_)) => return unknown(),
        _ => {}
    }
    Ok(match name {
        "SMALLINT" | "INT2" => DataType::Int16,
        "INTEGER" | "INT" | "INT4" => DataType::Int32,
        "BIGINT" | "INT8" => DataType::Int64,
        "NUMERIC" | "DECIMAL" | "DEC" => decimal::kind(SCALE),
        "DOUBLE PRECISION" | "FLOAT8" | "FLOAT" | "DOUBLE" => DataType::Float64,
        "REAL" | "FLOAT4" => return refused("REAL has too few digits to be compared: write DOUBLE PRECISION."),
        "TEXT" | "VARCHAR" | "CHARACTER VARYING" | "JSON" => DataType::Utf8View,
        "JSONB" => return refused("JSON is kept as it was sent: write JSON in place of JSONB."),
        "UUID" => return refused("Ids are TEXT: compare them with a UUID in small letters, without a cast."),
        "BOOLEAN" | "BOOL" => DataType::Boolean,
        "DATE" => DataType::Date32,
        "TIME" | "TIME WITHOUT TIME ZONE" => DataType::Time64(TimeUnit::Microsecond),
        "TIMESTAMP" | "TIMESTAMP WITHOUT TIME ZONE" => timestamp(false),
        "TIMESTAMPTZ" | "TIMESTAMP WITH TIME ZONE" => timestamp(true),
        "INTERVAL" => DataType::Interval(IntervalUnit::MonthDayNano),
        _ => return unknown(),
    })
}

fn is_possible(from: &DataType, to: &DataType) -> bool {
    let is_number = |kind: &DataType| kind.is_integer() || matches!(kind, DataType::Decimal128(..) | DataType::Float64);
    let is_time = |kind: &DataType| matches!(kind, DataType::Timestamp(TimeUnit::Microsecond, _) | DataType::Date32);
    from == to
        || from.is_null()
        || from.is_string()
        || (to.is_string()
            && (is_number(from)
                || is_time(from)
                || matches!(
                    from,
                    DataType::Boolean | DataType::Time64(_) | DataType::Interval(_) | DataType::Duration(_)
                )))
        || (is_number(from) && is_number(to))
        || (is_time(from) && is_time(to))
        || matches!((from, to), (DataType::Timestamp(..), DataType::Time64(_)) | (DataType::Boolean, DataType::Int32))
        || matches!((from, to), (DataType::Int32 | DataType::Int64, DataType::Boolean))
}

fn value(args: &[ArrayRef], kind: &DataType) -> Result<ArrayRef> {
    let is_json = !args[1].is_empty()
        && cast(&args[1], &DataType::Utf8View)?.as_string_view().value(0).eq_ignore_ascii_case("json");
    convert(&args[0], kind, is_json)
}

/// Converts the column to another type.
pub(super) fn convert(array: &ArrayRef, kind: &DataType, is_json: bool) -> Result<ArrayRef> {
    let from = array.data_type();
    if from.is_string() {
        let texts = cast(array, &DataType::Utf8View)?;
        if is_json {
            for text in texts.as_string_view().iter().flatten() {
                if serde_json::from_str::<IgnoredAny>(text).is_err() {
                    return failed(format!("{} is not JSON.", quoted(text)));
                }
            }
        }
        return if kind.is_string() { Ok(texts) } else { of_texts(&texts, kind) };
    }
    if from == kind {
        return Ok(array.clone());
    }
    match kind {
        DataType::Utf8View => to_texts(array),
        DataType::Timestamp(_, zone) => {
            let times = match from {
                DataType::Date32 => Arc::new(
                    array
                        .as_primitive::<Date32Type>()
                        .unary::<_, TimestampMicrosecondType>(|day| i64::from(day) * MICROS_PER_DAY),
                ),
                _ => Arc::new(array.as_primitive::<TimestampMicrosecondType>().clone()),
            };
            Ok(Arc::new(TimestampMicrosecondArray::clone(&times).with_timezone_opt(zone.clone())))
        }
        DataType::Date32 => {
            let day = |time: i64| i32::try_from(time.div_euclid(MICROS_PER_DAY)).unwrap_or(i32::MAX);
            Ok(Arc::new(array.as_primitive::<TimestampMicrosecondType>().unary::<_, Date32Type>(day)))
        }
        DataType::Time64(_) => {
            let time = |time: i64| time.rem_euclid(MICROS_PER_DAY);
            Ok(Arc::new(array.as_primitive::<TimestampMicrosecondType>().unary::<_, Time64MicrosecondType>(time)))
        }
        DataType::Decimal128(digits, scale) => to_decimals(array, *digits, *scale, kind),
        DataType::Float64 => decimal::floats(array),
        DataType::Boolean => {
            let whole = cast(array, &DataType::Int64)?;
            Ok(Arc::new(
                whole
                    .as_primitive::<Int64Type>()
                    .iter()
                    .map(|value| value.map(|value| value != 0))
                    .collect::<BooleanArray>(),
            ))
        }
        kind if kind.is_integer() => to_whole(array, kind),
        other => failed(format!("{} cannot be cast to {}.", word(from), word(other))),
    }
}

fn quoted(text: &str) -> String {
    let head: String = text.chars().take(40).collect();
    if head.len() < text.len() { format!("'{head}…'") } else { format!("'{head}'") }
}

fn to_decimals(array: &ArrayRef, digits: u8, scale: i8, kind: &DataType) -> Result<ArrayRef> {
    // Without a requested number of digits, keeps as many as fit.
    let rest = if *kind == decimal::kind(SCALE) { Rest::Keep } else { Rest::Round };
    let fitted = |number: Decimal| {
        let number = number.with_scale(scale, rest)?;
        if number.stored()?.unsigned_abs() < 10u128.pow(u32::from(digits)) {
            return Ok(Some(number));
        }
        failed(format!("A number has more than {} digits before the point.", i16::from(digits) - i16::from(scale)))
    };
    match array.data_type() {
        DataType::Float64 => {
            let numbers = array.as_primitive::<Float64Type>().iter().map(|value| match value {
                None => Ok(None),
                Some(value) => match decimal::of_float(value) {
                    Some(number) => fitted(number),
                    None => failed(out_of_range(kind)),
                },
            });
            decimal::column(numbers, kind)
        }
        DataType::Utf8View => {
            let numbers = array.as_string_view().iter().map(|text| match text {
                None => Ok(None),
                Some(text) => match decimal::parse(text.trim()) {
                    Some(number) => fitted(number),
                    None => failed(format!("{} is not a NUMERIC.", quoted(text))),
                },
            });
            decimal::column(numbers, kind)
        }
        _ => decimal::column(decimal::decimals(array)?.into_iter().map(|number| number.map_or(Ok(None), fitted)), kind),
    }
}

fn to_whole(array: &ArrayRef, kind: &DataType) -> Result<ArrayRef> {
    let wide: Int64Array = match array.data_type() {
        DataType::Float64 => {
            let whole = |value: f64| {
                let value = value.round_ties_even();
                // 2^63 is the first value that is too large.
                if (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&value) {
                    return Ok(value as i64);
                }
                failed(out_of_range(kind))
            };
            array
                .as_primitive::<Float64Type>()
                .iter()
                .map(|value| value.map(whole).transpose())
                .collect::<Result<_>>()?
        }
        DataType::Decimal128(..) => {
            let whole = |number: Decimal| match i64::try_from(number.with_scale(0, Rest::Round)?.stored()?) {
                Ok(value) => Ok(value),
                Err(_) => failed(out_of_range(kind)),
            };
            decimal::decimals(array)?.into_iter().map(|number| number.map(whole).transpose()).collect::<Result<_>>()?
        }
        DataType::Boolean => array.as_boolean().iter().map(|value| value.map(i64::from)).collect(),
        _ => return narrowed(array, kind),
    };
    narrowed(&(Arc::new(wide) as ArrayRef), kind)
}

fn narrowed(array: &ArrayRef, kind: &DataType) -> Result<ArrayRef> {
    let narrow = cast(array, kind)?;
    if narrow.null_count() > array.null_count() { failed(out_of_range(kind)) } else { Ok(narrow) }
}

fn misread<T>(text: &str, kind: &DataType) -> Result<T> {
    failed(format!("{} is not a {}.", quoted(text), word(kind)))
}

fn of_texts(texts: &ArrayRef, kind: &DataType) -> Result<ArrayRef> {
    let texts_of = texts.as_string_view();
    macro_rules! read {
        ($to:ty, $read:expr) => {
            texts_of
                .iter()
                .map(|text| text.map(|text| $read(text).map_or_else(|| misread(text, kind), Ok)).transpose())
                .collect::<Result<$to>>()?
        };
    }
    Ok(match kind {
        DataType::Boolean => Arc::new(read!(BooleanArray, truth)),
        DataType::Float64 => Arc::new(read!(Float64Array, float)),
        DataType::Decimal128(digits, scale) => return to_decimals(texts, *digits, *scale, kind),
        DataType::Date32 => Arc::new(read!(Date32Array, times::parse_date)),
        DataType::Time64(_) => Arc::new(read!(PrimitiveArray<Time64MicrosecondType>, times::parse_time)),
        DataType::Timestamp(_, zone) => {
            let read_time = |text: &str| times::parse_timestamp(text, zone.is_some());
            Arc::new(read!(TimestampMicrosecondArray, read_time).with_timezone_opt(zone.clone()))
        }
        DataType::Interval(_) => {
            let read = |text: &str| times::parse_span(text).map_or_else(|| misread(text, kind), Ok);
            return spans_of(texts_of.iter().map(|text| text.map(read).transpose()), kind);
        }
        kind if kind.is_integer() => {
            let whole = |text: &str| text.trim().parse::<i64>().ok();
            let wide: ArrayRef = Arc::new(read!(Int64Array, whole));
            narrowed(&wide, kind)?
        }
        other => return failed(format!("TEXT cannot be cast to {}.", word(other))),
    })
}

/// Reads `t`, `tru`, `yes`, `on`, `1` and the like.
fn truth(text: &str) -> Option<bool> {
    let word = text.trim().to_ascii_lowercase();
    let begins = |whole: &str, least: usize| word.len() >= least && whole.starts_with(&word);
    if begins("true", 1) || begins("yes", 1) || word == "on" || word == "1" {
        Some(true)
    } else if begins("false", 1) || begins("no", 1) || begins("off", 2) || word == "0" {
        Some(false)
    } else {
        None
    }
}

/// Rejects infinity and NaN.
fn float(text: &str) -> Option<f64> {
    text.trim().parse().ok().filter(|value: &f64| value.is_finite()).map(|value| value + 0.0)
}

/// Spells a number as PostgreSQL does: with at most 15 digits before the point.
fn float_text(value: f64) -> String {
    let short = format!("{value:e}");
    let (digits, exponent) = short.split_once('e').unwrap_or((&short, "0"));
    match exponent.parse::<i32>().unwrap_or(0) {
        -4..15 => value.to_string(),
        exponent => format!("{digits}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.unsigned_abs()),
    }
}

fn to_texts(array: &ArrayRef) -> Result<ArrayRef> {
    let mut texts = StringViewBuilder::with_capacity(array.len());
    for row in 0..array.len() {
        texts.append_option(if array.is_null(row) { None } else { Some(text(array, row)?) });
    }
    Ok(Arc::new(texts.finish()))
}

/// Spells a value that is not NULL as PostgreSQL does.
pub(super) fn text(array: &dyn Array, row: usize) -> Result<String> {
    Ok(match array.data_type() {
        DataType::Boolean => array.as_boolean().value(row).to_string(),
        DataType::Float64 => float_text(array.as_primitive::<Float64Type>().value(row)),
        // The query requested no number of digits.
        DataType::Decimal128(_, SCALE) => {
            let digits = array.as_primitive::<Decimal128Type>().value_as_string(row);
            digits.trim_end_matches('0').trim_end_matches('.').to_owned()
        }
        DataType::Decimal128(..) => array.as_primitive::<Decimal128Type>().value_as_string(row),
        DataType::Date32 => times::date_text(array.as_primitive::<Date32Type>().value(row)),
        DataType::Time64(_) => times::time_text(array.as_primitive::<Time64MicrosecondType>().value(row)),
        DataType::Timestamp(_, zone) => {
            let time = times::timestamp_text(array.as_primitive::<TimestampMicrosecondType>().value(row), ' ');
            if zone.is_some() { time + "+00" } else { time }
        }
        DataType::Duration(_) => {
            let micros = array.as_primitive::<DurationMicrosecondType>().value(row);
            interval_words(0, micros / MICROS_PER_DAY, micros % MICROS_PER_DAY)
        }
        DataType::Interval(_) => {
            let interval = array.as_primitive::<IntervalMonthDayNanoType>().value(row);
            interval_words(interval.months.into(), interval.days.into(), interval.nanoseconds / 1_000)
        }
        DataType::Int32 => array.as_primitive::<Int32Type>().value(row).to_string(),
        kind if kind.is_integer() => {
            cast(&arrow_array::make_array(array.to_data().slice(row, 1)), &DataType::Utf8View)?
                .as_string_view()
                .value(0)
                .to_owned()
        }
        other => return failed(format!("{} has no text.", word(other))),
    })
}
