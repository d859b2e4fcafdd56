//! From what a person asks for to plans.

use std::collections::{BTreeMap, BTreeSet};

use inspect::backfills::{self, InvalidDays, Limits, Wish, Wished};
use models::{data::DataType, ids::Provider};
use runtime::telemetry::Chain;
use terra_client::api::Catalogue;

use crate::{
    cli::{Place, WishArgs},
    commands::{
        access::{Access, now},
        coverage, person, show, terra,
    },
    failure, output,
};

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
    let span = backfills::span(args.from, args.to, now_ms).map_err(|error| {
        let option = match error {
            InvalidDays::InTheFuture { first: true, .. } => "--from",
            _ => "--to",
        };
        failure::input(format!("{option} {error}"))
    })?;
    let provider = args.provider.as_deref();
    let connections = person::connections(access, &args.reference_id, provider).await?;
    let supported = if named.is_empty() {
        supported(place).await?
    } else {
        BTreeMap::new()
    };
    let fetch = terra::fetch_settings()?;
    let wish = Wish {
        span,
        named,
        supported,
        limits: Limits {
            request_size: fetch.via.request_size(),
            quotas: fetch.quotas,
            max_days: fetch.max_days,
        },
        now_ms,
    };
    let mut wished = Vec::new();
    let mut reasons = Vec::new();
    for plan in backfills::plans(&access.table, connections, &wish).await? {
        match plan {
            Ok(plan) => wished.push(plan),
            Err((connection, why)) => {
                reasons.push(format!("{} {why}", show::provider(&connection)));
            }
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
