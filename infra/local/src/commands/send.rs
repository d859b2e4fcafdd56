//! `terrarium send`: files as webhooks.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressStyle};
use models::{ids::hex, signature::SigningSecret};
use reqwest::StatusCode;

use super::{
    access::{data_dir, now},
    posting::{client, signing_secret, target, why_none},
};
use crate::{cli::SendArgs, failure, failure::Failure, output, text};

/// A progress bar is worth its lines from this many files on.
const MANY: usize = 10;
/// Characters of an answer that are shown.
const ANSWER_CHARS: usize = 160;

pub(super) async fn run(args: SendArgs) -> anyhow::Result<()> {
    let files = files(&args.paths)?;
    let data_dir = data_dir(args.data.as_ref());
    let url = target(args.url.as_deref(), &data_dir)?;
    let (name, secret) = signing_secret(&data_dir, args.secret_name.as_deref()).await?;
    let secret = SigningSecret::new(&name, &secret).context("the signing secret is empty")?;
    let client = client(&url)?;

    let bar = progress(files.len());
    let mut table = output::table(["file", "status", "answer"]);
    let mut failed = 0_usize;
    for (number, file) in files.iter().enumerate() {
        let body = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        let answer = post(&client, &url, &secret, &args, number, body).await;
        let (status, text) = match answer {
            Ok((status, text)) => {
                failed += usize::from(status != StatusCode::OK);
                (status.as_u16().to_string(), text)
            }
            Err(error) => {
                failed += 1;
                ("-".to_owned(), error)
            }
        };
        table.add_row([
            file.display().to_string(),
            status,
            text::cut(&text, ANSWER_CHARS),
        ]);
        bar.inc(1);
    }
    bar.finish_and_clear();
    output::line(table)?;
    if failed == 0 {
        return Ok(());
    }
    output::complain(&format!(
        "{failed} of {} not accepted",
        text::count(files.len(), "webhook")
    ));
    Err(Failure::AlreadySaid.into())
}

/// One POST as Terra makes it; status and answer, or why there is none.
async fn post(
    client: &reqwest::Client,
    url: &reqwest::Url,
    secret: &SigningSecret,
    args: &SendArgs,
    number: usize,
    body: Vec<u8>,
) -> Result<(StatusCode, String), String> {
    let now = now();
    let signature = secret.sign(now.as_second(), &body);
    let trace_id = match (&args.trace_id, number) {
        (Some(id), 0) => id.clone(),
        (Some(id), _) => format!("{id}-{}", number + 1),
        (None, _) => hex(&rand::random::<[u8; 16]>()),
    };
    let stamp = args.ordering_timestamp.map_or_else(
        || now.as_millisecond().to_string(),
        |stamp| stamp.to_string(),
    );
    let mut request = client
        .post(url.clone())
        .header("Content-Type", "application/json")
        .header("X-Terra-Signature", &signature)
        .header("Terra-Signature", &signature)
        .header("X-Terra-Trace-Id", &trace_id)
        .header("X-Terra-Ordering-Timestamp", stamp);
    if let Some(reference) = &args.reference {
        request = request.header("Terra-Reference", reference);
    }
    let sent = request.body(body).send().await;
    let answer = sent.map_err(|error| why_none(url, error))?;
    let status = answer.status();
    let text = answer.text().await.unwrap_or_default();
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let shown = if text.is_empty() {
        format!("webhook {trace_id}")
    } else {
        text
    };
    Ok((status, shown))
}

/// The files that are meant: those given, and in folders every `*.json`, in order.
fn files(paths: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            let before = files.len();
            collect(path, &mut files).with_context(|| format!("cannot list {}", path.display()))?;
            if files.len() == before {
                return Err(failure::input(format!("no *.json in {}", path.display())));
            }
        } else if path.is_file() {
            files.push(path.clone());
        } else {
            return Err(failure::input(format!(
                "there is no file {}",
                path.display()
            )));
        }
    }
    Ok(files)
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    let mut entries = fs::read_dir(folder)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<Vec<_>, _>>()?;
    entries.sort();
    for path in entries {
        if path.is_dir() {
            collect(&path, files)?;
        } else if path
            .extension()
            .is_some_and(|extension| extension == "json")
        {
            files.push(path);
        }
    }
    Ok(())
}

/// A progress bar on standard error, hidden where it is not worth it.
pub(super) fn progress(total: usize) -> ProgressBar {
    if total < MANY {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(u64::try_from(total).unwrap_or(u64::MAX));
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len}  {eta}");
    if let Ok(style) = style {
        bar.set_style(style);
    }
    bar
}
