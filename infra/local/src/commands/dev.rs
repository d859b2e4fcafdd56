//! `terrarium dev`: the whole system in one process.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::Context as _;
use domain::console::Role;
use runtime::{
    settings::Settings,
    telemetry::{self, Chain},
};
use store::table::ledger::WebhookEntry;
use terra_client::api;
use tokio::sync::mpsc;

use super::{
    access::{Address, Lock, TerraAddress, data_dir},
    console, keys, secrets,
    simulation::{self, Plan, Simulation},
};
use crate::{
    cli::{DEFAULT_PORT, DevArgs},
    failure, folder,
    history::HistoryOptions,
    output,
    system::{EVENTS_DEAD_LETTERS, EVENTS_QUEUE, Options, PINGS_QUEUE, System},
    text,
    view::{
        self, Shown,
        board::{Board, Gauges},
    },
};

const SUMMARY_EVERY: Duration = Duration::from_secs(10);
/// A system that does not end within this time is left to the operating system; it survives that.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);
const LOG_FILE: &str = "terrarium.log";

/// A running system with its simulator, and what is known of it.
struct Dev {
    system: System,
    simulation: Option<Simulation>,
    /// Board of everything that has been seen.
    board: Arc<Mutex<Board>>,
    /// Folder of all data.
    data_dir: PathBuf,
    /// The key of the API that whoever starts the system may use.
    api_key: String,
    /// Link that signs in to the console, once.
    console: String,
    /// Something to know about this start.
    notes: Vec<String>,
}

pub(super) async fn run(args: DevArgs) -> anyhow::Result<()> {
    let data_dir = data_dir(args.data.as_ref());
    folder::make(&data_dir).map_err(|error| failure::input(Chain(error.as_ref()).to_string()))?;
    let _alone = alone(&data_dir)?;
    let plain = args.plain || !output::is_terminal();
    start_logs(&data_dir)?;
    // Before anything that takes time, so that nobody waits in front of an empty screen.
    output::line(format!(
        "terrarium starts: queues, database and archive in {place}, logs in {place}/{LOG_FILE}\n\
         `terrarium doctor` checks it while it runs",
        place = data_dir.display()
    ))?;
    let stop = stop_signal()?;

    let (lines, mut newest) = mpsc::unbounded_channel();
    let dev = Dev::start(&args, data_dir.clone(), plain.then_some(lines)).await?;
    let shown = if plain {
        print_lines(&dev, &mut newest, stop).await
    } else {
        let shown = Shown {
            table: dev.system.table.clone(),
            board: Arc::clone(&dev.board),
            webhook_url: dev.webhook_url().to_owned(),
            console: dev.console.clone(),
            data_dir: data_dir.clone(),
            tour: dev.tour(),
        };
        view::run(&shown, async || dev.gauges().await, stop).await
    };
    let goodbye = dev.stop(&mut newest).await;
    Address::remove(&data_dir);
    shown?;
    output::line(goodbye)
}

/// Keeps others out of the data folder for as long as it lives.
fn alone(data_dir: &Path) -> anyhow::Result<Lock> {
    if let Some(lock) = Lock::alone(data_dir)? {
        return Ok(lock);
    }
    let place = data_dir.display();
    Err(failure::input(match Address::of_running(data_dir)? {
        Some(running) => format!(
            "a terrarium runs in {place} already, process {}: webhooks go to {}; `--data` starts \
             another one elsewhere",
            running.pid, running.webhook_url,
        ),
        None => format!("another command is at work in {place}: wait for it, or use `--data`"),
    }))
}

impl Dev {
    async fn start(
        args: &DevArgs,
        data_dir: PathBuf,
        lines: Option<mpsc::UnboundedSender<WebhookEntry>>,
    ) -> anyhow::Result<Self> {
        let mut notes = Vec::new();
        let signing_secrets = secrets::load_or_make(&data_dir).await?;
        let mut options = Options::new(&data_dir, signing_secrets);
        options.listen = listen(args.port, &mut notes)?;
        options.public_name.clone_from(&args.public_name);
        let mut settings = Settings::from_env();
        options.path_token = settings.optional_secret("WEBHOOK_PATH_TOKEN", "an unguessable text");
        options.terra_key_opens_api =
            settings.or_default("TERRA_KEY_OPENS_API", "true or false", true);
        settings.finish(|| Some(()))?;

        let board = Arc::new(Mutex::new(Board::new()));
        let seen = Arc::clone(&board);
        let observer = Box::new(move |entry: &WebhookEntry| {
            seen.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .observe(entry);
            if let Some(lines) = &lines {
                // The receiver lives as long as the system.
                drop(lines.send(entry.clone()));
            }
        });
        let place = if args.no_simulator {
            None
        } else {
            Some(simulation::Place::take().await?)
        };
        let (history, terra) = if let Some(place) = &place {
            let api_key = place.api_key.clone();
            let terra = TerraAddress {
                url: place.url.clone(),
                dev_id: simulation::DEV_ID.to_owned(),
                api_key_file: secrets::keep_api_key(&data_dir, &api_key)?,
            };
            let mut settings = api::Settings::new(&terra.dev_id, api_key.into());
            settings.base_url = place.api_url()?;
            options.terra = Some(settings.clone());
            (Some(HistoryOptions::simulated(settings)), Some(terra))
        } else {
            let fetch = super::terra::fetch_settings()?;
            let terra = super::terra::real()?;
            options.terra.clone_from(&terra);
            (terra.map(|terra| HistoryOptions::new(terra, fetch)), None)
        };
        options.history = history;
        let system = System::start(options.clone(), Some(observer)).await?;
        let address = Address {
            webhook_url: system.webhook_url.clone(),
            dynamodb_url: system.dynamodb.url.clone(),
            pid: std::process::id(),
            terra,
        };
        address.write(&data_dir)?;
        let system_table = system.table.clone();

        // Whoever starts the system may do everything with it.
        let began = (options.clock)();
        let root = &system.api_url;
        let console = console::link(&system_table, root, Role::Admin, "operator", began).await?;

        let simulation = match (place, options.signing_secrets.first()) {
            (Some(place), Some((_, secret))) => {
                let plan = Plan {
                    rate: args.rate,
                    seed: args.seed,
                    people: args.people,
                };
                let url = &system.webhook_url;
                let clock = &options.clock;
                Some(Simulation::start(place, plan, url, secret, clock)?)
            }
            _ => None,
        };
        Ok(Self {
            system,
            simulation,
            board,
            api_key: keys::local_key(&data_dir, &system_table).await?,
            console,
            data_dir,
            notes,
        })
    }

    /// Returns the address that webhooks are posted to.
    fn webhook_url(&self) -> &str {
        &self.system.webhook_url
    }

    /// Reads the depths of the queues and the counters of the simulator.
    async fn gauges(&self) -> Gauges {
        let queues = &self.system.queues;
        let depth = async |queue| queues.stats(queue).await.map_or(0, |stats| stats.total());
        Gauges {
            queued: depth(EVENTS_QUEUE).await + depth(PINGS_QUEUE).await,
            dead_letters: depth(EVENTS_DEAD_LETTERS).await,
            simulator: self.simulation.as_ref().map(Simulation::snapshot),
        }
    }

    /// Returns the option that names the data folder in a command: nothing for the default one.
    fn data_option(&self) -> String {
        if self.data_dir == data_dir(None) {
            return String::new();
        }
        format!(" --data {}", self.data_dir.display())
    }

    /// Commands that show what is stored, with what each shows.
    fn tour(&self) -> Vec<(String, &'static str)> {
        let data = self.data_option();
        let key = keys::local_key_file(&self.data_dir);
        let api = &self.system.api_url;
        let curl = |path: &str| {
            let key = key.display();
            format!("curl -H \"x-api-key: $(cat {key})\" {api}/v1/{path}")
        };
        vec![
            (
                format!("terrarium console{data}"),
                "a link that signs in to the console, once",
            ),
            (
                format!("terrarium show user person-0001{data}"),
                "a person's connections and records",
            ),
            (
                format!("terrarium coverage --reference-id person-0001{data}"),
                "each day of their past: had, empty, missing",
            ),
            (
                format!("terrarium parked list{data}"),
                "what could not be used, and why",
            ),
            (
                format!("terrarium send body.json{data}"),
                "post a webhook of your own",
            ),
            (
                format!("terrarium replay --dry-run{data}"),
                "today's code over the archive",
            ),
            (
                format!("terrarium destinations listen{data}"),
                "a receiver here, and records on their way to it",
            ),
            (curl("people"), "the API: who there is"),
            (curl("people/person-0001"), "one person"),
            (
                curl("people/person-0001/connections"),
                "what they are connected to",
            ),
        ]
    }

    /// Stops everything; the line to say goodbye with.
    async fn stop(self, newest: &mut mpsc::UnboundedReceiver<WebhookEntry>) -> String {
        let Self {
            system,
            simulation,
            board,
            data_dir,
            ..
        } = self;
        let sent = match simulation {
            Some(simulation) => {
                let snapshot = simulation.snapshot();
                simulation.stop().await;
                format!(", {} refused", snapshot.refused)
            }
            None => String::new(),
        };
        let stopped = tokio::time::timeout(STOP_TIMEOUT, system.stop())
            .await
            .is_ok();
        newest.close();
        let board = board.lock().unwrap_or_else(PoisonError::into_inner);
        let records = &board.records;
        let unfinished = if stopped {
            ""
        } else {
            " Something was still at work; it will be taken up again."
        };
        format!(
            "goodbye: {} routed ({}), records {} created, {} updated, {} unchanged, {} parked, \
             {} late{sent}. Everything is in {}.{unfinished}",
            text::count(board.routed, "webhook"),
            text::size(board.bytes),
            records.created,
            records.updated,
            records.unchanged,
            board.parked,
            board.late,
            data_dir.display(),
        )
    }
}

/// The address to listen on: an explicit port, or the default one while it is free.
fn listen(port: Option<u16>, notes: &mut Vec<String>) -> anyhow::Result<SocketAddr> {
    let loopback = |port| SocketAddr::from(([127, 0, 0, 1], port));
    let wanted = port.unwrap_or(DEFAULT_PORT);
    match (std::net::TcpListener::bind(loopback(wanted)), port) {
        (Ok(_), _) => Ok(loopback(wanted)),
        (Err(error), Some(port)) => Err(failure::input(format!(
            "cannot listen on port {port}: {error}; --port 0 takes a free one"
        ))),
        (Err(_), None) => {
            notes.push(format!(
                "port {DEFAULT_PORT} is taken, so this is another one"
            ));
            Ok(loopback(0))
        }
    }
}

/// Logs go to a file, as JSON: they never disturb what is shown.
fn start_logs(data_dir: &Path) -> anyhow::Result<()> {
    let path = data_dir.join(LOG_FILE);
    let file = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(&path)
        .with_context(|| format!("cannot write {}", path.display()))?;
    // A condition that failed is everyday work, and the embedded database warns of each.
    telemetry::init_to("info,dynoxide=error", Mutex::new(file));
    Ok(())
}

/// Resolves at Ctrl-C or SIGTERM.
fn stop_signal() -> anyhow::Result<impl Future<Output = ()> + Unpin> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate()).context("cannot watch for signals")?;
        let mut interrupt = signal(SignalKind::interrupt()).context("cannot watch for signals")?;
        Ok(Box::pin(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        }))
    }
    #[cfg(not(unix))]
    {
        Ok(Box::pin(async { drop(tokio::signal::ctrl_c().await) }))
    }
}

/// The plain mode: a banner, then one line per webhook, until told to stop.
async fn print_lines(
    dev: &Dev,
    newest: &mut mpsc::UnboundedReceiver<WebhookEntry>,
    mut stop: impl Future<Output = ()> + Unpin,
) -> anyhow::Result<()> {
    banner(dev)?;
    let start = tokio::time::Instant::now() + SUMMARY_EVERY;
    let mut summary = tokio::time::interval_at(start, SUMMARY_EVERY);
    loop {
        tokio::select! {
            biased;
            () = &mut stop => return Ok(()),
            _ = summary.tick() => output::line(summary_line(dev).await)?,
            Some(entry) = newest.recv() => output::line(webhook_line(&entry))?,
        }
    }
}

fn banner(dev: &Dev) -> anyhow::Result<()> {
    output::line("terrarium is running")?;
    let history = match (&dev.system.history, dev.simulation.is_some()) {
        (Some(_), true) => "asks the simulated Terra for everybody's past",
        (Some(_), false) => "asks Terra, as TERRA_DEV_ID and TERRA_API_KEY say",
        (None, _) => "is off: TERRA_DEV_ID and TERRA_API_KEY are not set",
    };
    let simulator = if dev.simulation.is_some() {
        "sends webhooks as Terra does, a few of them wrong on purpose"
    } else {
        "is off"
    };
    let facts = [
        ("webhooks to", dev.webhook_url().to_owned()),
        ("console", dev.console.clone()),
        ("api", format!("{}/v1", dev.system.api_url)),
        ("api key", dev.api_key.clone()),
        ("data", dev.data_dir.display().to_string()),
        (
            "secrets",
            secrets::file(&dev.data_dir).display().to_string(),
        ),
        ("logs", dev.data_dir.join(LOG_FILE).display().to_string()),
        ("simulator", simulator.to_owned()),
        ("history", history.to_owned()),
    ];
    for (name, value) in facts {
        output::line(format!("  {name:<12} {value}"))?;
    }
    for note in &dev.notes {
        output::line(format!("  {:<12} {note}", "note"))?;
    }
    output::line("look at it:")?;
    let tour = dev.tour();
    let widest = tour
        .iter()
        .map(|(command, _)| command.chars().count())
        .max()
        .unwrap_or(0);
    for (command, shows) in tour {
        output::line(format!("  {command:<widest$}   {shows}"))?;
    }
    output::line("Ctrl-C ends it; times are UTC; + created, ~ updated, = unchanged\n")
}

fn webhook_line(entry: &WebhookEntry) -> String {
    let provider = entry
        .provider
        .as_ref()
        .map_or("-", |provider| provider.as_str());
    let outcome = entry.outcome.as_str();
    let counts = text::counts(&entry.records);
    let took = entry
        .routed_at_ms
        .saturating_sub(entry.received_at_ms)
        .max(0);
    let late = if entry.late { "  late" } else { "" };
    let parked = text::parked(entry)
        .map(|reason| format!("  {reason}"))
        .unwrap_or_default();
    let (provider, event_type) = (text::cut(provider, 14), text::cut(&entry.event_type, 22));
    format!(
        "{}  {provider:<14}  {event_type:<22}  {outcome:<8}  {counts:<12}  {:>8}  {took:>5} ms{late}{parked}",
        text::time(entry.routed_at_ms),
        text::size(entry.size_bytes),
    )
}

async fn summary_line(dev: &Dev) -> String {
    let gauges = dev.gauges().await;
    let mut board = dev.board.lock().unwrap_or_else(PoisonError::into_inner);
    let rate = board.rate_tenths();
    let records = &board.records;
    let simulator = gauges.simulator.map_or_else(String::new, |snapshot| {
        format!(
            ", {} refused, answered in {} ms (p50) and {} ms (p99)",
            snapshot.refused,
            snapshot.latency_p50.as_millis(),
            snapshot.latency_p99.as_millis()
        )
    });
    format!(
        "── {}.{}/s, {} routed, records {} created {} updated {} unchanged, {} parked, {} late, \
         {} queued, {} dead letters{simulator}",
        rate / 10,
        rate % 10,
        board.routed,
        records.created,
        records.updated,
        records.unchanged,
        board.parked,
        board.late,
        gauges.queued,
        gauges.dead_letters,
    )
}
