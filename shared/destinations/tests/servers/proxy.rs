//! A line between a destination and its server that can be cut.

use std::sync::{
    Arc,
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
    down: Arc<AtomicBool>,
    /// Answers that pass before one is cut off after its request was served; 0 cuts none.
    cut_every: Arc<AtomicU64>,
}

impl Proxy {
    /// A line to a server on loopback.
    pub(crate) async fn to(server_port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = Self {
            port: listener.local_addr().unwrap().port(),
            down: Arc::default(),
            cut_every: Arc::default(),
        };
        let line = proxy.clone();
        tokio::spawn(async move {
            let answers = Arc::new(AtomicU64::new(1));
            while let Ok((client, _)) = listener.accept().await {
                if line.down.load(Ordering::SeqCst) {
                    continue;
                }
                let Ok(server) = TcpStream::connect(("127.0.0.1", server_port)).await else {
                    continue;
                };
                tokio::spawn(carry(client, server, line.clone(), Arc::clone(&answers)));
            }
        });
        proxy
    }

    /// Cuts off every n-th answer after its server did what was asked.
    pub(crate) fn cut_every(&self, answers: u64) {
        self.cut_every.store(answers, Ordering::SeqCst);
    }

    /// Refuses everything, or serves again.
    pub(crate) fn set_down(&self, down: bool) {
        self.down.store(down, Ordering::SeqCst);
    }
}

async fn carry(client: TcpStream, server: TcpStream, line: Proxy, answers: Arc<AtomicU64>) {
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
        let every = line.cut_every.load(Ordering::SeqCst);
        let cut = every > 0 && answers.fetch_add(1, Ordering::SeqCst).is_multiple_of(every);
        let down = line.down.load(Ordering::SeqCst);
        if count == 0 || cut || down || to_client.write_all(&bytes[..count]).await.is_err() {
            break;
        }
    }
    upward.abort();
}
