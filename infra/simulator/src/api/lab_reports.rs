//! `/lab-reports`: uploads, sessions, deliveries, files.

use axum::http::{Method, StatusCode};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use super::{Forms, TerraApi, call::Call, reply::Reply};
use crate::calendar::instant;

/// The largest file.
const MOST_BYTES: usize = 20 * 1_024 * 1_024;

/// The newest sessions that a list has.
const LISTED: usize = 500;

/// From upload to result.
const PROCESSING: SignedDuration = SignedDuration::from_secs(60);

/// Smallest number of results of a report.
const RESULTS: usize = 5;

/// One session.
#[derive(Debug, Clone)]
struct Session {
    /// Body of the finished report.
    body: Map<String, Value>,
    uploaded_at: Timestamp,
    deleted: bool,
}

/// Everything uploaded.
#[derive(Debug, Default)]
pub(super) struct Reports {
    sessions: Vec<Session>,
}

impl TerraApi {
    pub(super) fn lab_reports(&self, call: &Call, forms: Forms, rest: &[&str]) -> Reply {
        let missing = || Reply::problem(call, forms, StatusCode::NOT_FOUND, "not found");
        match (&call.method, rest) {
            (&Method::POST, []) => self.upload(call, forms),
            (&Method::GET, []) => self.sessions(call),
            (&Method::GET, [id, sub @ ..]) => match (self.session(id), sub) {
                (Some(session), []) => Reply::json(&Value::Object(session)),
                (Some(_), ["deliveries"]) => Reply::json(&json!({
                    "deliveries": [{
                        "destination_id": "simulated",
                        "destination_type": "webhook",
                        "status": "delivered",
                        "attempt_count": 0,
                    }],
                })),
                (Some(_), ["files"]) => self.files(id),
                _ => missing(),
            },
            (&Method::DELETE, [id]) => {
                let mut state = self.state();
                let mut sessions = state.reports.sessions.iter_mut();
                match sessions.find(|session| session.is(id)) {
                    Some(session) => {
                        session.deleted = true;
                        Reply::text(StatusCode::NO_CONTENT, "application/json", "")
                    }
                    None => missing(),
                }
            }
            _ => missing(),
        }
    }

    /// Takes a file, whatever is in it, and reports on it a minute later.
    fn upload(&self, call: &Call, forms: Forms) -> Reply {
        let kind = call.header("content-type").unwrap_or_default();
        let has_file = call
            .body
            .windows(FILE_FIELD.len())
            .any(|window| window == FILE_FIELD);
        if !kind.starts_with("multipart/form-data") || !has_file {
            let detail = "the form has no file";
            return Reply::problem(call, forms, StatusCode::BAD_REQUEST, detail);
        }
        if call.body.len() > MOST_BYTES {
            let detail = "the file is larger than 20 MB";
            return Reply::problem(call, forms, StatusCode::BAD_REQUEST, detail);
        }
        let reference_id = call.parameter("reference_id").unwrap_or_default();
        let now = self.truth().now();
        let done = now.saturating_add(PROCESSING).unwrap_or(now);
        let mut state = self.state();
        let number = u64::try_from(state.reports.sessions.len()).unwrap_or(0) + 1;
        let webhook =
            self.mint(&mut state, done)
                .lab_report_completed(reference_id, number, RESULTS);
        let event: Value = serde_json::from_slice(&webhook.body).unwrap_or_default();
        let body = session(&event, now, done, call.body.len());
        let upload_id = event.get("upload_id").cloned().unwrap_or_default();
        state.outbox.put(done, webhook);
        state.reports.sessions.push(Session {
            body,
            uploaded_at: now,
            deleted: false,
        });
        let location = format!(
            "/api/v2/lab-reports?upload_id={}",
            upload_id.as_str().unwrap_or_default()
        );
        Reply::json(&json!({ "upload_id": upload_id, "current_status": "processing" }))
            .with_status(StatusCode::ACCEPTED)
            .with_header("location", location)
    }

    fn sessions(&self, call: &Call) -> Reply {
        let now = self.truth().now();
        let state = self.state();
        let sessions = state.reports.sessions.iter().rev();
        let listed: Vec<Value> = sessions
            .filter(|session| !session.deleted && session.matches(call))
            .take(LISTED)
            .map(|session| {
                let mut body = session.at(now);
                body.remove("results");
                body.remove("panels");
                Value::Object(body)
            })
            .collect();
        Reply::json(&json!({ "sessions": listed }))
    }

    fn session(&self, id: &str) -> Option<Map<String, Value>> {
        let now = self.truth().now();
        let state = self.state();
        let mut sessions = state.reports.sessions.iter();
        let session = sessions.find(|session| session.is(id))?;
        Some(session.at(now))
    }

    fn files(&self, id: &str) -> Reply {
        let expires = self
            .truth()
            .now()
            .saturating_add(SignedDuration::from_hours(1));
        let base = &self.shared.settings.public_url;
        Reply::json(&json!({
            "files": [{
                "filename": "report.pdf",
                "presigned_url": format!("{base}/payloads/{id}"),
            }],
            "expires_at": expires.map(instant).unwrap_or_default(),
        }))
    }
}

/// Text that a form with a file contains.
const FILE_FIELD: &[u8] = b"name=\"file\"";

impl Session {
    fn is(&self, id: &str) -> bool {
        !self.deleted && self.text("session_id") == Some(id)
    }

    fn text(&self, field: &str) -> Option<&str> {
        self.body.get(field)?.as_str()
    }

    /// Returns the report as it stands at a time: at first without results.
    fn at(&self, now: Timestamp) -> Map<String, Value> {
        let mut body = self.body.clone();
        let done = self.uploaded_at.saturating_add(PROCESSING);
        if done.is_ok_and(|done| now < done) {
            body.insert("current_status".to_owned(), "processing".into());
            body.remove("results");
            body.remove("panels");
        }
        body
    }

    fn matches(&self, call: &Call) -> bool {
        let same = |name| {
            let wanted = call.parameter(name);
            wanted.is_none_or(|wanted| self.text(name) == Some(wanted))
        };
        let within = |day: &str, from: &str, to: &str| {
            call.parameter(from).is_none_or(|from| day >= from)
                && call.parameter(to).is_none_or(|to| day <= to)
        };
        let reported = self.text("report_date").unwrap_or_default();
        let uploaded: String = instant(self.uploaded_at).chars().take(10).collect();
        same("reference_id")
            && same("upload_id")
            && within(reported, "report_date_from", "report_date_to")
            && within(&uploaded, "uploaded_at_from", "uploaded_at_to")
    }
}

/// A session from its event: collection date and time move from the results to the session.
fn session(event: &Value, now: Timestamp, done: Timestamp, bytes: usize) -> Map<String, Value> {
    let data = event.get("data").cloned().unwrap_or_default();
    let mut session = data.as_object().cloned().unwrap_or_default();
    let mut collected = Vec::new();
    if let Some(results) = session.get_mut("results").and_then(Value::as_array_mut) {
        for source in results
            .iter_mut()
            .filter_map(|result| result.get_mut("source")?.as_object_mut())
        {
            for name in ["collection_date", "collection_time"] {
                collected.extend(source.remove(name).map(|value| (name.to_owned(), value)));
            }
        }
    }
    session.extend(collected);
    if session.get("reference_id").is_some_and(|id| id == "") {
        session.remove("reference_id");
    }
    let entry = |status: &str, at: Timestamp| json!({ "status": status, "timestamp": instant(at) });
    let more = json!({
        "upload_id": event.get("upload_id"),
        "report_type": "lab",
        "current_status": "sent",
        "uploaded_at": instant(now),
        "updated_at": instant(done),
        "input_bytes": bytes,
        "file_count": 1,
        "status_history": [entry("processing", now), entry("sent", done)],
    });
    session.extend(more.as_object().cloned().unwrap_or_default());
    session
}
