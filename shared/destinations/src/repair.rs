//! Repairs of JSON values that a database cannot hold.

use std::borrow::Cow;

/// Replaces what databases refuse in JSON with U+FFFD: the escape of NUL and halves of surrogate
/// pairs. Returns the text and the number of replacements.
pub(crate) fn repair(json: &str) -> (Cow<'_, str>, u32) {
    if !json.contains(r"\u") {
        return (Cow::Borrowed(json), 0);
    }
    let mut repaired = String::with_capacity(json.len());
    let mut count = 0;
    let mut rest = json;
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at(at);
        repaired.push_str(before);
        let (length, sound) = escape_at(escape);
        let (taken, after) = escape.split_at_checked(length).unwrap_or((escape, ""));
        if sound {
            repaired.push_str(taken);
        } else {
            repaired.push_str(r"\ufffd");
            count += 1;
        }
        rest = after;
    }
    repaired.push_str(rest);
    if count == 0 {
        return (Cow::Borrowed(json), 0);
    }
    (Cow::Owned(repaired), count)
}

/// Length of the escape at the start of `text`, and whether a database takes it.
fn escape_at(text: &str) -> (usize, bool) {
    let unit = |from: usize| {
        let digits = text.get(from..from + 6)?.strip_prefix("\\u")?;
        u16::from_str_radix(digits, 16).ok()
    };
    match unit(0) {
        // `\n`, `\"`, `\\` and their like.
        None => (2, true),
        Some(0xd800..=0xdbff) => match unit(6) {
            Some(0xdc00..=0xdfff) => (12, true),
            _ => (6, false),
        },
        Some(0 | 0xdc00..=0xdfff) => (6, false),
        Some(_) => (6, true),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_databases_refuse_is_replaced_and_counted() {
        for (json, right, count) in [
            (r#"{"a":"\u0000"}"#, r#"{"a":"\ufffd"}"#, 1),
            (r#"{"a":"\\u0000"}"#, r#"{"a":"\\u0000"}"#, 0),
            (r#"{"a":"\\\u0000"}"#, r#"{"a":"\\\ufffd"}"#, 1),
            (r#"{"a":"\ud83d\ude00"}"#, r#"{"a":"\ud83d\ude00"}"#, 0),
            (r#"{"a":"\ud83d"}"#, r#"{"a":"\ufffd"}"#, 1),
            (r#"{"a":"\ude00\ud83d"}"#, r#"{"a":"\ufffd\ufffd"}"#, 2),
            (r#"{"a":"\ud83d\u0041"}"#, r#"{"a":"\ufffd\u0041"}"#, 1),
            (r#"{"a":"é\u0000é"}"#, r#"{"a":"é\ufffdé"}"#, 1),
        ] {
            assert_eq!(repair(json), (Cow::Borrowed(right), count), "{json}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_survived(text in "[\\\\u0d8e\"é]{0,24}") {
            let (repaired, count) = repair(&text);
            prop_assert_eq!(repair(&repaired).1, 0);
            if count == 0 {
                prop_assert_eq!(repaired, text.as_str());
            }
        }
    }
}
