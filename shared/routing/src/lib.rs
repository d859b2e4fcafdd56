#![doc = include_str!("../README.md")]

mod announce;
mod announcer;
mod applied;
mod apply;
mod error;
mod replay;
mod walk;
mod ways;
mod work;

pub use self::{
    announce::{announce, order_written_since},
    announcer::{Announcer, DESTINATIONS_KEPT},
    applied::{Applied, Told},
    apply::{MAX_INLINE_BYTES, apply},
    error::RouteError,
    replay::{Listed, Replayed, plan_of, replay},
    walk::{
        Choice, Counts, Difference, Progress, ReplayDetail, Totals, Which, replay_range, users_of,
    },
    ways::Ways,
    work::{Archived, Read, Work},
};
