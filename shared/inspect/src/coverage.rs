//! Days of a connection: what is known of each, and the gaps.

use std::collections::{BTreeMap, BTreeSet};

use domain::history::{
    asked::MAX_CLAIMS,
    coverage::{DayState, Missing},
    day::{self, Span},
    gap::Quiet,
    window::{State, Window, retry::Reason},
};
use jiff::civil::Date;
use models::data::DataType;
use store::table::{Table, TableError, connections::StoredConnection};

use crate::signs;

/// Knowledge of a connection's days.
#[derive(Debug)]
pub struct Looked {
    /// Silence of the connection, with its likely cause.
    pub quiet: Option<Quiet>,
    /// Days by type.
    pub types: BTreeMap<DataType, TypeDays>,
    /// Types that Terra or the provider refused.
    pub refused: Vec<DataType>,
}

/// Knowledge of the days of one type.
#[derive(Debug)]
pub struct TypeDays {
    /// State of each day.
    pub days: BTreeMap<Date, DayState>,
    /// Windows that were given up, each with the reason.
    pub failed: Vec<(Span, Reason)>,
}

/// A run of missing days for one reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// Its days.
    pub span: Span,
    /// Reason why they are missing.
    pub why: Missing,
    /// Reason why the newest window of these days was given up.
    pub failed: Option<Reason>,
}

/// Reads what is known of a connection's days. No `types` means all.
///
/// # Errors
///
/// [`TableError`] when the table does not answer, or an item cannot be read.
pub async fn look(
    table: &Table,
    connection: &StoredConnection,
    types: &BTreeSet<DataType>,
    span: Span,
    webhook_at_ms: Option<i64>,
    now_ms: i64,
) -> Result<Looked, TableError> {
    let outages = table.outages().await?;
    let known = table.known_days_of(connection, types, span, now_ms);
    let mut known = known.await?;
    let refused = known.extract_if(.., |_, days| days.refused);
    let refused = refused.map(|(data_type, _)| data_type).collect();
    let backfills = signs::backfills(table, connection).await?;
    let windows: Vec<&Window> = backfills.iter().flat_map(|(_, windows)| windows).collect();
    let of_types = known.iter().map(|(&data_type, known)| {
        let days = known.known(&outages).coverage(span, now_ms);
        let failed = windows.iter().filter_map(|window| match window.state() {
            State::Failed { reason, .. } if window.id().data_type == data_type => {
                Some((window.span(), *reason))
            }
            _ => None,
        });
        let failed = failed.collect();
        (data_type, TypeDays { days, failed })
    });
    let types = of_types.collect();
    let quiet = signs::why_quiet(table, connection, &backfills, webhook_at_ms, now_ms).await?;
    Ok(Looked {
        quiet,
        types,
        refused,
    })
}

/// The word for the state of a day.
pub fn word(state: DayState) -> &'static str {
    match state {
        DayState::Have => "have",
        DayState::ConfirmedEmpty => "confirmed_empty",
        DayState::Asked => "asked",
        DayState::Missing(_) => "missing",
        DayState::Unsettled => "unsettled",
        DayState::Outside(_) => "outside",
    }
}

/// The gaps of some days. `failed`: windows that were given up, and why.
pub fn gaps(days: &BTreeMap<Date, DayState>, failed: &[(Span, Reason)]) -> Vec<Gap> {
    let mut by_reason = Vec::<((Missing, Option<Reason>), Vec<Date>)>::new();
    for (&day, &state) in days {
        let DayState::Missing(why) = state else {
            continue;
        };
        let of_day = failed.iter().rfind(|(span, _)| span.contains(day));
        let reason = (why, of_day.map(|(_, reason)| *reason));
        match by_reason.last_mut() {
            Some((same, days)) if *same == reason => days.push(day),
            _ => by_reason.push((reason, vec![day])),
        }
    }
    let gaps = by_reason.into_iter().flat_map(|((why, failed), days)| {
        let runs = Span::runs(days).into_iter();
        runs.map(move |span| Gap { span, why, failed })
    });
    gaps.collect()
}

impl Gap {
    /// Its last day.
    pub fn last(&self) -> Date {
        day::previous(self.span.until())
    }
}

/// Describes why a day is missing, and what happens next.
pub fn describe(why: Missing) -> String {
    match why {
        Missing::NoRecord => "no record, and not asked for yet".to_owned(),
        Missing::Unproven => {
            "a session is stored, but whether it is all of them was not asked yet".to_owned()
        }
        Missing::Stale => {
            "last delivered before webhooks were lost, not asked for since".to_owned()
        }
        Missing::Unanswered => "asked for without an answer; asked again after a pause".to_owned(),
        Missing::GivenUp => format!(
            "asked for {MAX_CLAIMS} times without an answer, so not any more by itself; `terrarium \
             backfill start` with --from and --to asks again"
        ),
    }
}
