//! The API about itself.

use std::future::ready;

use crate::{
    answer::Answer,
    call::Call,
    error::Failure,
    route::{Doc, Endpoint, Reply},
    schema::{Schema as _, answer},
    v1::OPEN,
};

/// The document, as it was built: nothing is made of it at a start.
const DOCUMENT: &[u8] = include_bytes!("../../openapi.json");

pub(super) const ENDPOINTS: &[Endpoint] = &[
    Endpoint::get(
        "/v1/health",
        OPEN,
        Doc {
            summary: "Says that the function runs.",
            text: "Touches nothing: neither the table nor the archive.",
            query: &[],
            body: None,
            answer: Reply::Json(Health::schema),
        },
        |call| Box::pin(ready(health(&call))),
    ),
    Endpoint::get(
        "/v1/openapi.json",
        OPEN,
        Doc {
            summary: "This document.",
            text: "",
            query: &[],
            body: None,
            answer: Reply::Json(serde_json::Value::schema),
        },
        |call| Box::pin(ready(document(&call))),
    )
    .tagged(),
];

answer! {
    /// Sign of life.
    pub(crate) struct Health {
        /// `ok`.
        status: &'static str,
    }
}

fn health(call: &Call) -> Result<Answer, Failure> {
    call.no_query()?;
    Ok(Answer::json(&Health { status: "ok" }).unkept())
}

fn document(call: &Call) -> Result<Answer, Failure> {
    call.no_query()?;
    Ok(Answer::of(DOCUMENT, "application/json").tagged())
}
