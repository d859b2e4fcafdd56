//! Measurements that need a process of their own: this program, called again.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::Arc,
};

use anyhow::{Context as _, ensure};
use jiff::Timestamp;
use runtime::{metrics::Sink, telemetry};
use store::archive::Archive;

use crate::{
    clock::{compare, count, one_thread},
    cpu::{Kept, handle, intake, route_message},
    report::{Report, number},
    webhooks::{request, sizes},
};

/// Measurement of a child process.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Task {
    /// CPU of the intake's handler with logs on standard output; the answer is on standard error.
    Logged {
        /// The size's name.
        size: String,
    },
    /// Peak memory of the intake for the request in a folder.
    Intake {
        /// Holds `headers.json` and `body`.
        folder: PathBuf,
    },
    /// Peak memory of the router for the message in a folder.
    Route {
        /// Holds `message.json`.
        folder: PathBuf,
    },
}

/// Does what the parent asked for; the answer goes back on standard error.
pub(crate) fn run(task: &Task, now: Timestamp) -> anyhow::Result<String> {
    match task {
        Task::Logged { size } => {
            telemetry::init();
            let sizes = sizes(now);
            let (_, signed) = sizes
                .iter()
                .find(|(name, _)| name == size)
                .context("no such size")?;
            let kept = Arc::new(Kept::default());
            let app = intake(
                &kept,
                Sink::Stdout {
                    namespace: "Terrarium".to_owned(),
                },
            )?;
            let [micros] = compare([handle(&one_thread()?, &app, signed, now)])?;
            Ok(number(micros))
        }
        Task::Intake { folder } => {
            let kept = Arc::new(Kept::default());
            let app = intake(&kept, Sink::Nowhere)?;
            let headers: Vec<(String, String)> =
                serde_json::from_slice(&fs::read(folder.join("headers.json"))?)?;
            let runtime = one_thread()?;
            let before = memory_kb("VmRSS")?;
            let body = fs::read(folder.join("body"))?;
            let response =
                runtime.block_on(webhook_intake::handle(&app, request(&headers, body)?, now));
            ensure!(
                response.status().is_success(),
                "the intake said {}",
                response.status()
            );
            Ok(format!("{before} {}", memory_kb("VmHWM")?))
        }
        Task::Route { folder } => {
            let archive = Archive::memory();
            let before = memory_kb("VmRSS")?;
            let message = fs::read_to_string(folder.join("message.json"))?;
            route_message(&archive, &message, now)?;
            Ok(format!("{before} {}", memory_kb("VmHWM")?))
        }
    }
}

/// A line of this process's status. Unit: KiB.
pub(crate) fn memory_kb(line: &str) -> anyhow::Result<u64> {
    let status = fs::read_to_string("/proc/self/status").context("cannot read the status")?;
    let value = status
        .lines()
        .filter_map(|text| text.split_once(':'))
        .find_map(|(name, value)| (name == line).then(|| value.trim()))
        .with_context(|| format!("the status has no {line}"))?;
    let digits = value.split(' ').next().unwrap_or_default();
    digits
        .parse()
        .with_context(|| format!("{line} is no number"))
}

fn call(arguments: &[&str]) -> anyhow::Result<String> {
    let program = env::current_exe().context("this program cannot be found")?;
    let Output { status, stderr, .. } = Command::new(program)
        .arg("child")
        .args(arguments)
        .stdout(Stdio::null())
        .output()
        .context("cannot start a child")?;
    let answer = String::from_utf8_lossy(&stderr).trim().to_owned();
    ensure!(status.success(), "a child failed: {answer}");
    Ok(answer)
}

/// CPU of the intake's handler with its log line and its metrics. Unit: microseconds.
pub(crate) fn logged_handle(size: &str) -> anyhow::Result<String> {
    call(&["logged", size])
}

/// Prints the table of memory.
pub(crate) fn memory(report: &mut Report, now: Timestamp) -> anyhow::Result<()> {
    report.line("## Peak memory per webhook")?;
    let mut rows = Vec::new();
    for (name, signed) in sizes(now) {
        let folder = tempfile::tempdir().context("no temporary folder")?;
        let body = &signed.webhook.body;
        fs::write(
            folder.path().join("headers.json"),
            serde_json::to_vec(&signed.headers)?,
        )?;
        fs::write(folder.path().join("body"), body)?;
        let kept = Arc::new(Kept::default());
        let app = intake(&kept, Sink::Nowhere)?;
        one_thread()?.block_on(webhook_intake::handle(&app, signed.request()?, now));
        let message = kept.take().context("the intake queued nothing")?;
        fs::write(folder.path().join("message.json"), &message)?;

        let body_kb = count(u64::try_from(body.len())?) / 1024.0;
        let intake = peak("intake", folder.path())?;
        let route = peak("route", folder.path())?;
        rows.push(vec![
            name.to_owned(),
            number(body_kb),
            number(count(u64::try_from(message.len())?) / 1024.0),
            number(intake.0),
            number(intake.1),
            number((intake.1 - intake.0) / body_kb),
            number(route.0),
            number(route.1),
            number((route.1 - route.0) / body_kb),
        ]);
    }
    report.line(
        "KiB. Each in a process of its own that does it once: resident before the webhook is read, \
         peak (VmHWM) after, and the growth in bodies. Route: from the queue's message to the \
         finished segment, without the table. Small bodies grow by code that is paged in.",
    )?;
    report.table(
        &[
            "body",
            "size",
            "message",
            "intake before",
            "peak",
            "bodies",
            "route before",
            "peak",
            "bodies",
        ],
        &rows,
    )?;
    Ok(())
}

/// Resident before and at the peak. Unit: KiB.
fn peak(task: &str, folder: &Path) -> anyhow::Result<(f64, f64)> {
    let folder = folder
        .to_str()
        .context("the temporary folder's path is not UTF-8")?;
    let answer = call(&[task, folder])?;
    let (before, peak) = answer
        .split_once(' ')
        .context("a child gave no two numbers")?;
    Ok((before.parse()?, peak.parse()?))
}
