//! A laboratory report read from a document.

use crate::lenient::{Flag, List, Number, Object, Text, terra_object};

terra_object! {
    /// A laboratory report. Key: `session_id`. Absent fields were not found in the document.
    ///
    /// Schema: `LabReportEventData.yaml`.
    pub struct LabReport<'a> {
        /// The report's id: a 64-bit number as text.
        session_id: Text<'a>,
        /// The app's own id of the person.
        reference_id: Text<'a>,
        /// Date of the report, `YYYY-MM-DD`.
        report_date: Text<'a>,
        /// Time of the report.
        report_time: Text<'a>,
        /// Language of the report.
        report_locale: Text<'a>,
        /// Number of results. Unit: count.
        results_count: Number,
        /// The results.
        results: List<'a, LabReportResult<'a>>,
        /// Groups of results.
        panels: List<'a, LabReportPanel<'a>>,
        /// Notes on the report.
        report_notes: Text<'a>,
        /// Only in a failure, whose schema is `LabReportFailureData.yaml`.
        error: Object<LabReportError<'a>>,
    }

    /// Cause of an unreadable document.
    ///
    /// Schema: `LabReportEventError.yaml`.
    pub struct LabReportError<'a> {
        /// Cause, as `file_unreadable`; open list.
        code: Text<'a>,
        /// Cause in words.
        message: Text<'a>,
        /// True if processing again may help.
        retriable: Flag,
    }

    /// A group of results.
    ///
    /// Schema: `LabReportPanel.yaml`.
    pub struct LabReportPanel<'a> {
        /// Number within the report.
        id: Number,
        /// Name.
        name: Text<'a>,
        /// Terra's key of the panel.
        key: Text<'a>,
    }

    /// One result.
    ///
    /// Schema: `LabReportEventResult.yaml`.
    pub struct LabReportResult<'a> {
        /// Text of the document.
        source: Object<LabReportResultSource<'a>>,
        /// Biomarker that was measured.
        biomarker: Object<LabReportBiomarker<'a>>,
        /// The value.
        measurement: Object<LabReportMeasurement<'a>>,
        /// Meaning of the value.
        interpretation: Object<LabReportInterpretation<'a>>,
        /// Ranges to compare with.
        reference_ranges: List<'a, LabReportReferenceRange<'a>>,
    }

    /// Text of the document, word for word.
    ///
    /// Schema: `LabReportEventResultSource.yaml`.
    pub struct LabReportResultSource<'a> {
        /// Name.
        name: Text<'a>,
        /// Panel.
        panel: Text<'a>,
        /// Value.
        value: Text<'a>,
        /// Units.
        units: Text<'a>,
        /// Flag.
        flag: Text<'a>,
        /// Method.
        method: Text<'a>,
        /// Notes.
        notes: Text<'a>,
        /// Reference range.
        reference_text: Text<'a>,
        /// Date of the collection, `YYYY-MM-DD`.
        collection_date: Text<'a>,
        /// Time of the collection.
        collection_time: Text<'a>,
    }

    /// Biomarker that was measured.
    ///
    /// Schema: `LabReportBiomarker.yaml`.
    pub struct LabReportBiomarker<'a> {
        /// Terra's key. Absent: not recognised.
        key: Text<'a>,
        /// Name.
        display_name: Text<'a>,
        /// LOINC code.
        loinc_code: Text<'a>,
        /// `id` of the panel it belongs to.
        panel_id: Number,
        /// `key` of the panel it belongs to.
        panel_key: Text<'a>,
        /// Specimen that was examined.
        specimen: Text<'a>,
    }

    /// The value; `type` names the field that holds it.
    ///
    /// Schema: `LabReportMeasurement.yaml`.
    pub struct LabReportMeasurement<'a> {
        /// `numeric`, `bounded`, `qualitative`, `text` or `absent`.
        kind as "type": Text<'a>,
        /// A number, in `units`.
        numeric: Number,
        /// A bound, in `units`.
        bounded: Object<LabReportBoundedValue<'a>>,
        /// A word.
        qualitative: Object<LabReportQualitativeValue<'a>>,
        /// Text.
        text: Text<'a>,
        /// Reason why there is none.
        absent_reason: Text<'a>,
        /// Units, as in the document.
        units: Text<'a>,
        /// Units, in UCUM.
        ucum_code: Text<'a>,
    }

    /// A value known only as a bound.
    ///
    /// Schema: `LabReportBoundedValue.yaml`.
    pub struct LabReportBoundedValue<'a> {
        /// `<`, `>` and the like.
        operator: Text<'a>,
        /// The bound.
        value: Number,
    }

    /// A value that is a word.
    ///
    /// Schema: `LabReportQualitativeValue.yaml`.
    pub struct LabReportQualitativeValue<'a> {
        /// The word.
        text: Text<'a>,
        /// Its code.
        code: Text<'a>,
    }

    /// Meaning of a value.
    ///
    /// Schema: `LabReportInterpretation.yaml`.
    pub struct LabReportInterpretation<'a> {
        /// Verdict, as `high`. Absent: none.
        flag: Text<'a>,
        /// Verdict as in the document.
        flag_raw: Text<'a>,
        /// Source of the judgement: `report`, `computed` or `none`.
        source: Text<'a>,
        /// The range that was applied.
        applied_range: Object<LabReportAppliedRange>,
    }

    /// The range that was applied.
    ///
    /// Schema: `LabReportAppliedRange.yaml`.
    pub struct LabReportAppliedRange {
        /// Lower bound, in the units of the measurement.
        lower: Number,
        /// Upper bound, in the units of the measurement.
        upper: Number,
    }

    /// A range to compare with.
    ///
    /// Schema: `LabReportReferenceRange.yaml`.
    pub struct LabReportReferenceRange<'a> {
        /// Lower bound, in the units of the measurement.
        lower: Number,
        /// Upper bound, in the units of the measurement.
        upper: Number,
        /// Kind of range.
        kind as "type": Text<'a>,
        /// People that the range holds for.
        context: Object<LabReportRangeContext<'a>>,
    }

    /// People that a range holds for.
    ///
    /// Schema: `LabReportRangeContext.yaml`.
    pub struct LabReportRangeContext<'a> {
        /// Sex.
        sex: Text<'a>,
        /// Lowest age. Unit: years.
        age_lower: Number,
        /// Highest age. Unit: years.
        age_upper: Number,
        /// Pregnancy.
        pregnancy_status: Text<'a>,
        /// First week of pregnancy. Unit: weeks.
        gestational_week_lower: Number,
        /// Last week of pregnancy. Unit: weeks.
        gestational_week_upper: Number,
        /// Phase of the cycle.
        cycle_phase: Text<'a>,
        /// Population.
        reference_population: Text<'a>,
        /// Anything else.
        modifiers: List<'a, Text<'a>>,
    }
}
