//! The place of the objects, as an operator states it.

use std::path::PathBuf;

use rusty_s3::UrlStyle;
use url::Url;

use super::s3::sign::{Access, Site};
use crate::error::{Error, Result};

/// The region that stores expect which know none.
const DEFAULT_REGION: &str = "us-east-1";

/// A folder, or a bucket of an S3 store with what the usual variables of the environment say about it.
#[derive(Clone, Default)]
pub struct Location {
    /// `file:PATH`, or `s3://BUCKET` with the parameters `endpoint`, `region`, `style` (`path` or `virtual`) and
    /// `link_endpoint` (the address of the store for browsers, if it differs).
    pub url: String,
    pub access_key_id: Option<String>,
    pub secret_access_key: Option<String>,
    pub session_token: Option<String>,
    /// Applies if the URL has no `region`.
    pub region: Option<String>,
    /// Applies if the URL has no `endpoint`.
    pub endpoint: Option<String>,
    /// A second bucket of the same store, for public versions alone.
    pub public_bucket: Option<String>,
    /// The address at which everybody can read that bucket, without a slash at the end.
    pub public_url: Option<String>,
}

impl From<&str> for Location {
    fn from(url: &str) -> Self {
        Location { url: url.to_owned(), ..Location::default() }
    }
}

impl From<&String> for Location {
    fn from(url: &String) -> Self {
        url.as_str().into()
    }
}

impl From<&Location> for Location {
    fn from(location: &Location) -> Self {
        location.clone()
    }
}

pub(super) enum Place {
    Folder(PathBuf),
    Buckets(Box<Buckets>),
}

/// The buckets of an S3 store, with the credentials for them.
pub(super) struct Buckets {
    pub main: Site,
    pub public: Option<Site>,
    /// The main bucket at the address for browsers.
    pub links: Site,
    pub public_url: Option<String>,
}

impl Location {
    /// A sentence about the first mistake, which begins with what is wrong.
    pub fn check(&self) -> Result<(), String> {
        self.parse().map(drop)
    }

    /// True if the objects are in an S3 store.
    pub fn is_bucket(&self) -> bool {
        self.url.starts_with("s3:")
    }

    pub(super) fn place(&self) -> Result<Place> {
        self.parse().map_err(|sentence| Error::Conflict(format!("the objects' location {sentence}")))
    }

    fn parse(&self) -> Result<Place, String> {
        if let Some(path) = self.url.strip_prefix("file:") {
            if self.public_bucket.is_some() || self.public_url.is_some() {
                return Err("is a folder, which has no public bucket and no address of its own".to_owned());
            }
            return Ok(Place::Folder(path.strip_prefix("//").unwrap_or(path).into()));
        }
        let not_understood = || "has to be file:PATH or s3://BUCKET?endpoint=URL&region=NAME".to_owned();
        let url = Url::parse(&self.url).ok().filter(|url| url.scheme() == "s3").ok_or_else(not_understood)?;
        let is_bare = matches!(url.path(), "" | "/") && url.port().is_none() && url.fragment().is_none();
        if !is_bare || !url.username().is_empty() || url.password().is_some() {
            return Err("may name a bucket and its parameters only; credentials stand in AWS_ACCESS_KEY_ID and \
                        AWS_SECRET_ACCESS_KEY"
                .to_owned());
        }
        let bucket = bucket_name(url.host_str().unwrap_or_default())?;
        let (mut endpoint, mut region) = (self.endpoint.clone(), self.region.clone());
        let (mut style, mut link_endpoint) = (None, None);
        for (name, value) in url.query_pairs() {
            let value = value.into_owned();
            match &*name {
                "endpoint" => endpoint = Some(value),
                "region" => region = Some(value),
                "link_endpoint" => link_endpoint = Some(value),
                "style" => style = Some(value),
                other => {
                    return Err(format!(
                        "has an unknown parameter {other}; these are known: endpoint, region, style, link_endpoint"
                    ));
                }
            }
        }
        let region = region.unwrap_or_else(|| DEFAULT_REGION.to_owned());
        let style = match style.as_deref() {
            Some("path") => UrlStyle::Path,
            Some("virtual") => UrlStyle::VirtualHost,
            Some(_) => return Err("has a style that is neither path nor virtual".to_owned()),
            // A certificate of the store covers one name before its own.
            None if endpoint.is_some() || bucket.contains('.') => UrlStyle::Path,
            None => UrlStyle::VirtualHost,
        };
        let endpoint = endpoint.unwrap_or_else(|| format!("https://s3.{region}.amazonaws.com"));
        let link_endpoint = link_endpoint.unwrap_or_else(|| endpoint.clone());
        let access = self.access()?;
        let site = |endpoint: &str, bucket: &str| Site::new(endpoint, style, bucket, &region, &access);
        let (public, public_url) = match (&self.public_bucket, &self.public_url) {
            (None, None) => (None, None),
            (Some(name), Some(url)) if *name != bucket => {
                (Some(site(&endpoint, &bucket_name(name)?)?), Some(base_url(url)?))
            }
            (Some(_), Some(_)) => return Err("has the same bucket for everything and for public versions".to_owned()),
            _ => return Err("needs both a public bucket and its address, or neither".to_owned()),
        };
        let (main, links) = (site(&endpoint, &bucket)?, site(&link_endpoint, &bucket)?);
        Ok(Place::Buckets(Box::new(Buckets { main, public, links, public_url })))
    }

    fn access(&self) -> Result<Access, String> {
        let (Some(key), Some(secret)) = (&self.access_key_id, &self.secret_access_key) else {
            return Err("needs credentials: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY".to_owned());
        };
        Ok(Access { key: key.clone(), secret: secret.clone(), token: self.session_token.clone() })
    }
}

fn bucket_name(name: &str) -> Result<String, String> {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.');
    let is_name = (3..=63).contains(&name.len())
        && name.bytes().all(is_plain)
        && name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && name.ends_with(|last: char| last.is_ascii_alphanumeric());
    if is_name {
        Ok(name.to_owned())
    } else {
        Err(format!("has {name:?} for a bucket, whose name has 3 to 63 lower-case letters, digits, dots and hyphens"))
    }
}

/// An address that keys follow, without a slash at the end.
fn base_url(text: &str) -> Result<String, String> {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    let is_bare = |url: &Url| url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
    let url = url.filter(is_bare).ok_or("has a public address that is no plain http:// or https:// address")?;
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn location(url: &str) -> Location {
        Location {
            access_key_id: Some("key".to_owned()),
            secret_access_key: Some("hush".to_owned()),
            ..Location::from(url)
        }
    }

    fn addresses(location: &Location) -> Result<(String, String), String> {
        match location.parse()? {
            Place::Folder(_) => Err("a folder".to_owned()),
            Place::Buckets(buckets) => Ok((buckets.main.address(), buckets.links.address())),
        }
    }

    #[test]
    fn a_bucket_is_found_by_its_endpoint_and_style() {
        for (url, main, links) in [
            ("s3://photos", "https://photos.s3.us-east-1.amazonaws.com/", None),
            ("s3://photos?region=eu-west-1", "https://photos.s3.eu-west-1.amazonaws.com/", None),
            ("s3://my.photos", "https://s3.us-east-1.amazonaws.com/my.photos/", None),
            ("s3://photos?endpoint=http://127.0.0.1:8333", "http://127.0.0.1:8333/photos/", None),
            ("s3://photos?endpoint=http://s3.lan/&style=virtual", "http://photos.s3.lan/", None),
            (
                "s3://photos?endpoint=http://garage:3900&region=garage&link_endpoint=https://s3.example.com",
                "http://garage:3900/photos/",
                Some("https://s3.example.com/photos/"),
            ),
        ] {
            let expected = (main.to_owned(), links.unwrap_or(main).to_owned());
            assert_eq!(addresses(&location(url)), Ok(expected), "{url}");
        }
        let from_environment = Location {
            endpoint: Some("http://one".to_owned()),
            region: Some("r".to_owned()),
            ..location("s3://photos")
        };
        assert_eq!(addresses(&from_environment).expect("an address").0, "http://one/photos/");
    }

    #[test]
    fn a_mistake_is_named_and_no_secret_shown() {
        for url in [
            "",
            "s3:",
            "s3://",
            "s3://Photos",
            "s3://ab",
            "s3://key:hush@photos",
            "s3://photos/prefix",
            "s3://photos:80",
            "s3://photos?colour=red",
            "s3://photos?style=best",
            "s3://photos?endpoint=ftp://host",
            "s3://photos?endpoint=host",
            "s3://photos?endpoint=http://host?a=b",
            "s3://photos?endpoint=http://key:hush@host",
            "https://photos",
        ] {
            let sentence = location(url).check().expect_err(url);
            assert!(!sentence.contains("hush"), "{sentence}");
        }
        assert!(Location::from("s3://photos").check().expect_err("no credentials").contains("AWS_ACCESS_KEY_ID"));
        assert!(Location::from("file:/x").check().is_ok());
    }

    #[test]
    fn public_versions_have_a_bucket_of_their_own_and_its_address_or_neither() {
        let with = |url: &str, bucket: Option<&str>, address: Option<&str>| Location {
            public_bucket: bucket.map(str::to_owned),
            public_url: address.map(str::to_owned),
            ..location(url)
        };
        let (url, cdn) = ("s3://photos", Some("https://cdn.example.com/photos/"));
        match with(url, Some("public"), cdn).parse().expect("a place") {
            Place::Buckets(buckets) => {
                assert_eq!(buckets.public_url.as_deref(), Some("https://cdn.example.com/photos"));
                assert!(buckets.public.is_some());
            }
            Place::Folder(_) => panic!("a folder"),
        }
        for (bucket, address) in
            [(Some("public"), None), (None, cdn), (Some("photos"), cdn), (Some("public"), Some("cdn.example.com"))]
        {
            with(url, bucket, address).check().expect_err("both, and another bucket");
        }
        with("file:/x", Some("public"), cdn).check().expect_err("a folder");
    }
}
