//! A probe: connect, tables, and each right by using it.

use models::data::DataType;
use tokio::time::Instant;
use tokio_postgres::types::Type;

use super::{
    Postgres,
    faults::{Doing, fault},
};
use crate::{
    kind::{Fault, Finding},
    sql::Table,
};

/// A record id that no record has: record ids are hashes.
const PROBE: &str = "terrarium-probe";

impl Postgres {
    pub(super) async fn try_steps(&self) -> Vec<Finding> {
        let resolved = self.guard.probe(&self.settings.host).await;
        if resolved.is_failed() {
            return vec![resolved];
        }
        let mut findings = vec![resolved];
        let started = Instant::now();
        let mut session = match self.session().await {
            Ok(session) => session,
            Err(fault) => {
                findings.push(Finding::failed("connect", started.elapsed(), &fault));
                return findings;
            }
        };
        let version = session.client.query_typed("SHOW server_version", &[]).await;
        let version = match version {
            Ok(rows) => rows
                .first()
                .and_then(|row| row.try_get::<_, String>(0).ok()),
            Err(_) => None,
        };
        let text = format!("PostgreSQL {}", version.unwrap_or_default());
        findings.push(Finding::passed("connect", started.elapsed(), text));

        let table = Table::Records(DataType::Daily);
        let started = Instant::now();
        let usable = self.usable(&mut session, table).await;
        let made = usable.is_ok();
        let usable = usable.map(|usable| usable.of_dailies());
        findings.push(Finding::of("tables", started.elapsed(), usable));
        if made {
            let started = Instant::now();
            let written = self.try_rights(&session.client).await;
            findings.push(Finding::of(
                "write, read, delete",
                started.elapsed(),
                written,
            ));
            self.keep(session).await;
        }
        findings
    }

    /// Writes a row twice, reads it and deletes it.
    async fn try_rights(&self, client: &tokio_postgres::Client) -> Result<String, Fault> {
        let name = format!("{}.daily", self.settings.schema);
        let statement = format!(
            "INSERT INTO {name} AS t (record_id, revision, checksum, connection_id, record_key, \
             ordering_timestamp, source_webhook_id, retracted) \
             VALUES ($1, 0, 0, 'terrarium-probe', '', now(), '', false) \
             ON CONFLICT (record_id) DO UPDATE SET delivered_at = now() WHERE t.revision <= 0"
        );
        let id = (
            &PROBE as &(dyn tokio_postgres::types::ToSql + Sync),
            Type::TEXT,
        );
        for _ in 0..2 {
            let written = client
                .execute_typed(&statement, std::slice::from_ref(&id))
                .await;
            written.map_err(|error| fault(&error, Doing::Write(&name)))?;
        }
        let read = format!("SELECT revision FROM {name} WHERE record_id = $1");
        let read = client.query_typed(&read, std::slice::from_ref(&id)).await;
        read.map_err(|error| fault(&error, Doing::Read(&name)))?;
        let delete = format!("DELETE FROM {name} WHERE record_id = $1");
        let deleted = client
            .execute_typed(&delete, std::slice::from_ref(&id))
            .await;
        deleted.map_err(|error| fault(&error, Doing::Delete(&name)))?;
        Ok("a row was written, overwritten, read and deleted".to_owned())
    }
}
