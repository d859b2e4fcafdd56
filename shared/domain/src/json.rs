//! JSON text that is read and patched in place.
//!
//! A record is served as Terra sent it, so nothing here builds a tree: a value keeps its spelling,
//! an object its order and its unknown members. Of equal names the last counts, as everywhere.
//! Text that is no JSON is found to hold nothing and is left as it is.

use std::{borrow::Cow, collections::BTreeMap, ops::Range};

use serde_json::Value;

/// The first byte of the value at or after `at`.
fn start(text: &[u8], mut at: usize) -> usize {
    while text.get(at).is_some_and(u8::is_ascii_whitespace) {
        at += 1;
    }
    at
}

/// The end of the string that starts at `at`.
fn string_end(text: &[u8], at: usize) -> Option<usize> {
    let mut at = at + 1;
    loop {
        match text.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

/// The end of the value that starts at `at`.
fn value_end(text: &[u8], at: usize) -> Option<usize> {
    match text.get(at)? {
        b'"' => string_end(text, at),
        b'{' | b'[' => {
            let (mut at, mut depth) = (at, 0_usize);
            loop {
                match text.get(at)? {
                    b'"' => {
                        at = string_end(text, at)?;
                        continue;
                    }
                    b'{' | b'[' => depth += 1,
                    b'}' | b']' => depth -= 1,
                    _ => {}
                }
                at += 1;
                if depth == 0 {
                    return Some(at);
                }
            }
        }
        _ => {
            let ends = |byte: &u8| byte.is_ascii_whitespace() || b",]}".contains(byte);
            let length = text.get(at..)?.iter().position(ends);
            let end = length.map_or(text.len(), |length| at + length);
            (end > at).then_some(end)
        }
    }
}

/// Ranges of the elements of an array, in their order. `None` for anything else.
pub(crate) fn elements(text: &[u8]) -> Option<Vec<Range<usize>>> {
    let open = start(text, 0);
    (text.get(open) == Some(&b'[')).then_some(())?;
    let mut elements = Vec::new();
    let mut at = start(text, open + 1);
    while text.get(at) != Some(&b']') {
        let end = value_end(text, at)?;
        elements.push(at..end);
        at = start(text, end);
        match text.get(at)? {
            b',' => at = start(text, at + 1),
            b']' => {}
            _ => return None,
        }
    }
    Some(elements)
}

/// Names and ranges of the values of an object, in their order. `None` for anything else.
pub(crate) fn members(text: &[u8]) -> Option<Vec<(Cow<'_, str>, Range<usize>)>> {
    let open = start(text, 0);
    (text.get(open) == Some(&b'{')).then_some(())?;
    let mut members = Vec::new();
    let mut at = start(text, open + 1);
    while text.get(at) != Some(&b'}') {
        (text.get(at) == Some(&b'"')).then_some(())?;
        let name_end = string_end(text, at)?;
        let name = name(text.get(at..name_end)?);
        at = start(text, name_end);
        (text.get(at) == Some(&b':')).then_some(())?;
        at = start(text, at + 1);
        let end = value_end(text, at)?;
        members.push((name, at..end));
        at = start(text, end);
        match text.get(at)? {
            b',' => at = start(text, at + 1),
            b'}' => {}
            _ => return None,
        }
    }
    Some(members)
}

/// A name without quotes and escapes. One that is no valid Unicode stays as written: Terra has none.
fn name(quoted: &[u8]) -> Cow<'_, str> {
    if quoted.contains(&b'\\')
        && let Ok(name) = serde_json::from_slice::<String>(quoted)
    {
        return Cow::Owned(name);
    }
    let inner = quoted.get(1..quoted.len().saturating_sub(1));
    String::from_utf8_lossy(inner.unwrap_or_default())
}

/// The value of the last member of that name.
pub(crate) fn member<'a>(text: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let members = members(text)?;
    let (_, range) = members.into_iter().rev().find(|(known, _)| known == name)?;
    text.get(range)
}

/// The value at a path of member names, separated by dots.
pub(crate) fn at<'a>(text: &'a [u8], path: &str) -> Option<&'a [u8]> {
    path.split('.').try_fold(text, member)
}

/// Returns whether the text is an array with at least one element.
pub(crate) fn is_filled_array(text: &[u8]) -> bool {
    let open = start(text, 0);
    text.get(open) == Some(&b'[') && text.get(start(text, open + 1)) != Some(&b']')
}

/// Change of one value.
#[derive(Debug)]
pub(crate) enum Patch<'a> {
    /// Empties an array; anything else stays.
    Empty,
    /// Puts this array in, unless the array that is there holds something.
    Array(&'a [u8]),
    /// Fills what is absent, null or unreadable, member by member.
    Fill(&'a Value),
    /// Changes members of an object. Absent members are added, an absent object is made.
    Members(BTreeMap<&'a str, Patch<'a>>),
    /// Changes the elements of an array: each by the text of its member `by`, or all alike.
    Elements {
        /// Name of the member that tells the elements apart.
        by: &'static str,
        /// Patches by the text of that member.
        each: BTreeMap<&'a [u8], Patch<'a>>,
        /// Patch of every other element.
        others: Option<Box<Patch<'a>>>,
    },
}

impl<'a> Patch<'a> {
    /// The patch of one member of an object, made when it is not there.
    pub(crate) fn member(&mut self, name: &'a str) -> &mut Self {
        if !matches!(self, Self::Members(_)) {
            *self = Self::Members(BTreeMap::new());
        }
        match self {
            Self::Members(members) => members
                .entry(name)
                .or_insert_with(|| Self::Members(BTreeMap::new())),
            other => other,
        }
    }

    /// The patched text, or `None` when nothing changes.
    pub(crate) fn apply(&self, old: Option<&[u8]>) -> Option<Vec<u8>> {
        match self {
            Self::Empty => old
                .filter(|old| is_filled_array(old))
                .map(|_| b"[]".to_vec()),
            Self::Array(array) => (!old.is_some_and(is_filled_array)).then(|| array.to_vec()),
            Self::Fill(value) => fill(old, value),
            Self::Members(patches) => {
                let patches = patches.iter();
                patch_members(old, patches.map(|(&name, patch)| (name, patch)))
            }
            Self::Elements { by, each, others } => {
                let old = old?;
                let changed = elements(old)?.into_iter().filter_map(|range| {
                    let element = old.get(range.clone())?;
                    let own = member(element, by).and_then(|text| each.get(text));
                    let new = own.or(others.as_deref())?.apply(Some(element))?;
                    Some((range, new))
                });
                splice(old, changed.collect())
            }
        }
    }
}

/// Puts texts in place of ranges that follow one another. `None` when there are none.
fn splice(old: &[u8], changes: Vec<(Range<usize>, Vec<u8>)>) -> Option<Vec<u8>> {
    if changes.is_empty() {
        return None;
    }
    let mut new = Vec::with_capacity(old.len());
    let mut at = 0;
    for (range, text) in changes {
        new.extend_from_slice(old.get(at..range.start)?);
        new.extend_from_slice(&text);
        at = range.end;
    }
    new.extend_from_slice(old.get(at..)?);
    Some(new)
}

fn patch_members<'p>(
    old: Option<&[u8]>,
    patches: impl Iterator<Item = (&'p str, &'p Patch<'p>)>,
) -> Option<Vec<u8>> {
    let object = old.and_then(members);
    let (text, known) = match (old, object) {
        (Some(text), Some(known)) => (text, known),
        _ => (b"{}".as_slice(), Vec::new()),
    };
    let mut changes = Vec::new();
    let mut added = Vec::new();
    for (name, patch) in patches {
        let last = known.iter().rev().find(|(known, _)| known == name);
        let value = last.and_then(|(_, range)| text.get(range.clone()));
        match (last, patch.apply(value)) {
            (_, None) => {}
            (Some((_, range)), Some(new)) => changes.push((range.clone(), new)),
            (None, Some(new)) => {
                if !(known.is_empty() && added.is_empty()) {
                    added.push(b',');
                }
                added.extend_from_slice(Value::from(name).to_string().as_bytes());
                added.push(b':');
                added.extend_from_slice(&new);
            }
        }
    }
    if !added.is_empty() {
        let end = match known.last() {
            Some((_, range)) => range.end,
            None => start(text, 0) + 1,
        };
        changes.push((end..end, added));
    }
    changes.sort_by_key(|(range, _)| range.start);
    splice(text, changes)
}

fn fill(old: Option<&[u8]>, value: &Value) -> Option<Vec<u8>> {
    let whole = || Some(value.to_string().into_bytes());
    let Some(text) = old else { return whole() };
    match value {
        Value::Null => None,
        Value::Object(values) if members(text).is_some() => {
            let patches: Vec<(&str, Patch<'_>)> = values
                .iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(name, value)| (name.as_str(), Patch::Fill(value)))
                .collect();
            let patches = patches.iter().map(|(name, patch)| (*name, patch));
            patch_members(old, patches)
        }
        _ => match serde_json::from_slice::<Value>(text) {
            Ok(Value::Null) | Err(_) => whole(),
            Ok(_) => None,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_found_whatever_stands_between_them() {
        let text = br#" { "a\u0062" : [1, {"x":"}"}] ,"c":"\"" , "c" : null } "#;
        assert_eq!(member(text, "ab").unwrap(), br#"[1, {"x":"}"}]"#);
        assert_eq!(member(text, "c").unwrap(), b"null");
        assert_eq!(at(br#"{"a":{"b":[7]}}"#, "a.b").unwrap(), b"[7]");
        assert_eq!(members(b"{}").unwrap().len(), 0);
    }

    #[test]
    fn text_that_is_no_json_holds_nothing() {
        for text in [
            "",
            "{",
            "{\"",
            "{\"a",
            "{\"a\"",
            "{\"a\":",
            "{\"a\":1",
            "{\"a\":1,",
            "{a:1}",
            "[",
            "[1",
            "[1,",
            "]",
            "{\"a\":[}",
        ] {
            let text = text.as_bytes();
            assert!(
                members(text).is_none_or(|members| members.is_empty()),
                "{text:?}"
            );
            assert!(
                elements(text).is_none_or(|elements| elements.is_empty()),
                "{text:?}"
            );
        }
    }
}
