use std::{
    error::Error as _,
    fmt::Write as _,
    net::SocketAddr,
    sync::atomic::{AtomicU32, Ordering},
};

use axum::{
    Router,
    body::Body,
    http::HeaderMap,
    response::{IntoResponse, Redirect, Response},
    routing::get,
};
use futures::stream;

use domain::Retry;

use super::*;

const MAX_BYTES: usize = 100_000;
const SECRET: &str = "X-Amz-Signature=c0ffee";

fn streamed(chunks: usize) -> Body {
    let chunk = || Ok::<_, std::io::Error>(Bytes::from_static(&[7; 1_000]));
    Body::from_stream(stream::iter((0..chunks).map(move |_| chunk())))
}

async fn broken() -> Body {
    Body::from_stream(stream::iter([
        Ok(Bytes::from_static(b"half")),
        Err(std::io::Error::other("gone")),
    ]))
}

async fn slow() {
    tokio::time::sleep(Duration::from_mins(1)).await;
}

async fn stalled() -> Body {
    use futures::StreamExt;
    let half = stream::iter([Ok::<_, std::io::Error>(Bytes::from_static(b"half"))]);
    Body::from_stream(half.chain(stream::pending()))
}

/// Works at the third try.
async fn third() -> Response {
    static TRIES: AtomicU32 = AtomicU32::new(1);
    if TRIES.fetch_add(1, Ordering::Relaxed) < 3 {
        StatusCode::SERVICE_UNAVAILABLE.into_response()
    } else {
        "the payload".into_response()
    }
}

/// An object that was put there compressed, as storage gives it whatever was asked for.
fn packed(text_bytes: usize, cut_bytes: usize) -> ([(&'static str, &'static str); 1], Vec<u8>) {
    use std::io::Write as _;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(&vec![b' '; text_bytes]).unwrap();
    let mut bytes = encoder.finish().unwrap();
    bytes.truncate(bytes.len() - cut_bytes);
    ([("content-encoding", "gzip")], bytes)
}

/// Nothing may tell where the URL was found or who asks.
async fn headers(headers: HeaderMap) -> String {
    headers
        .keys()
        .map(http::HeaderName::as_str)
        .collect::<Vec<_>>()
        .join(" ")
}

/// A server that answers in every way there is; where it listens.
async fn serve() -> SocketAddr {
    let mut app = Router::new()
        .route("/ok", get(|| async { "the payload" }))
        .route("/empty", get(|| async {}))
        .route("/headers", get(headers))
        .route("/full", get(|| async { vec![7; MAX_BYTES] }))
        .route("/large", get(|| async { vec![7; MAX_BYTES + 1] }))
        .route("/streamed", get(|| async { streamed(MAX_BYTES / 1_000) }))
        .route(
            "/streamed-large",
            get(|| async { streamed(MAX_BYTES / 1_000 + 1) }),
        )
        .route("/packed", get(async || packed(MAX_BYTES, 0)))
        .route("/packed-large", get(async || packed(MAX_BYTES + 1, 0)))
        .route("/packed-damaged", get(async || packed(MAX_BYTES, 1)))
        .route("/broken", get(broken))
        .route("/slow", get(slow))
        .route("/stalled", get(stalled))
        .route("/third", get(third))
        .route("/nowhere", get(|| async { StatusCode::FOUND }))
        .route("/loop", get(|| async { Redirect::temporary("/loop") }));
    for (path, target) in [
        ("/to-ok", "/ok"),
        ("/two", "/to-ok"),
        ("/three", "/two"),
        ("/four", "/three"),
        ("/elsewhere", "https://evil.example/"),
        ("/to-http", "http://s3.amazonaws.com/"),
        ("/to-metadata", "http://169.254.169.254/latest/"),
        ("/to-file", "file:///etc/passwd"),
    ] {
        let target = format!("{target}?{SECRET}");
        app = app.route(path, get(async move || Redirect::permanent(&target)));
    }
    for status in [304, 400, 401, 403, 404, 408, 410, 429, 500, 502, 503] {
        let status = StatusCode::from_u16(status).unwrap();
        let answer = async move || (status, format!("{SECRET} has expired")).into_response();
        app = app.route(&format!("/{}", status.as_u16()), get(answer));
    }
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0))
        .await
        .unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

fn local() -> Settings {
    Settings {
        max_bytes: MAX_BYTES,
        allow_http_loopback: true,
        retries: Retries {
            tries: 3,
            first_wait: Duration::from_millis(1),
        },
        ..Settings::default()
    }
}

async fn fetch(settings: &Settings, url: &str) -> Result<Bytes, FetchError> {
    let fetched = PayloadFetcher::new(settings.clone())
        .unwrap()
        .fetch(url, Duration::MAX)
        .await;
    if let Err(error) = &fetched {
        let mut shown = format!("{error} {error:?}");
        let mut cause = error.source();
        while let Some(error) = cause {
            write!(shown, " {error} {error:?}").unwrap();
            cause = error.source();
        }
        for hidden in ["Amz", "c0ffee", "secret", "?"] {
            assert!(!shown.contains(hidden), "{shown}");
        }
    }
    fetched
}

#[tokio::test]
async fn a_payload_is_fetched_whole() {
    let address = serve().await;
    for (path, payload) in [
        ("ok", Bytes::from_static(b"the payload")),
        ("empty", Bytes::new()),
        ("packed", vec![b' '; MAX_BYTES].into()),
        ("packed-damaged", packed(MAX_BYTES, 1).1.into()),
        ("full", vec![7; MAX_BYTES].into()),
        ("streamed", vec![7; MAX_BYTES].into()),
        ("to-ok", Bytes::from_static(b"the payload")),
        ("three", Bytes::from_static(b"the payload")),
        ("headers", Bytes::from_static(b"accept host")),
    ] {
        let url = format!("http://{address}/{path}?{SECRET}");
        assert_eq!(fetch(&local(), &url).await.unwrap(), payload, "{path}");
    }
    let url = format!("http://localhost:{}/ok", address.port());
    assert_eq!(fetch(&local(), &url).await.unwrap(), "the payload");
}

#[tokio::test]
async fn what_cannot_be_had_says_whether_it_ever_can() {
    let address = serve().await;
    for (path, kind, retry) in [
        ("large", "too large", Retry::Never),
        ("streamed-large", "too large", Retry::Never),
        ("packed-large", "too large", Retry::Never),
        ("four", "not allowed", Retry::Never),
        ("loop", "not allowed", Retry::Never),
        ("nowhere", "not allowed", Retry::Never),
        ("elsewhere", "not allowed", Retry::Never),
        ("to-http", "not allowed", Retry::Never),
        ("to-metadata", "not allowed", Retry::Never),
        ("to-file", "not allowed", Retry::Never),
        ("304", "refused", Retry::Never),
        ("400", "refused", Retry::Never),
        ("401", "refused", Retry::Never),
        ("403", "refused", Retry::Never),
        ("404", "refused", Retry::Never),
        ("410", "refused", Retry::Never),
        ("408", "unavailable", Retry::Later),
        ("429", "unavailable", Retry::Later),
        ("500", "unavailable", Retry::Later),
        ("502", "unavailable", Retry::Later),
        ("503", "unavailable", Retry::Later),
        ("broken", "unavailable", Retry::Later),
    ] {
        let url = format!("http://{address}/{path}?{SECRET}");
        let error = fetch(&local(), &url).await.unwrap_err();
        let is = match &error {
            FetchError::NotAllowed { .. } => "not allowed",
            FetchError::Refused { .. } => "refused",
            FetchError::TooLarge { .. } => "too large",
            FetchError::Unavailable { .. } => "unavailable",
        };
        assert_eq!((is, error.retry()), (kind, retry), "{path} {error:?}");
    }
}

#[tokio::test]
async fn a_host_that_fails_is_asked_again_at_once_a_few_times() {
    let address = serve().await;
    let third = format!("http://{address}/third?{SECRET}");
    let twice = Settings {
        retries: Retries {
            tries: 2,
            ..local().retries
        },
        ..local()
    };
    let error = fetch(&twice, &third).await.unwrap_err();
    assert_eq!(error.retry(), Retry::Later);
    assert_eq!(fetch(&local(), &third).await.unwrap(), "the payload");
}

#[tokio::test]
async fn tries_end_with_the_time_that_is_left() {
    let address = serve().await;
    let settings = Settings {
        retries: Retries {
            tries: 3,
            first_wait: Duration::from_mins(1),
        },
        ..local()
    };
    let fetcher = PayloadFetcher::new(settings).unwrap();
    let url = format!("http://{address}/503?{SECRET}");
    let answer = fetcher.fetch(&url, Duration::from_millis(100)).await;
    assert!(matches!(answer, Err(FetchError::Unavailable { .. })));
}

#[tokio::test]
async fn a_host_that_does_not_answer_in_time_is_left() {
    let address = serve().await;
    let settings = Settings {
        timeout: Duration::from_millis(100),
        ..local()
    };
    for path in ["slow", "stalled"] {
        let url = format!("http://{address}/{path}?{SECRET}");
        let error = fetch(&settings, &url).await.unwrap_err();
        assert!(matches!(error, FetchError::Unavailable { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn a_host_that_is_not_there_may_be_there_later() {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0))
        .await
        .unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let error = fetch(&local(), &format!("http://{address}/?{SECRET}"))
        .await
        .unwrap_err();
    assert!(matches!(error, FetchError::Unavailable { .. }), "{error:?}");
    assert_eq!(error.to_string(), "cannot fetch the payload at 127.0.0.1");
}

#[tokio::test]
async fn only_known_hosts_are_asked_and_only_over_tls() {
    let address = serve().await;
    let loopback = format!("http://{address}/ok?{SECRET}");
    for (url, why) in [
        (loopback.as_str(), "it is not https"),
        (
            "http://bucket.s3.amazonaws.com/?X-Amz-Signature=c0ffee",
            "it is not https",
        ),
        ("ftp://bucket.s3.amazonaws.com/", "it is not https"),
        (
            "https://evil.example/?X-Amz-Signature=c0ffee",
            "its host is not on the list",
        ),
        (
            "https://s3.amazonaws.com.evil.example/",
            "its host is not on the list",
        ),
        ("https://evil-amazonaws.com/", "its host is not on the list"),
        (
            "https://evil.example\\.s3.amazonaws.com/",
            "its host is not on the list",
        ),
        (
            "https://evil.example#.s3.amazonaws.com/",
            "its host is not on the list",
        ),
        (
            "https://somebody-12345.eu-west-2.elb.amazonaws.com/",
            "its host is not on the list",
        ),
        ("https://localhost/", "its host is not on the list"),
        ("https://127.0.0.1/", "its host is an address"),
        ("https://2130706433/", "its host is an address"),
        ("https://[::1]/", "its host is an address"),
        ("https://169.254.169.254/", "its host is an address"),
        ("https://user@s3.amazonaws.com/", "it holds a user name"),
        ("https://:secret@s3.amazonaws.com/", "it holds a user name"),
        (
            "https://s3.amazonaws.com@evil.example/",
            "it holds a user name",
        ),
        ("https://s3.amazonaws.com:8443/", "its port is unusual"),
        ("file:///etc/passwd", "it names no host"),
        ("data:text/plain,secret", "it names no host"),
        ("/path?X-Amz-Signature=c0ffee", "it is no URL"),
        ("", "it is no URL"),
    ] {
        match fetch(&Settings::default(), url).await.unwrap_err() {
            FetchError::NotAllowed { why: said, .. } => assert_eq!(said, why, "{url}"),
            error => panic!("{url} {error:?}"),
        }
    }
    for (url, why) in [
        ("http://10.0.0.1/", "it is not https"),
        ("https://10.0.0.1/", "its host is an address"),
        ("http://bucket.s3.amazonaws.com/", "it is not https"),
        ("ftp://127.0.0.1/", "it is not https"),
        ("http://user@127.0.0.1/", "it holds a user name"),
    ] {
        match fetch(&local(), url).await.unwrap_err() {
            FetchError::NotAllowed { why: said, .. } => assert_eq!(said, why, "{url}"),
            error => panic!("{url} {error:?}"),
        }
    }
}

#[test]
fn presigned_urls_of_both_clouds_pass() {
    let fetcher = PayloadFetcher::new(Settings::default()).unwrap();
    for url in [
        "https://bucket.s3.eu-west-2.amazonaws.com/key?X-Amz-Signature=c0ffee",
        "https://BUCKET.S3.amazonaws.com:443/key",
        "https://s3.eu-west-2.amazonaws.com/bucket/key?X-Amz-Signature=c0ffee",
        "https://storage.googleapis.com/bucket/key?X-Goog-Signature=c0ffee",
        "https://bucket.storage.googleapis.com/key?X-Goog-Signature=c0ffee",
    ] {
        assert!(fetcher.check(&Url::parse(url).unwrap()).is_ok(), "{url}");
    }
}
