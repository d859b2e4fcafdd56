//! From what a person asks for to a plan, or why there can be none.

use std::collections::{BTreeMap, BTreeSet};

use domain::{
    connection::Status,
    history::{
        backfill::{Estimate, Plan},
        cut,
        day::{self, Span},
        reach::{Fetch, ProviderHistory},
        window::BackfillId,
    },
    pacing::Quotas,
};
use history_fetch::FetchSettings;
use jiff::civil::Date;
use models::{data::DataType, ids::Provider};
use runtime::telemetry::Chain;
use store::table::connections::StoredConnection;
use terra_client::api::Catalogue;

use crate::{
    cli::{Place, WishArgs},
    commands::{
        access::{Access, now},
        coverage, person, show, terra,
    },
    failure, output,
};

/// Backfill to plan for one connection.
pub(super) struct Wished {
    pub(super) connection: StoredConnection,
    pub(super) plan: Plan,
    provider: Provider,
    quotas: Quotas,
}

impl Wished {
    pub(super) fn estimate(&self) -> Estimate {
        Estimate::of(&self.plan, &self.provider, &self.quotas)
    }

    pub(super) fn estimate_of(&self, data_type: DataType) -> Estimate {
        let mut plan = self.plan.clone();
        plan.days.retain(|other, _| *other == data_type);
        Estimate::of(&plan, &self.provider, &self.quotas)
    }
}

/// The plans for the connections that are meant. Those of which nothing can be asked are left out
/// with a note; when that is all of them, it is an error.
pub(super) async fn plans(
    access: &Access,
    place: &Place,
    args: &WishArgs,
) -> anyhow::Result<Vec<Wished>> {
    let now_ms = now().as_millisecond();
    let named = args.types.iter().map(|text| coverage::askable(text));
    let named: BTreeSet<DataType> = named.collect::<Result<_, _>>()?;
    let span = span(args.from, args.to, now_ms)?;
    let provider = args.provider.as_deref();
    let connections = person::connections(access, &args.reference_id, provider).await?;
    let supported = if named.is_empty() {
        supported(place).await?
    } else {
        BTreeMap::new()
    };
    let fetch = terra::fetch_settings()?;
    let mut wished = Vec::new();
    let mut reasons = Vec::new();
    for connection in connections {
        let known = match (span, connection.state.provider()) {
            (None, Some(_)) => {
                access
                    .table
                    .backfill(&BackfillId::first(&connection.id))
                    .await?
            }
            _ => None,
        };
        let first = known.map(|known| known.plan.id);
        let wish = Wish {
            span,
            named: &named,
            supported: &supported,
            first,
            fetch: &fetch,
            now_ms,
        };
        match wish.plan(&connection) {
            Ok((plan, provider)) => wished.push(Wished {
                connection,
                plan,
                provider,
                quotas: fetch.quotas.clone(),
            }),
            Err(why) => reasons.push(format!("{} {why}", show::provider(&connection))),
        }
    }
    if wished.is_empty() {
        return Err(failure::input(reasons.join("; ")));
    }
    for reason in reasons {
        output::note(&format!("left out: {reason}"));
    }
    Ok(wished)
}

/// The days that are meant; `None`: all.
fn span(from: Option<Date>, to: Option<Date>, now_ms: i64) -> anyhow::Result<Option<Span>> {
    let latest = day::latest_on_earth(now_ms);
    let (from, to) = match (from, to) {
        (None, None) => return Ok(None),
        (None, Some(_)) => {
            return Err(failure::input(
                "--to says where to end: say with --from where to begin, too",
            ));
        }
        (Some(from), to) => (from, to.unwrap_or(latest)),
    };
    for (name, day) in [("--from", from), ("--to", to)] {
        if day > latest {
            return Err(failure::input(format!(
                "{name} {day} is in the future: it can be {latest} at the latest"
            )));
        }
    }
    let span = Span::new(from, day::next(to)).map_err(|_| {
        failure::input(format!(
            "--from {from} is after --to {to}: the first day comes first"
        ))
    })?;
    Ok(Some(span))
}

/// Terra's list of each provider's types; empty, with a note, when it cannot be had.
async fn supported(place: &Place) -> anyhow::Result<BTreeMap<Provider, BTreeSet<DataType>>> {
    let assumed = "all types that the provider may have are planned";
    let Some(settings) = terra::settings(place)? else {
        output::note(&format!(
            "Terra was not asked which types there are, for want of TERRA_DEV_ID and \
             TERRA_API_KEY: {assumed}"
        ));
        return Ok(BTreeMap::new());
    };
    let client = terra::client(&settings)?;
    match client
        .detailed_integrations(Catalogue::Account, false)
        .await
    {
        Ok(listed) => Ok(listed
            .into_iter()
            .map(|listed| (listed.provider, listed.types))
            .collect()),
        Err(error) => {
            output::note(&format!("{}: {assumed}", Chain(&error)));
            Ok(BTreeMap::new())
        }
    }
}

/// Days to ask for, so that all of a span are told of: where it ends with a month the day beyond, under
/// which a provider may file a day's record (FACTS section 4).
fn with_neighbours(span: Span, now_ms: i64) -> Vec<Span> {
    let newest = day::latest_on_earth(now_ms);
    cut::windows_of_gap(span, newest)
}

/// Wish of a person, in the light of what is known.
struct Wish<'a> {
    span: Option<Span>,
    /// Types that were named; none means all.
    named: &'a BTreeSet<DataType>,
    supported: &'a BTreeMap<Provider, BTreeSet<DataType>>,
    /// The first backfill of the connection, if there was one and it matters.
    first: Option<BackfillId>,
    fetch: &'a FetchSettings,
    now_ms: i64,
}

const NOTHING: &str = "has nothing that could be asked for";

impl Wish<'_> {
    /// The plan for a connection, or why there can be none, as the end of a sentence that begins
    /// with the provider.
    fn plan(&self, connection: &StoredConnection) -> Result<(Plan, Provider), String> {
        let state = &connection.state;
        let provider = state.provider();
        let provider = provider.ok_or("is a connection whose provider is not known yet")?;
        let history = ProviderHistory::of(provider);
        if state.status() == Status::Ended {
            return Err("has ended: the person has to connect again first".to_owned());
        }
        if history.fetch == Fetch::Phone {
            return Err("can only be fetched from by the app on the phone".to_owned());
        }
        let types = self.types(provider, history)?;
        let connected_at_ms = state.connected_at_ms().unwrap_or(self.now_ms);
        let earliest = history.first_day(connected_at_ms);
        let span = match self.span {
            Some(span) if span.from() < earliest => {
                return Err(format!(
                    "gives this person nothing before {earliest}: begin with --from {earliest}"
                ));
            }
            Some(span) => span,
            // The first backfill is of all types and comes once: who names some asks for them alone.
            None if self.named.is_empty() => {
                let plan = self.first(connection, history, &types, connected_at_ms)?;
                return Ok((plan, provider.clone()));
            }
            None => Span::new(earliest, day::next(day::latest_on_earth(self.now_ms)))
                .map_err(|_| NOTHING.to_owned())?,
        };
        let spans = with_neighbours(span, self.now_ms);
        let plan = Plan::on_demand(&connection.id, &spans, &types, self.now_ms);
        Ok((plan, provider.clone()))
    }

    fn first(
        &self,
        connection: &StoredConnection,
        history: &ProviderHistory,
        types: &BTreeSet<DataType>,
        connected_at_ms: i64,
    ) -> Result<Plan, String> {
        if let Some(first) = &self.first {
            return Err(format!(
                "has its first backfill already, {first}: say with --from and --to what else to ask \
                 for"
            ));
        }
        let plan = Plan::first(
            &connection.id,
            history,
            types,
            connected_at_ms,
            self.fetch.max_days,
            self.fetch.via.request_size(),
            self.now_ms,
        );
        plan.ok_or_else(|| NOTHING.to_owned())
    }

    fn types(
        &self,
        provider: &Provider,
        history: &ProviderHistory,
    ) -> Result<BTreeSet<DataType>, String> {
        let all = DataType::ALL.into_iter();
        let all: BTreeSet<_> = all.filter(|&it| history.can_be_asked(it)).collect();
        let wrong: Vec<_> = self.named.difference(&all).map(|it| it.as_str()).collect();
        if !wrong.is_empty() {
            let right: Vec<_> = all.iter().map(|it| it.as_str()).collect();
            return Err(format!(
                "has no {}; it has: {}",
                wrong.join(" and no "),
                right.join(", ")
            ));
        }
        if !self.named.is_empty() {
            return Ok(self.named.clone());
        }
        let types = match self.supported.get(provider) {
            Some(supported) if !supported.is_empty() => {
                all.intersection(supported).copied().collect()
            }
            _ => all,
        };
        if types.is_empty() {
            return Err("has no type that could be asked for, Terra says".to_owned());
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
        let refused = |from, to| span(from, to, NOW).unwrap_err().to_string();
        let (june, july) = (date(2026, 6, 1), date(2026, 7, 1));
        assert!(refused(None, Some(july)).contains("--from"));
        assert!(refused(Some(july), Some(june)).contains("is after --to"));
        assert!(refused(Some(date(2027, 1, 1)), None).contains("in the future"));
        assert!(refused(Some(june), Some(date(2026, 7, 5))).contains("2026-07-03 at the latest"));
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
