//! A Lambda Runtime API for one function.
//!
//! Source: <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, Path, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode},
    response::IntoResponse,
    routing::{get, post},
};
use tokio::{
    net::TcpListener,
    sync::{Mutex, mpsc},
    task::JoinHandle,
};

/// Lambda's own bound on what a function is given and answers, with room.
const MAX_BYTES: usize = 8 * 1024 * 1024;

type Answer = (Instant, Result<Bytes, String>);

/// Gives a function its events and takes its answers.
pub(super) struct RuntimeApi {
    pub(super) address: SocketAddr,
    events: mpsc::Sender<Bytes>,
    answers: mpsc::Receiver<Answer>,
    server: JoinHandle<()>,
}

struct Ends {
    events: Mutex<mpsc::Receiver<Bytes>>,
    answers: mpsc::Sender<Answer>,
}

impl RuntimeApi {
    pub(super) async fn start() -> anyhow::Result<Self> {
        let (events, coming) = mpsc::channel(1);
        let (answering, answers) = mpsc::channel(1);
        let ends = Arc::new(Ends {
            events: Mutex::new(coming),
            answers: answering,
        });
        let routes = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route(
                "/2018-06-01/runtime/invocation/{id}/response",
                post(response),
            )
            .route("/2018-06-01/runtime/invocation/{id}/error", post(failed))
            .route("/2018-06-01/runtime/init/error", post(failed_to_start))
            .layer(DefaultBodyLimit::max(MAX_BYTES))
            .with_state(ends);
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let server = tokio::spawn(async move {
            drop(axum::serve(listener, routes).await);
        });
        Ok(Self {
            address,
            events,
            answers,
            server,
        })
    }

    /// One event, from being handed out to being answered.
    pub(super) async fn invoke(&mut self, event: Bytes) -> anyhow::Result<(Duration, Bytes)> {
        let start = Instant::now();
        self.events
            .send(event)
            .await
            .context("the Runtime API ended")?;
        let (at, answer) = self.answers.recv().await.context("the Runtime API ended")?;
        match answer {
            Ok(answer) => Ok((at.duration_since(start), answer)),
            Err(error) => bail!("the function failed: {error}"),
        }
    }
}

impl Drop for RuntimeApi {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn next(State(ends): State<Arc<Ends>>) -> impl IntoResponse {
    let event = ends.events.lock().await.recv().await.unwrap_or_default();
    let headers = [
        (
            "lambda-runtime-aws-request-id",
            "8476a536-e9f4-11e8-9739-2dfe598c3fcd",
        ),
        ("lambda-runtime-deadline-ms", "4102444800000"),
        (
            "lambda-runtime-invoked-function-arn",
            "arn:aws:lambda:eu-west-2:000000000000:function:bench",
        ),
        (
            "lambda-runtime-trace-id",
            "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Sampled=0",
        ),
        ("content-type", "application/json"),
    ];
    let headers: HeaderMap = headers
        .into_iter()
        .map(|(name, value)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )
        })
        .collect();
    (headers, event)
}

async fn response(State(ends): State<Arc<Ends>>, Path(_): Path<String>, body: Bytes) -> StatusCode {
    drop(ends.answers.send((Instant::now(), Ok(body))).await);
    StatusCode::ACCEPTED
}

async fn failed(State(ends): State<Arc<Ends>>, Path(_): Path<String>, body: Bytes) -> StatusCode {
    failed_to_start(State(ends), body).await
}

async fn failed_to_start(State(ends): State<Arc<Ends>>, body: Bytes) -> StatusCode {
    let why = String::from_utf8_lossy(&body).into_owned();
    drop(ends.answers.send((Instant::now(), Err(why))).await);
    StatusCode::ACCEPTED
}
