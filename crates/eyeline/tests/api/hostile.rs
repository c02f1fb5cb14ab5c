//! Forged values in place of the server's links, cookies and cursors are refused with a sentence and break nothing. So
//! are validly signed values with unexpected content.

use axum::body::Body;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use eyeline::secrets::Secrets;
use http::HeaderValue;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};
use url::form_urlencoded;

use crate::support::{ADMIN_KEY, Server, Tenant, request};

/// Runs `send` on many generated values, on one server. Each answer must be a client error.
fn each_is_refused<S: Strategy>(drawn: S, send: impl AsyncFn(&Server, &Tenant, &S::Value) -> http::request::Builder) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let server = runtime.block_on(Server::start());
    let tenant = runtime.block_on(server.tenant("shop"));
    let mut runner = TestRunner::new(Config { cases: 300, ..Config::default() });
    let outcome = runner.run(&drawn, |value| {
        let answer = runtime.block_on(async {
            let request = send(&server, &tenant, &value).await;
            server.send(request.body(Body::empty()).expect("a request")).await
        });
        prop_assert!(answer.status.is_client_error(), "{} for {:?}", answer.status, value);
        prop_assert_eq!(answer.header("content-type"), "application/problem+json");
        prop_assert!(answer.json()["detail"].as_str().is_some_and(|detail| detail.ends_with('.')), "{:?}", answer);
        Ok(())
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
}

/// Any text, and texts in the form of what is signed.
fn text() -> impl Strategy<Value = String> {
    prop_oneof!["\\PC{1,60}", "[A-Za-z0-9_-]{1,60}", "[A-Za-z0-9_-]{0,60}\\.[A-Za-z0-9_-]{43}"]
}

/// JSON of any shape, which often holds the fields that a reader expects.
fn json_value() -> impl Strategy<Value = Value> {
    let number = prop_oneof![any::<i64>().prop_map(Value::from), any::<f64>().prop_map(Value::from)];
    let leaf =
        prop_oneof![Just(Value::Null), any::<bool>().prop_map(Value::from), number, text().prop_map(Value::from)];
    let name = prop_oneof!["(sub|exp|nbf|aud|tier|kid|alg|key|expires_at)", "\\PC{0,8}"];
    leaf.prop_recursive(2, 12, 6, move |inner| {
        let members = prop::collection::vec((name.clone(), inner.clone()), 0..6);
        prop_oneof![
            prop::collection::vec(inner, 0..4).prop_map(Value::from),
            members.prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn query(path: &str, pairs: &[(&str, &str)]) -> String {
    format!("{path}?{}", form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish())
}

#[test]
fn any_text_in_place_of_a_credential() {
    each_is_refused(text(), async |_, _, text| {
        let value = HeaderValue::from_str(&format!("Bearer {text}"));
        request("GET", "/api/v1/projects", "").header("authorization", value.expect("no line ends"))
    });
    each_is_refused(text(), async |_, _, text| {
        let value = HeaderValue::from_str(&format!("eyeline_session={text}"));
        request("GET", "/api/v1/projects", "").header("cookie", value.expect("no line ends"))
    });
}

#[test]
fn any_header_and_claims_in_place_of_a_user_token() {
    each_is_refused(
        (json_value(), json_value(), "[A-Za-z0-9_-]{0,43}"),
        async |_, tenant, (head, claims, signature)| {
            let mut head = head.clone();
            if let Some(head) = head.as_object_mut() {
                head.insert("kid".to_owned(), json!(tenant.application_id));
                head.entry("alg").or_insert(json!("HS256"));
            }
            let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
            request("GET", "/api/v1/projects", &format!("{}.{}.{signature}", part(&head), part(claims)))
        },
    );
    // Signed with the right secret, and still too weak for this route.
    each_is_refused(json_value(), async |server, tenant, claims| {
        let mut claims = claims.clone();
        if let Some(claims) = claims.as_object_mut() {
            claims.entry("aud").or_insert(json!(tenant.project_id));
            claims.entry("sub").or_insert(json!("user-1"));
            claims.entry("exp").or_insert(json!(server.app.clock.now().micros() / 1_000_000 + 60));
        }
        let header = Header { kid: Some(tenant.application_id.clone()), ..Header::new(Algorithm::HS256) };
        let key = EncodingKey::from_secret(tenant.signing_secret.as_bytes());
        request("GET", "/api/v1/projects", &jsonwebtoken::encode(&header, &claims, &key).expect("a token"))
    });
}

#[test]
fn any_text_in_place_of_a_cursor() {
    each_is_refused(text(), async |_, _, text| {
        request("GET", &query("/api/v1/projects", &[("cursor", text)]), ADMIN_KEY)
    });
    // Signed, but not the key of a row.
    each_is_refused(json_value(), async |server, _, value| {
        let cursor = server.app.secrets.seal("cursor /api/v1/projects", value.to_string().as_bytes());
        request("GET", &query("/api/v1/projects", &[("cursor", &cursor)]), ADMIN_KEY)
    });
}

#[test]
fn any_parts_of_a_link() {
    each_is_refused((text(), any::<i64>(), text()), async |_, _, (filename, expires, signature)| {
        let (folder, expires) = ("0123456789abcdef0123456789abcdef", expires.to_string());
        let pairs = [("filename", filename.as_str()), ("expires", &expires), ("signature", signature)];
        request("GET", &query(&format!("/originals/{folder}/{folder}"), &pairs), "")
    });
    each_is_refused((text(), json_value(), any::<bool>()), async |server, _, (text, policy, is_signed)| {
        let policy = URL_SAFE_NO_PAD.encode(policy.to_string());
        // Links are signed by a key of their own.
        let links = Secrets::new(server.app.secrets.key("links"), Vec::new());
        let signature = links.sign("upload link", policy.as_bytes());
        let signature = if *is_signed { &signature } else { text };
        let path = query("/api/v1/incoming/0123456789abcdef", &[("policy", &policy), ("signature", signature)]);
        request("PUT", &path, "").header("content-length", "0")
    });
}
