//! The rules by which a bucket lets pages of browsers use its links (CORS).

use http::StatusCode;
use rusty_s3::Method;

use super::answer::elements;
use super::client::Request;
use super::{Store, found, md5};
use crate::error::{Error, Result};
use crate::objects::ObjectKey;

/// The methods of links, each with the headers that a page sends.
const METHODS: [(&str, &[&str]); 3] =
    [("PUT", &["content-type", "if-none-match", "x-amz-checksum-sha256"]), ("POST", &["content-type"]), ("GET", &[])];
/// The name of the rule that `allow` writes.
const ID: &str = "<ID>eyeline</ID>";
/// The most rules of a bucket.
const RULES_MAX: usize = 100;

/// The methods of links that the bucket refuses to pages of this origin. Asks at the server's own address of the bucket: it
/// has the same rules as the one for browsers, which a server in a container may not reach.
pub(super) async fn refused(store: &Store, origin: &str) -> Result<Vec<&'static str>> {
    let mut refused = Vec::new();
    let url = store.main.plain(ObjectKey::incoming().as_str());
    for (method, headers) in METHODS {
        if !store.client.lets_pages(&url, origin, method, headers).await? {
            refused.push(method);
        }
    }
    Ok(refused)
}

/// Adds a rule for this origin to those of the bucket, in place of an earlier one of this name.
pub(super) async fn allow(store: &Store, origin: &str) -> Result<()> {
    let answer = store.client.ask(&Request::new(&store.main, Method::Get, "").query("cors", "")).await?;
    let known = if answer.status == StatusCode::NOT_FOUND { String::new() } else { text(&answer.body) };
    let body = rules(&known, origin)?.into_bytes();
    let hash = md5(body.clone().into()).await?;
    let request = Request::new(&store.main, Method::Put, "").query("cors", "").header("content-md5", hash);
    found(store.client.ask(&request.body(body.into())).await?.status)
}

fn text(body: &[u8]) -> String {
    String::from_utf8_lossy(body).into_owned()
}

/// The rules of the bucket, with one for this origin.
fn rules(known: &str, origin: &str) -> Result<String> {
    let others: Vec<&str> = elements(known, "CORSRule").filter(|rule| !rule.contains(ID)).collect();
    if others.len() >= RULES_MAX {
        return Err(Error::Conflict(format!("the bucket has {} CORS rules: remove one", others.len())));
    }
    let others = others.iter().map(|rule| format!("<CORSRule>{rule}</CORSRule>")).collect::<String>();
    let methods =
        METHODS.map(|(method, _)| format!("<AllowedMethod>{method}</AllowedMethod>")).into_iter().collect::<String>();
    let origin = origin.replace('&', "&amp;").replace('<', "&lt;");
    Ok(format!(
        "<CORSConfiguration>{others}<CORSRule>{ID}<AllowedOrigin>{origin}</AllowedOrigin>{methods}\
         <AllowedHeader>*</AllowedHeader><MaxAgeSeconds>600</MaxAgeSeconds></CORSRule></CORSConfiguration>"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_added_to_those_of_others_and_replaces_its_own() {
        let theirs = "<CORSRule><ID>shop</ID><AllowedOrigin>https://shop.example</AllowedOrigin></CORSRule>";
        let first = rules(&format!("<CORSConfiguration>{theirs}</CORSConfiguration>"), "https://old.example");
        let second = rules(&first.expect("rules"), "https://new.example").expect("rules");
        assert!(second.contains(theirs) && second.contains("https://new.example"), "{second}");
        assert!(!second.contains("https://old.example"), "{second}");
        assert_eq!(elements(&second, "CORSRule").count(), 2);
        assert_eq!(elements(&rules("", "https://new.example").expect("rules"), "AllowedMethod").count(), 3);
        rules(&format!("<A>{}</A>", theirs.repeat(100)), "https://new.example").expect_err("one too many");
    }
}
