//! Functions computed here, with PostgreSQL's results, where the engine's results differ.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow_array::{ArrayRef, new_null_array};
use arrow_schema::{DataType, Field, FieldRef};
use datafusion::common::Result;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature,
    Volatility,
};
use datafusion::scalar::ScalarValue;

/// A function whose result is NULL if one of its arguments is.
#[derive(Debug)]
pub(super) struct Own {
    pub(super) name: &'static str,
    /// Returns the type of its result, from the argument types and the values of constant arguments.
    pub(super) kind: fn(&[DataType], &[Option<&ScalarValue>]) -> Result<DataType>,
    /// Returns the results, of the type from `kind`. All arrays have the same length.
    pub(super) value: fn(&[ArrayRef], &DataType) -> Result<ArrayRef>,
    /// The name of a column that has no alias.
    pub(super) label: fn(&'static str, &[String]) -> String,
}

pub(super) fn call(name: &'static str, args: &[String]) -> String {
    format!("{name}({})", args.join(","))
}

impl Own {
    pub(super) fn function(&'static self) -> ScalarUDF {
        ScalarUDF::new_from_impl(Called {
            own: self,
            signature: Signature::one_of(
                vec![TypeSignature::VariadicAny, TypeSignature::Nullary],
                Volatility::Immutable,
            ),
        })
    }

    pub(super) fn of(&'static self, args: Vec<Expr>) -> Expr {
        self.function().call(args)
    }
}

#[derive(Debug)]
struct Called {
    own: &'static Own,
    signature: Signature,
}

impl PartialEq for Called {
    fn eq(&self, other: &Self) -> bool {
        self.own.name == other.own.name
    }
}

impl Eq for Called {}

impl Hash for Called {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.own.name.hash(state);
    }
}

impl ScalarUDFImpl for Called {
    fn name(&self) -> &str {
        self.own.name
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        let args: Vec<String> = args.iter().map(|arg| arg.schema_name().to_string()).collect();
        Ok((self.own.label)(self.own.name, &args))
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, kinds: &[DataType]) -> Result<DataType> {
        (self.own.kind)(kinds, &vec![None; kinds.len()])
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let kinds: Vec<DataType> = args.arg_fields.iter().map(|field| field.data_type().clone()).collect();
        Ok(Arc::new(Field::new(self.own.name, (self.own.kind)(&kinds, args.scalar_arguments)?, true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let is_one = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if is_one { 1 } else { args.number_rows };
        let kind = args.return_field.data_type();
        let result = if args.args.iter().any(|arg| arg.data_type() == DataType::Null) {
            new_null_array(kind, rows)
        } else {
            let arrays = args.args.iter().map(|arg| arg.to_array(rows)).collect::<Result<Vec<_>>>()?;
            (self.own.value)(&arrays, kind)?
        };
        Ok(if is_one {
            ColumnarValue::Scalar(ScalarValue::try_from_array(&result, 0)?)
        } else {
            ColumnarValue::Array(result)
        })
    }
}

/// Ends the query with this sentence during planning.
pub(super) fn refused<T>(sentence: impl Into<String>) -> Result<T> {
    Err(DataFusionError::Plan(sentence.into()))
}

/// Ends the query with this sentence at run time.
pub(super) fn failed<T>(sentence: impl Into<String>) -> Result<T> {
    Err(DataFusionError::Execution(sentence.into()))
}

/// The name of a type in a query.
pub(super) fn word(kind: &DataType) -> String {
    match kind {
        DataType::Null => "NULL".to_owned(),
        DataType::Boolean => "BOOLEAN".to_owned(),
        DataType::Int8 | DataType::Int16 | DataType::UInt8 => "SMALLINT".to_owned(),
        DataType::Int32 | DataType::UInt16 => "INTEGER".to_owned(),
        DataType::Int64 | DataType::UInt32 | DataType::UInt64 => "BIGINT".to_owned(),
        DataType::Float16 | DataType::Float32 | DataType::Float64 => "DOUBLE PRECISION".to_owned(),
        DataType::Decimal128(..) | DataType::Decimal256(..) => "NUMERIC".to_owned(),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "TEXT".to_owned(),
        DataType::Timestamp(_, None) => "TIMESTAMP".to_owned(),
        DataType::Timestamp(_, Some(_)) => "TIMESTAMP WITH TIME ZONE".to_owned(),
        DataType::Date32 => "DATE".to_owned(),
        DataType::Time64(_) => "TIME".to_owned(),
        DataType::Interval(_) | DataType::Duration(_) => "INTERVAL".to_owned(),
        other => other.to_string(),
    }
}
