//! Opens a fresh catalog on each database for a test.
//!
//! PostgreSQL is the one that `EYELINE_TEST_POSTGRES_URL` names (`scripts/with-postgres` starts one); a test that cannot
//! reach it fails, so that no engine is left out silently.

use eyeline_store::Catalog;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
use uuid::Uuid;

/// Runs `test` on an empty, migrated SQLite catalog, then on an empty, migrated PostgreSQL one.
pub async fn on_every_engine(test: impl AsyncFn(Catalog)) {
    eprintln!("on SQLite:");
    let folder = tempfile::tempdir().expect("a temporary folder");
    test(opened(&format!("sqlite:{}", folder.path().join("catalog.sqlite").display())).await).await;

    eprintln!("on PostgreSQL:");
    let admin_url = std::env::var("EYELINE_TEST_POSTGRES_URL")
        .expect("EYELINE_TEST_POSTGRES_URL has to name a PostgreSQL: run the tests through scripts/with-postgres");
    let mut admin = PgConnection::connect(&admin_url).await.expect("the PostgreSQL of EYELINE_TEST_POSTGRES_URL");
    let name = format!("test_{}", Uuid::from_bytes(random()).simple());
    admin.execute(AssertSqlSafe(format!("CREATE DATABASE {name}"))).await.expect("a database for the test");
    let (server, _) = admin_url.rsplit_once('/').expect("a URL that ends with the name of a database");
    test(opened(&format!("{server}/{name}")).await).await;
    // Not reached when the test fails: then the database is left for a look at it.
    admin.execute(AssertSqlSafe(format!("DROP DATABASE {name} WITH (FORCE)"))).await.expect("dropping the database");
}

async fn opened(url: &str) -> Catalog {
    let catalog = Catalog::open(url).await.expect("an open catalog");
    catalog.migrate().await.expect("a migrated catalog");
    catalog
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
