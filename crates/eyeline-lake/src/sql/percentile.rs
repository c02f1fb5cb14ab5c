//! `percentile_cont` exactly as in PostgreSQL. The built-in one knows the place between two values only to a millionth.

use std::cmp::Ordering;
use std::mem::size_of_val;
use std::sync::Arc;

use arrow_array::cast::AsArray as _;
use arrow_array::types::Float64Type;
use arrow_array::{ArrayRef, Float64Array};
use arrow_schema::{DataType, FieldRef};
use datafusion::common::utils::SingleRowListArrayBuilder;
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, Signature};
use datafusion::physical_expr::expressions::Literal;

use super::own::refused;

/// Takes signature, types and order from the built-in function, and computes the value itself.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct PercentileCont(pub(super) Arc<AggregateUDF>);

impl AggregateUDFImpl for PercentileCont {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn aliases(&self) -> &[String] {
        self.0.aliases()
    }

    fn signature(&self) -> &Signature {
        self.0.signature()
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Float64)
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        self.0.state_fields(args)
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        let share = args.exprs.get(1).and_then(|share| share.downcast_ref::<Literal>());
        let Some(ScalarValue::Float64(Some(share))) = share.map(Literal::value) else {
            return refused("percentile_cont needs a number between 0 and 1.");
        };
        if !(0.0..=1.0).contains(share) {
            return refused(format!("percentile_cont needs a number between 0 and 1, not {share}."));
        }
        let is_descending = args.order_bys.first().is_some_and(|order| order.options.descending);
        Ok(Box::new(Values { all: Vec::new(), share: *share, is_descending, is_distinct: args.is_distinct }))
    }

    fn supports_within_group_clause(&self) -> bool {
        true
    }
}

/// All values of a group.
#[derive(Debug)]
struct Values {
    all: Vec<f64>,
    share: f64,
    is_descending: bool,
    is_distinct: bool,
}

impl Values {
    fn compare(&self, left: &f64, right: &f64) -> Ordering {
        // NaN is larger than every number, as in PostgreSQL.
        let order = left.partial_cmp(right).unwrap_or_else(|| left.is_nan().cmp(&right.is_nan()));
        if self.is_descending { order.reverse() } else { order }
    }
}

impl Accumulator for Values {
    fn update_batch(&mut self, columns: &[ArrayRef]) -> Result<()> {
        if let Some(values) = columns.first().and_then(|column| column.as_primitive_opt::<Float64Type>()) {
            self.all.extend(values.iter().flatten());
        }
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        for state in states.first().into_iter().flat_map(|states| states.as_list::<i32>().iter()).flatten() {
            self.update_batch(&[state])?;
        }
        Ok(())
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let values = Float64Array::from(std::mem::take(&mut self.all));
        Ok(vec![SingleRowListArrayBuilder::new(Arc::new(values)).build_list_scalar()])
    }

    /// Interpolates linearly between the two neighbours (PostgreSQL, `percentile_cont_final`).
    fn evaluate(&mut self) -> Result<ScalarValue> {
        let mut all = std::mem::take(&mut self.all);
        if self.is_distinct {
            all.sort_unstable_by(|left, right| self.compare(left, right));
            all.dedup_by(|left, right| self.compare(left, right).is_eq());
        }
        let Some(last) = all.len().checked_sub(1) else { return Ok(ScalarValue::Float64(None)) };
        #[expect(clippy::cast_precision_loss, reason = "fewer than 2^53 values fit into the memory")]
        let place = self.share * last as f64;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it lies between 0 and the last")]
        let (first, second) = (place.floor() as usize, place.ceil() as usize);
        let (_, before, others) = all.select_nth_unstable_by(first, |left, right| self.compare(left, right));
        let before = *before;
        let value = if second > first {
            let behind = others.iter().copied().min_by(|left, right| self.compare(left, right)).unwrap_or(before);
            before + place.fract() * (behind - before)
        } else {
            before
        };
        Ok(ScalarValue::Float64(Some(value)))
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.all.capacity() * size_of::<f64>()
    }
}
