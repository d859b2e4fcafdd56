//! One call: who makes it, of what, and what the handlers ask it for.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use domain::{
    access::{ApiKey, KeyId, Scope},
    connection::ConnectionId,
    console::Session,
    key::NaturalKey,
    owner::RecordOwner,
};
use http::HeaderMap;
use jiff::Timestamp;
use models::{
    data::DataType,
    ids::{ReferenceId, TerraUserId},
};
use runtime::problem::{Fault, Kind, Problem};
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};
use store::table::connections::{Alias, StoredConnection};
use tokio::sync::Mutex;
use ulid::Ulid;

use crate::{
    config::App,
    error::Failure,
    id,
    query::{Param, Reader, refused},
    token::Claims,
};

/// Permissions of Terra's own key pair: those that it has at Terra.
pub(crate) const OF_TERRAS_PAIR: &[Scope] = &[Scope::PeopleRead, Scope::PeopleConnect];

/// Maker of a call.
#[derive(Debug, Clone)]
pub enum Caller {
    /// Nobody who says who they are.
    Anybody,
    /// A key.
    Key(Box<ApiKey>),
    /// Terra's own key pair, on Terra's own calls.
    Terra,
    /// One person, by a token.
    Person(Box<Claims>),
    /// Somebody who is signed in to the console.
    Console(Box<Session>),
}

impl Caller {
    /// Name of the caller in the audit and in logs: never a secret, never a reference id.
    pub fn name(&self) -> String {
        match self {
            Self::Anybody => "anybody".to_owned(),
            Self::Terra => "terra".to_owned(),
            Self::Key(key) => format!("key:{}", key.id),
            Self::Person(claims) => format!("token:{}", claims.key),
            Self::Console(session) => format!("console:{}", session.name),
        }
    }

    /// Returns whether the caller has a permission.
    pub fn has(&self, scope: Scope) -> bool {
        match self {
            Self::Key(key) => key.scopes.contains(&scope),
            Self::Terra => OF_TERRAS_PAIR.contains(&scope),
            Self::Console(session) => session.role.scopes().contains(&scope),
            Self::Anybody | Self::Person(_) => false,
        }
    }
}

/// Origin of what a call makes: its time, and a seed of ids. Calls that are repeated under one `Idempotency-Key` have
/// one origin, so that each finds what an earlier one made.
#[derive(Debug, Clone)]
pub(crate) struct Origin {
    /// Time of the first call. Unit: Unix milliseconds.
    pub(crate) at_ms: i64,
    seed: [u8; 32],
}

impl Origin {
    /// The origin of a call that cannot be repeated.
    pub(crate) fn new(at_ms: i64) -> Self {
        let seed = rand::random();
        Self { at_ms, seed }
    }

    /// The origin of the calls under a key of a caller, of which the first was made at a time.
    pub(crate) fn of_key(caller: &str, key: &str, at_ms: i64) -> Self {
        let seed = Sha256::digest(format!("{caller}\n{key}\n{at_ms}")).into();
        Self { at_ms, seed }
    }

    fn bytes<const N: usize>(&self, what: &str) -> [u8; N] {
        let hash = Sha256::new().chain_update(self.seed).chain_update(what);
        let mut bytes = hash.finalize().into_iter();
        std::array::from_fn(|_| bytes.next().unwrap_or_default())
    }

    /// The id of a thing that the call makes, in the order of time. `what` tells it from the call's other things.
    pub(crate) fn ulid(&self, what: &str) -> Ulid {
        let at_ms = u64::try_from(self.at_ms).unwrap_or_default();
        Ulid::from_parts(at_ms, u128::from_be_bytes(self.bytes(what)))
    }

    /// The id of a key that the call makes.
    pub(crate) fn key_id(&self) -> KeyId {
        KeyId::of_random(self.bytes("key"))
    }
}

/// One call.
#[derive(Debug)]
pub struct Call {
    /// Everything that a call needs.
    pub app: Arc<App>,
    /// Its maker.
    pub caller: Caller,
    /// Its time.
    pub now: Timestamp,
    pub(crate) origin: Origin,
    /// Headers of the request.
    pub headers: HeaderMap,
    /// Id of the request.
    pub request_id: String,
    /// Number of the call's line of the audit within the request.
    pub(crate) line: u32,
    pub(crate) path: String,
    pub(crate) placed: BTreeMap<String, String>,
    pub(crate) query: String,
    pub(crate) params: &'static [Param],
    pub(crate) body: Bytes,
    /// Answers about a person that calls share: those of one page of the console.
    pub(crate) known: Arc<Known>,
}

/// Answers about one person that several calls ask for.
#[derive(Debug, Default)]
pub(crate) struct Known {
    /// Days before and after those asked for whose records are read with them.
    pub(crate) around_days: i64,
    pub(crate) connections: Kept<Vec<StoredConnection>>,
    pub(crate) person: Kept<inspect::Person>,
}

/// Answer about the person who was asked for last.
pub(crate) type Kept<T> = Mutex<Option<(ReferenceId, T)>>;

/// Gives what is kept about a person, else reads it and keeps it. Who asks at the same time waits.
pub(crate) async fn once<T: Clone>(
    kept: &Kept<T>,
    of: &ReferenceId,
    read: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    let mut kept = kept.lock().await;
    if let Some((known, found)) = kept.as_ref()
        && known == of
    {
        return Ok(found.clone());
    }
    let found = read.await?;
    *kept = Some((of.clone(), found.clone()));
    Ok(found)
}

impl Call {
    /// Now. Unit: Unix milliseconds.
    pub fn now_ms(&self) -> i64 {
        self.now.as_millisecond()
    }

    /// Begins to read the parameters. Unknown ones are noted already.
    pub fn query(&self) -> Reader<'static> {
        Reader::new(&self.query, self.params, &self.path)
    }

    /// Refuses any parameter: for endpoints that have none.
    ///
    /// # Errors
    ///
    /// A parameter in the query.
    pub fn no_query(&self) -> Result<(), Failure> {
        Ok(self.query().done()?)
    }

    /// The id in a place of the path, decoded.
    ///
    /// # Errors
    ///
    /// Text there that is no id.
    pub fn placed(&self, name: &'static str) -> Result<String, Failure> {
        let text = self.placed.get(name).map_or("", String::as_str);
        id::from_path(text).ok_or_else(|| {
            refused(vec![Fault {
                place: "path",
                name: name.to_owned(),
                detail:
                    "an id is letters, digits, `_`, `.` and `-`; any other is written `~` and the \
                         base64url of its UTF-8 without padding"
                        .to_owned(),
            }])
            .into()
        })
    }

    /// The reference id in the path.
    ///
    /// # Errors
    ///
    /// A path without a reference id.
    pub fn reference_id(&self) -> Result<ReferenceId, Failure> {
        let text = self.placed("person")?;
        ReferenceId::new(&text).ok_or_else(Self::no_person)
    }

    /// The same answer for a person who never was and for one who was erased: nothing is kept of either.
    pub fn no_person() -> Failure {
        Failure::not_found("there is no such person; GET /v1/people lists who there is")
    }

    /// The connections of the person in the path.
    ///
    /// # Errors
    ///
    /// A person who is not there.
    pub async fn connections_of_person(
        &self,
    ) -> Result<(ReferenceId, Vec<StoredConnection>), Failure> {
        let reference_id = self.reference_id()?;
        let read = async {
            let connections = self.app.table.connections_of(&reference_id).await?;
            if connections.is_empty() && !self.app.table.is_person(&reference_id).await? {
                return Err(Self::no_person());
            }
            Ok(connections)
        };
        let connections = once(&self.known.connections, &reference_id, read).await?;
        Ok((reference_id, connections))
    }

    /// The connection in the path, by our id or any Terra user id that it ever had.
    ///
    /// # Errors
    ///
    /// 404 when there is none, 410 when its person was erased, 403 when a token belongs to another person.
    pub async fn connection(&self) -> Result<StoredConnection, Failure> {
        let found = self.find_connection(&self.placed("connection")?).await;
        let Caller::Person(claims) = &self.caller else {
            return found;
        };
        // One answer for all that is not the person's own: a token must not tell what else there is.
        match found {
            Ok(connection) if connection.state.reference_id() == Some(&claims.person) => {
                Ok(connection)
            }
            Ok(_) | Err(Failure::Refused(_)) => Err(other_person().into()),
            Err(failure) => Err(failure),
        }
    }

    /// One of a person's connections by our id or any Terra user id that it ever had.
    ///
    /// # Errors
    ///
    /// Those of [`find_connection`](Self::find_connection); for a token one answer for all that is not the
    /// person's own: it must not tell what else there is.
    pub async fn own_connection(
        &self,
        id: &str,
        own: &[StoredConnection],
    ) -> Result<ConnectionId, Failure> {
        let found = self.find_connection(id).await.map(|found| found.id);
        let is_own = |id: &ConnectionId| own.iter().any(|own| own.id == *id);
        match (&self.caller, found) {
            (Caller::Person(_), Ok(id)) if is_own(&id) => Ok(id),
            (Caller::Person(_), Ok(_) | Err(Failure::Refused(_))) => Err(other_person().into()),
            (_, found) => found,
        }
    }

    /// A connection by our id or any Terra user id that it ever had.
    ///
    /// # Errors
    ///
    /// 404 when there is none, 410 when its person was erased.
    pub async fn find_connection(&self, id: &str) -> Result<StoredConnection, Failure> {
        let table = &self.app.table;
        let missing =
            || Failure::not_found("there is no such connection: give our id or a Terra user id");
        if let Ok(own) = id.parse::<ConnectionId>()
            && let Some(connection) = table.connection(&own).await?
        {
            return Ok(connection);
        }
        let alias = match TerraUserId::new(id) {
            Some(user) => table.alias(&user).await?,
            None => None,
        };
        match alias {
            Some(Alias::Connection(own) | Alias::Held(own)) => {
                table.connection(&own).await?.ok_or_else(missing)
            }
            Some(Alias::Erased(_)) => Err(Problem::new(Kind::Gone)
                .detail("the person behind this id was erased")
                .into()),
            None => Err(missing()),
        }
    }

    /// The data type in the path.
    ///
    /// # Errors
    ///
    /// A data type that is unknown.
    pub fn data_type(&self) -> Result<DataType, Failure> {
        let text = self.placed("type")?;
        text.parse().map_err(|_| {
            let known: Vec<_> = DataType::ALL.iter().map(|known| known.as_str()).collect();
            Failure::not_found(format!(
                "there is no such type; there are: {}",
                known.join(", ")
            ))
        })
    }

    /// The record that the path names.
    ///
    /// # Errors
    ///
    /// Those of [`Call::connection`], and 404 when there is no such record.
    pub async fn record(
        &self,
    ) -> Result<(StoredConnection, store::table::records::FoundRecord), Failure> {
        let data_type = self.data_type()?;
        let key: NaturalKey = self
            .placed("key")?
            .parse()
            .unwrap_or_else(|never: std::convert::Infallible| match never {});
        let connection = self.connection().await?;
        let owner = RecordOwner::Connection(connection.id.clone());
        let found = self.app.table.record(&owner, data_type, &key).await?;
        let found = found.ok_or_else(|| Failure::not_found("there is no such record"))?;
        Ok((connection, found))
    }

    /// Reads the body.
    ///
    /// # Errors
    ///
    /// A body that is no JSON object, or not of this form.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        // serde would take an array for a structure, its members by their order.
        if !self.body.trim_ascii_start().starts_with(b"{") {
            return Err(refused(vec![Fault {
                place: "body",
                name: "body".to_owned(),
                detail: "is no JSON object".to_owned(),
            }])
            .into());
        }
        serde_json::from_slice(&self.body).map_err(|error| {
            refused(vec![Fault {
                place: "body",
                name: format!("line {}, column {}", error.line(), error.column()),
                detail: told(&error),
            }])
            .into()
        })
    }
}

/// The problem of a token that is used for another person than its own.
pub(crate) fn other_person() -> Problem {
    Problem::new(Kind::Forbidden).detail("this token is for another person")
}

/// The fault of a body, without any value of it.
fn told(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let of_the_form = ["unknown field", "missing field", "duplicate field"];
    if of_the_form.iter().any(|known| text.starts_with(known)) {
        // Such a message has names of members, of which the unknown one is the caller's own.
        let end = text.rfind(" at line").unwrap_or(text.len());
        return text
            .get(..end)
            .unwrap_or_default()
            .chars()
            .take(300)
            .collect();
    }
    match error.classify() {
        serde_json::error::Category::Data => "a value is not of the form that the document says",
        _ => "this is no JSON",
    }
    .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_under_one_key_make_the_same_and_others_do_not() {
        let origin = Origin::of_key("tk_1", "order", 7);
        let again = Origin::of_key("tk_1", "order", 7);
        assert_eq!(origin.ulid("job"), again.ulid("job"));
        assert_eq!(origin.key_id(), again.key_id());
        assert_ne!(origin.ulid("job"), origin.ulid("order"));
        for other in [
            Origin::of_key("tk_2", "order", 7),
            Origin::of_key("tk_1", "order", 8),
            Origin::new(7),
        ] {
            assert_ne!(origin.ulid("job"), other.ulid("job"), "{other:?}");
        }
        assert_eq!(origin.ulid("job").timestamp_ms(), 7);
    }
}
