//! Our own API, under `/v1`.

mod about;
mod backfills;
mod connect;
pub(crate) mod connections;
mod coverage;
mod day_log;
mod destination_changes;
mod destination_making;
mod destinations;
mod erasures;
mod exports;
mod findings;
mod integrations;
mod jobs;
mod keys;
mod numbers;
mod people;
mod plans;
mod policies;
pub(crate) mod records;
mod replays;
mod series;
mod shapes;
pub(crate) mod webhooks;
mod windows;

use domain::access::{Scope, TokenScope};

use crate::route::{Audit, Endpoint, Needs, PersonToken, Route};

/// Every endpoint under `/v1`.
pub(crate) fn endpoints() -> Vec<Endpoint> {
    [
        about::ENDPOINTS,
        integrations::ENDPOINTS,
        people::ENDPOINTS,
        connections::ENDPOINTS,
        connect::ENDPOINTS,
        records::ENDPOINTS,
        coverage::ENDPOINTS,
        numbers::ENDPOINTS,
        series::ENDPOINTS,
        policies::ENDPOINTS,
        webhooks::ENDPOINTS,
        replays::ENDPOINTS,
        exports::ENDPOINTS,
        erasures::ENDPOINTS,
        findings::ENDPOINTS,
        plans::ENDPOINTS,
        backfills::ENDPOINTS,
        windows::ENDPOINTS,
        destinations::ENDPOINTS,
        destination_changes::ENDPOINTS,
        destination_making::ENDPOINTS,
        keys::ENDPOINTS,
    ]
    .concat()
}

/// A read of health values, which the person may do too.
pub(crate) const READS_A_PERSON: Route = Route {
    scope: Needs::One(Scope::PeopleRead),
    person_token: PersonToken::With(TokenScope::Read),
    audit: Audit::Read,
};

/// A read of who there is and of what is known of their connections, without values.
pub(crate) const READS_ABOUT_A_PERSON: Route = Route {
    scope: Needs::AnyOf(&[Scope::PeopleRead, Scope::OperationsRead]),
    person_token: PersonToken::With(TokenScope::Read),
    audit: Audit::Read,
};

/// A look at how the system does, without values.
const LOOKS: Route = Route {
    scope: Needs::One(Scope::OperationsRead),
    person_token: PersonToken::Never,
    audit: Audit::Nothing,
};

/// An order to the system.
const ORDERS: Route = Route {
    scope: Needs::One(Scope::OperationsWrite),
    person_token: PersonToken::Never,
    audit: Audit::Change,
};

/// Open to anybody.
const OPEN: Route = Route {
    scope: Needs::Nothing,
    person_token: PersonToken::Never,
    audit: Audit::Nothing,
};
