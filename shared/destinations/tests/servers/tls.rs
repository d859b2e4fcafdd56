//! TLS as others have it: an authority of our own, and a line to a server that speaks plainly.

use std::{
    io,
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};

use async_trait::async_trait;
use destinations::{
    config::{Clock, Context, KindName, Secrets, open},
    kind::{Kind, Outcome},
    net::{Network, Resolve},
};
use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use secrecy::ExposeSecret as _;
use serde_json::json;
use tokio::{
    io::{AsyncWriteExt as _, copy_bidirectional},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{ServerConfig, pki_types::PrivateKeyDer},
};

use crate::{samples, server};

/// Finds every name on this machine.
#[derive(Debug)]
pub(crate) struct Here;

#[async_trait]
impl Resolve for Here {
    async fn resolve(&self, _host: &str) -> io::Result<Vec<IpAddr>> {
        Ok(vec![Ipv4Addr::LOCALHOST.into()])
    }
}

/// A context in which every name is this machine.
pub(crate) fn context() -> Context {
    let clock = Clock::new(samples::now);
    let mut context = Context::new(samples::DESTINATION, Network::Local, clock);
    context.resolver = Arc::new(Here);
    context
}

/// A certificate authority that nobody knows.
pub(crate) struct Authority {
    pub(crate) pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Self {
            pem: certificate.pem(),
            issuer: Issuer::new(params, key),
        }
    }

    /// A certificate for a name, valid until the first day of a year.
    pub(crate) fn acceptor(&self, name: &str, until: i32) -> TlsAcceptor {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(until, 1, 1);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        destinations::net::install_provider();
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        TlsAcceptor::from(Arc::new(config))
    }

    /// A line with TLS to a server on loopback. Returns its port.
    pub(crate) async fn line(&self, name: &str, until: i32, server_port: u16) -> u16 {
        let acceptor = self.acceptor(name, until);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let Ok(mut client) = acceptor.accept(client).await else {
                        return;
                    };
                    let Ok(mut server) = TcpStream::connect(("127.0.0.1", server_port)).await
                    else {
                        return;
                    };
                    drop(copy_bidirectional(&mut client, &mut server).await);
                    drop(client.shutdown().await);
                });
            }
        });
        port
    }
}

/// Settings of a database with TLS: `db.test` is its name, and it is on this machine.
fn database(kind: KindName, port: u16, name: &str, ca_pem: Option<&str>) -> Box<dyn Kind> {
    let mut config = json!({
        "host": name, "port": port, "database": "tls", "user": "tls_only", "ca_pem": ca_pem,
    });
    if kind == KindName::Postgres {
        config["schema"] = "tls".into();
    }
    let secrets = Secrets::new(json!({"password": "secret"}).as_object().unwrap().clone());
    open(kind, config.as_object().unwrap(), &secrets, context()).unwrap()
}

/// The certificate of the right name is believed, every other is refused with its reason.
async fn certificates_are_verified(kind: KindName, port: u16) {
    let folder = server("TERRARIUM_TEST_TLS");
    let ca = std::fs::read_to_string(format!("{folder}/ca.pem")).unwrap();
    let day = [samples::daily(1, "2026-11-20", 1, 1)];
    let known = database(kind, port, "db.test", Some(&ca));
    let outcomes = known.deliver(&day).await.unwrap();
    assert!(outcomes[0].is_settled(), "{outcomes:?}");
    let unknown = Authority::new().pem;
    for (name, ca, finding) in [
        (
            "other.test",
            Some(&ca),
            "its certificate is for another name",
        ),
        ("db.test", None, "an authority that is not trusted"),
        (
            "db.test",
            Some(&unknown),
            "an authority that is not trusted",
        ),
    ] {
        let database = database(kind, port, name, ca.map(String::as_str));
        let fault = database.deliver(&day).await.unwrap_err();
        assert_eq!(fault.name(), "misconfigured", "{name}: {fault:?}");
        assert!(fault.to_string().contains(finding), "{name}: {fault}");
        let findings = database.probe().await;
        let failed = findings.iter().find(|finding| finding.is_failed()).unwrap();
        assert!(failed.text.contains(finding), "{failed:?}");
    }
}

#[tokio::test]
#[ignore = "needs a server"]
async fn postgres_verifies_the_servers_certificate() {
    let port: u16 = server("TERRARIUM_TEST_POSTGRES").parse().unwrap();
    let text = format!("host=127.0.0.1 port={port} user=postgres");
    let (client, connection) = tokio_postgres::connect(&text, tokio_postgres::NoTls)
        .await
        .unwrap();
    tokio::spawn(connection);
    for statement in [
        "DROP DATABASE IF EXISTS tls WITH (FORCE)",
        "DROP ROLE IF EXISTS tls_only",
        "CREATE ROLE tls_only LOGIN PASSWORD 'secret'",
        "CREATE DATABASE tls OWNER tls_only",
    ] {
        client.batch_execute(statement).await.unwrap();
    }
    certificates_are_verified(KindName::Postgres, port).await;
    // The line is encrypted in truth: the server refuses this user any other.
    let plain = format!("host=127.0.0.1 port={port} user=tls_only password=secret dbname=tls");
    let refused = tokio_postgres::connect(&plain, tokio_postgres::NoTls).await;
    assert_eq!(refused.err().unwrap().code().unwrap().code(), "28000");
}

#[tokio::test]
#[ignore = "needs a server"]
async fn mysql_verifies_the_servers_certificate() {
    let port: u16 = server("TERRARIUM_TEST_MYSQL").parse().unwrap();
    crate::databases::sql(&[
        "DROP DATABASE IF EXISTS tls",
        "CREATE DATABASE tls",
        "CREATE OR REPLACE USER tls_only IDENTIFIED BY 'secret' REQUIRE SSL",
        "GRANT ALL ON tls.* TO tls_only",
    ])
    .await;
    certificates_are_verified(KindName::Mysql, port).await;
}

#[tokio::test]
#[ignore = "needs a server"]
async fn mongodb_verifies_the_servers_certificate() {
    let server_port: u16 = server("TERRARIUM_TEST_MONGODB").parse().unwrap();
    let authority = Authority::new();
    let day = [samples::daily(1, "2026-11-20", 1, 1)];
    let deliver = async |name: &'static str, until: i32, ca_pem: Option<&str>| {
        let port = authority.line(name, until, server_port).await;
        let config = json!({
            "host": "localhost", "port": port, "database": "tls", "direct_connection": true,
            "ca_pem": ca_pem,
        });
        let database = open(
            KindName::Mongodb,
            config.as_object().unwrap(),
            &Secrets::default(),
            context(),
        );
        database.unwrap().deliver(&day).await
    };
    let ca = Some(authority.pem.as_str());
    let outcomes = deliver("localhost", 2100, ca).await.unwrap();
    assert!(outcomes[0].is_settled(), "{outcomes:?}");
    // The driver tries again until its time is over: the three at once.
    let refused = futures::join!(
        deliver("db.test", 2100, ca),
        deliver("localhost", 2021, ca),
        deliver("localhost", 2100, None),
    );
    for (delivered, finding) in [
        (refused.0, "for another name"),
        (refused.1, "has expired"),
        (refused.2, "not trusted"),
    ] {
        let fault = delivered.unwrap_err();
        assert!(fault.to_string().contains(finding), "{fault:?}");
    }
}

#[tokio::test]
async fn a_webhook_verifies_the_receivers_certificate() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server_port = listener.local_addr().unwrap().port();
    let router = axum::Router::new().fallback(async || ());
    tokio::spawn(async move { axum::serve(listener, router).await });
    let authority = Authority::new();
    let secret = json!({"secret": destinations::sign::Secret::generate().expose_secret()});
    let day = [samples::daily(1, "2026-11-20", 1, 1)];
    for (name, until, ca_pem, finding) in [
        ("hook.test", 2100, Some(authority.pem.clone()), None),
        (
            "other.test",
            2100,
            Some(authority.pem.clone()),
            Some("for another name"),
        ),
        (
            "hook.test",
            2021,
            Some(authority.pem.clone()),
            Some("has expired"),
        ),
        ("hook.test", 2100, None, Some("not trusted")),
    ] {
        let port = authority.line(name, until, server_port).await;
        let config = json!({"url": format!("https://hook.test:{port}/"), "ca_pem": ca_pem});
        let secrets = Secrets::new(secret.as_object().unwrap().clone());
        let config = config.as_object().unwrap();
        let webhook = open(KindName::Webhook, config, &secrets, context()).unwrap();
        let delivered = webhook.deliver(&day).await;
        match finding {
            None => assert_eq!(delivered.unwrap(), [Outcome::APPLIED]),
            Some(finding) => {
                let fault = delivered.unwrap_err();
                assert!(fault.to_string().contains(finding), "{fault:?}");
            }
        }
    }
}
