//! Result of a stretch of a job.

use std::time::Duration;

/// State of a job after a stretch of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Nothing is left to do. The job's item says so.
    Done,
    /// The job goes on after this time. Its item says where.
    Again(Duration),
}
