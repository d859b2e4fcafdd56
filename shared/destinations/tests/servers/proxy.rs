//! A line between a destination and its server that can be cut.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

/// A line that passes bytes on.
#[derive(Clone)]
pub(crate) struct Proxy {
    /// Port to connect to.
    pub(crate) port: u16,
    server_port: u16,
    down: Arc<AtomicBool>,
    /// Parts of answers that passed or were cut off.
    answers: Arc<AtomicU64>,
    cut_off: Arc<AtomicU64>,
    cuts: Arc<Mutex<Cuts>>,
}

/// Answers that are cut off after their requests were served.
#[derive(Default)]
struct Cuts {
    /// Answers from one cut to the next, for ever; 0 cuts none.
    every: u64,
    /// Answers that pass before each cut of a series, the next one last.
    gaps: Vec<u64>,
    passed: u64,
}

impl Cuts {
    /// Bytes that still pass of an answer that is cut off; `None` if it passes whole. In a series the cut is
    /// now before an answer, now in the middle of one.
    fn cut_of(&mut self, count: usize) -> Option<usize> {
        self.passed += 1;
        let gap = self.gaps.last().copied();
        let limit = gap.unwrap_or(self.every);
        if limit == 0 || self.passed < limit {
            return None;
        }
        self.passed = 0;
        self.gaps.pop();
        let is_halved = gap.is_some() && self.gaps.len().is_multiple_of(2);
        Some(if is_halved { count / 2 } else { 0 })
    }
}

impl Proxy {
    /// A line to a server on loopback.
    pub(crate) async fn to(server_port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = Self {
            port: listener.local_addr().unwrap().port(),
            server_port,
            down: Arc::default(),
            answers: Arc::default(),
            cut_off: Arc::default(),
            cuts: Arc::default(),
        };
        let line = proxy.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if line.is_down() {
                    continue;
                }
                let Ok(server) = TcpStream::connect(("127.0.0.1", server_port)).await else {
                    continue;
                };
                tokio::spawn(carry(client, server, line.clone()));
            }
        });
        proxy
    }

    /// Cuts off every n-th answer after its server did what was asked.
    pub(crate) fn cut_every(&self, answers: u64) {
        *self.cuts() = Cuts {
            every: answers,
            ..Cuts::default()
        };
    }

    /// Cuts off so many answers, each after more others than the one before: whatever a client has to ask
    /// before it can write, some cuts hit that and some what it writes.
    pub(crate) fn cut_more_and_more_seldom(&self, times: u64) {
        *self.cuts() = Cuts {
            gaps: (1..=times).rev().collect(),
            ..Cuts::default()
        };
    }

    /// Answers that were cut off.
    pub(crate) fn cut_off(&self) -> u64 {
        self.cut_off.load(Ordering::SeqCst)
    }

    /// Parts of answers that came from the server.
    pub(crate) fn answers(&self) -> u64 {
        self.answers.load(Ordering::SeqCst)
    }

    /// Refuses everything, or serves again.
    pub(crate) fn set_down(&self, down: bool) {
        self.down.store(down, Ordering::SeqCst);
    }

    fn is_down(&self) -> bool {
        self.down.load(Ordering::SeqCst)
    }

    fn cuts(&self) -> std::sync::MutexGuard<'_, Cuts> {
        self.cuts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Brokers name the address at which they want to be called: ours takes its place.
    fn rename(&self, answer: &mut [u8]) {
        let named = |port: u16| [b"127.0.0.1".as_slice(), &u32::from(port).to_be_bytes()].concat();
        let (theirs, ours) = (named(self.server_port), named(self.port));
        let mut from = 0;
        while let Some(found) = answer
            .get(from..)
            .and_then(|rest| rest.windows(theirs.len()).position(|part| part == theirs))
        {
            let to = from + found + theirs.len();
            answer[from + found..to].copy_from_slice(&ours);
            from = to;
        }
    }
}

async fn carry(client: TcpStream, server: TcpStream, line: Proxy) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let upward = tokio::spawn(async move {
        let mut bytes = vec![0; 65536];
        while let Ok(count) = from_client.read(&mut bytes).await {
            if count == 0 || to_server.write_all(&bytes[..count]).await.is_err() {
                break;
            }
        }
    });
    let mut bytes = vec![0; 65536];
    while let Ok(count) = from_server.read(&mut bytes).await {
        if count == 0 {
            break;
        }
        line.answers.fetch_add(1, Ordering::SeqCst);
        let answer = &mut bytes[..count];
        line.rename(answer);
        if line.is_down() {
            break;
        }
        let cut = line.cuts().cut_of(count);
        if let Some(part) = cut {
            line.cut_off.fetch_add(1, Ordering::SeqCst);
            drop(to_client.write_all(&bytes[..part]).await);
            break;
        }
        if to_client.write_all(answer).await.is_err() {
            break;
        }
    }
    upward.abort();
}
