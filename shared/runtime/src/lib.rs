//! What every function needs around its own work: settings, secrets, the AWS SDK set up lean,
//! logs, metrics, HTTP problems, the batch driver, and the queues.
//!
//! Only this crate speaks SQS, and only [`settings`] reads the process environment.

pub mod aws;
pub mod batch;
pub mod metrics;
pub mod problem;
pub mod queue;
pub mod secrets;
pub mod settings;
pub mod telemetry;
