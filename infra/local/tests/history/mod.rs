//! The commands about connections and their history.

mod coverage;
mod terra;
mod world;
