//! Catalogs of earlier versions: migrations keep their rows, run once, and leave processes of the version before working.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use eyeline_core::{ErasureId, GalleryId, ImageId, ImageState, ProjectId};
use eyeline_store::catalog::jobs::PROCESS_IMAGE;
use eyeline_store::catalog::orders::ChangeMark;
use eyeline_store::inbox::Offset;
use eyeline_store::sql::{Db, Value};
use eyeline_store::{Catalog, Error};
use futures::FutureExt as _;
use uuid::Uuid;

use crate::engines::{on_every_database, on_every_url};

/// From this version on every migration only adds: a process of any later version works on a newer catalog.
const ADDS_ONLY: i64 = 13;

/// A row as a binary of some versions writes it.
struct Write {
    /// The versions of that binary.
    versions: std::ops::Range<i64>,
    table: &'static str,
    columns: &'static str,
    values: Vec<Value>,
}

fn id(seed: u128, number: u128) -> Uuid {
    Uuid::from_u128(seed * 1_000 + number)
}

fn project(seed: u128) -> ProjectId {
    ProjectId(id(seed, 1))
}

fn gallery(seed: u128) -> GalleryId {
    GalleryId(id(seed, 3))
}

fn done(seed: u128) -> ImageId {
    ImageId(id(seed, 4))
}

fn key_hash(seed: u128) -> [u8; 32] {
    [u8::try_from(seed).expect("a small seed"); 32]
}

/// Rows of all tables. Those of another `seed` differ in every key.
fn rows(seed: u128) -> Vec<Write> {
    const ALWAYS: i64 = i64::MAX;
    let mut rows = Vec::new();
    let mut add = |versions, table, columns, values: &[Value]| {
        rows.push(Write { versions, table, columns, values: values.to_vec() });
    };
    let (project, application, gallery) = (Value::Id(id(seed, 1)), Value::Id(id(seed, 2)), Value::Id(id(seed, 3)));
    let (done, waiting, session) = (Value::Id(id(seed, 4)), Value::Id(id(seed, 5)), Value::Id(id(seed, 6)));
    let text = |text: &str| Value::from(format!("{text}{seed}"));
    let partition = Value::Int(i64::try_from(seed).expect("a small seed"));
    let (hash, bytes) = (Value::Bytes(key_hash(seed).to_vec()), Value::Bytes(vec![1, 2, 3]));
    let int = Value::Int;
    let word = |word: &str| Value::from(word);

    add(
        1..ALWAYS,
        "projects",
        "project_id, name, tier, created_at, news_seq",
        &[project.clone(), text("shop"), word("business"), int(1), int(1)],
    );
    add(
        1..ALWAYS,
        "applications",
        "application_id, project_id, name, signing_secret, created_at",
        &[application.clone(), project.clone(), text("web"), bytes.clone(), int(1)],
    );
    add(
        1..ALWAYS,
        "application_origins",
        "origin, application_id",
        &[text("https://shop.example:"), application.clone()],
    );
    add(1..ALWAYS, "api_keys", "key_hash, application_id, created_at", &[hash.clone(), application.clone(), int(1)]);
    add(
        1..ALWAYS,
        "idempotency",
        "credential, route, key, body_hash, status, answer, created_at",
        &[hash.clone(), word("POST /x"), text("key"), hash.clone(), int(201), word("{}"), int(1)],
    );
    let image = "image_id, project_id, gallery_id, filename, state, original_key, bytes, sha256, content_type, width,
                 height, visibility, access_tier, tags, metadata, created_at, updated_at";
    add(
        2..ALWAYS,
        "images",
        image,
        &[
            done.clone(),
            project.clone(),
            gallery.clone(),
            word("a.jpg"),
            word("done"),
            text("originals/a"),
            int(9),
            hash.clone(),
            word("image/jpeg"),
            int(40),
            int(30),
            word("public"),
            word("free"),
            word("[]"),
            word("{}"),
            int(1),
            int(1),
        ],
    );
    let promised =
        "image_id, project_id, filename, state, incoming_key, link_expires_at, visibility, access_tier, tags,
                    metadata, created_at, updated_at";
    add(
        2..ALWAYS,
        "images",
        promised,
        &[
            waiting.clone(),
            project.clone(),
            word("b.jpg"),
            word("init"),
            text("incoming/b"),
            int(1),
            word("public"),
            word("free"),
            word("[]"),
            word("{}"),
            int(1),
            int(1),
        ],
    );
    add(
        2..ALWAYS,
        "versions",
        "image_id, name, object_key, content_type, width, height, bytes, sha256",
        &[done.clone(), word("thumb"), text("public/thumb"), word("image/jpeg"), int(4), int(3), int(5), hash.clone()],
    );
    add(2..ALWAYS, "user_usage", "project_id, user_id, images", &[project.clone(), text("user"), int(1)]);
    add(2..ALWAYS, "unwanted_objects", "object_key, unwanted_from", &[text("public/old"), int(1)]);
    add(
        2..ALWAYS,
        "jobs",
        "job_id, kind, subject, state, run_at, created_at",
        &[Value::Id(id(seed, 7)), word(PROCESS_IMAGE), waiting.clone(), word("waiting"), int(0), int(1)],
    );
    add(
        2..ALWAYS,
        "news",
        "project_id, seq, at, type, image_id, state",
        &[project.clone(), int(1), int(1), word("image.state"), done.clone(), word("done")],
    );
    add(
        2..ALWAYS,
        "stream_tickets",
        "ticket_hash, project_id, credential, expires_at",
        &[hash.clone(), project.clone(), hash.clone(), int(1)],
    );
    let ranking = r#"{"strategy":"trending","holdout_percent":10}"#;
    add(
        3..ALWAYS,
        "galleries",
        "gallery_id, project_id, name, page_size, visibility, access_tier, ranking, applied_events, created_at, updated_at",
        &[
            gallery.clone(),
            project.clone(),
            text("shoes"),
            int(20),
            word("public"),
            word("free"),
            word(ranking),
            int(5),
            int(1),
            int(1),
        ],
    );
    add(
        3..ALWAYS,
        "gallery_images",
        "gallery_id, ordinal, image_id, external_id, listed, views, clicks, revision",
        &[gallery.clone(), int(0), done.clone(), text("sku-"), Value::Bool(true), int(3), int(2), int(0)],
    );
    add(4..ALWAYS, "partitions", "partition, applied", &[partition.clone(), int(7)]);
    add(
        4..ALWAYS,
        "event_ids",
        "application_id, event_id, partition, event_offset, received_at",
        &[application.clone(), Value::Id(id(seed, 8)), partition.clone(), int(6), int(1)],
    );
    add(4..ALWAYS, "dropped_events", "partition, event_offset", &[partition.clone(), int(6)]);
    add(
        4..ALWAYS,
        "quarantine",
        "partition, event_offset, project_id, application_id, reason, errors, event, quarantined_at",
        &[
            partition.clone(),
            int(5),
            project.clone(),
            application.clone(),
            word("schema"),
            word("{}"),
            bytes.clone(),
            int(1),
        ],
    );
    add(
        6..ALWAYS,
        "event_types",
        "project_id, category, name, version, on_invalid, created_at, updated_at",
        &[project.clone(), word("shop"), word("buy"), int(1), word("quarantine"), int(1), int(1)],
    );
    add(
        6..ALWAYS,
        "event_schemas",
        "project_id, category, name, version, schema, created_at",
        &[project.clone(), word("shop"), word("buy"), int(1), word("{}"), int(1)],
    );
    for table in ["event_hours", "event_days"] {
        add(
            6..ALWAYS,
            table,
            "project_id, bucket, application_id, category, name, events",
            &[project.clone(), int(0), application.clone(), word("shop"), word("buy"), int(7)],
        );
    }
    add(
        6..ALWAYS,
        "image_days",
        "gallery_id, bucket, image_id, views, clicks",
        &[gallery.clone(), int(0), done.clone(), int(3), int(2)],
    );
    add(
        7..ALWAYS,
        "served_places",
        "partition, first_offset, last_offset, places",
        &[partition.clone(), int(1), int(2), bytes.clone()],
    );
    add(
        7..12,
        "holdout_sessions",
        "gallery_id, percent, session_id, visitor, control, views, clicks",
        &[gallery.clone(), int(10), session.clone(), int(9), Value::Bool(true), int(3), int(2)],
    );
    add(
        8..ALWAYS,
        "lake_files",
        "object_key, partition, level, row_count, byte_count, first_offset, last_offset, first_timestamp, \
         last_timestamp, first_received_at, last_received_at",
        &[
            text("events/1"),
            partition.clone(),
            int(0),
            int(7),
            int(100),
            int(1),
            int(7),
            int(0),
            int(1),
            int(0),
            int(1),
        ],
    );
    add(
        9..ALWAYS,
        "erasures",
        "erasure_id, project_id, session_id, requested_at",
        &[Value::Id(id(seed, 9)), project.clone(), session.clone(), int(1)],
    );
    add(
        11..ALWAYS,
        "guard_sources",
        "gallery_id, source, since, state",
        &[gallery.clone(), int(1), int(1), bytes.clone()],
    );
    add(
        11..ALWAYS,
        "guard_visits",
        "gallery_id, session_id, source, since, seen",
        &[gallery.clone(), session.clone(), int(1), int(1), bytes.clone()],
    );
    add(
        11..13,
        "guard_switches",
        "gallery_id, partition, after_offset, was_on, is_on",
        &[gallery.clone(), partition.clone(), int(3), Value::Bool(false), Value::Bool(true)],
    );
    add(
        12..ALWAYS,
        "holdout_sessions",
        "gallery_id, percent, treatment, control, session_id, visitor, held_out, views, clicks",
        &[
            gallery.clone(),
            int(10),
            word("trending"),
            word("newest"),
            Value::Id(id(seed, 10)),
            int(9),
            Value::Bool(false),
            int(3),
            int(2),
        ],
    );
    add(
        13..ALWAYS,
        "ranking_changes",
        "gallery_id, partition, after_offset, was, became",
        &[gallery.clone(), partition.clone(), int(4), word(ranking), word(ranking)],
    );
    add(
        15..ALWAYS,
        "base_pieces",
        "gallery_id, cut, kind, piece_key, state",
        &[gallery.clone(), int(1), int(1), bytes.clone(), bytes.clone()],
    );
    add(19..ALWAYS, "rollup_growth", "project_id, day, hour_rows", &[project.clone(), int(0), int(1)]);
    add(25..ALWAYS, "partition_owners", "node, lease_until", &[text("node-"), int(1)]);
    add(25..ALWAYS, "leases", "name, fence, lease_until", &[text("lease-"), int(1), int(1)]);
    rows
}

/// Writes what a binary of `version` knows and one of `after` did not know. Repeats what the catalog is too busy for, as
/// clients do after a 503.
async fn write(db: &Db, seed: u128, after: i64, version: i64) {
    let meant = |row: &Write| row.versions.contains(&version) && !row.versions.contains(&after);
    for Write { table, columns, values, .. } in rows(seed).into_iter().filter(meant) {
        let places: Vec<String> = (1..=values.len()).map(|number| format!("${number}")).collect();
        let sql = format!("INSERT INTO {table} ({columns}) VALUES ({})", places.join(", "));
        loop {
            let (sql, values) = (sql.clone(), values.clone());
            let written = db.write(move |tx| async move { tx.query_text(&sql, &values).await.map(drop) }.boxed());
            match written.await {
                Err(error) if error.is_retryable() => {}
                Err(error) => panic!("version {version}, {table}: {error}"),
                Ok(()) => break,
            }
        }
    }
}

async fn count(db: &Db, table: &'static str) -> i64 {
    let sql = format!("SELECT count(*) AS number FROM {table}");
    let read = db.read(move |tx| {
        async move {
            let row = tx.query_text(&sql, &[]).await?.pop();
            row.expect("a row").take("number")
        }
        .boxed()
    });
    read.await.unwrap_or_else(|error| panic!("{table}: {error}"))
}

/// What was written with a seed is found by use cases of the present binary.
async fn assert_found(catalog: &Catalog, seed: u128) {
    let project = project(seed);
    let (application, _) = catalog.application_by_key(key_hash(seed)).await.expect("an answer").expect("its key works");
    assert_eq!(application.project_id, project);
    let image = catalog.image(done(seed)).await.expect("an answer").expect("an image");
    assert_eq!((image.state, image.project_id), (ImageState::Done, project));
    let [item] = &catalog.gallery_items(gallery(seed), &[0]).await.expect("items")[..] else { panic!("one item") };
    assert_eq!(item.versions[0].object_key, format!("public/thumb{seed}"));
    let changes = catalog.gallery_changes(gallery(seed), ChangeMark::START, 10).await.expect("changes");
    let changes = changes.expect("a gallery");
    let (_, ranked) = changes.images[0];
    assert_eq!((ranked.counts.views, ranked.counts.clicks), (3, 2));
    assert_eq!(changes.gallery.ranking.holdout().map(|holdout| holdout.percent), Some(10));
    let sums =
        catalog.holdout_sums(gallery(seed), changes.gallery.ranking.holdout().expect("one")).await.expect("sums");
    assert_eq!(sums.treatment.clicks, 2);
    let news = catalog.news(project, 0, 10).await.expect("news");
    assert!(format!("{news:?}").contains(&done(seed).to_string()), "{news:?}");
    let (partition, marks) = (u32::try_from(seed).expect("a small seed"), catalog.marks().await.expect("marks"));
    let marks = marks.into_iter().find(|marks| marks.partition == partition).expect("a partition");
    assert_eq!((marks.applied, marks.flushed), (Offset::from_number(7), Offset::from_number(0)));
    let erasures = catalog.erasures(project, None, 10).await.expect("erasures");
    assert_eq!(erasures[0].erasure_id, ErasureId(id(seed, 9)));
    assert!(erasures[0].session_id.is_some(), "of a session, not of the whole project");
}

#[tokio::test]
async fn every_migration_keeps_the_rows_of_earlier_versions() {
    on_every_database(async |db| {
        let mut version = 0;
        while !db.migrate_to(version + 1).await.expect("migrated").applied.is_empty() {
            write(&db, 1, version, version + 1).await;
            version += 1;
        }
        assert_eq!(db.migrate_to(i64::MAX).await.expect("migrated").applied, [""; 0], "that was all");
        let catalog = Catalog::from(db.clone());
        assert_found(&catalog, 1).await;
        let mut expected = BTreeMap::<&str, i64>::new();
        for row in rows(1) {
            // The one that replaces it has its rows.
            let table = if row.table == "guard_switches" { "ranking_changes" } else { row.table };
            *expected.entry(table).or_default() += 1;
        }
        // A migration adds the event in quarantine, which counts for nothing.
        *expected.entry("dropped_events").or_default() += 1;
        for (table, rows) in expected {
            assert_eq!(count(&db, table).await, rows, "{table}");
        }
        assert_eq!(catalog.claim_jobs(PROCESS_IMAGE, "node".to_owned(), 10).await.expect("jobs").len(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_catalog_of_any_version_is_migrated_in_one_step_while_processes_of_that_version_go_on_writing() {
    for version in [ADDS_ONLY, 18, 24] {
        on_every_url(async |url| {
            let (older, newer) = (Db::open(url).await.expect("a database"), Db::open(url).await.expect("a database"));
            older.migrate_to(version).await.expect("an older catalog");
            write(&older, 1, 0, version).await;
            let is_migrated = Arc::new(AtomicBool::new(false));
            let writing = tokio::spawn({
                let is_migrated = is_migrated.clone();
                async move {
                    let mut seeds = 2..;
                    loop {
                        // Also once more after the migration.
                        let is_last = is_migrated.load(Ordering::Acquire);
                        let seed = seeds.next().expect("a seed");
                        write(&older, seed, 0, version).await;
                        if is_last || seed == 200 {
                            return seed;
                        }
                    }
                }
            });
            newer.migrate().await.expect("migrated");
            is_migrated.store(true, Ordering::Release);
            let last = writing.await.expect("no panic");
            let catalog = Catalog::from(newer);
            for seed in [1, 2, last] {
                assert_found(&catalog, seed).await;
            }
        })
        .await;
    }
}

#[tokio::test]
async fn processes_that_start_together_migrate_once() {
    for version in [0, 20] {
        on_every_url(async |url| {
            let first = Db::open(url).await.expect("a database");
            first.migrate_to(version).await.expect("an older catalog");
            let starts = (0..6).map(|_| async move {
                let catalog = Catalog::open(url).await.expect("a catalog");
                catalog.migrate().await.expect("migrated")
            });
            let outcomes = futures::future::join_all(starts).await;
            let newest = outcomes[0].version;
            let applied: Vec<usize> =
                outcomes.iter().map(|outcome| outcome.applied.len()).filter(|count| *count > 0).collect();
            assert_eq!(applied, [usize::try_from(newest - version).expect("a number")], "one of them did it");
            assert!(outcomes.iter().all(|outcome| outcome.version == newest));
            assert_eq!(count(&first, "schema_migrations").await, newest);
        })
        .await;
    }
}

#[tokio::test]
async fn a_newer_catalog_is_refused_with_a_sentence_and_stays_as_it_is() {
    on_every_database(async |db| {
        let newest = db.migrate().await.expect("migrated").version;
        let sql = "INSERT INTO schema_migrations (version, name) VALUES ($1, 'of a later binary')";
        let later = vec![Value::Int(newest + 1)];
        db.write(move |tx| async move { tx.execute(sql, &later).await.map(drop) }.boxed()).await.expect("a newer one");
        for _ in 0..2 {
            let Err(Error::Conflict(sentence)) = db.migrate().await else { panic!("it was taken") };
            let versions = format!("the catalog is at version {}, this binary knows up to {newest}", newest + 1);
            assert!(sentence.starts_with(&versions) && sentence.ends_with("start a newer binary"), "{sentence}");
        }
        assert_eq!(count(&db, "schema_migrations").await, newest + 1);
        assert_eq!(count(&db, "projects").await, 0);
    })
    .await;
}
