//! History: what is known of each day of a connection, and how what is missing is asked for.
//!
//! - [`day`]: calendar days, runs of them, and when a day is over for everybody on Earth.
//! - [`asked`]: which days were asked for and came back empty. A [`Join`](crate::Join), by month.
//! - [`coverage`]: *have*, *confirmed empty*, *asked* or *missing*, day by day.
//! - [`reach`]: how far back each provider goes and what it tells in between, from a data file.
//! - [`cut`]: a range of days into requests that stay small.
//! - [`window`]: one request's worth of history, as a state machine.
//! - [`backfill`]: a plan of windows, how far it is, when it is done.
//! - [`outage`]: when our intake took no webhooks.
//! - [`fleet`]: how many connections there are, and how they do.
//! - [`gap`]: what to ask for now, and why a connection has gone quiet.
//!
//! A worker plans a [`Backfill`](backfill::Backfill), takes a due [`Window`](window::Window), asks
//! Terra, applies the result to the window, and notes the days in [`asked`].

pub mod asked;
pub mod backfill;
pub mod coverage;
pub mod cut;
pub mod day;
pub mod fleet;
pub mod gap;
pub mod month;
pub mod outage;
pub mod reach;
pub mod window;
