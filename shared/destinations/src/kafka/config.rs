//! Settings of a topic.

use std::sync::Arc;

use rskafka::client::{Credentials, SaslConfig};
use secrecy::ExposeSecret as _;
use tokio::sync::Mutex;

use super::{Kafka, NewTopic, Topic, msk, producer::Rskafka};
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
    let create = new_topic(&mut fields);
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
        create,
    })
}

fn new_topic(fields: &mut Fields<'_>) -> Option<NewTopic> {
    const NAME: &str = "create_topic";
    let given = fields.object(NAME)?;
    if given
        .get("compact")
        .is_some_and(|compact| *compact != false)
    {
        // The client makes topics without settings of their own.
        let text = "cannot make a compacted topic: make it with Kafka's own tools, or set its \
                    cleanup.policy=compact afterwards, and leave compact out";
        fields.refuse(NAME, text);
    }
    let known = ["partitions", "replication_factor", "compact"];
    if let Some(name) = given.keys().find(|name| !known.contains(&name.as_str())) {
        let text = format!("has no {name}, only {}", known.join(", "));
        fields.refuse(NAME, text);
    }
    let mut number = |name: &str, most: i64| {
        let number = given.get(name).and_then(serde_json::Value::as_i64);
        let number = number.filter(|number| (1..=most).contains(number));
        if number.is_none() {
            fields.refuse(NAME, format!("needs {name}, from 1 to {most}"));
        }
        number
    };
    let partitions = number("partitions", 10_000);
    let replication_factor = number("replication_factor", 100);
    Some(NewTopic {
        partitions: i32::try_from(partitions?).ok()?,
        replication_factor: i16::try_from(replication_factor?).ok()?,
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
        fields.keep_to_region(region.as_deref().unwrap_or_default(), false);
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::{
        config::{Clock, KindName, Secrets},
        samples,
    };

    fn opened(create_topic: &Value) -> Result<Option<NewTopic>, String> {
        let config = json!({
            "brokers": ["b:9092"], "topic": "t", "tls": false, "create_topic": create_topic,
        });
        let secrets = Secrets::default();
        let fields = Fields::new(KindName::Kafka, config.as_object().unwrap(), &secrets);
        let clock = Clock::new(samples::now);
        let context = Context::new(samples::DESTINATION, Network::Local, clock);
        let opened = read(fields, context).map_err(|refused| refused.to_string());
        opened.map(|kafka| kafka.create)
    }

    #[test]
    fn a_topic_is_made_only_in_a_shape_that_is_said_and_can_be_made() {
        assert_eq!(opened(&Value::Null), Ok(None));
        let shape = NewTopic {
            partitions: 6,
            replication_factor: 3,
        };
        let said = json!({"partitions": 6, "replication_factor": 3, "compact": false});
        assert_eq!(opened(&said), Ok(Some(shape)));
        for (wrong, reason) in [
            (json!({}), "needs partitions, from 1 to 10000"),
            (json!({"partitions": 6}), "needs replication_factor"),
            (
                json!({"partitions": 0, "replication_factor": 3}),
                "needs partitions",
            ),
            (
                json!({"partitions": 1, "replication_factor": 1, "compact": true}),
                "cleanup.policy",
            ),
            (
                json!({"partitions": 1, "replication_factor": 1, "min": 1}),
                "has no min",
            ),
            (json!("6"), "has to be an object"),
        ] {
            let refused = opened(&wrong).unwrap_err();
            assert!(refused.contains(reason), "{refused}");
        }
    }
}
