//! One TLS for the process.

use rustls::crypto::{CryptoProvider, ring};

/// Makes ring the process's cryptography, unless there is one already: without one, reqwest
/// panics when a client is built.
pub(crate) fn install_provider() {
    if CryptoProvider::get_default().is_none() {
        // Refused only if another thread was quicker, which is as good.
        drop(ring::default_provider().install_default());
    }
}
