//! The line to the server, on which a bounded number of bytes is read in each call.
//!
//! The client believes the length that a server gives a message, up to 2 GB.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::timeout,
};

use crate::{
    kind::{Fault, Unreachable},
    net::{CONNECT_TIMEOUT, MAX_CALL_BYTES, fault_of, without_end},
};

/// Bytes that may still be read in a call.
#[derive(Debug, Clone, Default)]
pub(super) struct Allowance(Arc<AtomicUsize>);

impl Allowance {
    /// Begins a call.
    pub(super) fn renew(&self) {
        self.0.store(MAX_CALL_BYTES, Ordering::Relaxed);
    }
}

/// A connection whose reads are counted.
pub(super) struct Line {
    stream: TcpStream,
    allowance: Allowance,
}

impl Line {
    /// Connects to the first address that answers.
    pub(super) async fn open(
        addresses: &[IpAddr],
        port: u16,
        allowance: Allowance,
    ) -> Result<Self, Fault> {
        let mut fault = Fault::unreachable(Unreachable::Dns);
        for address in addresses {
            let connected = TcpStream::connect(SocketAddr::new(*address, port));
            match timeout(CONNECT_TIMEOUT, connected).await {
                Ok(Ok(stream)) => {
                    // Refused by no system that has TCP; without it a call only takes longer.
                    drop(stream.set_nodelay(true));
                    allowance.renew();
                    return Ok(Self { stream, allowance });
                }
                Ok(Err(error)) => fault = fault_of(&error),
                Err(_) => fault = Fault::unreachable(Unreachable::Timeout),
            }
        }
        Err(fault)
    }
}

impl AsyncRead for Line {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        let count = buffer.filled().len() - before;
        let left = self.allowance.0.load(Ordering::Relaxed);
        match left.checked_sub(count) {
            Some(left) => {
                self.allowance.0.store(left, Ordering::Relaxed);
                read
            }
            None => Poll::Ready(Err(io::Error::other(without_end()))),
        }
    }
}

impl AsyncWrite for Line {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
