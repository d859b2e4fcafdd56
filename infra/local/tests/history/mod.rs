//! The commands about connections and their history.

mod backfill;
mod coverage;
mod doctor;
mod terra;
mod world;
