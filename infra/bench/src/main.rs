#![doc = include_str!("../README.md")]

mod child;
mod client;
mod clock;
mod console;
mod cpu;
mod deliveries;
mod lambda;
mod report;
mod throughput;
mod units;
mod webhooks;

use std::{
    io::{self, Write as _},
    path::PathBuf,
};

use clap::{Parser, Subcommand};
use jiff::Timestamp;

use crate::report::Report;

/// Measures what a webhook costs and prints Markdown tables. Build it with `--release`.
///
/// Bodies come from the simulator, the same on every run but for the day.
///
/// cpu: thread CPU time (/proc/thread-self/schedstat) of the intake and of the router's work
/// outside of the table, in alternation with HMAC-SHA256, zstd level 1 and one JSON scan of the
/// same bytes. memory: peak resident size of a process that takes, or routes, one webhook.
/// throughput: 64 clients on kept connections post small webhooks to the whole local system for
/// ten seconds; then the backlog is drained. The clients share the machine. units: samples one by
/// one through the local system, and what is in the table and the archive afterwards. destinations: the same
/// records again and again to a webhook, a folder and, where its port is given, PostgreSQL. console: the table
/// is filled as large as it gets, which takes minutes, and every page is opened. Both are no part of "all".
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    section: Option<Section>,
}

#[derive(Debug, Subcommand)]
enum Section {
    /// CPU per webhook.
    Cpu,
    /// Peak memory per webhook.
    Memory,
    /// Webhooks per second of the local system.
    Throughput,
    /// Bytes, objects and write units per webhook.
    Units,
    /// Deliveries per second, beside a bare client of the same library, and memory meanwhile.
    Destinations(deliveries::Settings),
    /// First byte of every page of the console over a large table.
    Console(console::Settings),
    /// The release binaries of the functions under a Lambda Runtime API: cold start, latency, CPU.
    Lambda {
        /// A folder with a binary per function, named like it; they are built if none is given.
        #[arg(long, value_name = "DIR")]
        binaries: Option<PathBuf>,
    },
    /// The API's release binary over a seeded table: cold start, latency, CPU of the calls that cost most.
    Reads {
        /// A folder with a binary per function, named like it; they are built if none is given.
        #[arg(long, value_name = "DIR")]
        binaries: Option<PathBuf>,
        /// A Python with the packages of rivals/requirements.txt, to measure the rival too.
        #[arg(long, value_name = "FILE")]
        python: Option<PathBuf>,
    },
    /// Everything.
    All,
    /// Part of another section, in a process of its own.
    #[command(hide = true)]
    Child {
        #[command(subcommand)]
        task: child::Task,
    },
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    #[expect(clippy::disallowed_methods, reason = "the only clock")]
    let now = Timestamp::now();
    let section = arguments.section.unwrap_or(Section::All);
    if let Section::Child { task } = &section {
        let answer = child::run(task, now)?;
        writeln!(io::stderr().lock(), "{answer}")?;
        return Ok(());
    }
    let mut report = Report::new();
    report.machine()?;
    let all = matches!(section, Section::All);
    if all || matches!(section, Section::Cpu) {
        cpu::run(&mut report, now)?;
    }
    if all || matches!(section, Section::Memory) {
        child::memory(&mut report, now)?;
    }
    let binaries = match &section {
        Section::Lambda { binaries } => Some(binaries.clone()),
        _ => all.then_some(None),
    };
    if let Some(binaries) = binaries {
        lambda::run(&mut report, binaries.as_deref(), now)?;
    }
    if let Section::Reads { binaries, python } = &section {
        lambda::reads::run(&mut report, binaries.as_deref(), python.as_deref(), now)?;
    } else if all {
        lambda::reads::run(&mut report, None, None, now)?;
    }
    if all || matches!(section, Section::Throughput) {
        throughput::run(&mut report, now)?;
    }
    if let Section::Destinations(settings) = &section {
        deliveries::run(&mut report, settings, now)?;
    }
    if let Section::Console(settings) = &section {
        console::run(&mut report, settings, now)?;
    }
    if all || matches!(section, Section::Units) {
        units::run(&mut report, now)?;
    }
    Ok(())
}
