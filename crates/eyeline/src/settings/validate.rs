//! Checks the values of settings.

use eyeline_store::cache;

use super::{Settings, without_user};
use crate::secrets::Secrets;

/// Event ids are known for 7 days, and guards look back one day.
const EVENTS_KEEP_DAYS_MIN: u32 = 8;

/// The rows of a dataset that are not stored yet, packed and unpacked, within the share of one sender.
const BODY_BYTES_MAX_MIN: u64 = 64 * 1024 * 1024;

impl Settings {
    /// All mistakes, each with the setting's name and a sentence.
    pub(super) fn validate(&self) -> Vec<(String, String)> {
        let mut wrong = Vec::new();
        let mut check = |is_right: bool, sentence: &str| {
            if !is_right {
                let (name, _) = sentence.split_once(' ').unwrap_or((sentence, ""));
                wrong.push((name.to_owned(), sentence.to_owned()));
            }
        };
        check(self.upload_link_seconds > 0, "upload_link_seconds has to be at least 1");
        check(self.download_link_seconds > 0, "download_link_seconds has to be at least 1");
        check(self.sweep_seconds > 0, "sweep_seconds has to be at least 1");
        check(
            self.events_keep_days.is_none_or(|days| days >= EVENTS_KEEP_DAYS_MIN),
            &format!(
                "events_keep_days has to be at least {EVENTS_KEEP_DAYS_MIN}, since what is sent again is known for seven \
                 days; leave it unset to keep events for ever"
            ),
        );
        check(
            (1..=30).contains(&self.question_seconds_max),
            "question_seconds_max has to be from 1 to 30: files that were replaced stay for as long as a question takes",
        );
        check(self.upload_bytes_max > 0, "upload_bytes_max has to be at least 1");
        check(self.workers != Some(0), "workers has to be at least 1");
        check(
            self.decode_bytes_max.is_none_or(|bytes| bytes >= self.largest_picture_bytes()),
            &format!("decode_bytes_max has to be at least {}, for the largest picture", self.largest_picture_bytes()),
        );
        check(
            self.body_bytes_max >= BODY_BYTES_MAX_MIN,
            &format!("body_bytes_max has to be at least {BODY_BYTES_MAX_MIN}, for the largest body of one sender"),
        );
        check(self.uploads_waiting_max > 0, "uploads_waiting_max has to be at least 1");
        check(self.application_events_per_second > 0, "application_events_per_second has to be at least 1");
        check(self.address_events_per_second > 0, "address_events_per_second has to be at least 1");
        check(self.rollup_rows_per_day > 0, "rollup_rows_per_day has to be at least 1");
        let key_is_long = |key: &String| key.starts_with("eyl_admin_") && key.len() >= 26;
        check(
            self.admin_key.as_ref().is_none_or(key_is_long),
            "admin_key has to be eyl_admin_ followed by at least 16 characters",
        );
        let scheme_is = |url: &str, schemes: &[&str]| schemes.iter().any(|scheme| url.starts_with(scheme));
        check(
            scheme_is(&self.catalog_url(), &["sqlite:", "postgres://", "postgresql://"]),
            "catalog_url has to start with sqlite: or postgres://",
        );
        check(scheme_is(&self.objects_url(), &["file:"]), "objects_url has to start with file:");
        check(scheme_is(&self.inbox_url(), &["sqlite:"]), "inbox_url has to start with sqlite:");
        check(scheme_is(&self.orders_url(), &["file:"]), "orders_url has to start with file:");
        check(
            self.public_url.as_ref().is_none_or(|url| read_origin(url).is_some()),
            "public_url has to be http:// or https:// with a host and optionally a port, such as \
             https://photos.example.com; a path is not possible, since pages, links and cookies stand at the root of \
             their host: give the server a host name or a port of its own",
        );
        if let Err(sentence) = cache::check_url(&self.cache_url) {
            let sentence = format!("cache_url {sentence} (it is {})", without_user(&self.cache_url));
            wrong.push(("cache_url".to_owned(), sentence));
        }
        if let Some(secret) = &self.secret
            && let Err(sentence) = Secrets::parse(secret)
        {
            wrong.push(("secret".to_owned(), sentence));
        }
        wrong
    }
}

/// The origin in an address; `None` if the address holds more than that.
pub(super) fn read_origin(text: &str) -> Option<String> {
    let url = url::Url::parse(text).ok()?;
    let is_spelt_out = text.starts_with("http://") || text.starts_with("https://");
    let is_bare = url.path() == "/"
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none()
        && url.port() != Some(0)
        && !text.chars().any(|letter| letter.is_whitespace() || letter.is_control());
    (is_spelt_out && is_bare).then(|| url.origin().ascii_serialization())
}
