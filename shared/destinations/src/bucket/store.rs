//! The stores that `object_store` speaks to.

use std::{error::Error as _, fmt, sync::Arc};

use async_trait::async_trait;
use http::Method;
use http_body_util::{BodyExt as _, Limited};
use object_store::{
    Attribute, Attributes, ClientOptions, Error, GetOptions, ObjectStore, ObjectStoreExt as _,
    PutMode, PutOptions, UpdateVersion,
    client::{
        HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse,
        HttpResponseBody, HttpService,
    },
    list::{PaginatedListOptions, PaginatedListStore},
    path::Path,
};

use super::objects::{Condition, Doing, Head, Object, Objects, PAGE, Page, Put, RECORD, REVISION};
use crate::{
    config::Fields,
    kind::{Fault, Unreachable},
    net::{Guard, MAX_ANSWER_BYTES, MAX_PAGE_BYTES, fault_of, without_end},
};

/// A store of `object_store`, with the names of its rights.
#[derive(Debug)]
pub(crate) struct Store {
    pub(crate) client: Arc<dyn ObjectStore>,
    /// The same store, asked for names that begin anyhow.
    pub(crate) pages: Pages,
    pub(crate) place: String,
    /// Rights to head, put, delete and list.
    pub(crate) rights: [String; 4],
    /// Returns the fault that an error's text means, by the store's own codes.
    pub(crate) codes: fn(&str) -> Option<Fault>,
}

/// Lists of a store, page by page. [`ObjectStore`] lists whole folders only.
pub(crate) struct Pages(pub(crate) Arc<dyn PaginatedListStore>);

impl fmt::Debug for Pages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pages")
    }
}

impl Pages {
    /// A page of the names that begin with `prefix`. Nothing else is read.
    async fn page(&self, prefix: &str, after: Option<&str>) -> object_store::Result<Page<String>> {
        let options = PaginatedListOptions {
            page_token: after.map(str::to_owned),
            max_keys: Some(PAGE),
            ..PaginatedListOptions::default()
        };
        let page = self.0.list_paginated(Some(prefix), options).await?;
        let objects = page.result.objects.into_iter();
        Ok(Page {
            items: objects.map(|object| object.location.into()).collect(),
            next: page.page_token,
        })
    }
}

/// A code of a store's and what it means.
pub(crate) type Code = (&'static str, fn() -> Fault);

/// The fault of the first code that stands in an error's text.
pub(crate) fn first_of(codes: &[Code], text: &str) -> Option<Fault> {
    let found = codes.iter().find(|(code, _)| text.contains(code));
    found.map(|(code, fault)| fault().with_code(code))
}

/// Reads where the store is, if it is not where its maker runs it.
pub(crate) fn endpoint(fields: &mut Fields<'_>, guard: &Guard) -> Option<String> {
    let url = fields.url("endpoint", guard)?;
    Some(url.as_str().trim_end_matches('/').to_owned())
}

/// Hands the one HTTP client to `object_store`.
#[derive(Debug, Clone)]
pub(crate) struct Connector {
    pub(crate) client: reqwest::Client,
    /// Checks every address that `object_store` made of the settings.
    pub(crate) guard: Guard,
}

impl HttpConnector for Connector {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(Bounded(self.clone())))
    }
}

/// The one HTTP client: it calls what may be called, and reads a bounded part of the answers.
#[derive(Debug)]
struct Bounded(Connector);

/// Checks an address that was made of settings: one written out does not pass through the resolver.
fn check(guard: &Guard, request: &HttpRequest) -> Result<(), Fault> {
    let url = request.uri().to_string().parse();
    let url = url.map_err(|_| Fault::misconfigured("the settings make no address"))?;
    let checked = guard.check_url(&url);
    checked.map_err(|blocked| Fault::misconfigured(blocked.to_string()))
}

#[async_trait]
impl HttpService for Bounded {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let Connector { client, guard } = &self.0;
        check(guard, &request).map_err(|fault| HttpError::new(HttpErrorKind::Request, fault))?;
        // Lists alone are read: nothing else that is asked for has an answer that matters.
        let most = match *request.method() {
            Method::GET => MAX_PAGE_BYTES,
            _ => MAX_ANSWER_BYTES,
        };
        let response = HttpService::call(client, request).await?;
        let (parts, body) = response.into_parts();
        let body = Limited::new(body, most);
        let body = body.map_err(|_| HttpError::new(HttpErrorKind::Decode, without_end()));
        Ok(HttpResponse::from_parts(parts, HttpResponseBody::new(body)))
    }
}

impl Store {
    fn fault(&self, error: &Error, doing: Doing) -> Fault {
        match error {
            Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => {
                let known = (self.codes)(&text_of(error));
                let finding = match doing {
                    // The answer to HEAD has no body.
                    Doing::Head => "the store refuses us, for its key or for a right",
                    _ => "the store refuses us",
                };
                known.unwrap_or_else(|| Fault::missing(finding, self.right(doing)).with_code(403))
            }
            Error::NotFound { .. } => {
                Fault::misconfigured(format!("there is no {}", self.place)).with_code(404)
            }
            Error::AlreadyExists { .. } | Error::Precondition { .. } => {
                Fault::Conflict { code: None }
            }
            error => {
                let text = text_of(error);
                if let Some(fault) = (self.codes)(&text) {
                    return fault;
                }
                match status_of(&text) {
                    Some(status @ (429 | 503)) => Fault::Throttled {
                        after: None,
                        code: None,
                    }
                    .with_code(status),
                    Some(409) => Fault::Conflict { code: None }.with_code(409),
                    Some(status @ (400 | 413)) => Fault::Rejected {
                        reason: "the store refuses the object".to_owned(),
                        code: Some(status.to_string()),
                    },
                    Some(status) if status >= 500 => {
                        Fault::unreachable(Unreachable::Server).with_code(status)
                    }
                    Some(status) => {
                        Fault::misconfigured("the store refuses the request").with_code(status)
                    }
                    None => fault_of(error),
                }
            }
        }
    }
}

/// The text of an error and of its causes. It is only searched for codes, never kept.
fn text_of(error: &Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}

fn status_of(text: &str) -> Option<u16> {
    let (_, rest) = text.split_once("status code: ")?;
    rest.get(..3)?.parse().ok()
}

#[async_trait]
impl Objects for Store {
    fn place(&self) -> String {
        self.place.clone()
    }

    fn right(&self, doing: Doing) -> String {
        let [head, put, delete, list] = &self.rights;
        match doing {
            Doing::Head => head,
            Doing::Put => put,
            Doing::Delete => delete,
            Doing::List => list,
        }
        .clone()
    }

    async fn head(&self, key: &str) -> Result<Option<Head>, Fault> {
        let options = GetOptions {
            head: true,
            ..GetOptions::default()
        };
        match self.client.get_opts(&Path::from(key), options).await {
            Ok(found) => {
                let metadata = |name: &'static str| {
                    let value = found.attributes.get(&Attribute::Metadata(name.into()));
                    value.map(|value| value.as_ref().to_owned())
                };
                Ok(Some(Head {
                    stamp: found.meta.e_tag.clone().unwrap_or_default(),
                    revision: metadata(REVISION).and_then(|text| text.parse().ok()),
                    record: metadata(RECORD),
                }))
            }
            // A missing object; or a missing bucket, which the write that follows tells.
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.fault(&error, Doing::Head)),
        }
    }

    async fn put(
        &self,
        key: &str,
        object: Object<'_>,
        condition: Condition<'_>,
    ) -> Result<Put, Fault> {
        let mut attributes = Attributes::new();
        attributes.insert(Attribute::ContentType, object.content_type.into());
        attributes.insert(
            Attribute::Metadata(REVISION.into()),
            object.revision.to_string().into(),
        );
        attributes.insert(
            Attribute::Metadata(RECORD.into()),
            object.record.to_owned().into(),
        );
        let mode = match condition {
            Condition::Any => PutMode::Overwrite,
            Condition::Missing => PutMode::Create,
            Condition::Unchanged(stamp) => PutMode::Update(UpdateVersion {
                e_tag: Some(stamp.to_owned()),
                version: None,
            }),
        };
        let options = PutOptions {
            mode,
            attributes,
            ..PutOptions::default()
        };
        match self
            .client
            .put_opts(&Path::from(key), object.bytes.into(), options)
            .await
        {
            Ok(_) => Ok(Put::Done),
            Err(Error::AlreadyExists { .. } | Error::Precondition { .. }) => Ok(Put::Lost),
            // The object was deleted between head and put.
            Err(Error::NotFound { .. }) if matches!(condition, Condition::Unchanged(_)) => {
                Ok(Put::Lost)
            }
            Err(error) => match self.fault(&error, Doing::Put) {
                Fault::Conflict { .. } => Ok(Put::Lost),
                fault => Err(fault),
            },
        }
    }

    async fn delete(&self, key: &str, _stamp: Option<&str>) -> Result<bool, Fault> {
        match self.client.delete(&Path::from(key)).await {
            Ok(()) | Err(Error::NotFound { .. }) => Ok(true),
            Err(error) => Err(self.fault(&error, Doing::Delete)),
        }
    }

    async fn page(&self, prefix: &str, after: Option<&str>) -> Result<Page<String>, Fault> {
        // As names are written: in one way.
        let mut begin = Path::from(prefix).to_string();
        if prefix.ends_with('/') {
            begin.push('/');
        }
        let listed = self.pages.page(&begin, after).await;
        listed.map_err(|error| self.fault(&error, Doing::List))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use object_store::{ListResult, ObjectMeta, list::PaginatedListResult};

    use super::*;
    use crate::{
        bucket::objects::Walk,
        net::{Network, SystemResolver, Tls, http_client},
    };

    /// A folder with many objects, of which each page has as many as are asked for.
    #[derive(Default)]
    struct Folder {
        keys: Vec<String>,
        pages: AtomicUsize,
        objects: AtomicUsize,
    }

    #[async_trait]
    impl PaginatedListStore for Folder {
        async fn list_paginated(
            &self,
            prefix: Option<&str>,
            options: PaginatedListOptions,
        ) -> object_store::Result<PaginatedListResult> {
            let from: usize = options.page_token.map_or(0, |at| at.parse().unwrap());
            let most = options.max_keys.unwrap();
            let prefix = prefix.unwrap_or_default();
            let matching = self.keys.iter().filter(|key| key.starts_with(prefix));
            let mut page: Vec<_> = matching.skip(from).take(most + 1).collect();
            let has_more = page.len() > most;
            page.truncate(most);
            self.pages.fetch_add(1, Ordering::SeqCst);
            self.objects.fetch_add(page.len(), Ordering::SeqCst);
            let objects = page.into_iter().map(|key| ObjectMeta {
                location: Path::from(key.as_str()),
                last_modified: std::time::UNIX_EPOCH.into(),
                size: 1,
                e_tag: None,
                version: None,
            });
            Ok(PaginatedListResult {
                result: ListResult {
                    common_prefixes: Vec::new(),
                    objects: objects.collect(),
                    extensions: options.extensions,
                },
                page_token: has_more.then(|| (from + most).to_string()),
            })
        }
    }

    /// Every page of a list.
    async fn all(pages: &Pages, prefix: &str) -> Vec<String> {
        let (mut keys, mut walk) = (Vec::new(), Walk::default());
        loop {
            let page = pages.page(prefix, walk.after()).await.unwrap();
            keys.extend(page.items);
            if !walk.go_on(page.next).unwrap() {
                return keys;
            }
        }
    }

    #[tokio::test]
    async fn one_users_objects_are_listed_and_not_the_folder_that_they_lie_in() {
        let keys =
            (0..100_000).map(|n| format!("2022-03-16/daily/user-{:05}-{}.json", n / 3, n % 3));
        let folder = Arc::new(Folder {
            keys: keys.collect(),
            ..Folder::default()
        });
        let pages = Pages(Arc::<Folder>::clone(&folder));
        assert_eq!(all(&pages, "2022-03-16/daily/user-07000-").await.len(), 3);
        let count = |counter: &AtomicUsize| counter.swap(0, Ordering::SeqCst);
        assert_eq!((count(&folder.pages), count(&folder.objects)), (1, 3));
        // Of many there is no more than there are.
        assert_eq!(all(&pages, "2022-03-16/daily/user-07").await.len(), 3000);
        assert_eq!((count(&folder.pages), count(&folder.objects)), (6, 3000));
    }

    #[tokio::test]
    async fn an_address_that_may_not_be_called_is_refused_whatever_it_was_made_of() {
        let guard = Guard::new(Network::Public, Arc::new(SystemResolver));
        let timeout = std::time::Duration::from_secs(5);
        let client = http_client(&guard, &Tls::default(), timeout).unwrap();
        // A name that no field lets through.
        for (bucket, why) in [
            ("127.0.0.1:9001/x", "it is this machine"),
            ("10.0.0.1/x", "is a private address"),
            ("metadata.google.internal/x", "a private network"),
        ] {
            let store = object_store::aws::AmazonS3Builder::new()
                .with_bucket_name(bucket)
                .with_region("eu-west-2")
                .with_virtual_hosted_style_request(true)
                .with_access_key_id("id")
                .with_secret_access_key("secret")
                .with_http_connector(Connector {
                    client: client.clone(),
                    guard: guard.clone(),
                })
                .with_retry(object_store::RetryConfig {
                    max_retries: 0,
                    ..object_store::RetryConfig::default()
                })
                .build()
                .unwrap();
            let error = store.head(&Path::from("key")).await.unwrap_err();
            let fault = fault_of(&error);
            assert_eq!(fault.name(), "misconfigured", "{fault:?}");
            assert!(fault.to_string().contains(why), "{fault}");
        }
    }
}
