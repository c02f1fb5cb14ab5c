//! The functions of a query. Only listed functions are offered. None reads anything, none runs for a number of
//! repetitions that a caller chooses, and none uses uncounted memory.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow_array::Array as _;
use arrow_array::builder::StringViewBuilder;
use arrow_array::cast::AsArray as _;
use arrow_schema::{DataType, FieldRef};
use datafusion::common::Result;
use datafusion::error::DataFusionError;
use datafusion::execution::SessionStateDefaults;
use datafusion::logical_expr::{
    AggregateUDF, ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};
use datafusion::scalar::ScalarValue;
use eyeline_core::Timestamp;

use super::QUERY_BYTES_MAX;
use super::percentile::PercentileCont;
use super::watch::{Watch, bytes_of_rows};
use super::{cast, json, math, numbers, spans, time_functions, times};

/// The most bytes that a function may produce for one batch.
const TEXTS_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Scalar functions of the engine whose results equal PostgreSQL's and are no larger than their arguments.
const SCALAR: &[&str] = &[
    "ascii",
    "bit_length",
    "btrim",
    "character_length",
    "chr",
    "coalesce",
    "contains",
    "ends_with",
    "find_in_set",
    "greatest",
    "initcap",
    "isnan",
    "least",
    "left",
    "lower",
    "ltrim",
    "nullif",
    "nvl",
    "nvl2",
    "octet_length",
    "reverse",
    "right",
    "rtrim",
    "split_part",
    "starts_with",
    "strpos",
    "substr",
    "substr_index",
    "translate",
    "upper",
];
/// Functions that read a pattern.
const OF_PATTERNS: &[&str] = &["regexp_count", "regexp_instr", "regexp_like", "regexp_replace"];
/// Functions whose texts may be longer than their arguments.
const GROWING: &[&str] = &["concat", "concat_ws", "replace"];
/// Aggregates over a frame around each row that continue from the row before.
const OVER_FRAMES: &[&str] = &["avg", "count", "max", "min", "sum"];

pub(super) fn scalar(now: Timestamp) -> Vec<Arc<ScalarUDF>> {
    let mut functions = json::functions();
    let own = [numbers::FUNCTIONS, math::OF_ONE, math::OTHERS, time_functions::FUNCTIONS].into_iter().flatten();
    functions.extend(own.chain([&cast::FUNCTION, &spans::AGE]).map(|own| Arc::new(own.function())));
    functions.extend(Now::functions(now));
    for function in SessionStateDefaults::default_scalar_functions() {
        if SCALAR.contains(&function.name()) {
            functions.push(function);
        } else if GROWING.contains(&function.name()) || OF_PATTERNS.contains(&function.name()) {
            functions.push(Arc::new(ScalarUDF::new_from_impl(Bounded(function))));
        }
    }
    functions
}

pub(super) fn aggregate() -> Vec<Arc<AggregateUDF>> {
    let mut functions = SessionStateDefaults::default_aggregate_functions();
    // It does not count the memory of its texts.
    functions.retain(|function| function.name() != "array_agg");
    let variance = functions.iter().find(|function| function.name() == "var").cloned();
    functions.extend(variance.map(|function| Arc::new((*function).clone().with_aliases(["variance"]))));
    for function in functions.iter_mut().filter(|function| function.name() == "percentile_cont") {
        *function = Arc::new(AggregateUDF::new_from_impl(PercentileCont(Arc::clone(function))));
    }
    functions
}

/// True if this aggregate may be computed for every row.
pub(super) fn is_over_frames(function: &AggregateUDF) -> bool {
    OVER_FRAMES.contains(&function.name())
}

/// A function whose result is bounded before it runs.
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
        let args = if OF_PATTERNS.contains(&self.name()) { with_pattern(args) } else { args };
        let all = size_of_all(&args);
        let bytes = match self.name() {
            // Each byte may become the replacement, which is the third argument.
            "replace" | "regexp_replace" => {
                let [text, _, with, ..] = &args.args[..] else { return self.0.invoke_with_args(args) };
                size(text, args.number_rows).saturating_add(args.number_rows).saturating_mul(longest(with).max(1))
            }
            // The separator stands between any two arguments.
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

/// Fails if the result would be too long. A constant may be too long for every row of a batch, and is no longer than a
/// query.
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

/// Makes a point in the pattern match any letter, also a line break.
fn with_pattern(mut args: ScalarFunctionArgs) -> ScalarFunctionArgs {
    if let Some(ColumnarValue::Scalar(pattern)) = args.args.get_mut(1)
        && let Some(Some(text)) = pattern.try_as_str()
    {
        let text = format!("(?s){text}");
        *pattern = match pattern {
            ScalarValue::Utf8View(_) => ScalarValue::Utf8View(Some(text)),
            ScalarValue::LargeUtf8(_) => ScalarValue::LargeUtf8(Some(text)),
            _ => ScalarValue::Utf8(Some(text)),
        };
    }
    args
}

/// `now()` and its synonyms: the time when the query arrived.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Now {
    name: &'static str,
    value: ScalarValue,
    signature: Signature,
}

impl Now {
    fn functions(now: Timestamp) -> Vec<Arc<ScalarUDF>> {
        let at = |zone: bool| ScalarValue::TimestampMicrosecond(Some(now.micros()), zone.then(|| times::UTC.into()));
        let day = i32::try_from(now.micros().div_euclid(times::MICROS_PER_DAY)).ok();
        let values = [
            ("now", at(true)),
            ("current_timestamp", at(true)),
            ("transaction_timestamp", at(true)),
            ("localtimestamp", at(false)),
            ("current_date", ScalarValue::Date32(day)),
        ];
        let signature = Signature::nullary(Volatility::Immutable);
        let function =
            |(name, value)| Arc::new(ScalarUDF::new_from_impl(Now { name, value, signature: signature.clone() }));
        values.map(function).into()
    }
}

impl ScalarUDFImpl for Now {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.value.data_type())
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> Result<ColumnarValue> {
        Ok(ColumnarValue::Scalar(self.value.clone()))
    }
}

/// NULL if either is NULL, unlike `concat`.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Concatenate {
    signature: Signature,
}

impl Concatenate {
    pub(super) fn of(left: Expr, right: Expr) -> Expr {
        let signature = Signature::uniform(2, vec![DataType::Utf8View], Volatility::Immutable);
        ScalarUDF::new_from_impl(Concatenate { signature }).call(vec![left, right])
    }
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

/// Returns the condition while the query is within its budget. A join may compare many rows before it yields one.
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
