//! PostgreSQL through a connection pool. A use case is a transaction.

use std::time::Duration;

use futures::TryStreamExt as _;
use futures::future::BoxFuture;
use sqlx::postgres::{PgArguments, PgPool, PgPoolOptions, PgRow};
use sqlx::{Arguments as _, AssertSqlSafe, Column as _, Executor as _, Row as _, SqlSafeStr as _, TypeInfo as _};
use uuid::Uuid;

use super::{Kind, Row, Tx, Value};
use crate::error::{Error, Result};

const CONNECTIONS_MAX: u32 = 16;
/// A process that stands still within a transaction, such as a suspended machine, loses it with its locks. Otherwise no
/// other process could take its work over.
const END_IDLE_TRANSACTIONS: &str = "SET idle_in_transaction_session_timeout = '30s'";

#[derive(Clone)]
pub(super) struct Postgres {
    pool: PgPool,
}

impl Postgres {
    pub(super) async fn open(url: &str) -> Result<Self> {
        let options = PgPoolOptions::new().max_connections(CONNECTIONS_MAX).acquire_timeout(Duration::from_secs(5));
        let options = options.after_connect(|connection, _| {
            Box::pin(async move { connection.execute(END_IDLE_TRANSACTIONS).await.map(drop) })
        });
        let pool = Box::pin(options.connect(url)).await.map_err(|error| failure(&error, "connect"))?;
        Ok(Postgres { pool })
    }

    pub(super) async fn write<T, F>(&self, use_case: F) -> Result<T>
    where
        F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T>> + Send + 'static,
        T: Send + 'static,
    {
        self.transact("BEGIN", use_case).await
    }

    pub(super) async fn read<T, F>(&self, use_case: F) -> Result<T>
    where
        F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T>> + Send + 'static,
        T: Send + 'static,
    {
        self.transact("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", use_case).await
    }

    async fn transact<T, F>(&self, begin: &'static str, use_case: F) -> Result<T>
    where
        F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T>> + Send + 'static,
        T: Send + 'static,
    {
        let pool = self.pool.clone();
        // A spawned task runs to its end even if the caller is dropped. A transaction dropped while it begins would
        // stay open on its connection, for the next user of that.
        let transaction = tokio::spawn(async move {
            let transaction = Box::pin(pool.begin_with(begin)).await.map_err(|error| failure(&error, begin))?;
            let mut tx = Tx::Postgres(transaction);
            // On an error the transaction is dropped, which rolls it back.
            let value = use_case(&mut tx).await?;
            let Tx::Postgres(transaction) = tx else {
                return Err(Error::internal("PostgreSQL", "a use case exchanged its transaction"));
            };
            transaction.commit().await.map_err(|error| failure(&error, "COMMIT"))?;
            Ok(value)
        });
        transaction.await.map_err(|error| Error::internal("a transaction of PostgreSQL", error))?
    }
}

type Transaction = sqlx::Transaction<'static, sqlx::Postgres>;

pub(super) async fn execute(transaction: &mut Transaction, sql: &str, params: &[Value]) -> Result<u64> {
    let query = sqlx::query_with(AssertSqlSafe(sql.to_owned()).into_sql_str(), arguments(params)?);
    let done = transaction.execute(query).await.map_err(|error| failure(&error, sql))?;
    Ok(done.rows_affected())
}

pub(super) async fn query(transaction: &mut Transaction, sql: &str, params: &[Value]) -> Result<Vec<Row>> {
    let query = sqlx::query_with(AssertSqlSafe(sql.to_owned()).into_sql_str(), arguments(params)?);
    let mut found = transaction.fetch(query);
    let mut columns: Option<std::sync::Arc<[String]>> = None;
    let mut rows = Vec::new();
    while let Some(row) = found.try_next().await.map_err(|error| failure(&error, sql))? {
        let columns = columns
            .get_or_insert_with(|| row.columns().iter().map(|column| column.name().to_owned()).collect())
            .clone();
        let values = (0..columns.len()).map(|index| cell(&row, index)).collect::<Result<_>>()?;
        rows.push(Row::new(columns, values));
    }
    Ok(rows)
}

pub(super) async fn run_script(transaction: &mut Transaction, sql: &'static str) -> Result<()> {
    sqlx::raw_sql(sql).execute(&mut **transaction).await.map_err(|error| failure(&error, sql))?;
    Ok(())
}

fn arguments(params: &[Value]) -> Result<PgArguments> {
    let mut arguments = PgArguments::default();
    for value in params {
        let added = match value {
            Value::Null(Kind::Int) => arguments.add(None::<i64>),
            Value::Null(Kind::Real) => arguments.add(None::<f64>),
            Value::Null(Kind::Text) => arguments.add(None::<String>),
            Value::Null(Kind::Bytes) => arguments.add(None::<Vec<u8>>),
            Value::Null(Kind::Id) => arguments.add(None::<Uuid>),
            Value::Null(Kind::Bool) => arguments.add(None::<bool>),
            Value::Int(value) => arguments.add(value),
            Value::Real(value) => arguments.add(value),
            Value::Text(value) => arguments.add(value),
            Value::Bytes(value) => arguments.add(value),
            Value::Id(value) => arguments.add(value),
            Value::Bool(value) => arguments.add(value),
        };
        added.map_err(|error| Error::internal("binding a parameter", error))?;
    }
    Ok(arguments)
}

fn cell(row: &PgRow, index: usize) -> Result<Value> {
    let name = row.columns()[index].type_info().name().to_owned();
    let failed = |error: sqlx::Error| failure(&error, "reading a column");
    Ok(match name.as_str() {
        "INT8" => row.try_get::<Option<i64>, _>(index).map_err(failed)?.into(),
        "INT4" => row.try_get::<Option<i32>, _>(index).map_err(failed)?.map(i64::from).into(),
        "FLOAT8" => row.try_get::<Option<f64>, _>(index).map_err(failed)?.into(),
        "BOOL" => row.try_get::<Option<bool>, _>(index).map_err(failed)?.into(),
        "UUID" => row.try_get::<Option<Uuid>, _>(index).map_err(failed)?.into(),
        "BYTEA" => row.try_get::<Option<Vec<u8>>, _>(index).map_err(failed)?.into(),
        "TEXT" | "VARCHAR" => row.try_get::<Option<String>, _>(index).map_err(failed)?.into(),
        other => return Err(Error::Corrupt(format!("column {index} is of type {other}: cast it in the statement"))),
    })
}

fn failure(error: &sqlx::Error, sql: &str) -> Error {
    let away = |reason: String| Error::Unavailable { reason, retry_after: Duration::from_secs(1) };
    match error {
        sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::Tls(_) => {
            away(format!("PostgreSQL cannot be reached: {error}"))
        }
        sqlx::Error::Database(database) => match database.code().as_deref() {
            // Two transactions conflicted; the same call succeeds later.
            Some("40001" | "40P01" | "55P03") => away("the catalog is busy".to_owned()),
            Some("53100") => away("PostgreSQL's disk is full".to_owned()),
            // Connection exceptions, too many connections, shutdown.
            Some(code) if code.starts_with("08") || code.starts_with("53") || code.starts_with("57P") => {
                away(format!("PostgreSQL cannot be used now: {database}"))
            }
            _ => Error::internal("PostgreSQL", format!("{database} in: {sql}")),
        },
        _ => Error::internal("PostgreSQL", format!("{error} in: {sql}")),
    }
}
