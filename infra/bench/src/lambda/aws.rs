//! AWS as far as the functions use it: every call succeeds, after a fixed delay, over TLS.

use std::{
    collections::HashMap,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{DefaultBodyLimit, Request, State},
    http::{
        HeaderMap, Method, StatusCode,
        header::{CONTENT_RANGE, CONTENT_TYPE, RANGE},
        request::Parts,
    },
    response::{IntoResponse, Response},
    serve::Listener,
};
use http_body_util::BodyExt as _;
use rcgen::CertifiedKey;
use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer},
};
use serde_json::{Value, json};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use crate::webhooks::{SECRET, SECRET_NAME};

/// SQS takes 1 MiB, a segment may be larger.
const MAX_BYTES: usize = 64 * 1024 * 1024;

/// Age of every object.
const LAST_MODIFIED: &str = "Sun, 01 Nov 2026 00:00:00 GMT";

/// The secret with the credentials for Terra's API.
pub(super) const TERRA_CREDENTIALS_ARN: &str = "arn:aws:secretsmanager:eu-west-2:0:secret:terra";
/// Below it is Terra's API.
pub(super) const TERRA_PATH: &str = "/terra";

/// Objects of S3 by their paths, which outlive one stand-in.
pub(super) type Objects = Arc<Mutex<HashMap<String, Bytes>>>;

/// A stand-in for every service, and for Terra.
pub(super) struct Aws {
    pub(super) endpoint: String,
    /// The certificate to trust, as a file.
    pub(super) certificate: PathBuf,
    counts: Arc<Counters>,
    terra: Arc<Mutex<Bytes>>,
    server: JoinHandle<()>,
}

#[derive(Default)]
struct Counters {
    under_way: AtomicU64,
    so_far: Mutex<Counts>,
}

/// Number of requests so far, by service.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counts {
    /// Requests.
    pub(super) calls: u64,
    /// Times that a request came while none was under way: what a function waited for in turn.
    pub(super) rounds: u64,
    /// DynamoDB's, where there is a database.
    pub(super) write_units: f64,
    pub(super) read_units: f64,
    /// Objects, and their bytes.
    pub(super) puts: u64,
    pub(super) put_bytes: u64,
}

impl Counters {
    fn note(&self, change: impl FnOnce(&mut Counts)) {
        if let Ok(mut so_far) = self.so_far.lock() {
            change(&mut so_far);
        }
    }
}

#[derive(Clone)]
struct Service {
    counts: Arc<Counters>,
    delay: Duration,
    terra: Arc<Mutex<Bytes>>,
    database: Option<(reqwest::Client, String)>,
    objects: Objects,
}

impl Aws {
    pub(super) async fn start(
        folder: &Path,
        delay: Duration,
        database: Option<&str>,
        objects: &Objects,
    ) -> anyhow::Result<Self> {
        let CertifiedKey { cert, signing_key } =
            rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()])?;
        let key = PrivateKeyDer::try_from(signing_key.serialize_der())
            .map_err(|error| anyhow::anyhow!("no usable key: {error}"))?;
        let tls = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![CertificateDer::from(cert.der().to_vec())], key)?;
        let listener = Tls {
            tcp: TcpListener::bind(("127.0.0.1", 0)).await?,
            acceptor: TlsAcceptor::from(Arc::new(tls)),
        };
        let port = listener.tcp.local_addr()?.port();
        let certificate = folder.join(format!("certificate-{port}.pem"));
        fs::write(&certificate, cert.pem())?;
        let counts = Arc::new(Counters::default());
        let terra = Arc::new(Mutex::new(Bytes::new()));
        // The client wants one, also where it speaks plain HTTP; a second call changes nothing.
        drop(ring::default_provider().install_default());
        let service = Service {
            counts: Arc::clone(&counts),
            delay,
            terra: Arc::clone(&terra),
            database: database.map(|url| (reqwest::Client::new(), url.to_owned())),
            objects: Arc::clone(objects),
        };
        let routes = Router::new()
            .fallback(answer)
            .layer(DefaultBodyLimit::max(MAX_BYTES))
            .with_state(service);
        let server = tokio::spawn(async move {
            drop(axum::serve(listener, routes).await);
        });
        Ok(Self {
            endpoint: format!("https://localhost:{port}"),
            certificate,
            counts,
            terra,
            server,
        })
    }

    /// Sets Terra's answer from now on, to any request.
    pub(super) fn answer_as_terra(&self, answer: Bytes) {
        if let Ok(mut terra) = self.terra.lock() {
            *terra = answer;
        }
    }

    pub(super) fn counts(&self) -> Counts {
        let so_far = self.counts.so_far.lock();
        so_far.map(|so_far| *so_far).unwrap_or_default()
    }
}

impl Drop for Aws {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn answer(State(service): State<Service>, request: Request) -> Response {
    if request.uri().path().starts_with(TERRA_PATH) {
        let answer = service.terra.lock().map(|terra| terra.clone());
        let json = [(CONTENT_TYPE, "application/json")];
        return (json, answer.unwrap_or_default()).into_response();
    }
    let counts = &service.counts;
    let alone = counts.under_way.fetch_add(1, Ordering::SeqCst) == 0;
    counts.note(|so_far| {
        so_far.calls += 1;
        so_far.rounds += u64::from(alone);
    });
    let delay = service.delay;
    // A thread's sleep is exact: tokio's timer counts whole milliseconds, and one becomes two.
    let waited = tokio::task::spawn_blocking(move || std::thread::sleep(delay));
    let response = respond(&service, request).await;
    drop(waited.await);
    counts.under_way.fetch_sub(1, Ordering::SeqCst);
    response
}

async fn respond(service: &Service, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = body.collect().await else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let body = body.to_bytes();
    let target = parts.headers.get("x-amz-target");
    let target = target.and_then(|target| target.to_str().ok());
    let (api, operation) = target
        .and_then(|target| target.split_once('.'))
        .unwrap_or_default();
    let answer = match (api, operation, &service.database) {
        ("", ..) => return object(service, &parts, body),
        ("DynamoDB_20120810", _, Some((client, url))) => {
            return match forward(service, client, url, &parts.headers, operation, &body).await {
                Ok(response) => response,
                Err(error) => (StatusCode::BAD_GATEWAY, error.to_string()).into_response(),
            };
        }
        (_, "SendMessage", _) => json!({"MessageId": "0", "MD5OfMessageBody": "0"}),
        (_, "GetSecretValue", _) => {
            let asked: Value = serde_json::from_slice(&body).unwrap_or_default();
            let secret = if asked.get("SecretId") == Some(&json!(TERRA_CREDENTIALS_ARN)) {
                json!({"dev_id": "bench", "api_key": "bench"})
            } else {
                json!({SECRET_NAME: SECRET})
            };
            json!({"ARN": "arn", "Name": "bench", "SecretString": secret.to_string()})
        }
        // An empty table that takes everything: each webhook is the first of its person.
        (_, "BatchGetItem", _) => json!({"Responses": {}, "UnprocessedKeys": {}}),
        (_, "Query", _) => json!({"Items": [], "Count": 0, "ScannedCount": 0}),
        _ => json!({}),
    };
    amazon_json(StatusCode::OK, answer.to_string())
}

/// S3: takes everything, and gives it back where there is a database to know it by.
fn object(service: &Service, parts: &Parts, body: Bytes) -> Response {
    let path = parts.uri.path();
    let Ok(mut objects) = service.objects.lock() else {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    };
    let headers = [("etag", "\"0\""), ("last-modified", LAST_MODIFIED)];
    if parts.method != Method::GET {
        service.counts.note(|so_far| {
            so_far.puts += u64::from(parts.method == Method::PUT);
            so_far.put_bytes += body.len() as u64;
        });
        if service.database.is_some() && parts.method == Method::PUT {
            objects.insert(path.to_owned(), body);
        }
        return (headers, Bytes::new()).into_response();
    }
    let Some(whole) = objects.get(path) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let range = parts.headers.get(RANGE).and_then(|range| {
        let (from, to) = range
            .to_str()
            .ok()?
            .strip_prefix("bytes=")?
            .split_once('-')?;
        let end = to.parse::<usize>().ok()?.saturating_add(1).min(whole.len());
        Some(from.parse().ok().filter(|from| *from < end)?..end)
    });
    let Some(range) = range else {
        return (headers, whole.clone()).into_response();
    };
    let content_range = format!("bytes {}-{}/{}", range.start, range.end - 1, whole.len());
    (
        StatusCode::PARTIAL_CONTENT,
        headers,
        [(CONTENT_RANGE, content_range)],
        whole.slice(range),
    )
        .into_response()
}

fn amazon_json(status: StatusCode, text: impl Into<Body>) -> Response {
    (
        status,
        [(CONTENT_TYPE, "application/x-amz-json-1.0")],
        text.into(),
    )
        .into_response()
}

/// Asks the database, and what it would have charged.
async fn forward(
    service: &Service,
    client: &reqwest::Client,
    url: &str,
    headers: &HeaderMap,
    operation: &str,
    body: &[u8],
) -> anyhow::Result<Response> {
    let mut asked: Value = serde_json::from_slice(body)?;
    if let Some(asked) = asked.as_object_mut() {
        asked.insert("ReturnConsumedCapacity".to_owned(), "TOTAL".into());
    }
    let mut request = client.post(url).body(asked.to_string());
    for name in [
        "x-amz-target",
        "content-type",
        "authorization",
        "x-amz-date",
    ] {
        if let Some(value) = headers.get(name) {
            request = request.header(name, value);
        }
    }
    let answer = request.send().await?;
    let status = answer.status();
    let text = answer.bytes().await?;
    let answered: Value = serde_json::from_slice(&text)?;
    let consumed = match answered.get("ConsumedCapacity") {
        Some(Value::Array(all)) => all.clone(),
        Some(one) => vec![one.clone()],
        None => Vec::new(),
    };
    let units: f64 = consumed
        .iter()
        .filter_map(|consumed| consumed.get("CapacityUnits")?.as_f64())
        .sum();
    let reads = matches!(operation, "GetItem" | "BatchGetItem" | "Query");
    service.counts.note(|so_far| {
        if reads {
            so_far.read_units += units;
        } else {
            so_far.write_units += units;
        }
    });
    Ok(amazon_json(status, text))
}

/// Accepts TLS connections; one whose handshake fails is let go.
struct Tls {
    tcp: TcpListener,
    acceptor: TlsAcceptor,
}

impl Listener for Tls {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let Ok((stream, address)) = self.tcp.accept().await else {
                continue;
            };
            drop(stream.set_nodelay(true));
            if let Ok(stream) = self.acceptor.accept(stream).await {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        self.tcp.local_addr()
    }
}
