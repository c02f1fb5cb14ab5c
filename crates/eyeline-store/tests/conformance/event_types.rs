//! Event types: numbered versions of schemas, which outlive their types.

use eyeline_core::event::OnInvalid;
use eyeline_store::catalog::event_types::{EventType, EventTypeInput};
use eyeline_store::{Catalog, Error};
use futures::StreamExt as _;

use crate::engines::on_every_database;
use crate::events::{OTHER_PROJECT, PROJECT, at, catalog_with_a_gallery};

fn input(name: &str, schema: Option<&str>) -> EventTypeInput {
    EventTypeInput {
        project_id: PROJECT,
        category: "page".to_owned(),
        name: name.to_owned(),
        schema: schema.map(str::to_owned),
        on_invalid: OnInvalid::Reject,
        description: None,
    }
}

async fn put(catalog: &Catalog, second: i64, schema: Option<&str>) -> EventType {
    catalog.put_event_type(input("view", schema), at(second)).await.expect("a stored type")
}

async fn show(catalog: &Catalog, version: Option<u32>) -> Option<EventType> {
    catalog.event_type(PROJECT, "page".to_owned(), "view".to_owned(), version).await.expect("an answer")
}

#[tokio::test]
async fn each_other_schema_is_a_version_and_none_is_lost() {
    on_every_database(async |db| {
        let catalog = catalog_with_a_gallery(&db).await;
        assert_eq!(put(&catalog, 1, Some("{}")).await.version, 1);
        assert_eq!(put(&catalog, 2, Some("{}")).await.version, 1, "the same schema");
        assert_eq!(put(&catalog, 3, Some("true")).await.version, 2);
        let last = put(&catalog, 4, None).await;
        assert_eq!((last.version, last.created_at, last.updated_at), (3, at(1), at(4)));
        assert_eq!(show(&catalog, None).await, Some(last));
        let older = show(&catalog, Some(2)).await.expect("version 2");
        assert_eq!((older.version, older.schema.as_deref()), (2, Some("true")));
        assert_eq!(show(&catalog, Some(4)).await, None);
        let schema = catalog.event_schema(PROJECT, "page".to_owned(), "view".to_owned(), 1).await.expect("an answer");
        assert_eq!(schema.as_deref(), Some("{}"));
    })
    .await;
}

#[tokio::test]
async fn of_many_at_once_each_other_schema_gets_its_own_version() {
    on_every_database(async |db| {
        let catalog = catalog_with_a_gallery(&db).await;
        let schemas: Vec<String> = (0..8).map(|number| format!("{{\"minProperties\":{number}}}")).collect();
        let puts = schemas.iter().map(|schema| put(&catalog, 1, Some(schema)));
        let mut versions: Vec<u32> = futures::future::join_all(puts).await.iter().map(|put| put.version).collect();
        versions.sort_unstable();
        assert_eq!(versions, (1..=8).collect::<Vec<u32>>());
    })
    .await;
}

#[tokio::test]
async fn a_deleted_type_is_gone_but_not_its_versions() {
    on_every_database(async |db| {
        let catalog = catalog_with_a_gallery(&db).await;
        put(&catalog, 1, Some("{}")).await;
        let delete = async || catalog.delete_event_type(PROJECT, "page".to_owned(), "view".to_owned(), at(2)).await;
        delete().await.expect("deleted");
        assert!(matches!(delete().await, Err(Error::NotFound(_))));
        assert_eq!(show(&catalog, None).await, None);
        assert_eq!(catalog.types_in_force(PROJECT).await.expect("types"), []);
        assert_eq!(catalog.event_types(PROJECT, None, 10).await.expect("types"), []);
        let schema = catalog.event_schema(PROJECT, "page".to_owned(), "view".to_owned(), 1).await.expect("an answer");
        assert_eq!(schema.as_deref(), Some("{}"), "events of its time are judged by it");
        let again = put(&catalog, 3, Some("true")).await;
        assert_eq!((again.version, again.created_at), (2, at(3)));
    })
    .await;
}

#[tokio::test]
async fn types_are_listed_by_category_and_name_within_their_project() {
    on_every_database(async |db| {
        let catalog = catalog_with_a_gallery(&db).await;
        let names = ["a", "B", "ä", "view"];
        for name in names {
            catalog.put_event_type(input(name, Some("{}")), at(1)).await.expect("a stored type");
        }
        let foreign = EventTypeInput { project_id: OTHER_PROJECT, ..input("a", None) };
        assert!(matches!(catalog.put_event_type(foreign, at(1)).await, Err(Error::NotFound(_))));
        let (mut listed, mut after) = (Vec::new(), None);
        loop {
            let page = catalog.event_types(PROJECT, after, 3).await.expect("a page");
            let Some(last) = page.last() else { break };
            after = Some((last.category.clone(), last.name.clone()));
            listed.extend(page.into_iter().map(|event_type| event_type.name));
        }
        assert_eq!(listed, ["B", "a", "view", "ä"]);
        let in_force = catalog.types_in_force(PROJECT).await.expect("types");
        assert!(in_force.len() == 4 && in_force.iter().all(|known| known.has_schema && known.version == 1));
        assert_eq!(catalog.event_types(OTHER_PROJECT, None, 3).await.expect("a page"), []);
    })
    .await;
}

#[tokio::test]
async fn a_project_has_a_bound_of_types() {
    on_every_database(async |db| {
        let catalog = catalog_with_a_gallery(&db).await;
        let puts = (0..1_000).map(|number| catalog.put_event_type(input(&format!("n{number}"), None), at(1)));
        let stored: Vec<_> = futures::stream::iter(puts).buffer_unordered(32).collect().await;
        assert!(stored.iter().all(Result::is_ok));
        let one_more = catalog.put_event_type(input("one more", None), at(2)).await;
        assert!(matches!(one_more, Err(Error::QuotaExceeded(_))), "{one_more:?}");
        catalog.put_event_type(input("n7", Some("{}")), at(2)).await.expect("one that is there can be changed");
    })
    .await;
}
