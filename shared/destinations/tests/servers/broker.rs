//! A broker that asks for TLS and a password, before librdkafka's mock cluster, which knows neither.
//!
//! Answers `ApiVersions`, `SaslHandshake` and `SaslAuthenticate` itself and passes everything else on:
//! <https://kafka.apache.org/protocol>.

use std::{
    num::NonZeroU32,
    sync::{Arc, Mutex},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ring::{digest, hmac, pbkdf2};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, split},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::TlsAcceptor;

pub(crate) const USER: &str = "terrarium";
pub(crate) const PASSWORD: &str = "correct horse";
/// The name under which the broker advertises itself: as long as the mock's own, which it replaces.
pub(crate) const NAME: &str = "localhost";
const MOCK_NAME: &[u8] = b"127.0.0.1";

const API_VERSIONS: i16 = 18;
const SASL_HANDSHAKE: i16 = 17;
const SASL_AUTHENTICATE: i16 = 36;
const UNSUPPORTED_MECHANISM: i16 = 33;
/// Error 35, and an empty list.
const UNSUPPORTED_VERSION: [u8; 6] = [0, 35, 0, 0, 0, 0];
const AUTHENTICATION_FAILED: i16 = 58;
/// Advertised versions: the key, the lowest and the highest version.
const VERSIONS: [(i16, i16, i16); 7] = [
    (0, 0, 7),
    (1, 0, 11),
    (2, 0, 1),
    (3, 0, 4),
    (SASL_HANDSHAKE, 0, 1),
    (API_VERSIONS, 0, 0),
    (SASL_AUTHENTICATE, 0, 0),
];

/// A broker with one mechanism.
#[derive(Clone)]
pub(crate) struct Broker {
    pub(crate) port: u16,
    mechanism: &'static str,
    mock_port: u16,
    /// Tokens of OAUTHBEARER that came.
    pub(crate) tokens: Arc<Mutex<Vec<String>>>,
}

impl Broker {
    pub(crate) async fn new(
        mechanism: &'static str,
        acceptor: TlsAcceptor,
        mock_port: u16,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let broker = Self {
            port: listener.local_addr().unwrap().port(),
            mechanism,
            mock_port,
            tokens: Arc::default(),
        };
        let serving = broker.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (acceptor, broker) = (acceptor.clone(), serving.clone());
                tokio::spawn(async move {
                    if let Ok(client) = acceptor.accept(client).await {
                        broker.serve(client).await;
                    }
                });
            }
        });
        broker
    }

    /// Serves one connection until it ends, or until a password is wrong.
    async fn serve<S: AsyncRead + AsyncWrite + Send + 'static>(&self, client: S) -> Option<()> {
        let (mut from_client, mut to_client) = split(client);
        let mut scram = None;
        // Before the mock is spoken to, the client has to be known.
        loop {
            let frame = read_frame(&mut from_client).await?;
            let mut request = Reader(&frame);
            let (key, version) = (request.int16()?, request.int16()?);
            let correlation = request.bytes(4)?.to_vec();
            request.string()?;
            let (answer, done) = match key {
                // As Kafka does: of an unknown version it only says that.
                API_VERSIONS if version > 0 => (UNSUPPORTED_VERSION.to_vec(), false),
                API_VERSIONS => (versions(), false),
                SASL_HANDSHAKE => self.handshake(request.string()?),
                SASL_AUTHENTICATE => {
                    let length = usize::try_from(request.int32()?).ok()?;
                    self.authenticate(request.bytes(length)?, &mut scram)
                }
                // Kafka ends the connection of a client that asks for more too early.
                _ => return None,
            };
            write_frame(&mut to_client, &[correlation, answer].concat()).await?;
            if done {
                break;
            }
        }
        let mock = TcpStream::connect(("127.0.0.1", self.mock_port))
            .await
            .ok()?;
        let (mut from_mock, mut to_mock) = mock.into_split();
        let port = self.port;
        let mock_port = self.mock_port;
        let downward = tokio::spawn(async move {
            while let Some(mut frame) = read_frame(&mut from_mock).await {
                rename(&mut frame, mock_port, port);
                if write_frame(&mut to_client, &frame).await.is_none() {
                    break;
                }
            }
        });
        while let Some(frame) = read_frame(&mut from_client).await {
            write_frame(&mut to_mock, &frame).await?;
        }
        downward.abort();
        None
    }

    fn handshake(&self, mechanism: &str) -> (Vec<u8>, bool) {
        let error = if mechanism == self.mechanism {
            0
        } else {
            UNSUPPORTED_MECHANISM
        };
        let mut answer = error.to_be_bytes().to_vec();
        answer.extend(1_i32.to_be_bytes());
        push_string(&mut answer, self.mechanism);
        (answer, false)
    }

    /// Returns the answer, and whether the client is known now.
    fn authenticate(&self, said: &[u8], scram: &mut Option<Scram>) -> (Vec<u8>, bool) {
        let refused = || {
            let mut answer = AUTHENTICATION_FAILED.to_be_bytes().to_vec();
            push_string(&mut answer, "no");
            answer.extend(0_i32.to_be_bytes());
            (answer, false)
        };
        let accepted = |bytes: &[u8], done: bool| {
            let mut answer = 0_i16.to_be_bytes().to_vec();
            answer.extend((-1_i16).to_be_bytes());
            answer.extend(i32::try_from(bytes.len()).unwrap().to_be_bytes());
            answer.extend(bytes);
            (answer, done)
        };
        let text = String::from_utf8(said.to_vec()).unwrap_or_default();
        match self.mechanism {
            "PLAIN" if text == format!("\0{USER}\0{PASSWORD}") => accepted(b"", true),
            "OAUTHBEARER" => match text.strip_prefix("n,,\u{1}auth=Bearer ") {
                Some(token) if token.ends_with("\u{1}\u{1}") => {
                    let token = token.trim_end_matches('\u{1}').to_owned();
                    self.tokens.lock().unwrap().push(token);
                    accepted(b"", true)
                }
                _ => refused(),
            },
            mechanism if mechanism.starts_with("SCRAM") => match scram.take() {
                None => match Scram::begin(mechanism, &text) {
                    Some((begun, challenge)) => {
                        *scram = Some(begun);
                        accepted(challenge.as_bytes(), false)
                    }
                    None => refused(),
                },
                Some(begun) => match begun.end(&text) {
                    Some(signature) => accepted(signature.as_bytes(), true),
                    None => refused(),
                },
            },
            _ => refused(),
        }
    }
}

/// The server's side of SCRAM, RFC 5802.
struct Scram {
    is_512: bool,
    client_first: String,
    server_first: String,
}

const SALT: &[u8] = b"a salt of sixteen";
const ROUNDS: u32 = 4096;

impl Scram {
    fn begin(mechanism: &str, said: &str) -> Option<(Self, String)> {
        let client_first = said.strip_prefix("n,,")?;
        let (user, nonce) = client_first.split_once(",r=")?;
        if user != format!("n={USER}") {
            return None;
        }
        let salt = STANDARD.encode(SALT);
        let server_first = format!("r={nonce}and-ours,s={salt},i={ROUNDS}");
        let begun = Self {
            is_512: mechanism.ends_with("512"),
            client_first: client_first.to_owned(),
            server_first: server_first.clone(),
        };
        Some((begun, server_first))
    }

    fn end(self, said: &str) -> Option<String> {
        let (without_proof, proof) = said.rsplit_once(",p=")?;
        let nonce = self.server_first.split(',').next()?;
        if !without_proof.contains(nonce) {
            return None;
        }
        let (mac, hash, derive) = if self.is_512 {
            (
                hmac::HMAC_SHA512,
                &digest::SHA512,
                pbkdf2::PBKDF2_HMAC_SHA512,
            )
        } else {
            (
                hmac::HMAC_SHA256,
                &digest::SHA256,
                pbkdf2::PBKDF2_HMAC_SHA256,
            )
        };
        let mut salted = vec![0; hash.output_len()];
        let rounds = NonZeroU32::new(ROUNDS)?;
        pbkdf2::derive(derive, rounds, SALT, PASSWORD.as_bytes(), &mut salted);
        let sign = |key: &[u8], text: &[u8]| hmac::sign(&hmac::Key::new(mac, key), text);
        let client_key = sign(&salted, b"Client Key");
        let stored_key = digest::digest(hash, client_key.as_ref());
        let message = format!(
            "{},{},{without_proof}",
            self.client_first, self.server_first
        );
        let signature = sign(stored_key.as_ref(), message.as_bytes());
        let proof = STANDARD.decode(proof).ok()?;
        let key: Vec<u8> = proof
            .iter()
            .zip(signature.as_ref())
            .map(|(p, s)| p ^ s)
            .collect();
        if key != client_key.as_ref() {
            return None;
        }
        let server_key = sign(&salted, b"Server Key");
        let verifier = sign(server_key.as_ref(), message.as_bytes());
        Some(format!("v={}", STANDARD.encode(verifier.as_ref())))
    }
}

fn versions() -> Vec<u8> {
    let mut answer = 0_i16.to_be_bytes().to_vec();
    answer.extend(i32::try_from(VERSIONS.len()).unwrap().to_be_bytes());
    for (key, lowest, highest) in VERSIONS {
        for number in [key, lowest, highest] {
            answer.extend(number.to_be_bytes());
        }
    }
    answer
}

/// Puts our name and port where the mock names itself.
fn rename(frame: &mut [u8], mock_port: u16, port: u16) {
    let place = [MOCK_NAME, &u32::from(mock_port).to_be_bytes()].concat();
    let ours = [NAME.as_bytes(), &u32::from(port).to_be_bytes()].concat();
    let found: Vec<_> = frame
        .windows(place.len())
        .enumerate()
        .filter(|(_, window)| *window == place)
        .map(|(at, _)| at)
        .collect();
    for at in found {
        frame[at..at + ours.len()].copy_from_slice(&ours);
    }
}

fn push_string(into: &mut Vec<u8>, text: &str) {
    into.extend(i16::try_from(text.len()).unwrap().to_be_bytes());
    into.extend(text.as_bytes());
}

async fn read_frame<R: AsyncRead + Unpin>(from: &mut R) -> Option<Vec<u8>> {
    let length = from.read_i32().await.ok()?;
    let mut frame = vec![0; usize::try_from(length).ok()?];
    from.read_exact(&mut frame).await.ok()?;
    Some(frame)
}

async fn write_frame<W: AsyncWrite + Unpin>(to: &mut W, frame: &[u8]) -> Option<()> {
    let length = i32::try_from(frame.len()).ok()?;
    to.write_i32(length).await.ok()?;
    to.write_all(frame).await.ok()?;
    to.flush().await.ok()
}

/// Reads what a request consists of.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn int16(&mut self) -> Option<i16> {
        Some(i16::from_be_bytes(self.bytes(2)?.try_into().ok()?))
    }

    fn int32(&mut self) -> Option<i32> {
        Some(i32::from_be_bytes(self.bytes(4)?.try_into().ok()?))
    }

    fn string(&mut self) -> Option<&'a str> {
        match usize::try_from(self.int16()?) {
            Ok(length) => std::str::from_utf8(self.bytes(length)?).ok(),
            // A negative length is no text.
            Err(_) => Some(""),
        }
    }
}
