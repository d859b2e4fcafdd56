//! Backfills of a person: planned, and started.

use std::collections::{BTreeMap, BTreeSet};

use domain::history::{
    backfill::Estimate,
    day::{self, Span},
};
use http::StatusCode;
use inspect::backfills::{self, InvalidDays, Limits, Wish, Wished};
use models::{data::DataType, ids::Provider};
use runtime::problem::{Kind, Problem};

use crate::{
    answer::Answer,
    call::Call,
    error::Failure,
    id::to_path,
    query::refused,
    route::{Doc, Endpoint, Reply},
    schema::{Schema as _, answer, body},
    v1::{
        ORDERS,
        jobs::{date, fault},
    },
};

pub(super) const ENDPOINTS: &[Endpoint] = &[Endpoint::post(
    "/v1/people/{person}/backfills",
    ORDERS,
    Doc {
        summary: "Asks Terra for days of a person again, or tells what that would cost.",
        text: "With `dry_run` nothing is started: 200 with the plan. Without, the plan is begun: 202. Each call asks anew, so send \
               an `Idempotency-Key` where it may be repeated. Connections of which nothing can be asked are under `left_out`; when those \
               are all, it is a 409. The past of a new connection is asked for by itself.",
        query: &[],
        body: Some(BackfillBody::schema),
        answer: Reply::AnyOf(&[200, 202], BackfillPlans::schema),
    },
    |call| Box::pin(create(call)),
)];

answer! {
    /// Cost and time of requests to Terra.
    pub(crate) struct BackfillEstimate {
        /// Days, each type for itself.
        days: u64,
        /// Days as Terra counts them.
        requested_days: u64,
        /// Requests to Terra.
        requests: u64,
        /// Calls at the provider.
        provider_calls: u64,
        /// Time by the quotas alone. Unit: hours.
        hours: f64,
        /// Cost on AWS. Unit: US dollars.
        aws_usd: f64,
    }

    /// Days to ask for.
    pub(crate) struct DaysAsked {
        /// First day.
        from: jiff::civil::Date,
        /// Last day, included.
        to: jiff::civil::Date,
    }

    /// A type of a plan.
    pub(crate) struct TypePlan {
        /// Days to ask for.
        days: Vec<DaysAsked>,
        /// Cost and time.
        estimate: BackfillEstimate,
    }

    /// The plan for one connection.
    pub(crate) struct BackfillPlan {
        /// Our id of the connection.
        connection: String,
        /// Its provider, as Terra spells it.
        provider: Option<String>,
        /// Days by type.
        types: BTreeMap<String, TypePlan>,
        /// Cost and time of all types.
        estimate: BackfillEstimate,
        /// Id of the backfill, for paths; null in a dry run.
        backfill: Option<String>,
    }

    /// A connection of which nothing can be asked.
    pub(crate) struct LeftOut {
        /// Our id of the connection.
        connection: String,
        /// Its provider, as Terra spells it.
        provider: Option<String>,
        /// Reason.
        text: String,
    }

    /// Plans for the connections of a person.
    pub(crate) struct BackfillPlans {
        /// The plans.
        plans: Vec<BackfillPlan>,
        /// Connections without one.
        left_out: Vec<LeftOut>,
    }
}

body! {
    /// Days to ask Terra for.
    pub(crate) struct BackfillBody {
        /// First day, a civil date.
        from: String,
        /// Last day, which is included; the latest day on Earth by default.
        to: Option<String>,
        /// Connections to this provider alone, as Terra spells it.
        provider: Option<String>,
        /// Data types; all that the provider has by default.
        types: Option<Vec<String>>,
        /// True if nothing is started.
        dry_run: Option<bool>,
    }
}

impl BackfillEstimate {
    fn of(estimate: Estimate) -> Self {
        let Estimate {
            days,
            requested_days,
            requests,
            provider_calls,
            hours,
            aws_usd,
        } = estimate;
        Self {
            days,
            requested_days,
            requests,
            provider_calls,
            hours,
            aws_usd,
        }
    }
}

impl BackfillPlan {
    fn of(wished: &Wished) -> Self {
        let asked = |span: &Span| DaysAsked {
            from: span.from(),
            to: day::previous(span.until()),
        };
        let types = wished.plan.days.iter().map(|(data_type, spans)| {
            let plan = TypePlan {
                days: spans.iter().map(asked).collect(),
                estimate: BackfillEstimate::of(wished.estimate_of(*data_type)),
            };
            (data_type.to_string(), plan)
        });
        let provider = wished.connection.state.provider();
        Self {
            connection: wished.connection.id.to_string(),
            provider: provider.map(ToString::to_string),
            types: types.collect(),
            estimate: BackfillEstimate::of(wished.estimate()),
            backfill: None,
        }
    }
}

/// The wish in the body, or everything that is wrong with it.
fn wish(call: &Call, body: &BackfillBody) -> Result<(Wish, Option<Provider>), Failure> {
    let mut faults = Vec::new();
    let from = date("from", Some(&body.from), &mut faults);
    let to = date("to", body.to.as_deref(), &mut faults);
    let mut named = BTreeSet::new();
    for text in body.types.iter().flatten() {
        match text.parse::<DataType>() {
            Ok(data_type) if backfills::askable().any(|askable| askable == data_type) => {
                named.insert(data_type);
            }
            _ => {
                let known: Vec<_> = backfills::askable().map(DataType::as_str).collect();
                faults.push(fault("types", format!("there are: {}", known.join(", "))));
            }
        }
    }
    let provider = body.provider.as_deref().map(Provider::new);
    if provider == Some(None) {
        faults.push(fault("provider", "is written as Terra spells it"));
    }
    let mut span = None;
    if let Some(from) = from {
        match backfills::span(Some(from), to, call.origin.at_ms) {
            Ok(found) => span = found,
            Err(error) => {
                let first = matches!(error, InvalidDays::InTheFuture { first: true, .. });
                faults.push(fault(if first { "from" } else { "to" }, error.to_string()));
            }
        }
    }
    if !faults.is_empty() {
        return Err(refused(faults).into());
    }
    let wish = Wish {
        span,
        named,
        supported: BTreeMap::new(),
        limits: Limits::default(),
        // Backfills are known by it.
        now_ms: call.origin.at_ms,
    };
    Ok((wish, provider.flatten()))
}

async fn create(call: Call) -> Result<Answer, Failure> {
    call.no_query()?;
    let body: BackfillBody = call.json()?;
    let (wish, provider) = wish(&call, &body)?;
    let (_, mut connections) = call.connections_of_person().await?;
    if let Some(provider) = &provider {
        let others: Vec<_> = connections
            .iter()
            .filter_map(|connection| connection.state.provider().map(ToString::to_string))
            .collect();
        connections.retain(|connection| connection.state.provider() == Some(provider));
        if connections.is_empty() {
            return Err(Failure::not_found(format!(
                "this person has no connection to that provider; there are: {}",
                others.join(", ")
            )));
        }
    }
    let (mut wished, mut left_out) = (Vec::new(), Vec::new());
    for plan in backfills::plans(&call.app.table, connections, &wish).await? {
        match plan {
            Ok(plan) => wished.push(plan),
            Err((connection, why)) => left_out.push(LeftOut {
                connection: connection.id.to_string(),
                provider: connection.state.provider().map(ToString::to_string),
                text: why.to_string(),
            }),
        }
    }
    if wished.is_empty() {
        let reasons = left_out.iter().map(|left| {
            let provider = left.provider.as_deref().unwrap_or("a connection");
            format!("{provider} {}", left.text)
        });
        let reasons: Vec<_> = reasons.collect();
        let detail = if reasons.is_empty() {
            "this person has no connection".to_owned()
        } else {
            reasons.join("; ")
        };
        return Err(Problem::new(Kind::Conflict).detail(detail).into());
    }
    let is_dry = body.dry_run.unwrap_or_default();
    let mut plans = Vec::new();
    for wished in &wished {
        let mut shown = BackfillPlan::of(wished);
        if !is_dry {
            let planned = call.app.table.plan_backfill(&wished.plan).await?;
            shown.backfill = Some(to_path(planned.backfill.plan.id.as_str()));
        }
        plans.push(shown);
    }
    let status = if is_dry {
        StatusCode::OK
    } else {
        StatusCode::ACCEPTED
    };
    Ok(Answer::json(&BackfillPlans { plans, left_out }).status(status))
}
