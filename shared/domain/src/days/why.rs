//! Explanation of one value, from the very choice that made it.

use std::collections::BTreeMap;

use jiff::{Timestamp, civil::Date};
use models::ids::Provider;
use serde::{Serialize, Serializer};

use super::{
    day::{Decided, Wanted, decide},
    reading::Reading,
};
use crate::{
    history::day,
    locator::Locator,
    path_id::to_path,
    source::{
        Candidate, Choice, Decision, Metric, Policy, RecordRef, RuleRef, Source, Within, choose,
        words,
    },
    summary::Value,
};

/// The metric that is explained.
#[derive(Debug, Clone, Serialize)]
pub struct OfMetric {
    /// Name.
    pub id: &'static str,
    /// Unit.
    pub unit: &'static str,
    /// Group.
    pub group: crate::source::Group,
    /// Meaning of several values together.
    pub kind: crate::source::Kind,
}

impl From<&'static Metric> for OfMetric {
    fn from(metric: &'static Metric) -> Self {
        Self {
            id: metric.id,
            unit: metric.unit,
            group: metric.group,
            kind: metric.kind,
        }
    }
}

/// The day that is explained.
#[derive(Debug, Clone, Serialize)]
pub struct OfDay {
    /// The date.
    pub date: Date,
    /// Text of Terra's that the date was cut from; absent where another record of the same session gave it.
    pub cut_from: Option<String>,
    /// True when the day is over everywhere on Earth.
    pub over: bool,
}

/// The rule that decided.
#[derive(Debug, Clone, Serialize)]
pub struct OfRule {
    /// Level, version and place.
    #[serde(flatten)]
    pub rule: RuleRef,
    /// The rule in words.
    pub text: String,
}

/// Delivery that brought a value.
#[derive(Debug, Clone, Serialize)]
pub struct Delivery {
    /// Id of the webhook; written as it stands in a path.
    #[serde(serialize_with = "in_path")]
    pub webhook: String,
    /// Its ordering timestamp; written as RFC 3339. Unit: Unix milliseconds.
    #[serde(rename = "ordered_at", serialize_with = "rfc3339")]
    pub ordered_at_ms: i64,
    /// True if the data were asked for and did not come by themselves.
    pub asked_for: bool,
}

fn in_path<S: Serializer>(id: &str, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&to_path(id))
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's form")]
fn rfc3339<S: Serializer>(ms: &i64, serializer: S) -> Result<S::Ok, S::Error> {
    let at = Timestamp::from_millisecond(*ms).unwrap_or_default();
    serializer.serialize_str(&format!("{at:.3}"))
}

/// The chosen value and where it came from.
#[derive(Debug, Clone, Serialize)]
pub struct Chosen {
    /// The source.
    pub source: Source,
    /// The value.
    pub value: Value,
    /// Last delivered after the day was over.
    pub settled: bool,
    /// Made from samples.
    pub derived: bool,
    /// The record.
    pub record: RecordRef,
    /// Path in Terra's record.
    pub field: &'static str,
    /// The delivery.
    pub delivery: Delivery,
    /// Place of the record's bytes.
    pub archive: Option<Locator>,
}

/// A value that was not chosen.
#[derive(Debug, Clone, Serialize)]
pub struct Rejected {
    /// The source.
    pub source: Source,
    /// The value.
    pub value: Value,
    /// The record.
    pub record: RecordRef,
    /// The reason, as a word.
    pub reason: &'static str,
    /// The reason in words.
    pub text: String,
}

/// A connection without a value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Absent {
    /// The connection.
    pub connection: crate::connection::ConnectionId,
    /// Its provider.
    pub provider: Provider,
    /// State of the day, as the coverage map has it.
    pub state: String,
    /// Reason, as a word.
    pub why: Option<String>,
    /// The reason in words.
    pub text: String,
}

/// A doubt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Doubt {
    /// The doubt, as a word.
    pub kind: &'static str,
    /// The doubt in words.
    pub text: String,
}

/// The value that other preferences would give, by provider.
pub type IfPreferred = BTreeMap<String, Option<Value>>;

/// Choice of the record that leads the group.
#[derive(Debug, Clone, Serialize)]
pub struct LedBy {
    /// The metric that decided, or the group as a whole.
    pub metric: &'static str,
    /// Step that decided there.
    pub decided_by: Option<&'static str>,
    /// The choice there, in words.
    pub sentence: String,
}

/// Explanation of one metric of one day.
#[derive(Debug, Clone, Serialize)]
pub struct Why {
    /// The metric.
    pub metric: OfMetric,
    /// The day.
    pub day: OfDay,
    /// The value; absent when there is none.
    pub value: Option<Value>,
    /// The choice in words.
    pub sentence: String,
    /// Step that decided.
    pub decided_by: Option<&'static str>,
    /// Choice within a tier that the rules ask for.
    pub within: Within,
    /// The rule.
    pub rule: OfRule,
    /// Choice of the record that leads the group.
    pub led_by: Option<LedBy>,
    /// The chosen value.
    pub chosen: Option<Chosen>,
    /// The others.
    pub rejected: Vec<Rejected>,
    /// Connections without a value.
    pub absent: Vec<Absent>,
    /// Doubts about the value.
    pub warnings: Vec<Doubt>,
    /// Values that other preferences would give.
    pub if_preferred: IfPreferred,
}

/// Explains a metric of a day.
///
/// `readings` are those of the day and of [`DAYS_AROUND`](super::DAYS_AROUND), `absent` the connections of which no record has a value, as the coverage map knows them.
pub fn why(
    metric: &'static Metric,
    date: Date,
    readings: &[&Reading],
    policy: &Policy,
    absent: Vec<Absent>,
    now_ms: i64,
) -> Why {
    let wanted = Wanted::of(&[metric], &[]);
    let day = decide(date, readings, policy, &wanted);
    let decided = day.value(metric.id).cloned().unwrap_or_else(|| Decided {
        metric,
        candidates: Vec::new(),
        choice: choose(metric, &[], policy),
        led_by: None,
    });
    let chosen = decided.chosen();
    let reading = chosen.and_then(|chosen| {
        let mut readings = readings.iter();
        readings.find(|reading| reading.record == chosen.record)
    });
    let own = reading.filter(|reading| reading.day == date);
    let cut_from = own.and_then(|reading| match reading.interval {
        Some(_) if reading.day != reading.started_on => reading.end_time.clone(),
        _ => reading.start_time.clone(),
    });
    let Choice { rule, within, .. } = decided.choice.clone();
    let preferred = decided
        .candidates
        .iter()
        .map(|candidate| &candidate.source.provider);
    let mut if_preferred = IfPreferred::new();
    for provider in preferred {
        if !if_preferred.contains_key(provider.as_str()) {
            let policy = policy.preferring(std::slice::from_ref(provider));
            let day = decide(date, readings, &policy, &wanted);
            let value = day.value(metric.id).and_then(Decided::chosen);
            let value = value.map(|chosen| chosen.value.clone());
            if_preferred.insert(provider.to_string(), value);
        }
    }
    let rejected = decided.choice.rejected.iter();
    Why {
        metric: metric.into(),
        day: OfDay {
            date,
            cut_from,
            over: now_ms >= day::over_ms(date),
        },
        value: chosen.map(|chosen| chosen.value.clone()),
        sentence: sentence(&decided),
        decided_by: decided.choice.decided_by.map(Decision::as_str),
        within,
        rule: OfRule {
            rule,
            text: words::rules(&policy.rules_for(metric)),
        },
        led_by: decided.led_by.as_deref().map(|lead| LedBy {
            metric: lead.metric.id,
            decided_by: lead.choice.decided_by.map(Decision::as_str),
            sentence: lead_sentence(lead),
        }),
        chosen: chosen.map(|chosen| self::chosen(chosen, reading.copied())),
        rejected: rejected
            .filter_map(|(index, reason)| {
                let candidate = decided.candidates.get(*index)?;
                Some(Rejected {
                    source: candidate.source.clone(),
                    value: candidate.value.clone(),
                    record: candidate.record.clone(),
                    reason: reason.as_str(),
                    text: words::reason(metric, &decided.choice, reason, candidate),
                })
            })
            .collect(),
        absent,
        warnings: decided
            .choice
            .warnings
            .iter()
            .map(|warning| Doubt {
                kind: warning.as_str(),
                text: words::warning(*warning),
            })
            .collect(),
        if_preferred,
    }
}

fn sentence(decided: &Decided) -> String {
    words::sentence(decided.metric, &decided.candidates, &decided.choice)
}

/// The choice of a leading record in words. A record of a whole group has no value of its own, so only a metric
/// is told with its values.
fn lead_sentence(lead: &Decided) -> String {
    if lead.metric.places.is_empty() {
        words::record_sentence(lead.metric, &lead.candidates, &lead.choice)
    } else {
        sentence(lead)
    }
}

fn chosen(candidate: &Candidate, reading: Option<&Reading>) -> Chosen {
    let webhook = &candidate.delivered.webhook_id;
    let id = models::ids::WebhookId::new(webhook);
    Chosen {
        source: candidate.source.clone(),
        value: candidate.value.clone(),
        settled: candidate.settled,
        derived: candidate.derived,
        record: candidate.record.clone(),
        field: candidate.field,
        delivery: Delivery {
            webhook: webhook.clone(),
            ordered_at_ms: candidate.delivered.ordering_ts_ms,
            asked_for: id.is_some_and(|id| id.is_fetched()),
        },
        archive: reading.map(|reading| reading.locator.clone()),
    }
}
