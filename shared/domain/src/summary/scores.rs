//! The scores that Terra computes: the values of `data_enrichment`.

use std::collections::BTreeMap;

use models::mend::mended;
use serde_json::{Map, Value};

/// Largest leaf that is kept in an item. Unit: bytes of JSON.
const MAX_LEAF_BYTES: usize = 2 * 1024;
/// Most leaves of one score.
const MAX_LEAVES: usize = 64;
/// Deepest object or array of a score; DynamoDB nests 32 levels.
const MAX_DEPTH: usize = 8;
/// Longest path of a leaf. Unit: bytes.
const MAX_PATH_BYTES: usize = 256;
/// Most scores of one record; Terra's schemas know thirteen per data type.
const MAX_SCORES: usize = 64;
/// Most leaves of all scores together. Unit: bytes of JSON.
const MAX_BYTES: usize = 64 * 1024;
/// Magnitudes that DynamoDB's numbers hold.
const MAGNITUDES: std::ops::RangeInclusive<f64> = 1e-130..=9.9e125;

/// The leaves of `data_enrichment`, each under its path.
///
/// A set of contributors is taken apart, so that each contributor has its own version and none is
/// erased by a set without it. Absent are nulls, empty objects, and numbers beyond what a double or
/// DynamoDB holds. An array is one leaf.
///
/// A value too large for an item becomes a mark, `{"archived_bytes": 5000}`: the archive has it, in
/// the delivery that the score names. [`is_mark`] tells one from a value.
pub(super) fn scores(enrichment: Option<&str>) -> BTreeMap<String, Value> {
    let text = enrichment.map(mended).unwrap_or_default();
    let all: Map<String, Value> = serde_json::from_str(&text).unwrap_or_default();
    let mut kept = BTreeMap::new();
    let mut total_bytes = 0;
    for (name, value) in all.into_iter().take(MAX_SCORES) {
        let bytes = value.to_string().len();
        let path = segment(&name);
        if path.len() > MAX_PATH_BYTES {
            continue;
        }
        let mut leaves = BTreeMap::new();
        let fits = collect(path.clone(), value, 0, &mut leaves);
        let leaf_bytes = |(path, leaf): (&String, &Value)| path.len() + leaf.to_string().len();
        let size: usize = leaves.iter().map(leaf_bytes).sum();
        if fits && leaves.len() <= MAX_LEAVES && total_bytes + size <= MAX_BYTES {
            total_bytes += size;
            kept.extend(leaves);
        } else {
            kept.insert(path, mark(bytes));
        }
    }
    kept
}

/// Builds the members of `data_enrichment` from leaves under their paths. Marks are left out.
///
/// ```
/// use domain::summary::score_tree;
/// use serde_json::json;
///
/// let leaves = [("sleep_contributors.REM 1%2E5", &json!(3)), ("sleep_score", &json!(70))];
/// let scores = score_tree(leaves);
/// assert_eq!(json!(scores), json!({"sleep_contributors": {"REM 1.5": 3}, "sleep_score": 70}));
/// ```
pub fn score_tree<'a, P: AsRef<str>>(
    leaves: impl IntoIterator<Item = (P, &'a Value)>,
) -> Map<String, Value> {
    let mut tree = Map::new();
    for (path, leaf) in leaves.into_iter().filter(|(_, leaf)| !is_mark(leaf)) {
        let mut names: Vec<_> = path.as_ref().split('.').map(name).collect();
        let Some(last) = names.pop() else { continue };
        let members = names.into_iter().try_fold(&mut tree, |members, name| {
            let member = members.entry(name).or_insert_with(|| Map::new().into());
            member.as_object_mut()
        });
        // A value that stands where older deliveries had a set stays the value.
        if let Some(members) = members {
            members.entry(last).or_insert_with(|| leaf.clone());
        }
    }
    tree
}

/// Returns whether a score is only a mark of a value that the archive has.
pub fn is_mark(score: &Value) -> bool {
    score.is_object()
}

fn mark(bytes: usize) -> Value {
    serde_json::json!({ "archived_bytes": bytes })
}

/// A name as one part of a path.
fn segment(name: &str) -> String {
    match name {
        "" => "%".to_owned(),
        name => name.replace('%', "%25").replace('.', "%2E"),
    }
}

/// The name that one part of a path stands for.
fn name(segment: &str) -> String {
    match segment {
        "%" => String::new(),
        segment => segment.replace("%2E", ".").replace("%25", "%"),
    }
}

/// Adds the leaves of a value. Returns whether all of it fits.
fn collect(path: String, value: Value, depth: usize, leaves: &mut BTreeMap<String, Value>) -> bool {
    if depth > MAX_DEPTH || path.len() > MAX_PATH_BYTES || leaves.len() > MAX_LEAVES {
        return false;
    }
    match value {
        Value::Object(members) => members.into_iter().all(|(name, value)| {
            collect(
                format!("{path}.{}", segment(&name)),
                value,
                depth + 1,
                leaves,
            )
        }),
        value => match settled(value, depth) {
            Leaf::Absent => true,
            Leaf::TooDeep => false,
            Leaf::Value(leaf) => {
                let bytes = leaf.to_string().len();
                let leaf = if bytes > MAX_LEAF_BYTES {
                    mark(bytes)
                } else {
                    leaf
                };
                leaves.insert(path, leaf);
                true
            }
        },
    }
}

enum Leaf {
    Absent,
    TooDeep,
    Value(Value),
}

/// A value in the one form that DynamoDB gives back, since a state must equal itself when read.
fn settled(value: Value, depth: usize) -> Leaf {
    if depth > MAX_DEPTH {
        return Leaf::TooDeep;
    }
    match value {
        Value::Null => Leaf::Absent,
        Value::Number(number) => settled_number(&number).map_or(Leaf::Absent, Leaf::Value),
        Value::Array(items) => {
            let mut settled_items = Vec::with_capacity(items.len());
            for item in items {
                match settled(item, depth + 1) {
                    Leaf::Absent => settled_items.push(Value::Null),
                    Leaf::TooDeep => return Leaf::TooDeep,
                    Leaf::Value(item) => settled_items.push(item),
                }
            }
            Leaf::Value(Value::Array(settled_items))
        }
        Value::Object(members) => {
            let mut settled_members = Map::new();
            for (name, member) in members {
                match settled(member, depth + 1) {
                    // DynamoDB takes no empty names.
                    Leaf::Value(member) if !name.is_empty() => {
                        settled_members.insert(name, member);
                    }
                    Leaf::Value(_) | Leaf::Absent => {}
                    Leaf::TooDeep => return Leaf::TooDeep,
                }
            }
            Leaf::Value(Value::Object(settled_members))
        }
        other @ (Value::Bool(_) | Value::String(_)) => Leaf::Value(other),
    }
}

/// `65.0` as `65`, a whole number beyond 64 bits as a float, and none that DynamoDB cannot hold.
fn settled_number(number: &serde_json::Number) -> Option<Value> {
    /// The first whole number beyond `i64`.
    const BEYOND: f64 = 9_223_372_036_854_775_808.0;
    if let Some(whole) = number.as_i64() {
        return Some(whole.into());
    }
    let float = number.as_f64()?;
    #[expect(clippy::cast_possible_truncation, reason = "whole and within i64")]
    if float.fract() == 0.0 && float.abs() < BEYOND {
        return Some(Value::from(float as i64));
    }
    MAGNITUDES
        .contains(&float.abs())
        .then(|| Value::from(float))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(json: &str) -> Value {
        json!(scores(Some(json)))
    }

    #[test]
    fn an_unreadable_value_costs_only_itself() {
        let deep = format!("{}1{}", "[".repeat(130), "]".repeat(130));
        let found = read(&format!(
            r#"{{"strain_score":5,"new_score":1e999,"half":"\ud83d","deep":{deep},
                "tiny":4.9E-324,"huge":1.797E308,"big":18446744073709551615,"whole":65.0}}"#
        ));
        assert_eq!(found["strain_score"], 5);
        assert_eq!(found["half"], "\u{fffd}");
        assert_eq!(found["whole"], json!(65));
        assert_eq!(found["big"], json!(18_446_744_073_709_551_615.0));
        for absent in ["new_score", "tiny", "huge"] {
            assert_eq!(found.get(absent), None, "{absent}");
        }
        assert!(is_mark(&found["deep"]));
    }

    #[test]
    fn contributors_are_leaves_and_nothing_erases_one() {
        let found = read(
            r#"{"sleep_score":77,"sleep_contributors":{"REM \ud83d":3,"deep":4,"none":null,
                "empty":{},"a.b":{"%":[1,null]}},"all_null":{"a":null},"gone":null}"#,
        );
        let expected = json!({"sleep_score": 77, "sleep_contributors.REM \u{fffd}": 3,
            "sleep_contributors.deep": 4, "sleep_contributors.a%2Eb.%25": [1, null]});
        assert_eq!(found, expected);
        let leaves = found.as_object().unwrap();
        let tree = json!(score_tree(leaves));
        assert_eq!(tree["sleep_contributors"]["a.b"]["%"], json!([1, null]));
        assert_eq!(tree["sleep_contributors"]["deep"], 4);
    }

    #[test]
    fn a_value_too_large_leaves_a_mark() {
        let long = "x".repeat(3_000);
        let found = read(&format!(r#"{{"set":{{"a":1,"text":"{long}"}},"one":1}}"#));
        assert_eq!(
            found,
            json!({"one": 1, "set.a": 1, "set.text": {"archived_bytes": 3_002}})
        );
        let many: BTreeMap<_, _> = (0..65).map(|name| (name.to_string(), 1)).collect();
        assert!(is_mark(&read(&json!({ "many": many }).to_string())["many"]));
    }
}
