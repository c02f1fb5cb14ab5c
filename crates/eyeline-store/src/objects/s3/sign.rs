//! Signatures of requests, links and forms (AWS Signature Version 4).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use rusty_s3::{Bucket, Map, Method, UrlStyle};
use serde_json::json;
use sha2::Sha256;
use url::Url;

use crate::objects::key::hex;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

#[derive(Clone)]
pub(in crate::objects) struct Access {
    pub key: String,
    pub secret: String,
    pub token: Option<String>,
}

/// A bucket at one address, with the credentials for it.
#[derive(Clone)]
pub(in crate::objects) struct Site {
    bucket: Bucket,
    access: Access,
}

/// A request before it is signed. All its headers will be signed.
pub(in crate::objects) struct Unsigned<'a> {
    pub method: Method,
    /// Empty for the bucket itself.
    pub key: &'a str,
    pub query: Map<'a>,
    pub headers: Map<'a>,
}

/// The limits of a form.
pub(in crate::objects) struct Form<'a> {
    pub key: &'a str,
    pub content_type: Option<&'a str>,
    pub bytes_max: u64,
    pub expires_at: Timestamp,
}

impl Site {
    /// The error is a sentence about the endpoint.
    pub fn new(endpoint: &str, style: UrlStyle, bucket: &str, region: &str, access: &Access) -> Result<Self, String> {
        let wrong = || "has an endpoint that is no plain http:// or https:// address".to_owned();
        let url = Url::parse(endpoint).map_err(|_| wrong())?;
        if url.query().is_some() || url.fragment().is_some() || !url.username().is_empty() || url.password().is_some() {
            return Err(wrong());
        }
        let bucket = Bucket::new(url, style, bucket.to_owned(), region.to_owned()).map_err(|_| wrong())?;
        Ok(Site { bucket, access: access.clone() })
    }

    pub fn name(&self) -> &str {
        self.bucket.name()
    }

    /// The address of the bucket.
    pub fn address(&self) -> String {
        self.bucket.base_url().to_string()
    }

    /// The address of an object, which is not signed.
    pub fn plain(&self, key: &str) -> Url {
        self.bucket.object_url(key)
    }

    /// The origin as browsers write it.
    pub fn origin(&self) -> String {
        self.bucket.base_url().origin().ascii_serialization()
    }

    pub fn is_on_loopback(&self) -> bool {
        match self.bucket.base_url().host() {
            Some(url::Host::Ipv4(address)) => address.is_loopback(),
            Some(url::Host::Ipv6(address)) => address.is_loopback(),
            Some(url::Host::Domain(name)) => name == "localhost",
            None => false,
        }
    }

    /// The address of a request that is valid for `seconds` from `at`.
    pub fn sign(&self, request: &Unsigned<'_>, at: Timestamp, seconds: u64) -> Url {
        let Access { key, secret, token } = &self.access;
        rusty_s3::signing::sign(
            &at,
            request.method,
            self.bucket.object_url(request.key),
            key,
            secret,
            token.as_deref(),
            self.bucket.region(),
            seconds,
            request.query.iter(),
            request.headers.iter(),
        )
    }

    /// The fields of a form that sends one file of 1 to `bytes_max` bytes to one key.
    pub fn sign_form(&self, form: &Form<'_>, now: Timestamp) -> Vec<(&'static str, String)> {
        let (day, time) = (now.strftime("%Y%m%d").to_string(), now.strftime("%Y%m%dT%H%M%SZ").to_string());
        let scope = [day.as_str(), self.bucket.region(), "s3", "aws4_request"];
        let mut fields = vec![("key", form.key.to_owned())];
        fields.extend(form.content_type.map(|kind| ("Content-Type", kind.to_owned())));
        fields.push(("success_action_status", "201".to_owned()));
        fields.push(("x-amz-algorithm", ALGORITHM.to_owned()));
        fields.push(("x-amz-credential", format!("{}/{}", self.access.key, scope.join("/"))));
        fields.push(("x-amz-date", time));
        fields.extend(self.access.token.as_ref().map(|token| ("x-amz-security-token", token.clone())));
        let mut conditions =
            vec![json!({"bucket": self.bucket.name()}), json!(["content-length-range", 1, form.bytes_max])];
        conditions.extend(fields.iter().map(|(name, value)| json!(["eq", format!("${name}"), value])));
        let expiration = form.expires_at.strftime("%Y-%m-%dT%H:%M:%S.000Z").to_string();
        let policy = STANDARD.encode(json!({"expiration": expiration, "conditions": conditions}).to_string());
        let key = scope.iter().fold(format!("AWS4{}", self.access.secret).into_bytes(), |key, part| mac(&key, part));
        let signature = hex(&mac(&key, &policy));
        fields.extend([("policy", policy), ("x-amz-signature", signature)]);
        fields
    }
}

fn mac(key: &[u8], message: &str) -> Vec<u8> {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(key).unwrap_or_else(|_| unreachable!("HMAC takes a key of any length"));
    mac.update(message.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The key that derives the documented signature of "Browser-Based Uploads Using POST" of the AWS documentation.
    #[test]
    fn a_policy_is_signed_as_in_the_documentation() {
        let scope = ["20151229", "us-east-1", "s3", "aws4_request"];
        let secret = "AWS4wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned().into_bytes();
        let key = scope.iter().fold(secret, |key, part| mac(&key, part));
        let policy = "eyAiZXhwaXJhdGlvbiI6ICIyMDE1LTEyLTMwVDEyOjAwOjAwLjAwMFoiLA0KICAiY29uZGl0aW9ucyI6IFsNCiAgICB7ImJ1Y2tldCI6ICJzaWd2NGV4YW1wbGVidWNrZXQifSwNCiAgICBbInN0YXJ0cy13aXRoIiwgIiRrZXkiLCAidXNlci91c2VyMS8iXSwNCiAgICB7ImFjbCI6ICJwdWJsaWMtcmVhZCJ9LA0KICAgIHsic3VjY2Vzc19hY3Rpb25fcmVkaXJlY3QiOiAiaHR0cDovL3NpZ3Y0ZXhhbXBsZWJ1Y2tldC5zMy5hbWF6b25hd3MuY29tL3N1Y2Nlc3NmdWxfdXBsb2FkLmh0bWwifSwNCiAgICBbInN0YXJ0cy13aXRoIiwgIiRDb250ZW50LVR5cGUiLCAiaW1hZ2UvIl0sDQogICAgeyJ4LWFtei1tZXRhLXV1aWQiOiAiMTQzNjUxMjM2NTEyNzQifSwNCiAgICB7IngtYW16LXNlcnZlci1zaWRlLWVuY3J5cHRpb24iOiAiQUVTMjU2In0sDQogICAgWyJzdGFydHMtd2l0aCIsICIkeC1hbXotbWV0YS10YWciLCAiIl0sDQoNCiAgICB7IngtYW16LWNyZWRlbnRpYWwiOiAiQUtJQUlPU0ZPRE5ON0VYQU1QTEUvMjAxNTEyMjkvdXMtZWFzdC0xL3MzL2F3czRfcmVxdWVzdCJ9LA0KICAgIHsieC1hbXotYWxnb3JpdGhtIjogIkFXUzQtSE1BQy1TSEEyNTYifSwNCiAgICB7IngtYW16LWRhdGUiOiAiMjAxNTEyMjlUMDAwMDAwWiIgfQ0KICBdDQp9";
        assert_eq!(hex(&mac(&key, policy)), "8afdbf4008c03f22c2cd3cdb72e4afbb1f6a588f3255ac628749a66d7f09699e");
    }
}
