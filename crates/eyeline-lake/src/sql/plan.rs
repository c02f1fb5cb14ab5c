//! Plans the text of a query.

use std::sync::Arc;

use arrow_schema::DataType;
use datafusion::catalog::{
    CatalogProvider as _, CatalogProviderList as _, MemoryCatalogProvider, MemoryCatalogProviderList,
    MemorySchemaProvider, SchemaProvider as _,
};
use datafusion::common::tree_node::{Transformed, TreeNode as _, TreeNodeRecursion};
use datafusion::common::{Result as EngineResult, SchemaError};
use datafusion::config::Dialect;
use datafusion::error::DataFusionError;
use datafusion::execution::TaskContext;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::GreedyMemoryPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::{SessionState, SessionStateBuilder, SessionStateDefaults};
use datafusion::logical_expr::expr::WindowFunction;
use datafusion::logical_expr::planner::ExprPlanner;
use datafusion::logical_expr::{Expr, JoinType, LogicalPlan, LogicalPlanBuilder, Operator, WindowFrameBound, lit};
use datafusion::physical_plan::{ChildrenPropertiesMode, ExecutionPlan, ReplaceChildrenOptions};
use datafusion::prelude::SessionConfig;
use datafusion::scalar::ScalarValue;

use super::events::Events;
use super::planner::Postgres;
use super::syntax::{self, DEPTH_MAX};
use super::watch::{Watch, Watched};
use super::{functions, verify};
use crate::budget::too_large;
use crate::error::Error;

const TABLE: &str = "events";
const CATALOG: &str = "eyeline";
const SCHEMA: &str = "public";
/// Rows of a batch from joins and sorts, which may be long.
const BATCH_ROWS: usize = 2 * 1024;
/// The most rows that a window without an order looks back or ahead. It keeps them without counting their memory.
const FRAME_ROWS_MAX: i64 = 10_000;

/// The plan and its context. It yields at most one row more than `rows_max`.
pub(super) async fn plan(
    events: Events,
    query: &str,
    rows_max: usize,
) -> EngineResult<(Arc<dyn ExecutionPlan>, Arc<TaskContext>)> {
    let watch = events.watch.clone();
    let statement = syntax::parse(query)?;
    let state = state(events)?;
    let plan = state.statement_to_plan(statement).await?;
    verify::check_steps(&plan)?;
    let plan = LogicalPlanBuilder::from(plan).limit(0, Some(rows_max.saturating_add(1)))?.build()?;
    let plan = state.analyzer().execute_and_check(plan, state.config_options(), |_, _| {})?;
    verify::check_types(&plan)?;
    let plan = state.optimizer().optimize(plan, &state, |_, _| {})?;
    check_constants(&plan)?;
    watch.check()?;
    let plan = with_watched_joins(plan, &watch)?;
    let plan = state.query_planner().create_physical_plan(&plan, &state).await?;
    Ok((with_watched_steps(plan, &watch)?, state.task_ctx()))
}

/// An engine with a single table.
fn state(events: Events) -> EngineResult<SessionState> {
    let mut config = SessionConfig::new()
        .with_target_partitions(1)
        .with_batch_size(BATCH_ROWS)
        .with_information_schema(false)
        .with_create_default_catalog_and_schema(false)
        .with_default_catalog_and_schema(CATALOG, SCHEMA);
    let options = config.options_mut();
    options.sql_parser.dialect = Dialect::PostgreSQL;
    options.sql_parser.parse_float_as_decimal = true;
    options.execution.planning_concurrency = 1;
    options.execution.enable_recursive_ctes = false;
    // Our scan cannot use filters found at run time, and a subquery must be a part of the one plan.
    options.optimizer.enable_dynamic_filter_pushdown = false;
    options.optimizer.enable_physical_uncorrelated_scalar_subquery = false;

    // The engine counts the memory that it keeps, not the memory in which it works. Half of the budget covers each.
    let memory = GreedyMemoryPool::new(events.watch.budget.bytes_max / 2);
    let no_disk = DiskManagerBuilder::default().with_mode(DiskManagerMode::Disabled);
    let runtime = RuntimeEnvBuilder::new().with_memory_pool(Arc::new(memory)).with_disk_manager_builder(no_disk);

    let now = events.now;

    let (catalogs, catalog, schema) =
        (MemoryCatalogProviderList::new(), MemoryCatalogProvider::new(), MemorySchemaProvider::new());
    schema.register_table(TABLE.to_owned(), Arc::new(events))?;
    catalog.register_schema(SCHEMA, Arc::new(schema))?;
    catalogs.register_catalog(CATALOG.to_owned(), Arc::new(catalog));

    // The first planner that can read an expression reads it.
    let mut planners: Vec<Arc<dyn ExprPlanner>> = vec![Arc::new(Postgres)];
    planners.extend(SessionStateDefaults::default_expr_planners());
    let builder = SessionStateBuilder::new()
        .with_config(config)
        .with_runtime_env(runtime.build_arc()?)
        .with_catalog_list(Arc::new(catalogs))
        .with_expr_planners(planners)
        .with_scalar_functions(functions::scalar(now))
        .with_aggregate_functions(functions::aggregate())
        .with_window_functions(SessionStateDefaults::default_window_functions());
    Ok(builder.build())
}

/// Checks that patterns, which are compiled once, and the reach of windows are constants.
fn check_constants(plan: &LogicalPlan) -> EngineResult<()> {
    let is_constant = |pattern: &Expr| matches!(pattern, Expr::Literal(..));
    plan.apply(|step| {
        step.apply_expressions(|expression| {
            expression.apply(|part| {
                let fine = match part {
                    Expr::BinaryExpr(binary) => match binary.op {
                        Operator::RegexMatch
                        | Operator::RegexIMatch
                        | Operator::RegexNotMatch
                        | Operator::RegexNotIMatch => is_constant(&binary.right),
                        _ => true,
                    },
                    Expr::SimilarTo(like) => is_constant(&like.pattern),
                    Expr::ScalarFunction(call) if call.name().starts_with("regexp_") => {
                        call.args.get(1).is_none_or(is_constant)
                    }
                    Expr::WindowFunction(window) if !is_short_sighted(window) => {
                        return Err(DataFusionError::Plan(format!(
                            "A window without ORDER BY looks at most {FRAME_ROWS_MAX} rows back or ahead."
                        )));
                    }
                    Expr::InSubquery(_) | Expr::Exists(_) | Expr::ScalarSubquery(_) => {
                        return Err(DataFusionError::Plan(
                            "This use of a subquery cannot be answered: IN (SELECT …) and EXISTS belong into WHERE, or write a JOIN."
                                .to_owned(),
                        ));
                    }
                    _ => true,
                };
                if fine {
                    return Ok(TreeNodeRecursion::Continue);
                }
                Err(DataFusionError::Plan("A regular expression has to be a constant.".to_owned()))
            })
        })
    })?;
    Ok(())
}

/// True if the window keeps few rows, or its rows were sorted before, which counts their memory.
fn is_short_sighted(window: &WindowFunction) -> bool {
    let is_few = |rows: &ScalarValue| {
        let rows = rows.cast_to(&DataType::Int64);
        matches!(rows, Ok(ScalarValue::Int64(rows)) if rows.is_none_or(|rows| rows.saturating_abs() <= FRAME_ROWS_MAX))
    };
    let is_near = |bound: &WindowFrameBound| match bound {
        WindowFrameBound::Preceding(rows) | WindowFrameBound::Following(rows) => is_few(rows),
        WindowFrameBound::CurrentRow => true,
    };
    let is_step = matches!(window.fun.name(), "lead" | "lag");
    let is_step_near = |step: &Expr| matches!(step, Expr::Literal(rows, _) if is_few(rows));
    let params = &window.params;
    !params.order_by.is_empty()
        || (is_near(&params.window_frame.start_bound)
            && is_near(&params.window_frame.end_bound)
            && (!is_step || params.args.get(1).is_none_or(is_step_near)))
}

/// Makes joins check the budget while they compare many rows for each one that they yield.
fn with_watched_joins(plan: LogicalPlan, watch: &Arc<Watch>) -> EngineResult<LogicalPlan> {
    let watched = plan.transform_up(|step| {
        let LogicalPlan::Join(mut join) = step else { return Ok(Transformed::no(step)) };
        let gives_pairs = matches!(join.join_type, JoinType::Inner | JoinType::Left | JoinType::Right | JoinType::Full);
        let condition = match join.filter.take() {
            Some(condition) => Some(condition),
            None if gives_pairs => None,
            None => Some(lit(true)),
        };
        join.filter = condition.map(|condition| functions::watched(condition, watch.clone()));
        Ok(Transformed::yes(LogicalPlan::Join(join)))
    })?;
    Ok(watched.data)
}

fn with_watched_steps(plan: Arc<dyn ExecutionPlan>, watch: &Arc<Watch>) -> EngineResult<Arc<dyn ExecutionPlan>> {
    let plan = plan.transform_up(|step| {
        // It keeps all rows of a window without counting them.
        let holds = step.name() == "WindowAggExec";
        let watched = |input: &Arc<dyn ExecutionPlan>| -> Arc<dyn ExecutionPlan> {
            Arc::new(Watched::new(input.clone(), watch.clone(), holds))
        };
        let inputs: Vec<_> = step.children().into_iter().map(watched).collect();
        if inputs.is_empty() {
            return Ok(Transformed::no(step));
        }
        let options = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);
        Ok(Transformed::yes(step.replace_children(inputs, options)?))
    })?;
    Ok(plan.data)
}

/// The engine's error as a sentence for the author of the query.
pub(super) fn in_plain_words(error: &DataFusionError) -> Error {
    let sentence = match error {
        DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => return in_plain_words(inner),
        DataFusionError::Shared(inner) => return in_plain_words(inner),
        DataFusionError::Collection(errors) if !errors.is_empty() => {
            let sentences = errors.iter().map(|error| in_plain_words(error).to_string());
            sentences.collect::<Vec<_>>().join(" ")
        }
        DataFusionError::ResourcesExhausted(what) if what.contains("texts") || what.contains("row of the answer") => {
            return Error::TooMuch(format!("The query needs too much memory: {what}."));
        }
        DataFusionError::ResourcesExhausted(_) => return too_large(),
        DataFusionError::SQL(error, _) => {
            format!("This is not SQL that can be read: {}.", parser_words(&error.to_string()))
        }
        DataFusionError::SchemaError(error, _) => schema_words(error),
        DataFusionError::Plan(what) | DataFusionError::Execution(what) | DataFusionError::Configuration(what) => {
            plan_words(what)
        }
        DataFusionError::NotImplemented(what) => format!("This is not supported: {}", plan_words(what)),
        DataFusionError::ArrowError(error, _) => plan_words(&error.to_string()),
        _ => "This query cannot be answered: write it in another way.".to_owned(),
    };
    Error::Query(sentence)
}

fn parser_words(what: &str) -> String {
    let what = what.strip_prefix("sql parser error: ").unwrap_or(what);
    if what.contains("recursion limit") {
        return format!("at most {DEPTH_MAX} expressions are taken within each other");
    }
    what.trim_end_matches('.').to_owned()
}

fn schema_words(error: &SchemaError) -> String {
    match error {
        SchemaError::FieldNotFound { field, valid_fields } => {
            let known: Vec<&str> = valid_fields.iter().map(|column| column.name()).collect();
            format!("There is no column {}; there are: {}.", field.name(), known.join(", "))
        }
        SchemaError::AmbiguousReference { field } => format!("It is not clear which {} is meant.", field.name()),
        SchemaError::DuplicateQualifiedField { name, .. } | SchemaError::DuplicateUnqualifiedField { name } => {
            format!("Two columns are called {name}: give one of them another name with AS.")
        }
    }
}

/// The first paragraph, without the engine's prefixes.
fn plan_words(what: &str) -> String {
    let what = what
        .split("\n\n")
        .next()
        .and_then(|what| what.split(" Hint: ").next())
        .unwrap_or(what)
        .replace(&format!("{CATALOG}.{SCHEMA}."), "");
    let what = what.trim().trim_start_matches("Error during planning: ");
    if let Some(table) = what.strip_prefix("table '").and_then(|rest| rest.strip_suffix("' not found")) {
        return format!("There is no table {table}: the events are in {TABLE}.");
    }
    let mut sentence = what.to_owned();
    if !sentence.ends_with(['.', '!', '?']) {
        sentence.push('.');
    }
    sentence
}
