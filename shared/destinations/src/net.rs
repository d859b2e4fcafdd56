//! Addresses that may be connected to, and the one TLS.

use std::{
    error::Error,
    fmt, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
};

use async_trait::async_trait;
pub use domain::delivery::Network;
use rustls::{
    ClientConfig, RootCertStore,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use tokio::time::Instant;

use crate::kind::{Fault, Finding, Unreachable};

/// An address that must not be connected to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Blocked {
    /// The address belongs to this machine or to a range that is no destination of anybody.
    #[error("{0} is no address of a destination: it is {1}")]
    Never(IpAddr, &'static str),
    /// The address is private, and the destination is not.
    #[error("{0} is a private address; an operator can allow it with network = private")]
    Private(IpAddr),
    /// The name is one of a private network.
    #[error(
        "`{0}` is a name of a private network; an operator can allow it with network = private"
    )]
    Name(String),
    /// The port belongs to another service.
    #[error("port {0} is not allowed: 80, 443 and those from 1024 are")]
    Port(u16),
    /// The scheme is not encrypted.
    #[error("the URL has to begin with https://")]
    Scheme,
    /// The URL has no host, or one with user and password.
    #[error("the URL has to name a host, and neither user nor password")]
    Host,
}

/// Finds the addresses of a name.
#[async_trait]
pub trait Resolve: Send + Sync + fmt::Debug {
    /// Every address of `host`.
    ///
    /// # Errors
    ///
    /// Whatever the resolver says.
    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>>;
}

/// The resolver of the operating system.
#[derive(Debug, Clone, Copy)]
pub struct SystemResolver;

#[async_trait]
impl Resolve for SystemResolver {
    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        let found = tokio::net::lookup_host((host, 0)).await?;
        Ok(found.map(|address| address.ip()).collect())
    }
}

/// Finds addresses and lets only allowed ones through.
///
/// The address that was checked is the one that is connected to: a name that changes its answer
/// between a check and a connection reaches nothing.
#[derive(Debug, Clone)]
pub struct Guard {
    network: Network,
    resolver: Arc<dyn Resolve>,
}

impl Guard {
    /// A guard for one destination.
    pub fn new(network: Network, resolver: Arc<dyn Resolve>) -> Self {
        Self { network, resolver }
    }

    /// The addresses that may be used.
    pub fn network(&self) -> Network {
        self.network
    }

    /// Resolves a host, as one step of a probe.
    pub(crate) async fn probe(&self, host: &str) -> Finding {
        let started = Instant::now();
        let resolved = self.addresses(host).await;
        let resolved = resolved.map(|addresses| format!("{} addresses, allowed", addresses.len()));
        Finding::of("resolve", started.elapsed(), resolved)
    }

    /// The allowed addresses of a name or of an address written out.
    ///
    /// # Errors
    ///
    /// [`Fault::Unreachable`] if the name has no address, [`Fault::Misconfigured`] if it has none
    /// that is allowed.
    pub async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, Fault> {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        if let Ok(address) = bare.parse::<IpAddr>() {
            self.check(address).map_err(|error| blocked(&error))?;
            return Ok(vec![address]);
        }
        self.check_name(host).map_err(|error| blocked(&error))?;
        let found = self.resolver.resolve(host).await;
        let found = found.map_err(|_| Fault::unreachable(Unreachable::Dns))?;
        let mut refused = None;
        let mut allowed = Vec::new();
        for address in found {
            match self.check(address) {
                Ok(()) => allowed.push(address),
                Err(error) => refused = Some(error),
            }
        }
        match refused {
            _ if !allowed.is_empty() => Ok(allowed),
            Some(error) => Err(blocked(&error)),
            None => Err(Fault::unreachable(Unreachable::Dns)),
        }
    }

    /// The allowed addresses of a name, with a port.
    ///
    /// # Errors
    ///
    /// Those of [`addresses`](Self::addresses).
    pub async fn socket_addresses(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, Fault> {
        let addresses = self.addresses(host).await?;
        let with_port = addresses.into_iter().map(|ip| SocketAddr::new(ip, port));
        Ok(with_port.collect())
    }

    /// Checks whether an address may be connected to.
    ///
    /// # Errors
    ///
    /// [`Blocked`] says why not.
    pub fn check(&self, address: IpAddr) -> Result<(), Blocked> {
        if self.network == Network::Local {
            return Ok(());
        }
        let unwrapped = unwrap_ipv4(address);
        match range(unwrapped) {
            Range::Public => Ok(()),
            Range::Private if self.network == Network::Private => Ok(()),
            Range::Private => Err(Blocked::Private(address)),
            Range::Never(what) => Err(Blocked::Never(address, what)),
        }
    }

    fn check_name(&self, host: &str) -> Result<(), Blocked> {
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        let is_private = ["internal", "local", "localhost"].iter().any(|top| {
            host.strip_suffix(top)
                .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        });
        match self.network {
            Network::Public if is_private => Err(Blocked::Name(host)),
            Network::Private if host.ends_with("localhost") => Err(Blocked::Name(host)),
            _ => Ok(()),
        }
    }

    /// Checks whether a URL may be called: its scheme, its port, and an address written out. The addresses
    /// of a name are checked when it is resolved.
    ///
    /// # Errors
    ///
    /// [`Blocked`] says why not.
    #[cfg(feature = "http")]
    pub fn check_url(&self, url: &reqwest::Url) -> Result<(), Blocked> {
        let local = self.network == Network::Local;
        if url.scheme() != "https" && !(local && url.scheme() == "http") {
            return Err(Blocked::Scheme);
        }
        let host = url.host_str().ok_or(Blocked::Host)?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Blocked::Host);
        }
        let port = url.port_or_known_default().ok_or(Blocked::Scheme)?;
        if !local && ![80, 443].contains(&port) && port < 1024 {
            return Err(Blocked::Port(port));
        }
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        match bare.parse::<IpAddr>() {
            // An address written out does not pass through the resolver.
            Ok(address) => self.check(address),
            Err(_) => self.check_name(host),
        }
    }
}

fn blocked(error: &Blocked) -> Fault {
    Fault::misconfigured(error.to_string())
}

#[cfg(feature = "http")]
impl reqwest::dns::Resolve for Guard {
    fn resolve(&self, name: reqwest::dns::Name) -> reqwest::dns::Resolving {
        let guard = self.clone();
        Box::pin(async move {
            let addresses = guard.socket_addresses(name.as_str(), 0).await?;
            Ok(Box::new(addresses.into_iter()) as reqwest::dns::Addrs)
        })
    }
}

enum Range {
    Public,
    Private,
    Never(&'static str),
}

/// The IPv4 address within an IPv6 one: mapped (`::ffff:0:0/96`) or compatible (`::/96`).
fn unwrap_ipv4(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(v6) => match v6.segments() {
            [0, 0, 0, 0, 0, 0xffff, high, low] => {
                IpAddr::V4(Ipv4Addr::from((u32::from(high) << 16) | u32::from(low)))
            }
            [0, 0, 0, 0, 0, 0, high, low] if high != 0 => {
                IpAddr::V4(Ipv4Addr::from((u32::from(high) << 16) | u32::from(low)))
            }
            _ => address,
        },
        IpAddr::V4(_) => address,
    }
}

/// The range of an address.
///
/// <https://www.iana.org/assignments/iana-ipv4-special-registry> and its sister for IPv6.
fn range(address: IpAddr) -> Range {
    match address {
        IpAddr::V4(v4) => range_v4(v4),
        IpAddr::V6(v6) => range_v6(v6),
    }
}

fn range_v4(address: Ipv4Addr) -> Range {
    match address.octets() {
        [0, ..] => Range::Never("unspecified"),
        // The runtime of a Lambda function listens on 127.0.0.1:9001.
        [127, ..] => Range::Never("this machine"),
        [169, 254, ..] => Range::Never("link-local"),
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] | [100, 64..=127, ..] => Range::Private,
        [192, 0, 0, _] => Range::Never("for protocols"),
        [192, 88, 99, _] => Range::Never("a relay of 6to4"),
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => Range::Never("for documentation"),
        [198, 18..=19, ..] => Range::Never("for benchmarks"),
        [224..=239, ..] => Range::Never("multicast"),
        [240..=255, ..] => Range::Never("reserved"),
        _ => Range::Public,
    }
}

fn range_v6(address: Ipv6Addr) -> Range {
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] => Range::Never("unspecified"),
        [0, 0, 0, 0, 0, 0, 0, 1] => Range::Never("this machine"),
        [0xfc00..=0xfdff, ..] => Range::Private,
        [0xfe80..=0xfebf, ..] => Range::Never("link-local"),
        [0xfec0..=0xfeff, ..] => Range::Never("site-local"),
        [0xff00..=0xffff, ..] => Range::Never("multicast"),
        [0x64, 0xff9b, ..] => Range::Never("a translation of IPv4"),
        [0x100, 0, 0, 0, ..] => Range::Never("for discarding"),
        [0x2001, 0, ..] => Range::Never("a tunnel of Teredo"),
        [0x2001, 2, 0, ..] => Range::Never("for benchmarks"),
        [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => Range::Never("for documentation"),
        [0x2001, 0..=0x1ff, ..] => Range::Never("for protocols"),
        [0x2002, ..] => Range::Never("a tunnel of 6to4"),
        [0x5f00, ..] => Range::Never("a segment of routing"),
        // The internet is 2000::/3; everything else is reserved.
        [0x2000..=0x3fff, ..] => Range::Public,
        _ => Range::Never("reserved"),
    }
}

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

/// The one HTTP client: checked addresses, no redirects, no proxy.
///
/// # Errors
///
/// [`InvalidTls`] for certificates that cannot be read.
#[cfg(feature = "http")]
pub fn http_client(
    guard: &Guard,
    settings: &Tls,
    timeout: std::time::Duration,
) -> Result<reqwest::Client, InvalidTls> {
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls(settings)?)
        .dns_resolver(Arc::new(guard.clone()))
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .no_proxy()
        .user_agent(USER_AGENT)
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(timeout)
        .build()
        .map_err(|_| InvalidTls::Platform)
}

/// Name of this program in requests.
pub const USER_AGENT: &str = concat!("Terrarium/", env!("CARGO_PKG_VERSION"));

/// Longest time until a connection is there.
pub const CONNECT_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(5);

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

/// Longest wait that an answer can ask for.
#[cfg(any(feature = "webhook", feature = "supabase"))]
const MAX_WAIT: std::time::Duration = std::time::Duration::from_hours(1);

/// The wait that an answer asks for.
#[cfg(any(feature = "webhook", feature = "supabase"))]
pub(crate) fn retry_after(headers: &http::HeaderMap) -> Option<std::time::Duration> {
    let text = headers.get(http::header::RETRY_AFTER)?.to_str().ok()?;
    let seconds = text.trim().parse().ok()?;
    Some(std::time::Duration::from_secs(seconds).min(MAX_WAIT))
}

/// Bytes of an answer that are read at most.
#[cfg(feature = "http")]
const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// Reads the beginning of an answer: a receiver that answers gigabytes is not listened to.
#[cfg(feature = "http")]
pub async fn read_answer(mut response: reqwest::Response) -> Vec<u8> {
    let mut answer = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        let room = MAX_ANSWER_BYTES - answer.len();
        answer.extend(chunk.iter().take(room));
        if answer.len() >= MAX_ANSWER_BYTES {
            break;
        }
    }
    answer
}

/// Bytes of an answer that has to be understood that are read at most.
#[cfg(any(feature = "http", feature = "postgres"))]
pub(crate) const MAX_DOCUMENT_BYTES: usize = 32 * 1024 * 1024;

/// The fault of a server whose answer does not end.
#[cfg(any(feature = "http", feature = "postgres"))]
pub(crate) fn without_end() -> Fault {
    Fault::misconfigured("the server's answer does not end; is the address right?")
}

/// Reads a whole answer that has to be understood.
///
/// # Errors
///
/// [`Fault::Unreachable`] if the answer is cut off, [`Fault::Misconfigured`] if it does not end.
#[cfg(any(feature = "google", feature = "supabase"))]
pub(crate) async fn read_document(mut response: reqwest::Response) -> Result<Vec<u8>, Fault> {
    let mut document = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| http_fault(&error))? {
        if document.len() + chunk.len() > MAX_DOCUMENT_BYTES {
            return Err(without_end());
        }
        document.extend_from_slice(&chunk);
    }
    Ok(document)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Fixed(Vec<IpAddr>);

    #[async_trait]
    impl Resolve for Fixed {
        async fn resolve(&self, _host: &str) -> io::Result<Vec<IpAddr>> {
            Ok(self.0.clone())
        }
    }

    fn guard(network: Network, addresses: &[&str]) -> Guard {
        let addresses = addresses.iter().map(|text| text.parse().unwrap()).collect();
        Guard::new(network, Arc::new(Fixed(addresses)))
    }

    #[test]
    fn addresses_that_are_nobodys_are_refused_whatever_the_operator_allows() {
        for text in [
            "0.0.0.0",
            "0.1.2.3",
            "127.0.0.1",
            "127.255.0.1",
            "169.254.169.254",
            "192.0.0.1",
            "192.0.2.7",
            "192.88.99.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.9",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "64:ff9b::7f00:1",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:2::1",
            "2001:db8::1",
            "3fff::1",
            "2002:7f00:1::1",
            "5f00::1",
            "4000::1",
            "::ffff:127.0.0.1",
            "::127.0.0.1",
            "::ffff:169.254.169.254",
        ] {
            for network in [Network::Public, Network::Private] {
                let refused = guard(network, &[]).check(text.parse().unwrap());
                assert!(matches!(refused, Err(Blocked::Never(..))), "{text}");
            }
        }
    }

    #[test]
    fn private_addresses_need_the_operators_word() {
        for text in [
            "10.0.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "100.64.0.1",
            "100.127.255.255",
            "fc00::1",
            "fdff::1",
            "::ffff:10.0.0.1",
        ] {
            let address = text.parse().unwrap();
            let refused = guard(Network::Public, &[]).check(address);
            assert!(matches!(refused, Err(Blocked::Private(_))), "{text}");
            assert_eq!(
                guard(Network::Private, &[]).check(address),
                Ok(()),
                "{text}"
            );
        }
    }

    #[test]
    fn addresses_of_the_internet_pass() {
        for text in [
            "1.1.1.1",
            "172.15.0.1",
            "172.32.0.1",
            "100.63.0.1",
            "100.128.0.1",
            "192.1.0.1",
            "198.17.0.1",
            "198.20.0.1",
            "2606:4700::1111",
            "2a00::1",
            "::ffff:1.1.1.1",
        ] {
            let checked = guard(Network::Public, &[]).check(text.parse().unwrap());
            assert_eq!(checked, Ok(()), "{text}");
        }
    }

    #[tokio::test]
    async fn of_a_names_addresses_only_the_allowed_ones_are_connected_to() {
        let mixed = guard(Network::Public, &["127.0.0.1", "1.1.1.1"]);
        let allowed = mixed.addresses("receiver.example").await.unwrap();
        assert_eq!(allowed, ["1.1.1.1".parse::<IpAddr>().unwrap()]);
        let inside = guard(Network::Public, &["10.0.0.1"]);
        let fault = inside.addresses("receiver.example").await.unwrap_err();
        assert!(fault.to_string().contains("private address"), "{fault}");
        let nothing = guard(Network::Public, &[]);
        let fault = nothing.addresses("receiver.example").await.unwrap_err();
        assert_eq!(fault, Fault::unreachable(Unreachable::Dns));
    }

    #[cfg(feature = "http")]
    #[test]
    fn urls_are_checked_before_anything_is_sent() {
        let check = |network, text: &str| guard(network, &[]).check_url(&text.parse().unwrap());
        assert_eq!(check(Network::Public, "https://receiver.example/a"), Ok(()));
        assert_eq!(
            check(Network::Public, "https://receiver.example:8443/a"),
            Ok(())
        );
        assert_eq!(
            check(Network::Public, "http://receiver.example/"),
            Err(Blocked::Scheme)
        );
        assert_eq!(
            check(Network::Public, "https://receiver.example:22/"),
            Err(Blocked::Port(22))
        );
        assert_eq!(
            check(Network::Public, "https://u:p@receiver.example/"),
            Err(Blocked::Host)
        );
        for host in [
            "127.0.0.1",
            "[::1]",
            "2130706433",
            "0x7f.1",
            "0177.0.0.1",
            "[::ffff:127.0.0.1]",
            "localhost",
            "a.localhost",
            "a.internal",
            "a.local",
            "A.LOCAL.",
            "169.254.169.254",
        ] {
            let refused = check(Network::Public, &format!("https://{host}/"));
            assert!(refused.is_err(), "{host}");
        }
        assert_eq!(check(Network::Local, "http://127.0.0.1:9/"), Ok(()));
        assert!(check(Network::Private, "https://db.localhost/").is_err());
        assert_eq!(check(Network::Private, "https://db.internal/"), Ok(()));
    }

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
