//! Terra's own calls: reads served from own data, and the rest passed on. A client of Terra's that is pointed at
//! `/terra/v2` works as it is.

mod connect;
mod data;
mod users;

use domain::access::Scope;
use http::StatusCode;
use jiff::{Timestamp, ToSpan as _, civil::Date, tz::TimeZone};
use runtime::problem::{Kind, Problem};
use serde_json::{Value, json};
use store::table::connections::StoredConnection;

use crate::{
    answer::Answer,
    call::Call,
    error::Failure,
    query::{Form, Param},
    route::{Audit, Doc, Endpoint, Needs, PersonToken, Reply, Route},
    schema::Schema as _,
    text::{decoded, rfc3339},
};

/// Beginning of the paths.
pub(crate) const ROOT: &str = "/terra/v2/";

/// Every endpoint under `/terra/v2`.
pub(crate) fn endpoints() -> Vec<Endpoint> {
    [data::ENDPOINTS, users::ENDPOINTS, connect::ENDPOINTS].concat()
}

/// A read as Terra has it. Its callers are servers, which Terra's keys are for.
const READS: Route = Route {
    scope: Needs::One(Scope::PeopleRead),
    person_token: PersonToken::Never,
    audit: Audit::Read,
};

const fn reads(summary: &'static str, query: &'static [Param]) -> Doc {
    Doc {
        summary,
        text: "In Terra's own form, from what was stored. Parameters that Terra has and that mean nothing here are \
               taken and have no effect.",
        query,
        body: None,
        answer: Reply::Json(Value::schema),
    }
}

const fn text(name: &'static str, doc: &'static str) -> Param {
    Param {
        name,
        doc,
        form: Form::Text,
    }
}

/// The problem of a call in Terra's form.
pub(crate) fn problem(problem: &Problem) -> Answer {
    let kind = problem.kind();
    let status = match kind {
        // Terra knows nobody who was erased.
        Kind::Gone => StatusCode::NOT_FOUND,
        _ => kind.status(),
    };
    let detail = match kind {
        Kind::AnswerTooLarge => FEWER_DAYS,
        _ => problem.detail_text().unwrap_or_else(|| kind.title()),
    };
    let title = match detail {
        UNSUPPORTED => "invalid data type".to_owned(),
        _ => status.canonical_reason().unwrap_or_default().to_lowercase(),
    };
    let body = json!({"type": "about:blank", "title": title, "detail": detail});
    let body = serde_json::to_vec(&body).unwrap_or_default();
    Answer::of(body, "application/problem+json")
        .status(status)
        .unkept()
}

/// Detail of the answer for a type that a provider does not have.
const UNSUPPORTED: &str = "this connection does not support the requested data type";

/// Detail of the refusal of an answer that is too large.
const FEWER_DAYS: &str = "ask for fewer days";

/// A parameter, also one that the document does not name. Terra ignores what it does not know.
fn parameter(call: &Call, name: &str) -> Option<String> {
    let mut pairs = call
        .query
        .split('&')
        .filter_map(|pair| pair.split_once('='));
    let (_, value) = pairs.find(|(given, _)| *given == name)?;
    decoded(value, true).filter(|value| !value.is_empty())
}

fn refused(detail: &str) -> Failure {
    Problem::new(Kind::InvalidRequest).detail(detail).into()
}

fn no_user() -> Failure {
    Failure::not_found("user not found")
}

/// A day of a request: a date, ten-digit seconds, or the date that a longer text begins with.
fn day(call: &Call, name: &str) -> Result<Option<Date>, Failure> {
    parsed(call, name, day_of)
}

/// The end of a request, whose day is not included: of a moment within a day, the day after.
fn end_day(call: &Call, name: &str) -> Result<Option<Date>, Failure> {
    parsed(call, name, end_of)
}

fn parsed(
    call: &Call,
    name: &str,
    parse: fn(&str) -> Option<Date>,
) -> Result<Option<Date>, Failure> {
    let text = parameter(call, name);
    text.map(|text| parse(&text).ok_or_else(|| refused(&format!("invalid {name}"))))
        .transpose()
}

/// Ten-digit seconds since 1970.
fn seconds_of(text: &str) -> Option<Timestamp> {
    let seconds = (text.len() == 10).then(|| text.parse().ok()).flatten()?;
    Timestamp::from_second(seconds).ok()
}

fn day_of(text: &str) -> Option<Date> {
    match seconds_of(text) {
        Some(at) => Some(at.to_zoned(TimeZone::UTC).date()),
        None => text.get(..10)?.parse().ok(),
    }
}

fn end_of(text: &str) -> Option<Date> {
    let day = day_of(text)?;
    let is_midnight = if let Some(at) = seconds_of(text) {
        at.as_second() % 86_400 == 0
    } else {
        // The time of day alone: an offset behind it has digits, too.
        let time = text.get(10..).unwrap_or_default();
        let time = time.trim_start_matches(['T', 't', ' ']);
        let mut time = time.split(|c: char| !c.is_ascii_digit() && !".:".contains(c));
        let time = time.next().unwrap_or_default();
        !time.contains(|c: char| ('1'..='9').contains(&c))
    };
    Some(if is_midnight {
        day
    } else {
        day.saturating_add(1.days())
    })
}

/// The connection of a Terra user id, current or former.
async fn connection(call: &Call) -> Result<StoredConnection, Failure> {
    let user = parameter(call, "user_id").ok_or_else(|| refused("missing user_id"))?;
    call.find_connection(&user)
        .await
        .map_err(|failure| match failure {
            Failure::Refused(_) => no_user(),
            failure => failure,
        })
}

/// The `user` of an answer.
fn user(connection: &StoredConnection) -> Value {
    let state = &connection.state;
    let scopes = state.scopes().map(|scopes| {
        let scopes: Vec<_> = scopes.0.into_iter().collect();
        scopes.join(",")
    });
    json!({
        "user_id": state.current().map(|(id, _)| id),
        "provider": state.provider(),
        "created_at": state.connected_at_ms().map(rfc3339),
        "last_webhook_update": state.data_at_ms().map(rfc3339),
        "scopes": scopes,
        "reference_id": state.reference_id(),
        "active": state.status() != domain::connection::Status::Ended,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_at_midnight_leaves_its_day_out_and_a_later_one_takes_it_in() {
        for midnight in [
            "2026-11-20",
            "2026-11-20T00:00:00Z",
            "2026-11-20T00:00:00.000000+01:00",
            "2026-11-20T00:00:00-05:00",
            "2026-11-20T00:00:00+0530",
            // An offset whose sign was not encoded.
            "2026-11-20T00:00:00 01:00",
            "2026-11-20 00:00",
            "1795132800",
        ] {
            assert_eq!(end_of(midnight), day_of("2026-11-20"), "{midnight}");
        }
        for later in [
            "2026-11-20T00:00:00.000001+00:00",
            "2026-11-20T09:00:00+01:00",
            "2026-11-20 23:59",
            "1795132801",
        ] {
            assert_eq!(end_of(later), day_of("2026-11-21"), "{later}");
        }
        for wrong in ["", "soon", "2026-13-01", "2026-11-2"] {
            assert_eq!((day_of(wrong), end_of(wrong)), (None, None), "{wrong}");
        }
    }
}
