//! Web addresses that clients state: of images and of the pages behind them.

use url::Url;

/// The most characters of the stored form.
pub const CHARS_MAX: usize = 2_048;

/// Parses an address as a browser does. Returns the form to store and serve: ASCII without spaces, tabs or line breaks,
/// with the host as in DNS. Accepts only http and https, because other sites show it and `javascript:` would run there.
/// The error is one sentence for the user.
pub fn parse(text: &str) -> Result<String, String> {
    let of_web = |scheme: &str| matches!(scheme.trim().to_ascii_lowercase().as_str(), "http" | "https");
    let url = match Url::parse(text) {
        Ok(url) if of_web(url.scheme()) => url,
        Err(error) if text.split_once(':').is_some_and(|(scheme, _)| of_web(scheme)) => {
            return Err(format!("This is no address of the web: {error}."));
        }
        _ => return Err("This has to be an address that starts with http:// or https://.".to_owned()),
    };
    if !url.username().is_empty() || url.password().is_some() {
        return Err("An address may not contain a user name or a password.".to_owned());
    }
    if url.as_str().len() > CHARS_MAX {
        return Err(format!("An address may have at most {CHARS_MAX} characters, with all others than ASCII encoded."));
    }
    Ok(url.into())
}

/// The served form of an address stored by an older version without parsing; `None` if it is invalid.
pub fn served(stored: String) -> Option<String> {
    if stored.bytes().all(|byte| byte.is_ascii_graphic()) { Some(stored) } else { parse(&stored).ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_stored_as_a_browser_reads_it() {
        for (typed, stored) in [
            ("https://cdn.example/a.jpg?w=2&h=%20#x", "https://cdn.example/a.jpg?w=2&h=%20#x"),
            ("HTTPS://CDN.Example:443/a.jpg", "https://cdn.example/a.jpg"),
            ("http://cdn.example:80", "http://cdn.example/"),
            ("http://cdn.example:8080/a", "http://cdn.example:8080/a"),
            (" \thttps://cdn.example/a\n", "https://cdn.example/a"),
            ("https://cdn.exa\nmple/a\tb\r\nc", "https://cdn.example/abc"),
            ("https://cdn.example/a b.jpg", "https://cdn.example/a%20b.jpg"),
            ("https://cdn.example/sch\u{f6}n.jpg?q=\u{e9}", "https://cdn.example/sch%C3%B6n.jpg?q=%C3%A9"),
            ("https://b\u{fc}cher.example/a", "https://xn--bcher-kva.example/a"),
            ("https:\\\\cdn.example\\a", "https://cdn.example/a"),
            ("https:/cdn.example/a/../b", "https://cdn.example/b"),
            ("https://cdn.example/\u{202e}\u{1}a", "https://cdn.example/%E2%80%AE%01a"),
            ("https://cdn.example/a\"<>`{}|", "https://cdn.example/a%22%3C%3E%60%7B%7D|"),
            ("https://@cdn.example/a", "https://cdn.example/a"),
            ("https://[2001:DB8::1]/a", "https://[2001:db8::1]/a"),
        ] {
            assert_eq!(parse(typed).as_deref(), Ok(stored), "{typed:?}");
            assert!(stored.bytes().all(|byte| byte.is_ascii_graphic()), "{stored}");
            assert_eq!(parse(stored).as_deref(), Ok(stored), "the stored form stays as it is");
            assert_eq!(served(typed.to_owned()).and_then(|served| parse(&served).ok()).as_deref(), Some(stored));
        }
    }

    #[test]
    fn what_is_no_address_of_the_web_is_refused() {
        let long = format!("https://cdn.example/{}", "\u{e9}".repeat(350));
        for typed in [
            "",
            "/p/1",
            "//cdn.example/a.jpg",
            "cdn.example/a.jpg",
            "javascript:alert(1)",
            "java\nscript:alert(1)",
            "data:image/png;base64,AA",
            "ftp://cdn.example/a",
            "file:///etc/passwd",
            "https://",
            "https://cdn.example:99999/a",
            "https://cdn example/a",
            "https://xn--\u{fc}/a",
            "https://ann@cdn.example/a",
            "https://ann:secret@cdn.example/a",
            "https://:secret@cdn.example/a",
            long.as_str(),
        ] {
            assert!(parse(typed).is_err_and(|sentence| sentence.ends_with('.')), "{typed:?}");
        }
        assert!(parse("https://cdn.example:99999/a").is_err_and(|sentence| sentence.contains("port")));
    }
}
