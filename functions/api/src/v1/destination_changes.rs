//! Changes of a destination that need none of its secrets: its name, and what it is sent.

use ::destinations::draft::MAX_NAME_CHARS;
use domain::delivery::{Destination, Subscription};
use serde_json::{Map, Value};

use crate::{
    answer::Answer,
    call::Call,
    error::Failure,
    query::refused,
    route::{Doc, Endpoint, Reply},
    schema::{Schema as _, body},
    v1::{ORDERS, destinations, jobs::fault},
};

pub(super) const ENDPOINTS: &[Endpoint] = &[Endpoint::patch(
    "/v1/destinations/{id}",
    ORDERS,
    Doc {
        summary: "Changes the name of a destination, or what it is sent.",
        text: "What is left out stays as it is; a subscription is replaced as a whole. It counts for what changes from then on, a \
               minute later at the latest: `redrive` delivers what the destination lacks, and what it has stays there. \
               Settings and secrets of the kind are changed by `terrarium destinations set`, which tries them first.",
        query: &[],
        body: Some(DestinationPatch::schema),
        answer: Reply::Json(destinations::DestinationDetail::schema),
    },
    |call| Box::pin(change(call)),
)];

body! {
    /// Changes of a destination.
    pub(crate) struct DestinationPatch {
        /// Its name.
        name: Option<String>,
        /// Records that are wanted, in the form in which the destination shows it.
        subscription: Option<Map<String, Value>>,
    }
}

async fn change(call: Call) -> Result<Answer, Failure> {
    call.no_query()?;
    let body: DestinationPatch = call.json()?;
    let mut faults = Vec::new();
    let name = body.name.map(|name| name.trim().to_owned());
    if let Some(name) = &name
        && !(1..=MAX_NAME_CHARS).contains(&name.chars().count())
    {
        let detail = format!("a text of 1 to {MAX_NAME_CHARS} characters");
        faults.push(fault("name", detail));
    }
    let mut subscription = None;
    if let Some(given) = body.subscription {
        match serde_json::from_value::<Subscription>(Value::Object(given)) {
            Ok(read) => subscription = Some(read),
            Err(_) => faults.push(fault(
                "subscription",
                "is not of the form in which GET shows it",
            )),
        }
    }
    if !faults.is_empty() {
        return Err(refused(faults).into());
    }
    let destination = destinations::find(&call).await?;
    let change = move |destination: &mut Destination| {
        if let Some(name) = &name {
            destination.name.clone_from(name);
        }
        if let Some(subscription) = &subscription {
            destination.subscription.clone_from(subscription);
        }
    };
    let table = &call.app.table;
    table.change_destination(&destination.id, change).await?;
    destinations::shown(&call).await
}
