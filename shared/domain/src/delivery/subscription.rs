//! Choice of the records that a destination wants.

use std::collections::BTreeSet;

use models::{
    data::DataType,
    ids::{Provider, ReferenceId},
};
use serde::{Deserialize, Serialize};

use super::Subject;
use crate::{connection::ConnectionId, owner::RecordOwner};

/// Treatment of records that a provider took back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Retractions {
    /// The record stays, marked.
    #[default]
    Mark,
    /// The record is deleted.
    Delete,
}

/// Choice of records. An empty set chooses all; every set has to match.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subscription {
    /// Data types.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub data_types: BTreeSet<DataType>,
    /// Providers, as Terra spells them.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub providers: BTreeSet<Provider>,
    /// People, by the app's ids.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub reference_ids: BTreeSet<ReferenceId>,
    /// Connections.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub connections: BTreeSet<ConnectionId>,
    /// True if records are sent with their samples.
    #[serde(default = "yes")]
    pub samples: bool,
    /// Treatment of records that a provider took back.
    #[serde(default)]
    pub retractions: Retractions,
}

fn yes() -> bool {
    true
}

impl Default for Subscription {
    fn default() -> Self {
        Self {
            data_types: BTreeSet::new(),
            providers: BTreeSet::new(),
            reference_ids: BTreeSet::new(),
            connections: BTreeSet::new(),
            samples: true,
            retractions: Retractions::default(),
        }
    }
}

impl Subscription {
    /// Returns whether the subject is wanted.
    ///
    /// A provider or person that is not known matches no set. A connection has no data type and
    /// matches any.
    pub fn wants(&self, subject: &Subject<'_>) -> bool {
        let chosen = |set_is_empty: bool, found: bool| set_is_empty || found;
        let connection = match subject.owner {
            RecordOwner::Connection(id) => Some(id),
            RecordOwner::Person(_) => None,
        };
        let provider = subject.provider;
        let person = subject.reference_id;
        subject
            .data_type
            .is_none_or(|data_type| self.has_type(data_type))
            && chosen(
                self.providers.is_empty(),
                provider.is_some_and(|provider| self.providers.contains(provider)),
            )
            && chosen(
                self.reference_ids.is_empty(),
                person.is_some_and(|person| self.reference_ids.contains(person)),
            )
            && chosen(
                self.connections.is_empty(),
                connection.is_some_and(|id| self.connections.contains(id)),
            )
    }

    /// Returns whether records of the data type are wanted.
    pub fn has_type(&self, data_type: DataType) -> bool {
        self.data_types.is_empty() || self.data_types.contains(&data_type)
    }
}

#[cfg(test)]
mod tests {
    use models::ids::TerraUserId;
    use proptest::prelude::*;

    use super::*;

    fn owner(number: u8) -> (RecordOwner, ConnectionId) {
        let user = TerraUserId::new(&format!("user-{number}")).unwrap();
        let id = ConnectionId::of(&user);
        (RecordOwner::Connection(id.clone()), id)
    }

    #[test]
    fn nothing_chosen_is_everything_and_every_choice_has_to_match() {
        let (owner, id) = owner(1);
        let (garmin, ann) = (
            Provider::new("GARMIN").unwrap(),
            ReferenceId::new("ann").unwrap(),
        );
        let subject = Subject {
            owner: &owner,
            data_type: Some(DataType::Daily),
            provider: Some(&garmin),
            reference_id: Some(&ann),
        };
        assert!(Subscription::default().wants(&subject));
        let chosen = Subscription {
            data_types: [DataType::Daily].into(),
            providers: [garmin.clone()].into(),
            reference_ids: [ann.clone()].into(),
            connections: [id].into(),
            ..Subscription::default()
        };
        assert!(chosen.wants(&subject));
        let other_type = Subject {
            data_type: Some(DataType::Sleep),
            ..subject
        };
        assert!(!chosen.wants(&other_type));
        let nobody = Subject {
            reference_id: None,
            ..subject
        };
        assert!(!chosen.wants(&nobody));
        let connection = Subject {
            data_type: None,
            ..subject
        };
        assert!(chosen.wants(&connection));
    }

    #[test]
    fn an_unknown_choice_is_refused() {
        let error = serde_json::from_str::<Subscription>(r#"{"data_type":["daily"]}"#).unwrap_err();
        assert!(error.to_string().contains("data_types"), "{error}");
    }

    proptest! {
        #[test]
        fn a_wider_choice_never_wants_less(types: Vec<bool>, chosen in 0_u8..4, asked in 0_u8..4) {
            let pairs = DataType::ALL.iter().zip(types);
            let data_types: BTreeSet<_> = pairs.filter(|(_, take)| *take).map(|(t, _)| *t).collect();
            let (asked, _) = owner(asked);
            let narrow = Subscription {
                data_types,
                connections: [owner(chosen).1].into(),
                ..Subscription::default()
            };
            for data_type in DataType::ALL {
                let subject = Subject {
                    owner: &asked, data_type: Some(data_type), provider: None, reference_id: None,
                };
                prop_assert!(!narrow.wants(&subject) || Subscription::default().wants(&subject));
            }
        }
    }
}
