//! Lab reports: events without a user, keyed by session.

use serde_json::{Value, json};

use super::{Envelope, number::hundredths};
use crate::{
    Webhook, World,
    dice::{Dice, Purpose},
};

/// Biomarkers of a report: name on the report, key, LOINC code, unit, lower and upper bound.
const BIOMARKERS: [(&str, &str, &str, &str, f64, f64); 6] = [
    (
        "Hämoglobin (Hb)",
        "hemoglobin",
        "718-7",
        "g/L",
        120.0,
        160.0,
    ),
    ("Ferritin", "ferritin", "2276-4", "µg/L", 15.0, 150.0),
    (
        "Vitamin D (25-OH)",
        "vitamin_d_25_oh",
        "1989-3",
        "nmol/L",
        50.0,
        125.0,
    ),
    ("TSH", "tsh", "3016-3", "mIU/L", 0.4, 4.0),
    ("Glucose", "glucose", "2345-7", "mmol/L", 3.9, 5.6),
    ("eGFR", "egfr", "33914-3", "mL/min/1.73 m²", 90.0, 130.0),
];

impl World {
    /// A processed lab report with at least `results` results.
    ///
    /// The session stays the same for the same `session`, so that a second call is a reprocessing:
    /// new event id, same session.
    pub fn lab_report_completed(
        &mut self,
        reference_id: &str,
        session: u64,
        results: usize,
    ) -> Webhook {
        let session_id = session_id(session);
        let mut dice = Dice::of(&[session, Purpose::LabResults.number()]);
        let results: Vec<Value> = BIOMARKERS
            .iter()
            .cycle()
            .take(results.max(3))
            .map(|marker| result(marker, &mut dice))
            .collect();
        let mut results = results;
        results.push(unrecognised());
        let data = json!({
            "session_id": session_id,
            "reference_id": reference_id,
            "report_date": "2026-06-18",
            "report_time": "08:40",
            "report_locale": "de-CH",
            "results_count": results.len(),
            "results": results,
            "panels": [{ "id": 1, "name": "Blutbild", "key": "cbc" }],
            "report_notes": "nüchtern abgenommen",
        });
        self.lab_report("lab_report.completed", &session_id, session, data)
    }

    /// A lab report that could not be read.
    pub fn lab_report_failed(&mut self, reference_id: &str, session: u64) -> Webhook {
        let session_id = session_id(session);
        let codes = [
            "file_unreadable",
            "extraction_failed",
            "standardization_failed",
            "internal",
        ];
        let code = self.dice.one_of(&codes);
        let data = json!({
            "session_id": session_id,
            "reference_id": reference_id,
            "error": {
                "code": code,
                "message": "The report could not be processed",
                "retriable": code == "internal",
            },
        });
        self.lab_report("lab_report.failed", &session_id, session, data)
    }

    fn lab_report(
        &mut self,
        event_type: &str,
        session_id: &str,
        session: u64,
        data: Value,
    ) -> Webhook {
        let event_id = format!("evt_{}", self.dice.uuid());
        let occurred_at = format!("{:.0}", self.now());
        let envelope = Envelope::new(event_type)
            .with("event_id", event_id)
            .with("occurred_at", occurred_at)
            .with(
                "upload_id",
                Dice::of(&[session, Purpose::LabUpload.number()]).uuid(),
            )
            .with("data", data);
        Webhook {
            reference: Some(session_id.to_owned()),
            ..self.mint(envelope, None)
        }
    }
}

/// A 64-bit number in text.
fn session_id(session: u64) -> String {
    (297_405_620_317_847_552 + session).to_string()
}

fn result(marker: &(&str, &str, &str, &str, f64, f64), dice: &mut Dice) -> Value {
    let (name, key, loinc, units, lower, upper) = *marker;
    let value = hundredths(dice.between(lower * 0.8, upper * 1.15));
    let flag = match value {
        value if value < lower => "low",
        value if value > upper => "high",
        _ => "normal",
    };
    let measurement = match dice.whole(0, 4) {
        0 => json!({
            "type": "bounded",
            "bounded": { "operator": "<", "value": upper },
            "units": units,
        }),
        _ => json!({ "type": "numeric", "numeric": value, "units": units, "ucum_code": units }),
    };
    json!({
        "source": {
            "name": name,
            "panel": "Blutbild",
            "value": value.to_string(),
            "units": units,
            "reference_text": format!("{lower} – {upper}"),
            "collection_date": "2026-06-17",
            "collection_time": "07:50",
        },
        "biomarker": { "key": key, "display_name": name, "loinc_code": loinc, "panel_id": 1 },
        "measurement": measurement,
        "interpretation": {
            "flag": flag,
            "source": "computed",
            "applied_range": { "lower": lower, "upper": upper },
        },
        "reference_ranges": [{
            "lower": lower,
            "upper": upper,
            "type": "reference",
            "context": { "sex": "female", "age_lower": 18, "age_upper": 65 },
        }],
    })
}

/// A line that Terra could not match: a null key, to be kept.
fn unrecognised() -> Value {
    json!({
        "source": { "name": "Sonstiges", "value": "spurenweise" },
        "biomarker": { "key": null },
        "measurement": { "type": "qualitative", "qualitative": { "text": "spurenweise" } },
        "interpretation": { "flag": null, "source": "none" },
    })
}
