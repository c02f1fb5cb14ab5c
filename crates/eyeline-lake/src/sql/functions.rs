//! The functions of a query. Only named ones are offered: none that reads anything, none that lives on a number of
//! repetitions, none whose memory nobody counts.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow_array::Array as _;
use arrow_array::builder::StringViewBuilder;
use arrow_array::cast::AsArray as _;
use arrow_schema::{DataType, FieldRef};
use datafusion::common::{DFSchema, Result};
use datafusion::error::DataFusionError;
use datafusion::execution::SessionStateDefaults;
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::{
    AggregateUDF, ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};
use datafusion::sql::sqlparser::ast::BinaryOperator;

use super::QUERY_BYTES_MAX;
use super::json;
use super::watch::{Watch, bytes_of_rows};

/// What a function may make of one batch.
const TEXTS_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Scalar functions whose results are no larger than what they are given.
const SCALAR: &[&str] = &[
    "abs",
    "ascii",
    "btrim",
    "cbrt",
    "ceil",
    "character_length",
    "chr",
    "coalesce",
    "contains",
    "current_date",
    "date_bin",
    "date_part",
    "date_trunc",
    "ends_with",
    "exp",
    "find_in_set",
    "floor",
    "from_unixtime",
    "greatest",
    "initcap",
    "isnan",
    "iszero",
    "least",
    "left",
    "ln",
    "log",
    "log10",
    "log2",
    "lower",
    "ltrim",
    "make_date",
    "nanvl",
    "now",
    "nullif",
    "nvl",
    "nvl2",
    "octet_length",
    "power",
    "regexp_count",
    "regexp_instr",
    "regexp_like",
    "reverse",
    "right",
    "round",
    "rtrim",
    "signum",
    "split_part",
    "sqrt",
    "starts_with",
    "strpos",
    "substr",
    "substr_index",
    "to_char",
    "to_date",
    "to_hex",
    "to_timestamp",
    "to_timestamp_micros",
    "to_timestamp_millis",
    "to_timestamp_seconds",
    "to_unixtime",
    "translate",
    "trunc",
    "upper",
];
/// Those that make long texts of short ones.
const GROWING: &[&str] = &["concat", "concat_ws", "regexp_replace", "replace"];
/// Of a frame around each row: those that go on from the row before.
const OVER_FRAMES: &[&str] = &["avg", "count", "max", "min", "sum"];

pub(super) fn scalar() -> Vec<Arc<ScalarUDF>> {
    let mut functions = json::functions();
    for function in SessionStateDefaults::default_scalar_functions() {
        if SCALAR.contains(&function.name()) {
            functions.push(function);
        } else if GROWING.contains(&function.name()) {
            functions.push(Arc::new(ScalarUDF::new_from_impl(Bounded(function))));
        }
    }
    functions
}

pub(super) fn aggregate() -> Vec<Arc<AggregateUDF>> {
    let mut functions = SessionStateDefaults::default_aggregate_functions();
    // It does not count the texts that it keeps.
    functions.retain(|function| function.name() != "array_agg");
    functions
}

/// May this aggregate be computed anew for every row?
pub(super) fn is_over_frames(function: &AggregateUDF) -> bool {
    OVER_FRAMES.contains(&function.name())
}

/// A function that is asked beforehand how long its texts are going to be.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Bounded(Arc<ScalarUDF>);

impl ScalarUDFImpl for Bounded {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn aliases(&self) -> &[String] {
        self.0.aliases()
    }

    fn signature(&self) -> &Signature {
        self.0.signature()
    }

    fn return_type(&self, kinds: &[DataType]) -> Result<DataType> {
        self.0.return_type(kinds)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        self.0.return_field_from_args(args)
    }

    fn coerce_types(&self, kinds: &[DataType]) -> Result<Vec<DataType>> {
        self.0.coerce_types(kinds)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let all = size_of_all(&args);
        let bytes = match self.name() {
            // Each byte may become the replacement, which is the third.
            "replace" | "regexp_replace" => {
                let [text, _, with, ..] = &args.args[..] else { return self.0.invoke_with_args(args) };
                size(text, args.number_rows).saturating_add(args.number_rows).saturating_mul(longest(with).max(1))
            }
            // The separator stands between any two.
            "concat_ws" => {
                let separator = args.args.first().map_or(0, |arg| size(arg, args.number_rows));
                args.args.len().saturating_mul(separator).saturating_add(all)
            }
            _ => all,
        };
        check_bytes(self.name(), &args.args, bytes)?;
        self.0.invoke_with_args(args)
    }
}

/// Refuses what would be too long. A constant would be too long for every row of a batch: it is no longer than a query.
fn check_bytes(name: &str, args: &[ColumnarValue], bytes: usize) -> Result<()> {
    let is_constant = args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
    let bytes_max = if is_constant { QUERY_BYTES_MAX } else { TEXTS_BYTES_MAX };
    if bytes > bytes_max {
        return Err(DataFusionError::ResourcesExhausted(format!("{name} makes texts that are too long")));
    }
    Ok(())
}

/// Bytes of all arguments in all rows.
fn size_of_all(args: &ScalarFunctionArgs) -> usize {
    args.args.iter().map(|arg| size(arg, args.number_rows)).fold(0, usize::saturating_add)
}

/// Bytes of the argument in all rows.
fn size(arg: &ColumnarValue, rows: usize) -> usize {
    match arg {
        ColumnarValue::Scalar(value) if rows == 1 => value.size(),
        ColumnarValue::Scalar(_) => longest(arg).saturating_mul(rows),
        ColumnarValue::Array(array) => bytes_of_rows(array),
    }
}

/// Bytes of its longest value.
fn longest(arg: &ColumnarValue) -> usize {
    match arg {
        ColumnarValue::Scalar(value) => value.try_as_str().flatten().map_or(16, str::len),
        ColumnarValue::Array(array) => match array.as_string_view_opt() {
            Some(texts) => texts.lengths().map(|length| length as usize).max().unwrap_or(0),
            None => bytes_of_rows(array),
        },
    }
}

/// Reads `||` as a function that is bounded like the others.
#[derive(Debug)]
pub(super) struct Concatenation;

impl ExprPlanner for Concatenation {
    fn plan_binary_op(&self, raw: RawBinaryExpr, _: &DFSchema) -> Result<PlannerResult<RawBinaryExpr>> {
        if raw.op != BinaryOperator::StringConcat {
            return Ok(PlannerResult::Original(raw));
        }
        let signature = Signature::uniform(2, vec![DataType::Utf8View], Volatility::Immutable);
        let concatenate = ScalarUDF::new_from_impl(Concatenate { signature });
        Ok(PlannerResult::Planned(concatenate.call(vec![raw.left, raw.right])))
    }
}

/// NULL when either is NULL, other than `concat`.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Concatenate {
    signature: Signature,
}

impl ScalarUDFImpl for Concatenate {
    fn name(&self) -> &str {
        "||"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8View)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        check_bytes(self.name(), &args.args, size_of_all(&args))?;
        let texts = ColumnarValue::values_to_arrays(&args.args)?;
        let [left, right] = &texts[..] else {
            return Err(DataFusionError::Plan("|| joins two texts".to_owned()));
        };
        let (left, right) = (left.as_string_view(), right.as_string_view());
        let mut joined = StringViewBuilder::with_capacity(left.len());
        let mut text = String::new();
        for (left, right) in left.iter().zip(right) {
            joined.append_option(left.zip(right).map(|(left, right)| {
                text.clear();
                text.push_str(left);
                text.push_str(right);
                text.as_str()
            }));
        }
        Ok(ColumnarValue::Array(Arc::new(joined.finish())))
    }
}

/// Hands a condition on, as long as the query may go on. A join compares many rows before it gives one.
pub(super) fn watched(condition: Expr, watch: Arc<Watch>) -> Expr {
    let signature = Signature::exact(vec![DataType::Boolean], Volatility::Volatile);
    ScalarUDF::new_from_impl(Asked { watch, signature }).call(vec![condition])
}

#[derive(Debug)]
struct Asked {
    watch: Arc<Watch>,
    signature: Signature,
}

impl PartialEq for Asked {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.watch, &other.watch)
    }
}

impl Eq for Asked {}

impl Hash for Asked {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.watch).hash(state);
    }
}

impl ScalarUDFImpl for Asked {
    fn name(&self) -> &str {
        "watched"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        self.watch.check()?;
        args.args.into_iter().next().ok_or_else(|| DataFusionError::Plan("watched needs a condition".to_owned()))
    }
}
