//! Tests that each failure is understood and tells nothing else.

use std::{
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use domain::Retry;
use terra_client::api::{
    BaseUrl, ConnectOptions, Gone, InvalidSettings, Jitter, LabReportFilter, Malformed, Settings,
    TerraClient, TerraError, TooMuch, Unreachable, Unsupported, Via,
};

use crate::stub::{
    PERSON, Reply, Stub, USER, ask, assert_discreet, june, provider, reference_id, reply, user_id,
};

/// RFC 9457 as Terra writes it: `instance` holds the query.
fn problem(title: &str, detail: &str) -> String {
    format!(
        r#"{{"type":"about:blank","title":"{title}","detail":"{detail}",
            "instance":"/api/v2/body?user_id={USER}&start_date=2026-06-01"}}"#
    )
}

fn former(message: &str) -> String {
    format!(r#"{{"status":"error","message":"{message}","user":{{"user_id":"{USER}"}}}}"#)
}

/// An error in few words.
fn brief(error: &TerraError) -> String {
    match error {
        TerraError::RetryAfter { by, wait, .. } => format!("{by:?} {}", wait.as_secs()),
        TerraError::Credentials { .. } => "credentials".to_owned(),
        TerraError::Gone { what, .. } => match what {
            Gone::UserUnknown => "unknown",
            Gone::ConnectionEnded => "ended",
            Gone::NotSaid => "gone",
        }
        .to_owned(),
        TerraError::NotSupported { what, .. } => match what {
            Unsupported::DataType => "no type",
            Unsupported::Provider => "no provider",
            Unsupported::NotEnabled => "not enabled",
        }
        .to_owned(),
        TerraError::NarrowerWindow { why, .. } => match why {
            TooMuch::Time => "narrower: time".to_owned(),
            TooMuch::Size => "narrower: size".to_owned(),
            other => format!("narrower: {other:?}"),
        },
        TerraError::ProviderRefused { .. } => "provider".to_owned(),
        TerraError::Refused { parameter, .. } => format!("refused {}", parameter.unwrap_or("-")),
        TerraError::Unreachable { why, wait, .. } => match why {
            Unreachable::Failed(status) => {
                format!("failed {} {wait:?}", status.as_u16())
            }
            other => format!("{other:?}"),
        },
        TerraError::MalformedAnswer { why, .. } => match why {
            Malformed::NotJson => "not JSON".to_owned(),
            other => format!("malformed {other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

async fn of_data(reply: Reply) -> TerraError {
    let stub = Stub::answering([reply]).await;
    ask(&stub.client(), Via::Answer).await.unwrap_err()
}

const HTML: &str = "<!doctype html><title>no</title>";

/// Status and body of an answer, and what it means.
async fn check(failures: impl IntoIterator<Item = (u16, String, &'static str, Retry)>) {
    let failures: Vec<_> = failures.into_iter().collect();
    let replies = failures
        .iter()
        .map(|(status, body, ..)| reply(*status, body.clone()));
    let stub = Stub::answering(replies).await;
    let client = stub.client();
    for (status, body, expected, retry) in failures {
        let error = ask(&client, Via::Answer).await.unwrap_err();
        let is = brief(&error);
        assert_eq!(
            (is.as_str(), error.retry()),
            (expected, retry),
            "{status} {body}"
        );
    }
}

#[tokio::test]
async fn wrong_credentials_are_told_from_everything_else() {
    let missing = problem("unauthorized", "dev-id or x-api-key headers are missing");
    let refused = [
        (401, missing),
        (401, former("unauthorized")),
        (401, String::new()),
        (401, HTML.to_owned()),
        (403, former("Invalid API key")),
        (403, r#"{"message":"unauthorized"}"#.to_owned()),
        (403, String::new()),
    ];
    check(refused.map(|(status, body)| (status, body, "credentials", Retry::Never))).await;
    // A firewall's page says nothing of our key, and nothing of users.
    let pages = [
        (403, HTML.to_owned()),
        (404, HTML.to_owned()),
        (404, "404 page not found".to_owned()),
        (404, "user not found".to_owned()),
        (404, String::new()),
    ];
    check(pages.map(|(status, body)| (status, body, "not JSON", Retry::Later))).await;
}

#[tokio::test]
async fn what_is_gone_or_not_supported_need_not_be_asked_for_again() {
    let unsupported = problem(
        "invalid data type",
        "this connection does not support the requested data type",
    );
    let add_on = problem("forbidden", "the add-on is not enabled for this account");
    let not_enabled = former("data type is not enabled, enable on the dashboard");
    let expired = problem("unauthorized", "the authorization has expired");
    let failures = [
        (404, problem("not found", "user not found"), "unknown"),
        (
            404,
            problem("not found", &format!("user {USER} not found")),
            "unknown",
        ),
        (404, former("User does not exist"), "unknown"),
        (400, former("No user with this id"), "unknown"),
        (404, r#"{"title":"not found"}"#.to_owned(), "gone"),
        (401, expired, "ended"),
        (400, former("Access token expired for this user"), "ended"),
        (403, former("User revoked access"), "ended"),
        (404, unsupported.clone(), "no type"),
        (400, unsupported, "no type"),
        (400, not_enabled, "not enabled"),
        (403, add_on, "not enabled"),
        // Nor can less be asked for without a change.
        (504, HTML.to_owned(), "narrower: time"),
        (
            413,
            problem("request entity too large", "too much"),
            "narrower: size",
        ),
        // Our own fault.
        (
            400,
            problem("bad request", "invalid start_date"),
            "refused start_date",
        ),
        (400, former("end_date is malformed"), "refused end_date"),
        (400, "what?".to_owned(), "refused -"),
        (405, HTML.to_owned(), "refused -"),
        (422, String::new(), "refused -"),
    ];
    check(failures.map(|(status, body, is)| (status, body, is, Retry::Never))).await;
}

#[tokio::test]
async fn what_others_did_wrong_may_be_right_later() {
    let permission = "request failed due to a provider permission issue";
    let failures = [
        (424, problem("failed dependency", permission), "provider"),
        (424, String::new(), "provider"),
        (408, String::new(), "failed 408 None"),
        (
            500,
            problem("internal server error", "user not found"),
            "failed 500 None",
        ),
        (502, HTML.to_owned(), "failed 502 None"),
        (503, former("unauthorized"), "failed 503 None"),
        (302, HTML.to_owned(), "malformed Redirect"),
        (200, HTML.to_owned(), "not JSON"),
        (200, String::new(), "not JSON"),
        (204, String::new(), "not JSON"),
        (200, r#"{"data":[{"a":"b"#.to_owned(), "malformed CutOff"),
        (200, "\u{0}\u{1}".to_owned(), "not JSON"),
    ];
    check(failures.map(|(status, body, is)| (status, body, is, Retry::Later))).await;
}

#[tokio::test]
async fn a_limit_says_whose_it_is_and_how_long() {
    let provider = problem("too many requests", "provider rate limit reached");
    let date = |reply: Reply| reply.with("date", "Wed, 01 Jul 2026 12:00:00 GMT");
    for (reply, expected) in [
        (reply(429, "").with("retry-after", "120"), "Unknown 120"),
        (
            date(reply(429, "{}")).with("retry-after", "Wed, 01 Jul 2026 12:10:00 GMT"),
            "Unknown 600",
        ),
        (
            reply(429, "").with("x-terra-ratelimit-reset-after", "900"),
            "Terra 900",
        ),
        (
            reply(429, provider.clone())
                .with("x-terra-ratelimit-remaining", "0")
                .with("retry-after", "30"),
            "Terra 30",
        ),
        (reply(429, provider.clone()), "Provider 60"),
        (reply(429, "<html>"), "Unknown 60"),
        (reply(429, "").with("retry-after", "soon"), "Unknown 60"),
    ] {
        let error = of_data(reply).await;
        assert_eq!(brief(&error), expected);
        assert_eq!(error.retry(), Retry::Later);
        assert!(error.wait().is_some());
    }
    let error = of_data(reply(503, "").with("retry-after", "5")).await;
    assert_eq!(error.wait(), Some(Duration::from_secs(5)));
    let error = of_data(reply(424, "")).await;
    assert_eq!(error.wait(), None);
}

#[tokio::test]
async fn the_same_answer_means_another_thing_to_another_call() {
    let options = ConnectOptions::default();
    let not_found = r#"{"title":"not found"}"#;
    for (status, body, expected) in [
        (404, not_found, "no provider"),
        (400, r#"{"detail":"invalid resource"}"#, "no provider"),
        (400, r#"{"detail":"invalid language"}"#, "refused language"),
        (504, "", "failed 504 None"),
        (413, "", "refused -"),
    ] {
        let stub = Stub::answering([reply(status, body)]).await;
        let client = stub.client();
        let link = client
            .authentication_link(&provider("NOBODY"), &options)
            .await;
        assert_eq!(brief(&link.unwrap_err()), expected, "{status}");
    }
    for (status, body, of_users, of_planned, of_reports) in [
        (404, not_found, "gone", "gone", "gone"),
        (
            403,
            r#"{"title":"forbidden"}"#,
            "credentials",
            "not enabled",
            "not enabled",
        ),
        (
            504,
            "",
            "failed 504 None",
            "narrower: time",
            "narrower: time",
        ),
        (413, "{}", "refused -", "narrower: size", "narrower: size"),
        (424, "", "provider", "provider", "provider"),
    ] {
        let stub = Stub::answering([reply(status, body)]).await;
        let client = stub.client();
        let error = client
            .users_of_reference(&reference_id())
            .await
            .unwrap_err();
        assert_discreet(&error);
        assert_eq!(brief(&error), of_users, "{status}");
        let error = client.planned_workouts(&user_id(), None, june()).await;
        assert_eq!(brief(&error.unwrap_err()), of_planned, "{status}");
        let error = client.lab_reports(&LabReportFilter::default()).await;
        assert_eq!(brief(&error.unwrap_err()), of_reports, "{status}");
    }
    // A catalogue has no user that could be gone.
    let stub = Stub::answering([reply(404, problem("not found", "user not found"))]).await;
    let error = stub.client().integrations().await.unwrap_err();
    assert_eq!(brief(&error), "refused -");
}

#[tokio::test]
async fn nobody_there_is_said_without_saying_whom_we_looked_for() {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0))
        .await
        .unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let stub = Stub::answering([]).await;
    let mut settings = stub.settings();
    settings.base_url = format!("http://{address}/api").parse().unwrap();
    let client = crate::stub::client(&settings);
    let error = ask(&client, Via::Webhook).await.unwrap_err();
    assert_eq!(brief(&error), "NoConnection");
    let error = client
        .users_of_reference(&reference_id())
        .await
        .unwrap_err();
    assert_discreet(&error);
    assert!(std::error::Error::source(&error).is_some());
}

#[tokio::test]
async fn the_key_is_not_carried_elsewhere() {
    for status in [301, 302, 303, 307, 308] {
        let elsewhere = Stub::answering([reply(200, r#"{"type":"body","data":[]}"#)]).await;
        let location = format!("http://{}/api/v2/body", elsewhere.address);
        let error = of_data(reply(status, "").with("location", &location)).await;
        assert_eq!(brief(&error), "malformed Redirect");
        assert!(elsewhere.seen().is_empty(), "{status}");
    }
}

#[tokio::test]
async fn an_error_names_the_call_and_nothing_of_the_answer() {
    let body = problem(
        "bad request",
        &format!("invalid end_date for {USER} and {PERSON}"),
    );
    let error = of_data(reply(400, body)).await;
    assert_eq!(
        error.to_string(),
        "cannot read body data: refused with 400 Bad Request because of end_date"
    );
}

/// Log at its most talkative level.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn the_log_names_calls_and_nobody() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    let guard = tracing::subscriber::set_default(subscriber);
    let replies = [
        reply(
            200,
            r#"{"type":"body","data":["value-7"],"user":{"reference_id":"person"}}"#,
        ),
        reply(400, problem("bad request", &format!("{USER} value-7"))),
        reply(200, format!(r#"{{"users":[{{"user_id":"{USER}"}}]}}"#)),
    ];
    let stub = Stub::answering(replies).await;
    let client = stub.client();
    ask(&client, Via::Answer).await.unwrap();
    ask(&client, Via::Answer).await.unwrap_err();
    client.users_of_reference(&reference_id()).await.unwrap();
    drop(guard);

    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("read body data"), "{log}");
    for hidden in [
        USER,
        "5ca1ab1e",
        "c0ffee",
        "person",
        "value-7",
        "start_date=",
    ] {
        assert!(!log.contains(hidden), "{hidden} in {log}");
    }
}

#[test]
fn settings_that_cannot_be_used_are_refused_at_once() {
    let settings = |dev_id: &str, key: &str| Settings::new(dev_id, key.into());
    let client = |settings: &Settings| TerraClient::new(settings, Jitter::random());
    client(&settings("dev", "key")).unwrap();
    for (dev_id, key) in [("dev", "key\n"), ("dev\u{7f}", "key")] {
        let error = client(&settings(dev_id, key)).unwrap_err();
        assert!(matches!(error, InvalidSettings::Header(_)), "{error:?}");
        assert!(!format!("{error:?}").contains("key\\n"));
    }
    for text in [
        "",
        "access.tryterra.co",
        "http://access.tryterra.co",
        "http://10.0.0.1/v2",
        "ftp://127.0.0.1/",
        "https://user@access.tryterra.co",
        "https://:key@access.tryterra.co",
        "https://access.tryterra.co/v2?key=1",
        "https://access.tryterra.co/v2#here",
        "file:///v2",
    ] {
        assert!(text.parse::<BaseUrl>().is_err(), "{text}");
    }
    for text in [
        "https://api.tryterra.co/v2/",
        "http://[::1]:80/v2",
        "http://localhost:4000",
    ] {
        assert!(text.parse::<BaseUrl>().is_ok(), "{text}");
    }
    for base in [BaseUrl::API, BaseUrl::FORMER_API, BaseUrl::WIDGET] {
        assert_eq!(base.to_string().parse(), Ok(base));
    }
}
