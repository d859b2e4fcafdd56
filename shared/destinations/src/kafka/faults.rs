//! Meaning of Kafka's errors.
//!
//! Codes: <https://kafka.apache.org/protocol#protocol_error_codes>.

use rskafka::client::error::{Error, ProtocolError, ProtocolError as P};

use crate::{
    kind::{Fault, Unreachable},
    net::fault_of,
};

/// The fault of an error of the client.
pub(super) fn fault(error: &Error) -> Fault {
    if let Error::ServerError { protocol_error, .. } = error {
        return of_code(*protocol_error);
    }
    // The client wraps what failed last into texts; only codes are looked for in them.
    let text = format!("{error:?}");
    let known: [(&str, &str); 6] = [
        (
            "UnknownIssuer",
            "a broker's certificate comes from an authority that is not trusted here; give ca_pem",
        ),
        (
            "InvalidCertificate",
            "a broker's certificate is not valid for its name or its time",
        ),
        (
            "SaslAuthenticationFailed",
            "the user or the password is wrong",
        ),
        (
            "SaslError",
            "the user or the password is wrong, or the broker wants another sasl_mechanism",
        ),
        (
            "SaslFailed",
            "the user or the password is wrong, or the broker wants another sasl_mechanism",
        ),
        (
            "UnsupportedSaslMechanism",
            "the broker wants another sasl_mechanism",
        ),
    ];
    if let Some((code, finding)) = known.iter().find(|(code, _)| text.contains(code)) {
        return Fault::misconfigured(*finding).with_code(code);
    }
    if text.contains("ConnectionRefused") {
        return Fault::unreachable(Unreachable::Refused);
    }
    fault_of(error)
}

/// The fault of a topic that could not be made.
pub(super) fn of_creation(error: &Error, topic: &str) -> Fault {
    let Error::ServerError { protocol_error, .. } = error else {
        return fault(error);
    };
    let made = match protocol_error {
        P::TopicAuthorizationFailed | P::ClusterAuthorizationFailed => Fault::missing(
            "the broker does not let us make the topic",
            format!("CREATE on topic {topic}"),
        ),
        P::InvalidReplicationFactor => {
            Fault::misconfigured("the cluster has fewer brokers than replication_factor says")
        }
        P::InvalidPartitions => Fault::misconfigured("the cluster refuses so many partitions"),
        code => return of_code(*code),
    };
    made.with_code(format!("{protocol_error:?}"))
}

/// Returns whether a record is refused for its size.
pub(super) fn is_too_large(fault: &Fault) -> bool {
    let codes = [P::MessageTooLarge, P::RecordListTooLarge].map(|code| format!("{code:?}"));
    let code = fault.code();
    code.is_some_and(|code| codes.iter().any(|known| known == code))
}

fn of_code(code: ProtocolError) -> Fault {
    let fault = match code {
        P::ThrottlingQuotaExceeded => Fault::Throttled {
            after: None,
            code: None,
        },
        P::UnknownTopicOrPartition => Fault::misconfigured("the topic is not there"),
        P::TopicAuthorizationFailed => {
            Fault::missing("the broker refuses us", "WRITE on the topic")
        }
        P::ClusterAuthorizationFailed => {
            Fault::missing("the broker refuses us", "DESCRIBE on the cluster")
        }
        P::SaslAuthenticationFailed => Fault::misconfigured("the user or the password is wrong"),
        P::UnsupportedSaslMechanism => {
            Fault::misconfigured("the broker wants another sasl_mechanism")
        }
        P::InvalidTopicException => Fault::misconfigured("the topic's name is not valid"),
        P::PolicyViolation => Fault::misconfigured("a policy of the broker refuses us"),
        P::MessageTooLarge | P::RecordListTooLarge => Fault::Rejected {
            reason: "the record is larger than the topic takes".to_owned(),
            code: None,
        },
        P::CorruptMessage | P::InvalidRecord | P::InvalidTimestamp => Fault::Rejected {
            reason: "the broker refuses the record".to_owned(),
            code: None,
        },
        _ => Fault::unreachable(Unreachable::Server),
    };
    fault.with_code(format!("{code:?}"))
}

/// The fault of a record that the topic finds too large.
#[cfg(test)]
pub(super) fn too_large() -> Fault {
    of_code(P::MessageTooLarge)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_one_meaning() {
        for (codes, name) in [
            (
                &[
                    P::NotLeaderOrFollower,
                    P::LeaderNotAvailable,
                    P::RequestTimedOut,
                    P::NotEnoughReplicas,
                ][..],
                "unreachable",
            ),
            (&[P::ThrottlingQuotaExceeded], "throttled"),
            (
                &[
                    P::TopicAuthorizationFailed,
                    P::SaslAuthenticationFailed,
                    P::UnknownTopicOrPartition,
                ],
                "misconfigured",
            ),
            (&[P::MessageTooLarge, P::InvalidRecord], "rejected"),
        ] {
            for code in codes {
                assert_eq!(of_code(*code).name(), name, "{code:?}");
            }
        }
    }
}
