//! Making tables, and finding out what is there.

use std::collections::BTreeMap;

use models::data::DataType;
use tokio_postgres::{Client, types::Type};

use super::{
    Postgres,
    faults::{Doing, fault},
};
use crate::{
    kind::{Fault, Finding, Shape},
    sql::{Column, ColumnType, Table, Usable, columns, missing},
};

/// The type of a column in PostgreSQL.
pub(crate) fn type_name(column_type: ColumnType) -> &'static str {
    match column_type {
        ColumnType::RecordId | ColumnType::Owner | ColumnType::Text => "text",
        ColumnType::Integer => "bigint",
        ColumnType::Number => "double precision",
        ColumnType::Flag => "boolean",
        ColumnType::Day => "date",
        ColumnType::Instant => "timestamp with time zone",
        ColumnType::Json => "jsonb",
    }
}

fn definition(column: &Column) -> String {
    let name = &column.name;
    let sql_type = type_name(column.holds);
    match column.holds {
        ColumnType::RecordId => format!("\"{name}\" text COLLATE \"C\" PRIMARY KEY"),
        _ if column.required => format!("\"{name}\" {sql_type} NOT NULL"),
        _ => format!("\"{name}\" {sql_type}"),
    }
}

/// The statement that makes a table.
pub(crate) fn create_table(schema: &str, table: Table) -> String {
    let columns: Vec<_> = columns(table).iter().map(definition).collect();
    format!(
        "CREATE TABLE IF NOT EXISTS {schema}.{} ({}, \"delivered_at\" timestamptz NOT NULL DEFAULT now())",
        table.name(),
        columns.join(", ")
    )
}

/// The statements that make the indexes of a table.
pub(crate) fn create_indexes(schema: &str, table: Table) -> Vec<String> {
    let name = table.name();
    let index = |suffix: &str, columns: &str| {
        format!("CREATE INDEX IF NOT EXISTS {name}_{suffix} ON {schema}.{name} ({columns})")
    };
    match table {
        Table::Connections => vec![
            index("connection", "connection_id"),
            index("reference", "reference_id"),
        ],
        Table::Records(_) => vec![
            index("connection_day", "connection_id, day"),
            index("reference_day", "reference_id, day"),
        ],
    }
}

/// Terra's own tables as views over ours.
fn terra_views(schema: &str) -> Vec<String> {
    let with_times = |data_type: &DataType| {
        let columns = columns(Table::Records(*data_type));
        let has = |name: &str| columns.iter().any(|column| column.name == name);
        has("start_time") && has("end_time")
    };
    let payloads: Vec<_> = DataType::ALL
        .iter()
        .filter(|data_type| with_times(data_type))
        .map(|data_type| {
            format!(
                "SELECT terra_user_id AS user_id, '{data_type}' AS data_type, delivered_at AS created_at, \
                 start_time, end_time, payload FROM {schema}.{data_type}"
            )
        })
        .collect();
    vec![
        format!(
            "CREATE OR REPLACE VIEW {schema}.terra_users AS SELECT terra_user_id AS user_id, reference_id, \
             first_seen_at::text AS created_at, (SELECT string_agg(s, ',') FROM \
             jsonb_array_elements_text(scopes) s) AS granted_scopes, provider, status AS state \
             FROM {schema}.connections"
        ),
        format!(
            "CREATE OR REPLACE VIEW {schema}.terra_data_payloads AS {}",
            payloads.join(" UNION ALL ")
        ),
    ]
}

impl Postgres {
    /// Makes what is missing and reads what is there.
    pub(super) async fn ensure(&self, client: &Client, table: Table) -> Result<Usable, Fault> {
        let there = self.existing(client, table).await?;
        let missing = missing(table, &there);
        let there = if missing.is_empty() {
            there
        } else {
            self.make(client, table, &missing, !there.is_empty())
                .await?;
            self.existing(client, table).await?
        };
        Usable::of(table, &self.name(table), &there, |holds, found| {
            found == type_name(holds)
        })
    }

    async fn existing(
        &self,
        client: &Client,
        table: Table,
    ) -> Result<BTreeMap<String, String>, Fault> {
        // pg_attribute shows columns whatever the user's rights are.
        let rows = client
            .query_typed(
                "SELECT a.attname::text, format_type(a.atttypid, NULL) FROM pg_attribute a \
                 JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace \
                 WHERE n.nspname = $1 AND c.relname = $2 AND a.attnum > 0 AND NOT a.attisdropped",
                &[(&self.settings.schema, Type::TEXT), (&table.name(), Type::TEXT)],
            )
            .await
            .map_err(|error| fault(&error, Doing::Read("pg_attribute")))?;
        let columns = rows
            .iter()
            .map(|row| Ok((row.try_get(0)?, row.try_get(1)?)));
        let columns: Result<_, tokio_postgres::Error> = columns.collect();
        columns.map_err(|error| fault(&error, Doing::Read("pg_attribute")))
    }

    async fn make(
        &self,
        client: &Client,
        table: Table,
        missing: &[Column],
        exists: bool,
    ) -> Result<(), Fault> {
        let schema = &self.settings.schema;
        let name = format!("{schema}.{}", table.name());
        // Without the right to create a schema, one that is there must do.
        let there = client
            .query_typed(
                "SELECT 1 FROM pg_namespace WHERE nspname = $1",
                &[(schema, Type::TEXT)],
            )
            .await
            .map_err(|error| fault(&error, Doing::Read("pg_namespace")))?;
        if there.is_empty() {
            let statement = format!(
                "BEGIN; SELECT pg_advisory_xact_lock(hashtext('terrarium')); \
                 CREATE SCHEMA IF NOT EXISTS {schema}; COMMIT"
            );
            self.run(
                client,
                &statement,
                Doing::MakeSchema(&self.settings.database),
            )
            .await?;
        }
        let mut statements = Vec::new();
        if exists {
            for column in missing {
                // A column that is added is empty in the rows that are there.
                let sql_type = type_name(column.holds);
                statements.push(format!(
                    "ALTER TABLE {name} ADD COLUMN IF NOT EXISTS \"{}\" {sql_type}",
                    column.name
                ));
            }
        } else {
            statements.push(create_table(schema, table));
            statements.extend(create_indexes(schema, table));
        }
        let statement = format!(
            "BEGIN; SELECT pg_advisory_xact_lock(hashtext('terrarium')); {}; COMMIT",
            statements.join("; ")
        );
        self.run(client, &statement, Doing::MakeTable(&name)).await
    }

    async fn run(&self, client: &Client, statement: &str, doing: Doing<'_>) -> Result<(), Fault> {
        let result = client.batch_execute(statement).await;
        if let Err(error) = result {
            // Leaves the transaction that failed; the connection is thrown away if even that fails.
            drop(client.batch_execute("ROLLBACK").await);
            return Err(fault(&error, doing));
        }
        Ok(())
    }

    pub(super) async fn make_tables(&self, shape: &Shape) -> Result<Vec<Finding>, Fault> {
        let started = tokio::time::Instant::now();
        let records = shape.data_types.iter().copied().map(Table::Records);
        let tables: Vec<_> = records.chain([Table::Connections]).collect();
        let mut session = self.session().await?;
        let mut findings = Vec::new();
        for table in tables {
            let usable = self.usable(&mut session, table).await?;
            findings.extend(usable.warnings(&self.name(table), started.elapsed()));
        }
        if self.settings.terra_views && shape.data_types.len() == DataType::ALL.len() {
            for view in terra_views(&self.settings.schema) {
                let name = format!("{}.terra_users", self.settings.schema);
                self.run(&session.client, &view, Doing::MakeTable(&name))
                    .await?;
            }
        }
        self.keep(session).await;
        Ok(findings)
    }
}
