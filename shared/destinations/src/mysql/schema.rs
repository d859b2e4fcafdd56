//! Making tables, and finding out what is there.

use std::collections::BTreeMap;

use mysql_async::{Conn, prelude::Queryable as _};

use super::{Mysql, deliver::rows, faults::fault};
use crate::{
    kind::{Fault, Finding, Shape},
    net::RowLimit,
    sql::{Column, ColumnType, Table, Usable, columns, missing},
};

fn type_name(holds: ColumnType) -> &'static str {
    match holds {
        ColumnType::RecordId => "CHAR(32) CHARACTER SET ascii COLLATE ascii_bin",
        ColumnType::Owner => "VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin",
        ColumnType::Integer => "BIGINT UNSIGNED",
        ColumnType::Number => "DOUBLE",
        ColumnType::Text => "TEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
        ColumnType::Flag => "BOOLEAN",
        ColumnType::Day => "DATE",
        ColumnType::Instant => "DATETIME(3)",
        ColumnType::Json => "JSON",
    }
}

/// The names that the database gives a type. JSON of MariaDB is text with a check.
fn is_type(holds: ColumnType, found: &str) -> bool {
    let names: &[&str] = match holds {
        ColumnType::RecordId => &["char"],
        ColumnType::Owner => &["varchar"],
        ColumnType::Integer => &["bigint"],
        ColumnType::Number => &["double"],
        ColumnType::Text => &["text", "mediumtext", "longtext"],
        ColumnType::Flag => &["tinyint"],
        ColumnType::Day => &["date"],
        ColumnType::Instant => &["datetime"],
        ColumnType::Json => &["json", "longtext"],
    };
    names.contains(&found)
}

fn definition(column: &Column) -> String {
    let (name, sql_type) = (&column.name, type_name(column.holds));
    match column.holds {
        ColumnType::RecordId => format!("`{name}` {sql_type} NOT NULL PRIMARY KEY"),
        _ if column.required => format!("`{name}` {sql_type} NOT NULL"),
        _ => format!("`{name}` {sql_type} NULL"),
    }
}

fn create_table(name: &str, table: Table) -> String {
    let mut parts: Vec<_> = columns(table).iter().map(definition).collect();
    parts.push("`delivered_at` DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3)".to_owned());
    parts.push(match table {
        Table::Connections => "KEY `by_reference` (`reference_id`(64))".to_owned(),
        Table::Records(_) => "KEY `by_reference` (`reference_id`(64), `day`)".to_owned(),
    });
    parts.push(match table {
        Table::Connections => "KEY `by_connection` (`connection_id`)".to_owned(),
        Table::Records(_) => "KEY `by_connection` (`connection_id`, `day`)".to_owned(),
    });
    format!(
        "CREATE TABLE IF NOT EXISTS `{name}` ({}) DEFAULT CHARACTER SET utf8mb4",
        parts.join(", ")
    )
}

impl Mysql {
    pub(super) fn table_name(&self, table: Table) -> String {
        format!("{}{}", self.settings.table_prefix, table.name())
    }

    /// Makes what is missing and reads what is there.
    pub(super) async fn ensure(&self, conn: &mut Conn, table: Table) -> Result<Usable, Fault> {
        let name = self.table_name(table);
        let there = existing(conn, &name).await?;
        let missing = missing(table, &there);
        let there = if missing.is_empty() {
            there
        } else {
            self.make(conn, &name, table, &missing, !there.is_empty())
                .await?;
            existing(conn, &name).await?
        };
        Usable::of(table, &name, &there, is_type)
    }

    async fn make(
        &self,
        conn: &mut Conn,
        name: &str,
        table: Table,
        missing: &[Column],
        exists: bool,
    ) -> Result<(), Fault> {
        let right = format!("CREATE, ALTER, INDEX on {}.{name}", self.settings.database);
        // There is no transaction around it: a lock keeps two of us from altering at once.
        let locked = conn.query_drop("SELECT GET_LOCK('terrarium', 10)").await;
        locked.map_err(|error| fault(&error, &right))?;
        if !exists {
            let made = conn.query_drop(create_table(name, table)).await;
            made.map_err(|error| fault(&error, &right))?;
        }
        for column in missing.iter().filter(|_| exists) {
            let statement = format!(
                "ALTER TABLE `{name}` ADD COLUMN `{}` {} NULL",
                column.name,
                type_name(column.holds)
            );
            let added = conn
                .query_drop(statement)
                .await
                .map_err(|error| fault(&error, &right));
            // 1060: somebody added the column meanwhile.
            if let Err(error) = added
                && error.code() != Some("1060")
            {
                return Err(error);
            }
        }
        let unlocked = conn.query_drop("SELECT RELEASE_LOCK('terrarium')").await;
        unlocked.map_err(|error| fault(&error, &right))
    }

    pub(super) async fn make_tables(&self, shape: &Shape) -> Result<Vec<Finding>, Fault> {
        let started = tokio::time::Instant::now();
        let records = shape.data_types.iter().copied().map(Table::Records);
        let tables: Vec<_> = records.chain([Table::Connections]).collect();
        let mut session = self.session().await?;
        let mut findings = Vec::new();
        for table in tables {
            let usable = self.usable(&mut session, table).await?;
            findings.extend(usable.warnings(&self.table_name(table), started.elapsed()));
        }
        self.keep(session).await;
        Ok(findings)
    }
}

async fn existing(conn: &mut Conn, name: &str) -> Result<BTreeMap<String, String>, Fault> {
    let statement = "SELECT LOWER(column_name), LOWER(data_type) FROM information_schema.columns \
                     WHERE table_schema = DATABASE() AND table_name = ?";
    let right = "SELECT on information_schema";
    let found: Vec<(String, String)> =
        rows(conn, statement, (name,), RowLimit::ANY_NUMBER, right).await?;
    Ok(found.into_iter().collect())
}
