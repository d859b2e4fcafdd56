//! The pages, each in a file with its actions.

mod access;
mod audit;
mod connections;
mod coverage;
mod days;
mod destinations;
mod event;
mod events;
mod frame;
mod history;
mod manual;
mod overview;
mod people;
mod privacy;
mod records;
mod search;
mod series;
mod sources;
mod why;

use super::Place;

/// Every page and action for those who are signed in.
pub(super) fn places() -> Vec<Place> {
    [
        overview::PLACES,
        people::PLACES,
        connections::PLACES,
        privacy::PLACES,
        events::PLACES,
        event::PLACES,
        days::PLACES,
        why::PLACES,
        coverage::PLACES,
        series::PLACES,
        history::PLACES,
        records::PLACES,
        destinations::PLACES,
        sources::PLACES,
        access::PLACES,
        audit::PLACES,
        manual::PLACES,
        search::PLACES,
        frame::PLACES,
    ]
    .concat()
}
