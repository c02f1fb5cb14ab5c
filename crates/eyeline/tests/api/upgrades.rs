//! Catalogs of earlier and later versions at the start of a process.

use eyeline::app::App;
use eyeline::settings::Settings;
use eyeline_store::params;
use eyeline_store::sql::Db;
use futures::FutureExt as _;
use http::StatusCode;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::galleries::{Shop, column, names};
use crate::support::{Server, new_database};

const PROJECT: Uuid = Uuid::from_u128(1);
const APPLICATION: Uuid = Uuid::from_u128(2);
const GALLERY: Uuid = Uuid::from_u128(3);
const KEY: &str = "eyl_sk_of_an_earlier_version";
const IMAGES: u32 = 4;

/// Runs `test` with the URL of an empty SQLite database, then with that of a PostgreSQL one.
async fn on_every_database(test: impl AsyncFn(&str)) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    eprintln!("on SQLite:");
    test(&format!("sqlite:{}", folder.path().join("earlier.sqlite").display())).await;
    eprintln!("on PostgreSQL:");
    test(&new_database().await).await;
}

/// A catalog as a binary of `version` left it: a gallery whose image `sku-2` has clicks.
async fn leave(url: &str, version: i64) {
    let db = Db::open(url).await.expect("a database");
    db.migrate_to(version).await.expect("an earlier catalog");
    let write = db.write(|tx| {
        async move {
            let project = "INSERT INTO projects (project_id, name, tier, created_at) VALUES ($1, 'p', 'business', 0)";
            tx.execute(project, params![PROJECT]).await?;
            let application = "INSERT INTO applications (application_id, project_id, name, signing_secret, created_at)
                               VALUES ($1, $2, 'web', $3, 0)";
            tx.execute(application, params![APPLICATION, PROJECT, vec![0_u8; 60]]).await?;
            let key = "INSERT INTO api_keys (key_hash, application_id, created_at) VALUES ($1, $2, 0)";
            tx.execute(key, params![Sha256::digest(KEY).to_vec(), APPLICATION]).await?;
            let gallery = "INSERT INTO galleries (gallery_id, project_id, name, page_size, visibility, access_tier,
                                                  ranking, next_ordinal, created_at, updated_at)
                           VALUES ($1, $2, 'shoes', 20, 'public', 'free', '{\"strategy\":\"weight\"}', 4, 0, 0)";
            tx.execute(gallery, params![GALLERY, PROJECT]).await?;
            for number in 0..IMAGES {
                let (image_id, name) = (Uuid::from_u128(100 + u128::from(number)), format!("sku-{number}"));
                let image = "INSERT INTO images (image_id, project_id, filename, state, url, visibility, access_tier,
                                                 tags, metadata, created_at, updated_at)
                             VALUES ($1, $2, $3, 'done', 'https://cdn.example/1.jpg', 'public', 'free', '[]', '{}', $4, 0)";
                tx.execute(image, params![image_id, PROJECT, name.clone(), i64::from(number)]).await?;
                let listed = "INSERT INTO gallery_images (gallery_id, ordinal, image_id, external_id, listed, views,
                                                          clicks, revision)
                              VALUES ($1, $2, $3, $4, TRUE, 5, $5, 0)";
                let clicks = if number == 2 { 3_i64 } else { 0 };
                tx.execute(listed, params![GALLERY, i64::from(number), image_id, name, clicks]).await?;
            }
            Ok(())
        }
        .boxed()
    });
    write.await.expect("rows of then");
}

/// The settings of a process on this catalog.
fn on(url: &str) -> impl FnOnce(&mut Settings) {
    let url = url.to_owned();
    move |settings| {
        settings.catalog_url = Some(url);
        settings.secret = Some("5e".repeat(32));
    }
}

async fn assert_serves(shop: &Shop) {
    let page = shop.page("").await;
    assert_eq!(names(&page), ["sku-2", "sku-3", "sku-1", "sku-0"]);
    assert_eq!(column(&page, "clicks"), [3, 0, 0, 0]);
}

fn shop(server: Server) -> Shop {
    Shop {
        server,
        project_id: PROJECT.to_string(),
        application_id: APPLICATION.to_string(),
        key: KEY.to_owned(),
        gallery_id: GALLERY.to_string(),
    }
}

#[tokio::test]
async fn a_catalog_of_an_earlier_version_opens_with_its_keys_images_and_counters_and_counts_on() {
    for version in [3, 13, 20, 24] {
        on_every_database(async |url| {
            leave(url, version).await;
            let shop = shop(Server::start_with(on(url)).await);
            assert_serves(&shop).await;
            shop.send("click", "sku-0", 4).await;
            shop.server.apply_events().await;
            shop.server.app.orders.poll().await.expect("compared");
            let answer = shop.server.post(&shop.path("/refresh"), KEY, &json!({})).await;
            assert_eq!((answer.status, &answer.json()["applied_events"]), (StatusCode::OK, &json!(4)), "{answer:?}");
            assert_eq!(names(&shop.page("").await)[..2], ["sku-0", "sku-2"]);
        })
        .await;
    }
}

#[tokio::test]
async fn processes_that_start_together_on_an_earlier_catalog_all_serve_it() {
    let url = new_database().await;
    leave(&url, 13).await;
    let first = Server::start_with(on(&url));
    let others = (0..2).map(|_| async {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut settings = Settings { data: folder.path().to_owned(), ..Settings::default() };
        on(&url)(&mut settings);
        let app = App::open(settings, env!("CARGO_BIN_EXE_eyeline").into()).await.expect("an open app");
        app.catalog.ping().await.expect("a migrated catalog");
        (app, folder)
    });
    let (first, others) = tokio::join!(first, futures::future::join_all(others));
    assert_serves(&shop(first)).await;
    for (app, _folder) in others {
        assert_eq!(app.catalog.gallery_ids().await.expect("galleries"), [GALLERY.into()]);
    }
}

#[tokio::test]
async fn a_catalog_of_a_later_version_is_refused_at_the_start_with_a_sentence() {
    on_every_database(async |url| {
        let db = Db::open(url).await.expect("a database");
        let known = db.migrate().await.expect("migrated").version;
        let later = "INSERT INTO schema_migrations (version, name) VALUES ($1, 'of a later version')";
        let write = db.write(move |tx| async move { tx.execute(later, params![known + 1]).await.map(drop) }.boxed());
        write.await.expect("a later catalog");
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut settings = Settings { data: folder.path().to_owned(), ..Settings::default() };
        on(url)(&mut settings);
        let Err(sentence) = App::open(settings, env!("CARGO_BIN_EXE_eyeline").into()).await else {
            panic!("it opened")
        };
        let expected = format!(
            "the catalog: the catalog is at version {}, this binary knows up to {known}: start a newer binary",
            known + 1
        );
        assert_eq!(sentence, expected);
    })
    .await;
}
