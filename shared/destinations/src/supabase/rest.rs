//! The functions of the install script, called through Supabase's Data API.

use http::{
    HeaderValue,
    header::{AUTHORIZATION, CONTENT_TYPE},
};
use reqwest::{Client, Url};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::value::RawValue;

use super::faults::fault;
use crate::{
    change::{Change, Total},
    config::Format,
    envelope::JSON,
    id::{OwnerId, RecordId},
    kind::{Fault, Outcome},
    net::{MAX_CALL_BYTES, MAX_PAGE_BYTES, http_fault, read_document},
    postgres::faults::Doing,
    sql::{Part, Table, columns, parts},
};

/// Tables behind Supabase's Data API.
#[derive(Debug)]
pub(super) struct Rest {
    pub(super) http: Client,
    pub(super) project_url: Url,
    pub(super) key: SecretString,
    pub(super) schema: String,
    /// Format of the column `payload`.
    pub(super) format: Format,
}

#[derive(Deserialize)]
struct Counted {
    connection_id: String,
    table: String,
    count: u64,
    sum: u64,
}

impl Rest {
    /// Calls a function.
    pub(super) async fn call<T: DeserializeOwned>(
        &self,
        function: &str,
        body: String,
        doing: Doing<'_>,
    ) -> Result<T, Fault> {
        let mut url = self.project_url.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments
                .pop_if_empty()
                .extend(["rest", "v1", "rpc", function]);
        }
        let key = self.key.expose_secret();
        let sensitive = |text: String| {
            let value = HeaderValue::try_from(text);
            value
                .map(|mut value| {
                    value.set_sensitive(true);
                    value
                })
                .map_err(|_| Fault::misconfigured("the secret key holds what no key holds"))
        };
        let mut request = self
            .http
            .post(url)
            .header(CONTENT_TYPE, JSON)
            .header("content-profile", "public")
            .header("apikey", sensitive(key.to_owned())?);
        // A key of the old form is a JWT, which PostgREST itself reads; the new ones must not be there.
        if key.starts_with("eyJ") {
            request = request.header(AUTHORIZATION, sensitive(format!("Bearer {key}"))?);
        }
        let sent = request.body(body).send().await;
        let response = sent.map_err(|error| http_fault(&error))?;
        let (status, headers) = (response.status(), response.headers().clone());
        // The rows of an owner are listed at once.
        let most = match doing {
            Doing::Read(_) => MAX_CALL_BYTES,
            _ => MAX_PAGE_BYTES,
        };
        let body = read_document(response, most).await?;
        if !status.is_success() {
            return Err(fault(status, &headers, &body, doing));
        }
        serde_json::from_slice(&body)
            .map_err(|_| Fault::misconfigured("the URL does not answer as Supabase does"))
    }

    pub(super) fn name(&self, table: Table) -> String {
        format!("{}.{}", self.schema, table.name())
    }

    /// Version of the install script that was run.
    pub(super) async fn version(&self) -> Result<String, Fault> {
        let doing = Doing::Read("terrarium_version()");
        self.call("terrarium_version", "{}".to_owned(), doing).await
    }

    pub(super) async fn write(&self, changes: &[Change]) -> Result<Vec<Outcome>, Fault> {
        let mut outcomes = vec![Outcome::Stale; changes.len()];
        // One table per call: a call is a transaction, and two of them over several tables could wait
        // for each other.
        for ((table, force), part) in parts(changes, self.format, &mut outcomes) {
            self.write_part(table, force, &part, &mut outcomes).await?;
        }
        Ok(outcomes)
    }

    async fn write_part(
        &self,
        table: Table,
        force: bool,
        part: &Part,
        outcomes: &mut [Outcome],
    ) -> Result<(), Fault> {
        let (rows, repaired) = part.rows(&columns(table));
        let name = table.name();
        let body = format!(
            r#"{{"batch":{{"force":{force},"upserts":{{"{name}":{rows}}},"deletes":{{"{name}":{}}}}}}}"#,
            part.deletions()
        );
        let full = self.name(table);
        let applied = self.call("terrarium_apply", body, Doing::Write(&full));
        let mut applied: Vec<String> = applied.await?;
        part.settle(&mut applied, &repaired, outcomes);
        Ok(())
    }

    pub(super) async fn delete_owners(&self, owners: &[OwnerId]) -> Result<u64, Fault> {
        let body = serde_json::json!({"connections": owners}).to_string();
        self.call("terrarium_erase", body, Doing::Delete(&self.schema))
            .await
    }

    pub(super) async fn count(&self, owners: &[OwnerId]) -> Result<Vec<Total>, Fault> {
        let body = serde_json::json!({"connections": owners}).to_string();
        let doing = Doing::Read(&self.schema);
        let counted: Vec<Counted> = self.call("terrarium_totals", body, doing).await?;
        let total = |counted: Counted| {
            let mut tables = Table::all().into_iter();
            Some(Total {
                owner: owners
                    .iter()
                    .find(|owner| owner.as_str() == counted.connection_id)?
                    .clone(),
                data_type: tables
                    .find(|table| table.name() == counted.table)?
                    .data_type(),
                count: counted.count,
                sum: counted.sum,
            })
        };
        Ok(counted.into_iter().filter_map(total).collect())
    }

    pub(super) async fn list(
        &self,
        owner: &OwnerId,
        table: Table,
    ) -> Result<Vec<(RecordId, u64)>, Fault> {
        let body = serde_json::json!({"connection": owner, "data_type": table.name()});
        let full = self.name(table);
        let doing = Doing::Read(&full);
        let listed: Vec<(String, Box<RawValue>)> = self
            .call("terrarium_revisions", body.to_string(), doing)
            .await?;
        // A row that somebody else put there has another kind of id.
        let record = |(id, revision): (String, Box<RawValue>)| {
            Some((id.parse().ok()?, revision.get().parse().ok()?))
        };
        Ok(listed.into_iter().filter_map(record).collect())
    }
}
