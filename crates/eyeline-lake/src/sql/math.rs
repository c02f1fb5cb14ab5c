//! Functions on DOUBLE PRECISION. Where PostgreSQL has no result for a number, they fail, and never return NaN or
//! infinity.

use std::sync::Arc;

use arrow_array::cast::AsArray as _;
use arrow_array::types::Float64Type;
use arrow_array::{ArrayRef, Float64Array};
use arrow_schema::DataType;
use datafusion::common::Result;

use super::cast::convert;
use super::numbers::finite;
use super::own::{self, Own, failed, refused};

macro_rules! of_one {
    ($($name:literal => $function:expr),* $(,)?) => {
        &[$(Own {
            name: $name,
            kind: |kinds, _| floats(kinds, 1..=1),
            value: |args, _| one(&args[0], $name, $function),
            label: own::call,
        }),*]
    };
}

pub(super) static OF_ONE: &[Own] = of_one! {
    "sqrt" => f64::sqrt, "cbrt" => f64::cbrt, "exp" => f64::exp, "ln" => f64::ln, "log10" => f64::log10, "log2" => f64::log2,
    "degrees" => f64::to_degrees, "radians" => f64::to_radians,
    "sin" => f64::sin, "cos" => f64::cos, "tan" => f64::tan, "asin" => f64::asin, "acos" => f64::acos, "atan" => f64::atan,
};

pub(super) static OTHERS: &[Own] = &[
    Own { name: "power", kind: |kinds, _| floats(kinds, 2..=2), value: power, label: own::call },
    Own { name: "pow", kind: |kinds, _| floats(kinds, 2..=2), value: power, label: own::call },
    Own { name: "atan2", kind: |kinds, _| floats(kinds, 2..=2), value: atan2, label: own::call },
    Own { name: "log", kind: |kinds, _| floats(kinds, 1..=2), value: log, label: own::call },
    Own {
        name: "pi",
        kind: |kinds, _| floats(kinds, 0..=0),
        value: |_, _| Ok(Arc::new(Float64Array::from(vec![std::f64::consts::PI]))),
        label: own::call,
    },
];

fn floats(kinds: &[DataType], counts: std::ops::RangeInclusive<usize>) -> Result<DataType> {
    let is_number = |kind: &DataType| {
        kind.is_integer() || kind.is_null() || matches!(kind, DataType::Decimal128(..) | DataType::Float64)
    };
    if counts.contains(&kinds.len()) && kinds.iter().all(is_number) {
        return Ok(DataType::Float64);
    }
    refused("This function takes numbers: cast a text first, as in (data->>'n')::double precision.")
}

fn column(array: &ArrayRef) -> Result<Float64Array> {
    Ok(convert(array, &DataType::Float64, false)?.as_primitive::<Float64Type>().clone())
}

fn known(name: &str, result: f64, was_finite: bool, was_nan: bool) -> Result<f64> {
    if result.is_nan() && !was_nan {
        return failed(format!("There is no {name} of this number."));
    }
    finite(result, was_finite)
}

fn one(array: &ArrayRef, name: &str, function: fn(f64) -> f64) -> Result<ArrayRef> {
    let values = column(array)?;
    let results = values
        .iter()
        .map(|value| value.map(|value| known(name, function(value), value.is_finite(), value.is_nan())).transpose());
    Ok(Arc::new(results.collect::<Result<Float64Array>>()?))
}

fn two(args: &[ArrayRef], name: &str, function: impl Fn(f64, f64) -> f64) -> Result<ArrayRef> {
    let (left, right) = (column(&args[0])?, column(&args[1])?);
    let results = left.iter().zip(&right).map(|pair| match pair {
        (Some(left), Some(right)) => {
            known(name, function(left, right), left.is_finite() && right.is_finite(), left.is_nan() || right.is_nan())
                .map(Some)
        }
        _ => Ok(None),
    });
    Ok(Arc::new(results.collect::<Result<Float64Array>>()?))
}

fn power(args: &[ArrayRef], _: &DataType) -> Result<ArrayRef> {
    two(args, "power", f64::powf)
}

fn atan2(args: &[ArrayRef], _: &DataType) -> Result<ArrayRef> {
    two(args, "atan2", f64::atan2)
}

/// The logarithm to base 10, or to the base that is the first of two numbers.
fn log(args: &[ArrayRef], _: &DataType) -> Result<ArrayRef> {
    match args {
        [number] => one(number, "log", f64::log10),
        args => two(args, "log", |base, number| number.ln() / base.ln()),
    }
}
