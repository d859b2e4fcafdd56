//! Writing rows and files.

use super::{Rows, Supabase, script};
use crate::{
    change::{Body, Change},
    kind::{Erased, Erasure, Fault, Finding, Kind as _, Outcome, Shape},
};

/// Returns whether a change has a file.
fn has_file(change: &Change) -> bool {
    matches!(change.body, Body::Record(_) | Body::Deleted { .. })
}

impl Supabase {
    /// Files first, rows then: a row says that its file is there.
    pub(super) async fn write(&self, changes: &[Change]) -> Result<Vec<Outcome>, Fault> {
        let Some(files) = &self.files else {
            return self.write_rows(changes).await;
        };
        let with_files: Vec<_> = changes
            .iter()
            .filter(|change| has_file(change))
            .cloned()
            .collect();
        let mut written = files.deliver(&with_files).await?.into_iter();
        let mut outcomes = Vec::with_capacity(changes.len());
        let mut ready = Vec::new();
        for change in changes {
            let file = has_file(change).then(|| written.next()).flatten();
            let failed = file.filter(|outcome| !outcome.is_settled());
            if failed.is_none() {
                ready.push(change.clone());
            }
            outcomes.push(failed);
        }
        let mut rows = self.write_rows(&ready).await?.into_iter();
        for outcome in outcomes.iter_mut().filter(|outcome| outcome.is_none()) {
            *outcome = rows.next();
        }
        let missing = || Outcome::Retry(Fault::Conflict { code: None });
        Ok(outcomes
            .into_iter()
            .map(|outcome| outcome.unwrap_or_else(missing))
            .collect())
    }

    async fn write_rows(&self, changes: &[Change]) -> Result<Vec<Outcome>, Fault> {
        match &self.rows {
            Rows::Rest(rest) => rest.write(changes).await,
            Rows::Postgres(database) => database.deliver(changes).await,
        }
    }

    /// Runs the install script, or says that somebody has to.
    pub(super) async fn install(&self, shape: &Shape) -> Result<Vec<Finding>, Fault> {
        let rest = match &self.rows {
            Rows::Postgres(database) => {
                database
                    .run_script(&script::install_script(&self.schema))
                    .await?;
                return database.prepare(shape).await;
            }
            Rows::Rest(rest) => rest,
        };
        let started = tokio::time::Instant::now();
        let found = rest.version().await?;
        if found == script::version(&self.schema) {
            return Ok(Vec::new());
        }
        Ok(vec![Finding::warning(
            "install script",
            started.elapsed(),
            OUTDATED,
        )])
    }

    pub(super) async fn erase_both(&self, person: &Erasure) -> Result<Erased, Fault> {
        let rows = match &self.rows {
            Rows::Rest(rest) => rest.delete_owners(&person.owners).await?,
            Rows::Postgres(database) => match database.erase(person).await? {
                Erased::Done(count) => count,
                other => return Ok(other),
            },
        };
        match &self.files {
            None => Ok(Erased::Done(rows)),
            Some(files) => Ok(match files.erase(person).await? {
                Erased::Done(count) => Erased::Done(rows + count),
                other => other,
            }),
        }
    }
}

/// Text of the finding where an older script was run.
pub(super) const OUTDATED: &str =
    "the install script of this version was not run yet: new columns stay empty until it is";
