//! A probe: each right by using it.

use serde_json::{Value, json};
use tokio::time::Instant;

use super::{
    Firestore,
    faults::{is_lost, of_code},
    rest::WRITE,
};
use crate::kind::{Fault, Finding};

/// A record id that no record has: record ids are hashes.
const PROBE: &str = "terrarium-probe";

impl Firestore {
    pub(super) async fn try_steps(&self) -> Vec<Finding> {
        let name = format!("{}/daily/{PROBE}", self.parent);
        let started = Instant::now();
        let found = self.get(&[&name]).await;
        let is_there = found.as_ref().is_ok_and(|found| !found.is_empty());
        let reachable = found.is_ok();
        let read = found.map(|_| format!("the project {} answers", self.project));
        let mut findings = vec![Finding::of("connect, read", started.elapsed(), read)];
        if !reachable {
            return findings;
        }
        if is_there {
            // Left behind by a probe that was cut short.
            drop(self.one(json!({"delete": name})).await);
        }
        let create = json!({
            "update": {"name": name, "fields": {"connection_id": {"stringValue": PROBE}}},
            "currentDocument": {"exists": false},
        });
        let started = Instant::now();
        let written = self.try_condition(&create).await;
        findings.push(Finding::of(
            "write on a condition",
            started.elapsed(),
            written,
        ));
        let started = Instant::now();
        let counted = self.aggregate("daily", PROBE).await;
        let counted = match counted {
            Ok((count, _)) => Ok(format!("{count} documents were counted")),
            Err(fault) if fault.code() == Some("FAILED_PRECONDITION") => {
                Ok("documents are counted one by one: there is no index for a sum".to_owned())
            }
            Err(fault) => Err(fault),
        };
        findings.push(Finding::of("count", started.elapsed(), counted));
        let started = Instant::now();
        let deleted = match self.one(json!({"delete": name})).await {
            Ok(0) => Ok("the document was deleted".to_owned()),
            Ok(code) => Err(of_code(code, &self.right(WRITE))),
            Err(fault) => Err(fault),
        };
        findings.push(Finding::of("delete", started.elapsed(), deleted));
        findings
    }

    async fn one(&self, write: Value) -> Result<u16, Fault> {
        let codes = self.batch_write(&[write]).await?;
        Ok(codes.first().copied().unwrap_or_default())
    }

    /// Creates a document twice: the second time must fail.
    async fn try_condition(&self, create: &Value) -> Result<String, Fault> {
        match self.one(create.clone()).await? {
            0 => {}
            code => return Err(of_code(code, &self.right(WRITE))),
        }
        match self.one(create.clone()).await? {
            0 => Err(Fault::misconfigured(
                "the endpoint writes over a document on the condition that there is none",
            )),
            code if is_lost(code) => {
                Ok("a document was written, and not written over on a condition".to_owned())
            }
            code => Err(of_code(code, &self.right(WRITE))),
        }
    }
}
