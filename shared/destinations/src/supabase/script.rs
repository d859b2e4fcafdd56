//! The script that an operator runs once in Supabase's SQL editor.
//!
//! PostgREST's own upsert has no condition, so an older row would win
//! (<https://github.com/PostgREST/postgrest/issues/3425>). The functions of this script write with the
//! condition that the PostgreSQL kind writes with.

use sha2::{Digest as _, Sha256};

use crate::{
    postgres::{
        deliver::{IS_NEWER, delete, upsert},
        schema::{create_indexes, create_table, type_name},
    },
    sql::{Table, columns},
};

/// Functions that only the service may call.
const FUNCTIONS: [&str; 5] = [
    "terrarium_apply(jsonb)",
    "terrarium_erase(jsonb)",
    "terrarium_totals(jsonb)",
    "terrarium_revisions(text, text)",
    "terrarium_version()",
];

/// The version of a script: the beginning of its hash.
pub(super) fn version(schema: &str) -> String {
    let mut version = models::ids::hex(&Sha256::digest(body(schema)));
    version.truncate(12);
    version
}

/// Makes tables and functions, or brings those that are there up to date. Changes no row.
pub fn install_script(schema: &str) -> String {
    let version = version(schema);
    let body = body(schema);
    let closed = FUNCTIONS.map(|function| {
        format!(
            "REVOKE ALL ON FUNCTION public.{function} FROM PUBLIC, anon, authenticated;\n\
             GRANT EXECUTE ON FUNCTION public.{function} TO service_role;\n"
        )
    });
    let closed = closed.concat();
    format!(
        "-- Terrarium's tables and functions, version {version}. May be run again at any time.\n\
         BEGIN;\n{body}\
         CREATE OR REPLACE FUNCTION public.terrarium_version() RETURNS text LANGUAGE sql \
         SECURITY INVOKER SET search_path = '' AS $$ SELECT '{version}' $$;\n{closed}\
         COMMIT;\nNOTIFY pgrst, 'reload schema';\n"
    )
}

fn body(schema: &str) -> String {
    let mut statements = vec![format!("CREATE SCHEMA IF NOT EXISTS {schema}")];
    for table in Table::all() {
        let name = format!("{schema}.{}", table.name());
        statements.push(create_table(schema, table));
        for column in columns(table).iter().filter(|column| !column.required) {
            statements.push(format!(
                "ALTER TABLE {name} ADD COLUMN IF NOT EXISTS \"{}\" {}",
                column.name,
                type_name(column.holds)
            ));
        }
        statements.extend(create_indexes(schema, table));
        // Without a policy nobody but the service sees a row.
        statements.push(format!("ALTER TABLE {name} ENABLE ROW LEVEL SECURITY"));
    }
    statements.extend([
        format!("REVOKE ALL ON SCHEMA {schema} FROM PUBLIC, anon, authenticated"),
        format!("REVOKE ALL ON ALL TABLES IN SCHEMA {schema} FROM PUBLIC, anon, authenticated"),
        format!("GRANT USAGE ON SCHEMA {schema} TO service_role"),
        format!(
            "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO service_role"
        ),
        keep_newest(schema),
        apply(schema),
        erase(schema),
        totals(schema),
        revisions(schema),
    ]);
    let mut text = statements.join(";\n");
    text.push_str(";\n");
    text
}

/// Statements for every table.
fn each(statements: impl Fn(Table) -> String) -> String {
    let parts: Vec<_> = Table::all().into_iter().map(statements).collect();
    parts.concat()
}

fn function(head: &str, declared: &str, body: &str) -> String {
    format!(
        "CREATE OR REPLACE FUNCTION public.{head} LANGUAGE plpgsql SECURITY INVOKER \
         SET search_path = '' AS $$\nDECLARE {declared}\nBEGIN\n{body}END $$"
    )
}

/// Keeps an older state from being written over a newer one by anybody, in a table whose operator makes it the
/// trigger of: `BEFORE UPDATE ON terrarium.daily FOR EACH ROW EXECUTE FUNCTION terrarium.keep_newest()`.
fn keep_newest(schema: &str) -> String {
    format!(
        "CREATE OR REPLACE FUNCTION {schema}.keep_newest() RETURNS trigger LANGUAGE plpgsql \
         SET search_path = '' AS $$\nBEGIN\nIF NEW.revision < OLD.revision THEN RETURN NULL; END IF;\n\
         RETURN NEW;\nEND $$"
    )
}

/// Writes a batch `{"force": false, "upserts": {"daily": […]}, "deletes": {"daily": […]}}` and returns
/// the ids of the rows that were written.
fn apply(schema: &str) -> String {
    let newer = format!("({IS_NEWER} OR (forced AND t.revision = EXCLUDED.revision))");
    let parts = each(|table| {
        let (name, full) = (table.name(), format!("{schema}.{}", table.name()));
        let rows = format!("batch->'upserts'->'{name}'");
        let gone = format!("batch->'deletes'->'{name}'");
        let upsert = upsert(&full, &columns(table), &rows, &newer);
        let delete = delete(&full, &gone);
        format!(
            "IF {rows} IS NOT NULL THEN\nWITH written AS ({upsert})\n\
                 SELECT applied || coalesce(jsonb_agg(w.record_id), '[]') INTO applied FROM written w;\n\
                 END IF;\nIF {gone} IS NOT NULL THEN\n{delete};\nEND IF;\n"
        )
    });
    function(
        "terrarium_apply(batch jsonb) RETURNS jsonb",
        "applied jsonb := '[]'; forced boolean := coalesce((batch->>'force')::boolean, false);",
        &format!("{parts}RETURN applied;\n"),
    )
}

/// Deletes everything of some connections and returns how many rows there were.
fn erase(schema: &str) -> String {
    let parts = each(|table| {
        format!(
            "DELETE FROM {schema}.{} t WHERE t.connection_id IN \
                 (SELECT jsonb_array_elements_text(connections));\n\
                 GET DIAGNOSTICS n = ROW_COUNT;\ntotal := total + n;\n",
            table.name()
        )
    });
    function(
        "terrarium_erase(connections jsonb) RETURNS bigint",
        "n bigint; total bigint := 0;",
        &format!("{parts}RETURN total;\n"),
    )
}

/// Counts rows: `[{"connection_id": …, "table": "daily", "count": 1, "sum": 2}]`.
fn totals(schema: &str) -> String {
    let parts = Table::all().into_iter().map(|table| {
        format!(
            "SELECT t.connection_id, '{name}' AS \"table\", count(*) AS count, \
             sum(t.checksum)::bigint AS sum FROM {schema}.{name} t WHERE t.connection_id IN \
             (SELECT jsonb_array_elements_text(connections)) GROUP BY t.connection_id",
            name = table.name()
        )
    });
    let parts: Vec<_> = parts.collect();
    function(
        "terrarium_totals(connections jsonb) RETURNS jsonb",
        "found jsonb;",
        &format!(
            "SELECT coalesce(jsonb_agg(to_jsonb(a)), '[]') INTO found FROM (\n{}\n) a;\nRETURN found;\n",
            parts.join("\nUNION ALL\n")
        ),
    )
}

/// Lists the rows of one connection in one table: `[["9f3c…", 7]]`.
fn revisions(schema: &str) -> String {
    let parts = each(|table| {
        format!(
            "WHEN '{name}' THEN SELECT jsonb_agg(jsonb_build_array(t.record_id, t.revision)) INTO found \
                 FROM {schema}.{name} t WHERE t.connection_id = connection;\n",
            name = table.name()
        )
    });
    function(
        "terrarium_revisions(connection text, data_type text) RETURNS jsonb",
        "found jsonb;",
        &format!(
            "CASE data_type\n{parts}ELSE found := '[]';\nEND CASE;\nRETURN coalesce(found, '[]');\n"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_and_function_is_closed_to_the_public() {
        let script = install_script("terrarium");
        for table in Table::all() {
            let closed = format!(
                "ALTER TABLE terrarium.{} ENABLE ROW LEVEL SECURITY",
                table.name()
            );
            assert!(script.contains(&closed), "{closed}");
        }
        for function in script.split("FUNCTION public.").skip(1) {
            let name = function.split('(').next().unwrap();
            let revoked = format!("REVOKE ALL ON FUNCTION public.{name}(");
            assert!(script.contains(&revoked), "{revoked}");
        }
    }

    #[test]
    fn a_script_says_its_version_and_the_version_follows_the_schema() {
        assert!(install_script("a").contains(&format!("SELECT '{}'", version("a"))));
        assert_ne!(version("a"), version("b"));
    }
}
