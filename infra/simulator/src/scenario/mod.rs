//! Stories: runs of webhooks in the order in which they arrive.
//!
//! Each function takes the [`World`](crate::World) and gives a short, finished run that a test can
//! send and check; [`Lively`] mixes them without end.

mod connections;
mod data;
mod everything;
mod large_request;
mod lively;
mod pings;

pub use connections::{
    ReauthOrder, came_back, data_before_auth, failing_and_recovered, permissions, reauth_chain,
    reauth_short_users, reauth_without_old, revoked, stray_data,
};
pub use data::{
    diary, newer_then_stale, redelivered, retracted, samples_left_out, scores_nulled, superset_day,
    unusable,
};
pub use everything::every_event;
pub use large_request::{ChunkForm, large_request, large_request_shuffled};
pub use lively::Lively;
pub use pings::ping;
