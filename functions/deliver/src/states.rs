//! Current states of changed subjects, read from the table and the archive.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bytes::Bytes;
use destinations::{
    change::{Body, Cause, Change, PassedWebhook, RecordState, Source},
    id::{DeliveryId, OwnerId, RecordId},
};
use domain::{
    Retry,
    compose::{Sampled, compose},
    connection::{Connection, ConnectionId},
    delivery::{Changed, Destination, Retractions, Subject},
    key::NaturalKey,
    owner::RecordOwner,
};
use futures::{StreamExt as _, TryStreamExt as _, future::BoxFuture, stream};
use jiff::{Timestamp, civil::Date};
use models::{data::DataType, ids::TerraUserId};
use runtime::telemetry::Chain;
use store::{
    archive::ArchiveError,
    table::{connections::StoredConnection, records::RecordNow},
};

use crate::{config::App, error::DeliverError};

/// Payloads that are read at once.
const CONCURRENT_READS: usize = 8;
/// Bytes of payloads after which no more are read, but for those on their way.
const MOST_BYTES: usize = 32 << 20;

/// One subject on its way.
#[derive(Debug, Clone)]
pub(crate) struct Going {
    /// Subject that changed.
    pub(crate) changed: Changed,
    /// Reason of this delivery.
    pub(crate) cause: Cause,
    /// True if it is written over an equal revision too.
    pub(crate) force: bool,
    /// Number of this attempt, from 1.
    pub(crate) attempt: u32,
    /// Times that the destination refused it.
    pub(crate) refusals: u32,
    /// Time at which the first attempt failed. Unit: Unix milliseconds.
    pub(crate) first_failed_at_ms: Option<i64>,
}

/// Key of a record.
type RecordKey = (RecordOwner, DataType, NaturalKey);

fn record_key(changed: &Changed) -> Option<RecordKey> {
    match changed {
        Changed::Record {
            owner,
            data_type,
            key,
            ..
        } => {
            let key = key
                .parse()
                .unwrap_or_else(|never: std::convert::Infallible| match never {});
            Some((owner.clone(), *data_type, key))
        }
        Changed::Connection { .. } | Changed::Webhook { .. } => None,
    }
}

/// Name of a changed record or connection at destinations; `None` for a webhook, which is no record.
pub(crate) fn record_id(changed: &Changed) -> Option<RecordId> {
    let owner = OwnerId::of(&changed.owner());
    match changed {
        Changed::Record { .. } => {
            let (_, data_type, key) = record_key(changed)?;
            Some(RecordId::of(&owner, data_type, &key))
        }
        Changed::Connection { .. } => Some(RecordId::of_connection(&owner)),
        Changed::Webhook { .. } => None,
    }
}

/// State of a subject, as it was read.
#[derive(Debug)]
pub(crate) enum State {
    /// Change to deliver.
    Change(Box<Change>),
    /// There is nothing to deliver: the record is not wanted, or is gone and whoever deleted it tells.
    Absent,
    /// The archive does not have what the table points to, or something else in its place: the message says which.
    /// Reading it again soon will find the same.
    Unreadable(String),
}

impl From<Option<Change>> for State {
    fn from(change: Option<Change>) -> Self {
        change.map_or(Self::Absent, |change| Self::Change(Box::new(change)))
    }
}

/// Reads what each subject is now, in order, at least one and no more than memory has room for.
pub(crate) async fn read(
    app: &App,
    destination: &Destination,
    going: &[Going],
) -> Result<Vec<State>, DeliverError> {
    let keys = going.iter().filter_map(|going| record_key(&going.changed));
    let records = app.table.records_now(keys).await?;
    let connections = connections(app, going).await?;
    let reader = Reader {
        app,
        destination,
        records,
        connections,
        sent_at: (app.clock)(),
    };
    // Boxed: the compiler does not see that the futures of closures may cross threads.
    let reading: Vec<BoxFuture<'_, Result<State, DeliverError>>> = going
        .iter()
        .map(|going| Box::pin(reader.state_of(going)) as BoxFuture<'_, _>)
        .collect();
    let mut reading = stream::iter(reading).buffered(CONCURRENT_READS);
    let mut states = Vec::with_capacity(going.len());
    let mut bytes = 0;
    while bytes < MOST_BYTES
        && let Some(state) = reading.try_next().await?
    {
        if let State::Change(change) = &state {
            bytes += size(change);
        }
        states.push(state);
    }
    Ok(states)
}

/// About what a change takes on its way. Unit: bytes.
pub(crate) fn size(change: &Change) -> usize {
    const AROUND: usize = 1_500;
    let body = match &change.body {
        Body::Record(state) => state.record.len(),
        Body::Webhook(webhook) => webhook.body.len(),
        _ => 0,
    };
    body + AROUND
}

async fn connections(
    app: &App,
    going: &[Going],
) -> Result<BTreeMap<ConnectionId, StoredConnection>, DeliverError> {
    let ids: BTreeSet<ConnectionId> = going
        .iter()
        .flat_map(|going| {
            let owner = match going.changed.owner() {
                RecordOwner::Connection(id) => Some(id),
                RecordOwner::Person(_) => None,
            };
            [owner, going.changed.heir().cloned()]
        })
        .flatten()
        .collect();
    let found = stream::iter(ids)
        .map(|id| async move { app.table.connection(&id).await })
        .buffered(CONCURRENT_READS)
        .try_collect::<Vec<_>>()
        .await?;
    Ok(found
        .into_iter()
        .flatten()
        .map(|connection| (connection.id.clone(), connection))
        .collect())
}

struct Reader<'a> {
    app: &'a App,
    destination: &'a Destination,
    records: HashMap<RecordKey, RecordNow>,
    connections: BTreeMap<ConnectionId, StoredConnection>,
    sent_at: Timestamp,
}

impl Reader<'_> {
    async fn state_of(&self, going: &Going) -> Result<State, DeliverError> {
        match self.one(going).await {
            Ok(change) => Ok(change.into()),
            Err(DeliverError::Archive(error)) if error.retry() == Retry::Never => {
                Ok(State::Unreadable(Chain(&error).to_string()))
            }
            Err(error) => Err(error),
        }
    }

    async fn one(&self, going: &Going) -> Result<Option<Change>, DeliverError> {
        match &going.changed {
            Changed::Record {
                owner,
                data_type,
                key,
                gone,
                heir,
            } => {
                let record_key = record_key(&going.changed);
                let now = record_key.as_ref().and_then(|key| self.records.get(key));
                let Some((_, _, natural)) = &record_key else {
                    return Ok(None);
                };
                let record_id = RecordId::of(&OwnerId::of(owner), *data_type, natural);
                let deleted = || Body::Deleted {
                    data_type: *data_type,
                    key: key.clone(),
                    terra_user_ids: self.users(owner, heir.as_ref()),
                };
                let (revision, body) = match (now, gone) {
                    (None, None) => return Ok(None),
                    (None, Some(gone)) => (*gone, deleted()),
                    (Some(_), _) if !self.wants(owner, Some(*data_type)) => return Ok(None),
                    (Some(now), _) if self.is_taken_back(now) => (now.revision, deleted()),
                    (Some(now), _) => {
                        let state = self.state(*data_type, natural, now).await?;
                        (now.revision, Body::Record(Box::new(state)))
                    }
                };
                Ok(Some(self.change(going, owner, record_id, revision, body)))
            }
            Changed::Connection { id, gone } => {
                let owner = RecordOwner::Connection(id.clone());
                let (revision, body) = match (self.connections.get(id), gone) {
                    (None, None) => return Ok(None),
                    (None, Some(gone)) => (*gone, Body::ConnectionDeleted),
                    (Some(_), _) if !self.wants(&owner, None) => return Ok(None),
                    (Some(stored), _) => {
                        let users = stored.state.members.keys().cloned();
                        let body = Body::Connection {
                            terra_user_ids: users.collect(),
                        };
                        (stored.revision(), body)
                    }
                };
                let record_id = RecordId::of_connection(&OwnerId::of(&owner));
                Ok(Some(self.change(going, &owner, record_id, revision, body)))
            }
            Changed::Webhook {
                owner,
                webhook_id,
                event_type,
                locator,
                reference,
                received_at_ms,
                ordering_ts_ms,
            } => {
                let body = match self.app.archive.read_webhook(locator).await {
                    Ok(webhook) => webhook.body,
                    // Its person was erased.
                    Err(ArchiveError::Erased { .. } | ArchiveError::NotFound { .. }) => {
                        return Ok(None);
                    }
                    Err(error) => return Err(error.into()),
                };
                let owner_id = OwnerId::of(owner);
                let body = Body::Webhook(Box::new(PassedWebhook {
                    event_type: event_type.clone(),
                    webhook_id: webhook_id.as_str().to_owned(),
                    terra_reference: reference.clone(),
                    received_at_ms: *received_at_ms,
                    ordering_ts_ms: *ordering_ts_ms,
                    body: Bytes::from(body),
                }));
                let id = self.destination.id.as_str();
                let name = webhook_id.as_str();
                let change = Change {
                    delivery_id: DeliveryId::of_event(id, "webhook", name),
                    ..self.change(going, owner, RecordId::of_connection(&owner_id), 0, body)
                };
                Ok(Some(change))
            }
        }
    }

    fn change(
        &self,
        going: &Going,
        owner: &RecordOwner,
        record_id: RecordId,
        revision: u64,
        body: Body,
    ) -> Change {
        let id = self.destination.id.as_str();
        let source = self.source(owner);
        // Sent again at the same revision, because whose it is has changed.
        let delivery_id = if going.force {
            source.delivery_id(id, &record_id, revision)
        } else {
            DeliveryId::of(id, &record_id, revision)
        };
        Change {
            delivery_id,
            record_id,
            revision,
            attempt: going.attempt,
            cause: going.cause,
            force: going.force,
            sent_at: self.sent_at,
            source,
            body,
        }
    }

    fn stored(&self, owner: &RecordOwner) -> Option<&StoredConnection> {
        match owner {
            RecordOwner::Connection(id) => self.connections.get(id),
            RecordOwner::Person(_) => None,
        }
    }

    /// Terra user ids of a connection, and of the one that took it over.
    fn users(&self, owner: &RecordOwner, heir: Option<&ConnectionId>) -> Vec<TerraUserId> {
        let heir = heir.and_then(|heir| self.connections.get(heir));
        let connections = self.stored(owner).into_iter().chain(heir);
        let users: BTreeSet<_> = connections.flat_map(StoredConnection::users).collect();
        users.into_iter().cloned().collect()
    }

    fn source(&self, owner: &RecordOwner) -> Source {
        let state = self.stored(owner).map(|stored| &stored.state);
        let person = match owner {
            RecordOwner::Person(reference_id) => reference_id.clone(),
            RecordOwner::Connection(_) => None,
        };
        let scopes = state.and_then(Connection::scopes);
        let current = state.and_then(|state| Some(state.current()?.0.clone()));
        let mut former_user_ids = self.users(owner, None);
        former_user_ids.retain(|user| Some(user) != current.as_ref());
        Source {
            owner: OwnerId::of(owner),
            terra_user_id: current,
            former_user_ids,
            reference_id: person.or_else(|| state?.reference_id().cloned()),
            provider: state.and_then(|state| state.provider().cloned()),
            scopes: scopes.map(|scopes| scopes.0.into_iter().collect()),
            status: state.map(Connection::status),
            created_at_ms: state.and_then(Connection::connected_at_ms),
            last_data_at_ms: state.and_then(Connection::data_at_ms),
        }
    }

    fn wants(&self, owner: &RecordOwner, data_type: Option<DataType>) -> bool {
        let state = self.stored(owner).map(|stored| &stored.state);
        let subject = Subject::of(owner, state, data_type);
        self.destination.subscription.wants(&subject)
    }

    fn is_taken_back(&self, now: &RecordNow) -> bool {
        let deletes = self.destination.subscription.retractions == Retractions::Delete;
        now.record.newest.retracted && deletes
    }

    async fn state(
        &self,
        data_type: DataType,
        key: &NaturalKey,
        now: &RecordNow,
    ) -> Result<RecordState, DeliverError> {
        let record = &now.record;
        let newest = &record.newest;
        let with_samples = self.destination.subscription.samples;
        let payload = self.app.archive.read_payload(&newest.payload).await?;
        let mut older = Vec::new();
        if with_samples {
            for (payload, streams) in record.sampled_arrivals() {
                older.push((self.app.archive.read_payload(payload).await?, streams));
            }
        }
        let sampled: Vec<_> = older
            .iter()
            .map(|(record, streams)| Sampled { record, streams })
            .collect();
        let whole = compose(
            data_type,
            &payload,
            &sampled,
            &record.enrichment,
            with_samples,
        );
        Ok(RecordState {
            data_type,
            key: key.to_string(),
            day: day(key, newest.start_time.as_deref()),
            ordering_ts_ms: newest.version.ordering_ts_ms,
            source_webhook_id: newest.version.webhook_id.clone(),
            retracted: newest.retracted,
            summary: record.summary(),
            enrichment: record.enrichment.clone(),
            samples: None,
            record: whole.into(),
        })
    }
}

/// The wearer's own calendar day: the key, or the beginning of the start as Terra wrote it.
pub fn day(key: &NaturalKey, start_time: Option<&str>) -> Option<Date> {
    match key {
        NaturalKey::Day(day) => day.to_string().parse().ok(),
        _ => start_time?.get(..10)?.parse().ok(),
    }
}
