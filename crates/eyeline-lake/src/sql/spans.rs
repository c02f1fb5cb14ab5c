//! Arithmetic with times and intervals. An interval has one of two types: the difference of two times is in
//! microseconds, and an interval literal also has months and days.

use std::sync::Arc;

use arrow_array::cast::AsArray as _;
use arrow_array::types::{
    Date32Type, DurationMicrosecondType, Int64Type, IntervalMonthDayNano, IntervalMonthDayNanoType,
    TimestampMicrosecondType,
};
use arrow_array::{
    ArrayRef, Date32Array, DurationMicrosecondArray, Int32Array, IntervalMonthDayNanoArray, TimestampMicrosecondArray,
};
use arrow_schema::{DataType, IntervalUnit, TimeUnit};
use datafusion::common::Result;
use datafusion::scalar::ScalarValue;

use super::cast::{convert, timestamp};
use super::own::{self, Own, failed, refused, word};
use super::times::{self, Span};

type Kinds<'a> = &'a [DataType];
type Constants<'a> = &'a [Option<&'a ScalarValue>];

const INTERVAL: DataType = DataType::Interval(IntervalUnit::MonthDayNano);
const LENGTH_KIND: DataType = DataType::Duration(TimeUnit::Microsecond);

pub(super) static ADD: Own = Own { name: "+", kind: sum_kind, value: add, label: infix };
pub(super) static SUBTRACT: Own = Own { name: "-", kind: difference_kind, value: subtract, label: infix };
pub(super) static MULTIPLY: Own = Own { name: "*", kind: multiple_kind, value: multiply, label: infix };
pub(super) static DIVIDE: Own = Own { name: "/", kind: part_kind, value: divide, label: infix };
/// The length of an interval, by which intervals are compared.
pub(super) static LENGTH: Own =
    Own { name: "interval_length", kind: |_, _| Ok(LENGTH_KIND), value: length, label: own::call };
pub(super) static AGE: Own = Own { name: "age", kind: age_kind, value: age, label: own::call };

fn infix(name: &'static str, args: &[String]) -> String {
    args.join(&format!(" {name} "))
}

pub(super) fn is_temporal(kind: &DataType) -> bool {
    times::is_span(kind) || is_moment(kind) || matches!(kind, DataType::Time64(_))
}

pub(super) fn is_moment(kind: &DataType) -> bool {
    matches!(kind, DataType::Timestamp(..) | DataType::Date32)
}

/// Reads times. Dates begin at midnight; texts are parsed.
pub(super) fn moments(array: &ArrayRef) -> Result<TimestampMicrosecondArray> {
    let zone = !matches!(array.data_type(), DataType::Timestamp(_, None));
    Ok(convert(array, &timestamp(zone), false)?.as_primitive::<TimestampMicrosecondType>().clone())
}

pub(super) fn times_of(values: impl Iterator<Item = Result<Option<i64>>>, kind: &DataType) -> Result<ArrayRef> {
    let times = values.collect::<Result<TimestampMicrosecondArray>>()?;
    let DataType::Timestamp(_, zone) = kind else { return failed("This is not a time.") };
    Ok(Arc::new(times.with_timezone_opt(zone.clone())))
}

/// Reads intervals of both types.
pub(super) fn spans(array: &ArrayRef) -> Result<Vec<Option<Span>>> {
    Ok(match array.data_type() {
        DataType::Duration(_) => {
            let micros = array.as_primitive::<DurationMicrosecondType>().iter();
            micros.map(|micros| micros.map(|micros| Span { micros, ..Span::default() })).collect()
        }
        _ => {
            let intervals = array.as_primitive::<IntervalMonthDayNanoType>().iter();
            let span = |interval: IntervalMonthDayNano| Span {
                months: interval.months.into(),
                days: interval.days.into(),
                micros: interval.nanoseconds / 1_000,
            };
            intervals.map(|interval| interval.map(span)).collect()
        }
    })
}

pub(super) fn spans_of(values: impl Iterator<Item = Result<Option<Span>>>, kind: &DataType) -> Result<ArrayRef> {
    if *kind == LENGTH_KIND {
        let lengths = values.map(|span| span?.map(Span::length).transpose());
        return Ok(Arc::new(lengths.collect::<Result<DurationMicrosecondArray>>()?));
    }
    let interval = |span: Span| {
        let parts = (i32::try_from(span.months), i32::try_from(span.days), span.micros.checked_mul(1_000));
        match parts {
            (Ok(months), Ok(days), Some(nanos)) => Ok(IntervalMonthDayNano::new(months, days, nanos)),
            _ => failed("An interval is too long."),
        }
    };
    Ok(Arc::new(values.map(|span| span?.map(interval).transpose()).collect::<Result<IntervalMonthDayNanoArray>>()?))
}

fn length(args: &[ArrayRef], kind: &DataType) -> Result<ArrayRef> {
    spans_of(spans(&args[0])?.into_iter().map(Ok), kind)
}

/// The type of a sum or difference of intervals.
fn span_kind(left: &DataType, right: &DataType) -> DataType {
    if [left, right].into_iter().any(|kind| *kind == INTERVAL) { INTERVAL } else { LENGTH_KIND }
}

fn not_there(operator: &str, left: &DataType, right: &DataType) -> Result<DataType> {
    refused(format!("There is no {} {operator} {}: cast one of them.", word(left), word(right)))
}

fn moved_kind(time: &DataType) -> DataType {
    timestamp(matches!(time, DataType::Timestamp(_, Some(_))))
}

fn sum_kind(kinds: Kinds<'_>, _: Constants<'_>) -> Result<DataType> {
    match kinds {
        [time, span] | [span, time] if is_moment(time) && times::is_span(span) => Ok(moved_kind(time)),
        [DataType::Date32, days] | [days, DataType::Date32] if days.is_integer() => Ok(DataType::Date32),
        [left, right] if times::is_span(left) && times::is_span(right) => Ok(span_kind(left, right)),
        [kind, DataType::Null] | [DataType::Null, kind] => Ok(kind.clone()),
        [left, right] => not_there("+", left, right),
        _ => refused("+ needs two values."),
    }
}

fn difference_kind(kinds: Kinds<'_>, _: Constants<'_>) -> Result<DataType> {
    match kinds {
        [DataType::Date32, DataType::Date32] => Ok(DataType::Int32),
        [DataType::Date32, days] if days.is_integer() => Ok(DataType::Date32),
        [time, span] if is_moment(time) && times::is_span(span) => Ok(moved_kind(time)),
        [left, right] if is_moment(left) && is_moment(right) => Ok(LENGTH_KIND),
        [left, right] if times::is_span(left) && times::is_span(right) => Ok(span_kind(left, right)),
        [kind, DataType::Null] | [DataType::Null, kind] => Ok(kind.clone()),
        [left, right] => not_there("-", left, right),
        _ => refused("- needs two values."),
    }
}

fn pairs<L, R, T>(
    left: impl IntoIterator<Item = Option<L>>,
    right: impl IntoIterator<Item = Option<R>>,
    both: impl Fn(L, R) -> Result<T>,
) -> impl Iterator<Item = Result<Option<T>>> {
    left.into_iter().zip(right).map(move |pair| match pair {
        (Some(left), Some(right)) => both(left, right).map(Some),
        _ => Ok(None),
    })
}

fn moved(time: &ArrayRef, span: &ArrayRef, is_back: bool, kind: &DataType) -> Result<ArrayRef> {
    let (times, spans) = (moments(time)?, spans(span)?);
    let moved = |time, span: Span| times::after(time, if is_back { span.negative() } else { span });
    times_of(pairs(&times, spans, moved), kind)
}

fn days_moved(date: &ArrayRef, days: &ArrayRef, sign: i64) -> Result<ArrayRef> {
    let days = convert(days, &DataType::Int64, false)?;
    let moved = |date: i32, days: i64| times::checked_day(i64::from(date).saturating_add(days.saturating_mul(sign)));
    let dates = pairs(date.as_primitive::<Date32Type>(), days.as_primitive::<Int64Type>(), moved);
    Ok(Arc::new(dates.collect::<Result<Date32Array>>()?))
}

fn joined(args: &[ArrayRef], is_back: bool, kind: &DataType) -> Result<ArrayRef> {
    let sum = |left: Span, right: Span| {
        let right = if is_back { right.negative() } else { right };
        match left.micros.checked_add(right.micros) {
            Some(micros) => Ok(Span { months: left.months + right.months, days: left.days + right.days, micros }),
            None => failed("An interval is too long."),
        }
    };
    spans_of(pairs(spans(&args[0])?, spans(&args[1])?, sum), kind)
}

fn add(args: &[ArrayRef], kind: &DataType) -> Result<ArrayRef> {
    match (args[0].data_type(), args[1].data_type()) {
        (left, right) if times::is_span(left) && times::is_span(right) => joined(args, false, kind),
        (time, span) if is_moment(time) && times::is_span(span) => moved(&args[0], &args[1], false, kind),
        (span, _) if times::is_span(span) => moved(&args[1], &args[0], false, kind),
        (DataType::Date32, _) => days_moved(&args[0], &args[1], 1),
        _ => days_moved(&args[1], &args[0], 1),
    }
}

fn subtract(args: &[ArrayRef], kind: &DataType) -> Result<ArrayRef> {
    match (args[0].data_type(), args[1].data_type()) {
        (DataType::Date32, DataType::Date32) => {
            let days = pairs(
                args[0].as_primitive::<Date32Type>(),
                args[1].as_primitive::<Date32Type>(),
                |left: i32, right: i32| Ok(left - right),
            );
            Ok(Arc::new(days.collect::<Result<Int32Array>>()?))
        }
        (left, right) if times::is_span(left) && times::is_span(right) => joined(args, true, kind),
        (_, span) if times::is_span(span) => moved(&args[0], &args[1], true, kind),
        (_, time) if is_moment(time) => {
            let between = |left: i64, right: i64| Ok(left - right);
            let (left, right) = (moments(&args[0])?, moments(&args[1])?);
            Ok(Arc::new(pairs(&left, &right, between).collect::<Result<DurationMicrosecondArray>>()?))
        }
        _ => days_moved(&args[0], &args[1], -1),
    }
}

fn multiple_kind(kinds: Kinds<'_>, _: Constants<'_>) -> Result<DataType> {
    match kinds {
        [span, times] | [times, span] if times::is_span(span) && times.is_integer() => Ok(span.clone()),
        [left, right] if times::is_span(left) || times::is_span(right) => {
            refused("An interval is multiplied by a whole number: else take extract(epoch FROM …).")
        }
        [left, right] => not_there("*", left, right),
        _ => refused("* needs two values."),
    }
}

fn multiply(args: &[ArrayRef], kind: &DataType) -> Result<ArrayRef> {
    let (span, count) = if times::is_span(args[0].data_type()) { (0, 1) } else { (1, 0) };
    let counts = convert(&args[count], &DataType::Int64, false)?;
    let product = |span: Span, count: i64| {
        let parts = (span.months.checked_mul(count), span.days.checked_mul(count), span.micros.checked_mul(count));
        match parts {
            (Some(months), Some(days), Some(micros)) => Ok(Span { months, days, micros }),
            _ => failed("An interval is too long."),
        }
    };
    spans_of(pairs(spans(&args[span])?, counts.as_primitive::<Int64Type>(), product), kind)
}

fn part_kind(kinds: Kinds<'_>, _: Constants<'_>) -> Result<DataType> {
    match kinds {
        [DataType::Duration(_), count] if count.is_integer() => Ok(LENGTH_KIND),
        [_, _] => {
            refused("Only what lies between two times is divided, by a whole number: else take extract(epoch FROM …).")
        }
        _ => refused("/ needs two values."),
    }
}

fn divide(args: &[ArrayRef], kind: &DataType) -> Result<ArrayRef> {
    let counts = convert(&args[1], &DataType::Int64, false)?;
    let part = |span: Span, count: i64| match span.micros.checked_div(count) {
        Some(micros) => Ok(Span { micros, ..Span::default() }),
        None => failed("A division by zero: NULLIF(…, 0) below the line gives NULL instead."),
    };
    spans_of(pairs(spans(&args[0])?, counts.as_primitive::<Int64Type>(), part), kind)
}

fn age_kind(kinds: Kinds<'_>, _: Constants<'_>) -> Result<DataType> {
    match kinds {
        [left, right] if is_moment(left) && is_moment(right) => Ok(INTERVAL),
        _ => refused("age needs two times, the later one first, such as age(now(), timestamp)."),
    }
}

fn age(args: &[ArrayRef], kind: &DataType) -> Result<ArrayRef> {
    let (later, earlier) = (moments(&args[0])?, moments(&args[1])?);
    spans_of(pairs(&later, &earlier, |later, earlier| Ok(times::age(later, earlier))), kind)
}
