//! Terra's signature, written from the specification and on purpose not shared with the verifier.

use sha2::{Digest, Sha256};

/// SHA-256 works on blocks of this many bytes.
const BLOCK_BYTES: usize = 64;

/// Signs `body` as Terra does and returns the header value, `t=<unix seconds>,v1=<hex>`.
///
/// The signed message is the decimal `t`, a full stop, and the raw body.
///
/// ```
/// let header = simulator::sign(b"whsec_example", 1_783_000_000, b"{}");
/// assert!(header.starts_with("t=1783000000,v1="));
/// ```
pub fn sign(secret: &[u8], unix_seconds: i64, body: &[u8]) -> String {
    let time = unix_seconds.to_string();
    let code = hmac_sha256(secret, &[time.as_bytes(), b".", body]);
    format!("t={time},v1={}", hex(&code))
}

/// HMAC with SHA-256 (RFC 2104) of the concatenated `parts`.
pub(crate) fn hmac_sha256(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let short = if key.len() > BLOCK_BYTES {
        Sha256::digest(key).to_vec()
    } else {
        key.to_vec()
    };
    let padded = |with: u8| -> Vec<u8> {
        let rest = std::iter::repeat(&0_u8);
        short
            .iter()
            .chain(rest)
            .take(BLOCK_BYTES)
            .map(|byte| byte ^ with)
            .collect()
    };

    let mut inner = Sha256::new();
    inner.update(padded(0x36));
    for part in parts {
        inner.update(part);
    }
    let mut outer = Sha256::new();
    outer.update(padded(0x5c));
    outer.update(inner.finalize());
    outer.finalize().to_vec()
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 0x0f])
        .filter_map(|digit| char::from_digit(u32::from(digit), 16))
        .collect()
}
