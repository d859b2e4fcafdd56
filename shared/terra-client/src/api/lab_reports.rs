//! Lab reports (FACTS section 11).

use bytes::Bytes;
use domain::pacing::Ask;
use http::Method;
use jiff::civil::Date;
use models::ids::ReferenceId;
use reqwest::Url;
use serde_json::{Map, Value};

use super::{
    TerraClient,
    answer::{count, text},
    call::{About, Call, Credentials, Repeat},
    error::TerraError,
};

/// Choice of lab reports. Everything may be left out; days are inclusive on both sides.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LabReportFilter {
    /// Reports of one person.
    pub reference_id: Option<ReferenceId>,
    /// Reports of one upload.
    pub upload_id: Option<String>,
    /// Reports of this day or later.
    pub report_date_from: Option<Date>,
    /// Reports of this day or earlier.
    pub report_date_to: Option<Date>,
    /// Uploads of this day or later.
    pub uploaded_at_from: Option<Date>,
    /// Uploads of this day or earlier.
    pub uploaded_at_to: Option<Date>,
}

/// A list of lab reports.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LabReports {
    /// Reports that have an id.
    pub sessions: Vec<LabReportSession>,
    /// Number of reports that had none and were left out.
    pub unreadable: usize,
}

impl LabReports {
    /// The most that Terra lists (FACTS section 11).
    pub const MOST: usize = 500;

    /// Returns whether there may be more than are listed: then narrow the filter.
    pub fn may_be_cut(&self) -> bool {
        self.sessions.len().saturating_add(self.unreadable) >= Self::MOST
    }
}

/// One lab report, without its results. Times are Terra's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabReportSession {
    /// Its id: a 64-bit number as text.
    pub session_id: String,
    /// The upload that it came from.
    pub upload_id: Option<String>,
    /// Person of the report.
    pub reference_id: Option<ReferenceId>,
    /// Progress of Terra with the report, as `processing` or `sent`. An open set.
    pub current_status: Option<String>,
    /// Time of the upload.
    pub uploaded_at: Option<String>,
    /// Time of the last change.
    pub updated_at: Option<String>,
    /// The day on the report, `YYYY-MM-DD`.
    pub report_date: Option<String>,
    /// Number of results. Unit: count.
    pub results_count: Option<u64>,
}

impl TerraClient {
    /// The account's lab reports, at most 500. Call: GET `/lab-reports`.
    ///
    /// # Errors
    ///
    /// [`TerraError::Unreachable`] when Terra does not answer, [`TerraError::RetryAfter`] when a limit
    /// is reached, [`TerraError::Credentials`] when Terra refuses ours, [`TerraError::NotSupported`]
    /// when the account has not enabled lab reports, [`TerraError::MalformedAnswer`] when the answer has
    /// no `sessions`.
    pub async fn lab_reports(&self, filter: &LabReportFilter) -> Result<LabReports, TerraError> {
        let parameters = filter.parameters();
        let query: Vec<(&str, &str)> = parameters
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        let call = self.lab_call("list lab reports", self.url(["lab-reports"], &query));
        let answer = self.transport().send(&call).await?;
        let object = answer.object(&call)?;
        let sessions = object.get("sessions").and_then(Value::as_array);
        let listed = sessions.ok_or_else(|| TerraError::unexpected(call.name, answer.status))?;
        let sessions: Vec<_> = listed.iter().filter_map(LabReportSession::of).collect();
        Ok(LabReports {
            unreadable: listed.len().saturating_sub(sessions.len()),
            sessions,
        })
    }

    /// One lab report with its results: the exact bytes of the answer, to be read as
    /// [`models::data::LabReport`]. Call: GET `/lab-reports/{session_id}`.
    ///
    /// # Errors
    ///
    /// Those of [`lab_reports`](Self::lab_reports), and [`TerraError::Gone`] for a report that Terra
    /// does not know.
    pub async fn lab_report(&self, session_id: &str) -> Result<Bytes, TerraError> {
        let url = self.url(["lab-reports", session_id], &[]);
        let call = self.lab_call("read a lab report", url);
        let answer = self.transport().send(&call).await?;
        let fields = answer.fields(&call)?;
        if !fields.contains_key("session_id") {
            return Err(TerraError::unexpected(call.name, answer.status));
        }
        Ok(answer.body.clone())
    }

    fn lab_call(&self, name: &'static str, url: Url) -> Call<'static> {
        Call {
            name,
            method: Method::GET,
            url,
            credentials: Credentials::Both,
            body: None,
            about: About::AddOn,
            repeat: Repeat::Harmless,
            max_bytes: self.bounds().answer_bytes,
            ask: Ask::default(),
        }
    }
}

impl LabReportFilter {
    fn parameters(&self) -> Vec<(&'static str, String)> {
        let day = |day: Option<Date>| day.map(|day| day.to_string());
        let reference_id = self.reference_id.as_ref();
        [
            (
                "reference_id",
                reference_id.map(|id| id.as_str().to_owned()),
            ),
            ("upload_id", self.upload_id.clone()),
            ("report_date_from", day(self.report_date_from)),
            ("report_date_to", day(self.report_date_to)),
            ("uploaded_at_from", day(self.uploaded_at_from)),
            ("uploaded_at_to", day(self.uploaded_at_to)),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect()
    }
}

impl LabReportSession {
    fn of(value: &Value) -> Option<Self> {
        let object: &Map<String, Value> = value.as_object()?;
        Some(Self {
            session_id: text(object, "session_id")?,
            upload_id: text(object, "upload_id"),
            reference_id: object.get("reference_id").and_then(ReferenceId::from_json),
            current_status: text(object, "current_status"),
            uploaded_at: text(object, "uploaded_at"),
            updated_at: text(object, "updated_at"),
            report_date: text(object, "report_date"),
            results_count: object.get("results_count").and_then(count),
        })
    }
}
