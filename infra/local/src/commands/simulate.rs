//! `terrarium simulate`: simulated webhooks to any intake.

use std::{
    fs::File,
    io::{BufWriter, Write as _},
};

use anyhow::Context as _;
use futures::{StreamExt as _, stream};
use models::{
    headers::TerraHeaders,
    ids::{WebhookId, hex},
};
use reqwest::{Client, StatusCode, Url};
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use simulator::{Webhook, World, scenario::Lively};

use super::{
    access::{data_dir, now},
    posting::{client, signing_secret, target, why_none},
    send::progress,
    simulation::of_this_run,
};
use crate::{cli::SimulateArgs, failure::Failure, output, text};

/// Posts under way at once: Terra sends side by side too.
const CONCURRENT: usize = 8;

/// A line of the manifest.
#[derive(Serialize)]
struct Sent {
    webhook_id: WebhookId,
    event_type: String,
    sha256: String,
    size_bytes: usize,
    status: Option<u16>,
}

pub(super) async fn run(args: SimulateArgs) -> anyhow::Result<()> {
    let data_dir = data_dir(args.data.as_ref());
    let url = target(args.url.as_deref(), &data_dir)?;
    let (_, secret) = signing_secret(&data_dir, args.secret_name.as_deref()).await?;
    let client = client(&url)?;
    let mut manifest = match &args.manifest {
        Some(path) => {
            let file = File::create(path);
            let file = file.with_context(|| format!("cannot write {}", path.display()))?;
            Some(BufWriter::new(file))
        }
        None => None,
    };

    let start = now();
    let world = World::new(args.seed, usize::from(args.people), start);
    let run = u32::try_from(start.as_second() & 0xffff_ffff).unwrap_or_default();
    let mut lively = Lively::new(world, None);
    let webhooks = std::iter::repeat_with(|| of_this_run(lively.next_at(now()), run));
    let mut posts = stream::iter(webhooks.take(args.count))
        .map(|webhook| post(&client, &url, &secret, webhook))
        .buffer_unordered(CONCURRENT);

    let bar = progress(args.count);
    let mut refused = 0_usize;
    let mut complaint = None;
    while let Some((sent, problem)) = posts.next().await {
        refused += usize::from(problem.is_some());
        complaint = complaint.or(problem);
        if let Some(manifest) = &mut manifest {
            serde_json::to_writer(&mut *manifest, &sent)?;
            writeln!(manifest)?;
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    if let Some(mut manifest) = manifest {
        manifest.flush()?;
    }
    let taken = args.count - refused;
    output::line(format!("{} accepted", text::count(taken, "webhook")))?;
    match complaint {
        None => Ok(()),
        Some(first) => {
            let refused = text::count(refused, "webhook");
            output::complain(&format!("{refused} not accepted; the first: {first}"));
            Err(Failure::AlreadySaid.into())
        }
    }
}

/// One POST, and why it was not accepted if it was not.
async fn post(
    client: &Client,
    url: &Url,
    secret: &str,
    webhook: Webhook,
) -> (Sent, Option<String>) {
    let headers = webhook.signed_headers(secret.as_bytes(), now().as_second());
    let terra = headers
        .iter()
        .map(|(name, value)| (*name, value.as_bytes()));
    let mut sent = Sent {
        webhook_id: WebhookId::of(&TerraHeaders::from_pairs(terra), &webhook.body),
        sha256: hex(&Sha256::digest(&webhook.body)),
        size_bytes: webhook.body.len(),
        event_type: webhook.event_type,
        status: None,
    };
    let request = headers
        .into_iter()
        .fold(client.post(url.clone()), |request, (name, value)| {
            request.header(name, value)
        });
    match request.body(webhook.body).send().await {
        Ok(answer) => {
            let status = answer.status();
            sent.status = Some(status.as_u16());
            let problem = (status != StatusCode::OK).then(|| format!("answered with {status}"));
            (sent, problem)
        }
        Err(error) => (sent, Some(why_none(url, error))),
    }
}
