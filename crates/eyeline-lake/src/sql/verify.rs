//! Checks a plan before it runs. Every step and expression must be one whose result equals PostgreSQL's. Conversions
//! that the engine adds are rejected unless they are lossless.

use arrow_schema::{DataType, TimeUnit};
use datafusion::common::tree_node::{TreeNode as _, TreeNodeRecursion};
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::expr::{Cast, ScalarFunction};
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable as _, LogicalPlan, Operator, WindowFunctionDefinition};

use super::cast::CAST;
use super::own::{refused, word};
use super::{functions, pattern};

/// The most steps and expressions of a query. Planning looks at each of them many times, and cannot be stopped.
const PARTS_MAX: usize = 10_000;

/// Accepts only steps that read the table and compute, whose memory is counted, and which end.
pub(super) fn check_steps(plan: &LogicalPlan) -> Result<()> {
    let mut parts = 0;
    let mut part = || {
        parts += 1;
        if parts > PARTS_MAX { cannot("A query of so many parts") } else { Ok(()) }
    };
    plan.apply_with_subqueries(|step| {
        match step {
            LogicalPlan::Projection(_)
            | LogicalPlan::Filter(_)
            | LogicalPlan::Window(_)
            | LogicalPlan::Aggregate(_)
            | LogicalPlan::Sort(_)
            | LogicalPlan::Join(_)
            | LogicalPlan::Union(_)
            | LogicalPlan::TableScan(_)
            | LogicalPlan::EmptyRelation(_)
            | LogicalPlan::Subquery(_)
            | LogicalPlan::SubqueryAlias(_)
            | LogicalPlan::Limit(_)
            | LogicalPlan::Values(_)
            | LogicalPlan::Distinct(_) => {}
            LogicalPlan::Unnest(_) => return cannot("UNNEST"),
            _ => return cannot("Anything but a SELECT"),
        }
        part()?;
        step.apply_expressions(|expression| {
            expression.apply(|inner| {
                part()?;
                match inner {
                    Expr::Placeholder(_) => cannot("A placeholder"),
                    Expr::ScalarVariable(..) => cannot("A variable"),
                    Expr::Unnest(_) => cannot("UNNEST"),
                    Expr::SimilarTo(_) => refused("SIMILAR TO cannot be used here: write LIKE or ~."),
                    Expr::ScalarSubquery(inner) if inner.subquery.max_rows().is_none_or(|rows| rows > 1) => {
                        refused("A SELECT in the place of a value has to give one row at the most: add an aggregate or LIMIT 1.")
                    }
                    Expr::TryCast(_) => cannot("TRY_CAST"),
                    Expr::SetComparison(_) => {
                        refused("ANY and ALL cannot be used here: write IN, EXISTS, or a comparison with min or max.")
                    }
                    Expr::ScalarFunction(call) if call.name() == CAST => match call.args.get(1) {
                        Some(Expr::Literal(..)) => Ok(TreeNodeRecursion::Continue),
                        _ => cannot("A cast to a type that is computed"),
                    },
                    Expr::WindowFunction(window) => match &window.fun {
                        WindowFunctionDefinition::AggregateUDF(aggregate) if !functions::is_over_frames(aggregate) => {
                            cannot(&format!("{} with OVER", aggregate.name()))
                        }
                        _ => Ok(TreeNodeRecursion::Continue),
                    },
                    _ => Ok(TreeNodeRecursion::Continue),
                }
            })
        })
    })?;
    Ok(())
}

fn cannot<T>(what: &str) -> Result<T> {
    refused(format!("{what} cannot be used here."))
}

/// Checks the plan after the engine has unified the types of all operands.
pub(super) fn check_types(plan: &LogicalPlan) -> Result<()> {
    plan.apply_with_subqueries(|step| {
        let inputs = step.inputs();
        let schema = if inputs.is_empty() { (**step.schema()).clone() } else { merge_schema(&inputs) };
        let orders = matches!(
            step,
            LogicalPlan::Sort(_) | LogicalPlan::Aggregate(_) | LogicalPlan::Window(_) | LogicalPlan::Join(_)
        );
        if matches!(step, LogicalPlan::Distinct(_)) {
            step.schema().fields().iter().try_for_each(|field| check_order(field.data_type()))?;
        }
        step.apply_expressions(|expression| {
            expression.apply(|part| {
                check_part(part, &schema, orders)?;
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    Ok(())
}

/// Months have no fixed length: intervals with other months and days may be equal, but not for the engine.
fn check_order(kind: &DataType) -> Result<()> {
    if matches!(kind, DataType::Interval(_)) {
        return refused("Intervals are neither sorted nor grouped nor aggregated: take extract(epoch FROM …).");
    }
    Ok(())
}

fn check_part(part: &Expr, schema: &DFSchema, orders: bool) -> Result<()> {
    if orders
        && !matches!(part, Expr::WindowFunction(_) | Expr::Literal(..))
        && let Ok(kind) = part.get_type(schema)
    {
        check_order(&kind)?;
    }
    match part {
        Expr::Cast(Cast { expr, field, .. }) => {
            let (from, to) = (expr.get_type(schema)?, field.data_type());
            if is_lossless(expr, &from, to) { Ok(()) } else { no_conversion(&from, to) }
        }
        Expr::Negative(_) => cannot("A minus before this value"),
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => check_operands(left, *op, right, schema),
        Expr::InList(list) => {
            let kind = list.expr.get_type(schema)?;
            check_order(&kind)?;
            list.list.iter().try_for_each(|value| check_alike(&kind, &value.get_type(schema)?))
        }
        Expr::Like(like) => {
            let (text, of) = (like.expr.get_type(schema)?, like.pattern.get_type(schema)?);
            if [&text, &of].into_iter().all(|kind| kind.is_string() || kind.is_null()) {
                Ok(())
            } else {
                no_conversion(&text, &of)
            }
        }
        Expr::ScalarFunction(call) => check_call(call),
        _ => Ok(()),
    }
}

fn no_conversion(from: &DataType, to: &DataType) -> Result<()> {
    let (from, to) = (word(from), word(to));
    refused(format!(
        "{from} and {to} do not go together by themselves: cast one of them, as in (data->>'n')::bigint or \"offset\"::text."
    ))
}

fn check_alike(left: &DataType, right: &DataType) -> Result<()> {
    let is_text = |kind: &DataType| kind.is_string();
    if left == right || left.is_null() || right.is_null() || (is_text(left) && is_text(right)) {
        return Ok(());
    }
    no_conversion(left, right)
}

fn check_operands(left: &Expr, op: Operator, right: &Expr, schema: &DFSchema) -> Result<()> {
    let (left, right) = (left.get_type(schema)?, right.get_type(schema)?);
    match op {
        Operator::And | Operator::Or => Ok(()),
        Operator::Eq
        | Operator::NotEq
        | Operator::Lt
        | Operator::LtEq
        | Operator::Gt
        | Operator::GtEq
        | Operator::IsDistinctFrom
        | Operator::IsNotDistinctFrom => {
            check_order(&left)?;
            check_order(&right)?;
            check_alike(&left, &right)
        }
        Operator::RegexMatch | Operator::RegexIMatch | Operator::RegexNotMatch | Operator::RegexNotIMatch => {
            check_alike(&left, &right)
        }
        // Shifts appear only in the engine's own code for grouping().
        Operator::BitwiseAnd
        | Operator::BitwiseOr
        | Operator::BitwiseXor
        | Operator::BitwiseShiftLeft
        | Operator::BitwiseShiftRight
            if left.is_integer() && right.is_integer() =>
        {
            check_alike(&left, &right)
        }
        other => refused(format!("{} {other} {} cannot be used here.", word(&left), word(&right))),
    }
}

/// True for conversions of the engine that lose nothing.
fn is_lossless(value: &Expr, from: &DataType, to: &DataType) -> bool {
    let bits = |kind: &DataType| kind.primitive_width().unwrap_or(0);
    let digits = |kind: &DataType| match bits(kind) {
        0..=2 => 5,
        3..=4 => 10,
        _ => 20,
    };
    let is_literal = matches!(value, Expr::Literal(..));
    match (from, to) {
        (from, to) if from == to || from.is_null() || (from.is_string() && to.is_string()) => true,
        (from, to) if from.is_integer() && to.is_integer() => {
            is_literal || (bits(from) < bits(to)) || (bits(from) == bits(to) && from.is_signed_integer() == to.is_signed_integer())
                // Counts and ranks of rows never reach 2^63.
                || matches!((from, to), (DataType::UInt64, DataType::Int64))
        }
        (from, DataType::Decimal128(all, scale)) if from.is_integer() => {
            is_literal || i16::from(*all) - i16::from(*scale) >= digits(from)
        }
        (DataType::Decimal128(_, from), DataType::Decimal128(_, to)) => to >= from,
        (from, DataType::Float64) => from.is_integer() || matches!(from, DataType::Decimal128(..) | DataType::Float32),
        (DataType::Date32, DataType::Timestamp(TimeUnit::Microsecond, _)) => true,
        (DataType::Timestamp(TimeUnit::Microsecond, None), DataType::Timestamp(TimeUnit::Microsecond, Some(_))) => true,
        (from, to) if from.is_string() && is_literal => {
            to.is_integer()
                || matches!(
                    to,
                    DataType::Float64
                        | DataType::Date32
                        | DataType::Boolean
                        | DataType::Timestamp(TimeUnit::Microsecond, _)
                )
        }
        _ => false,
    }
}

/// Checks arguments whose meaning depends on their value.
fn check_call(call: &ScalarFunction) -> Result<()> {
    let name = call.name();
    let text = |index: usize| call.args.get(index).and_then(pattern::constant);
    if !name.starts_with("regexp_") {
        return Ok(());
    }
    match text(1) {
        Some(text) => pattern::check(text, name != "regexp_like")?,
        None if !matches!(call.args.get(1), Some(Expr::Literal(value, _)) if value.is_null()) => {
            return refused(pattern::NOT_CONSTANT);
        }
        None => {}
    }
    let flags = match name {
        "regexp_replace" => 3,
        "regexp_like" => 2,
        _ => usize::MAX,
    };
    if call.args.len() > flags.min(3) + 1
        || call.args.get(flags).is_some()
            && !text(flags).is_some_and(|flags| flags.chars().all(|flag| "gi".contains(flag)))
    {
        return refused(format!("{name} takes the flags g and i here, and no place to begin at."));
    }
    let replaces_all = || text(3).is_some_and(|flags| flags.contains('g'));
    if let Some(pattern) = text(1)
        && (matches!(name, "regexp_count" | "regexp_instr") || name == "regexp_replace" && replaces_all())
    {
        pattern::check_repeated(pattern)?;
    }
    if name == "regexp_replace"
        && !text(2).is_some_and(|with| {
            !with.contains('$') && !with.contains("\\&") && !with.contains("\\\\") && !with.contains("\\0")
        })
    {
        return refused(
            "The replacement of regexp_replace has to be a constant, with \\1 to \\9 for what groups matched, and no $.",
        );
    }
    Ok(())
}
