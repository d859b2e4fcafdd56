//! The pages, each in a file with its actions.

mod access;
mod events;
mod frame;
mod manual;
mod overview;
mod people;
mod records;
mod search;

use super::Place;

/// Every page and action for those who are signed in.
pub(super) fn places() -> Vec<Place> {
    [
        overview::PLACES,
        people::PLACES,
        events::PLACES,
        records::PLACES,
        access::PLACES,
        manual::PLACES,
        search::PLACES,
        frame::PLACES,
    ]
    .concat()
}
