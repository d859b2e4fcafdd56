//! A plan of windows for one connection, how far it is, and when it is done.
//!
//! The plan alone gives the windows, always the same ones, so planning may be repeated after a
//! crash. What becomes of it is read from the windows; the backfill itself only remembers what was
//! ordered (pause, cancel), where going back was stopped, and that *done* was said.

pub mod estimate;
pub mod progress;

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;
use models::data::DataType;
use serde::{Deserialize, Serialize};

pub use self::{
    estimate::Estimate,
    progress::{Progress, Totals},
};
use super::{
    cut::{self, RequestSize},
    day::{self, Span},
    reach::ProviderHistory,
    window::{BackfillId, Skip, State, Window, WindowId, retry::Reason},
};
use crate::connection::ConnectionId;

/// Going back ends after windows without any record for this many days in a row: longer than a
/// season, so that a winter without cycling does not end it.
pub const STOP_AFTER_EMPTY_DAYS: u32 = 183;
/// Windows of one type that are due at once. The next ones become due a little later, so that the
/// newest are asked first and the rule above can spare the oldest.
const WINDOWS_AT_ONCE: i64 = 4;
/// Time between two such groups of windows. Unit: milliseconds.
const STAGGER_MS: i64 = 30_000;
/// A type that was refused for good is asked for again after this long. Unit: milliseconds.
const REFUSED_MS: i64 = 14 * day::DAY_MS;

/// Days before a lost payload was offered that may be in it: a watch that was in a drawer for two weeks
/// brings all of them when it is worn again. Fewer would save no calls, since a request takes 28 days.
const LOST_DAYS: i64 = 14;
/// Payloads of one connection that get lost within this time are asked for together, when it is over.
/// Unit: milliseconds.
const LOST_TOGETHER_MS: i64 = 15 * 60_000;

/// `type` of the event that says that a backfill is done.
pub const DONE_EVENT: &str = "terrarium_backfill_done";

/// Purpose of a backfill.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// All of a new connection's past; there is one per connection.
    First,
    /// Days that were found missing: for most a small one every other day, for ever.
    Gaps,
    /// Days that a person asked for.
    OnDemand,
}

/// Plan of a backfill: the days to ask for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Its name.
    pub id: BackfillId,
    /// Connection whose past is asked for.
    pub connection: ConnectionId,
    /// Purpose of the backfill.
    pub kind: Kind,
    /// Time of planning. Unit: Unix milliseconds.
    pub planned_at_ms: i64,
    /// Size of its requests.
    pub request_size: RequestSize,
    /// The days of each type.
    pub days: BTreeMap<DataType, Vec<Span>>,
}

impl Plan {
    /// The first backfill of a connection: all that the provider has of the `supported` types (from
    /// `/integrations/detailed`), from its reach to today, which is wherever on Earth it is latest;
    /// and no more than `max_days`, where that is less; in requests of `request_size`.
    ///
    /// `None`: there is nothing that could be asked for.
    pub fn first(
        connection: &ConnectionId,
        history: &ProviderHistory,
        supported: &BTreeSet<DataType>,
        connected_at_ms: i64,
        max_days: Option<u32>,
        request_size: RequestSize,
        now_ms: i64,
    ) -> Option<Self> {
        let until = day::next(day::latest_on_earth(now_ms));
        let reach = history.first_day(connected_at_ms);
        let wanted = max_days.map(|days| day::plus(until, -i64::from(days)));
        let all = Span::new(wanted.map_or(reach, |wanted| wanted.max(reach)), until).ok()?;
        let askable = supported
            .iter()
            .filter(|&&data_type| history.can_be_asked(data_type));
        let days: BTreeMap<_, _> = askable.map(|&data_type| (data_type, vec![all])).collect();
        (!days.is_empty()).then(|| Self {
            id: BackfillId::first(connection),
            connection: connection.clone(),
            kind: Kind::First,
            planned_at_ms: now_ms,
            request_size,
            days,
        })
    }

    /// Days that were found missing and claimed, see [`gap::wanted`](super::gap::wanted) and
    /// [`AskedMonth::claim`](super::asked::AskedMonth::claim). `None`: there are none.
    pub fn gaps(
        connection: &ConnectionId,
        missing: BTreeMap<DataType, BTreeSet<Date>>,
        now_ms: i64,
    ) -> Option<Self> {
        let newest = day::latest_on_earth(now_ms);
        let missing = missing.into_iter().filter(|(_, days)| !days.is_empty());
        let days: BTreeMap<_, _> = missing
            .map(|(data_type, days)| {
                let runs = Span::runs(days).into_iter();
                let windows = runs.flat_map(|run| cut::windows_of_gap(run, newest));
                (data_type, windows.collect())
            })
            .collect();
        (!days.is_empty()).then(|| Self {
            id: BackfillId::of(connection, &format!("gaps at {now_ms}")),
            connection: connection.clone(),
            kind: Kind::Gaps,
            planned_at_ms: now_ms,
            request_size: RequestSize::Ordinary,
            days,
        })
    }

    /// Days that may have been in a payload that nobody could fetch, of every type that can be asked for,
    /// because a ping tells neither.
    ///
    /// Payloads that get lost together give the same plan. It is due when no more can join it, so that
    /// Terra is asked after the last of them was lost. Returns `None` where nothing can be asked for.
    pub fn lost(
        connection: &ConnectionId,
        history: &ProviderHistory,
        supported: &BTreeSet<DataType>,
        (offered_at_ms, connected_at_ms): (i64, i64),
        now_ms: i64,
    ) -> Option<Self> {
        let newest = day::latest_on_earth(offered_at_ms);
        let oldest = day::plus(day::earliest_on_earth(offered_at_ms), -LOST_DAYS);
        let from = oldest.max(history.first_day(connected_at_ms));
        let run = Span::new(from, day::next(newest)).ok()?;
        let windows = cut::windows_of_gap(run, newest);
        let askable = supported
            .iter()
            .filter(|&&data_type| history.can_be_asked(data_type));
        let days: BTreeMap<_, _> = askable
            .map(|&data_type| (data_type, windows.clone()))
            .collect();
        let name = format!("payloads of {from} to {newest}");
        (!days.is_empty()).then(|| Self::lost_days(connection, &name, days, now_ms))
    }

    /// Days of a window whose answer was lost, or a part of it. As [`lost`](Self::lost), but the window says
    /// which type and days those are.
    pub fn lost_answer(connection: &ConnectionId, window: &WindowId, now_ms: i64) -> Self {
        let name = format!("answer for {} {}", window.data_type, window.span.from());
        let days = BTreeMap::from([(window.data_type, vec![window.span])]);
        Self::lost_days(connection, &name, days, now_ms)
    }

    fn lost_days(
        connection: &ConnectionId,
        name: &str,
        days: BTreeMap<DataType, Vec<Span>>,
        now_ms: i64,
    ) -> Self {
        let due_ms = now_ms
            .saturating_sub(now_ms.rem_euclid(LOST_TOGETHER_MS))
            .saturating_add(LOST_TOGETHER_MS);
        Self {
            id: BackfillId::of(connection, &format!("{name} lost before {due_ms}")),
            connection: connection.clone(),
            kind: Kind::Gaps,
            planned_at_ms: due_ms,
            request_size: RequestSize::Ordinary,
            days,
        }
    }

    /// Plans the runs of days that a person asked for. The same wish at the same time is the same
    /// backfill.
    pub fn on_demand(
        connection: &ConnectionId,
        spans: &[Span],
        types: &BTreeSet<DataType>,
        now_ms: i64,
    ) -> Self {
        Self {
            id: BackfillId::of(connection, &format!("on demand at {now_ms}")),
            connection: connection.clone(),
            kind: Kind::OnDemand,
            planned_at_ms: now_ms,
            request_size: RequestSize::Ordinary,
            days: types
                .iter()
                .map(|&data_type| (data_type, spans.to_vec()))
                .collect(),
        }
    }

    /// Its windows, newest days first.
    pub fn windows(&self) -> Vec<Window> {
        let mut spans: Vec<_> = self
            .days
            .iter()
            .flat_map(|(&data_type, spans)| spans.iter().map(move |&span| (data_type, span)))
            .flat_map(|(data_type, span)| {
                let windows = cut::windows(span, self.request_size);
                windows.into_iter().map(move |window| (window, data_type))
            })
            .collect();
        spans.sort_unstable_by(|(one, one_type), (other, other_type)| {
            (other.until(), other.from(), one_type).cmp(&(one.until(), one.from(), other_type))
        });
        spans.dedup();
        let mut of_type = BTreeMap::<DataType, i64>::new();
        let ranked = spans.into_iter().zip(0_u32..);
        ranked
            .map(|((span, data_type), rank)| {
                let place = of_type.entry(data_type).or_default();
                let due_ms = self.planned_at_ms + *place / WINDOWS_AT_ONCE * STAGGER_MS;
                *place += 1;
                let backfill = self.id.clone();
                let id = WindowId {
                    backfill,
                    data_type,
                    span,
                };
                Window::new(id, self.connection.clone(), rank, due_ms)
            })
            .collect()
    }

    /// The days of a type that it covers.
    pub fn days_of(&self, data_type: DataType) -> &[Span] {
        self.days
            .get(&data_type)
            .map(Vec::as_slice)
            .unwrap_or_default()
    }
}

/// Last order of a person.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// Go on.
    #[default]
    Run,
    /// Ask nothing until told to go on.
    Pause,
    /// Ask nothing any more.
    Cancel,
}

/// The order comes too late, or makes no sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OrderRefused {
    /// The backfill is done.
    #[error("the backfill is done")]
    Done,
    /// The backfill was cancelled, and its windows may be skipped by now: make a new one.
    #[error("the backfill was cancelled")]
    Cancelled,
}

/// A backfill, as it is remembered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backfill {
    /// Plan of the days to ask for.
    pub plan: Plan,
    /// Last order of a person.
    #[serde(default)]
    pub order: Order,
    /// True once all its windows have been written.
    #[serde(default)]
    pub created: bool,
    /// Days before these were not asked for, because there was nothing for so long.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub stopped_before: BTreeMap<DataType, Date>,
    /// Types that Terra or the provider refused for good: one refusal stands for all windows.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub refused: BTreeSet<DataType>,
    /// Result of the backfill. Set once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub done: Option<Done>,
}

/// End of a backfill, which is an event of ours. It is remembered before the event is sent and then
/// marked as sent; a receiver who gets the event twice knows it by the backfill's id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// Time of the end. Unit: Unix milliseconds.
    pub at_ms: i64,
    /// The counts.
    pub totals: Totals,
    /// Somebody is about to send the event until then, and nobody else is. Unit: Unix milliseconds.
    pub announcing_until_ms: i64,
    /// True once the event was sent.
    pub announced: bool,
    /// True if the provider refused something for want of a permission.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub permission_refused: bool,
}

/// Rest of a backfill that is done: the part that every later search for gaps reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// Time of the end. Unit: Unix milliseconds.
    pub at_ms: i64,
    /// Types that were refused for good.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub refused: BTreeSet<DataType>,
    /// True if the provider refused something for want of a permission.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub permission_refused: bool,
    /// True if windows were given up.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub has_failed: bool,
}

impl Ended {
    /// The types that were refused, while that still says something of today: a refusal is believed
    /// for two weeks after the backfill ended.
    pub fn refused_lately(&self, now_ms: i64) -> Option<&BTreeSet<DataType>> {
        self.is_recent(now_ms).then_some(&self.refused)
    }

    /// Returns whether a permission was lacking within the same time.
    pub fn permission_refused_lately(&self, now_ms: i64) -> bool {
        self.permission_refused && self.is_recent(now_ms)
    }

    fn is_recent(&self, now_ms: i64) -> bool {
        now_ms.saturating_sub(self.at_ms) < REFUSED_MS
    }
}

/// Decision about a due window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Ask.
    Ask,
    /// Not now: the backfill is paused.
    Wait,
    /// Not any more.
    Skip(Skip),
}

impl Backfill {
    /// A backfill that starts.
    pub fn new(plan: Plan) -> Self {
        Self {
            plan,
            order: Order::Run,
            created: false,
            stopped_before: BTreeMap::new(),
            refused: BTreeSet::new(),
            done: None,
        }
    }

    /// Pauses, resumes or cancels. The same order again changes nothing.
    ///
    /// # Errors
    ///
    /// [`OrderRefused::Done`] when every window is final, [`OrderRefused::Cancelled`] when a cancelled
    /// backfill is to go on.
    pub fn ordered(self, order: Order) -> Result<Self, OrderRefused> {
        match (&self.done, self.order) {
            (Some(_), _) => Err(OrderRefused::Done),
            (None, Order::Cancel) if order != Order::Cancel => Err(OrderRefused::Cancelled),
            _ => Ok(Self { order, ..self }),
        }
    }

    /// Decides about one of its windows that is due.
    pub fn verdict(&self, window: &Window) -> Verdict {
        let stop = self.stopped_before.get(&window.id().data_type);
        match self.order {
            Order::Cancel => Verdict::Skip(Skip::Cancelled),
            _ if self.refused.contains(&window.id().data_type) => Verdict::Skip(Skip::NotSupported),
            _ if stop.is_some_and(|&stop| window.span().until() <= stop) => {
                Verdict::Skip(Skip::NothingFurtherBack)
            }
            Order::Pause => Verdict::Wait,
            Order::Run => Verdict::Ask,
        }
    }

    /// Notes that Terra or the provider has no such type for this connection.
    #[must_use]
    pub fn with_refused(mut self, data_type: DataType) -> Self {
        self.refused.insert(data_type);
        self
    }

    /// Returns the rest that is kept when the backfill is done.
    pub fn ended(&self) -> Option<Ended> {
        let done = self.done.as_ref()?;
        Some(Ended {
            at_ms: done.at_ms,
            refused: self.refused.clone(),
            permission_refused: done.permission_refused,
            has_failed: done.totals.failed > 0,
        })
    }

    /// Notes where going back ends, now that its windows stand as they do.
    #[must_use]
    pub fn with_stops(mut self, windows: &[Window]) -> Self {
        // Days that were found missing, or that a person wants, are all asked for.
        if self.plan.kind == Kind::First {
            for &data_type in self.plan.days.keys() {
                if let Some(stop) = progress::nothing_before(windows, data_type) {
                    let known = self.stopped_before.entry(data_type).or_insert(stop);
                    *known = stop.max(*known);
                }
            }
        }
        self
    }

    /// Says *done* once every window is final: the state to write, or `None` while it is not, or
    /// when it was said before.
    #[must_use]
    pub fn finished(&self, windows: &[Window], now_ms: i64) -> Option<Self> {
        let progress = Progress::of(&self.plan, windows);
        let over = self.done.is_none() && self.created && progress.is_complete();
        let failed_for = |window: &Window| match window.state() {
            State::Failed { reason, .. } => Some(*reason),
            _ => None,
        };
        let is_refused = |window: &&Window| {
            let reason = failed_for(window);
            matches!(reason, Some(Reason::NotSupported | Reason::ProviderRefused))
        };
        over.then(|| Self {
            refused: windows
                .iter()
                .filter(is_refused)
                .map(|window| window.id().data_type)
                .chain(self.refused.iter().copied())
                .collect(),
            done: Some(Done {
                at_ms: now_ms,
                totals: progress.totals,
                announcing_until_ms: 0,
                announced: false,
                permission_refused: windows
                    .iter()
                    .any(|window| failed_for(window) == Some(Reason::ProviderRefused)),
            }),
            ..self.clone()
        })
    }

    /// Claims the sending of the event until `until_ms`: the state to write, or `None` when it is not
    /// done, when the event was sent, or when somebody else has claimed that lately.
    #[must_use]
    pub fn announcing(&self, until_ms: i64, now_ms: i64) -> Option<Self> {
        let mut next = self.clone();
        let done = next.done.as_mut()?;
        if done.announced || now_ms < done.announcing_until_ms {
            return None;
        }
        done.announcing_until_ms = until_ms;
        Some(next)
    }

    /// The event was sent.
    #[must_use]
    pub fn announced(mut self) -> Self {
        if let Some(done) = &mut self.done {
            done.announced = true;
        }
        self
    }

    /// The days of a type that its open windows will ask for: for
    /// [`Known::planned`](super::coverage::Known::planned), so that the gap finder leaves them to it.
    pub fn open_days(&self, windows: &[Window], data_type: DataType) -> Vec<Span> {
        if self.done.is_some() || self.order == Order::Cancel {
            return Vec::new();
        }
        let stop = self.stopped_before.get(&data_type);
        progress::current(&self.plan, windows)
            .into_iter()
            .filter(|window| window.id().data_type == data_type && !window.is_final())
            .map(|window| window.span())
            .filter(|span| stop.is_none_or(|&stop| span.until() > stop))
            .collect()
    }

    /// The first day of a type that is worth asking for, in the light of this first backfill, when
    /// the provider reaches back to `reach` and the connection began on `connected`.
    ///
    /// Days that a cancelled backfill left out are never asked for by another one.
    pub fn first_day(&self, data_type: DataType, reach: Date, connected: Date) -> Date {
        if self.order == Order::Cancel {
            return connected.max(reach);
        }
        let planned = self.plan.days_of(data_type).iter();
        let planned = planned.map(|span| span.from()).min();
        let stop = self.stopped_before.get(&data_type).copied();
        reach
            .max(planned.unwrap_or(reach))
            .max(stop.unwrap_or(reach))
    }
}

#[cfg(test)]
mod tests;
