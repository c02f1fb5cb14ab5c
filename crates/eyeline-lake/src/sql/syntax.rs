//! Parses a query. Replaces everything that the engine would interpret differently by calls of our own functions.

use std::ops::ControlFlow;

use datafusion::common::Result;
use datafusion::error::DataFusionError;
use datafusion::sql::parser::{DFParserBuilder, Statement};
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, CastKind, DataType, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList,
    FunctionArguments, Ident, Interval, ObjectName, Query, Select, SetExpr, SetOperator, SetQuantifier,
    Statement as SqlStatement, TableFactor, UnaryOperator, Value, Visit, VisitMut, Visitor, VisitorMut,
};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;

use super::cast::CAST;
use super::numbers::NEGATE;
use super::times::TIMEZONE;

/// The most nested expressions and queries.
pub(super) const DEPTH_MAX: usize = 50;
/// The most terms in a row, and the most queries and tables.
const CHAIN_MAX: usize = 100;
const SOURCES_MAX: usize = 100;
const SELECT_ONLY: &str = "Only a SELECT is taken: events are never changed.";

/// Parses one `SELECT`, with anything before and within it.
pub(super) fn parse(query: &str) -> Result<Statement> {
    let parser = DFParserBuilder::new(query).with_dialect(&PostgreSqlDialect {}).with_recursion_limit(DEPTH_MAX);
    let mut statements = parser.build()?.parse_statements()?;
    let refusal = |sentence: &str| Err(DataFusionError::Plan(sentence.to_owned()));
    let Some(mut statement) = statements.pop_front() else { return refusal("This is empty: write a SELECT.") };
    if !statements.is_empty() {
        return refusal("One statement at a time is taken.");
    }
    let Statement::Statement(inner) = &mut statement else { return refusal(SELECT_ONLY) };
    if !matches!(**inner, SqlStatement::Query(_)) {
        return refusal(SELECT_ONLY);
    }
    if Visit::visit(&**inner, &mut Chains::default()).is_break() {
        return Err(DataFusionError::Plan(format!(
            "At most {CHAIN_MAX} terms are taken in a row, and {SOURCES_MAX} SELECTs and tables; IN (…) takes many values."
        )));
    }
    match VisitMut::visit(&mut **inner, &mut Calls) {
        ControlFlow::Continue(()) => Ok(statement),
        ControlFlow::Break(sentence) => Err(DataFusionError::Plan(sentence)),
    }
}

/// Measures chains, which the parser accepts in any length: `1 + 1 + …`, `a OR b OR …`, `SELECT … UNION SELECT …`.
/// Planning them takes at least quadratic time.
#[derive(Default)]
struct Chains {
    depth: usize,
    sources: usize,
}

impl Chains {
    fn count(&mut self) -> ControlFlow<()> {
        self.sources += 1;
        if self.sources > SOURCES_MAX { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

impl Visitor for Chains {
    type Break = ();

    fn pre_visit_expr(&mut self, _: &Expr) -> ControlFlow<()> {
        self.depth += 1;
        if self.depth > CHAIN_MAX { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn post_visit_expr(&mut self, _: &Expr) -> ControlFlow<()> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, _: &Select) -> ControlFlow<()> {
        self.count()
    }

    fn pre_visit_table_factor(&mut self, _: &TableFactor) -> ControlFlow<()> {
        self.count()
    }
}

/// Replaces casts, `AT TIME ZONE`, `BETWEEN` and unary minus. The engine's casts truncate digits and know no time
/// before 1677.
struct Calls;

impl VisitorMut for Calls {
    type Break = String;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<String> {
        if counts_copies(&query.body) {
            return ControlFlow::Break("EXCEPT ALL and INTERSECT ALL cannot be used here: group and count.".to_owned());
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expression: &mut Expr) -> ControlFlow<String> {
        let is_number = |inner: &Expr| matches!(inner, Expr::Value(value) if matches!(value.value, Value::Number(..)));
        // The engine reads words, but not `02:30:00`.
        let is_clock = |interval: &Interval| {
            let text = if let Expr::Value(value) = &*interval.value { value.value.clone().into_string() } else { None };
            interval.leading_field.is_none() && text.is_some_and(|text| text.contains(':'))
        };
        // The parser has `^` before a minus, PostgreSQL the minus before `^`.
        if let Expr::UnaryOp { op: UnaryOperator::Minus, expr } = &*expression
            && matches!(**expr, Expr::BinaryOp { op: BinaryOperator::PGExp | BinaryOperator::BitwiseXor, .. })
        {
            let sentence = "A minus before ^ can be read in two ways: write (-2) ^ 2 or -(2 ^ 2).";
            return ControlFlow::Break(sentence.to_owned());
        }
        let placeholder = Expr::Value(Value::Null.into());
        let call = match std::mem::replace(expression, placeholder) {
            Expr::Cast {
                kind: CastKind::Cast | CastKind::DoubleColon,
                expr,
                data_type,
                format: None,
                array: false,
            } => cast(*expr, &data_type),
            Expr::Cast { .. } => {
                return ControlFlow::Break("TRY_CAST and FORMAT cannot be used here: write CAST(… AS …).".to_owned());
            }
            Expr::TypedString(typed) => cast(Expr::Value(typed.value), &typed.data_type),
            Expr::AtTimeZone { timestamp, time_zone } => call(TIMEZONE, vec![*time_zone, *timestamp]),
            Expr::Interval(interval) if is_clock(&interval) => {
                cast(*interval.value, &DataType::Interval { fields: None, precision: None })
            }
            Expr::UnaryOp { op: UnaryOperator::Minus, expr }
                if !is_number(&expr) && !matches!(*expr, Expr::Interval(_)) =>
            {
                call(NEGATE, vec![*expr])
            }
            Expr::Between { expr, negated, low, high } => {
                let side = |op, bound| Box::new(Expr::BinaryOp { left: expr.clone(), op, right: bound });
                let both = Expr::BinaryOp {
                    left: side(BinaryOperator::GtEq, low),
                    op: BinaryOperator::And,
                    right: side(BinaryOperator::LtEq, high),
                };
                let nested = Expr::Nested(Box::new(both));
                if negated { Expr::UnaryOp { op: UnaryOperator::Not, expr: Box::new(nested) } } else { nested }
            }
            other => other,
        };
        *expression = call;
        ControlFlow::Continue(())
    }
}

/// The engine loses the number of copies of each row.
fn counts_copies(body: &SetExpr) -> bool {
    match body {
        SetExpr::SetOperation { op, set_quantifier, left, right } => {
            let is_all = matches!(set_quantifier, SetQuantifier::All | SetQuantifier::AllByName);
            (is_all && *op != SetOperator::Union) || counts_copies(left) || counts_copies(right)
        }
        _ => false,
    }
}

fn cast(value: Expr, to: &DataType) -> Expr {
    call(CAST, vec![value, Expr::Value(Value::SingleQuotedString(to.to_string()).into())])
}

fn call(name: &str, args: Vec<Expr>) -> Expr {
    let args = args.into_iter().map(|arg| FunctionArg::Unnamed(FunctionArgExpr::Expr(arg))).collect();
    Expr::Function(Function {
        name: ObjectName::from(vec![Ident::with_quote('"', name)]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList { duplicate_treatment: None, args, clauses: Vec::new() }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}
