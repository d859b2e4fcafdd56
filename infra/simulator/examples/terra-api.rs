//! A stand-in Terra to point a client at: prints where it is, then answers until it is stopped.

use std::{io::Read as _, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use axum::{Router, extract::State, routing::get};
use clap::Parser;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use simulator::{
    Deliverer, DeliverySettings, Postman, Provider, Truth, TruthSettings,
    api::{ApiSettings, Describe, Description, Forms, TerraApi},
};

const DEV_ID: &str = "testing-simulator";
const API_KEY: &str = "simulated-api-key";
const SIGNING_SECRET: &str = "simulated-signing-secret";

/// Everybody connected so long ago.
const CONNECTED: SignedDuration = SignedDuration::from_hours(24 * 28);

const PROVIDERS: [Provider; 7] = [
    Provider::Garmin,
    Provider::Fitbit,
    Provider::Oura,
    Provider::Core,
    Provider::Cronometer,
    Provider::FreestyleLibre,
    Provider::Apple,
];

/// Serves Terra's HTTP API on loopback, over simulated people.
#[derive(Debug, Parser)]
struct Args {
    /// The port; 0 takes a free one.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Seed of the people and their data.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Number of people, each at seven providers.
    #[arg(long, default_value_t = 2)]
    people: u64,
    /// Destination of webhooks; without it none are sent.
    #[arg(long)]
    webhook_url: Option<String>,
    /// Terra's folder: requests are held against the description in it.
    #[arg(long)]
    terra_dir: Option<PathBuf>,
    /// Answers as older texts of Terra have it.
    #[arg(long)]
    former: bool,
    /// Ends when its standard input does, so that it does not outlive who started it.
    #[arg(long)]
    until_stdin_ends: bool,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args = Args::parse();
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", args.port)).await?;
    let address = listener.local_addr()?;
    #[expect(clippy::disallowed_methods, reason = "the only clock")]
    let clock: simulator::Clock = Arc::new(Timestamp::now);
    let now = clock();

    let people = TruthSettings::new(args.seed, args.people, &PROVIDERS, now - CONNECTED);
    let truth = Truth::new(people, Arc::clone(&clock));
    let description = args
        .terra_dir
        .as_deref()
        .map(Description::load)
        .transpose()?;
    let settings = ApiSettings {
        forms: if args.former {
            Forms::Former
        } else {
            Forms::Current
        },
        description: description.map(|description| Arc::new(description) as Arc<dyn Describe>),
        former_calls: true,
        latency: SignedDuration::ZERO,
        ..ApiSettings::new(&format!("http://{address}"), DEV_ID, API_KEY)
    };
    let api = TerraApi::new(truth.clone(), settings);
    if let Some(url) = args.webhook_url {
        let settings = DeliverySettings {
            attempts: 1,
            ..DeliverySettings::new(&url, SIGNING_SECRET.as_bytes())
        };
        let deliverer = Deliverer::new(settings, clock)?;
        let postman = Postman::new(truth.clone(), Some(api.clone()), deliverer, now);
        tokio::spawn(async move {
            let mut every = tokio::time::interval(Duration::from_millis(100));
            loop {
                every.tick().await;
                postman.post_until_now().await;
            }
        });
    }
    introduce(address, &truth);
    let router = api.router().merge(
        Router::new()
            .route("/violations", get(violations))
            .with_state(api),
    );
    let serving = axum::serve(listener, router);
    if args.until_stdin_ends {
        tokio::select! {
            served = serving => served?,
            () = stdin_ends() => {}
        }
    } else {
        serving.await?;
    }
    Ok(())
}

/// One line of JSON: where it is, and what to call it with.
#[expect(clippy::print_stdout, reason = "who starts it reads this")]
fn introduce(address: SocketAddr, truth: &Truth) {
    let users: serde_json::Map<String, Value> = truth
        .connections()
        .into_iter()
        .rev()
        .map(|user| {
            let provider = user.provider.as_str().to_owned();
            (provider, Value::from(user.terra_user_id))
        })
        .collect();
    let reference_id = truth.connections().into_iter().next();
    let line = json!({
        "base_url": format!("http://{address}/api/v2"),
        "former_base_url": format!("http://{address}/v2"),
        "violations_url": format!("http://{address}/violations"),
        "dev_id": DEV_ID,
        "api_key": API_KEY,
        "signing_secret": SIGNING_SECRET,
        "users": users,
        "reference_id": reference_id.map(|connection| connection.reference_id),
    });
    println!("{line}");
}

/// Lists the violations of callers.
async fn violations(State(api): State<TerraApi>) -> String {
    let violations = api.violations().into_iter();
    let texts: Vec<String> = violations
        .map(|violation| format!("{violation:?}"))
        .collect();
    json!(texts).to_string()
}

async fn stdin_ends() {
    let (ended, end) = tokio::sync::oneshot::channel::<()>();
    std::thread::spawn(move || {
        let read = std::io::stdin().read_to_end(&mut Vec::new());
        drop((read, ended));
    });
    // Dropping the sender is the message.
    drop(end.await);
}
