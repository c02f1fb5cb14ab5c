//! Guarantees for use cases on either database.

use eyeline_store::Error;
use eyeline_store::params;
use eyeline_store::sql::{Db, Tx, Value};
use futures::FutureExt as _;

use crate::engines::on_every_database;

async fn with_notes(db: &Db) {
    let made = "CREATE TABLE notes (number BIGINT PRIMARY KEY, text TEXT NOT NULL)";
    db.write(move |tx| async move { tx.execute(made, &[]).await.map(drop) }.boxed()).await.expect("a table");
}

async fn add(tx: &mut Tx, number: i64, text: &str) -> eyeline_store::Result<u64> {
    tx.execute("INSERT INTO notes (number, text) VALUES ($1, $2)", params![number, text]).await
}

async fn numbers(db: &Db) -> Vec<i64> {
    let read = db.read(|tx| {
        async move {
            let rows = tx.query("SELECT number FROM notes ORDER BY number", &[]).await?;
            rows.into_iter().map(|mut row| row.take("number")).collect()
        }
        .boxed()
    });
    read.await.expect("the notes")
}

#[tokio::test]
async fn a_use_case_that_fails_leaves_nothing_and_spoils_no_other() {
    on_every_database(async |db| {
        with_notes(&db).await;
        let writes = (0..40i64).map(|number| {
            let db = db.clone();
            async move {
                db.write(move |tx| {
                    async move {
                        add(tx, number, "kept").await?;
                        if number % 2 == 1 { Err(Error::NotFound("luck")) } else { Ok(number) }
                    }
                    .boxed()
                })
                .await
            }
        });
        let outcomes = futures::future::join_all(writes).await;
        for (number, outcome) in outcomes.iter().enumerate() {
            assert_eq!(outcome.is_ok(), number % 2 == 0, "{number}: {outcome:?}");
        }
        assert_eq!(numbers(&db).await, (0..40).step_by(2).collect::<Vec<i64>>());
    })
    .await;
}

#[tokio::test]
async fn a_broken_rule_of_the_schema_fails_its_own_use_case_only() {
    on_every_database(async |db| {
        with_notes(&db).await;
        let write = |number: i64| db.write(move |tx| async move { add(tx, number, "x").await }.boxed());
        let (first, second, third) = tokio::join!(write(1), write(2), write(1));
        assert!(second.is_ok());
        assert_eq!(usize::from(first.is_ok()) + usize::from(third.is_ok()), 1, "one of the two is first");
        assert_eq!(numbers(&db).await, [1, 2]);
    })
    .await;
}

#[tokio::test]
async fn nothing_of_an_open_use_case_is_seen_by_a_reader() {
    on_every_database(async |db| {
        with_notes(&db).await;
        db.write(|tx| async move { add(tx, 1, "seen").await }.boxed()).await.expect("a note");
        let refused = db.write(|tx| {
            async move {
                add(tx, 2, "never seen").await?;
                Err::<(), _>(Error::Conflict("no".to_owned()))
            }
            .boxed()
        });
        assert!(matches!(refused.await, Err(Error::Conflict(_))));
        assert_eq!(numbers(&db).await, [1]);
    })
    .await;
}

#[tokio::test]
async fn many_rows_go_in_and_come_out_of_few_statements() {
    on_every_database(async |db| {
        with_notes(&db).await;
        let rows: Vec<Vec<Value>> = (0..1_337i64).map(|number| vec![number.into(), "n".into()]).collect();
        let wanted: Vec<Vec<Value>> = (0..2_000i64).step_by(2).map(|number| vec![number.into()]).collect();
        let (added, again, found) = db
            .write(move |tx| {
                async move {
                    let insert = "INSERT INTO notes (number, text) VALUES {rows} ON CONFLICT (number) DO NOTHING";
                    let added = tx.execute_rows(insert, &rows).await?;
                    let again = tx.execute_rows(insert, &rows).await?;
                    let select = "SELECT n.number FROM notes n JOIN (VALUES {rows}) AS v ON n.number = v.column1";
                    Ok((added, again, tx.query_rows(select, &wanted).await?.len()))
                }
                .boxed()
            })
            .await
            .expect("rows");
        assert_eq!((added, again, found), (1_337, 0, 669));
    })
    .await;
}

#[tokio::test]
async fn every_kind_of_value_and_its_absence_comes_back_as_it_went_in() {
    on_every_database(async |db| {
        let blob = if db.dialect() == eyeline_store::sql::Dialect::Sqlite { "BLOB" } else { "BYTEA" };
        let id = uuid::Uuid::from_u128(7);
        let read = db.write(move |tx| {
            async move {
                // The types of a bare SELECT are those of its parameters.
                let sql = format!(
                    "SELECT CAST($1 AS BIGINT) AS i, CAST($2 AS TEXT) AS t, CAST($3 AS {blob}) AS b, $4 AS id,
                            CAST($5 AS BIGINT) AS no_i, CAST($6 AS TEXT) AS no_t"
                );
                let sent = params![-5i64, "naïve ☕", vec![0u8, 255], id, None::<i64>, None::<String>];
                let mut row = tx.query_text(&sql, sent).await?.pop().expect("a row");
                Ok((
                    row.take::<i64>("i")?,
                    row.take::<String>("t")?,
                    row.take::<Vec<u8>>("b")?,
                    row.take::<uuid::Uuid>("id")?,
                    row.take::<Option<i64>>("no_i")?,
                    row.take::<Option<String>>("no_t")?,
                ))
            }
            .boxed()
        });
        assert_eq!(read.await.expect("a row"), (-5, "naïve ☕".to_owned(), vec![0, 255], id, None, None));
    })
    .await;
}

#[tokio::test]
async fn a_use_case_that_panics_on_sqlite_fails_alone() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let db = Db::open(&format!("sqlite:{}", folder.path().join("db.sqlite").display())).await.expect("a database");
    with_notes(&db).await;
    let panicking = db.write(|tx| {
        async move {
            add(tx, 1, "x").await?;
            assert!(tx.dialect() == eyeline_store::sql::Dialect::Postgres, "on purpose");
            Ok(())
        }
        .boxed()
    });
    let fine = db.write(|tx| async move { add(tx, 2, "x").await }.boxed());
    let (panicked, fine) = tokio::join!(panicking, fine);
    assert!(panicked.is_err() && fine.is_ok());
    assert_eq!(numbers(&db).await, [2]);
}

#[tokio::test]
async fn a_full_database_is_answered_as_unavailable_and_works_again_once_there_is_room() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let db = Db::open(&format!("sqlite:{}", folder.path().join("db.sqlite").display())).await.expect("a database");
    with_notes(&db).await;
    let pages = |sql: &'static str| db.write(move |tx| async move { tx.query(sql, &[]).await.map(drop) }.boxed());
    pages("PRAGMA max_page_count = 20").await.expect("a limit");
    let big = "x".repeat(200_000);
    let refused = db.write(move |tx| async move { add(tx, 1, &big).await }.boxed()).await;
    assert!(matches!(&refused, Err(error) if error.is_retryable()), "{refused:?}");
    assert!(numbers(&db).await.is_empty());
    pages("PRAGMA max_page_count = 100000").await.expect("no limit");
    db.write(|tx| async move { add(tx, 2, "x").await }.boxed()).await.expect("room again");
    assert_eq!(numbers(&db).await, [2]);
}

#[tokio::test]
async fn readers_that_go_away_in_the_middle_leave_room_for_others() {
    on_every_database(async |db| {
        let read = || db.read(|tx| async move { tx.query("SELECT 1 AS one", &[]).await }.boxed());
        for _ in 0..50 {
            // Polled for a moment and dropped, like a broken connection of a client.
            let _unfinished = tokio::time::timeout(std::time::Duration::from_micros(10), read()).await;
        }
        let rows = read().await.expect("a reading connection is left");
        assert_eq!(rows.len(), 1);
    })
    .await;
}
