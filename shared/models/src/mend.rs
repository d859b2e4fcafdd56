//! JSON text that `serde_json` refuses although only single values of it are bad.

use std::borrow::Cow;

/// Deepest nesting that stays. `serde_json` reads 128 levels.
const MAX_DEPTH: usize = 100;

/// Returns JSON text in which every bad value is replaced, for a reader that would refuse the whole.
///
/// - Half an emoji in a text or a name (`\ud83d` alone) becomes `\ufffd`.
/// - A number too large for a double (`1e999`) becomes `null`.
/// - An array or object nested deeper than 100 levels becomes `null`.
///
/// Text without such values is returned as it is. Text that is no JSON stays no JSON.
///
/// ```
/// let mended = models::mend::mended(r#"{"bio":"run \ud83d","age":1e999,"city":"Bern"}"#);
/// assert_eq!(mended, r#"{"bio":"run \ufffd","age":null,"city":"Bern"}"#);
/// ```
pub fn mended(json: &str) -> Cow<'_, str> {
    let mut mended = String::new();
    let mut kept = 0;
    for (start, end, by) in faults(json.as_bytes()) {
        mended.push_str(json.get(kept..start).unwrap_or_default());
        mended.push_str(by);
        kept = end;
    }
    if kept == 0 {
        return Cow::Borrowed(json);
    }
    mended.push_str(json.get(kept..).unwrap_or_default());
    Cow::Owned(mended)
}

/// Start and end of each bad value, with its replacement, in the order of the text.
fn faults(json: &[u8]) -> Vec<(usize, usize, &'static str)> {
    let mut faults = Vec::new();
    let mut at = 0;
    let mut depth = 0_usize;
    let mut too_deep = None;
    while let Some(&byte) = json.get(at) {
        match byte {
            b'"' => {
                let end = string_end(json, at + 1);
                if too_deep.is_none() {
                    halves(json, at + 1, end, &mut faults);
                }
                at = end;
                continue;
            }
            b'[' | b'{' => {
                depth += 1;
                if depth > MAX_DEPTH && too_deep.is_none() {
                    too_deep = Some(at);
                }
            }
            b']' | b'}' => {
                depth = depth.saturating_sub(1);
                if depth == MAX_DEPTH
                    && let Some(start) = too_deep.take()
                {
                    faults.push((start, at + 1, "null"));
                }
            }
            b'-' | b'0'..=b'9' => {
                let end = number_end(json, at);
                let text = json.get(at..end).and_then(|text| str::from_utf8(text).ok());
                let number = text.and_then(|text| text.parse::<f64>().ok());
                if too_deep.is_none() && number.is_some_and(f64::is_infinite) {
                    faults.push((at, end, "null"));
                }
                at = end;
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    faults
}

/// The place behind the string whose contents start at `at`.
fn string_end(json: &[u8], mut at: usize) -> usize {
    while let Some(&byte) = json.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    json.len()
}

/// The place behind the number that starts at `at`.
fn number_end(json: &[u8], at: usize) -> usize {
    let rest = json.get(at..).unwrap_or_default();
    let length = rest
        .iter()
        .position(|byte| !matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E'));
    length.map_or(json.len(), |length| at + length)
}

/// Adds the halves of surrogate pairs that stand alone between two places of a string.
fn halves(json: &[u8], mut at: usize, end: usize, faults: &mut Vec<(usize, usize, &'static str)>) {
    while at < end {
        if json.get(at) != Some(&b'\\') {
            at += 1;
            continue;
        }
        match escaped_unit(json, at) {
            Some(0xD800..=0xDBFF) => {
                if let Some(0xDC00..=0xDFFF) = escaped_unit(json, at + 6) {
                    at += 12;
                } else {
                    faults.push((at, at + 6, "\\ufffd"));
                    at += 6;
                }
            }
            Some(0xDC00..=0xDFFF) => {
                faults.push((at, at + 6, "\\ufffd"));
                at += 6;
            }
            _ => at += 2,
        }
    }
}

/// The UTF-16 code unit of an escape such as `\ud83d` that starts at `at`.
fn escaped_unit(json: &[u8], at: usize) -> Option<u16> {
    let digits = json.get(at..at + 6)?.strip_prefix(b"\\u")?;
    if !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    u16::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    #[test]
    fn only_the_bad_value_is_replaced() {
        for (json, expected) in [
            (r#"["\ud83d\ude00 \\ud83d"]"#, r#"["\ud83d\ude00 \\ud83d"]"#),
            (
                r#"{"\uD83D":"\ude00\ud83d\ud83d\ude00"}"#,
                r#"{"\ufffd":"\ufffd\ufffd\ud83d\ude00"}"#,
            ),
            (
                "[1e308,-1e999,1E+400,4.9E-324]",
                "[1e308,null,null,4.9E-324]",
            ),
            (r#"["1e999"]"#, r#"["1e999"]"#),
        ] {
            assert_eq!(mended(json), expected);
        }
        let deep = |depth| format!("[1,{}{},2]", "[".repeat(depth), "]".repeat(depth));
        assert_eq!(mended(&deep(99)), deep(99));
        let flat: Value = serde_json::from_str(&mended(&deep(130))).unwrap();
        assert_eq!(flat[2], 2);
    }

    proptest! {
        #[test]
        fn any_text_is_survived(text in r#"([\{\}\[\]",:e0-9\\u]|\\ud83d|\\ude00|é){0,60}"#) {
            mended(&text);
        }

        #[test]
        fn any_string_of_any_escapes_is_readable(units in prop::collection::vec(any::<u16>(), 0..20)) {
            let escapes: Vec<_> = units.iter().map(|unit| format!("\\u{unit:04x}")).collect();
            let json = format!("\"{}\"", escapes.concat());
            let text: String = serde_json::from_str(&mended(&json)).unwrap();
            prop_assert_eq!(text, String::from_utf16_lossy(&units));
        }
    }
}
