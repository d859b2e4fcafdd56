//! Parameters of a request: read one by one, everything that is wrong with them is told at once.

use std::{collections::BTreeMap, str::FromStr};

use jiff::{Timestamp, civil::Date};
use runtime::problem::{Fault, Kind, Problem};
use serde::{Serialize, de::DeserializeOwned};

use crate::{cursor, text::decoded};

/// Entries of a page where nobody asks for another number.
pub(crate) const DEFAULT_LIMIT: usize = 50;
/// Most entries of a page.
pub(crate) const MAX_LIMIT: usize = 500;
/// Longest query. Unit: bytes.
const MAX_QUERY_BYTES: usize = 8 * 1024;

/// A parameter of an endpoint's query.
#[derive(Debug, Clone, Copy)]
pub struct Param {
    /// Name of the parameter.
    pub name: &'static str,
    /// Its meaning, for the document.
    pub doc: &'static str,
    /// Form of its values.
    pub form: Form,
}

/// Form of a parameter's values.
#[derive(Debug, Clone, Copy)]
pub enum Form {
    /// Any text.
    Text,
    /// A whole number between two others.
    Number(u64, u64),
    /// `true` or `false`.
    Flag,
    /// A civil date.
    Date,
    /// A moment, RFC 3339.
    Instant,
    /// One of these words.
    Word(&'static [&'static str]),
    /// Some of these words, with commas.
    Words(&'static [&'static str]),
    /// Any texts, with commas.
    List,
}

/// Parameters of every list.
pub(crate) const PAGED: [Param; 2] = [
    Param {
        name: "cursor",
        doc: "Place to go on at: the `next_cursor` of the page before. All other parameters stay the same.",
        form: Form::Text,
    },
    Param {
        name: "limit",
        doc: "Most entries of the page. Fewer may come; the end is a `next_cursor` that is null.",
        form: Form::Number(1, MAX_LIMIT as u64),
    },
];

/// Reads the parameters of one request.
#[derive(Debug)]
pub struct Reader<'a> {
    given: BTreeMap<String, String>,
    faults: Vec<Fault>,
    wrong_cursor: bool,
    known: &'a [Param],
    /// Names the query that cursors are bound to.
    query_hash: String,
}

/// Place and size of a page.
#[derive(Debug)]
pub struct Paging<P> {
    /// Position behind which the page begins.
    pub after: Option<P>,
    /// Most entries.
    pub limit: usize,
    query_hash: String,
}

impl<P: Serialize> Paging<P> {
    /// Makes the cursor of the next page.
    pub fn cursor(&self, position: Option<&P>) -> Option<String> {
        position.map(|position| cursor::encode(&self.query_hash, position))
    }
}

impl<'a> Reader<'a> {
    /// Reads a query string. `path` is what the query is asked of: a cursor is bound to both.
    pub fn new(query: &str, known: &'a [Param], path: &str) -> Self {
        let mut reader = Self {
            given: BTreeMap::new(),
            faults: Vec::new(),
            wrong_cursor: false,
            known,
            query_hash: String::new(),
        };
        if query.len() > MAX_QUERY_BYTES {
            let detail = format!("a query has at most {MAX_QUERY_BYTES} bytes");
            reader.refuse("query", detail);
            return reader;
        }
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (Some(name), Some(value)) = (decoded(name, true), decoded(value, true)) else {
                reader.refuse("query", "is not percent-encoded UTF-8");
                continue;
            };
            if !known.iter().any(|param| param.name == name) {
                let all: Vec<_> = known.iter().map(|param| param.name).collect();
                let there_are = if all.is_empty() {
                    "there are none".to_owned()
                } else {
                    format!("there are: {}", all.join(", "))
                };
                reader.refuse(&name, format!("there is no such parameter; {there_are}"));
            } else if value.is_empty() {
                // Most often a variable that was not set: without it, more would be answered than was meant.
                reader.refuse(&name, "is empty: give a value, or leave the parameter out");
            } else if reader.given.insert(name.clone(), value).is_some() {
                reader.refuse(&name, "is given twice");
            }
        }
        let bound = reader.given.iter();
        let bound = bound.filter(|(name, _)| !["cursor", "limit"].contains(&name.as_str()));
        reader.query_hash = cursor::query_hash(path, bound);
        reader
    }

    /// Notes a fault of a parameter.
    pub fn refuse(&mut self, name: &str, detail: impl Into<String>) {
        // A name that the caller made up may be long.
        let name = name.chars().take(60).collect();
        self.faults.push(Fault {
            place: "query",
            name,
            detail: detail.into(),
        });
    }

    /// Takes any text.
    pub fn text(&mut self, name: &'static str) -> Option<String> {
        debug_assert!(self.known.iter().any(|param| param.name == name), "{name}");
        self.given.get(name).cloned()
    }

    /// Takes a value; `right` says what it must be.
    pub fn parsed<T: FromStr>(&mut self, name: &'static str, right: &str) -> Option<T> {
        let text = self.text(name)?;
        let parsed = text.parse().ok();
        if parsed.is_none() {
            let shown = shown(&text);
            self.refuse(name, format!("`{shown}` is not {right}"));
        }
        parsed
    }

    /// Takes a date.
    pub fn date(&mut self, name: &'static str) -> Option<Date> {
        self.parsed(name, "a date like 2026-11-20")
    }

    /// Takes a moment.
    pub fn instant(&mut self, name: &'static str) -> Option<Timestamp> {
        self.parsed(name, "a moment like 2026-11-20T06:41:00Z")
    }

    /// Takes `true` or `false`; not given is false.
    pub fn flag(&mut self, name: &'static str) -> bool {
        self.parsed(name, "true or false").unwrap_or_default()
    }

    /// Takes one of the words that the parameter has.
    pub fn word(&mut self, name: &'static str) -> Option<&'static str> {
        let text = self.text(name)?;
        let words = self.words_of(name);
        let found = words.iter().find(|word| **word == text).copied();
        if found.is_none() {
            let shown = shown(&text);
            self.refuse(name, format!("`{shown}` is none of {}", words.join(", ")));
        }
        found
    }

    /// Takes some of the words that the parameter has.
    pub fn words(&mut self, name: &'static str) -> Vec<&'static str> {
        let words = self.words_of(name);
        let mut found = Vec::new();
        for text in self.list(name) {
            if let Some(word) = words.iter().find(|word| **word == text) {
                found.push(*word);
            } else {
                let shown = shown(&text);
                self.refuse(name, format!("`{shown}` is none of {}", words.join(", ")));
            }
        }
        found
    }

    /// Takes texts with commas between them.
    pub fn list(&mut self, name: &'static str) -> Vec<String> {
        let text = self.text(name).unwrap_or_default();
        let parts = text.split(',').map(str::trim);
        parts
            .filter(|part| !part.is_empty())
            .map(str::to_owned)
            .collect()
    }

    fn words_of(&self, name: &str) -> &'static [&'static str] {
        let param = self.known.iter().find(|param| param.name == name);
        match param.map(|param| param.form) {
            Some(Form::Word(words) | Form::Words(words)) => words,
            _ => &[],
        }
    }

    /// Takes `limit`.
    pub fn limit(&mut self) -> usize {
        match self.parsed::<usize>("limit", "a whole number") {
            None => DEFAULT_LIMIT,
            Some(limit @ 1..=MAX_LIMIT) => limit,
            Some(limit) => {
                let detail = format!("`{limit}` is not between 1 and {MAX_LIMIT}");
                self.refuse("limit", detail);
                DEFAULT_LIMIT
            }
        }
    }

    /// Takes `cursor` and `limit`.
    pub fn paging<P: DeserializeOwned>(&mut self) -> Paging<P> {
        let limit = self.limit();
        Paging {
            limit,
            ..self.cursor()
        }
    }

    /// Takes `cursor` alone, where entries of a page are not counted.
    pub fn cursor<P: DeserializeOwned>(&mut self) -> Paging<P> {
        let after =
            self.text("cursor")
                .and_then(|text| match cursor::decode(&self.query_hash, &text) {
                    Ok(position) => Some(position),
                    Err(cursor::Unusable::OtherQuery) => {
                        self.wrong_cursor = true;
                        None
                    }
                    Err(cursor::Unusable::Unreadable) => {
                        self.refuse(
                            "cursor",
                            "is no cursor: it is the `next_cursor` of the page before",
                        );
                        None
                    }
                });
        Paging {
            after,
            limit: DEFAULT_LIMIT,
            query_hash: self.query_hash.clone(),
        }
    }

    /// Ends reading.
    ///
    /// # Errors
    ///
    /// A [`Problem`] that names everything that is wrong.
    pub fn done(self) -> Result<(), Problem> {
        if !self.faults.is_empty() {
            return Err(refused(self.faults));
        }
        if self.wrong_cursor {
            return Err(Problem::new(Kind::CursorMismatch).detail(
                "a cursor goes on with the very query that gave it: repeat all other parameters, or begin \
                 without a cursor",
            ));
        }
        Ok(())
    }
}

/// The problem of a request with faults.
pub(crate) fn refused(faults: Vec<Fault>) -> Problem {
    let detail = match faults.as_slice() {
        [fault] => format!("{} {}: {}", fault.place, fault.name, fault.detail),
        faults => format!("{} parts of the request cannot be used", faults.len()),
    };
    Problem::new(Kind::InvalidRequest)
        .detail(detail)
        .errors(faults)
}

/// The beginning of a text that a caller sent.
fn shown(text: &str) -> String {
    text.chars().take(60).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: &[Param] = &[
        Param {
            name: "from",
            doc: "",
            form: Form::Date,
        },
        Param {
            name: "status",
            doc: "",
            form: Form::Word(&["active", "ended"]),
        },
        PAGED[0],
        PAGED[1],
    ];

    #[test]
    fn everything_that_is_wrong_is_told_at_once() {
        let mut reader = Reader::new("from=soon&status=up&form=1&limit=0&x=%ff", KNOWN, "/v1/x");
        assert_eq!(reader.date("from"), None);
        assert_eq!(reader.word("status"), None);
        let _: Paging<String> = reader.paging();
        let response = reader.done().unwrap_err().response::<String>();
        let body: serde_json::Value = serde_json::from_str(response.body()).unwrap();
        assert_eq!(body["errors"].as_array().unwrap().len(), 5, "{body}");
        let text = body.to_string();
        assert!(
            text.contains("there are: from, status, cursor, limit"),
            "{text}"
        );
        assert!(text.contains("`up` is none of active, ended"), "{text}");
    }

    #[test]
    fn a_cursor_goes_on_with_its_own_query_only() {
        let page = |query: &str| {
            let mut reader = Reader::new(query, KNOWN, "/v1/x");
            let paging: Paging<String> = reader.paging();
            reader.done().map(|()| paging)
        };
        let first = page("status=active").unwrap();
        let cursor = first.cursor(Some(&"here".to_owned())).unwrap();
        let next = page(&format!("cursor={cursor}&status=active&limit=7")).unwrap();
        assert_eq!((next.after.as_deref(), next.limit), (Some("here"), 7));
        let other = page(&format!("status=ended&cursor={cursor}")).unwrap_err();
        assert_eq!(other.kind(), Kind::CursorMismatch);
        let none = page("cursor=abc").unwrap_err();
        assert_eq!(none.kind(), Kind::InvalidRequest);
    }

    #[test]
    fn an_empty_parameter_is_refused_and_not_taken_for_none() {
        for query in ["from=", "status=active&from", "cursor="] {
            let mut reader = Reader::new(query, KNOWN, "/v1/x");
            let _: Paging<String> = reader.paging();
            assert!(
                reader.date("from").is_none() && reader.done().is_err(),
                "{query}"
            );
        }
    }

    #[test]
    fn a_parameter_that_is_given_twice_is_refused() {
        let reader = Reader::new("from=2026-01-01&from=2026-01-02", KNOWN, "/");
        assert!(reader.done().is_err());
    }
}
