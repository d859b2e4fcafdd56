//! Records that a provider takes back.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Emission, Member, Truth, TruthRecord};
use crate::{
    DataType,
    dice::{Purpose, fingerprint},
};

/// A record that was taken back.
#[derive(Debug, Clone)]
pub(super) struct Retraction {
    at: Timestamp,
    /// The record as the webhook has it that takes it back.
    record: TruthRecord,
}

impl Truth {
    /// Takes a record of a live connection back, now: Terra stops listing it, and a webhook has it with
    /// the mark of a retraction (FACTS section 9). Returns `false` if there is no such live connection,
    /// or the type knows no retractions.
    pub fn retract(&self, terra_user_id: &str, record: &TruthRecord) -> bool {
        let at = self.now();
        let mut record = record.clone();
        if !mark(&mut record) {
            return false;
        }
        let mut members = self.members();
        let Some(member) = members.current_mut(terra_user_id) else {
            return false;
        };
        let is_live = member.is_live(at);
        if is_live {
            member.retractions.push(Retraction { at, record });
        }
        is_live
    }

    /// Adds the webhooks that take records of a connection back in `from..to`.
    pub(super) fn retractions_between(
        &self,
        member: &Member,
        from: Timestamp,
        to: Timestamp,
        emissions: &mut Vec<Emission>,
    ) {
        let connection = member.as_it_stands();
        for Retraction { at, record } in &member.retractions {
            let is_over = member.ended.is_some_and(|ended| ended <= *at);
            if is_over || !(from..to).contains(at) {
                continue;
            }
            let name = format!("{} {}", record.data_type.as_str(), record.key);
            let parts = [
                connection.account,
                Purpose::Retraction.number(),
                fingerprint(name.as_bytes()),
            ];
            let texts = [record.body.to_string()];
            let mut world = self.moment(&parts, *at);
            emissions.push(Emission {
                at: *at,
                data_type: Some(record.data_type),
                day: Some(record.day),
                webhook: world.data_of(&connection, record.data_type, &texts),
            });
        }
    }
}

impl Member {
    /// Returns whether a record had been taken back by then.
    pub(super) fn has_taken_back(&self, record: &TruthRecord, then: Timestamp) -> bool {
        self.retractions.iter().any(|retraction| {
            let (at, taken) = (retraction.at, &retraction.record);
            at <= then && taken.data_type == record.data_type && taken.key == record.key
        })
    }
}

/// Marks a record as taken back. Returns `false` for types that know no such mark.
fn mark(record: &mut TruthRecord) -> bool {
    let (place, name, value) = match record.data_type {
        DataType::Activity | DataType::Daily => ("/metadata", "upload_type", 4),
        DataType::HealthObservation => ("/observation_data", "status", 3),
        _ => return false,
    };
    let object = record
        .body
        .pointer_mut(place)
        .and_then(Value::as_object_mut);
    object.is_some_and(|object| {
        object.insert(name.to_owned(), json!(value));
        true
    })
}
