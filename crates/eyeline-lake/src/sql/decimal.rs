//! Exact numbers with as many digits as a query asks for. A number that does not fit is an error.
//!
//! A NUMERIC is stored in 128 bits with a fixed number of digits after the point, which its type states. PostgreSQL
//! instead chooses that number for each value.

use std::sync::Arc;

use arrow_array::cast::AsArray as _;
use arrow_array::types::Decimal128Type;
use arrow_array::{ArrayRef, Decimal128Array, Float64Array};
use arrow_schema::DataType;
use datafusion::arrow::datatypes::i256;
use datafusion::common::Result;

use super::own::failed;

pub(super) const DIGITS_MAX: u8 = 38;
/// Digits after the point of a quotient, and of a NUMERIC without a stated scale.
pub(super) const SCALE: i8 = 18;
/// Digits that a value must keep when it is rounded to a scale that the query did not state.
const DIGITS_KEPT: i8 = 10;
const TOO_LARGE: &str = "A number has too many digits: a NUMERIC holds 38 of them. Cast to DOUBLE PRECISION.";

pub(super) fn kind(scale: i8) -> DataType {
    DataType::Decimal128(DIGITS_MAX, scale)
}

pub(super) fn pow10(digits: i8) -> Result<i256> {
    let power = i256::from_i128(10).checked_pow(u32::try_from(digits).unwrap_or(0));
    power.map_or_else(|| failed(TOO_LARGE), Ok)
}

/// A value, and its number of digits after the point.
#[derive(Clone, Copy, Debug)]
pub(super) struct Decimal {
    pub(super) value: i256,
    pub(super) scale: i8,
}

/// The treatment of digits for which a scale has no room.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Rest {
    /// Round them half away from zero: the query stated this scale.
    Round,
    /// Truncate them.
    Cut,
    /// Round them if enough digits remain: the query did not state this scale.
    Keep,
}

impl Decimal {
    pub(super) fn new(value: i128, scale: i8) -> Self {
        Decimal { value: i256::from_i128(value), scale }
    }

    pub(super) fn times(self, other: Decimal) -> Result<Decimal> {
        match self.value.checked_mul(other.value) {
            Some(value) => Ok(Decimal { value, scale: self.scale + other.scale }),
            None => failed(TOO_LARGE),
        }
    }

    /// This number with `scale` digits after the point.
    pub(super) fn with_scale(self, scale: i8, rest: Rest) -> Result<Decimal> {
        if scale >= self.scale {
            let value = self.value.checked_mul(pow10(scale - self.scale)?);
            return value.map_or_else(|| failed(TOO_LARGE), |value| Ok(Decimal { value, scale }));
        }
        Ok(Decimal { value: quotient(self.value, pow10(self.scale - scale)?, scale, rest)?, scale })
    }

    /// The quotient with `scale` digits after the point.
    pub(super) fn divided_by(self, other: Decimal, scale: i8, rest: Rest) -> Result<Decimal> {
        if other.value == i256::ZERO {
            return failed("A division by zero: NULLIF(…, 0) below the line gives NULL instead.");
        }
        let digits = scale + other.scale - self.scale;
        let (above, below) = if digits >= 0 { (pow10(digits)?, i256::ONE) } else { (i256::ONE, pow10(-digits)?) };
        match (self.value.checked_mul(above), other.value.checked_mul(below)) {
            (Some(above), Some(below)) => Ok(Decimal { value: quotient(above, below, scale, rest)?, scale }),
            _ => failed(TOO_LARGE),
        }
    }

    pub(super) fn order(self, other: Decimal) -> Result<std::cmp::Ordering> {
        let scale = self.scale.max(other.scale);
        Ok(self.with_scale(scale, Rest::Cut)?.value.cmp(&other.with_scale(scale, Rest::Cut)?.value))
    }

    pub(super) fn stored(self) -> Result<i128> {
        match self.value.to_i128() {
            Some(value) if value.unsigned_abs() < 10u128.pow(38) => Ok(value),
            _ => failed(TOO_LARGE),
        }
    }
}

fn quotient(above: i256, below: i256, scale: i8, rest: Rest) -> Result<i256> {
    let (Some(whole), Some(left)) = (above.checked_div(below), above.checked_rem(below)) else {
        return failed(TOO_LARGE);
    };
    if left == i256::ZERO || rest == Rest::Cut {
        return Ok(whole);
    }
    let size = |value: i256| if value.is_negative() { value.wrapping_neg() } else { value };
    if rest == Rest::Keep && scale > DIGITS_KEPT && size(whole) < pow10(DIGITS_KEPT)? {
        return failed("A number is too small for a NUMERIC of 18 digits after the point: cast to DOUBLE PRECISION.");
    }
    if size(left) < size(below).wrapping_sub(size(left)) {
        return Ok(whole);
    }
    let up = if above.is_negative() == below.is_negative() { i256::ONE } else { i256::MINUS_ONE };
    Ok(whole.wrapping_add(up))
}

/// Reads the numbers of a column of decimals or integers.
pub(super) fn decimals(array: &ArrayRef) -> Result<Vec<Option<Decimal>>> {
    let (array, scale) = match array.data_type() {
        DataType::Decimal128(_, scale) => (array.clone(), *scale),
        _ => (datafusion::arrow::compute::cast(array, &DataType::Decimal128(20, 0))?, 0),
    };
    Ok(array
        .as_primitive::<Decimal128Type>()
        .iter()
        .map(|value| value.map(|value| Decimal::new(value, scale)))
        .collect())
}

/// The nearest DOUBLE PRECISION of each number.
pub(super) fn floats(array: &ArrayRef) -> Result<ArrayRef> {
    let DataType::Decimal128(_, scale) = array.data_type() else {
        return Ok(datafusion::arrow::compute::cast(array, &DataType::Float64)?);
    };
    let nearest = |value: i128| format!("{value}e{}", -i16::from(*scale)).parse().unwrap_or(f64::NAN);
    Ok(Arc::new(
        array.as_primitive::<Decimal128Type>().iter().map(|value| value.map(nearest)).collect::<Float64Array>(),
    ))
}

/// A column of type `kind`. The numbers must have its scale.
pub(super) fn column(numbers: impl Iterator<Item = Result<Option<Decimal>>>, kind: &DataType) -> Result<ArrayRef> {
    let values = numbers.map(|number| number?.map(Decimal::stored).transpose());
    let values = values.collect::<Result<Vec<Option<i128>>>>()?;
    Ok(Arc::new(Decimal128Array::from(values).with_data_type(kind.clone())))
}

/// Reads `-12.5e3`.
pub(super) fn parse(text: &str) -> Option<Decimal> {
    let (digits, exponent) = match text.find(['e', 'E']) {
        Some(at) => (&text[..at], text[at + 1..].parse::<i16>().ok()?),
        None => (text, 0),
    };
    let (sign, digits) = match digits.strip_prefix('-') {
        Some(digits) => (i256::MINUS_ONE, digits),
        None => (i256::ONE, digits.strip_prefix('+').unwrap_or(digits)),
    };
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.is_empty() && part.is_empty() {
        return None;
    }
    let mut value = i256::ZERO;
    for digit in whole.bytes().chain(part.trim_end_matches('0').bytes()) {
        let digit = digit.is_ascii_digit().then(|| i128::from(digit - b'0'))?;
        value = value.checked_mul(i256::from_i128(10))?.checked_add(i256::from_i128(digit))?;
    }
    let scale = i16::try_from(part.trim_end_matches('0').len()).ok()?.checked_sub(exponent)?;
    let mut number =
        Decimal { value: value.checked_mul(sign)?, scale: i8::try_from(scale).ok().filter(|scale| *scale > -77)? };
    if number.scale < 0 {
        number.value = number.value.checked_mul(pow10(-number.scale).ok()?)?;
        number.scale = 0;
    }
    (number.scale < 77).then_some(number)
}

/// The shortest number with the same 15 digits, as PostgreSQL converts a DOUBLE PRECISION to NUMERIC.
pub(super) fn of_float(value: f64) -> Option<Decimal> {
    parse(&format!("{value:.14e}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Decimal {
        parse(text).unwrap_or_else(|| panic!("{text}"))
    }

    #[test]
    fn halves_are_rounded_away_from_zero() {
        for (text, scale, expected) in
            [("2.5", 0, 3), ("-2.5", 0, -3), ("2.4999", 0, 2), ("0.05", 1, 1), ("-0.049", 1, 0), ("1.005", 2, 101)]
        {
            let rounded = number(text).with_scale(scale, Rest::Round).expect("a number");
            assert_eq!(rounded.stored().expect("few digits"), expected, "{text}");
        }
        let third = number("1").divided_by(number("-3"), 4, Rest::Round).expect("a number");
        assert_eq!(third.stored().expect("few digits"), -3333);
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        let large = number("1e37");
        assert!(large.times(number("10")).and_then(Decimal::stored).is_err());
        assert!(number("1e-30").with_scale(SCALE, Rest::Keep).is_err(), "no digit would be left");
        assert!(number("1").divided_by(number("0"), SCALE, Rest::Keep).is_err());
        assert!(parse("1e999").is_none() && parse("").is_none() && parse("1.2.3").is_none() && parse("-").is_none());
    }
}
