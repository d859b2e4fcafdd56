//! Reading, writing and listing objects.

use async_trait::async_trait;
use http::header::CONTENT_TYPE;
use reqwest::Url;
use serde::Deserialize;
use serde_json::json;

use super::{Objects, faults::fault};
use crate::{
    bucket::{self, Condition, Doing, Head, Object, PAGE, Page, Put, RECORD, REVISION},
    google::Answer,
    kind::Fault,
    net::{MAX_ANSWER_BYTES, MAX_PAGE_BYTES},
};

/// An object in an answer.
#[derive(Deserialize)]
struct Found {
    name: Option<String>,
    generation: Option<String>,
    #[serde(default)]
    metadata: serde_json::Map<String, serde_json::Value>,
}

/// A page of a list.
#[derive(Deserialize)]
struct Listed {
    #[serde(default)]
    items: Vec<Found>,
    #[serde(rename = "nextPageToken")]
    next_page_token: Option<String>,
}

impl Found {
    fn into_head(self) -> Head {
        let text = |name: &str| self.metadata.get(name)?.as_str().map(str::to_owned);
        Head {
            revision: text(REVISION).and_then(|text| text.parse().ok()),
            record: text(RECORD),
            stamp: self.generation.unwrap_or_default(),
        }
    }
}

impl Objects {
    /// The address of an object, or of the bucket's objects.
    fn url(&self, begin: &[&str], key: Option<&str>) -> Url {
        let mut url = self.base.clone();
        // Refused only for a URL without a host, and this one has one.
        if let Ok(mut segments) = url.path_segments_mut() {
            let path = ["storage", "v1", "b", &self.bucket, "o"];
            segments.pop_if_empty().extend(begin).extend(path);
            segments.extend(key);
        }
        url
    }

    fn fault(&self, answer: &Answer, doing: Doing) -> Fault {
        let right = bucket::Objects::right(self, doing);
        fault(answer, &right, &bucket::Objects::place(self))
    }

    /// A page of a list.
    async fn found(&self, prefix: &str, after: Option<&str>) -> Result<Page<Found>, Fault> {
        let mut url = self.url(&[], None);
        url.query_pairs_mut()
            .append_pair("prefix", prefix)
            .append_pair("maxResults", &PAGE.to_string())
            .append_pair("fields", "items(name,generation,metadata),nextPageToken");
        if let Some(token) = after {
            url.query_pairs_mut().append_pair("pageToken", token);
        }
        let sent = self
            .google
            .send(MAX_PAGE_BYTES, |http| http.get(url.clone()));
        let answer = sent.await?;
        if !answer.status.is_success() {
            return Err(self.fault(&answer, Doing::List));
        }
        let listed: Listed = serde_json::from_slice(&answer.body).map_err(|_| unreadable())?;
        Ok(Page {
            items: listed.items,
            next: listed.next_page_token,
        })
    }
}

fn unreadable() -> Fault {
    Fault::misconfigured("the endpoint does not answer as Google Cloud Storage does")
}

#[async_trait]
impl bucket::Objects for Objects {
    fn place(&self) -> String {
        format!("gs://{}", self.bucket)
    }

    fn right(&self, doing: Doing) -> String {
        let rights = match doing {
            // Without the right to list, an object that is not there is answered with 403.
            Doing::Head => "storage.objects.get, storage.objects.list",
            // Writing over an object deletes the one that was there.
            Doing::Put => "storage.objects.create, storage.objects.delete",
            Doing::Delete => "storage.objects.delete",
            Doing::List => "storage.objects.list",
        };
        format!("{rights} on {}", bucket::Objects::place(self))
    }

    async fn head(&self, key: &str) -> Result<Option<Head>, Fault> {
        let mut url = self.url(&[], Some(key));
        url.query_pairs_mut()
            .append_pair("fields", "generation,metadata");
        let answer = self
            .google
            .send(MAX_ANSWER_BYTES, |http| http.get(url.clone()))
            .await?;
        match answer.status.as_u16() {
            // A missing object; or a missing bucket, which the write that follows tells.
            404 => Ok(None),
            200 => {
                let found: Found =
                    serde_json::from_slice(&answer.body).map_err(|_| unreadable())?;
                Ok(Some(found.into_head()))
            }
            _ => Err(self.fault(&answer, Doing::Head)),
        }
    }

    async fn put(
        &self,
        key: &str,
        object: Object<'_>,
        condition: Condition<'_>,
    ) -> Result<Put, Fault> {
        let mut url = self.url(&["upload"], None);
        url.query_pairs_mut()
            .append_pair("uploadType", "multipart")
            .append_pair("fields", "generation");
        let generation = match condition {
            Condition::Any => None,
            Condition::Missing => Some("0"),
            Condition::Unchanged(generation) => Some(generation),
        };
        if let Some(generation) = generation {
            url.query_pairs_mut()
                .append_pair("ifGenerationMatch", generation);
        }
        // By chance, so that no content can hold it.
        let boundary = format!("terrarium-{:032x}", rand::random::<u128>());
        let metadata = json!({
            "name": key,
            "contentType": object.content_type,
            "metadata": {REVISION: object.revision.to_string(), RECORD: object.record},
        });
        let mut body = format!(
            "--{boundary}\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n{metadata}\r\n\
             --{boundary}\r\nContent-Type: {}\r\n\r\n",
            object.content_type
        )
        .into_bytes();
        body.extend_from_slice(&object.bytes);
        body.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
        let body = bytes::Bytes::from(body);
        let content_type = format!("multipart/related; boundary={boundary}");
        let answer = self
            .google
            .send(MAX_ANSWER_BYTES, |http| {
                let request = http.post(url.clone()).body(body.clone());
                request.header(CONTENT_TYPE, &content_type)
            })
            .await?;
        if answer.status.is_success() {
            return Ok(Put::Done);
        }
        match self.fault(&answer, Doing::Put) {
            Fault::Conflict { .. } => Ok(Put::Lost),
            fault => Err(fault),
        }
    }

    async fn delete(&self, key: &str, stamp: Option<&str>) -> Result<bool, Fault> {
        let mut url = self.url(&[], Some(key));
        if let Some(generation) = stamp {
            url.query_pairs_mut()
                .append_pair("ifGenerationMatch", generation);
        }
        let answer = self
            .google
            .send(MAX_ANSWER_BYTES, |http| http.delete(url.clone()))
            .await?;
        match answer.status.as_u16() {
            200..=299 | 404 => Ok(true),
            412 => Ok(false),
            _ => Err(self.fault(&answer, Doing::Delete)),
        }
    }

    async fn page(&self, prefix: &str, after: Option<&str>) -> Result<Page<String>, Fault> {
        let page = self.found(prefix, after).await?;
        let names = page.items.into_iter().filter_map(|found| found.name);
        Ok(Page {
            items: names.collect(),
            next: page.next,
        })
    }

    async fn heads(&self, prefix: &str, after: Option<&str>) -> Result<Page<Head>, Fault> {
        let page = self.found(prefix, after).await?;
        Ok(Page {
            items: page.items.into_iter().map(Found::into_head).collect(),
            next: page.next,
        })
    }
}
