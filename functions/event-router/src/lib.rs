//! Routes queued webhooks: archive, decide, write, and the ledger last.
//!
//! A crash at any point brings the message back, and every step may run twice: the archive gains a
//! second copy that nothing points to, the table does not change.

mod apply;
mod batch;
mod config;
mod error;
mod ping;
mod replay;
mod source;
mod work;

pub use self::{
    apply::Applied,
    batch::handle,
    config::{App, Config, Observer},
    error::RouteError,
    replay::replay,
};
