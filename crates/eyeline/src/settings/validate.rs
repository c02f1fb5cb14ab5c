//! Checks the values of settings.

use eyeline_store::{Scheme, cache, inbox, orders};

use super::sources::PREFIX;
use super::{Settings, without_user};
use crate::secrets::Secrets;

/// Event ids are known for 7 days, and guards look back one day.
const EVENTS_KEEP_DAYS_MIN: u32 = 8;

/// The rows of a dataset that are not stored yet, packed and unpacked, within the share of one sender.
const BODY_BYTES_MAX_MIN: u64 = 64 * 1024 * 1024;

/// Stores take links of at most seven days, of which five minutes are kept for links that stay the same.
const BUCKET_LINK_MAX: u32 = 7 * 24 * 60 * 60 - 5 * 60;

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
        let lives_long =
            [self.upload_link_seconds, self.download_link_seconds].iter().any(|life| *life > BUCKET_LINK_MAX);
        check(
            !(self.objects().is_bucket() && lives_long),
            &format!(
                "objects_url is a bucket, whose links live for at most {BUCKET_LINK_MAX} seconds: upload_link_seconds and \
                 download_link_seconds have to be within that"
            ),
        );
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
        // These have a check of their own.
        let has_own = |name: &str| matches!(name, "objects_url" | "inbox_url" | "cache_url" | "orders_url");
        for (name, url, schemes) in self.engine_urls().into_iter().filter(|(name, ..)| !has_own(name)) {
            let is_known = Scheme::of(&url, schemes).is_some();
            check(is_known, &format!("{name} has to start with {}", Scheme::starts(schemes)));
        }
        for (name, is_set) in [("secret", self.secret.is_some()), ("admin_key", self.admin_key.is_some())] {
            let sentence = format!("{name} has to be set, and to be the same for every process of the installation");
            check(is_set || !self.is_scaled_out(), &sentence);
        }
        check(
            self.public_url.as_ref().is_none_or(|url| read_origin(url).is_some()),
            "public_url has to be http:// or https:// with a host and optionally a port, such as \
             https://photos.example.com; a path is not possible, since pages, links and cookies stand at the root of \
             their host: give the server a host name or a port of its own",
        );
        let own = [
            ("objects_url", self.objects_url(), self.objects().check()),
            ("inbox_url", self.inbox_url(), inbox::check_url(&self.inbox_url())),
            ("cache_url", self.cache_url.clone(), cache::check_url(&self.cache_url)),
            ("orders_url", self.orders_url(), orders::check_url(&self.orders_url())),
        ];
        for (name, url, outcome) in own {
            let sentence = outcome.err().map(|wrong| format!("{name} {wrong} (it is {})", without_user(&url)));
            wrong.extend(sentence.map(|sentence| (name.to_owned(), sentence)));
        }
        if let Some(secret) = &self.secret
            && let Err(sentence) = Secrets::parse(secret)
        {
            wrong.push(("secret".to_owned(), sentence));
        }
        wrong.extend(self.of_one_process().map(|sentence| ("roles".to_owned(), sentence)));
        wrong
    }

    /// One sentence about all engines that keep this process from having only some of the roles.
    fn of_one_process(&self) -> Option<String> {
        if self.roles.are_all() {
            return None;
        }
        let embedded = self.engine_urls().into_iter().filter_map(|(name, url, schemes)| {
            let scheme = Scheme::of(&url, schemes).filter(|scheme| !scheme.is_shared)?;
            Some(format!("{PREFIX}{} ({})", name.to_ascii_uppercase(), scheme.start))
        });
        let embedded: Vec<String> = embedded.collect();
        (!embedded.is_empty()).then(|| {
            format!(
                "roles {} need engines that processes share, and these belong to one process: {}; give each an engine that \
                 is shared, or leave the roles out",
                self.roles,
                embedded.join(", ")
            )
        })
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
