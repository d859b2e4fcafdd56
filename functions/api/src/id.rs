//! Ids of paths, read back. [`domain::path_id`] has their form.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use domain::path_id::is_plain;
pub use domain::path_id::to_path;

/// Longest id at all, decoded. Unit: bytes.
const MAX_BYTES: usize = 1024;

/// Reads an id of a path. `None`: it has neither of the two forms.
///
/// An id that could stand as it is may also come encoded, so that a caller may encode all of them.
pub fn from_path(text: &str) -> Option<String> {
    let Some(encoded) = text.strip_prefix('~') else {
        return is_plain(text).then(|| text.to_owned());
    };
    let bytes = URL_SAFE_NO_PAD.decode(encoded).ok()?;
    let id = String::from_utf8(bytes).ok()?;
    (!id.is_empty() && id.len() <= MAX_BYTES).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_id_comes_back_and_is_safe_in_a_path() {
        let long = "x".repeat(300);
        for id in [
            "u_123",
            "ann@example.org",
            "a/b",
            "a b",
            "..",
            ".",
            "~",
            "é",
            "%2F",
            "2026-11-20T00:00:00+01:00",
            &long,
        ] {
            let path = to_path(id);
            let safe = |char: char| char.is_ascii_alphanumeric() || "_.-~".contains(char);
            assert!(path.chars().all(safe), "{path}");
            assert_eq!(from_path(&path).as_deref(), Some(id));
        }
        assert_eq!(from_path("~dV8xMjM").as_deref(), Some("u_123"));
    }

    #[test]
    fn other_forms_are_no_ids() {
        for text in ["", "a b", "..", "a/b", "~", "~!", "~_w", "é"] {
            assert_eq!(from_path(text), None, "{text}");
        }
    }
}
