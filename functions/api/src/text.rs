//! Percent-encoding of paths and queries, and times as text.

use jiff::Timestamp;

/// Decodes percent-encoded text. `None`: it is not valid, or not UTF-8.
pub(crate) fn decoded(text: &str, plus_is_blank: bool) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'%' => {
                let mut digit = || {
                    let byte = rest.next()?;
                    char::from(byte).to_digit(16)
                };
                let (high, low) = (digit()?, digit()?);
                bytes.push(u8::try_from(high * 16 + low).ok()?);
            }
            b'+' if plus_is_blank => bytes.push(b' '),
            byte => bytes.push(byte),
        }
    }
    String::from_utf8(bytes).ok()
}

/// Encodes what may not stand in a path, and leaves what does: so that a path that came decoded is one
/// again.
///
/// API Gateway decodes the paths of its HTTP APIs, and what is then no URI would end the invocation.
pub(crate) fn path_of_decoded(path: &str) -> String {
    let safe = encoded(path, b"-._~!$&'()*+,;=:@/");
    if safe.starts_with('/') {
        safe
    } else {
        format!("/{safe}")
    }
}

/// Encodes what may not stand in a query, and leaves what does, escapes among it.
pub(crate) fn query_of_raw(query: &str) -> String {
    encoded(query, b"-._~!$&'()*+,;=:@/?%")
}

fn encoded(text: &str, allowed: &[u8]) -> String {
    let mut safe = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || allowed.contains(&byte) {
            safe.push(char::from(byte));
        } else {
            safe.push('%');
            safe.push_str(&models::ids::hex(&[byte]).to_uppercase());
        }
    }
    safe
}

/// A moment as RFC 3339 with milliseconds and `Z`. Unit: Unix milliseconds.
pub(crate) fn rfc3339(ms: i64) -> String {
    let at = Timestamp::from_millisecond(ms).unwrap_or_default();
    format!("{at:.3}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decoded_path_becomes_a_path_again() {
        for (given, path) in [
            ("/v1/people/a b?c#d", "/v1/people/a%20b%3Fc%23d"),
            ("/v1/é%", "/v1/%C3%A9%25"),
            ("v1/~x", "/v1/~x"),
            ("/a\u{0}\"<>\\^`{|}", "/a%00%22%3C%3E%5C%5E%60%7B%7C%7D"),
        ] {
            assert_eq!(path_of_decoded(given), path);
            let uri: http::Uri = path_of_decoded(given).parse().unwrap();
            let decoded = decoded(uri.path(), false).unwrap();
            assert_eq!(
                decoded.trim_start_matches('/'),
                given.trim_start_matches('/')
            );
        }
    }

    #[test]
    fn text_that_is_not_encoded_right_is_none() {
        for wrong in ["%", "%4", "%zz", "%ff", "%é"] {
            assert_eq!(decoded(wrong, true), None, "{wrong}");
        }
        assert_eq!(decoded("a+b%2B", true).as_deref(), Some("a b+"));
        assert_eq!(decoded("a+b", false).as_deref(), Some("a+b"));
    }

    #[test]
    fn a_query_becomes_one_that_can_be_read() {
        for (given, query) in [
            ("prefix=<a>", "prefix=%3Ca%3E"),
            ("a=%3C&b=c d", "a=%3C&b=c%20d"),
            ("", ""),
        ] {
            assert_eq!(query_of_raw(given), query);
            let uri: http::Uri = format!("/v1?{}", query_of_raw(given)).parse().unwrap();
            assert_eq!(uri.query(), Some(query));
        }
    }
}
