//! Destinations in the table: what operators set up, how each is, and what was ordered.
//!
//! The definition of a destination changes when an operator changes it, its health when it fails or
//! comes back: two items, so that neither writer disturbs the other.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::AttributeValue;
use domain::{
    connection::ConnectionId,
    delivery::{
        Destination, DestinationId, Status,
        breaker::Breaker,
        order::{Order, Purpose},
        probe::Probe,
    },
    owner::RecordOwner,
};
use futures::future::BoxFuture;
use models::ids::{ReferenceId, TerraUserId};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{
    MAX_ATTEMPTS, Stored, Table, TableError,
    attribute::{Item, to_attribute, to_json},
    back_off,
    key::{ERASURE, Key, ORDER},
    revision, stamped,
};

/// Attribute that holds the state of an item as one map.
const STATE: &str = "state";

/// Health of a destination, as its deliveries found it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Health {
    /// True if it answers.
    pub breaker: Breaker,
    /// Shards to which something is owed, with the time since when. Unit: Unix milliseconds.
    pub owing: BTreeMap<u32, i64>,
    /// Time of the last delivery that arrived, as noted now and then. Unit: Unix milliseconds.
    pub delivered_at_ms: Option<i64>,
    /// True if a delivery may be on the list of those refused for good.
    pub has_failed: bool,
    /// Findings of making tables: columns of another type, for example.
    pub findings: Vec<String>,
    /// Newest probe that was asked for.
    pub probe: Option<Probe>,
    /// Chains of jobs that deliver what is owed, by shard.
    pub draining: BTreeMap<u32, Draining>,
}

/// A chain of jobs that deliver what is owed to a shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Draining {
    /// Second in which it began.
    pub chain: i64,
    /// The next job.
    pub step: u32,
    /// Time of the last job. Unit: Unix milliseconds.
    pub at_ms: i64,
}

/// An erasure at one destination. It never expires: it is the proof.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErasureOrder {
    /// Id, in the order of time.
    pub id: String,
    /// The person; taken out once the erasure is done.
    pub reference_id: Option<ReferenceId>,
    /// Every connection id that the person's records ever lay under.
    pub connections: Vec<ConnectionId>,
    /// Every Terra user id of the person; taken out once the erasure is done.
    pub terra_user_ids: Vec<TerraUserId>,
    /// Time at which the erasure was ordered. Unit: Unix milliseconds.
    pub asked_at_ms: i64,
    /// Results by shard.
    #[serde(default)]
    pub results: BTreeMap<u32, ErasureResult>,
    /// True if every shard is done.
    #[serde(default)]
    pub is_done: bool,
}

/// Shows nothing of the person.
impl std::fmt::Debug for ErasureOrder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ErasureOrder")
            .field("id", &self.id)
            .field("results", &self.results)
            .finish_non_exhaustive()
    }
}

impl ErasureOrder {
    /// Owners whose records are to be erased: the connections and the person.
    pub fn owners(&self) -> Vec<RecordOwner> {
        let connections = self.connections.iter().cloned();
        let mut owners: Vec<_> = connections.map(RecordOwner::Connection).collect();
        if self.reference_id.is_some() {
            owners.push(RecordOwner::Person(self.reference_id.clone()));
        }
        owners
    }

    /// Marks the erasure as done. What is left of it is a receipt, which names nobody.
    pub fn end(&mut self) {
        self.is_done = true;
        self.reference_id = None;
        self.terra_user_ids.clear();
    }
}

/// Result of an erasure in one shard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErasureResult {
    /// Time at which it was done. Unit: Unix milliseconds.
    pub done_at_ms: i64,
    /// Records removed at the destination, where it tells.
    pub removed: Option<u64>,
    /// Data that have to be removed by hand, because we cannot.
    pub manual: Option<String>,
}

impl Table {
    /// Returns all destinations.
    ///
    /// # Errors
    ///
    /// [`TableError::Unavailable`] when DynamoDB does not answer, [`TableError::Corrupt`] when an item
    /// cannot be read.
    pub async fn destinations(&self) -> Result<Vec<Destination>, TableError> {
        let (pk, prefix) = Key::destinations();
        self.states(&pk, &prefix).await
    }

    /// Returns one destination.
    ///
    /// # Errors
    ///
    /// Those of [`Table::destinations`].
    pub async fn destination(&self, id: &DestinationId) -> Result<Option<Destination>, TableError> {
        let stored = self.state_of(&Key::destination(id)).await?;
        Ok(stored.map(|stored| stored.state))
    }

    /// Makes a destination. Returns `false` when there is one with this id.
    ///
    /// # Errors
    ///
    /// [`TableError::Unavailable`] when DynamoDB does not answer.
    pub async fn add_destination(&self, destination: &Destination) -> Result<bool, TableError> {
        let key = Key::destination(&destination.id);
        self.put_if(&key, encode(destination), None).await
    }

    /// Changes a destination. Returns it as it is then, or `None` when there is none.
    ///
    /// # Errors
    ///
    /// Those of [`Table::destinations`], and [`TableError::Contended`] when others keep writing it.
    pub fn change_destination<'a>(
        &'a self,
        id: &'a DestinationId,
        change: impl Fn(&mut Destination) + Send + Sync + 'a,
    ) -> BoxFuture<'a, Result<Option<Destination>, TableError>> {
        self.change_known(Key::destination(id), change)
    }

    /// Pauses a destination that is active. Returns it as it is then, or `None` when there is none.
    ///
    /// # Errors
    ///
    /// Those of [`Table::change_destination`].
    pub async fn pause_destination(
        &self,
        id: &DestinationId,
        now_ms: i64,
    ) -> Result<Option<Destination>, TableError> {
        self.change_destination(id, |it| it.pause(now_ms)).await
    }

    /// Resumes a destination that is paused or disabled, and tries it at once. What a disabled one was not told is
    /// ordered for it, under the id `order`. Returns it as it is then, or `None` when there is none.
    ///
    /// # Errors
    ///
    /// Those of [`Table::change_destination`]. Resuming it again goes on.
    pub async fn resume_destination(
        &self,
        id: &DestinationId,
        order: &str,
        now_ms: i64,
    ) -> Result<Option<Destination>, TableError> {
        for _ in 0..MAX_ATTEMPTS {
            let Some(found) = self.destination(id).await? else {
                return Ok(None);
            };
            if let Some(untold) = found.untold() {
                let purpose = Purpose::Redrive { force: false };
                let order = Order::new(order.to_owned(), purpose, untold, now_ms);
                self.put_order(id, &order).await?;
            }
            // One that was disabled since then lacks more.
            let is_same = |it: &Destination| {
                (it.status, it.status_since_ms) == (found.status, found.status_since_ms)
            };
            let resume = |it: &mut Destination| {
                if is_same(it) {
                    it.resume(now_ms);
                }
            };
            let resumed = self.change_destination(id, resume).await?;
            if resumed
                .as_ref()
                .is_some_and(|it| it.status == Status::Disabled)
            {
                continue;
            }
            self.change_health(id, |health| {
                health.breaker = std::mem::take(&mut health.breaker).resumed(now_ms);
            })
            .await?;
            return Ok(resumed);
        }
        Err(TableError::Contended {
            operation: "resume",
            key: Key::destination(id),
            attempts: MAX_ATTEMPTS,
        })
    }

    /// Removes a destination with everything that is kept about it but erasures, which are proofs. One that is not
    /// done ends with the word that it has to be done by hand.
    ///
    /// # Errors
    ///
    /// Those of [`Table::change_destination`]. Removing it again goes on.
    pub async fn remove_destination(
        &self,
        destination: &Destination,
        now_ms: i64,
    ) -> Result<(), TableError> {
        let id = &destination.id;
        // First: from here on nothing is announced. It is deleted last, so that removing it again goes on.
        self.change_destination(id, |it| it.status = Status::Disabled)
            .await?;
        let mut partitions: Vec<_> = (0..destination.concurrency)
            .map(|shard| Key::owed_pk(id, shard))
            .collect();
        partitions.push(Key::failed_pk(id));
        partitions.push(Key::destination_pk(id));
        for erasure in self.erasures(id).await?.iter().filter(|it| !it.is_done) {
            self.give_up_erasure(id, &erasure.id, now_ms).await?;
        }
        for pk in partitions {
            let items = self.query(&pk, "").await?;
            for key in items.iter().filter_map(Key::of_item) {
                if !key.sk().starts_with(ERASURE) {
                    self.delete(&key).await?;
                }
            }
        }
        self.delete(&Key::destination(id)).await
    }

    /// Ends an erasure whose destination was removed before it was done.
    ///
    /// # Errors
    ///
    /// Those of [`Table::change_destination`].
    pub async fn give_up_erasure(
        &self,
        id: &DestinationId,
        erasure: &str,
        now_ms: i64,
    ) -> Result<(), TableError> {
        let result = ErasureResult {
            done_at_ms: now_ms,
            removed: None,
            manual: Some(
                "the destination was removed before the erasure: remove the person's data there"
                    .to_owned(),
            ),
        };
        let end = |order: &mut ErasureOrder| {
            order.results.insert(0, result.clone());
            order.end();
        };
        self.change_erasure(id, erasure, end).await?;
        Ok(())
    }

    /// Returns the health of a destination.
    ///
    /// # Errors
    ///
    /// Those of [`Table::destinations`].
    pub async fn health(&self, id: &DestinationId) -> Result<Health, TableError> {
        let stored = self.state_of(&Key::destination_health(id)).await?;
        Ok(stored.map(|stored| stored.state).unwrap_or_default())
    }

    /// Changes the health of a destination. Nothing is written where nothing changes.
    ///
    /// # Errors
    ///
    /// Those of [`Table::change_destination`].
    pub fn change_health<'a>(
        &'a self,
        id: &'a DestinationId,
        change: impl Fn(&mut Health) + Send + Sync + 'a,
    ) -> BoxFuture<'a, Result<Health, TableError>> {
        // Boxed: the compiler does not see through the closures that such a future may cross threads.
        Box::pin(async move {
            let changed = self
                .change(&Key::destination_health(id), |state| {
                    let mut health: Health = state.unwrap_or_default();
                    change(&mut health);
                    Some(health)
                })
                .await?;
            Ok(changed.unwrap_or_default())
        })
    }

    /// Gives an order, unless it was given already. Returns it as it is then.
    ///
    /// # Errors
    ///
    /// Those of [`Table::destinations`].
    pub async fn add_order(&self, id: &DestinationId, order: Order) -> Result<Order, TableError> {
        let key = Key::order(id, &order.id);
        if self.put_if(&key, encode(&order), None).await? {
            return Ok(order);
        }
        Ok(self.order(id, &order.id).await?.unwrap_or(order))
    }

    /// Gives an order, or writes it anew.
    ///
    /// # Errors
    ///
    /// Those of [`Table::change_destination`].
    pub async fn put_order(&self, id: &DestinationId, order: &Order) -> Result<(), TableError> {
        let key = Key::order(id, &order.id);
        let item = stamped(&key, encode(order), None);
        self.put(&key, item, "write").await
    }

    /// Returns one order.
    ///
    /// # Errors
    ///
    /// Those of [`Table::destinations`].
    pub async fn order(
        &self,
        id: &DestinationId,
        order: &str,
    ) -> Result<Option<Order>, TableError> {
        let stored = self.state_of(&Key::order(id, order)).await?;
        Ok(stored.map(|stored| stored.state))
    }

    /// Returns the orders for a destination, oldest first.
    ///
    /// # Errors
    ///
    /// Those of [`Table::destinations`].
    pub async fn orders(&self, id: &DestinationId) -> Result<Vec<Order>, TableError> {
        self.states(&Key::destination_pk(id), ORDER).await
    }

    /// Changes an order. Returns it as it is then, or `None` when there is none.
    ///
    /// # Errors
    ///
    /// Those of [`Table::change_destination`].
    pub fn change_order<'a>(
        &'a self,
        id: &'a DestinationId,
        order: &'a str,
        change: impl Fn(&mut Order) + Send + Sync + 'a,
    ) -> BoxFuture<'a, Result<Option<Order>, TableError>> {
        self.change_known(Key::order(id, order), change)
    }

    /// Removes an order.
    ///
    /// # Errors
    ///
    /// [`TableError::Unavailable`] when DynamoDB does not answer.
    pub async fn remove_order(&self, id: &DestinationId, order: &str) -> Result<(), TableError> {
        self.delete(&Key::order(id, order)).await
    }

    /// Orders an erasure at a destination.
    ///
    /// # Errors
    ///
    /// [`TableError::Unavailable`] when DynamoDB does not answer.
    pub async fn put_erasure(
        &self,
        id: &DestinationId,
        erasure: &ErasureOrder,
    ) -> Result<(), TableError> {
        let key = Key::erasure(id, &erasure.id);
        let item = stamped(&key, encode(erasure), None);
        self.put(&key, item, "write").await
    }

    /// Returns one erasure.
    ///
    /// # Errors
    ///
    /// Those of [`Table::destinations`].
    pub async fn erasure(
        &self,
        id: &DestinationId,
        erasure: &str,
    ) -> Result<Option<ErasureOrder>, TableError> {
        let stored = self.state_of(&Key::erasure(id, erasure)).await?;
        Ok(stored.map(|stored| stored.state))
    }

    /// Returns the erasures at a destination, oldest first.
    ///
    /// # Errors
    ///
    /// Those of [`Table::destinations`].
    pub async fn erasures(&self, id: &DestinationId) -> Result<Vec<ErasureOrder>, TableError> {
        self.states(&Key::destination_pk(id), ERASURE).await
    }

    /// Changes an erasure. Returns it as it is then, or `None` when there is none.
    ///
    /// # Errors
    ///
    /// Those of [`Table::change_destination`].
    pub fn change_erasure<'a>(
        &'a self,
        id: &'a DestinationId,
        erasure: &'a str,
        change: impl Fn(&mut ErasureOrder) + Send + Sync + 'a,
    ) -> BoxFuture<'a, Result<Option<ErasureOrder>, TableError>> {
        self.change_known(Key::erasure(id, erasure), change)
    }

    /// Changes a state that is there. Returns it as it is then, or `None` when there is none.
    pub(super) fn change_known<
        'a,
        T: DeserializeOwned + Serialize + PartialEq + Clone + Send + 'a,
    >(
        &'a self,
        key: Key,
        change: impl Fn(&mut T) + Send + Sync + 'a,
    ) -> BoxFuture<'a, Result<Option<T>, TableError>> {
        // Boxed: the compiler does not see through the closures that such a future may cross threads.
        Box::pin(async move {
            self.change(&key, |state: Option<T>| {
                state.map(|mut state| {
                    change(&mut state);
                    state
                })
            })
            .await
        })
    }

    pub(super) async fn states<T: DeserializeOwned>(
        &self,
        pk: &str,
        prefix: &str,
    ) -> Result<Vec<T>, TableError> {
        let mut states = Vec::new();
        for item in self.query(pk, prefix).await? {
            if let Some(key) = Key::of_item(&item) {
                states.push(decode(&key, item)?);
            }
        }
        Ok(states)
    }

    pub(super) async fn state_of<T: DeserializeOwned>(
        &self,
        key: &Key,
    ) -> Result<Option<Stored<T>>, TableError> {
        let item = self.get(key).await?;
        item.map(|item| {
            let revision = revision(key, &item)?;
            let state = decode(key, item)?;
            Ok(Stored { state, revision })
        })
        .transpose()
    }

    /// Reads, changes and writes on the condition that nobody wrote in between. A `change` to `None`
    /// writes nothing.
    pub(super) async fn change<T: DeserializeOwned + Serialize + PartialEq + Clone>(
        &self,
        key: &Key,
        change: impl Fn(Option<T>) -> Option<T>,
    ) -> Result<Option<T>, TableError> {
        self.change_as(key, encode, change).await
    }

    /// Does the same with an item of its own shape.
    pub(super) async fn change_as<T: DeserializeOwned + PartialEq + Clone>(
        &self,
        key: &Key,
        encode: impl Fn(&T) -> Item,
        change: impl Fn(Option<T>) -> Option<T>,
    ) -> Result<Option<T>, TableError> {
        for attempt in 0..MAX_ATTEMPTS {
            back_off(attempt).await;
            let stored = self.state_of::<T>(key).await?;
            let (state, at) = stored.map(|stored| (stored.state, stored.revision)).unzip();
            let next = change(state.clone());
            if next == state {
                return Ok(next);
            }
            let Some(next) = next else { return Ok(None) };
            let written = self.put_if(key, encode(&next), at).await?;
            if written {
                return Ok(Some(next));
            }
        }
        Err(TableError::Contended {
            operation: "write",
            key: key.clone(),
            attempts: MAX_ATTEMPTS,
        })
    }
}

/// A state as one attribute.
pub(super) fn encode<T: Serialize>(state: &T) -> Item {
    let json = serde_json::to_value(state).unwrap_or_default();
    Item::from([(STATE.to_owned(), to_attribute(json))])
}

pub(super) fn decode<T: DeserializeOwned>(key: &Key, mut item: Item) -> Result<T, TableError> {
    let json = item.remove(STATE).map(to_json).unwrap_or_default();
    serde_json::from_value(json).map_err(|_| TableError::Corrupt {
        key: key.clone(),
        field: STATE,
    })
}

/// A moment as a sort key of attributes. Unit: Unix milliseconds.
pub(super) fn at(ms: i64) -> AttributeValue {
    AttributeValue::S(Key::due_at(ms))
}
