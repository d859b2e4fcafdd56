//! Settings of a topic.

use std::sync::Arc;

use rskafka::client::{Credentials, SaslConfig};
use secrecy::ExposeSecret as _;
use tokio::sync::Mutex;

use super::{Kafka, Topic, producer::Rskafka};
use crate::{
    config::{Context, Fields, Refused},
    net::{Guard, Network, Tls, tls},
};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mechanism {
    None,
    Plain,
    Scram256,
    Scram512,
}

fn broker(text: &str) -> Option<(String, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    let sound = !host.is_empty() && !host.contains('/');
    sound.then_some((host.to_owned(), port.parse().ok()?))
}

pub(super) fn read(mut fields: Fields<'_>, context: Context) -> Result<Kafka, Refused> {
    let texts = fields.list("brokers");
    let brokers: Vec<_> = texts.iter().filter_map(|text| broker(text)).collect();
    if brokers.is_empty() || brokers.len() != texts.len() {
        fields.refuse(
            "brokers",
            "has to be a list of host:port, for example b-1.example.com:9096",
        );
    }
    let topic = match (fields.text("topic"), fields.text("topic_prefix")) {
        (Some(topic), None) => Topic::One(topic),
        (None, Some(prefix)) => Topic::PerType(prefix),
        (None, None) => {
            fields.refuse(
                "topic",
                "is missing; topic_prefix makes one topic per data type",
            );
            Topic::One(String::new())
        }
        (Some(topic), Some(_)) => {
            fields.refuse(
                "topic_prefix",
                "stands beside topic; only one of them can be meant",
            );
            Topic::One(topic)
        }
    };
    let mechanisms = [
        ("none", Mechanism::None),
        ("plain", Mechanism::Plain),
        ("scram-sha-256", Mechanism::Scram256),
        ("scram-sha-512", Mechanism::Scram512),
    ];
    let mechanism = fields.choice("sasl_mechanism", &mechanisms, Mechanism::None);
    let credentials = (fields.secret("username"), fields.secret("password"));
    let sasl = match (mechanism, credentials) {
        (Mechanism::None, (None, None)) => None,
        (Mechanism::None, _) => {
            fields.refuse("sasl_mechanism", "is missing beside username and password");
            None
        }
        (_, (Some(username), Some(password))) => {
            let credentials = Credentials::new(
                username.expose_secret().to_owned(),
                password.expose_secret().to_owned(),
            );
            Some(match mechanism {
                Mechanism::Scram256 => SaslConfig::ScramSha256(credentials),
                Mechanism::Scram512 => SaslConfig::ScramSha512(credentials),
                Mechanism::Plain | Mechanism::None => SaslConfig::Plain(credentials),
            })
        }
        (_, (None, _)) => {
            fields.refuse("username", "is missing: sasl_mechanism needs it");
            None
        }
        (_, (_, None)) => {
            fields.refuse("password", "is missing: sasl_mechanism needs it");
            None
        }
    };
    let encrypted = fields.flag("tls", true);
    if !encrypted && context.network != Network::Local {
        fields.refuse("tls", "may be false only on one machine; leave it out");
    }
    let ca_pem = fields.text("ca_pem");
    let client = fields
        .text("client_cert_pem")
        .zip(fields.secret("client_key_pem"));
    let tls = encrypted.then(|| tls(&Tls { ca_pem, client }));
    if let Some(Err(error)) = &tls {
        fields.refuse("ca_pem", error.to_string());
    }
    let gzip = fields.choice("compression", &[("gzip", true), ("none", false)], false);
    let partitioners = [("connection", false), ("record", true)];
    let by_record = fields.choice("partitioner", &partitioners, false);
    let format = fields.format();
    fields.finish()?;
    let producer = Rskafka {
        brokers,
        guard: Guard::new(context.network, context.resolver),
        tls: tls.and_then(Result::ok).map(Arc::new),
        sasl,
        gzip,
        session: Mutex::new(None),
    };
    Ok(Kafka {
        destination_id: context.destination_id,
        producer: Box::new(producer),
        topic,
        by_record,
        format,
        clock: context.clock,
    })
}
