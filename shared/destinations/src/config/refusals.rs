//! Refusals of settings, for tests of the kinds.

use serde_json::Value;

use super::{Clock, Context, Fields, KindName, Refused, Secrets};
use crate::{net::Network, samples};

/// Names of the fields that a kind refuses.
pub(crate) fn refused<T>(
    kind: KindName,
    config: &Value,
    secrets: &Value,
    read: impl FnOnce(Fields<'_>, Context) -> Result<T, Refused>,
) -> Vec<String> {
    let secrets = Secrets::new(secrets.as_object().unwrap().clone());
    let fields = Fields::new(kind, config.as_object().unwrap(), &secrets);
    let clock = Clock::new(samples::now);
    let context = Context::new(samples::DESTINATION, Network::Public, clock);
    let problems = read(fields, context).map_or_else(|refused| refused.problems, |_| Vec::new());
    problems.into_iter().map(|problem| problem.field).collect()
}
