//! Writing, deleting and counting rows.

use std::{collections::BTreeMap, sync::Arc};

use jiff::{Timestamp, tz::TimeZone};
use models::data::DataType;
use mysql_async::{
    Conn, OptsBuilder, Params, SslOpts, Value, from_row_opt,
    prelude::{FromRow, Queryable as _},
};
use secrecy::ExposeSecret as _;
use tokio::time::timeout;

use super::{
    Mysql,
    faults::{fault, is_shape, too_large},
};
use crate::{
    change::{Change, Total},
    id::{OwnerId, RecordId},
    kind::{Fault, Outcome, Unreachable, set},
    net::{CONNECT_TIMEOUT, MAX_CALL_BYTES, RowLimit},
    repair::repair,
    sql::{Column, ColumnType, Part, Table, Upsert, Usable, parts},
};

/// One connection, with what is known of the tables.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) conn: Conn,
    /// Most bytes of the values of a statement.
    max_bytes: usize,
    tables: BTreeMap<Table, Arc<Usable>>,
}

/// Most parameters of a statement: a prepared statement takes 65,535.
const MAX_PARAMETERS: usize = 60_000;

/// Bytes of a packet that are kept for what is no value.
const STATEMENT_BYTES: usize = 64 * 1024;

/// Reads the rows of an answer, of which there may be at most so many.
pub(super) async fn rows<T: FromRow>(
    conn: &mut Conn,
    statement: &str,
    values: impl Into<Params> + Send,
    most: usize,
    right: &str,
) -> Result<Vec<T>, Fault> {
    let failed = |error| fault(&error, right);
    let mut answer = conn.exec_iter(statement, values).await.map_err(failed)?;
    let (mut rows, mut limit) = (Vec::new(), RowLimit::of(most));
    while let Some(row) = answer.next().await.map_err(failed)? {
        let values = (0..row.len()).filter_map(|place| row.as_ref(place));
        limit.take(values.map(size_of_value).sum())?;
        let other = |_| Fault::misconfigured("the server does not answer as MySQL does");
        rows.push(from_row_opt(row).map_err(other)?);
    }
    Ok(rows)
}

/// Bytes of a value on its way.
fn size_of_value(value: &Value) -> usize {
    match value {
        Value::Bytes(bytes) => bytes.len() + 9,
        _ => 16,
    }
}

fn marks(count: usize) -> String {
    vec!["?"; count].join(",")
}

impl Mysql {
    /// Takes the open connection, or opens one. It is put back after success only.
    pub(super) async fn session(&self) -> Result<Session, Fault> {
        let kept = self.session.lock().await.take();
        match kept {
            Some(session) => Ok(session),
            None => self.connect().await,
        }
    }

    pub(super) async fn keep(&self, session: Session) {
        *self.session.lock().await = Some(session);
    }

    async fn connect(&self) -> Result<Session, Fault> {
        let settings = &self.settings;
        let addresses = self.guard.addresses(&settings.host).await?;
        let ssl = settings.encrypted.then(|| {
            let roots = settings
                .ca_pem
                .iter()
                .map(|pem| pem.clone().into_bytes().into());
            SslOpts::default().with_root_certs(roots.collect())
        });
        let options = OptsBuilder::default()
            // The name is verified, the address that was checked is connected to.
            .ip_or_hostname(&settings.host)
            .resolved_ips(Some(addresses))
            .tcp_port(settings.port)
            .user(Some(&settings.user))
            .pass(Some(settings.password.expose_secret()))
            .db_name(Some(&settings.database))
            .prefer_socket(false)
            .stmt_cache_size(0)
            .max_allowed_packet(Some(MAX_CALL_BYTES))
            .ssl_opts(ssl)
            .setup(vec![
                "SET time_zone = '+00:00', SESSION innodb_lock_wait_timeout = 5, \
                 SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION'",
            ]);
        let opened = timeout(CONNECT_TIMEOUT, Conn::new(options)).await;
        let opened = opened.map_err(|_| Fault::unreachable(Unreachable::Timeout))?;
        let right = format!("access to {}", settings.database);
        let mut conn = opened.map_err(|error| fault(&error, &right))?;
        let packet = rows(&mut conn, "SELECT @@max_allowed_packet", (), 1, &right);
        let packet: Option<usize> = packet.await?.into_iter().next();
        let packet = packet.unwrap_or(MAX_CALL_BYTES).min(MAX_CALL_BYTES);
        Ok(Session {
            conn,
            max_bytes: packet.saturating_sub(STATEMENT_BYTES),
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
        let usable = Arc::new(self.ensure(&mut session.conn, table).await?);
        session.tables.insert(table, Arc::clone(&usable));
        Ok(usable)
    }

    fn right(&self, rights: &str, name: &str) -> String {
        format!("{rights} on {}.{name}", self.settings.database)
    }

    pub(super) async fn write(&self, changes: &[Change]) -> Result<Vec<Outcome>, Fault> {
        let mut outcomes = vec![Outcome::APPLIED; changes.len()];
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
        let name = self.table_name(table);
        let per_statement = MAX_PARAMETERS / usable.columns.len().max(1);
        for upserts in part.upserts.chunks(per_statement.max(1)) {
            let held = self.held(&mut session.conn, &name, upserts).await?;
            // What is not newer stays as it is. The statement says so too: another writer may come
            // between.
            let is_stale = |upsert: &&Upsert| {
                held.get(upsert.id.as_str()).is_some_and(|held| {
                    *held > upsert.revision || (*held == upsert.revision && !force)
                })
            };
            let (stale, newer): (Vec<_>, Vec<_>) = upserts.iter().partition(is_stale);
            for upsert in stale {
                set(outcomes, upsert.index, Outcome::Stale);
            }
            if newer.is_empty() {
                continue;
            }
            let mut statements: Vec<(usize, Vec<Value>)> = Vec::new();
            let mut bytes = usize::MAX;
            for upsert in &newer {
                let mut repaired = 0;
                let row = usable.columns.iter().map(|column| {
                    let raw = upsert.row.get(&column.name).map(|raw| raw.get());
                    value(column.holds, raw, &mut repaired)
                });
                let row: Vec<_> = row.collect();
                let size: usize = row.iter().map(size_of_value).sum();
                if size > session.max_bytes {
                    set(outcomes, upsert.index, too_large().into_outcome());
                    continue;
                }
                set(outcomes, upsert.index, Outcome::Applied { repaired });
                bytes = bytes.saturating_add(size);
                match statements.last_mut() {
                    Some((count, values)) if bytes <= session.max_bytes => {
                        *count += 1;
                        values.extend(row);
                    }
                    _ => {
                        bytes = size;
                        statements.push((1, row));
                    }
                }
            }
            for (count, values) in statements {
                let statement = self::upsert(&name, &usable.columns, count, force);
                let values = Params::Positional(values);
                let written = session.conn.exec_drop(statement, values).await;
                written.map_err(|error| fault(&error, &self.right("INSERT, UPDATE", &name)))?;
            }
        }
        for (id, revision) in &part.deletes {
            let statement = format!("DELETE FROM `{name}` WHERE record_id = ? AND revision <= ?");
            let deleted = session
                .conn
                .exec_drop(statement, (id.as_str(), revision))
                .await;
            deleted.map_err(|error| fault(&error, &self.right("DELETE", &name)))?;
        }
        Ok(())
    }

    async fn held(
        &self,
        conn: &mut Conn,
        name: &str,
        upserts: &[Upsert],
    ) -> Result<BTreeMap<String, u64>, Fault> {
        let ids: Vec<Value> = upserts
            .iter()
            .map(|upsert| upsert.id.as_str().into())
            .collect();
        let marks = marks(ids.len());
        let statement =
            format!("SELECT record_id, revision FROM `{name}` WHERE record_id IN ({marks})");
        let ids = Params::Positional(ids);
        let right = self.right("SELECT", name);
        let held: Vec<(String, u64)> = rows(conn, &statement, ids, upserts.len(), &right).await?;
        Ok(held.into_iter().collect())
    }

    pub(super) async fn delete_owners(&self, owners: &[OwnerId]) -> Result<u64, Fault> {
        let mut session = self.session().await?;
        let mut count = 0;
        for table in self.tables_there(&mut session.conn).await? {
            let name = self.table_name(table);
            for owner in owners {
                let statement = format!("DELETE FROM `{name}` WHERE connection_id = ?");
                let deleted = session.conn.exec_drop(statement, (owner.as_str(),)).await;
                deleted.map_err(|error| fault(&error, &self.right("DELETE", &name)))?;
                count += session.conn.affected_rows();
            }
        }
        self.keep(session).await;
        Ok(count)
    }

    pub(super) async fn count(&self, owners: &[OwnerId]) -> Result<Vec<Total>, Fault> {
        let mut session = self.session().await?;
        let mut totals = Vec::new();
        let tables = self.tables_there(&mut session.conn).await?;
        for table in tables.into_iter().filter(|_| !owners.is_empty()) {
            let name = self.table_name(table);
            let texts: Vec<Value> = owners.iter().map(|owner| owner.as_str().into()).collect();
            let statement = format!(
                "SELECT connection_id, COUNT(*), CAST(SUM(checksum) AS UNSIGNED) FROM `{name}` \
                 WHERE connection_id IN ({}) GROUP BY connection_id",
                marks(texts.len())
            );
            let (conn, texts) = (&mut session.conn, Params::Positional(texts));
            let right = self.right("SELECT", &name);
            let counted: Vec<(String, u64, u64)> =
                rows(conn, &statement, texts, owners.len(), &right).await?;
            for (owner, count, sum) in counted {
                if let Some(owner) = owners.iter().find(|known| known.as_str() == owner) {
                    totals.push(Total {
                        owner: owner.clone(),
                        data_type: table.data_type(),
                        count,
                        sum,
                    });
                }
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
        let name = self.table_name(table);
        let mut session = self.session().await?;
        let mut revisions = Vec::new();
        if self.tables_there(&mut session.conn).await?.contains(&table) {
            let statement =
                format!("SELECT record_id, revision FROM `{name}` WHERE connection_id = ?");
            let (conn, of_owner) = (&mut session.conn, (owner.as_str(),));
            let right = self.right("SELECT", &name);
            let held: Vec<(String, u64)> =
                rows(conn, &statement, of_owner, RowLimit::ANY_NUMBER, &right).await?;
            let known = |(id, revision): (String, u64)| Some((id.parse().ok()?, revision));
            revisions = held.into_iter().filter_map(known).collect();
        }
        self.keep(session).await;
        Ok(revisions)
    }

    /// Our tables that exist.
    async fn tables_there(&self, conn: &mut Conn) -> Result<Vec<Table>, Fault> {
        let statement =
            "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE()";
        let right = "SELECT on information_schema";
        let names: Vec<String> = rows(conn, statement, (), RowLimit::ANY_NUMBER, right).await?;
        let mut tables = Table::all();
        tables.retain(|table| names.contains(&self.table_name(*table)));
        Ok(tables)
    }
}

/// The value of a column, from its JSON.
fn value(holds: ColumnType, json: Option<&str>, repaired: &mut u32) -> Value {
    let Some(json) = json else { return Value::NULL };
    let (json, count) = repair(json);
    *repaired += count;
    let text = || serde_json::from_str::<String>(&json).ok();
    let value = match holds {
        ColumnType::Json => Some(json.as_ref().into()),
        ColumnType::RecordId | ColumnType::Owner | ColumnType::Text => text().map(Value::from),
        ColumnType::Day => text().filter(|day| !day.starts_with('-')).map(Value::from),
        ColumnType::Integer => json.parse::<u64>().ok().map(Value::from),
        ColumnType::Number => json.parse::<f64>().ok().map(Value::from),
        ColumnType::Flag => json.parse::<bool>().ok().map(Value::from),
        ColumnType::Instant => text().and_then(|text| {
            let instant: Timestamp = text.parse().ok()?;
            let in_utc = instant.to_zoned(TimeZone::UTC);
            // The database knows the years from 1000 on.
            (in_utc.year() >= 1000)
                .then(|| in_utc.strftime("%Y-%m-%d %H:%M:%S%.3f").to_string().into())
        }),
    };
    value.unwrap_or(Value::NULL)
}

/// The statement that writes rows over lower revisions. Assignments run from left to right, so the
/// revision, which every condition reads, is last.
fn upsert(table: &str, columns: &[Column], rows: usize, force: bool) -> String {
    let names: Vec<_> = columns
        .iter()
        .map(|column| format!("`{}`", column.name))
        .collect();
    let compare = if force { ">=" } else { ">" };
    let is_newer = format!("VALUES(`revision`) {compare} `revision`");
    let mut sets: Vec<_> = names
        .iter()
        .filter(|name| !["`record_id`", "`revision`"].contains(&name.as_str()))
        .map(|name| format!("{name} = IF({is_newer}, VALUES({name}), {name})"))
        .collect();
    sets.push(format!(
        "`delivered_at` = IF({is_newer}, CURRENT_TIMESTAMP(3), `delivered_at`)"
    ));
    sets.push("`revision` = GREATEST(`revision`, VALUES(`revision`))".to_owned());
    let row = format!("({})", marks(names.len()));
    format!(
        "INSERT INTO `{table}` ({}) VALUES {} ON DUPLICATE KEY UPDATE {}",
        names.join(", "),
        vec![row; rows].join(", "),
        sets.join(", ")
    )
}
