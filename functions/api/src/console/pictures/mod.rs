//! Pictures as SVG: pure functions of their data, with classes and attributes only, because the pages' policy
//! forbids styles inside them.

mod sparkline;
mod strip;

pub use self::{
    sparkline::{Point, Sparkline, sparkline},
    strip::{Bucket, OUTCOMES, Strip, strip},
};
