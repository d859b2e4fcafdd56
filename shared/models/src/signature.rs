//! Terra's webhook signature (FACTS section 7, "Signature").

use std::fmt;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::ids::hex;

/// A signing secret under the name by which operators know it. Its value cannot be printed.
#[derive(Clone)]
pub struct SigningSecret {
    name: String,
    keyed: Hmac<Sha256>,
}

impl SigningSecret {
    /// `None` for an empty secret: an unset one must never verify anything.
    pub fn new(name: &str, secret: &str) -> Option<Self> {
        if secret.is_empty() {
            return None;
        }
        // HMAC takes a key of any length, so this is never `None` for its own reasons.
        let keyed = Hmac::new_from_slice(secret.as_bytes()).ok()?;
        Some(Self {
            name: name.to_owned(),
            keyed,
        })
    }

    /// The name, for logs.
    pub fn name(&self) -> &str {
        &self.name
    }

    fn mac(&self, t: &str, body: &[u8]) -> Hmac<Sha256> {
        let mut mac = self.keyed.clone();
        mac.update(t.as_bytes());
        mac.update(b".");
        mac.update(body);
        mac
    }

    /// The header value with which Terra would send `body` at `unix_seconds`.
    pub fn sign(&self, unix_seconds: i64, body: &[u8]) -> String {
        let t = unix_seconds.to_string();
        let digest = self.mac(&t, body).finalize().into_bytes();
        format!("t={t},v1={}", hex(&digest))
    }
}

impl fmt::Debug for SigningSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningSecret")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// Largest distance of the signed time from the clock. Unit: seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tolerance {
    /// Up to this age, and as far into the future, a webhook is on time. Terra's clients: 300.
    pub on_time_seconds: u64,
    /// Up to this age a webhook is accepted and counted as late, because no public source says
    /// that retries are signed anew.
    pub late_seconds: u64,
}

impl Default for Tolerance {
    /// 300 s, and 72 h: beyond every retry schedule that Terra has published (FACTS section 7).
    fn default() -> Self {
        Self {
            on_time_seconds: 300,
            late_seconds: 72 * 3600,
        }
    }
}

/// Bytes whose signature was verified. Only [`verify`] makes one.
#[derive(Debug, Clone, Copy)]
pub struct VerifiedBody<'a> {
    bytes: &'a [u8],
    secret_name: &'a str,
    signed_at_s: i64,
    late: bool,
}

impl<'a> VerifiedBody<'a> {
    /// The raw body.
    pub fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Name of the configured secret that matched.
    pub fn secret_name(&self) -> &'a str {
        self.secret_name
    }

    /// The signed `t`, Unix seconds: the one time in a webhook that Terra has signed.
    pub fn signed_at_s(&self) -> i64 {
        self.signed_at_s
    }

    /// Older than on time, within the tolerance for late ones.
    pub fn is_late(&self) -> bool {
        self.late
    }
}

/// Reason why a webhook was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// Neither header was there, or only empty ones.
    #[error("no signature: send X-Terra-Signature: t=<unix seconds>,v1=<hmac-sha256 hex>")]
    Missing,
    /// No header had both a decimal `t` and a `v1` of 64 hexadecimal digits.
    #[error("unreadable signature: it has to be t=<unix seconds>,v1=<64 hexadecimal digits>")]
    Malformed,
    /// No `v1` is the HMAC of these bytes under any configured secret.
    #[error("wrong signature: no configured secret signs these bytes so")]
    Mismatch,
    /// The signature is right, its time is not.
    #[error("signature time is {age_seconds} s old, accepted are {accepted_seconds} s")]
    Stale {
        /// Age by our clock; negative for a time in the future.
        age_seconds: i64,
        /// The bound it broke.
        accepted_seconds: u64,
    },
    /// Official clients refuse an empty body, and so do we.
    #[error("empty body")]
    EmptyBody,
}

/// Signatures tried per webhook; Terra sends one, under two header names.
const MAX_SIGNATURES: usize = 16;

/// Verifies `body` against the values of the signature headers.
///
/// A webhook passes when any header value has a `v1` that is the HMAC-SHA256 of `<t>.<body>` under
/// any secret (compared in constant time) and `t` lies within the tolerance. Two header values that
/// differ pass when one of them does (FACTS section 14 row 11), also when a gateway has joined them
/// with a comma. The first `MAX_SIGNATURES` different signatures are tried.
///
/// # Errors
///
/// [`SignatureError`]: no header, no signature that can be read, none that any secret made, one that
/// is too old or too far in the future, or an empty body. When several signatures fail, the error is
/// that of the one that came closest.
pub fn verify<'a, 'h>(
    secrets: &'a [SigningSecret],
    header_values: impl IntoIterator<Item = &'h str>,
    body: &'a [u8],
    now_s: i64,
    tolerance: Tolerance,
) -> Result<VerifiedBody<'a>, SignatureError> {
    if body.is_empty() {
        return Err(SignatureError::EmptyBody);
    }
    let mut tried: Vec<&str> = Vec::with_capacity(2);
    let mut closest = SignatureError::Missing;
    for signature in header_values.into_iter().flat_map(signatures) {
        if signature.is_empty() || tried.contains(&signature) {
            continue;
        }
        if tried.len() == MAX_SIGNATURES {
            break;
        }
        tried.push(signature);
        match verify_one(secrets, signature, body, now_s, tolerance) {
            Ok(verified) => return Ok(verified),
            Err(error) if closeness(error) >= closeness(closest) => closest = error,
            Err(_) => {}
        }
    }
    Err(closest)
}

fn closeness(error: SignatureError) -> u8 {
    match error {
        SignatureError::Missing | SignatureError::EmptyBody => 0,
        SignatureError::Malformed => 1,
        SignatureError::Mismatch => 2,
        SignatureError::Stale { .. } => 3,
    }
}

fn verify_one<'a>(
    secrets: &'a [SigningSecret],
    header: &str,
    body: &'a [u8],
    now_s: i64,
    tolerance: Tolerance,
) -> Result<VerifiedBody<'a>, SignatureError> {
    let header = Header::parse(header).ok_or(SignatureError::Malformed)?;
    let secret = secrets
        .iter()
        .find(|secret| {
            let mac = secret.mac(header.t_text, body);
            // No short cut over the digests: which of them matched stays unknown to a watch.
            header.digests.iter().fold(false, |matched, digest| {
                matched | mac.clone().verify_slice(digest).is_ok()
            })
        })
        .ok_or(SignatureError::Mismatch)?;

    let age_seconds = now_s.saturating_sub(header.t_s);
    let distance = age_seconds.unsigned_abs();
    let on_time = distance <= tolerance.on_time_seconds;
    if !on_time && age_seconds < 0 {
        let accepted_seconds = tolerance.on_time_seconds;
        return Err(SignatureError::Stale {
            age_seconds,
            accepted_seconds,
        });
    }
    if !on_time && distance > tolerance.late_seconds {
        let accepted_seconds = tolerance.late_seconds.max(tolerance.on_time_seconds);
        return Err(SignatureError::Stale {
            age_seconds,
            accepted_seconds,
        });
    }
    Ok(VerifiedBody {
        bytes: body,
        secret_name: &secret.name,
        signed_at_s: header.t_s,
        late: !on_time,
    })
}

/// Splits a header value into the signatures in it. Gateways join the values of a header that came
/// more than once with a comma: there, each signature has a `t` and a `v1` of its own. In any other
/// form a repeated `t` belongs to one signature.
fn signatures(value: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut start, mut end) = (0, 0);
    let (mut first_key, mut has_t, mut has_digest) = (None, false, false);
    for element in value.split_inclusive(',') {
        let key = element.split('=').next().map(str::trim);
        if let Some("t" | "v1") = key {
            if has_t && has_digest && key == first_key {
                parts.extend(value.get(start..end));
                (start, first_key, has_t, has_digest) = (end, None, false, false);
            }
            first_key = first_key.or(key);
            has_t |= key == Some("t");
            has_digest |= key == Some("v1");
        }
        end += element.len();
    }
    if has_t && has_digest {
        parts.extend(value.get(start..));
    } else {
        // The rest is no signature by itself, so the value is one.
        parts = vec![value];
    }
    parts
        .into_iter()
        .map(|part| part.trim_matches([',', ' ', '\t']))
        .collect()
}

/// `t=…,v1=…[,v1=…][,v0=…]`: blanks around elements and unknown schemes are ignored, the last `t`
/// counts, as in both official clients.
struct Header<'h> {
    t_text: &'h str,
    t_s: i64,
    digests: Vec<[u8; 32]>,
}

/// Digests tried per header; Terra sends one, two while a secret is rotated.
const MAX_DIGESTS: usize = 16;

impl<'h> Header<'h> {
    fn parse(text: &'h str) -> Option<Self> {
        let mut t_text = None;
        let mut digests = Vec::new();
        for element in text.split(',') {
            let Some((key, value)) = element.trim().split_once('=') else {
                continue;
            };
            match key.trim() {
                "t" => t_text = Some(value.trim()),
                "v1" if digests.len() < MAX_DIGESTS => digests.extend(decode_digest(value.trim())),
                _ => {}
            }
        }
        let t_text = t_text?;
        let decimal = t_text.bytes().all(|byte| byte.is_ascii_digit());
        let t_s = t_text.parse().ok().filter(|_| decimal)?;
        (!digests.is_empty()).then_some(Self {
            t_text,
            t_s,
            digests,
        })
    }
}

fn decode_digest(text: &str) -> Option<[u8; 32]> {
    if text.len() != 64 {
        return None;
    }
    let mut digest = [0_u8; 32];
    for (byte, pair) in digest.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let [high, low] = pair else { return None };
        let nibble = |digit: u8| char::from(digit).to_digit(16);
        *byte = u8::try_from(nibble(*high)? * 16 + nibble(*low)?).ok()?;
    }
    Some(digest)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn secret() -> SigningSecret {
        SigningSecret::new("main", "whsec_1").unwrap()
    }

    #[test]
    fn what_is_signed_verifies() {
        let header = secret().sign(1000, b"{}");
        let secrets = [SigningSecret::new("old", "whsec_0").unwrap(), secret()];
        let verified = verify(
            &secrets,
            [header.as_str()],
            b"{}",
            1000,
            Tolerance::default(),
        )
        .unwrap();
        assert_eq!(verified.secret_name(), "main");
        assert!(!verified.is_late());
        assert_eq!(verified.signed_at_s(), 1000);
    }

    #[test]
    fn late_is_accepted_and_marked_and_the_future_is_not_late() {
        let header = secret().sign(100_000, b"{}");
        let at = |now| {
            verify(
                &[secret()],
                [header.as_str()],
                b"{}",
                now,
                Tolerance::default(),
            )
            .map(|verified| verified.is_late())
        };
        assert_eq!(at(100_301), Ok(true));
        assert_eq!(at(100_000 + 72 * 3600), Ok(true));
        assert!(matches!(
            at(100_001 + 72 * 3600),
            Err(SignatureError::Stale { .. })
        ));
        assert!(matches!(
            at(100_000 - 301),
            Err(SignatureError::Stale { .. })
        ));
    }

    #[test]
    fn differing_headers_pass_when_one_is_right() {
        let right = secret().sign(1000, b"{}");
        let wrong = format!("t=1000,v1={}", "0".repeat(64));
        for pair in [
            [right.as_str(), wrong.as_str()],
            [wrong.as_str(), right.as_str()],
        ] {
            assert!(verify(&[secret()], pair, b"{}", 1000, Tolerance::default()).is_ok());
        }
    }

    /// The signed time of `{}` under this header value.
    fn signed_at(value: &str) -> Result<i64, SignatureError> {
        let secrets = [secret()];
        let verified = verify(&secrets, [value], b"{}", 1000, Tolerance::default());
        verified.map(|verified| verified.signed_at_s())
    }

    /// The elements of a signature in the other order.
    fn backwards(signature: &str) -> String {
        let (t, digest) = signature.split_once(',').unwrap();
        format!("{digest},{t}")
    }

    #[test]
    fn values_that_a_gateway_joined_verify_like_two_headers() {
        let right = secret().sign(1000, b"{}");
        let wrong = format!("t=995,v1={}", "0".repeat(64));
        let joined = [
            format!("{right},{wrong}"),
            format!("{wrong},{right}"),
            format!("{wrong}, {right}"),
            format!("{right},v0=1 , {wrong},"),
            format!("{wrong},{wrong},{right},{wrong}"),
            [&right, &wrong].map(|it| backwards(it)).join(","),
        ];
        for value in joined {
            assert_eq!(signed_at(&value), Ok(1000), "{value}");
        }
        let neither = format!("{wrong},t=996,v1={}", "1".repeat(64));
        assert_eq!(signed_at(&neither), Err(SignatureError::Mismatch));
    }

    #[test]
    fn a_repeated_time_within_one_signature_is_that_of_official_clients() {
        let digest = secret().sign(1000, b"{}").replace("t=1000,", "");
        assert_eq!(signed_at(&format!("t=7,t=1000,{digest}")), Ok(1000));
        assert!(signed_at(&format!("t=1000,t=7,{digest}")).is_err());
        // The last time belongs to no other digest, so it counts for this one.
        assert!(signed_at(&format!("t=1000,{digest},t=7")).is_err());
        assert_eq!(signed_at(&format!("{digest},t=1000")), Ok(1000));
    }

    #[test]
    fn as_many_signatures_are_tried_whether_joined_or_not() {
        let right = secret().sign(1000, b"{}");
        let mut values: Vec<_> = (0..MAX_SIGNATURES)
            .map(|number| format!("t={number},v1={}", "0".repeat(64)))
            .collect();
        values.push(right);
        let verify_all = |values: &[String]| {
            let values = values.iter().map(String::as_str);
            verify(&[secret()], values, b"{}", 1000, Tolerance::default()).is_ok()
        };
        assert!(verify_all(&values[1..]));
        assert!(verify_all(&[values[1..].join(",")]));
        assert!(!verify_all(&values));
        assert!(!verify_all(&[values.join(",")]));
    }

    #[test]
    fn the_error_says_what_is_right() {
        let check = |header: &str| {
            verify(&[secret()], [header], b"{}", 1000, Tolerance::default()).unwrap_err()
        };
        assert_eq!(check(""), SignatureError::Missing);
        assert_eq!(check("hello"), SignatureError::Malformed);
        assert_eq!(
            check(&format!("t=1000,v1={}", "0".repeat(64))),
            SignatureError::Mismatch
        );
    }

    proptest! {
        #[test]
        fn any_header_is_survived(header in "\\PC*", body in prop::collection::vec(any::<u8>(), 0..64)) {
            prop_assert!(verify(&[secret()], [header.as_str()], &body, 0, Tolerance::default()).is_err());
        }
    }
}
