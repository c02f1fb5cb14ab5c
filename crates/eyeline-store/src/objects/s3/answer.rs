//! Answers of an S3 store: what may be tried again, and what an operator has to see to.

use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use jiff::Timestamp;

use crate::error::Error;

/// The largest difference of clocks that stores accept, in seconds.
const SKEW_SECONDS_MAX: i64 = 15 * 60;

/// Why a request did not succeed.
pub(super) enum Failure {
    /// The same request may succeed now.
    Passing(String),
    Final(Error),
}

/// Judges an answer without success. `None` if it says that the object, the upload or the range does not exist.
pub(super) fn judge(status: StatusCode, headers: &HeaderMap, body: &Bytes, now: Timestamp) -> Option<Failure> {
    let text = String::from_utf8_lossy(body);
    let code = element(&text, "Code").unwrap_or_default();
    let message = element(&text, "Message").unwrap_or_default();
    let told = [status.as_u16().to_string(), code.clone(), message].into_iter().filter(|part| !part.is_empty());
    let told = told.collect::<Vec<_>>().join(", ");
    let unavailable = |sentence: String| Some(Failure::Final(Error::unavailable(sentence)));
    match (status.as_u16(), code.as_str()) {
        (_, "NoSuchBucket") => unavailable(format!("the bucket does not exist ({told})")),
        (404 | 416, _) => None,
        (408 | 429 | 500 | 502 | 503 | 504, _)
        | (_, "RequestTimeout" | "SlowDown" | "InternalError" | "ServiceUnavailable" | "OperationAborted") => {
            Some(Failure::Passing(format!("it answers {told}")))
        }
        (301 | 302 | 307 | 308, _) => {
            let region = headers.get("x-amz-bucket-region").and_then(|region| region.to_str().ok());
            let region = region.map(|region| format!(", whose region is {region}")).unwrap_or_default();
            unavailable(format!(
                "the object store sends requests for this bucket elsewhere ({told}{region}): set its region and endpoint"
            ))
        }
        (401 | 403, _) => {
            let skew = skew(headers, now).filter(|seconds| seconds.abs() > SKEW_SECONDS_MAX / 2);
            if let Some(seconds) = skew.or((code == "RequestTimeTooSkewed").then_some(0)) {
                return unavailable(format!(
                    "this machine's clock differs from that of the object store (by {seconds} s; {told}): set both by the \
                     network (NTP)"
                ));
            }
            unavailable(format!("the object store refuses the credentials ({told})"))
        }
        (_, "InvalidPart") => unavailable(format!("a part was sent again while its upload was joined ({told})")),
        (507, _) => unavailable(format!("the object store is full ({told})")),
        _ => Some(Failure::Final(Error::internal("the object store refuses a request", told))),
    }
}

/// The failure inside an answer with status 200, which copies, joined uploads and deletions of several objects may
/// have.
pub(super) fn judge_body(headers: &HeaderMap, body: &Bytes, now: Timestamp) -> Option<Failure> {
    let text = String::from_utf8_lossy(body);
    text.contains("<Error>").then_some(())?;
    match element(&text, "Code").as_deref() {
        Some("AccessDenied") => judge(StatusCode::FORBIDDEN, headers, body, now),
        _ => judge(StatusCode::INTERNAL_SERVER_ERROR, headers, body, now),
    }
}

/// Seconds by which this machine's clock is ahead of the store's.
fn skew(headers: &HeaderMap, now: Timestamp) -> Option<i64> {
    let date = headers.get(header::DATE)?.to_str().ok()?;
    let date = jiff::fmt::rfc2822::parse(date).ok()?.timestamp();
    Some(now.as_second() - date.as_second())
}

/// The contents of all elements of this name.
pub(super) fn elements<'a>(xml: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    let (begin, end) = (format!("<{name}>"), format!("</{name}>"));
    let mut rest = xml;
    std::iter::from_fn(move || {
        let (content, after) = rest.split_once(&begin)?.1.split_once(&end)?;
        rest = after;
        Some(content)
    })
}

/// The text of the first element of this name.
pub(super) fn element(xml: &str, name: &str) -> Option<String> {
    let text = elements(xml, name).next()?;
    let plain = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#34;", "\""), ("&apos;", "'"), ("&amp;", "&")];
    Some(plain.iter().fold(text.trim().to_owned(), |text, (escaped, letter)| text.replace(escaped, letter)))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    const NOW: &str = "2026-11-30T12:00:00Z";

    fn sentence(status: u16, code: &str, headers: &[(&'static str, &'static str)]) -> (bool, String) {
        let headers =
            headers.iter().map(|(name, value)| (http::HeaderName::from_static(name), HeaderValue::from_static(value)));
        let body = format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>a &amp; b</Message></Error>");
        let status = StatusCode::from_u16(status).expect("a status");
        match judge(status, &headers.collect(), &Bytes::from(body), NOW.parse().expect("a time")) {
            None => (false, String::new()),
            Some(Failure::Passing(reason)) => (true, reason),
            Some(Failure::Final(error)) => (false, format!("{error} {}", error.is_retryable())),
        }
    }

    #[test]
    fn what_is_missing_is_no_failure_and_a_missing_bucket_is_one() {
        assert_eq!(sentence(404, "NoSuchKey", &[]).1, "");
        assert_eq!(sentence(416, "InvalidRange", &[]).1, "");
        assert!(sentence(404, "NoSuchBucket", &[]).1.contains("bucket does not exist"));
    }

    #[test]
    fn what_passes_is_tried_again() {
        for (status, code) in
            [(503, "SlowDown"), (500, ""), (429, ""), (400, "RequestTimeout"), (409, "OperationAborted")]
        {
            assert!(sentence(status, code, &[]).0, "{status} {code}");
        }
        assert!(!sentence(501, "NotImplemented", &[]).0 && !sentence(400, "InvalidRequest", &[]).0);
    }

    #[test]
    fn elements_are_read_in_their_order_and_with_their_letters() {
        let xml = "<L><P><N>1</N><T>&quot;a&amp;b&quot;</T></P><P><N>2</N></P><P>cut";
        let parts: Vec<&str> = elements(xml, "P").collect();
        assert_eq!(parts, ["<N>1</N><T>&quot;a&amp;b&quot;</T>", "<N>2</N>"]);
        assert_eq!(element(parts[0], "T").as_deref(), Some("\"a&b\""));
        assert_eq!(element(parts[1], "T"), None);
    }

    #[test]
    fn a_refusal_tells_the_operator_what_to_see_to() {
        let elsewhere = sentence(301, "PermanentRedirect", &[("x-amz-bucket-region", "eu-west-1")]).1;
        assert!(elsewhere.contains("eu-west-1") && elsewhere.contains("true"), "{elsewhere}");
        assert!(sentence(403, "InvalidAccessKeyId", &[]).1.contains("credentials (403, InvalidAccessKeyId, a & b)"));
        assert!(sentence(403, "RequestTimeTooSkewed", &[]).1.contains("clock"));
        let behind = [("date", "Mon, 30 Nov 2026 12:20:00 GMT")];
        assert!(sentence(403, "", &behind).1.contains("by -1200 s"), "an answer to HEAD has no body");
        assert!(sentence(403, "AccessDenied", &[("date", "Mon, 30 Nov 2026 12:00:01 GMT")]).1.contains("credentials"));
    }
}
