//! The `terrarium` command as a person uses it.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail like tests"
)]

mod access;
mod destinations;
mod export;
mod history;
mod operator;
mod query;

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Output, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

/// Nothing here takes longer on a slow machine.
const TIMEOUT: Duration = Duration::from_secs(90);

fn terrarium() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_terrarium"));
    for name in [
        "TERRARIUM_DATA",
        "TERRARIUM_URL",
        "SIGNING_SECRETS",
        "WEBHOOK_PATH_TOKEN",
        "TABLE_NAME",
        "ARCHIVE_BUCKET",
        "TERRA_DEV_ID",
        "TERRA_API_KEY",
        "TERRA_API_URL",
        "TERRA_WIDGET_URL",
        "EVENTS_QUEUE_URL",
        "PINGS_QUEUE_URL",
        "BACKFILL_EVENTS_QUEUE_URL",
        "HISTORY_QUEUE_URL",
    ] {
        command.env_remove(name);
    }
    command.stdin(Stdio::null());
    command
}

/// Ends a process that is still there when a test ends.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

impl Running {
    fn wait(&mut self) -> i32 {
        let deadline = Instant::now() + TIMEOUT;
        while Instant::now() < deadline {
            if let Some(status) = self.0.try_wait().unwrap() {
                return status.code().unwrap_or(-1);
            }
            thread::sleep(Duration::from_millis(20));
        }
        panic!("the process did not end in time");
    }
}

/// Runs a command to its end.
fn run(arguments: &[&str]) -> Output {
    run_with(&[], arguments)
}

/// The same, with more variables in its environment.
fn run_with(variables: &[(&str, &str)], arguments: &[&str]) -> Output {
    let mut command = terrarium();
    command.envs(variables.iter().copied());
    let child = command
        .args(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut running = Running(child.unwrap());
    let mut out = running.0.stdout.take().unwrap();
    let mut err = running.0.stderr.take().unwrap();
    let out = thread::spawn(move || {
        let mut bytes = Vec::new();
        out.read_to_end(&mut bytes).map(|_| bytes)
    });
    let err = thread::spawn(move || {
        let mut bytes = Vec::new();
        err.read_to_end(&mut bytes).map(|_| bytes)
    });
    running.wait();
    Output {
        status: running.0.wait().unwrap(),
        stdout: out.join().unwrap().unwrap(),
        stderr: err.join().unwrap().unwrap(),
    }
}

fn ok(arguments: &[&str]) -> String {
    ok_with(&[], arguments)
}

fn ok_with(variables: &[(&str, &str)], arguments: &[&str]) -> String {
    let output = run_with(variables, arguments);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

#[track_caller]
fn refused(arguments: &[&str], code: i32, says: &str) {
    refused_with(&[], arguments, code, says);
}

#[track_caller]
fn refused_with(variables: &[(&str, &str)], arguments: &[&str], code: i32, says: &str) {
    let output = run_with(variables, arguments);
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {errors}");
    assert!(errors.contains("error: "), "{errors}");
    assert!(
        errors.contains(says),
        "{arguments:?} should say `{says}`: {errors}"
    );
    assert!(
        !errors.contains("panicked") && !errors.contains("stack backtrace"),
        "{errors}"
    );
}

/// A system that runs in a folder of its own.
struct Dev {
    process: Running,
    lines: mpsc::Receiver<String>,
    seen: Vec<String>,
}

impl Dev {
    fn start(data: &Path, options: &[&str]) -> Self {
        Self::start_with(&[], data, options)
    }

    /// The same, with more variables in its environment.
    fn start_with(variables: &[(&str, &str)], data: &Path, options: &[&str]) -> Self {
        let child = terrarium()
            .envs(variables.iter().copied())
            .args(["dev", "--plain", "--port", "0", "--data"])
            .arg(data)
            .args(options)
            .stdout(Stdio::piped())
            .spawn();
        let mut process = Running(child.unwrap());
        let out: ChildStdout = process.0.stdout.take().unwrap();
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let mut dev = Self {
            process,
            lines,
            seen: Vec::new(),
        };
        dev.wait_for("Ctrl-C ends it", 1);
        dev
    }

    /// Waits until so many lines have this text.
    fn wait_for(&mut self, text: &str, times: usize) -> String {
        let deadline = Instant::now() + TIMEOUT;
        let mut found = 0;
        while found < times {
            let left = deadline.saturating_duration_since(Instant::now());
            let line = self.lines.recv_timeout(left).unwrap_or_else(|_| {
                panic!(
                    "`{text}` was not printed {times} times:\n{}",
                    self.seen.join("\n")
                )
            });
            found += usize::from(line.contains(text));
            self.seen.push(line);
        }
        self.seen.last().cloned().unwrap()
    }

    /// Waits until a line with this text has been printed, now or before.
    fn wait_for_seen(&mut self, text: &str) {
        if !self.seen.iter().any(|line| line.contains(text)) {
            self.wait_for(text, 1);
        }
    }

    /// Ends it as a service manager does; its last line.
    fn stop(&mut self) -> String {
        let pid = self.process.0.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-TERM", &pid])
                .status()
                .unwrap()
                .success()
        );
        assert_eq!(self.process.wait(), 0);
        self.wait_for("goodbye", 1)
    }
}

fn folder() -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data").to_str().unwrap().to_owned();
    (folder, path)
}

fn body(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, text).unwrap();
    path
}

const NUTRITION: &str = r#"{
  "type": "nutrition",
  "user": {"user_id": "u-1", "provider": "CRONOMETER", "reference_id": "ann", "active": true},
  "data": [
    {"metadata": {"start_time": "2026-07-02T00:00:00+02:00", "end_time": "2026-07-03T00:00:00+02:00"},
     "summary": {"macros": {"calories": 2150.5, "protein_g": 98}}}
  ]
}"#;

#[test]
fn every_help_text_has_examples() {
    for command in [
        &["--help"][..],
        &["dev", "--help"],
        &["send", "--help"],
        &["show", "--help"],
        &["archive", "--help"],
        &["replay", "--help"],
        &["erase", "--help"],
        &["export", "--help"],
        &["connect", "--help"],
        &["connections", "--help"],
        &["coverage", "--help"],
        &["doctor", "--help"],
        &["backfill", "--help"],
        &["backfill", "plan", "--help"],
        &["backfill", "start", "--help"],
        &["backfill", "status", "--help"],
    ] {
        let help = ok(command);
        assert!(help.contains("Examples:\n  "), "{command:?}: {help}");
    }
}

#[test]
fn bad_input_is_refused_with_what_would_be_right() {
    let (folder, data) = folder();
    refused(
        &["show", "--data", &data, "user", "ann"],
        2,
        "there is no data folder",
    );
    refused(&["replay", "--day", "2026-02-30"], 2, "YYYY-MM-DD");
    refused(&["dev", "--rate", "fast"], 2, "a rate is a number");
    refused(&["grow"], 2, "Usage");
    fs::create_dir_all(&data).unwrap();
    let file = body(folder.path(), "body.json", NUTRITION);
    let file = file.to_str().unwrap();
    refused(
        &["send", "--data", &data, "no-such-file.json"],
        2,
        "there is no file",
    );
    refused(&["send", "--data", &data, &data], 2, "no *.json");
    refused(&["send", "--data", &data, file], 2, "no terrarium runs in");
    refused(&["dev", "--data", file], 2, "cannot make the data folder");
    refused(
        &["show", "--data", &data, "record", "u-1", "vibes"],
        2,
        "health_observation",
    );
    refused(
        &["show", "--data", &data, "user", "nobody"],
        3,
        "nothing of a user",
    );
    refused(
        &["show", "--data", &data, "connection", "u-1"],
        3,
        "no connection u-1",
    );
    refused(
        &["show", "--data", &data, "webhook", "w-1"],
        3,
        "no webhook w-1",
    );
    refused(
        &["show", "--data", &data, "request", "r-1"],
        3,
        "no large request",
    );
    refused(
        &["erase", "--data", &data, "--reference-id", "ann"],
        2,
        "--yes",
    );
    refused(
        &["erase", "--data", &data, "--reference-id", "ann", "--yes"],
        3,
        "nothing under",
    );
    let from = [
        "replay",
        "--data",
        &data,
        "--from",
        "2026-07-02",
        "--to",
        "2026-07-01",
    ];
    refused(&from, 2, "is after");
}

#[test]
fn the_whole_system_runs_and_ends_with_totals() {
    let (_folder, data) = folder();
    let mut dev = Dev::start(Path::new(&data), &["--rate", "40", "--people", "3"]);
    dev.wait_for("stored", 30);
    assert!(dev.seen.iter().any(|line| line.contains("/webhooks/terra")));
    refused(&["dev", "--data", &data, "--plain"], 2, "runs in");
    let taken = dev.seen.iter().find_map(|line| {
        let (_, rest) = line.split_once("127.0.0.1:")?;
        Some(rest.split_once('/')?.0.to_owned())
    });
    let other = format!("{data}-other");
    refused(
        &[
            "dev",
            "--data",
            &other,
            "--plain",
            "--port",
            &taken.unwrap(),
        ],
        2,
        "cannot listen on port",
    );

    let user: Value = serde_json::from_str(&ok(&[
        "show",
        "--data",
        &data,
        "user",
        "person-0001",
        "--json",
    ]))
    .unwrap();
    assert!(
        !user["connections"].as_array().unwrap().is_empty(),
        "{user}"
    );
    let goodbye = dev.stop();
    assert!(goodbye.contains("webhooks routed"), "{goodbye}");
    assert!(!Path::new(&data).join("address").exists());

    // The same data, without a running system.
    let table = ok(&["show", "--data", &data, "user", "person-0001"]);
    assert!(table.contains("CRONOMETER"), "{table}");
    let replayed = ok(&["replay", "--data", &data, "--dry-run"]);
    assert!(replayed.contains("nothing would change"), "{replayed}");
}

#[test]
fn the_past_is_fetched_within_the_first_minute_and_shown() {
    let (_folder, data) = folder();
    let mut dev = Dev::start(Path::new(&data), &["--rate", "5", "--people", "1"]);
    let deadline = Instant::now() + Duration::from_mins(1);
    let known = || {
        let person = ["--reference-id", "person-0001", "--json"];
        let shown = run(&[&["coverage", "--data", &data], &person[..]].concat());
        let shown: Value = serde_json::from_slice(&shown.stdout).unwrap_or_default();
        let connections = shown["connections"].as_array().cloned().unwrap_or_default();
        let types = connections
            .iter()
            .filter_map(|connection| connection["types"].as_object())
            .flat_map(|types| types.values());
        let days = types.map(|shown| {
            let count = |state: &str| shown["counts"][state].as_u64().unwrap_or(0);
            count("have") + count("confirmed_empty")
        });
        days.sum::<u64>()
    };
    // Webhooks bring the days of this month at most.
    while known() < 60 {
        assert!(Instant::now() < deadline, "{} days are known", known());
    }
    let compared = ok(&["connections", "reconcile", "--data", &data]);
    assert!(compared.contains("of Terra's pages compared"), "{compared}");
    dev.stop();
}

#[test]
fn a_killed_system_leaves_its_folder_usable() {
    let (_folder, data) = folder();
    let mut dev = Dev::start(Path::new(&data), &["--rate", "40", "--people", "1"]);
    dev.wait_for("stored", 10);
    dev.process.0.kill().unwrap();
    dev.process.wait();
    assert!(Path::new(&data).join("address").exists());
    assert!(ok(&["show", "--data", &data, "user", "person-0001"]).contains("connection"));
    let mut dev = Dev::start(Path::new(&data), &["--no-simulator"]);
    dev.stop();
}

#[test]
fn simulated_webhooks_are_posted_to_any_intake_and_listed() {
    let (folder, data) = folder();
    let mut dev = Dev::start(Path::new(&data), &["--no-simulator"]);
    let address = fs::read_to_string(Path::new(&data).join("address")).unwrap();
    // The same port under a name that only this machine has.
    let address: Value = serde_json::from_str(&address).unwrap();
    let url = address["webhook_url"].as_str().unwrap();
    let url = url.replace("127.0.0.1", "api.execute-api.localhost");
    let manifest = folder.path().join("sent.jsonl");
    let manifest_path = manifest.to_str().unwrap();
    let simulate = [
        "simulate", "--data", &data, "--count", "40", "--people", "1",
    ];
    let arguments = [&simulate[..], &["--url", &url, "--manifest", manifest_path]].concat();
    assert!(ok(&arguments).contains("40 webhooks accepted"));

    let lines = fs::read_to_string(&manifest).unwrap();
    let sent: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(sent.len(), 40);
    for webhook in sent {
        assert_eq!(webhook["status"], 200);
        let id = webhook["webhook_id"].as_str().unwrap();
        let deadline = Instant::now() + TIMEOUT;
        while !run(&["show", "webhook", "--data", &data, id])
            .status
            .success()
        {
            assert!(Instant::now() < deadline, "{id} is never routed");
        }
        let body = ok(&["archive", "cat", "--data", &data, id]);
        assert_eq!(webhook["size_bytes"], body.len());
    }
    let nobody = [&simulate[..], &["--url", "http://127.0.0.1:9/"]].concat();
    refused(&nobody, 1, "nobody listens");
    dev.stop();
}

/// Erases Ann, looks at the receipt, and finds that it cannot be taken back.
fn erase_ann(data: &str) {
    let erased = ok(&["erase", "--data", data, "--reference-id", "ann", "--yes"]);
    assert!(erased.contains("archived webhooks erased"), "{erased}");
    let id = erased.split_whitespace().find(|word| word.len() == 26);
    let id = id.unwrap();
    let receipt = ok(&["erase", "--data", data, "--receipt", id]);
    assert!(
        receipt.contains("The chain of 1 receipt is whole."),
        "{receipt}"
    );
    refused(
        &["erase", "--data", data, "--reference-id", "ann", "--undo"],
        3,
        "taken back",
    );
}

#[test]
fn a_webhook_of_ones_own_is_sent_shown_verified_replayed_and_erased() {
    let (folder, data) = folder();
    let mut dev = Dev::start(Path::new(&data), &["--no-simulator"]);
    let file = body(folder.path(), "bodies/a.json", NUTRITION);
    let broken = body(folder.path(), "bodies/b/broken.json", "no json");
    let bodies = folder.path().join("bodies");
    let sent = ok(&[
        "send",
        "--data",
        &data,
        "--trace-id",
        "w",
        bodies.to_str().unwrap(),
    ]);
    assert!(
        sent.contains("a.json") && sent.contains("broken.json") && sent.contains("200"),
        "{sent}"
    );
    dev.wait_for("the body is not JSON", 1);
    dev.wait_for_seen("CRONOMETER");

    for running in [true, false] {
        if !running {
            let goodbye = dev.stop();
            assert!(goodbye.contains("2 webhooks routed"), "{goodbye}");
        }
        let json = |arguments: &[&str]| -> Value {
            serde_json::from_str(&ok(
                &[&["show", "--data", &data], arguments, &["--json"]].concat()
            ))
            .unwrap()
        };
        let user = json(&["user", "ann"]);
        assert_eq!(user["connections"][0]["records"]["nutrition"], 1);
        let connection = json(&["connection", "u-1"]);
        let id = connection["connection_id"].as_str().unwrap();
        assert_eq!(connection["provider"], "CRONOMETER");
        let record = json(&["record", id, "nutrition", "2026-07-02"]);
        assert_eq!(record["summary"]["calories"], 2150.5);
        assert_eq!(json(&["record", "u-1", "nutrition"])[0], record);
        assert_eq!(json(&["webhook", "w"])["outcome"], "stored");
        assert_eq!(
            json(&["webhooks", "--parked"])[0]["parked"][0]["reason"],
            "not_json"
        );
        let payload = ok(&[
            "show",
            "--data",
            &data,
            "record",
            id,
            "nutrition",
            "2026-07-02",
            "--payload",
        ]);
        assert!(
            NUTRITION.contains(&payload) && payload.starts_with('{'),
            "{payload}"
        );
        assert_eq!(
            ok(&["archive", "cat", "--data", &data, "w"]),
            fs::read_to_string(&file).unwrap()
        );
        assert_eq!(
            ok(&["archive", "cat", "--data", &data, "w-2"]),
            fs::read_to_string(&broken).unwrap()
        );
        let verified = ok(&["archive", "verify", "--data", &data, "w"]);
        assert!(
            verified.contains("verified") && verified.contains("`simulator`"),
            "{verified}"
        );
        let replayed = ok(&[
            "replay",
            "--data",
            &data,
            "--dry-run",
            "--connection",
            "u-1",
        ]);
        assert!(
            replayed.contains("1 webhook, nothing would change"),
            "{replayed}"
        );
    }

    // Under another secret the archived bytes verify no more.
    let secrets = Path::new(&data).join("signing-secrets.json");
    fs::write(&secrets, r#"{"simulator":"another"}"#).unwrap();
    let other = run(&["archive", "verify", "--data", &data, "w"]);
    assert_eq!(other.status.code(), Some(1));

    erase_ann(&data);
    refused(
        &["show", "--data", &data, "user", "ann"],
        3,
        "nothing of a user",
    );
    // The ledger has forgotten it too.
    let cat = ["archive", "cat", "--data", &data, "w"];
    refused(&cat, 3, "there is no webhook w");
}
