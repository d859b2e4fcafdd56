//! One visit to a page: who visits, what they ask for, and what the API answers.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use bytes::Bytes;
use domain::{access::Scope, history::day};
use http::HeaderMap;
use jiff::{Timestamp, civil::Date};
use serde_json::Value;
use store::table::access::AuditLine;

use super::{guard::Signed, words::query_of};
use crate::{
    answer::Answer,
    call::{Call, Caller, Known, Origin},
    config::App,
    error::Failure,
    id,
    route::Verb,
    serve,
};

/// One visit to a page.
#[derive(Debug)]
pub(super) struct Visit {
    pub(super) app: Arc<App>,
    /// Session of the visitor.
    pub(super) signed: Signed,
    pub(super) now: Timestamp,
    pub(super) request_id: String,
    /// Number of lines of the audit that were counted out to calls and looks.
    pub(super) lines: AtomicU32,
    /// Host, as the browser names it.
    pub(super) host: String,
    pub(super) placed: BTreeMap<String, String>,
    pub(super) query: BTreeMap<String, String>,
    pub(super) form: BTreeMap<String, String>,
    /// Answers about the person of the page, read once.
    pub(super) known: Arc<Known>,
}

impl Visit {
    /// Now. Unit: Unix milliseconds.
    pub(super) fn now_ms(&self) -> i64 {
        self.now.as_millisecond()
    }

    /// The latest day that has begun anywhere on Earth: nothing is known of later ones.
    pub(super) fn latest_day(&self) -> Date {
        day::latest_on_earth(self.now_ms())
    }

    /// Returns whether the visitor has a permission.
    pub(super) fn may(&self, scope: Scope) -> bool {
        self.signed.session.role.scopes().contains(&scope)
    }

    /// Returns whether the visitor may see health values.
    pub(super) fn sees_values(&self) -> bool {
        self.may(Scope::PeopleRead)
    }

    /// The text in a place of the path, as it stands there; empty where there is none.
    pub(super) fn placed(&self, name: &str) -> &str {
        self.placed.get(name).map_or("", String::as_str)
    }

    /// A parameter of the query; empty where there is none.
    pub(super) fn asked(&self, name: &str) -> &str {
        self.query.get(name).map_or("", String::as_str)
    }

    /// A member of the form; empty where there is none.
    pub(super) fn filled(&self, name: &str) -> &str {
        self.form.get(name).map_or("", |text| text.trim())
    }

    /// Name of the visitor in the audit.
    pub(super) fn actor(&self) -> String {
        self.caller().name()
    }

    /// A number that no other line of this request has.
    fn next_line(&self) -> u32 {
        self.lines.fetch_add(1, Ordering::Relaxed)
    }

    fn caller(&self) -> Caller {
        Caller::Console(Box::new(self.signed.session.clone()))
    }

    /// Asks the API, with the permissions of the visitor's role.
    pub(super) async fn ask(
        &self,
        path: &'static str,
        placed: &[(&'static str, &str)],
        query: &[(&str, &str)],
    ) -> Result<Value, Failure> {
        let answer = self.call(Verb::Get, path, placed, query, Bytes::new());
        Ok(serde_json::from_slice(&answer.await?.body).unwrap_or_default())
    }

    /// Asks the API for something that may not be there.
    pub(super) async fn ask_if_there(
        &self,
        path: &'static str,
        placed: &[(&'static str, &str)],
    ) -> Result<Option<Value>, Failure> {
        match self.ask(path, placed, &[]).await {
            Ok(found) => Ok(Some(found)),
            Err(failure) if failure.problem().kind().status().is_client_error() => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// Calls the API.
    pub(super) async fn call(
        &self,
        verb: Verb,
        path: &'static str,
        placed: &[(&'static str, &str)],
        query: &[(&str, &str)],
        body: Bytes,
    ) -> Result<Answer, Failure> {
        self.call_with(verb, path, placed, query, HeaderMap::new(), body)
            .await
    }

    /// Calls the API with headers.
    pub(super) async fn call_with(
        &self,
        verb: Verb,
        path: &'static str,
        placed: &[(&'static str, &str)],
        query: &[(&str, &str)],
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Answer, Failure> {
        let endpoints = serve::endpoints();
        let found = endpoints
            .into_iter()
            .find(|endpoint| endpoint.verb == verb && endpoint.path == path);
        let endpoint = found.ok_or_else(|| Failure::not_found("the API does not have this"))?;
        let mut whole = path.to_owned();
        for (name, text) in placed {
            whole = whole.replace(&format!("{{{name}}}"), text);
        }
        let placed = placed
            .iter()
            .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
            .collect();
        let call = Call {
            app: Arc::clone(&self.app),
            caller: self.caller(),
            now: self.now,
            origin: Origin::new(self.now_ms()),
            headers,
            request_id: self.request_id.clone(),
            line: self.next_line(),
            path: whole,
            placed,
            query: query_of(query.iter().copied()),
            params: endpoint.doc.query,
            body,
            known: Arc::clone(&self.known),
        };
        serve::call_of_page(call, endpoint).await
    }

    /// Notes that the visitor looked at a person. `person` is the id as it stands in paths.
    pub(super) async fn looked_at(
        &self,
        person: Option<&str>,
        subject: Option<String>,
        route: &str,
    ) -> Result<(), Failure> {
        let line = AuditLine {
            at_ms: self.now_ms(),
            actor: self.actor(),
            action: format!("GET {route}"),
            person: person.and_then(id::from_path),
            subject,
            request_id: self.request_id.clone(),
            number: self.next_line(),
            status: 200,
        };
        Ok(self.app.table.audit(&line).await?)
    }

    /// Notes a change that the visitor made.
    pub(super) async fn noted(&self, action: &str, subject: String) -> Result<(), Failure> {
        let line = AuditLine {
            at_ms: self.now_ms(),
            actor: self.actor(),
            action: action.to_owned(),
            person: None,
            subject: Some(subject),
            request_id: self.request_id.clone(),
            number: self.next_line(),
            status: 200,
        };
        Ok(self.app.table.audit(&line).await?)
    }
}
