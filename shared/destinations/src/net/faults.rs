//! Faults behind the errors of a connection.

use std::{error::Error, io};

use crate::kind::{Fault, Unreachable};

/// The fault behind an error of a connection, by the errors that caused it.
pub fn fault_of(error: &(dyn Error + 'static)) -> Fault {
    known_fault(error).unwrap_or_else(|| Fault::unreachable(Unreachable::Network))
}

fn known_fault(error: &(dyn Error + 'static)) -> Option<Fault> {
    let mut next = Some(error);
    while let Some(cause) = next {
        if let Some(fault) = cause.downcast_ref::<Fault>() {
            return Some(fault.clone());
        }
        if let Some(error) = cause.downcast_ref::<rustls::Error>() {
            return Some(tls_fault(error));
        }
        #[cfg(feature = "http")]
        if let Some(error) = cause.downcast_ref::<reqwest::Error>()
            && error.is_timeout()
        {
            return Some(Fault::unreachable(Unreachable::Timeout));
        }
        if let Some(error) = cause.downcast_ref::<io::Error>() {
            // An error of TLS or of our own resolver travels inside an I/O error, or inside one inside
            // another, and not as its source.
            if let Some(fault) = error.get_ref().and_then(|inner| known_fault(inner)) {
                return Some(fault);
            }
            if let Some(part) = part_of(error.kind()) {
                return Some(Fault::unreachable(part));
            }
        }
        next = cause.source();
    }
    None
}

fn part_of(kind: io::ErrorKind) -> Option<Unreachable> {
    match kind {
        io::ErrorKind::ConnectionRefused => Some(Unreachable::Refused),
        io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::UnexpectedEof
        | io::ErrorKind::NotConnected => Some(Unreachable::Reset),
        io::ErrorKind::TimedOut => Some(Unreachable::Timeout),
        io::ErrorKind::HostUnreachable
        | io::ErrorKind::NetworkUnreachable
        | io::ErrorKind::NetworkDown => Some(Unreachable::Network),
        _ => None,
    }
}

fn tls_fault(error: &rustls::Error) -> Fault {
    use rustls::{AlertDescription, CertificateError, Error};
    let finding = match error {
        Error::InvalidCertificate(error) => match error {
            CertificateError::UnknownIssuer => {
                "its certificate comes from an authority that is not trusted here; give the \
                 authority's certificate as ca_pem"
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "its certificate has expired"
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "its certificate is for another name"
            }
            _ => "its certificate is not valid",
        },
        Error::PeerIncompatible(_) | Error::AlertReceived(AlertDescription::HandshakeFailure) => {
            "it offers no cipher of TLS 1.2 ECDHE or TLS 1.3"
        }
        Error::AlertReceived(
            AlertDescription::CertificateRequired
            | AlertDescription::BadCertificate
            | AlertDescription::UnknownCA
            | AlertDescription::CertificateUnknown,
        ) => "it does not accept our client certificate",
        _ => return Fault::unreachable(Unreachable::Tls),
    };
    Fault::misconfigured(finding)
}

/// The fault behind an error of the HTTP client.
#[cfg(feature = "http")]
pub fn http_fault(error: &reqwest::Error) -> Fault {
    match fault_of(error) {
        Fault::Unreachable {
            part: Unreachable::Network,
            ..
        } if error.is_timeout() => Fault::unreachable(Unreachable::Timeout),
        Fault::Unreachable {
            part: Unreachable::Network,
            ..
        } if !error.is_connect() => Fault::unreachable(Unreachable::Reset),
        fault => fault,
    }
}
