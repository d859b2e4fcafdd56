//! Writing, deleting and counting rows.

use std::{collections::BTreeMap, sync::Arc};

use models::data::DataType;
use secrecy::ExposeSecret as _;
use tokio::sync::MutexGuard;
use tokio_postgres::{Client, NoTls, config::SslMode, tls::MakeTlsConnect, types::Type};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{
    Postgres, STATEMENT_TIMEOUT, TIMEOUT,
    faults::{Doing, fault, is_shape},
    line::{Allowance, Line},
    schema::type_name,
};
use crate::{
    change::{Change, Total},
    id::{OwnerId, RecordId},
    kind::{Fault, Outcome, Unreachable, within},
    sql::{Column, Part, Table, Usable, parts},
};

/// One connection, with what is known of the tables.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) client: Client,
    allowance: Allowance,
    tables: BTreeMap<Table, Arc<Usable>>,
}

impl Postgres {
    /// Takes the open connection, or opens one. A caller puts it back with [`keep`](Self::keep) after
    /// success only: a connection that failed is thrown away.
    pub(super) async fn session(&self) -> Result<Session, Fault> {
        let kept = self.session.lock().await.take();
        match kept {
            Some(session) if !session.client.is_closed() => {
                session.allowance.renew();
                Ok(session)
            }
            _ => self.connect().await,
        }
    }

    pub(super) async fn keep(&self, session: Session) {
        let mut kept: MutexGuard<'_, Option<Session>> = self.session.lock().await;
        *kept = Some(session);
    }

    async fn connect(&self) -> Result<Session, Fault> {
        let settings = &self.settings;
        let addresses = self.guard.addresses(&settings.host).await?;
        let mut config = tokio_postgres::Config::new();
        config
            .user(&settings.user)
            .password(settings.password.expose_secret())
            .dbname(&settings.database)
            .application_name("terrarium");
        if !settings.pooler {
            config.options(format!(
                "-c statement_timeout={} -c lock_timeout=5000 -c timezone=UTC",
                STATEMENT_TIMEOUT.as_millis()
            ));
        }
        // The name is verified, the address that was checked is connected to.
        let allowance = Allowance::default();
        let line = Line::open(&addresses, settings.port, allowance.clone()).await?;
        let opened = async {
            // The connection ends when its client is dropped.
            if let Some(tls) = &self.tls {
                config.ssl_mode(SslMode::Require);
                let mut connect = MakeRustlsConnect::new(tls.clone());
                let connect =
                    MakeTlsConnect::<Line>::make_tls_connect(&mut connect, &settings.host);
                let connect = connect.map_err(|_| no_name())?;
                let (client, connection) = config
                    .connect_raw(line, connect)
                    .await
                    .map_err(|error| of_connect(&error))?;
                drop(tokio::spawn(connection));
                return Ok(client);
            }
            config.ssl_mode(SslMode::Disable);
            let (client, connection) = config
                .connect_raw(line, NoTls)
                .await
                .map_err(|error| of_connect(&error))?;
            drop(tokio::spawn(connection));
            Ok(client)
        };
        let client = within(TIMEOUT, opened).await?;
        Ok(Session {
            client,
            allowance,
            tables: BTreeMap::new(),
        })
    }

    /// The columns of a table that can be written; makes the table if it is missing.
    pub(super) async fn usable(
        &self,
        session: &mut Session,
        table: Table,
    ) -> Result<Arc<Usable>, Fault> {
        if let Some(known) = session.tables.get(&table) {
            return Ok(Arc::clone(known));
        }
        let usable = Arc::new(self.ensure(&session.client, table).await?);
        session.tables.insert(table, Arc::clone(&usable));
        Ok(usable)
    }

    pub(super) fn name(&self, table: Table) -> String {
        format!("{}.{}", self.settings.schema, table.name())
    }

    pub(super) async fn write(&self, changes: &[Change]) -> Result<Vec<Outcome>, Fault> {
        let mut outcomes = vec![Outcome::Stale; changes.len()];
        let parts = parts(changes, self.settings.format, &mut outcomes);
        if parts.is_empty() {
            return Ok(outcomes);
        }
        let mut session = self.session().await?;
        for ((table, force), part) in parts {
            let first = self
                .write_part(&mut session, table, force, &part, &mut outcomes)
                .await;
            if let Err(fault) = first {
                if !is_shape(&fault) {
                    return Err(fault);
                }
                // Somebody removed a table or a column: made anew, once.
                session.tables.remove(&table);
                self.write_part(&mut session, table, force, &part, &mut outcomes)
                    .await?;
            }
        }
        self.keep(session).await;
        Ok(outcomes)
    }

    async fn write_part(
        &self,
        session: &mut Session,
        table: Table,
        force: bool,
        part: &Part,
        outcomes: &mut [Outcome],
    ) -> Result<(), Fault> {
        let usable = self.usable(session, table).await?;
        let name = self.name(table);
        if !part.upserts.is_empty() {
            let (rows, repaired) = part.rows(&usable.columns);
            let newer = if force {
                "t.revision <= EXCLUDED.revision"
            } else {
                IS_NEWER
            };
            let statement = upsert(&name, &usable.columns, "$1::text::jsonb", newer);
            let written = session
                .client
                .query_typed(&statement, &[(&rows, Type::TEXT)])
                .await;
            let written = written.map_err(|error| fault(&error, Doing::Write(&name)))?;
            let mut applied = Vec::with_capacity(written.len());
            for row in &written {
                let id: String = row
                    .try_get(0)
                    .map_err(|error| fault(&error, Doing::Write(&name)))?;
                applied.push(id);
            }
            part.settle(&mut applied, &repaired, outcomes);
        }
        if !part.deletes.is_empty() {
            let rows = part.deletions();
            let statement = delete(&name, "$1::text::jsonb");
            let deleted = session
                .client
                .execute_typed(&statement, &[(&rows, Type::TEXT)])
                .await;
            deleted.map_err(|error| fault(&error, Doing::Delete(&name)))?;
        }
        Ok(())
    }

    pub(super) async fn delete_owners(&self, owners: &[OwnerId]) -> Result<u64, Fault> {
        let owners: Vec<_> = owners.iter().map(OwnerId::as_str).collect();
        let session = self.session().await?;
        let mut count = 0;
        for table in self.tables_there(&session).await? {
            let name = self.name(table);
            let statement = format!("DELETE FROM {name} WHERE connection_id = ANY($1)");
            let deleted = session
                .client
                .execute_typed(&statement, &[(&owners, Type::TEXT_ARRAY)])
                .await;
            count += deleted.map_err(|error| fault(&error, Doing::Delete(&name)))?;
        }
        self.keep(session).await;
        Ok(count)
    }

    pub(super) async fn count(&self, owners: &[OwnerId]) -> Result<Vec<Total>, Fault> {
        let texts: Vec<_> = owners.iter().map(OwnerId::as_str).collect();
        let session = self.session().await?;
        let mut totals = Vec::new();
        for table in self.tables_there(&session).await? {
            let name = self.name(table);
            let statement = format!(
                "SELECT connection_id, count(*), sum(checksum)::bigint FROM {name} \
                 WHERE connection_id = ANY($1) GROUP BY connection_id"
            );
            let failed = |error| fault(&error, Doing::Read(&name));
            let rows = session
                .client
                .query_typed(&statement, &[(&texts, Type::TEXT_ARRAY)])
                .await;
            for row in rows.map_err(failed)? {
                let owner: String = row.try_get(0).map_err(failed)?;
                let count: i64 = row.try_get(1).map_err(failed)?;
                let sum: i64 = row.try_get(2).map_err(failed)?;
                let Some(owner) = owners.iter().find(|known| known.as_str() == owner) else {
                    continue;
                };
                totals.push(Total {
                    owner: owner.clone(),
                    data_type: table.data_type(),
                    count: count.unsigned_abs(),
                    sum: sum.unsigned_abs(),
                });
            }
        }
        self.keep(session).await;
        Ok(totals)
    }

    pub(super) async fn list(
        &self,
        owner: &OwnerId,
        data_type: Option<DataType>,
    ) -> Result<Vec<(RecordId, u64)>, Fault> {
        let table = Table::of(data_type);
        let name = self.name(table);
        let session = self.session().await?;
        if !self.tables_there(&session).await?.contains(&table) {
            self.keep(session).await;
            return Ok(Vec::new());
        }
        let statement = format!("SELECT record_id, revision FROM {name} WHERE connection_id = $1");
        let failed = |error| fault(&error, Doing::Read(&name));
        let rows = session
            .client
            .query_typed(&statement, &[(&owner.as_str(), Type::TEXT)])
            .await;
        let mut revisions = Vec::new();
        for row in rows.map_err(failed)? {
            let id: String = row.try_get(0).map_err(failed)?;
            let revision: i64 = row.try_get(1).map_err(failed)?;
            // A row that somebody else put there has another kind of id.
            if let Ok(id) = id.parse() {
                revisions.push((id, revision.unsigned_abs()));
            }
        }
        self.keep(session).await;
        Ok(revisions)
    }

    /// Our tables that exist.
    async fn tables_there(&self, session: &Session) -> Result<Vec<Table>, Fault> {
        let failed = |error| fault(&error, Doing::Read("pg_class"));
        let rows = session
            .client
            .query_typed(
                "SELECT c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
                 WHERE n.nspname = $1 AND c.relkind IN ('r', 'p')",
                &[(&self.settings.schema, Type::TEXT)],
            )
            .await
            .map_err(failed)?;
        let mut names = Vec::new();
        for row in rows {
            let name: String = row.try_get(0).map_err(failed)?;
            names.push(name);
        }
        let tables = Table::all().into_iter();
        Ok(tables
            .filter(|table| names.iter().any(|name| name == table.name()))
            .collect())
    }
}

fn no_name() -> Fault {
    Fault::misconfigured("host is no name that a certificate can have")
}

fn of_connect(error: &tokio_postgres::Error) -> Fault {
    match fault(error, Doing::Connect) {
        // The server speaks, and offers no TLS.
        Fault::Unreachable {
            part: Unreachable::Network,
            ..
        } if error.to_string().contains("TLS") => Fault::misconfigured("the server offers no TLS"),
        fault => fault,
    }
}

/// Condition under which a row is written over.
pub(crate) const IS_NEWER: &str = "t.revision < EXCLUDED.revision";

/// The statement that deletes rows up to a revision. `rows` is an expression of type jsonb.
pub(crate) fn delete(table: &str, rows: &str) -> String {
    format!(
        "DELETE FROM {table} t USING jsonb_to_recordset({rows}) AS d(record_id text, revision bigint) \
         WHERE t.record_id = d.record_id AND t.revision <= d.revision"
    )
}

/// The statement that writes rows over others on a condition. `rows` is an expression of type jsonb.
pub(crate) fn upsert(table: &str, columns: &[Column], rows: &str, newer: &str) -> String {
    let names: Vec<_> = columns
        .iter()
        .map(|column| format!("\"{}\"", column.name))
        .collect();
    let values: Vec<_> = names.iter().map(|name| format!("r.{name}")).collect();
    let types: Vec<_> = columns
        .iter()
        .map(|column| format!("\"{}\" {}", column.name, type_name(column.holds)))
        .collect();
    let sets: Vec<_> = names
        .iter()
        .filter(|name| *name != "\"record_id\"")
        .map(|name| format!("{name} = EXCLUDED.{name}"))
        .collect();
    format!(
        "INSERT INTO {table} AS t ({}) SELECT DISTINCT ON (r.record_id) {} \
         FROM jsonb_to_recordset({rows}) AS r({}) ORDER BY r.record_id, r.revision DESC \
         ON CONFLICT (record_id) DO UPDATE SET {}, delivered_at = now() \
         WHERE {newer} RETURNING t.record_id",
        names.join(", "),
        values.join(", "),
        types.join(", "),
        sets.join(", "),
    )
}
