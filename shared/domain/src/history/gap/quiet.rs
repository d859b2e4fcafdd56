//! Causes of a connection's silence.

use serde::{Deserialize, Serialize};

use crate::{
    connection::{Connection, Status},
    history::{
        day::{DAY_MS, HOUR_MS},
        reach::{Fetch, ProviderHistory},
    },
};

/// Without any webhook from Terra, of whatever kind, for this long, it is our intake that is
/// silent. After 24 hours of failures Terra switches a destination off (FACTS section 7).
/// Unit: milliseconds.
const INTAKE_SILENT_MS: i64 = 24 * HOUR_MS;
/// Data that were on their way may come for so long after a permission was withdrawn: our own choice.
/// Unit: milliseconds.
const LAST_DATA_MS: i64 = DAY_MS;

/// Signs of a connection and around it. Times are Unix milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signs {
    /// Status of the connection.
    pub status: Status,
    /// Time at which the connection began.
    pub connected_at_ms: i64,
    /// Time of its newest data that came by themselves.
    pub data_at_ms: Option<i64>,
    /// Time of the newest data of any other connection of the same provider. `None`: there is no other,
    /// or none ever brought data.
    pub peers_data_at_ms: Option<i64>,
    /// Time of the newest webhook of Terra's that our intake took.
    pub webhook_at_ms: Option<i64>,
    /// Lately the provider refused, for want of a permission (403, 424; FACTS section 2).
    pub permission_refused: bool,
    /// Time at which the person last withdrew a permission that is still withdrawn
    /// (`permission_change`).
    pub withdrawn_at_ms: Option<i64>,
}

impl Signs {
    /// Reads the signs of a connection, with those around it. A connection of which nothing has told yet
    /// when it began, begins now.
    pub fn of(
        connection: &Connection,
        permission_refused: bool,
        peers_data_at_ms: Option<i64>,
        webhook_at_ms: Option<i64>,
        now_ms: i64,
    ) -> Self {
        Self {
            status: connection.status(),
            connected_at_ms: connection.connected_at_ms().unwrap_or(now_ms),
            data_at_ms: connection.data_at_ms(),
            peers_data_at_ms,
            webhook_at_ms,
            permission_refused,
            withdrawn_at_ms: connection.withdrawn_at_ms(),
        }
    }
}

/// Cause of a silence, as far as one can tell from here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The connection ended: the person has to connect again.
    Ended,
    /// The provider refuses the connection; it may recover.
    Failing,
    /// The person did not grant what is needed.
    ScopeMissing,
    /// We have taken no webhook from anybody: look at the intake and at Terra's dashboard.
    IntakeSilent,
    /// Only the app on the phone sends, and it does not.
    PhoneAppSilent,
    /// Other people's data from the provider do not come either.
    ProviderLate,
    /// Everything works: the person records nothing.
    NothingRecorded,
}

impl Cause {
    /// In one word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ended => "ended",
            Self::Failing => "failing",
            Self::ScopeMissing => "scope_missing",
            Self::IntakeSilent => "intake_silent",
            Self::PhoneAppSilent => "phone_app_silent",
            Self::ProviderLate => "provider_late",
            Self::NothingRecorded => "nothing_recorded",
        }
    }
}

/// A connection that has gone quiet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quiet {
    /// The last sign of life. Unit: Unix milliseconds.
    pub since_ms: i64,
    /// Cause of the silence.
    pub cause: Cause,
}

/// Returns whether a connection is quiet, and the likely cause: the most certain one that applies.
///
/// A connection that ended or fails is reported at once, a silent one after the provider's
/// `quiet_after_days`.
pub fn quiet(signs: &Signs, history: &ProviderHistory, now_ms: i64) -> Option<Quiet> {
    let since_ms = signs.data_at_ms.unwrap_or(signs.connected_at_ms);
    let quiet_ms = i64::from(history.quiet_after_days) * DAY_MS;
    let older = |at_ms: Option<i64>, than_ms: i64| {
        at_ms.is_some_and(|at_ms| now_ms.saturating_sub(at_ms) >= than_ms)
    };
    let withdrawn = signs
        .withdrawn_at_ms
        .is_some_and(|at_ms| at_ms >= since_ms.saturating_sub(LAST_DATA_MS));
    let cause = match signs.status {
        Status::Ended => Cause::Ended,
        Status::Failing => Cause::Failing,
        Status::Active if !older(Some(since_ms), quiet_ms) => return None,
        Status::Active if signs.permission_refused || withdrawn => Cause::ScopeMissing,
        Status::Active if older(signs.webhook_at_ms, INTAKE_SILENT_MS) => Cause::IntakeSilent,
        Status::Active if history.fetch == Fetch::Phone => Cause::PhoneAppSilent,
        Status::Active if older(signs.peers_data_at_ms, quiet_ms) => Cause::ProviderLate,
        Status::Active => Cause::NothingRecorded,
    };
    Some(Quiet { since_ms, cause })
}

#[cfg(test)]
mod tests {
    use models::ids::Provider;

    use super::*;

    const NOW: i64 = 100 * DAY_MS;

    fn cause(signs: Signs, provider: &str) -> Option<Cause> {
        let history = ProviderHistory::of(&Provider::new(provider).unwrap());
        quiet(&signs, history, NOW).map(|quiet| quiet.cause)
    }

    #[test]
    fn the_most_certain_cause_is_named() {
        let quiet = Signs {
            status: Status::Active,
            connected_at_ms: 0,
            data_at_ms: Some(NOW - 5 * DAY_MS),
            peers_data_at_ms: Some(NOW - HOUR_MS),
            webhook_at_ms: Some(NOW - HOUR_MS),
            permission_refused: false,
            withdrawn_at_ms: Some(NOW - 7 * DAY_MS),
        };
        let lively = Signs {
            data_at_ms: Some(NOW - DAY_MS),
            ..quiet
        };
        assert_eq!(cause(lively, "GARMIN"), None);
        assert_eq!(cause(quiet, "GARMIN"), Some(Cause::NothingRecorded));
        assert_eq!(cause(quiet, "APPLE"), Some(Cause::PhoneAppSilent));
        let late = Signs {
            peers_data_at_ms: quiet.data_at_ms,
            ..quiet
        };
        assert_eq!(cause(late, "GARMIN"), Some(Cause::ProviderLate));
        let deaf = Signs {
            webhook_at_ms: Some(NOW - 2 * DAY_MS),
            ..late
        };
        assert_eq!(cause(deaf, "APPLE"), Some(Cause::IntakeSilent));
        let refused = Signs {
            permission_refused: true,
            ..deaf
        };
        assert_eq!(cause(refused, "GARMIN"), Some(Cause::ScopeMissing));
        let withdrawn = Signs {
            withdrawn_at_ms: Some(NOW - 5 * DAY_MS - HOUR_MS),
            ..deaf
        };
        assert_eq!(cause(withdrawn, "GARMIN"), Some(Cause::ScopeMissing));
        let failing = Signs {
            status: Status::Failing,
            ..lively
        };
        assert_eq!(cause(failing, "GARMIN"), Some(Cause::Failing));
        let ended = Signs {
            status: Status::Ended,
            ..refused
        };
        assert_eq!(cause(ended, "GARMIN"), Some(Cause::Ended));
        let never = Signs {
            data_at_ms: None,
            withdrawn_at_ms: None,
            ..quiet
        };
        assert_eq!(cause(never, "GARMIN"), Some(Cause::NothingRecorded));
    }
}
