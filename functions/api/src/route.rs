//! Routes: each says who may, or does not compile.

use std::fmt;

use axum::routing::MethodFilter;
use domain::access::{Scope, TokenScope};
use futures::future::BoxFuture;

use crate::{answer::Answer, call::Call, error::Failure, query::Param, schema::SchemaOf};

/// Permission that a route asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// None: anybody may, without a key.
    Nothing,
    /// Any key.
    AnyKey,
    /// A key with this scope.
    One(Scope),
    /// A key with any of these.
    AnyOf(&'static [Scope]),
}

/// Rule for tokens of one person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PersonToken {
    /// No token will do.
    Never,
    /// A token with this scope, for the person of the path: a `{person}`, or the one behind a
    /// `{connection}`.
    With(TokenScope),
    /// Any token: the route shows nothing of anybody.
    Any,
}

/// Line of the audit that a route leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audit {
    /// None.
    Nothing,
    /// One where a human looks at a person.
    Read,
    /// One for each call.
    Change,
}

/// Callers of a route, and the note of a call. There is no default: every route says all three.
#[derive(Debug, Clone, Copy)]
pub struct Route {
    /// Permission of keys.
    pub scope: Needs,
    /// Rule for tokens of one person.
    pub person_token: PersonToken,
    /// Line of the audit.
    pub audit: Audit,
}

/// Answers a call.
pub type Handler = fn(Call) -> BoxFuture<'static, Result<Answer, Failure>>;

/// Description of an endpoint, for the document.
#[derive(Debug, Clone, Copy)]
pub struct Doc {
    /// One line.
    pub summary: &'static str,
    /// More of it, where that is needed.
    pub text: &'static str,
    /// Parameters of the query; the document and the reader of requests both go by them.
    pub query: &'static [Param],
    /// Schema of the body, where there is one.
    pub body: Option<SchemaOf>,
    /// Answer.
    pub answer: Reply,
}

/// Answer of an endpoint, for the document.
#[derive(Debug, Clone, Copy)]
pub enum Reply {
    /// 200 with JSON of this schema.
    Json(SchemaOf),
    /// Another status with JSON of this schema.
    With(u16, SchemaOf),
    /// One of these statuses with JSON of this schema.
    AnyOf(&'static [u16], SchemaOf),
    /// 204.
    Nothing,
    /// 200 with bytes of one of these kinds.
    Bytes(&'static [&'static str]),
}

/// Method of an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verb {
    /// GET.
    Get,
    /// POST.
    Post,
    /// PUT.
    Put,
    /// PATCH.
    Patch,
    /// DELETE.
    Delete,
}

impl Verb {
    /// The method in capitals.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }

    /// The router's word for it.
    pub(crate) fn filter(self) -> MethodFilter {
        match self {
            Self::Get => MethodFilter::GET,
            Self::Post => MethodFilter::POST,
            Self::Put => MethodFilter::PUT,
            Self::Patch => MethodFilter::PATCH,
            Self::Delete => MethodFilter::DELETE,
        }
    }
}

/// A route with its handler.
#[derive(Clone, Copy)]
pub struct Endpoint {
    /// Method.
    pub verb: Verb,
    /// Path with its places in braces.
    pub path: &'static str,
    /// Its callers.
    pub route: Route,
    /// Description.
    pub doc: Doc,
    /// Headers that its calls are read by, besides those of every call.
    pub headers: &'static [HeaderParam],
    /// Handler.
    pub handler: Handler,
}

/// A header that an endpoint reads.
#[derive(Debug, Clone, Copy)]
pub struct HeaderParam {
    /// Name of the header.
    pub name: &'static str,
    /// Its meaning, for the document.
    pub doc: &'static str,
    /// False if a call may lack it.
    pub required: bool,
}

/// The version that a change follows.
pub(crate) const IF_MATCH: HeaderParam = HeaderParam {
    name: "If-Match",
    doc: "Version that is there, as the tag of GET has it; `\"0\"` where there is none.",
    required: true,
};

/// The answer that the caller has.
pub(crate) const IF_NONE_MATCH: HeaderParam = HeaderParam {
    name: "If-None-Match",
    doc: "Tag of the answer that the caller has; it is a 304 while nothing changed.",
    required: false,
};

/// The caller's own text for a call that may come twice.
pub(crate) const IDEMPOTENCY_KEY: HeaderParam = HeaderParam {
    name: "Idempotency-Key",
    doc: "Any text of 1 to 255 bytes: the same call under it runs once within a day.",
    required: false,
};

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.verb.as_str(), self.path)
    }
}

impl Endpoint {
    /// GET.
    pub const fn get(path: &'static str, route: Route, doc: Doc, handler: Handler) -> Self {
        Self::new(Verb::Get, path, route, doc, handler)
    }

    /// POST.
    pub const fn post(path: &'static str, route: Route, doc: Doc, handler: Handler) -> Self {
        Self::new(Verb::Post, path, route, doc, handler)
    }

    /// PUT.
    pub const fn put(path: &'static str, route: Route, doc: Doc, handler: Handler) -> Self {
        Self::new(Verb::Put, path, route, doc, handler)
    }

    /// PATCH.
    pub const fn patch(path: &'static str, route: Route, doc: Doc, handler: Handler) -> Self {
        Self::new(Verb::Patch, path, route, doc, handler)
    }

    /// DELETE.
    pub const fn delete(path: &'static str, route: Route, doc: Doc, handler: Handler) -> Self {
        Self::new(Verb::Delete, path, route, doc, handler)
    }

    const fn new(verb: Verb, path: &'static str, route: Route, doc: Doc, handler: Handler) -> Self {
        Self {
            verb,
            path,
            route,
            doc,
            headers: &[],
            handler,
        }
    }

    /// With headers that its handler reads.
    pub(crate) const fn reading(self, headers: &'static [HeaderParam]) -> Self {
        Self { headers, ..self }
    }

    /// With answers that have a tag.
    pub(crate) const fn tagged(self) -> Self {
        self.reading(&[IF_NONE_MATCH])
    }

    /// The names of the places of the path.
    pub fn places(&self) -> impl Iterator<Item = &'static str> {
        let parts = self.path.split('/');
        parts.filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
    }
}
