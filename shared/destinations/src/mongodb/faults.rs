//! Meaning of MongoDB's errors.
//!
//! Codes: <https://github.com/mongodb/mongo/blob/master/src/mongo/base/error_codes.yml>. The server's
//! own text can quote values of a record, so only its code is kept.

use ::mongodb::error::{Error, ErrorKind};

use crate::{
    kind::{Fault, Unreachable},
    net::fault_of,
};

/// The fault of an error; `right` is what is missing if the server refuses.
pub(super) fn fault(error: &Error, right: &str) -> Fault {
    match error.kind.as_ref() {
        ErrorKind::Authentication { .. } => {
            Fault::misconfigured("the user or the password is wrong")
        }
        ErrorKind::DnsResolve { .. } => Fault::unreachable(Unreachable::Dns),
        ErrorKind::InvalidTlsConfig { .. } => Fault::unreachable(Unreachable::Tls),
        ErrorKind::Command(error) => of_code(error.code, right),
        ErrorKind::Io(error) => fault_of(error.as_ref()),
        ErrorKind::ServerSelection { message, .. }
        | ErrorKind::ConnectionPoolCleared { message, .. } => of_selection(message),
        ErrorKind::IncompatibleServer { .. } => {
            Fault::misconfigured("the server is older than MongoDB 4.2")
        }
        _ => Fault::unreachable(Unreachable::Reset),
    }
}

/// The fault in the text of the driver, which says what each server answered last.
fn of_selection(message: &str) -> Fault {
    let known = [
        (
            "UnknownIssuer",
            "its certificate comes from an authority that is not trusted here; give ca_pem",
        ),
        ("not valid for name", "its certificate is for another name"),
        ("certificate expired", "its certificate has expired"),
        ("Authentication", "the user or the password is wrong"),
    ];
    if let Some((_, finding)) = known.iter().find(|(word, _)| message.contains(word)) {
        return Fault::misconfigured(*finding);
    }
    let part = if message.contains("refused") {
        Unreachable::Refused
    } else {
        Unreachable::Timeout
    };
    Fault::unreachable(part)
}

/// The fault of a code of the server.
pub(super) fn of_code(code: i32, right: &str) -> Fault {
    let fault = match code {
        16500 => Fault::Throttled {
            after: None,
            code: None,
        },
        112 => Fault::Conflict { code: None },
        13 => Fault::missing("the user lacks a right", right),
        18 | 8000 => Fault::misconfigured("the user or the password is wrong"),
        13297 => Fault::misconfigured("a database of this name in other letters is there"),
        11000 => Fault::Rejected {
            reason: "a unique index that somebody made refuses the document".to_owned(),
            code: None,
        },
        2 | 17419 | 10334 | 121 => Fault::Rejected {
            reason: "the database refuses the document".to_owned(),
            code: None,
        },
        14031 => Fault::misconfigured("the disk of the database is full"),
        _ => Fault::unreachable(Unreachable::Server),
    };
    fault.with_code(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_of_errors_has_one_meaning() {
        for (codes, name) in [
            (&[50, 91, 189, 10107, 11600, 13435][..], "unreachable"),
            (&[16500], "throttled"),
            (&[112], "conflict"),
            (&[13, 18, 8000, 13297], "misconfigured"),
            (&[2, 17419, 10334, 11000, 121], "rejected"),
        ] {
            for code in codes {
                assert_eq!(of_code(*code, "readWrite").name(), name, "{code}");
            }
        }
    }
}
