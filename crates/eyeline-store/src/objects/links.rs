//! Links to objects: signed, and limited to one object. Those to a folder go through the server's own routes, and those
//! to a bucket straight to its store.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use eyeline_core::Timestamp;
use hmac::{Hmac, KeyInit as _, Mac as _};
use rusty_s3::{Map, Method};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use url::form_urlencoded;

use super::key::hex;
use super::location::{Location, Place};
use super::s3::sign::{Form, Site, Unsigned};
use super::{Area, ObjectKey, PartUpload};
use crate::error::Result;

const DOWNLOAD: &str = "download link";
const UPLOAD: &str = "upload link";
/// The longest life of a link to a bucket: seven days.
const BUCKET_SECONDS_MAX: i64 = 7 * 24 * 60 * 60;

/// Makes and checks links. Cheap to clone.
#[derive(Clone)]
pub struct ObjectLinks(Arc<Parts>);

struct Parts {
    /// The server's address, without a slash at the end.
    origin: String,
    keys: LinkKeys,
    bucket: Option<Bucket>,
}

struct Bucket {
    site: Site,
    /// The address of the bucket of public versions.
    public_url: Option<String>,
}

/// Keys of the links to this server. The first one signs; all of them verify, for rotation.
pub struct LinkKeys(pub Vec<[u8; 32]>);

/// The time in which a link holds, in seconds since 1970 (real time). Links of the same times are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    pub from: i64,
    pub until: i64,
}

/// The rights of an upload link's holder. Links to this server carry it, signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UploadPolicy {
    pub key: String,
    /// Microseconds since 1970, real time.
    pub expires_at: i64,
    pub bytes_max: u64,
    /// The exact size and SHA-256 (hexadecimal), if the client stated both.
    pub bytes: Option<u64>,
    pub sha256: Option<String>,
}

/// A file that a link will let its holder send.
#[derive(Clone, Debug)]
pub struct Upload {
    pub key: ObjectKey,
    /// Real time.
    pub expires_at: Timestamp,
    pub bytes_max: u64,
    /// The size and SHA-256, if both are known.
    pub exact: Option<(u64, [u8; 32])>,
    pub content_type: Option<String>,
}

/// A part that a link will let its holder send.
#[derive(Clone, Copy, Debug)]
pub struct Part<'a> {
    pub upload: &'a PartUpload,
    pub number: u32,
    /// The exact size.
    pub bytes: u64,
    /// Real time.
    pub expires_at: Timestamp,
}

/// The request that sends a file, or a part of one.
pub struct UploadLink {
    pub url: String,
    pub method: &'static str,
    pub fields: Vec<(&'static str, String)>,
    pub headers: Vec<(&'static str, String)>,
}

impl Upload {
    pub fn policy(&self) -> UploadPolicy {
        UploadPolicy {
            key: self.key.to_string(),
            expires_at: self.expires_at.micros(),
            bytes_max: self.bytes_max,
            bytes: self.exact.map(|(bytes, _)| bytes),
            sha256: self.exact.map(|(_, sha256)| hex(&sha256)),
        }
    }

    /// The headers that a client sends with a file of known size and hash. The link fixes Content-Length too, which no
    /// browser lets a page set.
    fn headers(&self, sha256: &[u8; 32]) -> Vec<(&'static str, String)> {
        let mut headers = vec![("If-None-Match", "*".to_owned()), ("x-amz-checksum-sha256", STANDARD.encode(sha256))];
        headers.extend(self.content_type.clone().map(|kind| ("Content-Type", kind)));
        headers
    }
}

impl ObjectLinks {
    /// `origin` is the server's address, without a slash at the end.
    pub fn new(location: &Location, origin: String, keys: LinkKeys) -> Result<Self> {
        let bucket = match location.place()? {
            Place::Folder(_) => None,
            Place::Buckets(buckets) => Some(Bucket { site: buckets.links, public_url: buckets.public_url }),
        };
        Ok(ObjectLinks(Arc::new(Parts { origin, keys, bucket })))
    }

    /// The link of a version. That of a public one never changes.
    pub fn version(&self, key: &ObjectKey, span: Span) -> String {
        match (key.area(), &self.0.bucket) {
            (Area::Public, Some(Bucket { public_url: Some(public_url), .. })) => format!("{public_url}/{key}"),
            (Area::Public, _) => format!("{}/{key}", self.0.origin),
            (_, Some(bucket)) => bucket.download(key, None, span),
            (_, None) => self.download(key, "", span),
        }
    }

    /// The link of an original, which a browser saves as `filename`.
    pub fn original(&self, key: &ObjectKey, filename: &str, span: Span) -> String {
        match &self.0.bucket {
            Some(bucket) => bucket.download(key, Some(filename), span),
            None => self.download(key, filename, span),
        }
    }

    /// A link that sends a file: a PUT of exactly the stated bytes if size and hash are known, else a form that bounds
    /// the size.
    pub fn upload(&self, upload: &Upload, now: Timestamp) -> UploadLink {
        match &self.0.bucket {
            Some(bucket) => bucket.upload(upload, now),
            None => self.upload_here(upload),
        }
    }

    /// A link that sends one part: a PUT of exactly its bytes.
    pub fn part(&self, part: &Part<'_>, now: Timestamp) -> UploadLink {
        let url = match &self.0.bucket {
            Some(bucket) => bucket.part(part, now),
            None => self.part_here(part),
        };
        UploadLink { url, method: "PUT", fields: Vec::new(), headers: Vec::new() }
    }

    /// True if files and signed downloads pass this server.
    pub fn are_served_here(&self) -> bool {
        self.0.bucket.is_none()
    }

    /// The origins beside the server's own to which these links lead.
    pub fn origins(&self) -> Vec<String> {
        let Some(bucket) = &self.0.bucket else { return Vec::new() };
        let public = bucket.public_url.as_ref().and_then(|url| url::Url::parse(url).ok());
        let mut origins = vec![bucket.site.origin()];
        origins.extend(public.map(|url| url.origin().ascii_serialization()));
        origins.dedup();
        origins
    }

    /// Returns true if this server signed a link with these parts, and it has not expired.
    pub fn is_valid(&self, key: &ObjectKey, expires: i64, filename: &str, signature: &str, now: Timestamp) -> bool {
        self.0.keys.verify(DOWNLOAD, &signed_text(key, expires, filename), signature)
            && now.micros() / 1_000_000 <= expires
    }

    /// The policy of a link that this server signed and that has not expired. The error is a sentence.
    pub fn policy(&self, key: &str, text: &str, signature: &str, now: Timestamp) -> Result<UploadPolicy, &'static str> {
        if !self.0.keys.verify(UPLOAD, text.as_bytes(), signature) {
            return Err("This upload link was not given out by this server, or was changed.");
        }
        let policy =
            URL_SAFE_NO_PAD.decode(text).ok().and_then(|json| serde_json::from_slice::<UploadPolicy>(&json).ok());
        let Some(policy) = policy.filter(|policy| policy.key == key) else {
            return Err("This upload link belongs to another upload.");
        };
        if now.micros() > policy.expires_at {
            return Err("This upload link has expired; ask for a new one.");
        }
        Ok(policy)
    }

    fn download(&self, key: &ObjectKey, filename: &str, span: Span) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        if !filename.is_empty() {
            query.append_pair("filename", filename);
        }
        query.append_pair("expires", &span.until.to_string());
        let signature = self.0.keys.sign(DOWNLOAD, &signed_text(key, span.until, filename));
        format!("{}/{key}?{}", self.0.origin, query.append_pair("signature", &signature).finish())
    }

    fn upload_here(&self, upload: &Upload) -> UploadLink {
        let (policy, origin) = (upload.policy(), &self.0.origin);
        let (text, signature) = self.sign(&policy);
        let Some((_, sha256)) = &upload.exact else {
            let mut fields = vec![("key", policy.key), ("policy", text), ("signature", signature)];
            fields.extend(upload.content_type.clone().map(|kind| ("Content-Type", kind)));
            return UploadLink {
                url: format!("{origin}/api/v1/incoming"),
                method: "POST",
                fields,
                headers: Vec::new(),
            };
        };
        let url = format!("{origin}/api/v1/{}?policy={text}&signature={signature}", policy.key);
        UploadLink { url, method: "PUT", fields: Vec::new(), headers: upload.headers(sha256) }
    }

    fn part_here(&self, part: &Part<'_>) -> String {
        let policy = UploadPolicy {
            key: part.upload.incoming.part(part.number).to_string(),
            expires_at: part.expires_at.micros(),
            bytes_max: part.bytes,
            bytes: Some(part.bytes),
            sha256: None,
        };
        let (text, signature) = self.sign(&policy);
        format!("{}/api/v1/{}?policy={text}&signature={signature}", self.0.origin, policy.key)
    }

    /// The policy as text, and its signature.
    fn sign(&self, policy: &UploadPolicy) -> (String, String) {
        let text = URL_SAFE_NO_PAD.encode(serde_json::to_vec(policy).unwrap_or_default());
        let signature = self.0.keys.sign(UPLOAD, text.as_bytes());
        (text, signature)
    }
}

impl Bucket {
    fn download(&self, key: &ObjectKey, filename: Option<&str>, span: Span) -> String {
        let mut query = Map::new();
        if let Some(filename) = filename {
            query.insert("response-content-disposition", attachment(filename));
            query.insert("response-content-type", "application/octet-stream");
        }
        let unsigned = Unsigned { method: Method::Get, key: key.as_str(), query, headers: Map::new() };
        let seconds = (span.until - span.from).clamp(1, BUCKET_SECONDS_MAX);
        self.site.sign(&unsigned, at(span.from), seconds.unsigned_abs()).into()
    }

    fn upload(&self, upload: &Upload, now: Timestamp) -> UploadLink {
        let key = upload.key.as_str();
        let Some((bytes, sha256)) = &upload.exact else {
            let form = Form {
                key,
                content_type: upload.content_type.as_deref(),
                bytes_max: upload.bytes_max,
                expires_at: at(upload.expires_at.micros() / 1_000_000),
            };
            let fields = self.site.sign_form(&form, at(now.micros() / 1_000_000));
            return UploadLink { url: self.site.address(), method: "POST", fields, headers: Vec::new() };
        };
        let sent = upload.headers(sha256);
        let mut headers = Map::new();
        headers.insert("content-length", bytes.to_string());
        sent.iter().for_each(|(name, value)| headers.insert(name.to_ascii_lowercase(), value.clone()));
        let url = self.put(key, Map::new(), headers, upload.expires_at, now);
        UploadLink { url, method: "PUT", fields: Vec::new(), headers: sent }
    }

    fn part(&self, part: &Part<'_>, now: Timestamp) -> String {
        let (mut query, mut headers) = (Map::new(), Map::new());
        query.insert("partNumber", part.number.to_string());
        query.insert("uploadId", part.upload.id.as_str());
        headers.insert("content-length", part.bytes.to_string());
        self.put(part.upload.to.as_str(), query, headers, part.expires_at, now)
    }

    /// The address of a PUT with exactly these headers.
    fn put(&self, key: &str, query: Map<'_>, headers: Map<'_>, expires_at: Timestamp, now: Timestamp) -> String {
        let unsigned = Unsigned { method: Method::Put, key, query, headers };
        let seconds = expires_at.since(now).as_secs().clamp(1, BUCKET_SECONDS_MAX.unsigned_abs());
        self.site.sign(&unsigned, at(now.micros() / 1_000_000), seconds).into()
    }
}

impl LinkKeys {
    /// A URL-safe signature for one purpose. It is invalid for every other purpose.
    fn sign(&self, purpose: &str, message: &[u8]) -> String {
        let signature = self.0.first().map(|key| mac(key, purpose, message).finalize().into_bytes());
        URL_SAFE_NO_PAD.encode(signature.unwrap_or_default())
    }

    /// The comparison takes constant time.
    fn verify(&self, purpose: &str, message: &[u8], signature: &str) -> bool {
        let Ok(given) = URL_SAFE_NO_PAD.decode(signature) else { return false };
        self.0.iter().any(|key| mac(key, purpose, message).verify_slice(&given).is_ok())
    }
}

fn mac(key: &[u8; 32], purpose: &str, message: &[u8]) -> Hmac<Sha256> {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(key).unwrap_or_else(|_| unreachable!("HMAC takes a key of any length"));
    // The length of the purpose separates (purpose, message) from other pairs with the same concatenation.
    mac.update(&(purpose.len() as u64).to_le_bytes());
    mac.update(purpose.as_bytes());
    mac.update(message);
    mac
}

fn signed_text(key: &ObjectKey, expires: i64, filename: &str) -> Vec<u8> {
    format!("{key}\n{expires}\n{filename}").into_bytes()
}

fn at(seconds: i64) -> jiff::Timestamp {
    jiff::Timestamp::from_second(seconds).unwrap_or_default()
}

/// `attachment` with the name as plain ASCII for old clients and in full for others.
pub fn attachment(filename: &str) -> String {
    let safe = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '-' | '_' | ' ');
    let plain: String = filename.chars().map(|letter| if safe(letter) { letter } else { '_' }).collect();
    let full: String = filename
        .bytes()
        .map(|byte| match byte {
            b'.' | b'-' | b'_' => char::from(byte).to_string(),
            byte if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
            byte => format!("%{byte:02X}"),
        })
        .collect();
    format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{full}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: [u8; 32] = [7; 32];
    const OLDER: [u8; 32] = [8; 32];

    fn links(keys: &[[u8; 32]]) -> ObjectLinks {
        let keys = LinkKeys(keys.to_vec());
        ObjectLinks::new(&"file:/nowhere".into(), "https://photos.example".to_owned(), keys).expect("links")
    }

    fn value(link: &str, name: &str) -> String {
        let url = url::Url::parse(link).expect("a link");
        let found = url.query_pairs().find(|(found, _)| found == name);
        found.map(|(_, value)| value.into_owned()).expect("a parameter")
    }

    fn seconds(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000)
    }

    #[test]
    fn a_download_link_to_this_server_holds_for_its_parts_and_time_under_every_key() {
        let (key, span) = (ObjectKey::incoming(), Span { from: 100, until: 200 });
        let link = links(&[OLDER]).original(&key, "ü.jpg", span);
        let signature = value(&link, "signature");
        let rotated = links(&[KEY, OLDER]);
        let holds = |key: &ObjectKey, expires, filename: &str, now| {
            rotated.is_valid(key, expires, filename, &signature, seconds(now))
        };
        assert!(holds(&key, 200, "ü.jpg", 200));
        assert!(!holds(&key, 200, "ü.jpg", 201), "expired");
        assert!(!holds(&key, 201, "ü.jpg", 200) && !holds(&key, 200, "u.jpg", 200));
        assert!(!holds(&ObjectKey::incoming(), 200, "ü.jpg", 200));
        assert!(!links(&[KEY]).is_valid(&key, 200, "ü.jpg", &signature, seconds(200)), "another key");
    }

    #[test]
    fn an_upload_link_to_this_server_carries_its_policy() {
        let upload = Upload {
            key: ObjectKey::incoming(),
            expires_at: seconds(200),
            bytes_max: 10,
            exact: Some((10, [1; 32])),
            content_type: None,
        };
        let links = links(&[KEY]);
        let link = links.upload(&upload, seconds(100));
        let (text, signature) = (value(&link.url, "policy"), value(&link.url, "signature"));
        let policy = |key: &str, text: &str, now| links.policy(key, text, &signature, seconds(now));
        assert_eq!(policy(upload.key.as_str(), &text, 200), Ok(upload.policy()));
        assert!(policy(upload.key.as_str(), &text, 201).expect_err("late").contains("expired"));
        assert!(policy(ObjectKey::incoming().as_str(), &text, 200).expect_err("foreign").contains("another upload"));
        assert!(policy(upload.key.as_str(), "e30", 200).expect_err("changed").contains("was changed"));
    }

    #[test]
    fn a_link_of_a_part_carries_its_number_and_exact_size() {
        let upload =
            PartUpload { incoming: ObjectKey::incoming(), to: ObjectKey::incoming(), id: "an upload".to_owned() };
        let part = Part { upload: &upload, number: 3, bytes: 10, expires_at: seconds(200) };
        let links = links(&[KEY]);
        let link = links.part(&part, seconds(100));
        let (text, signature) = (value(&link.url, "policy"), value(&link.url, "signature"));
        let key = upload.incoming.part(3);
        assert!(link.url.starts_with(&format!("https://photos.example/api/v1/{key}?")), "{}", link.url);
        let policy = links.policy(key.as_str(), &text, &signature, seconds(200)).expect("a policy");
        assert_eq!((policy.bytes, policy.bytes_max, policy.sha256), (Some(10), 10, None));
        for other in [upload.incoming.part(4), upload.incoming.clone()] {
            assert!(links.policy(other.as_str(), &text, &signature, seconds(200)).is_err(), "{other}");
        }
    }

    #[test]
    fn the_name_of_a_download_cannot_leave_its_quotes() {
        assert_eq!(
            attachment("a\"; b=ü.jpg"),
            "attachment; filename=\"a__ b__.jpg\"; filename*=UTF-8''a%22%3B%20b%3D%C3%BC.jpg"
        );
    }
}
