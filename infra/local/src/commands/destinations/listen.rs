//! `terrarium destinations listen`: a receiver on this machine, with a destination that sends to it.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    sync::Arc,
};

use anyhow::Context as _;
use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    routing::post,
};
use destinations::{
    config::KindName,
    draft::Draft,
    sign::{Secret, Signer},
};
use domain::delivery::{Destination, Subscription};
use models::signature::{SigningSecret, Tolerance, verify};
use secrecy::SecretString;
use serde_json::{Map, Value, json};
use tokio::{net::TcpListener, sync::mpsc};

use super::{
    add::{local_draft, save, tried, types},
    forget, give_order,
};
use crate::{
    cli::{ListenArgs, Place},
    commands::access::{self, Access, now},
    failure, output, text,
};
use domain::delivery::order::{Purpose, Range};

/// One request that came.
struct Arrived {
    headers: HeaderMap,
    body: Bytes,
    standard: bool,
    terra: bool,
}

/// Secrets that the receiver verifies with.
struct Receiver {
    signer: Signer,
    terra: SigningSecret,
    arrived: mpsc::UnboundedSender<Arrived>,
}

pub(super) async fn run(place: &Place, args: &ListenArgs) -> anyhow::Result<()> {
    if access::is_on_aws(place)? {
        return Err(failure::input(
            "a deployment cannot reach this machine: leave --aws out, or add a webhook destination",
        ));
    }
    access::with(place, async |access| {
        if !access.is_at_work() {
            return Err(failure::input(
                "no terrarium runs in this folder: start one with `terrarium dev` first",
            ));
        }
        let mut made = Vec::new();
        let done = listen(access, args, &mut made).await;
        // The destinations of this run go with it.
        for destination in &made {
            forget(access, destination).await?;
        }
        done
    })
    .await
}

async fn listen(
    access: &Access,
    args: &ListenArgs,
    made: &mut Vec<Destination>,
) -> anyhow::Result<()> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, args.port));
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address}"))?;
    let url = format!("http://{}/deliveries", listener.local_addr()?);
    let subscription = Subscription {
        data_types: types(&args.types)?,
        ..Subscription::default()
    };
    let mut config = object(json!({ "url": url, "timeout_s": 5 }));
    if args.terra {
        config.insert("format".to_owned(), json!("terra"));
    }
    let mut draft = local_draft(KindName::Webhook, "listen", config, subscription.clone())?;
    let secret = draft.made_secret.clone().unwrap_or_default();
    let (arrived, mut arrivals) = mpsc::unbounded_channel();
    let receiver = Receiver {
        signer: Signer::new(
            Secret::new(&SecretString::from(secret.as_str()))?,
            None,
            None,
        ),
        terra: SigningSecret::new("listen", &secret).context("the secret is empty")?,
        arrived,
    };
    let app = Router::new()
        .route("/deliveries", post(receive))
        .with_state(Arc::new(receiver));
    let serving = tokio::spawn(axum::serve(listener, app).into_future());

    start(access, &mut draft, made).await?;
    if let Some(folder) = &args.folder {
        let mut draft = in_folder(folder, args.terra, subscription)?;
        start(access, &mut draft, made).await?;
    }
    if !args.json {
        output::line(format!(
            "listening on {url}; Ctrl-C ends it and removes the destination"
        ))?;
    }
    let mut count = 0;
    loop {
        let arrived = tokio::select! {
            arrived = arrivals.recv() => arrived,
            _ = tokio::signal::ctrl_c() => break,
        };
        let Some(arrived) = arrived else { break };
        show(&arrived, args.json)?;
        if !(arrived.standard && arrived.terra) {
            output::complain("a delivery with a wrong signature was refused with 401");
            continue;
        }
        count += 1;
        if args.count.is_some_and(|most| count >= most) {
            break;
        }
    }
    serving.abort();
    if !args.json {
        let what = if count == 1 { "delivery" } else { "deliveries" };
        output::line(format!("{count} {what} received"))?;
    }
    Ok(())
}

/// Tries a destination, saves it, and lets it have what is there.
async fn start(
    access: &Access,
    draft: &mut Draft,
    made: &mut Vec<Destination>,
) -> anyhow::Result<()> {
    let (_, findings) = tried(access, draft).await?;
    super::said(&findings).context("the destination could not be tried")?;
    save(access, draft).await?;
    made.push(draft.destination.clone());
    give_order(
        access,
        &draft.destination,
        Purpose::Backfill,
        Range::default(),
    )
    .await?;
    Ok(())
}

fn in_folder(folder: &Path, terra: bool, subscription: Subscription) -> anyhow::Result<Draft> {
    std::fs::create_dir_all(folder)
        .map_err(|error| failure::input(format!("cannot make {}: {error}", folder.display())))?;
    let folder = folder.canonicalize()?;
    let mut config = object(json!({ "path": folder }));
    if terra {
        config.insert("format".to_owned(), json!("terra"));
        config.insert("layout".to_owned(), json!("terra"));
    }
    local_draft(KindName::Folder, "listen-folder", config, subscription)
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// Takes a delivery whose two signatures verify, and refuses any other.
async fn receive(
    State(receiver): State<Arc<Receiver>>,
    headers: HeaderMap,
    body: Bytes,
) -> StatusCode {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let standard = || {
        let (id, at) = (
            text("webhook-id")?,
            text("webhook-timestamp")?.parse().ok()?,
        );
        let expected = receiver.signer.standard(id, at, &body);
        let mut given = text("webhook-signature")?.split(' ');
        let fresh = now().as_second().abs_diff(at) <= 300;
        Some(fresh && given.any(|given| given == expected))
    };
    let terra = || {
        let header = text("terra-signature")?;
        let secrets = std::slice::from_ref(&receiver.terra);
        let now_s = now().as_second();
        Some(verify(secrets, [header], &body, now_s, Tolerance::default()).is_ok())
    };
    let (standard, terra) = (standard().unwrap_or(false), terra().unwrap_or(false));
    let is_test = serde_json::from_slice::<Value>(&body).is_ok_and(|body| {
        let is = |name: &str, text: &str| body.get(name).is_some_and(|value| value == text);
        is("event", "destination.test") || is("type", "healthcheck")
    });
    if !is_test {
        // The command may be ending.
        drop(receiver.arrived.send(Arrived {
            headers,
            body,
            standard,
            terra,
        }));
    }
    if standard && terra {
        StatusCode::NO_CONTENT
    } else {
        StatusCode::UNAUTHORIZED
    }
}

fn show(arrived: &Arrived, as_json: bool) -> anyhow::Result<()> {
    let header = |name: &str| {
        let value = arrived
            .headers
            .get(name)
            .and_then(|value| value.to_str().ok());
        value.unwrap_or_default()
    };
    let body: Value = serde_json::from_slice(&arrived.body).unwrap_or_default();
    let text_of = |name: &str| {
        let text = body.get(name).and_then(Value::as_str);
        text.unwrap_or_default().to_owned()
    };
    let data_type = match text_of("data_type") {
        empty if empty.is_empty() => text_of("type"),
        data_type => data_type,
    };
    let event = header("terrarium-event");
    if as_json {
        return output::line(json!({
            "event": event, "data_type": data_type, "key": text_of("key"),
            "webhook_id": header("webhook-id"), "cause": header("terrarium-cause"),
            "bytes": arrived.body.len(), "standard_webhooks": arrived.standard, "terra": arrived.terra,
        }));
    }
    let sound = |it: bool| if it { "ok" } else { "WRONG" };
    output::line(format!(
        "{event:<18} {data_type:<12} {key:<28} {cause:<9} {size:>9}  webhook-signature {}  terra-signature {}",
        sound(arrived.standard),
        sound(arrived.terra),
        key = text_of("key").chars().take(28).collect::<String>(),
        cause = header("terrarium-cause"),
        size = text::size(arrived.body.len() as u64),
    ))
}
