//! What Terra says: ids, headers, signature, event envelope, data types.
//!
//! Pure: no I/O, no clock, no randomness. Everything is read leniently, because real deliveries
//! break Terra's own schemas (FACTS section 15), and nothing is lost by it: the exact bytes of each
//! record stay available beside the typed view.

pub mod data;
pub mod event;
pub mod headers;
pub mod ids;
pub mod lenient;
pub mod mend;
pub mod signature;
