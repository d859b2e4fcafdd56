//! Kafka with TLS and a password: the broker of `broker`, before librdkafka's mock cluster
//! (`TERRARIUM_TEST_KAFKA`).

use std::{process::Command, sync::Arc};

use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
use destinations::{
    config::{Context, KindName, Secrets, open},
    kind::{Fault, Kind, Outcome},
};
use futures::future::join_all;
use serde_json::{Value, json};

use crate::{
    broker::{Broker, NAME, PASSWORD, USER},
    samples, server,
    tls::{Authority, context},
};

fn mock_port() -> u16 {
    server("TERRARIUM_TEST_KAFKA").parse().unwrap()
}

fn kafka(broker: &Broker, more: &Value, secrets: &Value, context: Context) -> Box<dyn Kind> {
    let mut config = json!({"brokers": [format!("{NAME}:{}", broker.port)], "topic": "changes"});
    let object = config.as_object_mut().unwrap();
    object.extend(more.as_object().unwrap().clone());
    let secrets = Secrets::new(secrets.as_object().unwrap().clone());
    open(
        KindName::Kafka,
        config.as_object().unwrap(),
        &secrets,
        context,
    )
    .unwrap()
}

async fn deliver(kafka: &dyn Kind) -> Result<Vec<Outcome>, Fault> {
    let changes: Vec<_> = (1..=3)
        .map(|person| samples::daily(person, "2026-11-20", 1, 1))
        .collect();
    kafka.deliver(&changes).await
}

#[tokio::test]
#[ignore = "needs a server"]
async fn kafka_authenticates_over_tls_by_every_mechanism() {
    let authority = Authority::new();
    // The client tries again until its time is over: what is wrong is tried at once.
    let mut wrong = Vec::new();
    for (mechanism, name) in [
        ("plain", "PLAIN"),
        ("scram-sha-256", "SCRAM-SHA-256"),
        ("scram-sha-512", "SCRAM-SHA-512"),
    ] {
        let broker = Broker::new(name, authority.acceptor(NAME, 2100), mock_port()).await;
        let config = json!({"sasl_mechanism": mechanism, "ca_pem": authority.pem});
        let secrets = json!({"username": USER, "password": PASSWORD});
        let right = kafka(&broker, &config, &secrets, context());
        let outcomes = deliver(&*right).await.unwrap();
        assert!(outcomes.iter().all(Outcome::is_settled), "{outcomes:?}");
        for (username, password) in [(USER, "wrong"), ("nobody", PASSWORD)] {
            let secrets = json!({"username": username, "password": password});
            wrong.push(kafka(&broker, &config, &secrets, context()));
        }
    }
    for delivered in join_all(wrong.iter().map(|wrong| deliver(&**wrong))).await {
        let fault = delivered.unwrap_err();
        assert_eq!(fault.name(), "misconfigured", "{fault:?}");
        assert!(fault.to_string().contains("password is wrong"), "{fault}");
    }
    let broker = Broker::new("SCRAM-SHA-256", authority.acceptor(NAME, 2100), mock_port()).await;
    let config = json!({"sasl_mechanism": "plain", "ca_pem": authority.pem});
    let secrets = json!({"username": USER, "password": PASSWORD});
    let fault = deliver(&*kafka(&broker, &config, &secrets, context())).await;
    let fault = fault.unwrap_err();
    assert!(
        fault.to_string().contains("another sasl_mechanism"),
        "{fault:?}"
    );
}

#[tokio::test]
#[ignore = "needs a server"]
async fn kafka_verifies_the_brokers_certificate() {
    let authority = Authority::new();
    let secrets = json!({"username": USER, "password": PASSWORD});
    let mut brokers = Vec::new();
    for (name, until, ca_pem, finding) in [
        (NAME, 2100, None, "not trusted"),
        (
            "b-1.test",
            2100,
            Some(authority.pem.clone()),
            "not valid for its name",
        ),
        (
            NAME,
            2021,
            Some(authority.pem.clone()),
            "not valid for its name or its time",
        ),
    ] {
        let broker = Broker::new("PLAIN", authority.acceptor(name, until), mock_port()).await;
        let config = json!({"sasl_mechanism": "plain", "ca_pem": ca_pem});
        brokers.push((kafka(&broker, &config, &secrets, context()), finding));
    }
    let delivered = brokers.iter().map(|(kafka, _)| deliver(&**kafka));
    for (delivered, (_, finding)) in join_all(delivered).await.into_iter().zip(&brokers) {
        let fault = delivered.unwrap_err();
        assert_eq!(fault.name(), "misconfigured", "{fault:?}");
        assert!(fault.to_string().contains(finding), "{fault}");
    }
}

#[tokio::test]
#[ignore = "needs a server"]
async fn a_role_of_aws_opens_msk_with_the_token_that_amazons_own_library_makes() {
    let authority = Authority::new();
    let broker = Broker::new("OAUTHBEARER", authority.acceptor(NAME, 2100), mock_port()).await;
    let keys = Credentials::new(
        "AKIDEXAMPLE",
        "wJalrXUtnFEMI/K7MDENG",
        Some("a/session+token==".to_owned()),
        None,
        "test",
    );
    let mut context = context();
    let provider = SharedCredentialsProvider::new(keys);
    let role = aws_types::SdkConfig::builder().credentials_provider(provider);
    context.aws = Some(role.build());
    let config = json!({
        "sasl_mechanism": "aws-msk-iam", "region": "eu-west-2", "ca_pem": authority.pem,
    });
    let kafka = kafka(&broker, &config, &json!({}), context);
    let outcomes = deliver(&*kafka).await.unwrap();
    assert!(outcomes.iter().all(Outcome::is_settled), "{outcomes:?}");
    let tokens = Arc::clone(&broker.tokens);
    let token = tokens.lock().unwrap().first().unwrap().clone();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/servers/msk.py");
    let output = Command::new(server("TERRARIUM_TEST_PYTHON"))
        .args([script, &token])
        .output()
        .unwrap();
    let wrong = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{wrong}");
}
