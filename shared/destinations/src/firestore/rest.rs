//! The calls of the interface.

use http::header::CONTENT_TYPE;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};

use super::{Firestore, Layout, faults::fault};
use crate::{envelope::JSON, kind::Fault, net::MAX_PAGE_BYTES};

/// Documents of one page of a query.
pub(super) const PAGE: usize = 300;

/// Pages of one query that are read at most.
pub(super) const MAX_PAGES: usize = 1000;

/// Values that one filter may name.
pub(super) const MOST_NAMED: usize = 30;

/// Fields of our own in a document.
#[derive(Debug, Deserialize)]
pub(super) struct Document {
    pub(super) name: String,
    #[serde(default)]
    pub(super) fields: Map<String, Value>,
    #[serde(rename = "updateTime", default)]
    pub(super) update_time: String,
}

/// One answer of `batchGet`.
#[derive(Debug, Deserialize)]
struct Got {
    found: Option<Document>,
}

/// One answer of `runQuery`; the last has no document.
#[derive(Debug, Deserialize)]
struct Queried {
    document: Option<Document>,
}

#[derive(Debug, Deserialize)]
struct Written {
    #[serde(default)]
    status: Vec<WriteStatus>,
}

#[derive(Debug, Deserialize)]
struct WriteStatus {
    /// Absent means 0: the write succeeded.
    #[serde(default)]
    code: u16,
}

#[derive(Debug, Deserialize)]
struct Aggregated {
    result: Option<AggregationResult>,
}

#[derive(Debug, Deserialize)]
struct AggregationResult {
    #[serde(rename = "aggregateFields", default)]
    fields: Map<String, Value>,
}

/// A whole number in Firestore's form: a text.
pub(super) fn whole(value: Option<&Value>) -> Option<u64> {
    let value = value?;
    let text = value.get("integerValue").and_then(Value::as_str);
    text.and_then(|text| text.parse().ok())
}

/// A text in Firestore's form.
pub(super) fn text(value: Option<&Value>) -> Option<&str> {
    value?.get("stringValue")?.as_str()
}

impl Document {
    /// A field of ours.
    pub(super) fn ours(&self, layout: Layout, name: &str) -> Option<&Value> {
        match layout {
            Layout::Record => self.fields.get(name),
            Layout::Terra => self
                .fields
                .get("_terrarium")?
                .get("mapValue")?
                .get("fields")?
                .get(name),
        }
    }
}

impl Firestore {
    /// Path of a field of ours.
    pub(super) fn path(&self, name: &str) -> String {
        match self.layout {
            Layout::Record => name.to_owned(),
            Layout::Terra => format!("_terrarium.{name}"),
        }
    }

    pub(super) fn right(&self, rights: &str) -> String {
        format!("{rights} on project {}", self.project)
    }

    /// Calls a method of `place`, which is a path below the version.
    async fn call<T: DeserializeOwned>(
        &self,
        place: &str,
        method: &str,
        body: &Value,
        right: &str,
    ) -> Result<T, Fault> {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().push("v1");
            let mut parts = place.split('/').peekable();
            while let Some(part) = parts.next() {
                if parts.peek().is_none() {
                    segments.push(&format!("{part}:{method}"));
                } else {
                    segments.push(part);
                }
            }
        }
        let body = bytes::Bytes::from(body.to_string());
        let request = |http: &reqwest::Client| {
            let request = http.post(url.clone()).header(CONTENT_TYPE, JSON);
            request.body(body.clone())
        };
        let answer = self.google.send(MAX_PAGE_BYTES, request).await?;
        let missing = self.right(right);
        if !answer.status.is_success() {
            return Err(fault(&answer, &missing));
        }
        serde_json::from_slice(&answer.body).map_err(|_| fault(&answer, &missing))
    }

    /// `projects/<project>/databases/<database>/documents`.
    fn documents(&self) -> String {
        let segments: Vec<_> = self.parent.split('/').take(5).collect();
        segments.join("/")
    }

    /// Reads our fields of documents by their names. What is missing is left out.
    pub(super) async fn get(&self, names: &[&str]) -> Result<Vec<Document>, Fault> {
        let body = json!({
            "documents": names,
            "mask": {"fieldPaths": [self.path("revision"), self.path("record_id")]},
        });
        let right = "datastore.entities.get";
        let got: Vec<Got> = self
            .call(&self.documents(), "batchGet", &body, right)
            .await?;
        Ok(got.into_iter().filter_map(|got| got.found).collect())
    }

    /// Writes; returns the code of each write.
    pub(super) async fn batch_write(&self, writes: &[Value]) -> Result<Vec<u16>, Fault> {
        let body = json!({"writes": writes});
        let right = WRITE;
        let written: Written = self
            .call(&self.documents(), "batchWrite", &body, right)
            .await?;
        if written.status.len() != writes.len() {
            return Err(Fault::misconfigured(
                "the endpoint does not answer as Firestore does",
            ));
        }
        Ok(written.status.iter().map(|status| status.code).collect())
    }

    /// The documents of a collection whose field has this value, at most a page of them, after the one
    /// of this name.
    pub(super) async fn page(
        &self,
        collection: &str,
        (path, value): (&str, &str),
        after: Option<&str>,
    ) -> Result<Vec<Document>, Fault> {
        let mut query = filtered(collection, path, "EQUAL", &json!({"stringValue": value}));
        if let Some(query) = query.as_object_mut() {
            query.insert("select".to_owned(), self.ours_alone());
            query.insert(
                "orderBy".to_owned(),
                json!([{"field": {"fieldPath": "__name__"}}]),
            );
            query.insert("limit".to_owned(), json!(PAGE));
            if let Some(name) = after {
                let start = json!({"values": [{"referenceValue": name}], "before": false});
                query.insert("startAt".to_owned(), start);
            }
        }
        self.run(query).await
    }

    /// The documents of records, of which there may be [`MOST_NAMED`], wherever they are in a collection.
    pub(super) async fn of_records(
        &self,
        collection: &str,
        ids: &[&str],
    ) -> Result<Vec<Document>, Fault> {
        let ids: Vec<_> = ids.iter().map(|id| json!({"stringValue": id})).collect();
        let ids = json!({"arrayValue": {"values": ids}});
        let mut query = filtered(collection, &self.path("record_id"), "IN", &ids);
        if let Some(query) = query.as_object_mut() {
            query.insert("select".to_owned(), self.ours_alone());
        }
        self.run(query).await
    }

    fn ours_alone(&self) -> Value {
        let fields = ["record_id", "revision"].map(|name| json!({"fieldPath": self.path(name)}));
        json!({"fields": fields})
    }

    async fn run(&self, query: Value) -> Result<Vec<Document>, Fault> {
        let body = json!({"structuredQuery": query});
        let right = "datastore.entities.list, datastore.entities.get";
        let found: Vec<Queried> = self.call(&self.parent, "runQuery", &body, right).await?;
        Ok(found.into_iter().filter_map(|row| row.document).collect())
    }

    /// Number of the documents of a collection that an owner has, and the sum of their checksums.
    pub(super) async fn aggregate(
        &self,
        collection: &str,
        owner: &str,
    ) -> Result<(u64, u64), Fault> {
        let body = json!({"structuredAggregationQuery": {
            "structuredQuery": filtered(
                collection,
                &self.path("connection_id"),
                "EQUAL",
                &json!({"stringValue": owner}),
            ),
            "aggregations": [
                {"alias": "n", "count": {}},
                {"alias": "sum", "sum": {"field": {"fieldPath": self.path("checksum")}}},
            ],
        }});
        let right = "datastore.entities.list, datastore.entities.get";
        let rows: Vec<Aggregated> = self
            .call(&self.parent, "runAggregationQuery", &body, right)
            .await?;
        let result = rows.into_iter().find_map(|row| row.result);
        let fields = result.map(|result| result.fields).unwrap_or_default();
        let number = |name| whole(fields.get(name)).unwrap_or_default();
        Ok((number("n"), number("sum")))
    }
}

/// A query of one collection by one field.
fn filtered(collection: &str, path: &str, operator: &str, value: &Value) -> Value {
    json!({
        "from": [{"collectionId": collection}],
        "where": {"fieldFilter": {
            "field": {"fieldPath": path},
            "op": operator,
            "value": value,
        }},
    })
}

/// Rights to write.
pub(super) const WRITE: &str =
    "datastore.entities.create, datastore.entities.update, datastore.entities.delete";
