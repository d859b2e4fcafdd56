//! Meaning of MySQL's and MariaDB's errors.
//!
//! Codes: <https://dev.mysql.com/doc/mysql-errors/8.0/en/server-error-reference.html>. The server's
//! own text can quote values of a record, so only its code is kept.

use mysql_async::{DriverError, Error, IoError};

use crate::{
    kind::{Fault, Unreachable},
    net::fault_of,
};

/// The fault of an error; `right` is what is missing if the server refuses.
pub(super) fn fault(error: &Error, right: &str) -> Fault {
    match error {
        Error::Server(error) => of_code(error.code, right),
        Error::Driver(DriverError::ConnectionClosed | DriverError::PacketOutOfOrder) => {
            Fault::unreachable(Unreachable::Reset)
        }
        Error::Driver(DriverError::PacketTooLarge) => too_large(),
        Error::Driver(DriverError::NoClientSslFlagFromServer) => {
            Fault::misconfigured("the server offers no TLS")
        }
        Error::Io(IoError::Io(error)) => fault_of(error),
        Error::Io(IoError::Tls(error)) => fault_of(error),
        error => fault_of(error),
    }
}

/// The fault of a record that no packet holds.
pub(super) fn too_large() -> Fault {
    Fault::Rejected {
        reason: "the record is larger than max_allowed_packet of the server".to_owned(),
        code: None,
    }
}

fn of_code(code: u16, right: &str) -> Fault {
    let fault = match code {
        1040 | 1203 | 1226 => Fault::Throttled {
            after: None,
            code: None,
        },
        1205 | 1213 => Fault::Conflict { code: None },
        1044 | 1142 | 1143 | 1227 | 1370 => Fault::missing("the user lacks a right", right),
        1045 | 1698 => Fault::misconfigured("the user or the password is wrong"),
        1049 => Fault::misconfigured("there is no database of this name"),
        1146 | 1054 => Fault::misconfigured("a table or a column that was there is gone"),
        1290 | 1792 | 1836 => Fault::misconfigured("the database is read-only: this is a replica"),
        1021 | 1114 => Fault::misconfigured("the disk of the database is full"),
        1153 => too_large(),
        1048 | 1062 | 1264 | 1265 | 1292 | 1366 | 1406 | 3140 | 3819 | 4025 => Fault::Rejected {
            reason: "the database refuses a value of the record".to_owned(),
            code: None,
        },
        1053 | 1317 | 1927 | 3024 => Fault::unreachable(Unreachable::Server),
        _ => Fault::misconfigured("the database refuses the statement"),
    };
    fault.with_code(code)
}

/// Returns whether a table or a column is missing that may be made anew.
pub(super) fn is_shape(fault: &Fault) -> bool {
    matches!(fault.code(), Some("1146" | "1054"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_of_errors_has_one_meaning() {
        for (codes, name) in [
            (&[1053, 1317][..], "unreachable"),
            (&[1040, 1203, 1226], "throttled"),
            (&[1205, 1213], "conflict"),
            (
                &[1044, 1045, 1049, 1142, 1146, 1054, 1290, 1114, 1064],
                "misconfigured",
            ),
            (&[1153, 1264, 1366, 1406, 3140, 4025], "rejected"),
        ] {
            for code in codes {
                assert_eq!(of_code(*code, "INSERT").name(), name, "{code}");
            }
        }
        assert!(
            of_code(1142, "INSERT on t")
                .to_string()
                .ends_with("INSERT on t")
        );
    }
}
