//! The embedded database of a data folder, served on loopback to the unchanged AWS SDK.
//!
//! Other programs on the machine can reach a loopback port, and so can every web page in a browser.
//! The server therefore refuses a request with an `Origin`, which only browsers send, and a request
//! that is not signed under the random key of the data folder.

use std::{
    fmt, fs,
    io::{ErrorKind, Write as _},
    path::Path,
    time::Duration,
};

use anyhow::Context as _;
use aws_types::SdkConfig;
use axum::{
    Router,
    body::Body,
    extract::{DefaultBodyLimit, State},
    http::{HeaderMap, Response, StatusCode, header},
    response::IntoResponse as _,
    routing::post,
};
use dynoxide::{Database, DynoxideError};
use models::ids::hex;
use runtime::{queue::local::Durability, settings::Settings, telemetry::Chain};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use tokio::net::TcpListener;
use tracing::{error, info, warn};

use crate::{folder::only_for_its_owner, workers::Workers};

const TTL_SWEEP: Duration = Duration::from_mins(5);
/// File in the data folder that holds the key of its database; only its owner may read it.
const KEY_FILE: &str = "database-key";
/// Largest request that DynamoDB takes. Unit: bytes.
const MAX_REQUEST_BYTES: usize = 16 * 1024 * 1024;
/// Beginning of the header that names the operation.
const TARGET: &str = "DynamoDB_20120810.";
const CONTENT_TYPE: &str = "application/x-amz-json-1.0";

/// Address of a DynamoDB endpoint on this machine, and the key it asks for.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseAddress {
    /// `http://host:port`.
    pub url: String,
    access_key: String,
}

impl fmt::Debug for DatabaseAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DatabaseAddress")
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

impl DatabaseAddress {
    /// An endpoint that takes any credentials: an emulator.
    pub fn without_key(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            access_key: "local".to_owned(),
        }
    }

    /// The database of a data folder, which another process serves at `url`.
    ///
    /// # Errors
    ///
    /// When the key cannot be read, or made where there is none.
    pub fn of_folder(data_dir: &Path, url: impl Into<String>) -> anyhow::Result<Self> {
        Ok(Self {
            url: url.into(),
            access_key: access_key(data_dir)?,
        })
    }
}

/// The random key of a data folder; made when there is none.
fn access_key(data_dir: &Path) -> anyhow::Result<String> {
    let path = data_dir.join(KEY_FILE);
    match only_for_its_owner().create_new(true).open(&path) {
        Ok(mut file) => {
            let key = hex(&rand::random::<[u8; 16]>());
            file.write_all(key.as_bytes())
                .with_context(|| format!("cannot write {}", path.display()))?;
            return Ok(key);
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        Err(error) => {
            return Err(error).with_context(|| format!("cannot write {}", path.display()));
        }
    }
    let key =
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    // A process that was killed between the two steps left an empty file behind.
    if key.trim().is_empty() {
        fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))?;
        return access_key(data_dir);
    }
    Ok(key.trim().to_owned())
}

/// A DynamoDB client for an endpoint on this machine.
///
/// # Errors
///
/// When the client cannot be made.
pub fn dynamodb_client(address: &DatabaseAddress) -> anyhow::Result<aws_sdk_dynamodb::Client> {
    Ok(aws_sdk_dynamodb::Client::new(&sdk_config(address)?))
}

fn sdk_config(address: &DatabaseAddress) -> anyhow::Result<SdkConfig> {
    let mut settings = Settings::from_map([
        ("AWS_REGION", "local"),
        ("AWS_ACCESS_KEY_ID", address.access_key.as_str()),
        ("AWS_SECRET_ACCESS_KEY", "local"),
        ("AWS_ENDPOINT_URL", address.url.as_str()),
        ("AWS_ATTEMPT_TIMEOUT_MS", "20000"),
        ("AWS_OPERATION_TIMEOUT_MS", "60000"),
    ]);
    let config = runtime::aws::sdk_config(&mut settings);
    Ok(settings.finish(|| config)?)
}

/// The embedded database of a data folder, served on loopback.
pub struct EmbeddedDatabase {
    /// Address of the database, with its key.
    pub address: DatabaseAddress,
    workers: Workers,
}

impl fmt::Debug for EmbeddedDatabase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address.fmt(f)
    }
}

impl EmbeddedDatabase {
    /// Opens the folder's database and serves it at a free port. With `removes_expired`, expired
    /// items are removed from time to time.
    ///
    /// # Errors
    ///
    /// When the file cannot be opened or no port is free.
    pub async fn start(
        data_dir: &Path,
        removes_expired: bool,
        durability: Durability,
    ) -> anyhow::Result<Self> {
        let file = data_dir.join("table.db");
        let file = file
            .to_str()
            .context("the data folder's path is not UTF-8")?;
        let database = Database::new(file).map_err(|error| anyhow::anyhow!("{error}"));
        let database = database.context("cannot open the database")?;
        if durability == Durability::Kill {
            // No waiting for the disk, and a cache worth the name.
            let set = database.enable_bulk_loading();
            set.map_err(|error| anyhow::anyhow!("{error}"))
                .context("cannot set up the database")?;
        }
        let listener = TcpListener::bind(("127.0.0.1", 0))
            .await
            .context("no free port")?;
        let address = listener
            .local_addr()
            .context("the database has no address")?;
        let address = DatabaseAddress::of_folder(data_dir, format!("http://{address}"))?;
        let mut workers = Workers::new();
        let (swept, stopped) = (database.clone(), workers.stopped());
        let routes = router(database, &address.access_key);
        workers.tasks.spawn(async move {
            let served = axum::serve(listener, routes).with_graceful_shutdown(stopped);
            if let Err(error) = served.await {
                error!(error = %Chain(&error), "the database ended");
            }
        });
        if removes_expired {
            let stopped = workers.stopped();
            workers.tasks.spawn(async move {
                tokio::select! {
                    () = sweep(swept) => {}
                    () = stopped => {}
                }
            });
        }
        Ok(Self { address, workers })
    }

    /// Closes the database. A client that keeps its connections open is not waited for longer than a
    /// second.
    pub async fn stop(self) {
        drop(tokio::time::timeout(Duration::from_secs(1), self.workers.end()).await);
    }
}

#[derive(Clone)]
struct Server {
    database: Database,
    /// SHA-256 of the key: comparing hashes takes the same time for every wrong key.
    key_hash: [u8; 32],
}

fn router(database: Database, access_key: &str) -> Router {
    let key_hash = Sha256::digest(access_key).into();
    Router::new()
        .route("/", post(answer))
        .layer(DefaultBodyLimit::max(MAX_REQUEST_BYTES))
        .with_state(Server { database, key_hash })
}

async fn answer(State(server): State<Server>, headers: HeaderMap, body: String) -> Response<Body> {
    if headers.contains_key(header::ORIGIN) {
        return refused("a web page may not ask the database");
    }
    if !server.knows(&headers) {
        return refused("the request is not signed under the key of this data folder");
    }
    let target = headers.get("x-amz-target");
    let target = target.and_then(|target| target.to_str().ok());
    let operation = target.and_then(|target| target.strip_prefix(TARGET));
    match perform(&server.database, operation.unwrap_or_default(), &body) {
        Ok(json) => typed(StatusCode::OK, json),
        Err(error) => {
            let status = StatusCode::from_u16(error.status_code());
            typed(status.unwrap_or(StatusCode::BAD_REQUEST), error.to_json())
        }
    }
}

impl Server {
    /// Returns whether the request names the key in its `Authorization`.
    fn knows(&self, headers: &HeaderMap) -> bool {
        let authorization = headers.get(header::AUTHORIZATION);
        let authorization = authorization.and_then(|value| value.to_str().ok());
        let credential = authorization
            .and_then(|text| text.split_once("Credential="))
            .and_then(|(_, rest)| rest.split_once('/'));
        credential.is_some_and(|(key, _)| self.key_hash == <[u8; 32]>::from(Sha256::digest(key)))
    }
}

fn refused(why: &str) -> Response<Body> {
    let error = json!({ "__type": "com.amazonaws.dynamodb#AccessDeniedException", "message": why });
    typed(StatusCode::FORBIDDEN, error.to_string())
}

fn typed(status: StatusCode, json: String) -> Response<Body> {
    (status, [(header::CONTENT_TYPE, CONTENT_TYPE)], json).into_response()
}

/// Performs one operation of DynamoDB's API on the database.
fn perform(database: &Database, operation: &str, body: &str) -> Result<String, DynoxideError> {
    let unreadable =
        |error: serde_json::Error| DynoxideError::SerializationException(error.to_string());
    macro_rules! performed {
        ($method:ident) => {{
            let request = serde_json::from_str(body).map_err(unreadable)?;
            serde_json::to_string(&database.$method(request)?).map_err(unreadable)
        }};
    }
    match operation {
        "BatchGetItem" => performed!(batch_get_item),
        "BatchWriteItem" => performed!(batch_write_item),
        "CreateTable" => performed!(create_table),
        "DeleteItem" => performed!(delete_item),
        "DescribeTable" => performed!(describe_table),
        "DescribeTimeToLive" => performed!(describe_time_to_live),
        "GetItem" => performed!(get_item),
        "ListTables" => performed!(list_tables),
        "PutItem" => performed!(put_item),
        "Query" => performed!(query),
        "Scan" => performed!(scan),
        "TransactGetItems" => performed!(transact_get_items),
        "TransactWriteItems" => performed!(transact_write_items),
        "UpdateItem" => performed!(update_item),
        "UpdateTable" => performed!(update_table),
        "UpdateTimeToLive" => performed!(update_time_to_live),
        _ => Err(DynoxideError::SerializationException(
            "the operation is not served here".to_owned(),
        )),
    }
}

/// Removes expired items from time to time, as DynamoDB's TTL does.
async fn sweep(database: Database) {
    loop {
        tokio::time::sleep(TTL_SWEEP).await;
        let database = database.clone();
        match tokio::task::spawn_blocking(move || database.sweep_ttl()).await {
            Ok(Ok(expired)) => info!(expired, "expired items removed"),
            Ok(Err(error)) => warn!(%error, "cannot remove expired items"),
            Err(error) => warn!(error = %Chain(&error), "cannot remove expired items"),
        }
    }
}
