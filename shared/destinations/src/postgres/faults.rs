//! Returns the fault that an error of PostgreSQL means.
//!
//! Codes: <https://www.postgresql.org/docs/current/errcodes-appendix.html>. The server's own text can
//! quote values of a record, so only its code is kept.

use crate::{
    kind::{Fault, Unreachable},
    net::fault_of,
};

/// Operation under way: names the right that is missing when the server refuses.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Doing<'a> {
    Connect,
    MakeSchema(&'a str),
    MakeTable(&'a str),
    Write(&'a str),
    Delete(&'a str),
    Read(&'a str),
}

impl Doing<'_> {
    fn right(self) -> String {
        match self {
            Self::Connect => "CONNECT on the database".to_owned(),
            Self::MakeSchema(database) => format!("CREATE on database {database}"),
            Self::MakeTable(table) => {
                format!("CREATE on the schema, and ownership, of {table}")
            }
            Self::Write(table) => format!("SELECT, INSERT, UPDATE on {table}"),
            Self::Delete(table) => format!("SELECT, DELETE on {table}"),
            Self::Read(table) => format!("SELECT on {table}"),
        }
    }
}

/// The fault of an error.
pub(super) fn fault(error: &tokio_postgres::Error, doing: Doing<'_>) -> Fault {
    match error.code() {
        Some(code) => of_code(code.code(), doing),
        None if error.is_closed() => Fault::unreachable(Unreachable::Reset),
        None => fault_of(error),
    }
}

pub(crate) fn of_code(code: &str, doing: Doing<'_>) -> Fault {
    let fault = match code {
        "53300" | "53400" => Fault::Throttled {
            after: None,
            code: None,
        },
        "53100" => Fault::misconfigured("the disk of the database is full"),
        "40001" | "40P01" | "55P03" | "57014" => Fault::Conflict { code: None },
        "3D000" => Fault::misconfigured("there is no database of this name"),
        "42501" => Fault::missing("the user lacks a right", doing.right()),
        "25006" => Fault::misconfigured("the database is read-only: this is a replica"),
        "42P01" | "42703" | "3F000" => {
            Fault::misconfigured("a table or a column that was there is gone")
        }
        _ if code.starts_with("28") => Fault::misconfigured("the user or the password is wrong"),
        _ if code.starts_with("22") || code.starts_with("23") => Fault::Rejected {
            reason: "the database refuses a value of the record".to_owned(),
            code: None,
        },
        _ if code.starts_with("08") || code.starts_with("57") || code.starts_with("58") => {
            Fault::unreachable(Unreachable::Server)
        }
        _ if code.starts_with("53") => Fault::unreachable(Unreachable::Server),
        _ if code.starts_with("54") => Fault::Rejected {
            reason: "the record is larger than the database takes".to_owned(),
            code: None,
        },
        _ => Fault::misconfigured("the database refuses the statement"),
    };
    fault.with_code(code)
}

/// Returns whether a table or a column is missing that may be made anew.
pub(super) fn is_shape(fault: &Fault) -> bool {
    matches!(fault.code(), Some("42P01" | "42703" | "3F000"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_of_errors_has_one_meaning() {
        for (codes, name) in [
            (
                &["08006", "57P01", "57P02", "57P03", "53200", "58030"][..],
                "unreachable",
            ),
            (&["53300", "53400"], "throttled"),
            (&["40001", "40P01", "55P03", "57014"], "conflict"),
            (
                &[
                    "28P01", "28000", "3D000", "42501", "25006", "42P01", "42703", "53100", "42601",
                ],
                "misconfigured",
            ),
            (
                &["22P02", "22P05", "22001", "22003", "23505", "54000"],
                "rejected",
            ),
        ] {
            for code in codes {
                let fault = of_code(code, Doing::Connect);
                assert_eq!(fault.name(), name, "{code}");
                assert_eq!(fault.code(), Some(*code));
            }
        }
    }

    #[test]
    fn a_missing_right_is_named() {
        let fault = of_code("42501", Doing::Write("terrarium.daily"));
        assert!(
            fault
                .to_string()
                .ends_with("SELECT, INSERT, UPDATE on terrarium.daily")
        );
    }
}
