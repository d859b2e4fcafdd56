//! A function's binary and the process it runs in.

use std::{
    env,
    ffi::OsString,
    fs::{self, File},
    io::Write as _,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Instant,
};

use anyhow::{Context as _, ensure};
use flate2::{Compression, write::DeflateEncoder};
use runtime::queue::local::Durability;
use serde_json::Value;
use store::table::Table;
use terrarium::system::{EmbeddedDatabase, TABLE_NAME, dynamodb_client};

use super::aws::{Aws, TERRA_CREDENTIALS_ARN, TERRA_PATH};

/// Access key of the functions, which the database of the folder asks for.
const ACCESS_KEY: &str = "bench";

/// Starts a database in a folder, with an empty table, that the functions may read and write.
pub(super) async fn database(
    folder: &Path,
    durability: Durability,
) -> anyhow::Result<(EmbeddedDatabase, Table)> {
    fs::write(folder.join("database-key"), ACCESS_KEY).context("cannot write the key")?;
    let database = EmbeddedDatabase::start(folder, false, durability).await?;
    let table = Table::new(dynamodb_client(&database.address)?, TABLE_NAME);
    table.create_if_missing().await?;
    Ok((database, table))
}

/// A release binary, or the program of a rival.
pub(super) struct Binary {
    pub(super) name: &'static str,
    path: PathBuf,
    arguments: Vec<OsString>,
    pub(super) size_bytes: u64,
    /// Size of the archive that `zip` makes.
    pub(super) zipped_bytes: u64,
}

impl Binary {
    /// Builds it; the same profile as the packages have.
    pub(super) fn build(name: &'static str) -> anyhow::Result<Self> {
        #[expect(
            clippy::disallowed_methods,
            reason = "the cargo that runs us builds it"
        )]
        let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let built = Command::new(cargo)
            .args(["build", "--release", "--quiet", "-p", name, "--bin", name])
            .arg("--message-format=json-render-diagnostics")
            .stderr(Stdio::inherit())
            .output()
            .context("cannot start cargo")?;
        ensure!(built.status.success(), "{name} cannot be built");
        let path = built
            .stdout
            .split(|byte| *byte == b'\n')
            .filter_map(|line| serde_json::from_slice::<Value>(line).ok())
            .filter_map(|message| message.get("executable")?.as_str().map(PathBuf::from))
            .next_back()
            .with_context(|| format!("cargo does not say where {name} is"))?;
        Self::at(name, path)
    }

    /// Takes what has been built.
    pub(super) fn at(name: &'static str, path: PathBuf) -> anyhow::Result<Self> {
        let bytes = fs::read(&path).with_context(|| format!("no binary at {}", path.display()))?;
        let mut zip = DeflateEncoder::new(Vec::new(), Compression::best());
        zip.write_all(&bytes)?;
        Ok(Self {
            name,
            path,
            arguments: Vec::new(),
            size_bytes: bytes.len() as u64,
            zipped_bytes: zip.finish()?.len() as u64,
        })
    }

    /// A program that was installed by hand, with its arguments.
    pub(super) fn program(name: &'static str, path: PathBuf, arguments: Vec<OsString>) -> Self {
        Self {
            name,
            path,
            arguments,
            size_bytes: 0,
            zipped_bytes: 0,
        }
    }
}

/// A function at work; killed when dropped.
pub(super) struct Function {
    process: Child,
    log: PathBuf,
    pub(super) started: Instant,
}

/// Resources that a process has used so far.
pub(super) struct Usage {
    pub(super) cpu_ms: f64,
    pub(super) peak_kb: f64,
}

impl Function {
    pub(super) fn start(
        binary: &Binary,
        runtime_api: &SocketAddr,
        aws: &Aws,
        log: &Path,
    ) -> anyhow::Result<Self> {
        let file = File::create(log).context("no log file")?;
        let mut command = Command::new(&binary.path);
        command
            .args(&binary.arguments)
            .env_clear()
            .env("AWS_LAMBDA_RUNTIME_API", runtime_api.to_string())
            .env("AWS_LAMBDA_FUNCTION_NAME", binary.name)
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "1")
            .env("AWS_LAMBDA_LOG_FORMAT", "JSON")
            .env("AWS_REGION", "eu-west-2")
            .env("AWS_DEFAULT_REGION", "eu-west-2")
            .env("AWS_ACCESS_KEY_ID", ACCESS_KEY)
            .env("AWS_SECRET_ACCESS_KEY", "bench")
            .env("AWS_SESSION_TOKEN", "bench")
            .env("AWS_ENDPOINT_URL", &aws.endpoint)
            .env("SSL_CERT_FILE", &aws.certificate)
            .env("AWS_CA_BUNDLE", &aws.certificate)
            .env(
                "API_SIGNING_KEYS_ARN",
                "arn:aws:secretsmanager:eu-west-2:0:secret:api",
            )
            .env(
                "SIGNING_SECRETS_ARN",
                "arn:aws:secretsmanager:eu-west-2:0:secret:bench",
            )
            .env(
                "EVENTS_QUEUE_URL",
                format!("{}/000000000000/events", aws.endpoint),
            )
            .env(
                "PINGS_QUEUE_URL",
                format!("{}/000000000000/pings", aws.endpoint),
            )
            .env(
                "HISTORY_QUEUE_URL",
                format!("{}/000000000000/history", aws.endpoint),
            )
            .env(
                "BACKFILL_EVENTS_QUEUE_URL",
                format!("{}/000000000000/backfill-events", aws.endpoint),
            )
            .env("TERRA_CREDENTIALS_ARN", TERRA_CREDENTIALS_ARN)
            .env("TERRA_API_URL", format!("{}{TERRA_PATH}", aws.endpoint))
            .env("TABLE_NAME", TABLE_NAME)
            .env("ARCHIVE_BUCKET", "bench")
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file);
        let started = Instant::now();
        let process = command.spawn().context("cannot start the function")?;
        Ok(Self {
            process,
            log: log.to_owned(),
            started,
        })
    }

    /// CPU of all its threads, in user and kernel mode, and its peak memory.
    pub(super) fn usage(&self) -> anyhow::Result<Usage> {
        let folder = PathBuf::from(format!("/proc/{}", self.process.id()));
        let mut cpu_ns = 0.0;
        for task in fs::read_dir(folder.join("task")).context("the function has ended")? {
            let text = fs::read_to_string(task?.path().join("schedstat"))?;
            let first = text.split_whitespace().next().unwrap_or_default();
            cpu_ns += first.parse::<f64>().context("schedstat holds no number")?;
        }
        let status = fs::read_to_string(folder.join("status"))?;
        let peak = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))
            .and_then(|value| value.trim().split(' ').next())
            .context("the status has no VmHWM")?;
        Ok(Usage {
            cpu_ms: cpu_ns / 1e6,
            peak_kb: peak.parse().context("VmHWM is no number")?,
        })
    }

    /// The last it said, for when it fails.
    pub(super) fn last_words(&self) -> String {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        log.lines().next_back().unwrap_or_default().to_owned()
    }

    /// Returns the size of its log.
    pub(super) fn log_bytes(&self) -> anyhow::Result<u64> {
        Ok(fs::metadata(&self.log)?.len())
    }
}

impl Drop for Function {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}
