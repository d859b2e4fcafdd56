//! CPU time per webhook, beside what cannot be saved.

use std::{
    hint::black_box,
    sync::{Arc, Mutex},
};

use anyhow::{Context as _, ensure};
use async_trait::async_trait;
use domain::{
    message::{Body, EventMessage},
    plan,
    version::ordering_timestamp_ms,
};
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::StatusCode;
use jiff::Timestamp;
use models::{
    event::Event,
    headers::{SIGNATURE_NAMES, TerraHeaders},
    ids::WebhookId,
    signature::{self, Tolerance},
};
use runtime::{
    metrics::Sink,
    queue::{Outgoing, Queue, QueueError, Transport},
};
use serde_json::value::RawValue;
use sha2::Sha256;
use store::{
    archive::{Archive, SegmentBuilder, WebhookHeader},
    parcel,
};
use tokio::runtime::Runtime;
use webhook_intake::App;
use zstd::bulk::Compressor;

use crate::{
    clock::{Subject, compare, count, one_thread, plain, thread_cpu_ns},
    report::{Report, number},
    webhooks::{SECRET, Signed, secrets, sizes},
};

/// Keeps the last message, durable as long as the process.
#[derive(Debug, Default)]
pub(crate) struct Kept(Mutex<Option<String>>);

impl Kept {
    /// The last message.
    pub(crate) fn take(&self) -> Option<String> {
        self.0.lock().ok()?.take()
    }
}

#[async_trait]
impl Transport for Kept {
    fn queue(&self) -> &'static str {
        "events"
    }

    async fn send(&self, messages: Vec<Outgoing>) -> Result<(), QueueError> {
        if let Ok(mut kept) = self.0.lock() {
            *kept = messages.into_iter().next_back().map(|message| message.body);
        }
        Ok(())
    }
}

/// An intake whose queue and archive are memory.
pub(crate) fn intake(kept: &Arc<Kept>, metrics: Sink) -> anyhow::Result<App> {
    Ok(App {
        signing_secrets: secrets()?,
        path_token: None,
        refusals: webhook_intake::Refusals::default(),
        tolerance: Tolerance::default(),
        events: Queue::new(Arc::clone(kept) as Arc<dyn Transport>),
        pings: Queue::new(Arc::clone(kept) as Arc<dyn Transport>),
        archive: Archive::memory(),
        metrics,
    })
}

/// Webhooks that share a segment, as those of one batch do; large ones have their own.
fn batch_of(size_bytes: usize) -> usize {
    if size_bytes > 200_000 { 1 } else { 10 }
}

/// Whole calls of the intake's handler. Requests are made outside of the clock, in groups that stay
/// within a megabyte.
pub(crate) fn handle<'a>(
    runtime: &'a Runtime,
    app: &'a App,
    signed: &'a Signed,
    now: Timestamp,
) -> Subject<'a> {
    Box::new(move |times| {
        let size_bytes = signed.webhook.body.len().max(1);
        let group = u64::try_from((1_000_000 / size_bytes).max(1))?;
        let (mut left, mut took_ns) = (times, 0);
        while left > 0 {
            let requests: Vec<_> = (0..group.min(left))
                .map(|_| signed.request())
                .collect::<anyhow::Result<_>>()?;
            left -= group.min(left);
            let start = thread_cpu_ns()?;
            for request in requests {
                let response = runtime.block_on(webhook_intake::handle(app, request, now));
                ensure!(
                    response.status() == StatusCode::OK,
                    "the intake said {}",
                    response.status()
                );
            }
            took_ns += thread_cpu_ns()?.saturating_sub(start);
        }
        Ok(took_ns)
    })
}

/// Prints both tables.
pub(crate) fn run(report: &mut Report, now: Timestamp) -> anyhow::Result<()> {
    report.line("## CPU per webhook")?;
    let sizes = sizes(now);
    let mut intake_rows = Vec::new();
    let mut route_rows = Vec::new();
    for (name, signed) in &sizes {
        intake_rows.push(intake_row(name, signed, now)?);
        route_rows.push(route_row(name, signed, now)?);
    }
    report.line(
        "Microseconds of CPU of one thread, medians of 7 turns taken in alternation. Pack: verify \
         and pack. Handle: the intake's whole handler, with a queue in memory; with logs: its \
         log line and metrics are written too, to /dev/null. Ratios to HMAC + zstd of the same bytes.",
    )?;
    report.table(
        &[
            "body",
            "bytes",
            "HMAC",
            "zstd -1",
            "zstd -1, one context",
            "pack",
            "ratio",
            "handle",
            "ratio",
            "with logs",
        ],
        &intake_rows,
    )?;
    report.line(
        "Route: read the envelope, plan, append to a segment with one frame per record. Ratio to \
         3 × scan + zstd. Open, beside it: base64 and zstd back from the message.",
    )?;
    report.table(
        &[
            "body", "records", "scan", "zstd -1", "parse", "plan", "append", "route", "ratio",
            "open",
        ],
        &route_rows,
    )?;
    Ok(())
}

fn intake_row(name: &str, signed: &Signed, now: Timestamp) -> anyhow::Result<Vec<String>> {
    let runtime = one_thread()?;
    let body = &signed.webhook.body[..];
    let kept = Arc::new(Kept::default());
    let app = intake(&kept, Sink::Nowhere)?;
    let pairs = signed
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_bytes()));
    let headers = TerraHeaders::from_pairs(pairs);
    let signatures: Vec<_> = headers.signatures().collect();
    ensure!(
        signatures.len() == SIGNATURE_NAMES.len(),
        "a signature is missing"
    );
    let id = WebhookId::of(&headers, body);
    let keyed = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes())?;
    let mut compressor = Compressor::new(1)?;
    let mut room = Vec::with_capacity(zstd::zstd_safe::compress_bound(body.len()));

    let [mac, compress, compress_again, pack, handle] = compare([
        plain(|| {
            let mut mac = keyed.clone();
            mac.update(black_box(body));
            black_box(mac.finalize());
            Ok(())
        }),
        plain(|| {
            black_box(zstd::bulk::compress(black_box(body), 1)?);
            Ok(())
        }),
        plain(|| {
            room.clear();
            compressor.compress_to_buffer(black_box(body), &mut room)?;
            Ok(())
        }),
        plain(|| {
            let values = signatures.iter().copied();
            let seconds = now.as_second();
            let verified = signature::verify(
                &app.signing_secrets,
                values,
                black_box(body),
                seconds,
                app.tolerance,
            )?;
            black_box(runtime.block_on(parcel::pack(
                &app.archive,
                &id,
                verified.as_bytes(),
                now,
            ))?);
            Ok(())
        }),
        handle(&runtime, &app, signed, now),
    ])?;
    let bare = mac + compress;
    Ok(vec![
        name.to_owned(),
        body.len().to_string(),
        number(mac),
        number(compress),
        number(compress_again),
        number(pack),
        number(pack / bare),
        number(handle),
        number(handle / bare),
        crate::child::logged_handle(name)?,
    ])
}

fn route_row(name: &str, signed: &Signed, now: Timestamp) -> anyhow::Result<Vec<String>> {
    let runtime = one_thread()?;
    let body = &signed.webhook.body[..];
    let text = str::from_utf8(body)?;
    let pairs = signed
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_bytes()));
    let headers = TerraHeaders::from_pairs(pairs);
    let id = WebhookId::of(&headers, body);
    let ordering = ordering_timestamp_ms(&headers, Some(now.as_second()), now.as_millisecond());
    let event = Event::parse(body)?;
    let archive = Archive::memory();
    let packed: Body = runtime.block_on(parcel::pack(&archive, &id, body, now))?;
    let size_bytes = u64::try_from(body.len())?;
    let batch = batch_of(body.len());

    let header = |event: &Event<'_>| header(&id, &headers, event, now);
    let append = |segment: &mut SegmentBuilder, event: &Event<'_>| {
        let ranges: Vec<_> = event
            .records
            .iter()
            .map(|record| record.range.clone())
            .collect();
        segment
            .append(header(event), body, &ranges)
            .context("cannot append")
    };
    let mut compressor = Compressor::new(1)?;
    let mut room = Vec::with_capacity(zstd::zstd_safe::compress_bound(body.len()));
    let (mut appended, mut segment) = (0, SegmentBuilder::new());
    let (mut routed, mut routed_into) = (0, SegmentBuilder::new());

    let [scan, compress, parse, planned, archived, route, open] = compare([
        plain(|| {
            black_box(serde_json::from_str::<&RawValue>(black_box(text))?);
            Ok(())
        }),
        plain(|| {
            room.clear();
            compressor.compress_to_buffer(black_box(body), &mut room)?;
            Ok(())
        }),
        plain(|| {
            black_box(Event::parse(black_box(body))?);
            Ok(())
        }),
        plain(|| {
            black_box(plan::plan(black_box(&event), &id, &headers, ordering));
            Ok(())
        }),
        plain(|| {
            black_box(append(&mut segment, &event)?);
            appended += 1;
            if appended % batch == 0 {
                black_box(std::mem::take(&mut segment).finish());
            }
            Ok(())
        }),
        plain(|| {
            let event = Event::parse(black_box(body))?;
            black_box(plan::plan(&event, &id, &headers, ordering));
            black_box(append(&mut routed_into, &event)?);
            routed += 1;
            if routed % batch == 0 {
                black_box(std::mem::take(&mut routed_into).finish());
            }
            Ok(())
        }),
        plain(|| {
            black_box(runtime.block_on(parcel::open(&archive, black_box(&packed), size_bytes))?);
            Ok(())
        }),
    ])?;
    Ok(vec![
        name.to_owned(),
        event.records.len().to_string(),
        number(scan),
        number(compress),
        number(parse),
        number(planned),
        number(archived),
        number(route),
        number(route / (3.0 * scan + compress)),
        number(open),
    ])
}

/// Returns the header that the router writes before a body.
pub(crate) fn header(
    id: &WebhookId,
    headers: &TerraHeaders,
    event: &Event<'_>,
    now: Timestamp,
) -> WebhookHeader {
    WebhookHeader {
        webhook_id: id.as_str().to_owned(),
        event_type: Some(event.event_type.as_str().to_owned()),
        terra_user_ids: plan::terra_user_ids(event)
            .iter()
            .map(ToString::to_string)
            .collect(),
        headers: headers
            .iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
        received_at: now.to_string(),
        signed_at_s: Some(now.as_second()),
        secret_name: Some(crate::webhooks::SECRET_NAME.to_owned()),
        ..WebhookHeader::default()
    }
}

/// The router's work on one message without the table, for the measurement of its memory.
pub(crate) fn route_message(archive: &Archive, json: &str, now: Timestamp) -> anyhow::Result<f64> {
    let runtime = one_thread()?;
    let message: EventMessage = serde_json::from_str(json).context("the message is unreadable")?;
    let body = runtime.block_on(parcel::open(archive, &message.body, message.size_bytes))?;
    let event = Event::parse(&body)?;
    let ordering = ordering_timestamp_ms(
        &message.headers,
        message.signed_at_s,
        message.received_at_ms,
    );
    let plan = plan::plan(&event, &message.webhook_id, &message.headers, ordering);
    let ranges: Vec<_> = event
        .records
        .iter()
        .map(|record| record.range.clone())
        .collect();
    let mut segment = SegmentBuilder::new();
    segment.append(
        header(&message.webhook_id, &message.headers, &event, now),
        &body,
        &ranges,
    )?;
    let bytes = black_box(segment.finish());
    black_box(plan);
    Ok(count(u64::try_from(bytes.len())?))
}
