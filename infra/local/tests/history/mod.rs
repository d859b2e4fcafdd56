//! The commands about connections and their history.

mod backfill;
mod coverage;
mod terra;
mod world;
