//! Arithmetic as in PostgreSQL: integers that never wrap, exact decimals, and no infinity from finite numbers.

use std::sync::Arc;

use arrow_array::cast::AsArray as _;
use arrow_array::types::{DurationMicrosecondType, Float64Type, Int64Type};
use arrow_array::{ArrayRef, DurationMicrosecondArray, Float64Array, Int32Array};
use arrow_schema::{DataType, TimeUnit};
use datafusion::arrow::compute::kernels::numeric;
use datafusion::arrow::compute::{CastOptions, cast_with_options};
use datafusion::common::Result;
use datafusion::scalar::ScalarValue;

use super::decimal::{self, Decimal, Rest, SCALE};
use super::own::{self, Own, failed, refused, word};

pub(super) const NEGATE: &str = "negate";

type Kinds<'a> = &'a [DataType];
type Constants<'a> = &'a [Option<&'a ScalarValue>];

pub(super) static ADD: Own = Own { name: "+", kind: common_kind, value: add, label: infix };
pub(super) static SUBTRACT: Own = Own { name: "-", kind: common_kind, value: subtract, label: infix };
pub(super) static MULTIPLY: Own = Own { name: "*", kind: product_kind, value: multiply, label: infix };
pub(super) static DIVIDE: Own = Own { name: "/", kind: quotient_kind, value: divide, label: infix };
pub(super) static REMAINDER: Own = Own { name: "%", kind: remainder_kind, value: remainder, label: infix };
/// Compares two decimals: below, equal to or above 0.
pub(super) static ORDER: Own = Own { name: "order", kind: |_, _| Ok(DataType::Int32), value: order, label: own::call };
/// The summands of `sum`, in a type so wide that the sum cannot overflow.
pub(super) static TERM: Own = Own { name: "term", kind: term_kind, value: term, label: inner };
/// A sum divided by a count.
pub(super) static MEAN: Own = Own { name: "mean", kind: mean_kind, value: mean, label: mean_label };

pub(super) static FUNCTIONS: &[Own] = &[
    Own {
        name: NEGATE,
        kind: |kinds, _| number(&kinds[0]),
        value: negate,
        label: |_, args| format!("- {}", args.join("")),
    },
    Own { name: "abs", kind: one, value: abs, label: own::call },
    Own { name: "sign", kind: one, value: sign, label: own::call },
    Own { name: "ceil", kind: whole_kind, value: ceil, label: own::call },
    Own { name: "ceiling", kind: whole_kind, value: ceil, label: own::call },
    Own { name: "floor", kind: whole_kind, value: floor, label: own::call },
    Own { name: "round", kind: rounded_kind, value: round, label: own::call },
    Own { name: "trunc", kind: rounded_kind, value: trunc, label: own::call },
    Own { name: "mod", kind: remainder_kind, value: remainder, label: own::call },
    Own { name: "div", kind: whole_quotient_kind, value: whole_quotient, label: own::call },
];

fn infix(name: &'static str, args: &[String]) -> String {
    args.join(&format!(" {name} "))
}

fn inner(_: &'static str, args: &[String]) -> String {
    args.join(",")
}

fn mean_label(name: &'static str, args: &[String]) -> String {
    args.first().and_then(|sum| sum.strip_prefix("sum")).map_or_else(|| name.to_owned(), |of| format!("avg{of}"))
}

/// The type in which a number is computed.
fn number(kind: &DataType) -> Result<DataType> {
    Ok(match kind {
        DataType::Int8 | DataType::UInt8 | DataType::Int16 => DataType::Int16,
        DataType::UInt16 | DataType::Int32 => DataType::Int32,
        DataType::UInt32 | DataType::Int64 | DataType::UInt64 => DataType::Int64,
        DataType::Decimal128(..) | DataType::Float64 | DataType::Null => kind.clone(),
        text if text.is_string() => {
            return refused(
                "A TEXT is not a number: cast it first, as in (data->>'price')::numeric or (data->>'n')::bigint.",
            );
        }
        other => return refused(format!("{} is not a number.", word(other))),
    })
}

fn one(kinds: Kinds<'_>, _: Constants<'_>) -> Result<DataType> {
    match kinds {
        [kind] => Ok(match number(kind)? {
            DataType::Decimal128(_, scale) => decimal::kind(scale),
            kind => kind,
        }),
        _ => refused("This function takes one number."),
    }
}

fn scale(kind: &DataType) -> i8 {
    if let DataType::Decimal128(_, scale) = kind { *scale } else { 0 }
}

/// The type of an operation, with `scale` for decimals.
fn joint(kinds: Kinds<'_>, scale_of: fn(i8, i8) -> i8) -> Result<DataType> {
    let [left, right] = kinds else { return refused("This takes two numbers.") };
    let (left, right) = (number(left)?, number(right)?);
    Ok(match (&left, &right) {
        (DataType::Null, DataType::Null) => DataType::Int32,
        (DataType::Null, DataType::Decimal128(_, scale)) | (DataType::Decimal128(_, scale), DataType::Null) => {
            decimal::kind(scale_of(*scale, *scale))
        }
        (DataType::Null, other) | (other, DataType::Null) => other.clone(),
        (DataType::Float64, _) | (_, DataType::Float64) => DataType::Float64,
        (DataType::Decimal128(..), _) | (_, DataType::Decimal128(..)) => {
            decimal::kind(scale_of(scale(&left), scale(&right)))
        }
        (DataType::Int64, _) | (_, DataType::Int64) => DataType::Int64,
        (DataType::Int32, _) | (_, DataType::Int32) => DataType::Int32,
        _ => DataType::Int16,
    })
}

fn common_kind(kinds: Kinds<'_>, _: Constants<'_>) -> Result<DataType> {
    joint(kinds, i8::max)
}

fn product_kind(kinds: Kinds<'_>, _: Constants<'_>) -> Result<DataType> {
    joint(kinds, |left, right| left.saturating_add(right).min(SCALE.max(left).max(right)))
}

fn quotient_kind(kinds: Kinds<'_>, _: Constants<'_>) -> Result<DataType> {
    joint(kinds, |left, right| SCALE.max(left).max(right))
}

fn remainder_kind(kinds: Kinds<'_>, _: Constants<'_>) -> Result<DataType> {
    match joint(kinds, i8::max)? {
        DataType::Float64 => refused("% is not there for DOUBLE PRECISION: cast to NUMERIC."),
        kind => Ok(kind),
    }
}

fn whole_quotient_kind(kinds: Kinds<'_>, _: Constants<'_>) -> Result<DataType> {
    match joint(kinds, i8::max)? {
        DataType::Float64 => refused("div is not there for DOUBLE PRECISION: cast to NUMERIC."),
        _ => Ok(decimal::kind(0)),
    }
}

/// Converts the column to another numeric type. Fails if a value does not fit.
fn to(array: &ArrayRef, kind: &DataType) -> Result<ArrayRef> {
    if *kind == DataType::Float64 {
        return decimal::floats(array);
    }
    let options = CastOptions { safe: false, ..CastOptions::default() };
    match cast_with_options(array, kind, &options) {
        Ok(array) => Ok(array),
        Err(_) => failed(out_of_range(kind)),
    }
}

pub(super) fn out_of_range(kind: &DataType) -> String {
    format!("A result is out of the range of {}: cast to a wider type, such as NUMERIC.", word(kind))
}

fn operate(
    args: &[ArrayRef],
    kind: &DataType,
    whole: fn(&ArrayRef, &ArrayRef) -> Result<ArrayRef, arrow_schema::ArrowError>,
    exact: impl Fn(Decimal, Decimal) -> Result<Decimal>,
    float: fn(f64, f64) -> Result<f64>,
) -> Result<ArrayRef> {
    match kind {
        DataType::Decimal128(_, scale) => {
            let (left, right) = (decimal::decimals(&args[0])?, decimal::decimals(&args[1])?);
            let results = left.into_iter().zip(right).map(|pair| match pair {
                (Some(left), Some(right)) => exact(left, right)?.with_scale(*scale, Rest::Keep).map(Some),
                _ => Ok(None),
            });
            decimal::column(results, kind)
        }
        DataType::Float64 => {
            let (left, right) = (to(&args[0], kind)?, to(&args[1], kind)?);
            let pairs = left.as_primitive::<Float64Type>().iter().zip(right.as_primitive::<Float64Type>());
            let results = pairs.map(|pair| match pair {
                (Some(left), Some(right)) => float(left, right).map(Some),
                _ => Ok(None),
            });
            Ok(Arc::new(results.collect::<Result<Float64Array>>()?))
        }
        kind => match whole(&to(&args[0], kind)?, &to(&args[1], kind)?) {
            Ok(array) => Ok(array),
            Err(arrow_schema::ArrowError::DivideByZero) => {
                failed("A division by zero: NULLIF(…, 0) below the line gives NULL instead.")
            }
            Err(_) => failed(out_of_range(kind)),
        },
    }
}

/// The result of finite numbers must be finite. Avoids negative zero, which would not equal zero.
pub(super) fn finite(result: f64, was_finite: bool) -> Result<f64> {
    if was_finite && !result.is_finite() {
        return failed("A result is out of the range of DOUBLE PRECISION.");
    }
    Ok(result + 0.0)
}

fn add(args: &[ArrayRef], kind: &DataType) -> Result<ArrayRef> {
    let exact = |left: Decimal, right: Decimal| {
        let scale = left.scale.max(right.scale);
        let (left, right) = (left.with_scale(scale, Rest::Keep)?, right.with_scale(scale, Rest::Keep)?);
        Ok(Decimal { value: left.value.wrapping_add(right.value), scale })
    };
    let float = |left: f64, right: f64| finite(left + right, left.is_finite() && right.is_finite());
    operate(args, kind, |left, right| numeric::add(left, right), exact, float)
}

fn subtract(args: &[ArrayRef], kind: &DataType) -> Result<ArrayRef> {
    let exact = |left: Decimal, right: Decimal| {
        let scale = left.scale.max(right.scale);
        let (left, right) = (left.with_scale(scale, Rest::Keep)?, right.with_scale(scale, Rest::Keep)?);
        Ok(Decimal { value: left.value.wrapping_sub(right.value), scale })
    };
    let float = |left: f64, right: f64| finite(left - right, left.is_finite() && right.is_finite());
    operate(args, kind, |left, right| numeric::sub(left, right), exact, float)
}

fn multiply(args: &[ArrayRef], kind: &DataType) -> Result<ArrayRef> {
    let float = |left: f64, right: f64| {
        let result = left * right;
        if result == 0.0 && left != 0.0 && right != 0.0 {
            return failed("A result is too small for DOUBLE PRECISION.");
        }
        finite(result, left.is_finite() && right.is_finite())
    };
    operate(args, kind, |left, right| numeric::mul(left, right), Decimal::times, float)
}

fn divide(args: &[ArrayRef], kind: &DataType) -> Result<ArrayRef> {
    let scale = scale(kind);
    let exact = |left: Decimal, right: Decimal| left.divided_by(right, scale, Rest::Keep);
    let float = |left: f64, right: f64| {
        if right == 0.0 && !left.is_nan() {
            return failed("A division by zero: NULLIF(…, 0) below the line gives NULL instead.");
        }
        let result = left / right;
        if result == 0.0 && left != 0.0 && right.is_finite() {
            return failed("A result is too small for DOUBLE PRECISION.");
        }
        finite(result, left.is_finite() && right.is_finite())
    };
    operate(args, kind, |left, right| numeric::div(left, right), exact, float)
}

fn remainder(args: &[ArrayRef], kind: &DataType) -> Result<ArrayRef> {
    let exact = |left: Decimal, right: Decimal| {
        let scale = left.scale.max(right.scale);
        let (left, right) = (left.with_scale(scale, Rest::Keep)?, right.with_scale(scale, Rest::Keep)?);
        match left.value.checked_rem(right.value) {
            Some(value) => Ok(Decimal { value, scale }),
            None => failed("A division by zero: NULLIF(…, 0) below the line gives NULL instead."),
        }
    };
    operate(args, kind, |left, right| numeric::rem(left, right), exact, |left, _| Ok(left))
}

fn whole_quotient(args: &[ArrayRef], kind: &DataType) -> Result<ArrayRef> {
    let exact = |left: Decimal, right: Decimal| left.divided_by(right, 0, Rest::Cut);
    operate(args, kind, |left, right| numeric::div(left, right), exact, |left, _| Ok(left))
}

fn order(args: &[ArrayRef], _: &DataType) -> Result<ArrayRef> {
    let (left, right) = (decimal::decimals(&args[0])?, decimal::decimals(&args[1])?);
    let orders = left.into_iter().zip(right).map(|pair| match pair {
        (Some(left), Some(right)) => left.order(right).map(|order| Some(order as i32)),
        _ => Ok(None),
    });
    Ok(Arc::new(orders.collect::<Result<Int32Array>>()?))
}

/// Applies one function to every value of a numeric column.
fn each(
    array: &ArrayRef,
    kind: &DataType,
    exact: impl Fn(Decimal) -> Result<Decimal>,
    float: impl Fn(f64) -> f64,
) -> Result<ArrayRef> {
    match kind {
        DataType::Float64 => {
            let values = to(array, kind)?;
            let values = values.as_primitive::<Float64Type>().iter();
            Ok(Arc::new(values.map(|value| value.map(|value| float(value) + 0.0)).collect::<Float64Array>()))
        }
        DataType::Decimal128(..) => {
            decimal::column(decimal::decimals(array)?.into_iter().map(|value| value.map(&exact).transpose()), kind)
        }
        kind => {
            let wide = decimal::kind(0);
            let values = decimal::decimals(array)?.into_iter().map(|value| value.map(&exact).transpose());
            to(&decimal::column(values, &wide)?, kind)
        }
    }
}

fn negate(args: &[ArrayRef], kind: &DataType) -> Result<ArrayRef> {
    let negative = |number: Decimal| Ok(Decimal { value: number.value.wrapping_neg(), ..number });
    each(&args[0], kind, negative, |value| -value)
}

fn abs(args: &[ArrayRef], kind: &DataType) -> Result<ArrayRef> {
    let size = |number: Decimal| {
        let value = if number.value.is_negative() { number.value.wrapping_neg() } else { number.value };
        Ok(Decimal { value, ..number })
    };
    each(&args[0], kind, size, f64::abs)
}

fn sign(args: &[ArrayRef], kind: &DataType) -> Result<ArrayRef> {
    let sign = |number: Decimal| {
        let order = number.order(Decimal::new(0, 0))?;
        Decimal::new(order as i128, 0).with_scale(number.scale, Rest::Cut)
    };
    each(&args[0], kind, sign, |value| if value == 0.0 || value.is_nan() { value } else { value.signum() })
}

fn whole_kind(kinds: Kinds<'_>, constants: Constants<'_>) -> Result<DataType> {
    Ok(match one(kinds, constants)? {
        DataType::Decimal128(..) => decimal::kind(0),
        kind => kind,
    })
}

/// The next integer in one direction.
fn next_whole(number: Decimal, up: bool) -> Result<Decimal> {
    let cut = number.with_scale(0, Rest::Cut)?;
    let step = match number.order(cut)? {
        std::cmp::Ordering::Greater if up => 1,
        std::cmp::Ordering::Less if !up => -1,
        _ => 0,
    };
    Ok(Decimal { value: cut.value.wrapping_add(Decimal::new(step, 0).value), scale: 0 })
}

fn ceil(args: &[ArrayRef], kind: &DataType) -> Result<ArrayRef> {
    each(&args[0], kind, |number| next_whole(number, true), f64::ceil)
}

fn floor(args: &[ArrayRef], kind: &DataType) -> Result<ArrayRef> {
    each(&args[0], kind, |number| next_whole(number, false), f64::floor)
}

fn rounded_kind(kinds: Kinds<'_>, constants: Constants<'_>) -> Result<DataType> {
    match kinds {
        [_] => whole_kind(kinds, constants),
        [kind, digits] if digits.is_integer() => match number(kind)? {
            DataType::Float64 => {
                refused("A DOUBLE PRECISION is rounded to whole numbers: cast it first, as in round(x::numeric, 2).")
            }
            _ => match digits_of(constants.get(1).copied().flatten()) {
                Some(digits) => Ok(decimal::kind(digits.clamp(0, 30))),
                None => refused("The number of digits has to be a constant from -30 to 30."),
            },
        },
        _ => refused("This takes a number and how many digits it is to have after the point."),
    }
}

fn digits_of(value: Option<&ScalarValue>) -> Option<i8> {
    match value?.cast_to(&DataType::Int64) {
        Ok(ScalarValue::Int64(Some(digits))) => i8::try_from(digits).ok().filter(|digits| (-30..=30).contains(digits)),
        _ => None,
    }
}

fn to_digits(args: &[ArrayRef], kind: &DataType, rest: Rest, float: fn(f64) -> f64) -> Result<ArrayRef> {
    let scale = scale(kind);
    let Some(digits) = args.get(1) else {
        return each(&args[0], kind, |number| number.with_scale(scale, rest), float);
    };
    let digits = to(digits, &DataType::Int64)?;
    let digits = digits.as_primitive::<Int64Type>();
    let results = decimal::decimals(&args[0])?.into_iter().zip(digits).map(|(number, digits)| {
        let (Some(number), Some(digits)) = (number, digits) else { return Ok(None) };
        if digits >= 0 {
            let digits = i8::try_from(digits.min(30)).unwrap_or(30);
            return number.with_scale(digits, rest)?.with_scale(scale, Rest::Round).map(Some);
        }
        let unit = Decimal { value: decimal::pow10(i8::try_from(-digits).unwrap_or(i8::MAX))?, scale: 0 };
        number.divided_by(unit, 0, rest)?.times(unit).map(Some)
    });
    decimal::column(results, kind)
}

fn round(args: &[ArrayRef], kind: &DataType) -> Result<ArrayRef> {
    to_digits(args, kind, Rest::Round, f64::round_ties_even)
}

fn trunc(args: &[ArrayRef], kind: &DataType) -> Result<ArrayRef> {
    to_digits(args, kind, Rest::Cut, f64::trunc)
}

/// A sum of numbers with this many digits has room for 10,000,000,000 rows.
const TERM_DIGITS: u8 = 28;

fn term_kind(kinds: Kinds<'_>, _: Constants<'_>) -> Result<DataType> {
    match kinds {
        [DataType::Duration(_)] => Ok(kinds[0].clone()),
        [DataType::Interval(_)] => refused("Intervals are added up as numbers: sum(extract(epoch FROM …))."),
        [kind] => Ok(match number(kind)? {
            DataType::Int16 | DataType::Int32 | DataType::Null => DataType::Int64,
            DataType::Int64 => DataType::Decimal128(19, 0),
            DataType::Decimal128(digits, scale) => {
                DataType::Decimal128(digits.min(TERM_DIGITS.max(scale.unsigned_abs())), scale)
            }
            kind => kind,
        }),
        _ => refused("This adds up one column."),
    }
}

fn term(args: &[ArrayRef], kind: &DataType) -> Result<ArrayRef> {
    match kind {
        DataType::Duration(_) => Ok(args[0].clone()),
        kind => to(&args[0], kind),
    }
}

fn mean_kind(kinds: Kinds<'_>, _: Constants<'_>) -> Result<DataType> {
    Ok(match &kinds[0] {
        DataType::Decimal128(_, scale) => decimal::kind(SCALE.max(*scale)),
        DataType::Int64 => decimal::kind(SCALE),
        kind => kind.clone(),
    })
}

fn mean(args: &[ArrayRef], kind: &DataType) -> Result<ArrayRef> {
    if !matches!(kind, DataType::Duration(TimeUnit::Microsecond)) {
        return divide(args, kind);
    }
    let sums = args[0].as_primitive::<DurationMicrosecondType>();
    let counts = to(&args[1], &DataType::Int64)?;
    let means = sums.iter().zip(counts.as_primitive::<Int64Type>()).map(|pair| match pair {
        (Some(sum), Some(count)) if count > 0 => Some(sum / count),
        _ => None,
    });
    Ok(Arc::new(means.collect::<DurationMicrosecondArray>()))
}
