//! Hosts that may be asked for payloads.

use std::{fmt, net::IpAddr, str::FromStr};

/// The name by which a setting means every bucket of S3.
const S3: &str = "s3";

/// One host, all hosts below a domain, or every bucket of S3.
///
/// `*.amazonaws.com` would be wrong for the buckets of S3: anybody's load balancer or server has a name
/// there too.
///
/// ```
/// use terra_client::HostPattern;
///
/// let buckets: HostPattern = "s3".parse()?;
/// assert!(buckets.matches("bucket.s3.eu-west-2.amazonaws.com"));
/// assert!(buckets.matches("s3.eu-west-2.amazonaws.com"));
/// assert!(!buckets.matches("somebody.eu-west-2.elb.amazonaws.com"));
///
/// let below: HostPattern = "*.storage.googleapis.com".parse()?;
/// assert!(below.matches("bucket.storage.googleapis.com"));
/// assert!(!below.matches("storage.googleapis.com"));
/// # Ok::<(), terra_client::InvalidHostPattern>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HostPattern(Pattern);

/// Domains are in lower case, without the star.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Pattern {
    Exactly(String),
    Below(String),
    S3,
}

/// The text is neither a host name, nor `*.` and a domain, nor `s3`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a host pattern is written storage.example.com, *.example.com or s3")]
pub struct InvalidHostPattern;

impl HostPattern {
    pub(super) fn exactly(domain: &str) -> Self {
        Self(Pattern::Exactly(domain.to_owned()))
    }

    pub(super) fn below(domain: &str) -> Self {
        Self(Pattern::Below(domain.to_owned()))
    }

    pub(super) fn s3() -> Self {
        Self(Pattern::S3)
    }

    /// Returns whether `host`, in lower case as a parsed URL has it, is meant.
    pub fn matches(&self, host: &str) -> bool {
        match &self.0 {
            Pattern::Exactly(domain) => host == domain,
            Pattern::Below(domain) => below(host, domain).is_some(),
            Pattern::S3 => below(host, "amazonaws.com").is_some_and(is_s3),
        }
    }
}

/// The labels before a domain, if there are any.
fn below<'a>(host: &'a str, domain: &str) -> Option<&'a str> {
    let labels = host.strip_suffix(domain)?.strip_suffix('.')?;
    (!labels.is_empty()).then_some(labels)
}

/// Returns whether these labels before `amazonaws.com` are those of S3 itself or of a bucket.
///
/// Source: <https://docs.aws.amazon.com/general/latest/gr/s3.html>; the forms with a dash before the region
/// are older than the ones with a dot.
fn is_s3(labels: &str) -> bool {
    // The last label that begins with `s3` is the service's: a bucket's own name may have dots.
    match labels.rsplit_once(".s3") {
        Some((bucket, place)) => !bucket.is_empty() && (is_place(place) || place == "-accelerate"),
        None => labels.strip_prefix("s3").is_some_and(is_place),
    }
}

/// Returns whether this follows `s3` in the name of a region's service: `.eu-west-2`.
fn is_place(text: &str) -> bool {
    match text.strip_prefix(".dualstack.") {
        Some(region) => is_region(region),
        None => text.is_empty() || text.strip_prefix(['.', '-']).is_some_and(is_region),
    }
}

/// Returns whether the text has the form of a region: `eu-west-2`, `us-gov-east-1`.
fn is_region(text: &str) -> bool {
    let labels: Vec<_> = text.split('-').collect();
    let is_word = |label: &&str| !label.is_empty() && label.bytes().all(|b| b.is_ascii_lowercase());
    match labels.as_slice() {
        [place, words @ .., number] => {
            place.len() == 2
                && is_word(place)
                && (1..=2).contains(&words.len())
                && words.iter().all(is_word)
                && !number.is_empty()
                && number.bytes().all(|b| b.is_ascii_digit())
        }
        _ => false,
    }
}

impl FromStr for HostPattern {
    type Err = InvalidHostPattern;

    fn from_str(text: &str) -> Result<Self, InvalidHostPattern> {
        let text = text.to_ascii_lowercase();
        if text == S3 {
            return Ok(Self::s3());
        }
        let (domain, below) = match text.strip_prefix("*.") {
            Some(domain) => (domain, true),
            None => (text.as_str(), false),
        };
        let is_label = |label: &str| {
            (1..=63).contains(&label.len())
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        };
        // A whole top-level domain, or an address, is a slip of the pen.
        let is_top = |label: &str| label.bytes().any(|byte| byte.is_ascii_alphabetic());
        match domain.rsplit_once('.') {
            Some((_, top)) if is_top(top) && domain.split('.').all(is_label) => Ok(if below {
                Self::below(domain)
            } else {
                Self::exactly(domain)
            }),
            _ => Err(InvalidHostPattern),
        }
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Pattern::Exactly(domain) => f.write_str(domain),
            Pattern::Below(domain) => write!(f, "*.{domain}"),
            Pattern::S3 => f.write_str(S3),
        }
    }
}

/// Returns whether a URL's host is this machine.
pub(super) fn is_loopback(host: &str) -> bool {
    let address = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host);
    host == "localhost"
        || address
            .parse()
            .is_ok_and(|address: IpAddr| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_means_whole_labels() {
        for (pattern, host, meant) in [
            ("*.amazonaws.com", "s3.amazonaws.com", true),
            ("*.amazonaws.com", "bucket.s3.eu-west-2.amazonaws.com", true),
            ("*.amazonaws.com", "amazonaws.com", false),
            ("*.amazonaws.com", ".amazonaws.com", false),
            ("*.amazonaws.com", "evilamazonaws.com", false),
            ("*.amazonaws.com", "evil-amazonaws.com", false),
            ("*.amazonaws.com", "s3.amazonaws.com.evil.example", false),
            ("*.amazonaws.com", "s3.amazonaws.com.", false),
            ("*.amazonaws.com", "s3.amazonaws.co", false),
            ("*.amazonaws.com", "", false),
            ("storage.googleapis.com", "storage.googleapis.com", true),
            ("Storage.GoogleAPIs.com", "storage.googleapis.com", true),
            (
                "storage.googleapis.com",
                "bucket.storage.googleapis.com",
                false,
            ),
            ("storage.googleapis.com", "xstorage.googleapis.com", false),
            ("storage.googleapis.com", "googleapis.com", false),
        ] {
            let parsed: HostPattern = pattern.parse().unwrap();
            assert_eq!(parsed.matches(host), meant, "{pattern} {host}");
            assert_eq!(parsed.to_string(), pattern.to_ascii_lowercase());
        }
    }

    #[test]
    fn buckets_of_s3_are_meant_in_every_style_and_nothing_else_of_amazon() {
        let buckets: HostPattern = "S3".parse().unwrap();
        assert_eq!(buckets.to_string(), "s3");
        for host in [
            "s3.amazonaws.com",
            "s3.eu-west-2.amazonaws.com",
            "s3-eu-west-2.amazonaws.com",
            "s3.dualstack.us-east-1.amazonaws.com",
            "bucket.s3.amazonaws.com",
            "bucket.s3.eu-west-2.amazonaws.com",
            "bucket.s3-eu-west-2.amazonaws.com",
            "bucket.s3.dualstack.us-gov-east-1.amazonaws.com",
            "bucket.s3-accelerate.amazonaws.com",
            "a.bucket.with.dots.s3.eu-west-2.amazonaws.com",
            "s3.s3.ap-southeast-1.amazonaws.com",
        ] {
            assert!(buckets.matches(host), "{host}");
        }
        for host in [
            "amazonaws.com",
            "ec2-1-2-3-4.compute-1.amazonaws.com",
            "somebody-12345.eu-west-2.elb.amazonaws.com",
            "abc123.execute-api.eu-west-2.amazonaws.com",
            "abc.lambda-url.eu-west-2.amazonaws.com",
            "sqs.eu-west-2.amazonaws.com",
            "bucket.s3-website-eu-west-2.amazonaws.com",
            "bucket.s3-website.eu-west-2.amazonaws.com",
            "1234.s3-control.eu-west-2.amazonaws.com",
            "s3.eu-west-2.elb.amazonaws.com",
            "bucket.s3.elb.amazonaws.com",
            "xs3.amazonaws.com",
            "s3x.amazonaws.com",
            ".s3.amazonaws.com",
            "s3.eu-west-2.amazonaws.com.evil.example",
            "s3.eu-west-2.amazonaws.com.",
            "s3.eu--2.amazonaws.com",
            "s3..amazonaws.com",
        ] {
            assert!(!buckets.matches(host), "{host}");
        }
    }

    #[test]
    fn what_means_too_much_or_nothing_is_no_pattern() {
        for text in [
            "",
            "*",
            "*.",
            "*.com",
            "com",
            "localhost",
            "*.*.com",
            "a.*.com",
            "*a.b.com",
            ".b.com",
            "a..com",
            "a.b.",
            "127.0.0.1",
            "*.0.0.1",
            "[::1]",
            "a.b:443",
            "https://a.b",
            "a.b/c",
            "-a.com",
            "a b.com",
            "é.com",
        ] {
            assert_eq!(
                text.parse::<HostPattern>(),
                Err(InvalidHostPattern),
                "{text}"
            );
        }
    }

    #[test]
    fn loopback_is_this_machine_only() {
        for (host, loopback) in [
            ("localhost", true),
            ("127.0.0.1", true),
            ("127.1.2.3", true),
            ("[::1]", true),
            ("0.0.0.0", false),
            ("10.0.0.1", false),
            ("169.254.169.254", false),
            ("[::]", false),
            ("localhost.example.com", false),
            ("127.0.0.1.example.com", false),
        ] {
            assert_eq!(is_loopback(host), loopback, "{host}");
        }
    }
}
