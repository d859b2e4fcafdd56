//! A probe: connect, and each right by using it.

use ::mongodb::bson::{Document, doc};
use tokio::time::Instant;

use super::{Mongodb, faults::fault};
use crate::kind::{Fault, Finding};

impl Mongodb {
    pub(super) async fn try_steps(&self) -> Vec<Finding> {
        let started = Instant::now();
        let connected = self.in_time(self.hello()).await;
        let reachable = connected.is_ok();
        let mut findings = vec![Finding::of("connect", started.elapsed(), connected)];
        if reachable {
            let started = Instant::now();
            let written = self.in_time(self.try_rights()).await;
            findings.push(Finding::of(
                "write, read, delete",
                started.elapsed(),
                written,
            ));
        }
        findings
    }

    async fn hello(&self) -> Result<String, Fault> {
        let database = self.database().await?;
        let answer = database.run_command(doc! {"buildInfo": 1}).await;
        let answer = answer.map_err(|error| fault(&error, "access to the database"))?;
        Ok(format!(
            "server version {}",
            answer.get_str("version").unwrap_or("unknown")
        ))
    }

    /// Writes a document twice, reads it and deletes it.
    async fn try_rights(&self) -> Result<String, Fault> {
        let database = self.database().await?;
        let right = format!("readWrite on {}", self.settings.database);
        let collection = database.collection::<Document>(&self.collection("daily"));
        let id = doc! {"_id": "terrarium-probe"};
        for revision in 0..2_i64 {
            let update = doc! {"$set": {"revision": revision}};
            let written = collection.update_one(id.clone(), update).upsert(true).await;
            written.map_err(|error| fault(&error, &right))?;
        }
        let read = collection.find_one(id.clone()).await;
        read.map_err(|error| fault(&error, &right))?;
        let deleted = collection.delete_one(id).await;
        deleted.map_err(|error| fault(&error, &right))?;
        Ok("a document was written, overwritten, read and deleted".to_owned())
    }
}
