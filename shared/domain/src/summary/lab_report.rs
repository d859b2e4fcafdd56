//! Summary of a laboratory report.

use models::data::LabReport;

use super::table::{id, listed, summary, take, text, whole};
use crate::{key::Identity, summary::Value};

summary! {
    /// Summary of a laboratory report, or the reason why there is none.
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
        /// True if processing again may help. From `error.retriable`.
        retriable: bool = error.retriable.get(),
        /// Results: a JSON array of at most 64 entries of `key` or `name`, with `numeric` and
        /// `units`, `operator` before a bound, `text`, and `flag`. From `results`.
        results: String = listed(&record.results, |result| {
            let biomarker = take(result.biomarker);
            let source = take(result.source);
            let measurement = take(result.measurement);
            let bounded = take(measurement.bounded);
            let word = take(measurement.qualitative);
            let numeric = measurement.numeric.get().or(bounded.value.get());
            vec![
                ("key", text(&biomarker.key).map(Value::Text)),
                ("name", text(&biomarker.display_name).or_else(|| text(&source.name)).map(Value::Text)),
                ("operator", text(&bounded.operator).map(Value::Text)),
                ("numeric", numeric.map(Value::Number)),
                ("units", text(&measurement.units).map(Value::Text)),
                ("text", text(&word.text).or_else(|| text(&measurement.text)).map(Value::Text)),
                ("flag", text(&take(result.interpretation).flag).map(Value::Text)),
            ]
        }),
    }
}
