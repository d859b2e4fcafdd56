//! Addresses that may be connected to.

use std::{
    fmt, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
};

use async_trait::async_trait;
use tokio::time::Instant;

use super::Network;
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
}
