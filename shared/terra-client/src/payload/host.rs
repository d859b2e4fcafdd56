//! Which hosts may be asked.

use std::{fmt, net::IpAddr, str::FromStr};

/// One host, or all hosts below a domain.
///
/// ```
/// use terra_client::HostPattern;
///
/// let below: HostPattern = "*.amazonaws.com".parse()?;
/// assert!(below.matches("bucket.s3.eu-west-2.amazonaws.com"));
/// assert!(!below.matches("amazonaws.com"));
/// assert!(!below.matches("evil-amazonaws.com"));
/// # Ok::<(), terra_client::InvalidHostPattern>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HostPattern {
    /// In lower case, without the star.
    domain: String,
    below: bool,
}

/// The text is neither a host name nor `*.` and a domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a host pattern is written storage.example.com or *.example.com")]
pub struct InvalidHostPattern;

impl HostPattern {
    pub(super) fn exactly(domain: &str) -> Self {
        Self {
            domain: domain.to_owned(),
            below: false,
        }
    }

    pub(super) fn below(domain: &str) -> Self {
        Self {
            domain: domain.to_owned(),
            below: true,
        }
    }

    /// Whether `host`, in lower case as a parsed URL has it, is meant.
    pub fn matches(&self, host: &str) -> bool {
        if !self.below {
            return host == self.domain;
        }
        host.strip_suffix(&self.domain)
            .and_then(|rest| rest.strip_suffix('.'))
            .is_some_and(|label| !label.is_empty())
    }
}

impl FromStr for HostPattern {
    type Err = InvalidHostPattern;

    fn from_str(text: &str) -> Result<Self, InvalidHostPattern> {
        let text = text.to_ascii_lowercase();
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
            Some((_, top)) if is_top(top) && domain.split('.').all(is_label) => Ok(Self {
                domain: domain.to_owned(),
                below,
            }),
            _ => Err(InvalidHostPattern),
        }
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", if self.below { "*." } else { "" }, self.domain)
    }
}

/// Whether a URL's host is this machine.
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
