//! A probe: connect, tables, and each right by using it.

use models::data::DataType;
use mysql_async::prelude::Queryable as _;
use tokio::time::Instant;

use super::{Mysql, deliver::Session, faults::fault};
use crate::{
    kind::{Fault, Finding},
    sql::Table,
};

impl Mysql {
    pub(super) async fn try_steps(&self) -> Vec<Finding> {
        let resolved = self.guard.probe(&self.settings.host).await;
        if resolved.is_failed() {
            return vec![resolved];
        }
        let mut findings = vec![resolved];
        let started = Instant::now();
        let mut session = match self.in_time(self.session()).await {
            Ok(session) => session,
            Err(fault) => {
                findings.push(Finding::failed("connect", started.elapsed(), &fault));
                return findings;
            }
        };
        let (major, minor, patch) = session.conn.server_version();
        let text = format!("server version {major}.{minor}.{patch}");
        findings.push(Finding::passed("connect", started.elapsed(), text));
        let started = Instant::now();
        let usable = self
            .in_time(self.usable(&mut session, Table::Records(DataType::Daily)))
            .await;
        let made = usable.is_ok();
        let usable = usable.map(|usable| usable.of_dailies());
        findings.push(Finding::of("tables", started.elapsed(), usable));
        if made {
            let started = Instant::now();
            let written = self.in_time(self.try_rights(&mut session)).await;
            let passed = written.is_ok();
            findings.push(Finding::of(
                "write, read, delete",
                started.elapsed(),
                written,
            ));
            if passed {
                self.keep(session).await;
            }
        }
        findings
    }

    /// Writes a row twice, reads it and deletes it.
    async fn try_rights(&self, session: &mut Session) -> Result<String, Fault> {
        let name = self.table_name(Table::Records(DataType::Daily));
        let steps = [
            (
                "INSERT, UPDATE",
                format!(
                    "INSERT INTO `{name}` (record_id, revision, checksum, connection_id, record_key, \
                     ordering_timestamp, source_webhook_id, retracted) VALUES ('terrarium-probe', 0, 0, \
                     'terrarium-probe', '', CURRENT_TIMESTAMP(3), '', 0) \
                     ON DUPLICATE KEY UPDATE delivered_at = CURRENT_TIMESTAMP(3)"
                ),
            ),
            (
                "SELECT",
                format!("SELECT revision FROM `{name}` WHERE record_id = 'terrarium-probe'"),
            ),
            (
                "DELETE",
                format!("DELETE FROM `{name}` WHERE record_id = 'terrarium-probe'"),
            ),
        ];
        for (right, statement) in steps {
            let done = session.conn.query_drop(statement).await;
            let right = format!("{right} on {}.{name}", self.settings.database);
            done.map_err(|error| fault(&error, &right))?;
        }
        Ok("a row was written, read and deleted".to_owned())
    }
}
