//! Writing, deleting and counting documents.

use std::{collections::BTreeMap, time::Duration};

use ::mongodb::{
    Client, Cursor, Database,
    bson::{Bson, Document, doc},
    options::{ClientOptions, Credential, ServerAddress, Tls, TlsOptions},
};
use models::data::DataType;
use secrecy::ExposeSecret as _;

use super::{
    Layout, Mongodb,
    document::document,
    faults::{fault, of_code},
    terra::{OURS, RECORD_ID, REVISION, named},
};
use crate::{
    change::{Change, Total},
    id::{OwnerId, RecordId},
    kind::{Erasure, Fault, Outcome, Shape, Unreachable, set},
    net::{CONNECT_TIMEOUT, RowLimit, USER_AGENT},
};

/// The id is taken: the document that is there is as new or newer, or another writer was quicker.
const DUPLICATE_KEY: i32 = 11000;

/// One write of a command.
pub(super) struct Write {
    pub(super) index: usize,
    pub(super) statement: Document,
    pub(super) repaired: u32,
}

pub(super) fn whole(bson: Option<&Bson>) -> Option<u64> {
    match bson? {
        Bson::Int32(number) => u64::try_from(*number).ok(),
        Bson::Int64(number) => u64::try_from(*number).ok(),
        _ => None,
    }
}

impl Mongodb {
    /// Reads the documents of an answer, of which there may be at most so many. What `read` makes nothing of is left
    /// out.
    pub(super) async fn documents<T>(
        &self,
        mut found: Cursor<Document>,
        most: usize,
        read: impl Fn(Document) -> Option<T>,
    ) -> Result<Vec<T>, Fault> {
        let failed = |error| fault(&error, &self.right());
        let (mut documents, mut limit) = (Vec::new(), RowLimit::of(most));
        while found.advance().await.map_err(failed)? {
            limit.take(found.current().as_bytes().len())?;
            documents.extend(read(found.deserialize_current().map_err(failed)?));
        }
        Ok(documents)
    }

    pub(super) async fn database(&self) -> Result<Database, Fault> {
        let mut kept = self.client.lock().await;
        let client = if let Some(client) = &*kept {
            client.clone()
        } else {
            let client = self.connect().await?;
            kept.insert(client).clone()
        };
        Ok(client.database(&self.settings.database))
    }

    async fn connect(&self) -> Result<Client, Fault> {
        let settings = &self.settings;
        let mut options = if settings.srv {
            let uri = format!("mongodb+srv://{}/", settings.host);
            let parsed = ClientOptions::parse(uri).await;
            parsed.map_err(|error| fault(&error, "access to the database"))?
        } else {
            let host = ServerAddress::Tcp {
                host: settings.host.clone(),
                port: Some(settings.port),
            };
            ClientOptions::builder().hosts(vec![host]).build()
        };
        self.check_seeds(&options.hosts).await?;
        options.app_name = Some(USER_AGENT.to_owned());
        options.connect_timeout = Some(CONNECT_TIMEOUT);
        options.server_selection_timeout = Some(Duration::from_secs(8));
        options.max_pool_size = Some(4);
        if settings.direct {
            options.direct_connection = Some(true);
        }
        if let (Some(username), Some(password)) = (&settings.username, &settings.password) {
            let credential = Credential::builder()
                .username(username.clone())
                .password(password.expose_secret().to_owned())
                .source(settings.auth_source.clone());
            options.credential = Some(credential.build());
        }
        options.tls = Some(if settings.encrypted {
            let mut tls = TlsOptions::default();
            tls.ca_file_path = match &settings.ca_pem {
                None => None,
                Some(pem) => {
                    Some(kept_ca(pem).map_err(|_| Fault::unreachable(Unreachable::Server))?)
                }
            };
            Tls::Enabled(tls)
        } else {
            Tls::Disabled
        });
        Client::with_options(options).map_err(|error| fault(&error, "access to the database"))
    }

    /// Checks where the first servers are, entered or named by the name server. The driver resolves by itself, and
    /// learns more of them from the first: what those name is kept away by the network, not by this check.
    async fn check_seeds(&self, seeds: &[ServerAddress]) -> Result<(), Fault> {
        for seed in seeds {
            match seed {
                ServerAddress::Tcp { host, .. } => {
                    self.guard.addresses(host).await?;
                }
                _ => return Err(Fault::misconfigured("a server is named that is no host")),
            }
        }
        Ok(())
    }

    pub(super) fn collection(&self, name: &str) -> String {
        format!("{}{name}", self.settings.collection_prefix)
    }

    pub(super) fn right(&self) -> String {
        format!("readWrite on {}", self.settings.database)
    }

    pub(super) async fn write(&self, changes: &[Change]) -> Result<Vec<Outcome>, Fault> {
        let mut outcomes = vec![Outcome::APPLIED; changes.len()];
        let mut upserts: BTreeMap<&str, Vec<Write>> = BTreeMap::new();
        let mut deletes: BTreeMap<&str, Vec<Document>> = BTreeMap::new();
        let mut terras: BTreeMap<&str, Vec<(usize, &Change)>> = BTreeMap::new();
        for (index, change) in changes.iter().enumerate() {
            let Some(collection) = change.collection() else {
                continue;
            };
            let id = change.record_id.as_str();
            let revision = i64::try_from(change.revision).unwrap_or(i64::MAX);
            let is_terras = self.is_terras(change.data_type());
            if change.is_deletion() {
                let delete = if is_terras {
                    doc! {"q": {RECORD_ID: id, REVISION: {"$lte": revision}}, "limit": 0}
                } else {
                    doc! {"q": {"_id": id, "revision": {"$lte": revision}}, "limit": 1}
                };
                deletes.entry(collection).or_default().push(delete);
                continue;
            }
            if is_terras {
                terras.entry(collection).or_default().push((index, change));
                continue;
            }
            match document(change) {
                Ok((document, repaired)) => {
                    let older = if change.force { "$lte" } else { "$lt" };
                    let statement = doc! {
                        "q": {"_id": id, "revision": {older: revision}}, "u": document, "upsert": true,
                    };
                    upserts.entry(collection).or_default().push(Write {
                        index,
                        statement,
                        repaired,
                    });
                }
                Err(fault) => set(&mut outcomes, index, fault.into_outcome()),
            }
        }
        if upserts.is_empty() && terras.is_empty() && deletes.is_empty() {
            return Ok(outcomes);
        }
        let database = self.database().await?;
        for (collection, changes) in terras {
            let collection = self.collection(collection);
            self.write_terras(&database, &collection, changes, &mut outcomes)
                .await?;
        }
        for (collection, writes) in upserts {
            let collection = self.collection(collection);
            // A taken id is tried once more: it may have been an insert of another writer.
            let again = self
                .upsert(&database, &collection, writes, &mut outcomes)
                .await?;
            for write in self
                .upsert(&database, &collection, again, &mut outcomes)
                .await?
            {
                set(&mut outcomes, write.index, Outcome::Stale);
            }
        }
        for (collection, deletes) in deletes {
            let command = doc! {
                "delete": self.collection(collection), "deletes": deletes, "ordered": false,
                "writeConcern": {"w": "majority", "wtimeout": 10_000},
            };
            let done = database.run_command(command).await;
            let done = done.map_err(|error| fault(&error, &self.right()))?;
            if let Some(failure) = write_failures(&done).into_values().next() {
                return Err(of_code(failure.code, &self.right()));
            }
        }
        Ok(outcomes)
    }

    /// Writes documents over lower revisions. Returns the writes whose id was taken.
    pub(super) async fn upsert(
        &self,
        database: &Database,
        collection: &str,
        writes: Vec<Write>,
        outcomes: &mut [Outcome],
    ) -> Result<Vec<Write>, Fault> {
        if writes.is_empty() {
            return Ok(writes);
        }
        let updates: Vec<_> = writes.iter().map(|write| write.statement.clone()).collect();
        let command = doc! {
            "update": collection, "updates": updates, "ordered": false,
            "writeConcern": {"w": "majority", "wtimeout": 10_000},
        };
        let done = database.run_command(command).await;
        let done = done.map_err(|error| fault(&error, &self.right()))?;
        if done.get_document("writeConcernError").is_ok() {
            // Written, but not by the majority yet: again, which changes nothing where it was.
            return Err(Fault::unreachable(Unreachable::Server));
        }
        let failures = write_failures(&done);
        let mut taken = Vec::new();
        for (place, write) in writes.into_iter().enumerate() {
            match failures.get(&(place as u64)) {
                None => set(
                    outcomes,
                    write.index,
                    Outcome::Applied {
                        repaired: write.repaired,
                    },
                ),
                Some(failure) if failure.is_taken => taken.push(write),
                Some(failure) => set(
                    outcomes,
                    write.index,
                    of_code(failure.code, &self.right()).into_outcome(),
                ),
            }
        }
        Ok(taken)
    }

    pub(super) async fn make_indexes(&self, shape: &Shape) -> Result<(), Fault> {
        let database = self.database().await?;
        let types = shape.data_types.iter().copied().map(Some);
        for data_type in types.chain([None]) {
            let indexes = if self.is_terras(data_type) {
                vec![
                    doc! {"key": {RECORD_ID: 1}, "name": "terrarium_record"},
                    doc! {"key": {"_terrarium.connection_id": 1}, "name": "terrarium_connection"},
                    doc! {"key": {"user.user_id": 1}, "name": "user_id"},
                    doc! {"key": {"user.reference_id": 1}, "name": "reference_id"},
                    doc! {"key": {"metadata.start_time": 1}, "name": "start_time"},
                ]
            } else {
                vec![
                    doc! {"key": {"connection_id": 1, "day": 1}, "name": "connection_day"},
                    doc! {"key": {"reference_id": 1, "day": 1}, "name": "reference_day"},
                ]
            };
            let command = doc! {"createIndexes": self.name_of(data_type), "indexes": indexes};
            let made = database.run_command(command).await;
            made.map_err(|error| fault(&error, &self.right()))?;
        }
        Ok(())
    }

    fn collections() -> impl Iterator<Item = Option<DataType>> {
        DataType::ALL.into_iter().map(Some).chain([None])
    }

    /// Returns whether documents of a data type have Terra's form.
    fn is_terras(&self, data_type: Option<DataType>) -> bool {
        self.settings.layout == Layout::Terra && data_type.is_some()
    }

    /// Path of one of our fields in the documents of a data type.
    fn path(&self, data_type: Option<DataType>, field: &str) -> String {
        if self.is_terras(data_type) {
            format!("{OURS}.{field}")
        } else {
            field.to_owned()
        }
    }

    fn name_of(&self, data_type: Option<DataType>) -> String {
        self.collection(data_type.map_or("connections", DataType::as_str))
    }

    pub(super) async fn delete_person(&self, person: &Erasure) -> Result<u64, Fault> {
        let database = self.database().await?;
        let owners: Vec<_> = person.owners.iter().map(OwnerId::as_str).collect();
        let users = person.terra_user_ids.iter();
        let users: Vec<_> = users.map(models::ids::TerraUserId::as_str).collect();
        let mut count = 0;
        for data_type in Self::collections() {
            let collection = database.collection::<Document>(&self.name_of(data_type));
            let owned = doc! {self.path(data_type, "connection_id"): {"$in": &owners}};
            let whose = if self.is_terras(data_type) {
                // Terra's own documents of before the move too.
                doc! {"$or": [owned, {"user.user_id": {"$in": &users}}]}
            } else {
                owned
            };
            let deleted = collection.delete_many(whose).await;
            count += deleted
                .map_err(|error| fault(&error, &self.right()))?
                .deleted_count;
        }
        Ok(count)
    }

    pub(super) async fn count(&self, owners: &[OwnerId]) -> Result<Vec<Total>, Fault> {
        let database = self.database().await?;
        let texts: Vec<_> = owners.iter().map(OwnerId::as_str).collect();
        let mut totals = Vec::new();
        for data_type in Self::collections() {
            let collection = database.collection::<Document>(&self.name_of(data_type));
            let failed = |error| fault(&error, &self.right());
            let owner = self.path(data_type, "connection_id");
            let checksum = format!("${}", self.path(data_type, "checksum"));
            let found = collection
                .aggregate([
                    doc! {"$match": {owner.clone(): {"$in": &texts}}},
                    doc! {"$group": {"_id": format!("${owner}"), "n": {"$sum": 1}, "sum": {"$sum": checksum}}},
                ])
                .await
                .map_err(failed)?;
            let found = self.documents(found, owners.len(), Some).await?;
            for group in found {
                let owner = group.get_str("_id").unwrap_or_default();
                if let (Some(owner), Some(count), Some(sum)) = (
                    owners.iter().find(|known| known.as_str() == owner),
                    whole(group.get("n")),
                    whole(group.get("sum")),
                ) {
                    totals.push(Total {
                        owner: owner.clone(),
                        data_type,
                        count,
                        sum,
                    });
                }
            }
        }
        Ok(totals)
    }

    pub(super) async fn list(
        &self,
        owner: &OwnerId,
        data_type: Option<DataType>,
    ) -> Result<Vec<(RecordId, u64)>, Fault> {
        let database = self.database().await?;
        let collection = database.collection::<Document>(&self.name_of(data_type));
        let failed = |error| fault(&error, &self.right());
        let found = collection
            .find(doc! {self.path(data_type, "connection_id"): owner.as_str()})
            .projection(doc! {"revision": 1, RECORD_ID: 1, REVISION: 1})
            .await
            .map_err(failed)?;
        let record = |document: Document| {
            if self.is_terras(data_type) {
                return named(&document);
            }
            Some((
                document.get_str("_id").ok()?.parse().ok()?,
                whole(document.get("revision"))?,
            ))
        };
        self.documents(found, RowLimit::ANY_NUMBER, record).await
    }
}

/// A write of a command that failed.
struct Failure {
    code: i32,
    /// Returns whether the id is taken. A unique index that somebody else made takes nothing of ours.
    is_taken: bool,
}

/// The writes of a command that failed, by their places.
fn write_failures(done: &Document) -> BTreeMap<u64, Failure> {
    let errors = done
        .get_array("writeErrors")
        .map(Vec::as_slice)
        .unwrap_or_default();
    let failure = |error: &Bson| {
        let error = error.as_document()?;
        let code = whole(error.get("code")).and_then(|code| i32::try_from(code).ok())?;
        let on_id = match error.get_document("keyPattern") {
            Ok(pattern) => pattern.contains_key("_id"),
            Err(_) => error
                .get_str("errmsg")
                .is_ok_and(|text| text.contains("index: _id_")),
        };
        let is_taken = code == DUPLICATE_KEY && on_id;
        Some((whole(error.get("index"))?, Failure { code, is_taken }))
    };
    errors.iter().filter_map(failure).collect()
}

/// The driver takes a certificate from a file only.
fn kept_ca(pem: &str) -> std::io::Result<std::path::PathBuf> {
    use sha2::{Digest as _, Sha256};
    let name = models::ids::hex(&Sha256::digest(pem));
    let path = std::env::temp_dir().join(format!("terrarium-ca-{name}.pem"));
    std::fs::write(&path, pem)?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use std::{io, net::IpAddr, sync::Arc};

    use async_trait::async_trait;
    use tokio::sync::Mutex;

    use super::{super::Settings, *};
    use crate::net::{Guard, Network, Resolve};

    /// A name server that knows one inner host.
    #[derive(Debug)]
    struct Names;

    #[async_trait]
    impl Resolve for Names {
        async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
            let inner = host == "inner.example.net";
            let address = if inner { "10.0.0.7" } else { "93.184.216.34" };
            Ok(vec![address.parse().unwrap()])
        }
    }

    #[tokio::test]
    async fn servers_that_a_name_server_names_are_checked_too() {
        let mongodb = Mongodb {
            settings: Settings {
                host: "cluster.example.net".to_owned(),
                port: 27017,
                srv: true,
                direct: false,
                database: "app".to_owned(),
                username: None,
                password: None,
                auth_source: None,
                collection_prefix: String::new(),
                layout: Layout::Record,
                encrypted: true,
                ca_pem: None,
            },
            guard: Guard::new(Network::Public, Arc::new(Names)),
            client: Mutex::new(None),
        };
        let seeds = |hosts: &[&str]| {
            let seeds = hosts.iter().map(|host| ServerAddress::parse(host).unwrap());
            seeds.collect::<Vec<_>>()
        };
        let outer = seeds(&["a.example.net:27017", "b.example.net:27018"]);
        assert_eq!(mongodb.check_seeds(&outer).await, Ok(()));
        for bad in ["inner.example.net:27017", "127.0.0.1:27017", "localhost:1"] {
            let seeds = seeds(&["a.example.net:27017", bad]);
            let fault = mongodb.check_seeds(&seeds).await.unwrap_err();
            assert_eq!(fault.name(), "misconfigured", "{bad}");
        }
    }
}
