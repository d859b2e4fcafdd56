//! Everything that the function serves: the API and the console.

use std::sync::Arc;

use axum::Router;

use crate::{config::App, console, serve};

/// The routes of the API and of the console, without an answer for other paths: see
/// [`nothing_here`](crate::nothing_here).
pub fn router(app: &Arc<App>) -> Router {
    serve::router(app).merge(console::router(app))
}
