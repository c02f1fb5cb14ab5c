//! From the text of a query to what runs.

use std::ops::ControlFlow;
use std::sync::Arc;

use arrow_schema::DataType;
use datafusion::arrow::temporal_conversions::timestamp_us_to_datetime;
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
use datafusion::logical_expr::execution_props::ExecutionProps;
use datafusion::logical_expr::expr::WindowFunction;
use datafusion::logical_expr::{
    Expr, JoinType, LogicalPlan, LogicalPlanBuilder, Operator, WindowFrameBound, WindowFunctionDefinition, lit,
};
use datafusion::physical_plan::{ChildrenPropertiesMode, ExecutionPlan, ReplaceChildrenOptions};
use datafusion::prelude::SessionConfig;
use datafusion::scalar::ScalarValue;
use datafusion::sql::parser::{DFParserBuilder, Statement};
use datafusion::sql::sqlparser::ast::{
    Expr as SqlExpr, Select, Statement as SqlStatement, TableFactor, Visit as _, Visitor,
};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;

use super::events::Events;
use super::functions::{self, Concatenation};
use super::json::Arrows;
use super::watch::{Watch, Watched};
use crate::error::Error;

const TABLE: &str = "events";
const CATALOG: &str = "eyeline";
const SCHEMA: &str = "public";
/// Expressions and queries within each other.
const DEPTH_MAX: usize = 50;
/// Rows of what joins and sorts give at once: some of them are long.
const BATCH_ROWS: usize = 2 * 1024;
/// Rows that a window without an order looks back or ahead: it keeps them, and counts them nowhere.
const FRAME_ROWS_MAX: i64 = 10_000;
/// Terms in a row, and queries and tables in a query.
const CHAIN_MAX: usize = 100;
const SOURCES_MAX: usize = 100;
const SELECT_ONLY: &str = "Only a SELECT is taken: events are never changed.";
/// Steps and expressions of a query: planning looks at each of them many times, and cannot be stopped.
const PARTS_MAX: usize = 10_000;

/// What runs, and what it runs in. At most one row more than `rows_max` comes out of it.
pub(super) async fn plan(
    events: Events,
    query: &str,
    rows_max: usize,
) -> EngineResult<(Arc<dyn ExecutionPlan>, Arc<TaskContext>)> {
    let watch = events.watch.clone();
    let statement = parse(query)?;
    let state = state(events)?;
    let plan = state.statement_to_plan(statement).await?;
    check(&plan)?;
    let plan = LogicalPlanBuilder::from(plan).limit(0, Some(rows_max.saturating_add(1)))?.build()?;
    let plan = state.optimize(&plan)?;
    check_constants(&plan)?;
    watch.check()?;
    let plan = with_watched_joins(plan, &watch)?;
    let plan = state.query_planner().create_physical_plan(&plan, &state).await?;
    Ok((with_watched_steps(plan, &watch)?, state.task_ctx()))
}

/// One `SELECT`, whatever it has before and within it.
fn parse(query: &str) -> EngineResult<Statement> {
    let parser = DFParserBuilder::new(query).with_dialect(&PostgreSqlDialect {}).with_recursion_limit(DEPTH_MAX);
    let mut statements = parser.build()?.parse_statements()?;
    let refusal = |sentence: &str| Err(DataFusionError::Plan(sentence.to_owned()));
    let Some(statement) = statements.pop_front() else { return refusal("This is empty: write a SELECT.") };
    if !statements.is_empty() {
        return refusal("One statement at a time is taken.");
    }
    let Statement::Statement(inner) = &statement else { return refusal(SELECT_ONLY) };
    if !matches!(**inner, SqlStatement::Query(_)) {
        return refusal(SELECT_ONLY);
    }
    if inner.visit(&mut Chains::default()).is_break() {
        return Err(DataFusionError::Plan(format!(
            "At most {CHAIN_MAX} terms are taken in a row, and {SOURCES_MAX} SELECTs and tables; IN (…) takes many values."
        )));
    }
    Ok(statement)
}

/// Measures what the parser takes without an end: `1 + 1 + …`, `a OR b OR …`, `SELECT … UNION SELECT …`. Planning them takes
/// time with the square of their length, or worse.
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

    fn pre_visit_expr(&mut self, _: &SqlExpr) -> ControlFlow<()> {
        self.depth += 1;
        if self.depth > CHAIN_MAX { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn post_visit_expr(&mut self, _: &SqlExpr) -> ControlFlow<()> {
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

/// An engine that knows one table.
fn state(events: Events) -> EngineResult<SessionState> {
    let mut config = SessionConfig::new()
        .with_target_partitions(1)
        .with_batch_size(BATCH_ROWS)
        .with_information_schema(false)
        .with_create_default_catalog_and_schema(false)
        .with_default_catalog_and_schema(CATALOG, SCHEMA);
    let options = config.options_mut();
    options.sql_parser.dialect = Dialect::PostgreSQL;
    options.execution.planning_concurrency = 1;
    options.execution.enable_recursive_ctes = false;
    // Our scan has no use for what joins find out on the way; and a subquery is to be a part of the one plan.
    options.optimizer.enable_dynamic_filter_pushdown = false;
    options.optimizer.enable_physical_uncorrelated_scalar_subquery = false;

    // The engine counts what it keeps, and not what it works on: together that is what a question may use.
    let memory = GreedyMemoryPool::new(events.watch.budget.bytes_max / 2);
    let no_disk = DiskManagerBuilder::default().with_mode(DiskManagerMode::Disabled);
    let runtime = RuntimeEnvBuilder::new().with_memory_pool(Arc::new(memory)).with_disk_manager_builder(no_disk);

    let mut props = ExecutionProps::new();
    props.query_execution_start_time = timestamp_us_to_datetime(events.now.micros()).map(|time| time.and_utc());

    let (catalogs, catalog, schema) =
        (MemoryCatalogProviderList::new(), MemoryCatalogProvider::new(), MemorySchemaProvider::new());
    schema.register_table(TABLE.to_owned(), Arc::new(events))?;
    catalog.register_schema(SCHEMA, Arc::new(schema))?;
    catalogs.register_catalog(CATALOG.to_owned(), Arc::new(catalog));

    let mut planners = SessionStateDefaults::default_expr_planners();
    planners.extend([Arc::new(Arrows) as _, Arc::new(Concatenation) as _]);
    let builder = SessionStateBuilder::new()
        .with_config(config)
        .with_runtime_env(runtime.build_arc()?)
        .with_execution_props(props)
        .with_catalog_list(Arc::new(catalogs))
        .with_expr_planners(planners)
        .with_scalar_functions(functions::scalar())
        .with_aggregate_functions(functions::aggregate())
        .with_window_functions(SessionStateDefaults::default_window_functions());
    Ok(builder.build())
}

/// Only steps that read the table and compute, whose memory is counted and which end.
fn check(plan: &LogicalPlan) -> EngineResult<()> {
    let refusal = |what: &str| Err(DataFusionError::Plan(format!("{what} cannot be used here.")));
    let mut parts = 0;
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
            LogicalPlan::Unnest(_) => return refusal("UNNEST"),
            _ => return refusal("Anything but a SELECT"),
        }
        parts += 1;
        step.apply_expressions(|expression| {
            expression.apply(|part| {
                parts += 1;
                if parts > PARTS_MAX {
                    return refusal("A query of so many parts");
                }
                match part {
                    Expr::Placeholder(_) => refusal("A placeholder"),
                    Expr::ScalarVariable(..) => refusal("A variable"),
                    Expr::Unnest(_) => refusal("UNNEST"),
                    Expr::WindowFunction(window) => match &window.fun {
                        WindowFunctionDefinition::AggregateUDF(aggregate) if !functions::is_over_frames(aggregate) => {
                            refusal(&format!("{} with OVER", aggregate.name()))
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

/// What has to be known before the first row: patterns, which are read once and not for every row, and how far windows look.
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

/// Whether the rows that the window keeps are few, or were sorted before, which counts them.
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

/// Joins that compare many rows for each one they give look up while they do.
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
        // It keeps all rows of a window, and counts none of them.
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

/// What the engine says, for whoever wrote the query.
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
        DataFusionError::ResourcesExhausted(_) => {
            return Error::TooMuch(
                "The query needs more memory than a question may use: ask about a shorter time, or fewer events."
                    .to_owned(),
            );
        }
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

/// The first paragraph, without what the engine calls things.
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
