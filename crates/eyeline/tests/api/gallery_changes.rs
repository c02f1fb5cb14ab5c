//! The past changes of a gallery's order, as its owner sees them.

use http::StatusCode;
use serde_json::{Value, json};

use crate::galleries::Shop;

#[tokio::test]
async fn the_owner_sees_when_the_settings_and_rules_changed() {
    let shop = Shop::open().await;
    let list = async |query: &str| {
        let answer = shop.server.get(&shop.path(&format!("/changes{query}")), &shop.key).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        answer.json()
    };
    assert_eq!(list("").await, json!({"changes": [], "next_cursor": null}));
    shop.patch(json!({"strategy": "interest", "half_life": 2})).await;
    shop.patch(json!({"strategy": "interest"})).await;
    shop.rules(&json!({"pin": [{"tag": "a", "position": 1}], "exclude": [{"tag": "b"}]})).await;
    shop.rules(&json!({"pin": [{"tag": "a", "position": 2}]})).await;
    let answer = list("").await;
    let changes = answer["changes"].as_array().expect("changes");
    let rules: Vec<&Value> = changes.iter().map(|change| &change["rules"]).collect();
    assert_eq!(rules, [&json!({"added": 1, "removed": 2}), &json!({"added": 2, "removed": 0}), &Value::Null]);
    let ranking = &changes[2]["ranking"];
    assert_eq!((&ranking["before"]["strategy"], &ranking["after"]["strategy"]), (&json!("weight"), &json!("interest")));
    assert_eq!((&ranking["before"]["half_life"], &ranking["after"]["half_life"]), (&json!(null), &json!(2.0)));
    assert!(changes[0]["ranking"].is_null() && changes[0]["changed_at"].as_str() > changes[2]["changed_at"].as_str());

    let first = list("?limit=2").await;
    let cursor = first["next_cursor"].as_str().expect("a cursor");
    assert_eq!(list(&format!("?cursor={cursor}")).await["changes"], json!([changes[2]]));
    let refused = shop.server.get(&shop.path("/changes"), "").await;
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
}
