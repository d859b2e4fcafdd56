//! History: connections that stay true, gaps that are found and filled.
//!
//! | job | by | does |
//! |---|---|---|
//! | [`Work`](domain::message::HistoryMessage::Work) | schedule | asks Terra for the windows that are due |
//! | [`Reconcile`](domain::message::HistoryMessage::Reconcile) | schedule, operator | our connections against Terra's list |
//! | [`FindGaps`](domain::message::HistoryMessage::FindGaps) | schedule | days that are missing, connections gone quiet |
//! | [`Connected`](domain::message::HistoryMessage::Connected) | router, reconcile | the first backfill |
//! | [`PayloadLost`](domain::message::HistoryMessage::PayloadLost) | router | asks again for the days of a payload that could not be fetched |
//! | [`RequestAdvanced`](domain::message::HistoryMessage::RequestAdvanced) | router | answers that come as webhooks |
//!
//! What is fetched goes to the backfill lane of the events queue exactly as a webhook would: one
//! road into the table. A crash at any point leaves a window that says where it stood.

mod answer;
mod at_hand;
mod config;
mod connected;
mod done;
mod error;
mod fetch;
mod gaps;
mod handler;
mod lost;
mod pace;
mod reconcile;
mod requests;
mod window;
mod work;

pub use self::{
    config::{App, Clock, Config, TRUST_EMPTY_AFTER, terra_client},
    connected::Supported,
    error::HistoryError,
    fetch::{FetchSettings, FetchVia, InvalidFetchVia},
    handler::{Deadline, Trigger, handle, run},
    work::{Worked, work},
};
