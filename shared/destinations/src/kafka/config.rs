//! Settings of a topic.

use std::sync::Arc;

use rskafka::client::{Credentials, SaslConfig};
use secrecy::ExposeSecret as _;
use tokio::sync::Mutex;

use super::{Kafka, Topic, msk, producer::Rskafka};
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
    MskIam,
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
        ("aws-msk-iam", Mechanism::MskIam),
    ];
    let mechanism = fields.choice("sasl_mechanism", &mechanisms, Mechanism::None);
    let sasl = sasl(&mut fields, &context, mechanism);
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
        pointers: context.pointers,
    })
}

fn sasl(fields: &mut Fields<'_>, context: &Context, mechanism: Mechanism) -> Option<SaslConfig> {
    let region = fields.text("region");
    let credentials = (fields.secret("username"), fields.secret("password"));
    if mechanism == Mechanism::MskIam {
        let own_role = context.aws.as_ref();
        let own_role = own_role.and_then(aws_types::SdkConfig::credentials_provider);
        if own_role.is_none() {
            fields.refuse(
                "sasl_mechanism",
                "aws-msk-iam needs a role of our own on AWS, and there is none here",
            );
        }
        if region.is_none() {
            fields.refuse(
                "region",
                "is missing: aws-msk-iam signs for a region of AWS",
            );
        }
        let clock = context.clock.clone();
        return Some(msk::sasl(own_role?, region?, clock));
    }
    let (username, password) = match (mechanism, credentials) {
        (Mechanism::None, (None, None)) => return None,
        (Mechanism::None, _) => {
            fields.refuse("sasl_mechanism", "is missing beside username and password");
            return None;
        }
        (_, (Some(username), Some(password))) => (username, password),
        (_, (None, _)) => {
            fields.refuse("username", "is missing: sasl_mechanism needs it");
            return None;
        }
        (_, (_, None)) => {
            fields.refuse("password", "is missing: sasl_mechanism needs it");
            return None;
        }
    };
    let credentials = Credentials::new(
        username.expose_secret().to_owned(),
        password.expose_secret().to_owned(),
    );
    Some(match mechanism {
        Mechanism::Scram256 => SaslConfig::ScramSha256(credentials),
        Mechanism::Scram512 => SaslConfig::ScramSha512(credentials),
        _ => SaslConfig::Plain(credentials),
    })
}
