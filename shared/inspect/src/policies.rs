//! Source policies, and what another one would change.

use std::collections::BTreeMap;

use domain::{
    days::{Day, Decided, Wanted, decide_all},
    source::{Metric, Policy, policy::Document, words},
    summary::Value,
};
use jiff::civil::Date;
use models::ids::ReferenceId;
use serde::Serialize;
use store::table::{
    Table,
    policies::{PolicyOwner, StoredPolicy},
};

use crate::{error::InspectError, person::Person};

/// The policies that count for a person, or for everybody without one of their own.
///
/// # Errors
///
/// [`InspectError::Table`].
pub async fn policy_of(
    table: &Table,
    person: Option<&ReferenceId>,
) -> Result<Policy, InspectError> {
    let of_person = async {
        match person {
            Some(person) => {
                let owner = PolicyOwner::Person(person.clone());
                table.source_policy(&owner).await
            }
            None => Ok(None),
        }
    };
    let of_app = table.source_policy(&PolicyOwner::App);
    let (app, person) = futures::future::try_join(of_app, of_person).await?;
    let document = |stored: Option<StoredPolicy>| stored?.document;
    Ok(Policy {
        call: None,
        person: document(person),
        app: document(app),
    })
}

/// Level at which a policy is tried.
#[derive(Debug, Clone, PartialEq)]
pub struct PreviewQuery {
    /// The document to try.
    pub document: Document,
    /// True: in the place of the person's policy; else in that of the app's.
    pub for_person: bool,
    /// First day.
    pub from: Date,
    /// Last day, included.
    pub to: Date,
}

/// A value that would be another one.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Change {
    /// The day.
    pub day: Date,
    /// The metric.
    pub metric: &'static str,
    /// The value now.
    pub now: Option<Value>,
    /// Its source now.
    pub now_from: Option<String>,
    /// The value then.
    pub then: Option<Value>,
    /// Its source then.
    pub then_from: Option<String>,
}

/// Effect of a policy on one person.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Preview {
    /// Values that would be others.
    pub changed: Vec<Change>,
    /// Number of values that would stay.
    pub unchanged: usize,
}

/// Tries a policy on the days of a person. Nothing is written.
///
/// # Errors
///
/// [`InspectError::Table`].
pub async fn preview(
    table: &Table,
    person: &Person,
    query: &PreviewQuery,
) -> Result<Preview, InspectError> {
    let wanted = Wanted::default();
    let types = wanted.types();
    let readings = person.readings(table, &types, query.from, query.to).await?;
    let document = Some(query.document.clone());
    let tried = if query.for_person {
        Policy {
            person: document,
            ..person.policy.clone()
        }
    } else {
        Policy {
            app: document,
            ..person.policy.clone()
        }
    };
    let days = (query.from, query.to);
    let now = decide_all(&readings, &person.policy, &wanted, days);
    let then = decide_all(&readings, &tried, &wanted, days);
    // A session may count for another day, so that a day may have values with one policy alone.
    let mut by_date = BTreeMap::<Date, (Option<&Day>, Option<&Day>)>::new();
    for day in &now {
        by_date.entry(day.date).or_default().0 = Some(day);
    }
    for day in &then {
        by_date.entry(day.date).or_default().1 = Some(day);
    }
    let mut preview = Preview::default();
    for (date, days) in by_date.into_iter().rev() {
        preview.compare(date, days);
    }
    Ok(preview)
}

impl Preview {
    /// Compares a day as it is with what it would be.
    fn compare(&mut self, day: Date, (now, then): (Option<&Day>, Option<&Day>)) {
        for metric in Metric::all() {
            let now = now.and_then(|day| day.value(metric.id));
            let then = then.and_then(|day| day.value(metric.id));
            if now.is_none() && then.is_none() {
                continue;
            }
            let before = now.and_then(Decided::chosen);
            let after = then.and_then(Decided::chosen);
            let source = |candidate: Option<&domain::source::Candidate>| {
                candidate.map(|candidate| (candidate.record.clone(), candidate.field))
            };
            if source(before) == source(after) {
                self.unchanged += 1;
                continue;
            }
            self.changed.push(Change {
                day,
                metric: metric.id,
                now: before.map(|candidate| candidate.value.clone()),
                now_from: before.map(|candidate| words::source(&candidate.source)),
                then: after.map(|candidate| candidate.value.clone()),
                then_from: after.map(|candidate| words::source(&candidate.source)),
            });
        }
    }
}
