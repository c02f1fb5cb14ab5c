//! `Accept-Encoding`: the form of an answer that a client prefers.

use http::{HeaderMap, HeaderValue, header};

use crate::compressors::Coding;

impl Coding {
    /// The accepted form with the highest weight. Brotli, which is smaller, wins over gzip with the same weight. `None` if
    /// the client accepts neither, or prefers the plain form.
    pub fn preferred(headers: &HeaderMap) -> Option<Self> {
        let weight = |name: &str| weight(headers, name);
        let of = |coding: Coding| weight(coding.name()).or_else(|| weight("*")).unwrap_or(0.0);
        let best = if of(Coding::Brotli) >= of(Coding::Gzip) { Coding::Brotli } else { Coding::Gzip };
        let plain = weight("identity").unwrap_or(0.0);
        (of(best) > 0.0 && of(best) >= plain).then_some(best)
    }

    fn name(self) -> &'static str {
        match self {
            Coding::Brotli => "br",
            Coding::Gzip => "gzip",
        }
    }

    /// States the form in the headers of an answer.
    pub fn mark(self, headers: &mut HeaderMap) {
        headers.remove(header::CONTENT_LENGTH);
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(self.name()));
        // The forms differ in bytes, so only a weak tag is right for all of them.
        let strong = headers.get(header::ETAG).and_then(|tag| tag.to_str().ok()).filter(|tag| !tag.starts_with("W/"));
        if let Some(weak) = strong.and_then(|tag| HeaderValue::from_str(&format!("W/{tag}")).ok()) {
            headers.insert(header::ETAG, weak);
        }
    }
}

/// The weight that the client gives to a name; `None` if the header does not contain the name.
fn weight(headers: &HeaderMap, name: &str) -> Option<f32> {
    let values = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|names| names.split(',')).find_map(|coding| {
        let mut parts = coding.split(';').map(str::trim);
        if !parts.next().is_some_and(|named| named.eq_ignore_ascii_case(name)) {
            return None;
        }
        let weight = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
        // An unreadable weight rules the coding out.
        Some(weight.map_or(1.0, |weight| weight.parse().unwrap_or(0.0)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_with_the_highest_weight_is_preferred() {
        for (text, preferred) in [
            ("gzip, deflate, br, zstd", Some(Coding::Brotli)),
            ("gzip", Some(Coding::Gzip)),
            ("BR", Some(Coding::Brotli)),
            ("br;q=0.5, GZIP;q=0.8", Some(Coding::Gzip)),
            ("br;q=0, gzip", Some(Coding::Gzip)),
            ("*", Some(Coding::Brotli)),
            ("br;q=0, *;q=0.5", Some(Coding::Gzip)),
            ("gzip;q=0.5, identity", None),
            ("gzip;q=0.5, identity;q=0.5", Some(Coding::Gzip)),
            ("identity;q=0, gzip;q=0.1", Some(Coding::Gzip)),
            ("gzip;q=0, *", Some(Coding::Brotli)),
            ("br; q=0.000, gzip; q=0.000", None),
            ("gzip;q=high", None),
            ("gzip;q=NaN", None),
            ("identity", None),
            ("deflate", None),
            ("", None),
        ] {
            let headers = HeaderMap::from_iter([(header::ACCEPT_ENCODING, HeaderValue::from_static(text))]);
            assert_eq!(Coding::preferred(&headers), preferred, "{text}");
        }
        assert_eq!(Coding::preferred(&HeaderMap::new()), None);
        let mut headers = HeaderMap::new();
        for line in ["gzip", "br;q=0.1"] {
            headers.append(header::ACCEPT_ENCODING, HeaderValue::from_static(line));
        }
        assert_eq!(Coding::preferred(&headers), Some(Coding::Gzip), "several lines are one list");
    }

    #[test]
    fn a_tag_of_a_compressed_form_is_weak() {
        for (tag, expected) in [("\"a\"", "W/\"a\""), ("W/\"a\"", "W/\"a\"")] {
            let mut headers = HeaderMap::from_iter([(header::ETAG, HeaderValue::from_static(tag))]);
            Coding::Brotli.mark(&mut headers);
            assert_eq!(headers[header::ETAG], expected);
            assert_eq!(headers[header::CONTENT_ENCODING], "br");
        }
    }
}
