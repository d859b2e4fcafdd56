//! Mentions of people in what is about something else: lines of the audit, answers that are kept for repetitions, choices
//! and orders of destinations. After an erasure a hash stands in the place of each id, or nothing.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_dynamodb::types::AttributeValue;
use domain::{
    connection::ConnectionId,
    delivery::{Destination, Subscription, order::Order},
};
use models::ids::ReferenceId;

use super::{
    Table, TableError,
    access::{AuditLine, KeptCall, caller_of_exports, caller_of_token, hashed},
    destinations::decode,
    first_items,
    key::{BY_TIME, Key},
};

/// Ids of an erased person, each with its keyed hash.
#[derive(Clone, Default)]
pub struct Renamed {
    /// Reference ids, Terra user ids and connections.
    pub ids: BTreeMap<String, String>,
    /// People under whose reference ids the person's may be mentioned. They are not renamed by this alone.
    pub people: BTreeSet<ReferenceId>,
}

/// Shows nothing of the person.
impl std::fmt::Debug for Renamed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Renamed(…)")
    }
}

/// Numbers of items that mentioned a person.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Mentions {
    /// Lines of the audit.
    pub audit: u64,
    /// Kept answers.
    pub calls: u64,
    /// Destinations and their orders.
    pub destinations: u64,
}

impl Renamed {
    fn name<'a>(&'a self, id: &'a str) -> &'a str {
        self.ids.get(id).map_or(id, String::as_str)
    }

    /// Puts the hashes in the place of the ids. Returns whether there was one.
    fn line(&self, line: &mut AuditLine) -> bool {
        let before = line.clone();
        line.person = line.person.as_deref().map(|id| self.name(id).to_owned());
        let subject = line.subject.as_deref();
        line.subject = subject.map(|subject| {
            let ids = subject.split('/').map(|id| self.name(id));
            ids.collect::<Vec<_>>().join("/")
        });
        *line != before
    }

    /// The same for a choice. A hash matches nobody, and a choice of nobody stays one.
    fn choice(&self, choice: &mut Subscription) -> bool {
        let before = choice.clone();
        let people = std::mem::take(&mut choice.reference_ids).into_iter();
        let hash = |id: ReferenceId| ReferenceId::new(self.name(id.as_str())).unwrap_or(id);
        choice.reference_ids = people.map(hash).collect();
        let connections = std::mem::take(&mut choice.connections).into_iter();
        let hash = |id: ConnectionId| match self.ids.get(id.as_str()) {
            // An id has half as many digits.
            Some(hash) => hash
                .get(..32)
                .and_then(|half| half.parse().ok())
                .unwrap_or(id),
            None => id,
        };
        choice.connections = connections.map(hash).collect();
        *choice != before
    }

    fn order(&self, order: &mut Order) -> bool {
        let listed = order.differences.len();
        order
            .differences
            .retain(|difference| !self.ids.contains_key(&difference.owner));
        self.choice(&mut order.range.subscription) || order.differences.len() < listed
    }

    /// Returns whether a kept call is about the person.
    fn is_meant(&self, call: &KeptCall) -> bool {
        let answer = call.answer.as_ref().and_then(|it| it.body.as_deref());
        self.ids.keys().any(|id| {
            // As a string of JSON: an id may be as short as a digit.
            let text = serde_json::to_string(id).unwrap_or_default();
            call.about.contains(&hashed(id)) || answer.is_some_and(|body| body.contains(&text))
        })
    }
}

impl Table {
    /// Takes every mention of an erased person out. May run twice.
    ///
    /// # Errors
    ///
    /// [`TableError::Unavailable`] when DynamoDB does not answer, [`TableError::Corrupt`] when an item cannot be read,
    /// [`TableError::Contended`] when others keep writing a destination.
    pub async fn erase_mentions(&self, renamed: &Renamed) -> Result<Mentions, TableError> {
        Ok(Mentions {
            audit: self.rename_in_audit(renamed).await?,
            calls: self.forget_calls_about(renamed).await?,
            destinations: self.rename_at_destinations(renamed).await?,
        })
    }

    async fn rename_in_audit(&self, renamed: &Renamed) -> Result<u64, TableError> {
        let people = renamed.people.iter().map(ReferenceId::as_str);
        let names: BTreeSet<&str> = renamed
            .ids
            .keys()
            .map(String::as_str)
            .chain(people)
            .collect();
        let mut count = 0;
        for name in names {
            let partition = Key::audit_naming(&hashed(name));
            let query = self
                .client
                .query()
                .table_name(&self.name)
                .index_name(BY_TIME)
                .key_condition_expression("time_pk = :name")
                .expression_attribute_values(":name", AttributeValue::S(partition));
            let found = first_items(query, usize::MAX, "the audit").await?;
            let keys: Vec<Key> = found.iter().filter_map(Key::of_item).collect();
            for (key, item) in self.batch_get(keys).await? {
                let mut line: AuditLine = decode(&key, item)?;
                if renamed.line(&mut line) {
                    // Under the same key: nothing that is renamed is in its place.
                    self.audit(&line).await?;
                    count += 1;
                }
            }
        }
        Ok(count)
    }

    async fn forget_calls_about(&self, renamed: &Renamed) -> Result<u64, TableError> {
        let keys = self.api_keys().await?;
        let theirs = |person: &&ReferenceId| renamed.ids.contains_key(person.as_str());
        let mut callers = vec![("terra".to_owned(), false)];
        callers.extend(keys.iter().map(|key| (key.id.to_string(), false)));
        for person in renamed.people.iter().filter(theirs) {
            let tokens = keys.iter().map(|key| caller_of_token(&key.id, person));
            let own = tokens.chain([caller_of_exports(person)]);
            callers.extend(own.map(|caller| (caller, true)));
        }
        let mut count = 0;
        for (caller, is_theirs) in callers {
            // One after the other: there may be a day of them, each with its whole answer.
            let query = self
                .client
                .query()
                .table_name(&self.name)
                .consistent_read(true)
                .key_condition_expression("pk = :pk")
                .expression_attribute_values(":pk", AttributeValue::S(Key::calls_of(&caller)));
            let mut items = query.into_paginator().items().send();
            while let Some(item) = items.next().await {
                let item = item.map_err(TableError::unavailable("query", "kept answers"))?;
                let Some(key) = Key::of_item(&item) else {
                    continue;
                };
                // One that cannot be read goes too: it would within a day.
                if is_theirs || decode(&key, item).map_or(true, |call| renamed.is_meant(&call)) {
                    self.delete(&key).await?;
                    count += 1;
                }
            }
        }
        Ok(count)
    }

    async fn rename_at_destinations(&self, renamed: &Renamed) -> Result<u64, TableError> {
        let mut count = 0;
        for destination in self.destinations().await? {
            let id = &destination.id;
            if renamed.choice(&mut destination.subscription.clone()) {
                let change = |destination: &mut Destination| {
                    renamed.choice(&mut destination.subscription);
                };
                self.change_destination(id, change).await?;
                count += 1;
            }
            for order in self.orders(id).await? {
                if renamed.order(&mut order.clone()) {
                    let change = |order: &mut Order| {
                        renamed.order(order);
                    };
                    self.change_order(id, &order.id, change).await?;
                    count += 1;
                }
            }
        }
        Ok(count)
    }
}
