//! A probe: the install script, and each right by using it.

use serde_json::json;
use tokio::time::Instant;

use super::{Rest, Rows, Supabase, deliver::OUTDATED, script};
use crate::{
    kind::{Fault, Finding, Kind as _},
    postgres::faults::Doing,
};

/// A record id that no record has: record ids are hashes.
const PROBE: &str = "terrarium-probe";

impl Supabase {
    pub(super) async fn try_steps(&self) -> Vec<Finding> {
        let mut findings = match &self.rows {
            Rows::Rest(rest) => self.try_rest(rest).await,
            Rows::Postgres(database) => database.probe().await,
        };
        if let Some(files) = &self.files {
            findings.extend(files.probe().await);
        }
        findings
    }

    async fn try_rest(&self, rest: &Rest) -> Vec<Finding> {
        let started = Instant::now();
        let version = rest.version().await;
        let took = started.elapsed();
        let finding = match &version {
            Ok(found) if *found == script::version(&self.schema) => {
                Finding::passed("install script", took, "the tables and functions are there")
            }
            Ok(_) => Finding::warning("install script", took, OUTDATED),
            Err(fault) => Finding::failed("install script", took, fault),
        };
        let mut findings = vec![finding];
        if version.is_ok() {
            let started = Instant::now();
            let written = try_rights(rest).await;
            findings.push(Finding::of(
                "write, read, delete",
                started.elapsed(),
                written,
            ));
        }
        findings
    }
}

/// Writes a row twice, reads it and deletes it.
async fn try_rights(rest: &Rest) -> Result<String, Fault> {
    let name = format!("{}.daily", rest.schema);
    let row = json!({
        "record_id": PROBE, "revision": 0, "checksum": 0, "connection_id": PROBE, "record_key": "",
        "ordering_timestamp": "2000-01-01T00:00:00Z", "source_webhook_id": "", "retracted": false,
    });
    let write = json!({"batch": {"force": true, "upserts": {"daily": [row]}}}).to_string();
    for _ in 0..2 {
        let done = rest.call("terrarium_apply", write.clone(), Doing::Write(&name));
        let written: Vec<String> = done.await?;
        if written != [PROBE] {
            return Err(Fault::misconfigured("the functions do not write rows"));
        }
    }
    let count = json!({"connections": [PROBE]}).to_string();
    let counted = rest.call("terrarium_totals", count, Doing::Read(&name));
    let _: serde_json::Value = counted.await?;
    let gone = json!({"record_id": PROBE, "revision": 0});
    let delete = json!({"batch": {"deletes": {"daily": [gone]}}}).to_string();
    let done = rest.call("terrarium_apply", delete, Doing::Delete(&name));
    let _: serde_json::Value = done.await?;
    Ok("a row was written, overwritten, counted and deleted".to_owned())
}
