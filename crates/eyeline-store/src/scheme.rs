//! The kinds of engines, as the schemes of their URLs name them.

/// The scheme of an engine's URL. Each topic lists the schemes that its `open` knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scheme {
    /// The start of such a URL, as sentences for operators name it.
    pub start: &'static str,
    /// The engine, for people.
    pub name: &'static str,
    /// True if processes on several machines may use one such engine. Others belong to one process.
    pub is_shared: bool,
}

impl Scheme {
    /// An engine of one process.
    pub(crate) const fn embedded(start: &'static str, name: &'static str) -> Self {
        Scheme { start, name, is_shared: false }
    }

    /// An engine that processes share.
    pub(crate) const fn shared(start: &'static str, name: &'static str) -> Self {
        Scheme { start, name, is_shared: true }
    }

    /// The scheme of a URL among those of its topic; `None` if it is none of them.
    pub fn of(url: &str, known: &[Scheme]) -> Option<Scheme> {
        known.iter().find(|scheme| url.starts_with(scheme.start)).copied()
    }

    /// The starts of all schemes of a topic, for a sentence: `sqlite: or postgres://`.
    pub fn starts(known: &[Scheme]) -> String {
        let starts: Vec<&str> = known.iter().map(|scheme| scheme.start).collect();
        match starts.split_last() {
            Some((last, [])) => (*last).to_owned(),
            Some((last, others)) => format!("{} or {last}", others.join(", ")),
            None => String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{cache, catalog, inbox, objects, orders};

    #[test]
    fn a_url_has_the_scheme_that_it_starts_with() {
        let is_shared = |url, known: &[Scheme]| Scheme::of(url, known).map(|scheme| scheme.is_shared);
        assert_eq!(is_shared("sqlite:/data/catalog.sqlite", catalog::SCHEMES), Some(false));
        assert_eq!(is_shared("postgresql://host/name", catalog::SCHEMES), Some(true));
        assert_eq!(is_shared("redis-cluster://a:1,b:2", cache::SCHEMES), Some(true));
        assert_eq!(is_shared("memory:?mb=8", cache::SCHEMES), Some(false));
        assert_eq!(is_shared("mysql://host", catalog::SCHEMES), None);
    }

    #[test]
    fn no_scheme_hides_another() {
        for known in [catalog::SCHEMES, objects::SCHEMES, inbox::SCHEMES, orders::SCHEMES, cache::SCHEMES] {
            for scheme in known {
                assert_eq!(Scheme::of(scheme.start, known), Some(*scheme));
            }
            assert!(known.iter().any(|scheme| !scheme.is_shared), "an embedded installation has every engine");
        }
    }

    #[test]
    fn a_sentence_names_every_scheme() {
        assert_eq!(Scheme::starts(&[Scheme::embedded("a:", "A")]), "a:");
        assert_eq!(Scheme::starts(catalog::SCHEMES), "sqlite:, postgres:// or postgresql://");
    }
}
