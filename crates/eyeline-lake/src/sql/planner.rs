//! Reads operators and aggregates as the functions that compute PostgreSQL's results.

use std::sync::Arc;

use arrow_schema::DataType;
use datafusion::common::{DFSchema, Result};
use datafusion::execution::SessionStateDefaults;
use datafusion::logical_expr::expr::{AggregateFunction, Case, WindowFunction, WindowFunctionParams};
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawAggregateExpr, RawBinaryExpr, RawWindowExpr};
use datafusion::logical_expr::{AggregateUDF, Expr, ExprSchemable as _, WindowFunctionDefinition, lit};
use datafusion::scalar::ScalarValue;
use datafusion::sql::sqlparser::ast::BinaryOperator;

use super::cast::{FUNCTION as CAST, timestamp};
use super::functions::Concatenate;
use super::numbers::{self, MEAN, ORDER, TERM};
use super::own::{Own, refused, word};
use super::spans::{self, LENGTH, is_temporal};
use super::time_functions::EXTRACT;
use super::times::is_span;
use super::{decimal, json, pattern};

#[derive(Debug)]
pub(super) struct Postgres;

impl ExprPlanner for Postgres {
    fn plan_binary_op(&self, raw: RawBinaryExpr, schema: &DFSchema) -> Result<PlannerResult<RawBinaryExpr>> {
        let RawBinaryExpr { op, left, right } = raw;
        Ok(match op {
            BinaryOperator::Plus => {
                PlannerResult::Planned(computed(&numbers::ADD, Some(&spans::ADD), left, right, schema)?)
            }
            BinaryOperator::Minus => {
                PlannerResult::Planned(computed(&numbers::SUBTRACT, Some(&spans::SUBTRACT), left, right, schema)?)
            }
            BinaryOperator::Multiply => {
                PlannerResult::Planned(computed(&numbers::MULTIPLY, Some(&spans::MULTIPLY), left, right, schema)?)
            }
            BinaryOperator::Divide => {
                PlannerResult::Planned(computed(&numbers::DIVIDE, Some(&spans::DIVIDE), left, right, schema)?)
            }
            BinaryOperator::Modulo => PlannerResult::Planned(computed(&numbers::REMAINDER, None, left, right, schema)?),
            BinaryOperator::Arrow => PlannerResult::Planned(json::value(left, right)),
            BinaryOperator::LongArrow => PlannerResult::Planned(json::text(left, right)),
            BinaryOperator::StringConcat => {
                let (left, right) = (as_text(left, schema)?, as_text(right, schema)?);
                PlannerResult::Planned(Concatenate::of(left, right))
            }
            BinaryOperator::Eq
            | BinaryOperator::NotEq
            | BinaryOperator::Lt
            | BinaryOperator::LtEq
            | BinaryOperator::Gt
            | BinaryOperator::GtEq => compared(op, left, right, schema)?,
            BinaryOperator::PGRegexMatch
            | BinaryOperator::PGRegexIMatch
            | BinaryOperator::PGRegexNotMatch
            | BinaryOperator::PGRegexNotIMatch => {
                PlannerResult::Original(RawBinaryExpr { op, left, right: pattern::of_match(right)? })
            }
            BinaryOperator::And
            | BinaryOperator::Or
            | BinaryOperator::PGExp
            | BinaryOperator::BitwiseAnd
            | BinaryOperator::BitwiseOr
            | BinaryOperator::PGBitwiseXor => PlannerResult::Original(RawBinaryExpr { op, left, right }),
            other => {
                return refused(format!("The operator {other} cannot be used here: docs/sql.md lists the operators."));
            }
        })
    }

    fn plan_extract(&self, args: Vec<Expr>) -> Result<PlannerResult<Vec<Expr>>> {
        Ok(PlannerResult::Planned(EXTRACT.of(args)))
    }

    fn plan_aggregate(&self, raw: RawAggregateExpr) -> Result<PlannerResult<RawAggregateExpr>> {
        let name = raw.func.name().to_owned();
        Ok(match &*name {
            "sum" => {
                let args = summed(&TERM, raw.args);
                PlannerResult::Planned(aggregate(RawAggregateExpr { args, ..raw }))
            }
            "avg" => {
                let count = RawAggregateExpr { func: found("count")?, ..raw.clone() };
                let args = summed(&TERM, raw.args);
                let sum = RawAggregateExpr { func: found("sum")?, args, ..raw };
                PlannerResult::Planned(MEAN.of(vec![aggregate(sum), aggregate(count)]))
            }
            _ => PlannerResult::Original(RawAggregateExpr { args: in_floats(&name, raw.args)?, ..raw }),
        })
    }

    fn plan_window(&self, raw: RawWindowExpr) -> Result<PlannerResult<RawWindowExpr>> {
        let name = raw.func_def.name().to_owned();
        Ok(match &*name {
            "sum" => {
                let args = summed(&TERM, raw.args);
                PlannerResult::Planned(window(RawWindowExpr { args, ..raw }))
            }
            "avg" => {
                let over = |name: &str| {
                    Ok::<_, datafusion::error::DataFusionError>(WindowFunctionDefinition::AggregateUDF(found(name)?))
                };
                let count = RawWindowExpr { func_def: over("count")?, ..raw.clone() };
                let args = summed(&TERM, raw.args);
                let sum = RawWindowExpr { func_def: over("sum")?, args, ..raw };
                PlannerResult::Planned(MEAN.of(vec![window(sum), window(count)]))
            }
            _ => PlannerResult::Original(raw),
        })
    }
}

fn found(name: &str) -> Result<Arc<AggregateUDF>> {
    let functions = SessionStateDefaults::default_aggregate_functions();
    functions
        .into_iter()
        .find(|function| function.name() == name)
        .map_or_else(|| refused(format!("There is no {name}.")), Ok)
}

fn aggregate(raw: RawAggregateExpr) -> Expr {
    let RawAggregateExpr { func, args, distinct, filter, order_by, null_treatment } = raw;
    Expr::AggregateFunction(AggregateFunction::new_udf(func, args, distinct, filter, order_by, null_treatment))
}

fn window(raw: RawWindowExpr) -> Expr {
    let RawWindowExpr { func_def, args, partition_by, order_by, window_frame, filter, null_treatment, distinct } = raw;
    let params = WindowFunctionParams { args, partition_by, order_by, window_frame, filter, null_treatment, distinct };
    Expr::WindowFunction(Box::new(WindowFunction { fun: func_def, params }))
}

/// Number literals are INTEGER, whose sum is a BIGINT; the sum of BIGINT is NUMERIC.
fn summed(term: &'static Own, args: Vec<Expr>) -> Vec<Expr> {
    args.into_iter().map(|arg| term.of(vec![as_integer(arg)])).collect()
}

fn as_integer(expression: Expr) -> Expr {
    match expression {
        Expr::Literal(ScalarValue::Int64(Some(number)), spans) => match i32::try_from(number) {
            Ok(number) => lit(number),
            Err(_) => Expr::Literal(ScalarValue::Int64(Some(number)), spans),
        },
        Expr::Literal(ScalarValue::UInt64(Some(number)), spans) => {
            Expr::Literal(ScalarValue::Decimal128(Some(number.into()), 20, 0), spans)
        }
        Expr::Case(Case { expr, when_then_expr, else_expr }) => {
            let results: Vec<_> =
                when_then_expr.into_iter().map(|(when, then)| (when, Box::new(as_integer(*then)))).collect();
            Expr::Case(Case {
                expr,
                when_then_expr: results,
                else_expr: else_expr.map(|other| Box::new(as_integer(*other))),
            })
        }
        other => other,
    }
}

/// Aggregates that would truncate values between two integers get floats; shares are floats.
fn in_floats(name: &str, args: Vec<Expr>) -> Result<Vec<Expr>> {
    let is_share = |name: &str| name.contains("percentile") || name == "quantile_cont";
    let change = |(index, arg): (usize, Expr)| match (name, arg) {
        ("median", arg) => Ok(CAST.of(vec![arg, lit("DOUBLE PRECISION")])),
        (name, arg) if is_share(name) && index == 0 => Ok(CAST.of(vec![arg, lit("DOUBLE PRECISION")])),
        (name, Expr::Literal(share @ ScalarValue::Decimal128(..), spans)) if is_share(name) => {
            Ok(Expr::Literal(share.cast_to(&DataType::Float64)?, spans))
        }
        (_, arg) => Ok(arg),
    };
    args.into_iter().enumerate().map(change).collect()
}

fn is_literal_text(expression: &Expr) -> bool {
    matches!(expression, Expr::Literal(value, _) if value.data_type().is_string())
}

/// A text literal takes the type of the value that it is combined or compared with.
fn like_other(expression: Expr, other: &DataType) -> Expr {
    let name = match other {
        DataType::Timestamp(_, Some(_)) => "TIMESTAMPTZ".to_owned(),
        DataType::Decimal128(..) => "NUMERIC".to_owned(),
        kind if kind.is_string() || kind.is_null() => return expression,
        kind => word(kind),
    };
    if is_literal_text(&expression) { CAST.of(vec![expression, lit(name)]) } else { expression }
}

fn computed(
    number: &'static Own,
    time: Option<&'static Own>,
    left: Expr,
    right: Expr,
    schema: &DFSchema,
) -> Result<Expr> {
    let (left, right) = (as_integer(left), as_integer(right));
    let (left_kind, right_kind) = (left.get_type(schema)?, right.get_type(schema)?);
    let is_time = is_temporal(&left_kind) || is_temporal(&right_kind);
    let (left, right) = if is_time {
        if is_literal_text(&left) || is_literal_text(&right) {
            return refused("A text beside a time needs a type: write INTERVAL '…', TIMESTAMP '…' or DATE '…'.");
        }
        (left, right)
    } else {
        (like_other(left, &right_kind), like_other(right, &left_kind))
    };
    match (is_time, time) {
        (true, Some(time)) => Ok(time.of(vec![left, right])),
        (true, None) => refused("% is there for numbers only."),
        _ => Ok(number.of(vec![left, right])),
    }
}

/// Compares values of compatible types. The check of the plan rejects the rest.
fn compared(op: BinaryOperator, left: Expr, right: Expr, schema: &DFSchema) -> Result<PlannerResult<RawBinaryExpr>> {
    let (left_kind, right_kind) = (left.get_type(schema)?, right.get_type(schema)?);
    let (left, right) = (like_other(left, &right_kind), like_other(right, &left_kind));
    let (left_kind, right_kind) = (left.get_type(schema)?, right.get_type(schema)?);
    let (left, right) = match (&left_kind, &right_kind) {
        (one, other) if is_span(one) && is_span(other) => (LENGTH.of(vec![left]), LENGTH.of(vec![right])),
        (DataType::Timestamp(..) | DataType::Date32, DataType::Timestamp(..) | DataType::Date32)
            if left_kind != right_kind =>
        {
            let is_zoned = |kind: &DataType| *kind == timestamp(true);
            let to = if is_zoned(&left_kind) || is_zoned(&right_kind) { "TIMESTAMPTZ" } else { "TIMESTAMP" };
            // A column without a cast can be looked up in the files' statistics.
            let cast = |side: Expr, kind: &DataType| {
                if *kind == timestamp(to == "TIMESTAMPTZ") { side } else { CAST.of(vec![side, lit(to)]) }
            };
            (cast(left, &left_kind), cast(right, &right_kind))
        }
        (DataType::Float64, DataType::Decimal128(..)) => (left, CAST.of(vec![right, lit("DOUBLE PRECISION")])),
        (DataType::Decimal128(..), DataType::Float64) => (CAST.of(vec![left, lit("DOUBLE PRECISION")]), right),
        (one, other) if too_wide(one, other) => (ORDER.of(vec![left, right]), lit(0_i32)),
        _ => (left, right),
    };
    Ok(PlannerResult::Original(RawBinaryExpr { op, left, right }))
}

/// True if the numbers have no common type of at most 38 digits.
fn too_wide(left: &DataType, right: &DataType) -> bool {
    let parts = |kind: &DataType| match kind {
        DataType::Decimal128(digits, scale) => Some((i16::from(*digits) - i16::from(*scale), i16::from(*scale), true)),
        kind if kind.is_integer() => Some((20, 0, false)),
        _ => None,
    };
    match (parts(left), parts(right)) {
        (Some(left), Some(right)) => {
            (left.2 || right.2) && left.0.max(right.0) + left.1.max(right.1) > i16::from(decimal::DIGITS_MAX)
        }
        _ => false,
    }
}

/// Operands of `||` are texts.
fn as_text(expression: Expr, schema: &DFSchema) -> Result<Expr> {
    let kind = expression.get_type(schema)?;
    if kind.is_string() || kind.is_null() { Ok(expression) } else { Ok(CAST.of(vec![expression, lit("TEXT")])) }
}
