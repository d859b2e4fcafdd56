//! An HTTP client that costs next to nothing: requests are ready-made bytes on a kept connection.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::webhooks::Signed;

/// A connection that stays open.
pub(crate) struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// An answer as it came.
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Time from sending the request until the first byte.
    pub(crate) first_byte: Duration,
    text: String,
}

impl Answer {
    /// A header; its name in small letters.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let head = self.text.split("\r\n\r\n").next()?;
        let lines = head.lines().filter_map(|line| line.split_once(':'));
        let mut found = lines.filter(|(known, _)| known.eq_ignore_ascii_case(name));
        found.next().map(|(_, value)| value.trim())
    }

    pub(crate) fn body(&self) -> &str {
        let parts = self.text.split_once("\r\n\r\n");
        parts.map_or("", |(_, body)| body)
    }
}

/// Host and path of a URL on plain HTTP.
pub(crate) fn split(url: &str) -> anyhow::Result<(String, String)> {
    let rest = url.strip_prefix("http://").context("not a plain URL")?;
    let (host, path) = rest.split_once('/').context("a URL without path")?;
    Ok((host.to_owned(), format!("/{path}")))
}

/// The bytes of a request.
pub(crate) fn bytes_of(signed: &Signed, host: &str, path: &str) -> Vec<u8> {
    let body = &signed.webhook.body;
    let mut head = format!(
        "POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {}\r\n",
        body.len()
    );
    for (name, value) in &signed.headers {
        head.push_str(name);
        head.push_str(": ");
        head.push_str(value);
        head.push_str("\r\n");
    }
    head.push_str("\r\n");
    let mut bytes = head.into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

impl Client {
    pub(crate) async fn connect(host: &str) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(host).await.context("cannot connect")?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            buffer: Vec::with_capacity(1024),
        })
    }

    /// Sends a request and reads its answer to the end. The status.
    pub(crate) async fn send(&mut self, request: &[u8]) -> anyhow::Result<u16> {
        self.exchange(request).await.map(|(status, _)| status)
    }

    /// Sends a request and keeps its answer.
    pub(crate) async fn ask(&mut self, request: &[u8]) -> anyhow::Result<Answer> {
        let (status, first_byte) = self.exchange(request).await?;
        Ok(Answer {
            status,
            first_byte,
            text: String::from_utf8_lossy(&self.buffer).into_owned(),
        })
    }

    /// Sends a request and reads its answer to the end. The status, and the time until the first byte.
    async fn exchange(&mut self, request: &[u8]) -> anyhow::Result<(u16, Duration)> {
        let began = Instant::now();
        let mut first_byte = None;
        self.stream
            .write_all(request)
            .await
            .context("cannot send")?;
        self.buffer.clear();
        loop {
            let read = self
                .stream
                .read_buf(&mut self.buffer)
                .await
                .context("cannot read")?;
            anyhow::ensure!(read > 0, "the connection ended");
            let first_byte = *first_byte.get_or_insert_with(|| began.elapsed());
            if let Some(status) = whole(&self.buffer)? {
                return Ok((status, first_byte));
            }
        }
    }
}

/// The status, once the answer is there to its end.
fn whole(answer: &[u8]) -> anyhow::Result<Option<u16>> {
    let Some(end) = answer.windows(4).position(|four| four == b"\r\n\r\n") else {
        return Ok(None);
    };
    let head = str::from_utf8(answer.get(..end).unwrap_or_default())?;
    let mut lines = head.lines();
    let status = lines
        .next()
        .and_then(|line| line.split(' ').nth(1))
        .context("no status")?;
    let length: usize = lines
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .map_or(Ok(0), |(_, value)| value.trim().parse())?;
    if answer.len() < end + 4 + length {
        return Ok(None);
    }
    Ok(Some(status.parse()?))
}
