//! The table and the archive that a command works on: of a running system, of a data folder, or on
//! AWS.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::ErrorKind,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, anyhow};
use aws_types::SdkConfig;
use deliver::Vault;
use domain::key::NaturalKey;
use jiff::Timestamp;
use models::{
    data::DataType,
    ids::{ReferenceId, TerraUserId, WebhookId},
    signature::SigningSecret,
};
use runtime::{queue::local::Durability, settings::Settings};
use serde::{Deserialize, Serialize};
use store::{
    archive::Archive,
    exports::Exports,
    table::{
        Table,
        connections::{Alias, StoredConnection},
        key::RecordOwner,
        ledger::WebhookEntry,
        records::FoundRecord,
    },
};

use super::secrets;
use crate::{
    cli::{DEFAULT_DATA_DIR, Place},
    failure, output,
    system::{DatabaseAddress, EmbeddedDatabase, TABLE_NAME, dynamodb_client},
};

/// The time.
#[expect(clippy::disallowed_methods, reason = "the command's only clock")]
pub(super) fn now() -> Timestamp {
    Timestamp::now()
}

/// The folder that is meant.
pub(super) fn data_dir(given: Option<&PathBuf>) -> PathBuf {
    given
        .cloned()
        .unwrap_or_else(|| PathBuf::from(DEFAULT_DATA_DIR))
}

/// Address of the system that runs in a data folder; kept there while it runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Address {
    pub(super) webhook_url: String,
    pub(super) dynamodb_url: String,
    pub(super) pid: u32,
    /// The simulated Terra beside it, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) terra: Option<TerraAddress>,
}

/// Address of a simulated Terra.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct TerraAddress {
    /// Its root: the API lies below `/api/v2`, widget sessions below `/widget`.
    pub(super) url: String,
    /// The header `dev-id`.
    pub(super) dev_id: String,
    /// The file in the data folder that holds the API key and nothing else; only its owner may read
    /// it.
    pub(super) api_key_file: PathBuf,
}

impl Address {
    fn file(data_dir: &Path) -> PathBuf {
        data_dir.join("address")
    }

    pub(super) fn write(&self, data_dir: &Path) -> anyhow::Result<()> {
        let path = Self::file(data_dir);
        // Renamed into place, so that nobody reads half of it.
        let next = data_dir.join("address.new");
        fs::write(&next, format!("{}\n", serde_json::to_string(self)?))
            .and_then(|()| fs::rename(&next, &path))
            .with_context(|| format!("cannot write {}", path.display()))
    }

    pub(super) fn remove(data_dir: &Path) {
        // A file that stays behind is recognised as such: nobody listens there.
        drop(fs::remove_file(Self::file(data_dir)));
    }

    /// Returns the access to the system that runs there now.
    pub(super) fn of_running(data_dir: &Path) -> anyhow::Result<Option<Self>> {
        // A process that was killed left the file behind, but not the lock.
        if Lock::shared(data_dir)?.is_some() {
            return Ok(None);
        }
        let path = Self::file(data_dir);
        match fs::read_to_string(&path) {
            Ok(text) => Ok(serde_json::from_str(&text).ok()),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
        }
    }
}

/// A hold on a data folder: one system alone, or any number of commands together. The operating
/// system lets go of it when the process ends, however that happens.
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    /// For a system. `None`: somebody else is at work there.
    pub(super) fn alone(data_dir: &Path) -> anyhow::Result<Option<Self>> {
        Self::take(data_dir, File::try_lock)
    }

    /// For a command that opens the database itself. `None`: a system runs there.
    pub(super) fn shared(data_dir: &Path) -> anyhow::Result<Option<Self>> {
        Self::take(data_dir, File::try_lock_shared)
    }

    fn take(
        data_dir: &Path,
        lock: impl FnOnce(&File) -> Result<(), TryLockError>,
    ) -> anyhow::Result<Option<Self>> {
        let path = data_dir.join("lock");
        let file = OpenOptions::new().create(true).append(true).open(&path);
        let file = match file {
            Ok(file) => file,
            // No folder: nobody can be at work in it.
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Err(failure::input(no_folder(data_dir)));
            }
            Err(error) => {
                return Err(error).with_context(|| format!("cannot open {}", path.display()));
            }
        };
        match lock(&file) {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => {
                Err(error).with_context(|| format!("cannot lock {}", path.display()))
            }
        }
    }
}

/// Returns whether the place lies on AWS.
pub(super) fn is_on_aws(place: &Place) -> anyhow::Result<bool> {
    let mut settings = Settings::from_env();
    let table_name = settings.optional::<String>("TABLE_NAME", "the table's name");
    let bucket = settings.optional::<String>("ARCHIVE_BUCKET", "the bucket's name");
    let told = place.aws || (place.data.is_none() && table_name.is_some() && bucket.is_some());
    if !told {
        settings.finish(|| Some(()))?;
    }
    Ok(told)
}

fn no_folder(data_dir: &Path) -> String {
    format!(
        "there is no data folder {}: `terrarium dev` makes one, `--data` names another",
        data_dir.display()
    )
}

/// Clients that a command works with.
pub(super) struct Access {
    pub(super) table: Table,
    pub(super) archive: Archive,
    pub(super) signing_secrets: Vec<SigningSecret>,
    /// Name of the place, for a person.
    pub(super) place: String,
    /// The data folder, when it is one.
    pub(super) folder: Option<PathBuf>,
    /// Secrets of destinations; none on AWS where nobody says what their names begin with.
    pub(super) vault: Option<Vault>,
    /// The role on AWS, when the place is there.
    pub(super) aws: Option<SdkConfig>,
    database: Option<Embedded>,
}

/// The database of a data folder in which no system runs.
struct Embedded {
    database: EmbeddedDatabase,
    lock: Lock,
}

impl Access {
    pub(super) async fn open(place: &Place) -> anyhow::Result<Self> {
        if is_on_aws(place)? {
            return Self::open_aws().await;
        }
        Self::open_folder(&data_dir(place.data.as_ref())).await
    }

    /// Returns whether somebody is at work on the place's data: AWS always is, a folder while its system
    /// runs.
    pub(super) fn is_at_work(&self) -> bool {
        self.database.is_none()
    }

    /// The place of exports.
    pub(super) fn exports(&self) -> anyhow::Result<Exports> {
        if let Some(folder) = &self.folder {
            return Ok(Exports::folder(folder));
        }
        let mut settings = Settings::from_env();
        let bucket = settings.required::<String>("ARCHIVE_BUCKET", "the bucket's name");
        let config = self.aws.clone();
        let (bucket, config) = settings
            .finish(|| Some((bucket?, config?)))
            .map_err(|error| failure::input(error.to_string()))?;
        Ok(Exports::s3(&bucket, &config)?)
    }

    async fn open_aws() -> anyhow::Result<Self> {
        let mut settings = Settings::from_env();
        let table_name = settings.required::<String>("TABLE_NAME", "the table's name");
        let bucket = settings.required::<String>("ARCHIVE_BUCKET", "the bucket's name");
        let prefix = settings.optional::<String>("DESTINATION_SECRETS_PREFIX", "a text");
        let config = runtime::aws::sdk_config(&mut settings);
        let (table_name, bucket, config) = settings
            .finish(|| Some((table_name?, bucket?, config?)))
            .map_err(|error| failure::input(error.to_string()))?;
        let signing_secrets = secrets::load_of_aws(&config).await?;
        Ok(Self {
            archive: Archive::s3_for_a_person(&bucket, &config)?,
            place: format!("table {table_name} and bucket {bucket} on AWS"),
            table: Table::new(aws_sdk_dynamodb::Client::new(&config), table_name),
            signing_secrets: usable(&signing_secrets),
            folder: None,
            vault: prefix.map(|prefix| Vault::secrets_manager(&config, prefix)),
            aws: Some(config.clone()),
            database: None,
        })
    }

    async fn open_folder(data_dir: &Path) -> anyhow::Result<Self> {
        if !data_dir.is_dir() {
            return Err(failure::input(no_folder(data_dir)));
        }
        let (address, database) = if let Some(lock) = Lock::shared(data_dir)? {
            let database = EmbeddedDatabase::start(data_dir, true, Durability::PowerLoss).await?;
            let address = database.address.clone();
            (address, Some(Embedded { database, lock }))
        } else {
            let running = Address::of_running(data_dir)?.ok_or_else(|| {
                anyhow!(
                    "a terrarium is just starting or ending in {}",
                    data_dir.display()
                )
            })?;
            let address = DatabaseAddress::of_folder(data_dir, running.dynamodb_url)?;
            (address, None)
        };
        let table = Table::new(dynamodb_client(&address)?, TABLE_NAME);
        if database.is_some() {
            table.create_if_missing().await?;
        }
        Ok(Self {
            table,
            archive: Archive::folder(data_dir)?,
            signing_secrets: usable(&secrets::load(data_dir).await?),
            place: format!("the folder {}", data_dir.display()),
            folder: Some(data_dir.to_owned()),
            vault: Some(Vault::folder(data_dir)),
            aws: None,
            database,
        })
    }

    /// Closes what was opened.
    pub(super) async fn close(self) {
        drop(self.table);
        if let Some(Embedded { database, lock }) = self.database {
            database.stop().await;
            drop(lock);
        }
    }

    /// A connection by our id or by any Terra user id it ever had.
    pub(super) async fn connection(&self, id: &str) -> anyhow::Result<StoredConnection> {
        if let Ok(own) = id.parse()
            && let Some(connection) = self.table.connection(&own).await?
        {
            return Ok(connection);
        }
        let alias = match TerraUserId::new(id) {
            Some(user) => self.table.alias(&user).await?,
            None => None,
        };
        match alias {
            Some(Alias::Connection(own) | Alias::Held(own)) => {
                let found = self.table.connection(&own).await?;
                found.ok_or_else(|| failure::not_found(format!("connection {own} is gone")))
            }
            Some(Alias::Erased(_)) => Err(failure::not_found(format!(
                "the person behind {id} was erased"
            ))),
            None => Err(failure::not_found(format!(
                "there is no connection {id}: give our id or a Terra user id, \
                 as `terrarium show user` and `show webhooks` list them"
            ))),
        }
    }

    /// Owner of records of one type: a connection, or for lab reports a person.
    pub(super) async fn owner(&self, owner: &str, data_type: DataType) -> anyhow::Result<Owner> {
        if data_type == DataType::LabReport {
            return Ok(Owner::Person(ReferenceId::new(owner)));
        }
        let connection = self.connection(owner).await?;
        Ok(Owner::Connection(Box::new(connection)))
    }

    /// One record, with its owner.
    pub(super) async fn record(
        &self,
        owner: &str,
        data_type: &str,
        key: &str,
    ) -> anyhow::Result<(Owner, FoundRecord)> {
        let data_type = self::data_type(data_type)?;
        let holder = self.owner(owner, data_type).await?;
        let natural: NaturalKey = key
            .parse()
            .unwrap_or_else(|never: std::convert::Infallible| match never {});
        let records = holder.of_records();
        let found = self.table.record(&records, data_type, &natural).await?;
        let found = found.ok_or_else(|| {
            failure::not_found(format!(
                "there is no {data_type} record {key}: without a key, `terrarium show record \
                 '{owner}' {data_type}` lists them"
            ))
        })?;
        Ok((holder, found))
    }

    /// A webhook's line in the ledger.
    pub(super) async fn webhook(&self, id: &str) -> anyhow::Result<WebhookEntry> {
        let missing = || {
            failure::not_found(format!(
                "there is no webhook {id} in the ledger, which forgets after 90 days: `terrarium show \
                 webhooks` lists the newest, `terrarium archive list --day` what the archive has"
            ))
        };
        let id = WebhookId::new(id).ok_or_else(missing)?;
        let mut found = self.table.webhooks([&id]).await?;
        found.remove(&id).ok_or_else(missing)
    }
}

/// Owner of records, as an operator names it.
pub(super) enum Owner {
    /// A connection.
    Connection(Box<StoredConnection>),
    /// The person of a lab report; absent when the report names none.
    Person(Option<ReferenceId>),
}

impl Owner {
    /// Owner of the records in the table.
    pub(super) fn of_records(&self) -> RecordOwner {
        match self {
            Self::Connection(connection) => RecordOwner::Connection(connection.id.clone()),
            Self::Person(reference_id) => RecordOwner::Person(reference_id.clone()),
        }
    }
}

/// Reads the name of a data type.
pub(super) fn data_type(text: &str) -> anyhow::Result<DataType> {
    text.parse().map_err(|_| {
        let known: Vec<_> = DataType::ALL.iter().map(|known| known.as_str()).collect();
        failure::input(format!(
            "`{text}` is no data type; there are: {}",
            known.join(", ")
        ))
    })
}

/// Runs a command's work and closes what was opened for it.
pub(super) async fn with<F>(place: &Place, work: F) -> anyhow::Result<()>
where
    F: AsyncFnOnce(&Access) -> anyhow::Result<()>,
{
    let access = Access::open(place).await?;
    if place.data.is_none() && access.place.ends_with("AWS") && output::can_ask() {
        output::note(&format!("using {}", access.place));
    }
    let done = work(&access).await;
    access.close().await;
    done
}

fn usable(secrets: &[(String, String)]) -> Vec<SigningSecret> {
    secrets
        .iter()
        .filter_map(|(name, secret)| SigningSecret::new(name, secret))
        .collect()
}
