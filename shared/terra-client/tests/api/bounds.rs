//! Tests that no answer is too slow or too large for us.

use std::time::Duration;

use terra_client::api::{DataAnswer, Malformed, TerraError, TooMuch, Unreachable, Via};

use crate::stub::{Content, Stub, ask, client, odd, reply};

const LIMIT_BYTES: usize = 100_000;

fn data(size_bytes: usize) -> String {
    let head = r#"{"type":"body","data":["#;
    let filling = " ".repeat(size_bytes - head.len() - 2);
    format!("{head}{filling}]}}")
}

async fn asked_within_bounds(stub: &Stub) -> Result<DataAnswer, TerraError> {
    let mut settings = stub.settings();
    settings.bounds.data_bytes = LIMIT_BYTES;
    settings.bounds.answer_bytes = LIMIT_BYTES;
    settings.bounds.failure_bytes = LIMIT_BYTES;
    ask(&client(&settings), Via::Answer).await
}

#[tokio::test]
async fn what_fits_is_read_and_no_byte_more() {
    let stub = Stub::answering([reply(200, data(LIMIT_BYTES))]).await;
    let answered = asked_within_bounds(&stub).await.unwrap();
    let DataAnswer::Data(payload) = answered else {
        panic!("{answered:?}");
    };
    assert_eq!(payload.body.len(), LIMIT_BYTES);

    for reply in [
        reply(200, data(LIMIT_BYTES + 1)),
        odd(200, Content::Endless),
    ] {
        let stub = Stub::answering([reply]).await;
        match asked_within_bounds(&stub).await.unwrap_err() {
            TerraError::NarrowerWindow {
                why: TooMuch::Bound { limit_bytes },
                ..
            } => assert_eq!(limit_bytes, LIMIT_BYTES),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn where_nothing_narrower_can_be_asked_it_is_malformed() {
    let stub = Stub::answering([odd(200, Content::Endless)]).await;
    let mut settings = stub.settings();
    settings.bounds.answer_bytes = LIMIT_BYTES;
    let error = client(&settings).subscriptions().await.unwrap_err();
    let why = Malformed::TooLarge {
        limit_bytes: LIMIT_BYTES,
    };
    assert!(
        matches!(error, TerraError::MalformedAnswer { why: is, .. } if is == why),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_failure_without_end_is_still_that_failure() {
    for content in [Content::Endless, Content::Broken] {
        let stub = Stub::answering([odd(424, content)]).await;
        let error = asked_within_bounds(&stub).await.unwrap_err();
        assert!(
            matches!(error, TerraError::ProviderRefused { .. }),
            "{error:?}"
        );
    }
    let large = format!(
        r#"{{"detail":"user not found","x":"{}"}}"#,
        "x".repeat(LIMIT_BYTES)
    );
    let stub = Stub::answering([reply(404, large)]).await;
    let error = asked_within_bounds(&stub).await.unwrap_err();
    assert!(
        matches!(error, TerraError::MalformedAnswer { .. }),
        "{error:?}"
    );
}

#[tokio::test]
async fn half_an_answer_is_no_answer() {
    let stub = Stub::answering([odd(200, Content::Broken)]).await;
    let error = asked_within_bounds(&stub).await.unwrap_err();
    let cut_off = matches!(
        error,
        TerraError::MalformedAnswer {
            why: Malformed::CutOff,
            ..
        }
    );
    assert!(cut_off, "{error:?}");
}

#[tokio::test]
async fn what_is_compressed_is_not_taken_for_something_else() {
    let reply = reply(200, "\u{1f}").with("content-encoding", "gzip");
    let stub = Stub::answering([reply]).await;
    let error = asked_within_bounds(&stub).await.unwrap_err();
    let why = matches!(
        error,
        TerraError::MalformedAnswer {
            why: Malformed::Compressed,
            ..
        }
    );
    assert!(why, "{error:?}");
}

#[tokio::test]
async fn silence_is_left_after_a_while() {
    let short = Duration::from_millis(50);
    for content in [Content::Never, Content::Stalled] {
        let stub = Stub::answering([odd(200, content)]).await;
        let mut settings = stub.settings();
        settings.timeouts.answer = short;
        settings.timeouts.read = short;
        // Asked once: who has waited for nothing so long decides for himself.
        settings.retries.attempts = 3;
        let error = ask(&client(&settings), Via::Answer).await.unwrap_err();
        let unanswered = matches!(
            error,
            TerraError::Unreachable {
                why: Unreachable::NoAnswer,
                ..
            }
        );
        assert!(unanswered, "{error:?}");
        assert_eq!(stub.seen().len(), 1);
    }
}

#[tokio::test]
async fn an_answer_that_drips_for_ever_is_too_much() {
    let stub = Stub::answering([odd(200, Content::Dripping)]).await;
    let mut settings = stub.settings();
    settings.timeouts.total = Duration::from_millis(100);
    let error = ask(&client(&settings), Via::Answer).await.unwrap_err();
    let endless = matches!(
        error,
        TerraError::NarrowerWindow {
            why: TooMuch::Endless,
            ..
        }
    );
    assert!(endless, "{error:?}");
    let error = client(&settings).subscriptions().await.unwrap_err();
    assert!(matches!(error, TerraError::Unreachable { .. }), "{error:?}");
}
