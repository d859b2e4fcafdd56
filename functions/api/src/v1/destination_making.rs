//! Destinations made, tried and removed. Secrets pass through here once, on their way to their keeper, and are
//! never read back.

use ::destinations::{
    config::{self, Context},
    draft::{self, Backfill, Described, Draft},
};
use domain::{
    access::Scope,
    delivery::{
        Destination, DestinationId, Network, Stream, Subscription,
        probe::{Probe, Step},
    },
};
use http::StatusCode;
use runtime::{
    problem::{Fault, Kind, Problem},
    queue::FifoIds,
    secret_store::SecretStore,
    telemetry::Chain,
};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use store::table::destinations::Health;
use tracing::warn;

use crate::{
    answer::Answer,
    call::Call,
    error::Failure,
    query::refused,
    route::{Audit, Doc, Endpoint, Needs, PersonToken, Reply, Route},
    schema::{Schema as _, answer, body},
    text::rfc3339,
    v1::{
        ORDERS,
        destinations::{self, DestinationDetail, new_id},
        jobs::fault,
    },
};

/// Whoever may make a destination may send everybody's values anywhere, so it takes the right that can give itself
/// any other.
const MAKES: Route = Route {
    scope: Needs::One(Scope::KeysWrite),
    person_token: PersonToken::Never,
    audit: Audit::Change,
};

pub(super) const ENDPOINTS: &[Endpoint] = &[
    Endpoint::post(
        "/v1/destinations",
        MAKES,
        Doc {
            summary: "Makes a destination.",
            text: "The body is what `terrarium destinations add` reads from a file; secrets stand among the settings, and are \
                   never shown again. The destination is `unproven`, and a probe of it is asked for at once: when it \
                   passes, the destination is active and gets what `backfill` says. Private and local addresses are an \
                   operator's decision, and so are folders: `terrarium destinations add` makes those.",
            query: &[],
            body: Some(NewDestination::schema),
            answer: Reply::With(201, MadeDestination::schema),
        },
        |call| Box::pin(make(call)),
    ),
    Endpoint::delete(
        "/v1/destinations/{id}",
        ORDERS,
        Doc {
            summary: "Removes a destination, with its secrets and all that it is owed.",
            text: "What was delivered stays at its far end; the answer says where.",
            query: &[],
            body: None,
            answer: Reply::Json(RemovedDestination::schema),
        },
        |call| Box::pin(remove(call)),
    ),
    Endpoint::post(
        "/v1/destinations/{id}/probe",
        ORDERS,
        Doc {
            summary: "Tries a destination step by step.",
            text: "The result stands on the destination as `probe`, a moment later: each step, and the right that is \
                   missing where one fails.",
            query: &[],
            body: None,
            answer: Reply::With(202, DestinationDetail::schema),
        },
        |call| Box::pin(probe(call)),
    ),
];

body! {
    /// A destination to be made.
    pub(crate) struct NewDestination {
        /// Kind, for example `webhook` or `postgres`.
        kind: String,
        /// Name; the kind's without one.
        name: Option<String>,
        /// Records that are wanted, in the form in which a destination shows it; all without one.
        subscription: Option<Map<String, Value>>,
        /// `records`, or `webhooks` for Terra's own byte for byte.
        stream: Option<String>,
        /// Addresses that it may have: `public`.
        network: Option<String>,
        /// Deliveries side by side, from 1 to 64; what suits the kind without a number.
        concurrency: Option<u32>,
        /// Records that it gets at first: `all`, `none`, or the first day to deliver.
        backfill: Option<String>,
        /// Settings and secrets of the kind.
        config: Option<Map<String, Value>>,
    }
}

answer! {
    /// A destination that was made.
    pub(crate) struct MadeDestination {
        /// The destination.
        destination: DestinationDetail,
        /// Secret that was made for a webhook without one; shown only now.
        secret: Option<String>,
    }

    /// A destination that was removed.
    pub(crate) struct RemovedDestination {
        /// Its id.
        id: String,
        /// Its name.
        name: String,
        /// Data that are still at its far end, and where.
        stays: String,
    }

    /// A trial of a destination.
    pub(crate) struct ProbeShown {
        /// Time at which it was asked for.
        asked_at: String,
        /// Time at which it was done; null while it waits.
        done_at: Option<String>,
        /// True if every step works; null while it waits.
        passed: Option<bool>,
        /// Steps in their order; those of the probe before while it waits.
        steps: Vec<StepShown>,
    }

    /// One step of a trial.
    pub(crate) struct StepShown {
        /// Name of the step, for example `settings`, `connect` or `write`.
        step: String,
        /// `passed`, `warning` or `failed`.
        verdict: &'static str,
        /// Text of the finding.
        text: String,
        /// Right or thing that is missing, as the owner of the destination knows it.
        missing: Option<String>,
        /// Time taken. Unit: milliseconds.
        took_ms: u64,
    }
}

impl ProbeShown {
    pub(super) fn of(probe: &Probe) -> Self {
        let shown = |step: &Step| StepShown {
            step: step.step.clone(),
            verdict: step.verdict.as_str(),
            text: step.text.clone(),
            missing: step.missing.clone(),
            took_ms: step.took_ms,
        };
        Self {
            asked_at: rfc3339(probe.asked_at_ms),
            done_at: probe.done_at_ms.map(rfc3339),
            passed: probe.has_passed(),
            steps: probe.steps.iter().map(shown).collect(),
        }
    }
}

/// Reads a member of the body that has a form of its own; the default where there is none.
fn member<T: DeserializeOwned + Default>(
    name: &str,
    given: Option<Value>,
    right: &str,
    faults: &mut Vec<Fault>,
) -> T {
    let Some(given) = given else {
        return T::default();
    };
    serde_json::from_value(given).unwrap_or_else(|_| {
        faults.push(fault(name, right));
        T::default()
    })
}

/// The description in a body. Notes everything that is wrong with its members.
fn described(body: NewDestination, widest: Network, faults: &mut Vec<Fault>) -> Described {
    let subscription: Subscription = member(
        "subscription",
        body.subscription.map(Value::Object),
        "is not of the form in which GET shows it",
        faults,
    );
    let stream: Stream = member(
        "stream",
        body.stream.map(Value::String),
        "is neither records nor webhooks",
        faults,
    );
    let network: Network = member(
        "network",
        body.network.map(Value::String),
        "is none of public, private, local",
        faults,
    );
    let backfill: Backfill = member(
        "backfill",
        body.backfill.map(Value::String),
        "is neither all nor none nor a day like 2026-11-20",
        faults,
    );
    if network != Network::Public && widest != Network::Local {
        faults.push(fault(
            "network",
            "is wider than a call may ask for: an operator sets it, with `terrarium destinations add`",
        ));
    }
    if body.kind == "folder" {
        faults.push(fault(
            "kind",
            "is a folder of a machine, which only its operator makes: `terrarium destinations add`",
        ));
    }
    Described {
        kind: body.kind,
        name: body.name,
        subscription,
        stream,
        network,
        concurrency: body.concurrency,
        backfill,
        config: body.config.unwrap_or_default(),
    }
}

/// Keeper of secrets; a destination cannot be made or removed without one.
fn keeper(call: &Call) -> Result<&SecretStore, Failure> {
    call.app.destination_secrets.as_ref().ok_or_else(|| {
        let detail =
            "secrets of destinations cannot be kept here: DESTINATION_SECRETS_PREFIX is not set";
        Problem::new(Kind::Unavailable).detail(detail).into()
    })
}

async fn make(call: Call) -> Result<Answer, Failure> {
    call.no_query()?;
    let mut faults = Vec::new();
    let described = described(call.json()?, call.app.widest, &mut faults);
    let network = described.network;
    let id = DestinationId::new(&format!("dst_{}", new_id(&call, "destination")));
    let id = id.map_err(|_| Problem::new(Kind::Internal))?;
    let draft = match Draft::of(described, id, call.origin.at_ms) {
        Ok(draft) => {
            let clock = std::sync::Arc::clone(&call.app.clock);
            let clock = config::Clock::new(move || clock());
            let mut context = Context::of_check(network, clock);
            context.aws.clone_from(&call.app.role);
            faults.extend(draft.wrong().iter().map(|it| fault(&it.field, &it.text)));
            faults.extend(
                draft
                    .problems(context)
                    .iter()
                    .map(|it| fault(&format!("config.{}", it.field), &it.text)),
            );
            Some(draft)
        }
        Err(unknown) => {
            faults.push(fault("kind", unknown.to_string()));
            None
        }
    };
    let draft = match draft {
        Some(draft) if faults.is_empty() => draft,
        _ => return Err(refused(faults).into()),
    };
    save(&call, &draft).await?;
    let destination = destinations::detail(&call, &draft.destination.id).await?;
    let has_secret = draft.made_secret.is_some();
    let made = MadeDestination {
        destination,
        secret: draft.made_secret,
    };
    let answer = Answer::json(&made).status(StatusCode::CREATED);
    Ok(if has_secret { answer.secret() } else { answer })
}

/// Saves a draft: its secrets first, so that nobody finds the destination without them, and its orders before the
/// probe that lets them begin.
async fn save(call: &Call, draft: &Draft) -> Result<(), Failure> {
    let (table, id) = (&call.app.table, &draft.destination.id);
    let keeper = keeper(call)?;
    if !draft.secrets.names().is_empty() {
        keeper.write(id.as_str(), &draft.secrets.to_text()).await?;
    }
    match table.add_destination(&draft.destination).await {
        // `false`: an earlier try of the call made it, and went no further.
        Ok(_) => {}
        Err(error) => {
            // Nobody would ever remove them.
            if let Err(error) = keeper.remove(id.as_str()).await {
                warn!(error = %Chain(&error), "secrets of a destination that was not made are left");
            }
            return Err(error.into());
        }
    }
    let begun = async {
        let mut number = 0;
        let new_id = || {
            number += 1;
            new_id(call, &format!("order {number}"))
        };
        for order in draft.first_orders(new_id) {
            table.add_order(id, order).await?;
        }
        ask(call, id).await
    };
    if let Err(failure) = begun.await {
        // The caller is told that nothing was made, and will make it again.
        if unmake(call, keeper, &draft.destination).await.is_err() {
            warn!(destination = %id, "a destination that was half made is left");
        }
        return Err(failure);
    }
    Ok(())
}

/// Removes a destination: its secrets first, because nothing would lead to them without it.
async fn unmake(
    call: &Call,
    keeper: &SecretStore,
    destination: &Destination,
) -> Result<(), Failure> {
    keeper.remove(destination.id.as_str()).await?;
    let table = &call.app.table;
    Ok(table.remove_destination(destination, call.now_ms()).await?)
}

/// Asks for a probe: a note that the next look finds, and a message so that nobody waits for it.
async fn ask(call: &Call, id: &DestinationId) -> Result<(), Failure> {
    let now_ms = call.now_ms();
    let note = |health: &mut Health| {
        health.probe = Some(Probe::asked(health.probe.take(), now_ms));
    };
    let health = call.app.table.change_health(id, note).await?;
    if let Some(queue) = &call.app.deliveries
        && let Some(probe) = &health.probe
    {
        let (message, deduplication_id) = probe.message(id);
        let ids = FifoIds {
            group_id: message.group(),
            deduplication_id,
        };
        if let Err(error) = queue.send_fifo([(&message, ids)]).await {
            warn!(error = %Chain(&error), "a probe waits for the next look");
        }
    }
    Ok(())
}

async fn probe(call: Call) -> Result<Answer, Failure> {
    call.no_query()?;
    let destination = destinations::find(&call).await?;
    ask(&call, &destination.id).await?;
    let detail = destinations::detail(&call, &destination.id).await?;
    Ok(Answer::json(&detail).status(StatusCode::ACCEPTED))
}

async fn remove(call: Call) -> Result<Answer, Failure> {
    call.no_query()?;
    let destination: Destination = destinations::find(&call).await?;
    let keeper = keeper(&call)?;
    unmake(&call, keeper, &destination).await?;
    Ok(Answer::json(&RemovedDestination {
        id: destination.id.to_string(),
        stays: draft::stays(&destination),
        name: destination.name,
    }))
}
