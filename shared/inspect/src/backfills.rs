//! From what somebody asks for to a plan, or why there can be none.

use std::collections::{BTreeMap, BTreeSet};

use domain::{
    connection::Status,
    history::{
        backfill::{Estimate, Plan},
        coverage::Keyed,
        cut::{self, RequestSize},
        day::{self, Span},
        reach::{Fetch, ProviderHistory},
        window::BackfillId,
    },
    pacing::Quotas,
};
use jiff::civil::Date;
use models::{data::DataType, ids::Provider};
use store::table::{Table, TableError, connections::StoredConnection};

/// Bounds of fetching, as history-fetch keeps them.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Quotas of all calls to Terra.
    pub quotas: Quotas,
    /// Length of a first backfill at most, where the provider has more. Unit: days.
    pub max_days: Option<u32>,
    /// Size of the requests of a first backfill.
    pub request_size: RequestSize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            quotas: Quotas::default(),
            max_days: None,
            request_size: RequestSize::Ordinary,
        }
    }
}

/// Wish of a person, in the light of what is known.
#[derive(Debug, Clone)]
pub struct Wish {
    /// Days that are meant; all that there are where none are named.
    pub span: Option<Span>,
    /// Types that are meant; none means all.
    pub named: BTreeSet<DataType>,
    /// Terra's list of each provider's types; what it does not list is assumed.
    pub supported: BTreeMap<Provider, BTreeSet<DataType>>,
    /// Bounds of fetching.
    pub limits: Limits,
    /// Now. Unit: Unix milliseconds.
    pub now_ms: i64,
}

/// Backfill to plan for one connection.
#[derive(Debug)]
pub struct Wished {
    /// The connection.
    pub connection: StoredConnection,
    /// Its plan.
    pub plan: Plan,
    provider: Provider,
    quotas: Quotas,
}

impl Wished {
    /// Cost and time of all of it.
    pub fn estimate(&self) -> Estimate {
        Estimate::of(&self.plan, &self.provider, &self.quotas)
    }

    /// Cost and time of one type.
    pub fn estimate_of(&self, data_type: DataType) -> Estimate {
        let mut plan = self.plan.clone();
        plan.days.retain(|other, _| *other == data_type);
        Estimate::of(&plan, &self.provider, &self.quotas)
    }
}

/// Reason why there can be no plan, as the end of a sentence that begins with the provider.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Impossible {
    /// No webhook has told the provider.
    #[error("is a connection whose provider is not known yet")]
    ProviderUnknown,
    /// The connection has ended.
    #[error("has ended: the person has to connect again first")]
    Ended,
    /// The data lie on a phone.
    #[error("can only be fetched from by the app on the phone")]
    OnThePhone,
    /// The provider lacks some of the named types.
    #[error("has no {}; it has: {}", .wrong.join(" and no "), .right.join(", "))]
    NoSuchType {
        /// Types that it lacks.
        wrong: Vec<&'static str>,
        /// Types that it has.
        right: Vec<&'static str>,
    },
    /// Terra lists no type that could be asked for.
    #[error("has no type that could be asked for, Terra says")]
    NothingSupported,
    /// The days begin before the provider gives anything.
    #[error("gives this person nothing before {earliest}: begin there")]
    TooEarly {
        /// First day that could be asked for.
        earliest: Date,
    },
    /// The first backfill comes once.
    #[error("has its first backfill already, {id}: say from when on to ask again")]
    FirstThere {
        /// Its id.
        id: BackfillId,
    },
    /// Nothing is left to ask for.
    #[error("has nothing that could be asked for")]
    Nothing,
}

/// Reason why days cannot be meant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDays {
    /// A last day without a first one.
    #[error("says where to end: say where to begin, too")]
    NoBeginning,
    /// A day that is nowhere on Earth yet.
    #[error("is in the future: it can be {latest} at the latest")]
    InTheFuture {
        /// True if it is the first day.
        first: bool,
        /// Latest day that may be named.
        latest: Date,
    },
    /// The last day lies before the first.
    #[error("is before the first day")]
    Backwards,
}

/// The days that are meant; `None`: all.
///
/// # Errors
///
/// [`InvalidDays`] says which day cannot be meant.
pub fn span(
    from: Option<Date>,
    to: Option<Date>,
    now_ms: i64,
) -> Result<Option<Span>, InvalidDays> {
    let latest = day::latest_on_earth(now_ms);
    let (from, to) = match (from, to) {
        (None, None) => return Ok(None),
        (None, Some(_)) => return Err(InvalidDays::NoBeginning),
        (Some(from), to) => (from, to.unwrap_or(latest)),
    };
    for (first, day) in [(true, from), (false, to)] {
        if day > latest {
            return Err(InvalidDays::InTheFuture { first, latest });
        }
    }
    let span = Span::new(from, day::next(to)).map_err(|_| InvalidDays::Backwards)?;
    Ok(Some(span))
}

/// Types that Terra can be asked for by days.
pub fn askable() -> impl Iterator<Item = DataType> {
    let all = DataType::ALL.into_iter();
    all.filter(|&data_type| Keyed::of(data_type).is_some())
}

/// Days to ask for, so that all of a span are told of: where it ends with a month the day beyond, under
/// which a provider may file a day's record (FACTS section 4).
fn with_neighbours(span: Span, now_ms: i64) -> Vec<Span> {
    let newest = day::latest_on_earth(now_ms);
    cut::windows_of_gap(span, newest)
}

/// Plans for connections, each with why there can be none.
///
/// # Errors
///
/// [`TableError`] when the table does not answer.
pub async fn plans(
    table: &Table,
    connections: Vec<StoredConnection>,
    wish: &Wish,
) -> Result<Vec<Result<Wished, (StoredConnection, Impossible)>>, TableError> {
    let mut plans = Vec::new();
    for connection in connections {
        let known = match (wish.span, connection.state.provider()) {
            (None, Some(_)) => table.backfill(&BackfillId::first(&connection.id)).await?,
            _ => None,
        };
        let first = known.map(|known| known.plan.id);
        plans.push(match wish.plan(&connection, first) {
            Ok((plan, provider)) => Ok(Wished {
                connection,
                plan,
                provider,
                quotas: wish.limits.quotas.clone(),
            }),
            Err(why) => Err((connection, why)),
        });
    }
    Ok(plans)
}

impl Wish {
    /// The plan for a connection. `known` is its first backfill, if there was one and it matters.
    fn plan(
        &self,
        connection: &StoredConnection,
        known: Option<BackfillId>,
    ) -> Result<(Plan, Provider), Impossible> {
        let state = &connection.state;
        let provider = state.provider().ok_or(Impossible::ProviderUnknown)?;
        let history = ProviderHistory::of(provider);
        if state.status() == Status::Ended {
            return Err(Impossible::Ended);
        }
        if history.fetch == Fetch::Phone {
            return Err(Impossible::OnThePhone);
        }
        let types = self.types(provider, history)?;
        let connected_at_ms = state.connected_at_ms().unwrap_or(self.now_ms);
        let earliest = history.first_day(connected_at_ms);
        let span = match self.span {
            Some(span) if span.from() < earliest => return Err(Impossible::TooEarly { earliest }),
            Some(span) => span,
            // The first backfill is of all types and comes once: who names some asks for them alone.
            None if self.named.is_empty() => {
                if let Some(id) = known {
                    return Err(Impossible::FirstThere { id });
                }
                let plan = Plan::first(
                    &connection.id,
                    history,
                    &types,
                    connected_at_ms,
                    self.limits.max_days,
                    self.limits.request_size,
                    self.now_ms,
                );
                return Ok((plan.ok_or(Impossible::Nothing)?, provider.clone()));
            }
            None => Span::new(earliest, day::next(day::latest_on_earth(self.now_ms)))
                .map_err(|_| Impossible::Nothing)?,
        };
        let spans = with_neighbours(span, self.now_ms);
        let plan = Plan::on_demand(&connection.id, &spans, &types, self.now_ms);
        Ok((plan, provider.clone()))
    }

    fn types(
        &self,
        provider: &Provider,
        history: &ProviderHistory,
    ) -> Result<BTreeSet<DataType>, Impossible> {
        let all = DataType::ALL.into_iter();
        let all: BTreeSet<_> = all.filter(|&it| history.can_be_asked(it)).collect();
        let wrong: Vec<_> = self.named.difference(&all).map(|it| it.as_str()).collect();
        if !wrong.is_empty() {
            let right = all.iter().map(|it| it.as_str()).collect();
            return Err(Impossible::NoSuchType { wrong, right });
        }
        if !self.named.is_empty() {
            return Ok(self.named.clone());
        }
        let types: BTreeSet<_> = match self.supported.get(provider) {
            Some(supported) if !supported.is_empty() => {
                all.intersection(supported).copied().collect()
            }
            _ => all,
        };
        if types.is_empty() {
            return Err(Impossible::NothingSupported);
        }
        Ok(types)
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    /// Noon of 2 July 2026, UTC.
    const NOW: i64 = 1_782_993_600_000;

    #[test]
    fn days_that_cannot_be_meant_are_refused_with_what_can() {
        let refused = |from, to| span(from, to, NOW).unwrap_err();
        let (june, july) = (date(2026, 6, 1), date(2026, 7, 1));
        assert_eq!(refused(None, Some(july)), InvalidDays::NoBeginning);
        assert_eq!(refused(Some(july), Some(june)), InvalidDays::Backwards);
        let latest = date(2026, 7, 3);
        let first = InvalidDays::InTheFuture {
            first: true,
            latest,
        };
        assert_eq!(refused(Some(date(2027, 1, 1)), None), first);
        let last = refused(Some(june), Some(date(2026, 7, 5)));
        assert!(last.to_string().contains("2026-07-03 at the latest"));
        assert_eq!(span(None, None, NOW).unwrap(), None);
        let one_day = span(Some(june), Some(june), NOW).unwrap().unwrap();
        assert_eq!(one_day, Span::of_day(june));
        let open = span(Some(june), None, NOW).unwrap().unwrap();
        assert_eq!(open.until(), date(2026, 7, 4));
    }

    #[test]
    fn a_month_is_asked_for_with_its_neighbours() {
        let march = Span::new(date(2026, 3, 1), date(2026, 4, 1)).unwrap();
        let days = with_neighbours(march, NOW).into_iter().flat_map(Span::days);
        let days: BTreeSet<_> = days.collect();
        let ends = (days.first(), days.last(), days.len());
        assert_eq!(
            ends,
            (Some(&date(2026, 2, 28)), Some(&date(2026, 4, 1)), 33)
        );
    }
}
