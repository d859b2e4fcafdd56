//! Ids as they stand in paths.
//!
//! API Gateway hands a path on decoded, so a slash or a blank in an id would change the path. An id of letters,
//! digits, `_`, `.` and `-` stands as it is; any other is `~` and the base64url of its UTF-8, without padding.

/// Longest id that stands as it is. Unit: bytes.
const MAX_PLAIN_BYTES: usize = 200;
/// Digits of base64url (RFC 4648, section 5).
const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Writes an id for a path.
///
/// ```
/// use domain::path_id::to_path;
///
/// assert_eq!(to_path("u_123"), "u_123");
/// assert_eq!(to_path("ann@example.org"), "~YW5uQGV4YW1wbGUub3Jn");
/// ```
pub fn to_path(id: &str) -> String {
    if is_plain(id) {
        return id.to_owned();
    }
    let mut text = String::with_capacity(2 + id.len() * 4 / 3);
    text.push('~');
    for bytes in id.as_bytes().chunks(3) {
        let byte = |place: usize| u32::from(bytes.get(place).copied().unwrap_or(0));
        let group = byte(0) << 16 | byte(1) << 8 | byte(2);
        // One byte takes two digits, two take three.
        for place in 0..=bytes.len() {
            let digit = group >> (18 - 6 * place) & 63;
            let digit = usize::try_from(digit)
                .ok()
                .and_then(|digit| DIGITS.get(digit));
            text.extend(digit.map(|digit| char::from(*digit)));
        }
    }
    text
}

/// Returns whether an id stands in a path as it is.
pub fn is_plain(id: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    // Dots alone would be taken for a step up.
    !id.is_empty()
        && id.len() <= MAX_PLAIN_BYTES
        && id.bytes().all(allowed)
        && id.bytes().any(|byte| byte != b'.')
}
