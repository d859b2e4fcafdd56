//! A Terra that answers what it is told to, and notes what it was asked.

use std::{
    collections::VecDeque,
    error::Error as _,
    fmt::Write as _,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Request, State},
    http::{HeaderMap, Method, Response},
};
use domain::pacing::Quotas;
use futures::{StreamExt, stream};
use jiff::civil::date;
use models::{
    data::DataType,
    ids::{Provider, ReferenceId, TerraUserId},
};
use secrecy::SecretString;
use terra_client::api::{
    DataRequest, DateRange, Jitter, Samples, Settings, TerraClient, TerraError, Via,
};

pub(crate) const KEY: &str = "key-c0ffee";
pub(crate) const DEV_ID: &str = "testing-stub";
pub(crate) const USER: &str = "user-5ca1ab1e";
pub(crate) const PERSON: &str = "person@example.org";
/// Texts that no error may show, in lower case.
const HIDDEN: [&str; 6] = [
    KEY,
    USER,
    "5ca1ab1e",
    "person",
    "example.org",
    "start_date=",
];

/// One request as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        Some(self.headers.get(name)?.to_str().unwrap())
    }

    /// Method, path and decoded query.
    pub(crate) fn line(&self) -> String {
        let mut line = format!("{} {}", self.method, self.path);
        for (position, (name, value)) in self.query.iter().enumerate() {
            let mark = if position == 0 { '?' } else { '&' };
            write!(line, "{mark}{name}={value}").unwrap();
        }
        line
    }
}

#[derive(Debug, Clone)]
pub(crate) enum Content {
    Whole(Bytes),
    /// More bytes for as long as somebody reads.
    Endless,
    /// A few bytes now and then, for as long as somebody reads.
    Dripping,
    /// A piece, and then the connection breaks.
    Broken,
    /// A piece, and then nothing.
    Stalled,
    /// Not even a status.
    Never,
}

#[derive(Debug, Clone)]
pub(crate) struct Reply {
    status: u16,
    headers: Vec<(&'static str, String)>,
    content: Content,
}

pub(crate) fn reply(status: u16, body: impl Into<Bytes>) -> Reply {
    Reply {
        status,
        headers: Vec::new(),
        content: Content::Whole(body.into()),
    }
}

pub(crate) fn odd(status: u16, content: Content) -> Reply {
    Reply {
        status,
        headers: Vec::new(),
        content,
    }
}

impl Reply {
    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }
}

#[derive(Clone)]
pub(crate) struct Stub {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
}

#[derive(Clone)]
struct Script {
    replies: Arc<Mutex<VecDeque<Reply>>>,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Stub {
    /// Gives the replies in their order, the last one for ever.
    pub(crate) async fn answering(replies: impl IntoIterator<Item = Reply>) -> Self {
        let seen = Arc::<Mutex<Vec<Seen>>>::default();
        let script = Script {
            replies: Arc::new(Mutex::new(replies.into_iter().collect())),
            seen: Arc::clone(&seen),
        };
        let app = Router::new().fallback(answer).with_state(script);
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0))
            .await
            .unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { address, seen }
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// The settings with which this one is asked, once for each call.
    pub(crate) fn settings(&self) -> Settings {
        let mut settings = Settings::new(DEV_ID, SecretString::from(KEY));
        let base = |path: &str| format!("http://{}{path}", self.address).parse().unwrap();
        settings.base_url = base("/api/v2");
        settings.former_base_url = base("/v2");
        settings.widget_base_url = base("");
        settings.retries.attempts = 1;
        settings
    }

    pub(crate) fn client(&self) -> TerraClient {
        client(&self.settings())
    }
}

pub(crate) fn client(settings: &Settings) -> TerraClient {
    TerraClient::new(settings, Jitter::from_fn(|_| Duration::ZERO)).unwrap()
}

async fn answer(State(script): State<Script>, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let uri = reqwest::Url::parse(&format!("http://stub{}", parts.uri)).unwrap();
    let seen = Seen {
        method: parts.method,
        path: uri.path().to_owned(),
        query: uri.query_pairs().into_owned().collect(),
        headers: parts.headers,
        body: axum::body::to_bytes(body, 1_000_000).await.unwrap(),
    };
    script.seen.lock().unwrap().push(seen);
    let reply = {
        let mut replies = script.replies.lock().unwrap();
        if replies.len() > 1 {
            replies.pop_front().unwrap()
        } else {
            replies[0].clone()
        }
    };
    let piece = || Ok::<_, std::io::Error>(Bytes::from_static(b"{\"data\":[ "));
    let body = match reply.content {
        Content::Whole(bytes) => Body::from(bytes),
        Content::Endless => Body::from_stream(stream::repeat_with(|| {
            Ok::<_, std::io::Error>(Bytes::from_static(&[b' '; 10_000]))
        })),
        Content::Dripping => Body::from_stream(stream::repeat_with(piece).then(async |piece| {
            tokio::time::sleep(Duration::from_millis(5)).await;
            piece
        })),
        // The piece leaves before the break, because the stream is not ready in between.
        Content::Broken => Body::from_stream(stream::iter([piece()]).chain(stream::once(async {
            tokio::task::yield_now().await;
            Err(std::io::Error::other("gone"))
        }))),
        Content::Stalled => Body::from_stream(stream::iter([piece()]).chain(stream::pending())),
        Content::Never => std::future::pending().await,
    };
    let mut response = Response::builder().status(reply.status);
    for (name, value) in reply.headers {
        response = response.header(name, value);
    }
    response.body(body).unwrap()
}

pub(crate) fn user_id() -> TerraUserId {
    TerraUserId::new(USER).unwrap()
}

pub(crate) fn reference_id() -> ReferenceId {
    ReferenceId::new(PERSON).unwrap()
}

pub(crate) fn provider(name: &str) -> Provider {
    Provider::new(name).unwrap()
}

pub(crate) fn june() -> DateRange {
    DateRange::of_days(date(2026, 6, 1), date(2026, 6, 29)).unwrap()
}

pub(crate) fn request(user_id: &TerraUserId, data_type: DataType, via: Via) -> DataRequest<'_> {
    DataRequest {
        user_id,
        provider: None,
        data_type,
        range: june(),
        via,
        samples: Samples::With,
    }
}

/// Asks for body data in the answer, as the stand-in for every read.
pub(crate) async fn ask(
    client: &TerraClient,
    via: Via,
) -> Result<terra_client::api::DataAnswer, TerraError> {
    let user_id = user_id();
    let answered = client.data(&request(&user_id, DataType::Body, via)).await;
    if let Err(error) = &answered {
        assert_discreet(error);
    }
    answered
}

/// No error shows whom it is about, what was said, or the key.
pub(crate) fn assert_discreet(error: &TerraError) {
    let mut shown = format!("{error} {error:?}");
    let mut cause = error.source();
    while let Some(error) = cause {
        write!(shown, " {error} {error:?}").unwrap();
        cause = error.source();
    }
    let shown = shown.to_lowercase();
    for hidden in HIDDEN {
        assert!(!shown.contains(hidden), "{shown}");
    }
}

/// Limits that no test reaches by accident.
pub(crate) fn wide() -> Quotas {
    let wide = domain::pacing::Quota::rolling_hour(4_000_000, 1_000_000);
    Quotas {
        account: wide,
        user_days: wide,
        providers: std::collections::BTreeMap::default(),
    }
}
