//! Opens a fresh catalog on each database for a test.
//!
//! PostgreSQL is the server in `EYELINE_TEST_POSTGRES_URL`; `scripts/with-postgres` starts one. A test that cannot
//! reach it fails, so that no engine is skipped silently.

use eyeline_store::Catalog;
use eyeline_store::sql::Db;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
use uuid::Uuid;

/// Runs `test` on an empty, migrated SQLite catalog, then on an empty, migrated PostgreSQL one.
pub async fn on_every_engine(test: impl AsyncFn(Catalog)) {
    on_every_url(async |url| {
        let catalog = Catalog::open(url).await.expect("an open catalog");
        catalog.migrate().await.expect("a migrated catalog");
        test(catalog).await;
    })
    .await;
}

/// Runs `test` on an empty database of each kind, without the catalog's tables.
pub async fn on_every_database(test: impl AsyncFn(Db)) {
    on_every_url(async |url| test(Db::open(url).await.expect("an open database")).await).await;
}

/// Runs `test` with the URL of an empty database of each kind.
pub async fn on_every_url(test: impl AsyncFn(&str)) {
    eprintln!("on SQLite:");
    let folder = tempfile::tempdir().expect("a temporary folder");
    test(&format!("sqlite:{}", folder.path().join("catalog.sqlite").display())).await;

    eprintln!("on PostgreSQL:");
    let admin_url = std::env::var("EYELINE_TEST_POSTGRES_URL")
        .expect("EYELINE_TEST_POSTGRES_URL has to name a PostgreSQL: run the tests through scripts/with-postgres");
    let mut admin = PgConnection::connect(&admin_url).await.expect("the PostgreSQL of EYELINE_TEST_POSTGRES_URL");
    let name = format!("test_{}", Uuid::from_bytes(random()).simple());
    admin.execute(AssertSqlSafe(format!("CREATE DATABASE {name}"))).await.expect("a database for the test");
    let (server, _) = admin_url.rsplit_once('/').expect("a URL that ends with the name of a database");
    test(&format!("{server}/{name}")).await;
    // Not reached if the test fails: then the database stays for inspection.
    admin.execute(AssertSqlSafe(format!("DROP DATABASE {name} WITH (FORCE)"))).await.expect("dropping the database");
}

#[tokio::test]
async fn an_installation_keeps_the_id_that_was_drawn_first() {
    on_every_engine(async |catalog| {
        let drawn = futures::future::join_all((0..8).map(|_| catalog.installation_id())).await;
        let first = drawn[0].as_ref().expect("an id");
        assert!(drawn.iter().all(|id| id.as_ref().is_ok_and(|id| id == first)), "{drawn:?}");
        assert_eq!(catalog.installation_id().await.expect("an id"), *first);
    })
    .await;
}

fn random() -> [u8; 16] {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).expect("random bytes");
    bytes
}

#[tokio::test]
async fn a_migrated_catalog_answers_and_is_not_migrated_again() {
    on_every_engine(async |catalog| {
        catalog.ping().await.expect("an answer");
        let again = catalog.migrate().await.expect("a migrated catalog");
        assert!(again.applied.is_empty(), "applied twice: {:?}", again.applied);
    })
    .await;
}
