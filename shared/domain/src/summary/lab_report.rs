//! Summary of a laboratory report.

use models::data::LabReport;

use super::table::{id, summary, take, text, whole};
use crate::key::Identity;

summary! {
    /// What a laboratory report comes to, or why there is none.
    LabReport(LabReportSummary) of record: LabReport<'_> {
        let error = take(record.error);
        identity = Identity {
            session_id: id(&record.session_id),
            reference_id: whole(&record.reference_id),
            ..Identity::default()
        };
    } {
        /// Date of the report. From `report_date`.
        report_date: String = text(&record.report_date),
        /// Number of results. Unit: count. From `results_count`.
        results_count: f64 = record.results_count.get(),
        /// Cause of a failure, as `file_unreadable`. From `error.code`.
        error_code: String = text(&error.code),
        /// Whether processing again may help. From `error.retriable`.
        retriable: bool = error.retriable.get(),
    }
}
