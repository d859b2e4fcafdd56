//! Messages and exit codes of failed commands.

use runtime::telemetry::Chain;

/// A command's end that has its own exit code; every other error is a failure, code 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The user asked for something that cannot be.
    #[error("{0}")]
    Input(String),
    /// The named thing is not there.
    #[error("{0}")]
    NotFound(String),
    /// The command failed; the output says so already.
    #[error("failed")]
    AlreadySaid,
    /// Nobody reads our output any more.
    #[error("the output was closed")]
    OutputClosed,
}

/// Wrong input, with what would be right.
pub fn input(text: impl Into<String>) -> anyhow::Error {
    Failure::Input(text.into()).into()
}

/// Something that is not there.
pub fn not_found(text: impl Into<String>) -> anyhow::Error {
    Failure::NotFound(text.into()).into()
}

/// The process's exit code for an error: 1 failed, 2 wrong input, 3 not found.
pub fn exit_code(error: &anyhow::Error) -> u8 {
    match error.downcast_ref::<Failure>() {
        Some(Failure::OutputClosed) => 0,
        Some(Failure::Input(_)) => 2,
        Some(Failure::NotFound(_)) => 3,
        Some(Failure::AlreadySaid) | None => 1,
    }
}

/// Describes an error in one line.
pub fn message(error: &anyhow::Error) -> Option<String> {
    match error.downcast_ref::<Failure>() {
        Some(Failure::OutputClosed | Failure::AlreadySaid) => None,
        _ => Some(Chain(error.as_ref()).to_string()),
    }
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    use super::*;

    #[test]
    fn every_end_has_its_exit_code() {
        assert_eq!(exit_code(&input("no")), 2);
        assert_eq!(exit_code(&not_found("no")), 3);
        assert_eq!(exit_code(&anyhow::anyhow!("no")), 1);
        assert_eq!(exit_code(&Failure::OutputClosed.into()), 0);
        let wrapped = Err::<(), _>(not_found("no such thing")).context("cannot show it");
        assert_eq!(exit_code(&wrapped.unwrap_err()), 3);
    }
}
