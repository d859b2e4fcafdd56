//! The one TLS.

use std::{fmt, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};

/// Certificates beside those that the platform trusts.
#[derive(Clone, Default)]
pub struct Tls {
    /// More roots, as PEM.
    pub ca_pem: Option<String>,
    /// Our own certificate and its key, as PEM.
    pub client: Option<(String, secrecy::SecretString)>,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("ca_pem", &self.ca_pem.is_some())
            .field("client", &self.client.is_some())
            .finish()
    }
}

/// TLS settings that cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTls {
    /// There is no certificate in `ca_pem`.
    #[error("ca_pem holds no certificate in PEM form")]
    Ca,
    /// Certificate and key do not fit.
    #[error("the client certificate and its key are no pair in PEM form")]
    Client,
    /// The platform has no roots.
    #[error("this machine trusts no certificate authority; give ca_pem")]
    Platform,
}

/// Makes ring the process's cryptography, unless there is one already.
pub fn install_provider() {
    if CryptoProvider::get_default().is_none() {
        // Refused only if another thread was quicker, which is as good.
        drop(ring::default_provider().install_default());
    }
}

/// The one TLS configuration: ring, TLS 1.2 and 1.3, certificates always verified.
///
/// # Errors
///
/// [`InvalidTls`] for certificates that cannot be read.
pub fn tls(settings: &Tls) -> Result<ClientConfig, InvalidTls> {
    install_provider();
    let provider = Arc::new(ring::default_provider());
    let extra = match &settings.ca_pem {
        None => Vec::new(),
        Some(pem) => certificates(pem).ok_or(InvalidTls::Ca)?,
    };
    let mut checked = RootCertStore::empty();
    for root in &extra {
        checked.add(root.clone()).map_err(|_| InvalidTls::Ca)?;
    }
    let verifier =
        rustls_platform_verifier::Verifier::new_with_extra_roots(extra, Arc::clone(&provider));
    let verifier = verifier.map_err(|_| InvalidTls::Platform)?;
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|_| InvalidTls::Platform)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let Some((certificate, key)) = &settings.client else {
        return Ok(builder.with_no_client_auth());
    };
    let chain = certificates(certificate).ok_or(InvalidTls::Client)?;
    let key = secrecy::ExposeSecret::expose_secret(key).as_bytes();
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| InvalidTls::Client)?;
    builder
        .with_client_auth_cert(chain, key)
        .map_err(|_| InvalidTls::Client)
}

/// The certificates of a PEM text; `None` if there is none or one cannot be read.
fn certificates(pem: &str) -> Option<Vec<CertificateDer<'static>>> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    found.ok().filter(|certificates| !certificates.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_that_cannot_be_read_are_refused() {
        let with_ca = |pem: &str| {
            tls(&Tls {
                ca_pem: Some(pem.to_owned()),
                client: None,
            })
        };
        assert_eq!(with_ca("hello").err(), Some(InvalidTls::Ca));
        let hollow = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert_eq!(with_ca(hollow).err(), Some(InvalidTls::Ca));
    }
}
