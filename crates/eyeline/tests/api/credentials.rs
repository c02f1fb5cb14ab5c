use axum::body::Body;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::StatusCode;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use crate::support::{ADMIN_KEY, Server, Tenant, request};

/// Any route that takes a secret key: 200 with one, 403 with a weaker credential, 401 with a bad one or none.
const GUARDED: &str = "/api/v1/projects";

#[tokio::test]
async fn a_bad_credential_is_401_and_a_weak_one_403() {
    let server = Server::start().await;
    let tenant = server.tenant("shop").await;
    for key in ["", "eyl_admin_wrong", "eyl_sk_wrong", "neither key nor token", "a.b.c"] {
        let answer = server.get(GUARDED, key).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{key}");
        assert_eq!(answer.header("www-authenticate"), "Bearer");
    }
    let scheme = request("GET", GUARDED, "").header("authorization", format!("Basic {ADMIN_KEY}"));
    assert_eq!(server.send(scheme.body(Body::empty()).expect("a request")).await.status, StatusCode::UNAUTHORIZED);

    assert_eq!(by_application(&server, &tenant.application_id, None).await, StatusCode::FORBIDDEN);
    assert_eq!(by_application(&server, "no uuid", None).await, StatusCode::UNAUTHORIZED);
    let unknown = "01890000-0000-7000-8000-000000000000";
    assert_eq!(by_application(&server, unknown, None).await, StatusCode::UNAUTHORIZED);
    let parameter = format!("{GUARDED}?application={}", tenant.application_id);
    assert_eq!(server.get(&parameter, "").await.status, StatusCode::FORBIDDEN);

    assert_eq!(server.get(GUARDED, &tenant.secret_key).await.status, StatusCode::OK);
    assert_eq!(server.get(GUARDED, ADMIN_KEY).await.status, StatusCode::OK);
    let body = json!({"name": "mine"});
    assert_eq!(server.post(GUARDED, &tenant.secret_key, &body).await.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_bad_key_is_not_passed_over_for_a_good_application() {
    let server = Server::start().await;
    let tenant = server.tenant("shop").await;
    let both = request("GET", GUARDED, "eyl_sk_wrong").header("application", &tenant.application_id);
    assert_eq!(server.send(both.body(Body::empty()).expect("a request")).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_browser_uses_the_public_id_from_the_applications_own_origins_only() {
    let server = Server::start().await;
    let tenant = server.tenant("shop").await;
    let id = &tenant.application_id;
    let known = by_application(&server, id, Some("https://shop.example")).await;
    let foreign = answer_by_application(&server, id, Some("https://other.example")).await;
    // Both are 403 because the credential is weak, for different reasons.
    assert_eq!(known, StatusCode::FORBIDDEN);
    assert!(foreign.json()["detail"].as_str().is_some_and(|why| why.contains("origin")), "{foreign:?}");
}

async fn by_application(server: &Server, id: &str, origin: Option<&str>) -> StatusCode {
    answer_by_application(server, id, origin).await.status
}

async fn answer_by_application(server: &Server, id: &str, origin: Option<&str>) -> crate::support::Answer {
    let mut sent = request("GET", GUARDED, "").header("application", id);
    if let Some(origin) = origin {
        sent = sent.header("origin", origin);
    }
    server.send(sent.body(Body::empty()).expect("a request")).await
}

fn claims(server: &Server, tenant: &Tenant) -> Value {
    let exp = server.app.clock.now().micros() / 1_000_000 + 60;
    json!({"sub": "user-1", "tier": "premium", "exp": exp, "aud": tenant.project_id})
}

fn token(tenant: &Tenant, algorithm: Algorithm, claims: &Value, key: &EncodingKey) -> String {
    let header = Header { kid: Some(tenant.application_id.clone()), ..Header::new(algorithm) };
    jsonwebtoken::encode(&header, claims, key).expect("a token")
}

fn signed(tenant: &Tenant, claims: &Value) -> String {
    token(tenant, Algorithm::HS256, claims, &EncodingKey::from_secret(tenant.signing_secret.as_bytes()))
}

/// A valid token is too weak for this route: 403. An invalid one is 401.
async fn is_taken(server: &Server, token: &str) -> bool {
    match server.get(GUARDED, token).await.status {
        StatusCode::FORBIDDEN => true,
        StatusCode::UNAUTHORIZED => false,
        status => panic!("{status}"),
    }
}

#[tokio::test]
async fn a_user_token_is_taken_while_everything_about_it_is_right() {
    let server = Server::start().await;
    let (tenant, other) = (server.tenant("shop").await, server.tenant("other").await);
    let good = claims(&server, &tenant);
    assert!(is_taken(&server, &signed(&tenant, &good)).await);

    for (field, value) in [
        ("aud", json!(other.project_id)),
        ("exp", json!(1)),
        ("exp", Value::Null),
        ("sub", json!("")),
        ("sub", Value::Null),
        ("tier", json!("gold")),
        ("nbf", json!(server.app.clock.now().micros() / 1_000_000 + 3_600)),
    ] {
        let mut bad = good.clone();
        bad[field] = value.clone();
        if value.is_null() {
            bad.as_object_mut().expect("claims").remove(field);
        }
        assert!(!is_taken(&server, &signed(&tenant, &bad)).await, "{field} = {value}");
    }
    // Another application's secret, and no signature at all.
    let foreign = EncodingKey::from_secret(other.signing_secret.as_bytes());
    assert!(!is_taken(&server, &token(&tenant, Algorithm::HS256, &good, &foreign)).await);
    let header = json!({"alg": "none", "kid": tenant.application_id}).to_string();
    let unsigned = format!("{}.{}.", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(good.to_string()));
    assert!(!is_taken(&server, &unsigned).await);
}

#[tokio::test]
async fn a_user_token_expires_by_the_products_clock() {
    let server = Server::start().await;
    let tenant = server.tenant("shop").await;
    let token = signed(&tenant, &claims(&server, &tenant));
    server.app.clock.set_offset(61_000_000);
    assert!(!is_taken(&server, &token).await);
    server.app.clock.set_offset(0);
    assert!(is_taken(&server, &token).await);
}

/// An Ed25519 key made for this test: its private half (PKCS #8, base64) and its public one.
const PRIVATE_KEY: &str = "MC4CAQAwBQYDK2VwBCIEIA8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8P";
const PUBLIC_KEY: &str = "2b8hSHSKhcidparY7gsPwtEF_TnUGkx5ZTY1TwrikAw";

#[tokio::test]
async fn a_registered_public_key_takes_the_place_of_the_signing_secret() {
    let server = Server::start().await;
    let tenant = server.tenant("shop").await;
    let path = format!("/api/v1/applications/{}", tenant.application_id);
    let register = json!({"ed25519_public_key": PUBLIC_KEY});
    let registered = server.write("PATCH", &path, &tenant.secret_key, &register).await;
    assert_eq!(registered.status, StatusCode::OK, "{registered:?}");

    let good = claims(&server, &tenant);
    let der = base64::engine::general_purpose::STANDARD.decode(PRIVATE_KEY).expect("base64");
    let by_key = token(&tenant, Algorithm::EdDSA, &good, &EncodingKey::from_ed_der(&der));
    assert!(is_taken(&server, &by_key).await);
    // Tokens signed with the secret, or with the public key used as a secret, are refused.
    assert!(!is_taken(&server, &signed(&tenant, &good)).await);
    let confused = EncodingKey::from_secret(PUBLIC_KEY.as_bytes());
    assert!(!is_taken(&server, &token(&tenant, Algorithm::HS256, &good, &confused)).await);

    server.write("PATCH", &path, &tenant.secret_key, &json!({"ed25519_public_key": ""})).await;
    assert!(is_taken(&server, &signed(&tenant, &good)).await);
    assert!(!is_taken(&server, &by_key).await);
}

#[tokio::test]
async fn a_public_key_for_which_one_signature_fits_every_message_is_refused() {
    let server = Server::start().await;
    let tenant = server.tenant("shop").await;
    let path = format!("/api/v1/applications/{}", tenant.application_id);
    // The points of order 1, 2, 4 and 8 of Ed25519's curve, in canonical and other forms.
    let mut keys = vec![[0; 32]];
    for (first, last) in [(0x01, 0x00), (0x01, 0x80), (0x00, 0x80)] {
        let mut key = [0; 32];
        (key[0], key[31]) = (first, last);
        keys.push(key);
    }
    for (first, last) in [(0xec, 0x7f), (0xed, 0x7f), (0xee, 0x7f), (0xec, 0xff)] {
        let mut key = [0xff; 32];
        (key[0], key[31]) = (first, last);
        keys.push(key);
    }
    for of_order_8 in [
        "JuiVj8KyJ7BFw_SJ8u-Y8NXfrAXTxjM5sTgCiG1T_AU",
        "JuiVj8KyJ7BFw_SJ8u-Y8NXfrAXTxjM5sTgCiG1T_IU",
        "xxdqcD1N2E-6PAt2DRBnDyogU_osOczGTsf9d5KsA3o",
        "xxdqcD1N2E-6PAt2DRBnDyogU_osOczGTsf9d5KsA_o",
    ] {
        let bytes = URL_SAFE_NO_PAD.decode(of_order_8).expect("base64");
        keys.push(bytes.try_into().expect("32 bytes"));
    }
    for key in keys {
        let text = URL_SAFE_NO_PAD.encode(key);
        let answer = server.write("PATCH", &path, &tenant.secret_key, &json!({"ed25519_public_key": text})).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{text}: {answer:?}");
        assert!(answer.json()["errors"]["ed25519_public_key"].is_array(), "{text}: {answer:?}");
    }
    assert!(is_taken(&server, &signed(&tenant, &claims(&server, &tenant))).await, "tokens signed with the secret");
}
