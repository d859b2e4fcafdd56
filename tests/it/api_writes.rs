//! The items that the API writes: no others than its role on AWS allows, and all of those.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};

use api::{App, Clock, KeyCache, Upstream, WebhookSecrets, route::Verb, token::SigningKeys};
use aws_sdk_dynamodb::{
    Client,
    config::{
        ConfigBag, Intercept, RuntimeComponents,
        interceptors::BeforeSerializationInterceptorContextRef,
    },
    error::BoxError,
    operation::{
        batch_write_item::BatchWriteItemInput, delete_item::DeleteItemInput,
        put_item::PutItemInput, transact_write_items::TransactWriteItemsInput,
        update_item::UpdateItemInput,
    },
    types::AttributeValue,
};
use domain::{access::Scope, delivery::Network};
use runtime::{metrics::Sink, queue::Queue};
use serde_json::{Value, json};
use store::{exports::Exports, table::Table};
use terrarium::system::{DELIVERIES_QUEUE, JOBS_QUEUE, TABLE_NAME, dynamodb_client};

use crate::{
    api::{ANN, OF_ANN, add_destination, key_with, with_ann_in},
    calls::{Names, call_of},
    signed_in::SignedIn,
    world::{World, now, stand_in_terra},
};

/// Partitions that the API's role on AWS may write; tests/aws holds the template to the same file.
const ALLOWED: &str = include_str!("../aws/partitions_of_api.json");

/// Notes the partitions of all that is written.
#[derive(Debug, Clone, Default)]
struct Written(Arc<Mutex<BTreeSet<String>>>);

impl Written {
    fn note(&self, partition: Option<&AttributeValue>) {
        let partition = partition.and_then(|it| it.as_s().ok()).unwrap();
        self.0.lock().unwrap().insert(partition.clone());
    }
}

impl Intercept for Written {
    fn name(&self) -> &'static str {
        "Written"
    }

    fn read_before_serialization(
        &self,
        context: &BeforeSerializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let input = context.input();
        if let Some(put) = input.downcast_ref::<PutItemInput>() {
            self.note(put.item().unwrap().get("pk"));
        } else if let Some(delete) = input.downcast_ref::<DeleteItemInput>() {
            self.note(delete.key().unwrap().get("pk"));
        }
        // The role may do nothing else.
        assert!(input.downcast_ref::<UpdateItemInput>().is_none());
        assert!(input.downcast_ref::<BatchWriteItemInput>().is_none());
        for part in input
            .downcast_ref::<TransactWriteItemsInput>()
            .into_iter()
            .flat_map(TransactWriteItemsInput::transact_items)
        {
            assert!(part.update().is_none() && part.condition_check().is_none());
            if let Some(put) = part.put() {
                self.note(put.item().get("pk"));
            }
            if let Some(delete) = part.delete() {
                self.note(delete.key().get("pk"));
            }
        }
        Ok(())
    }
}

/// An API of its own over the table of a system; what it writes is noted.
async fn api_over(world: &World) -> (String, Written) {
    let written = Written::default();
    let address = api_with(world, written.clone(), Arc::new(now)).await;
    (address, written)
}

/// An API of its own over the table of a system, whose requests go through an interceptor.
pub(crate) async fn api_with(
    world: &World,
    interceptor: impl Intercept + 'static,
    clock: Clock,
) -> String {
    let client = dynamodb_client(&world.system.dynamodb).unwrap();
    let config = client.config().to_builder().interceptor(interceptor);
    let folder = world.folder.path();
    let queues = &world.system.queues;
    let app = App {
        table: Table::new(Client::from_conf(config.build()), TABLE_NAME),
        archive: world.system.archive.clone(),
        exports: Exports::folder(folder),
        jobs: Some(Queue::new(queues.transport(JOBS_QUEUE))),
        deliveries: Some(Queue::new(queues.transport(DELIVERIES_QUEUE))),
        destination_secrets: Some(deliver::Vault::folder(folder).into_store()),
        widest: Network::Local,
        role: None,
        signing_keys: SigningKeys::known("the key of this test".into()),
        webhook_secrets: WebhookSecrets::known(Vec::new()),
        upstream: Upstream::given(Some(stand_in_terra().await), true),
        keys: KeyCache::default(),
        allowed_origins: Vec::new(),
        return_hosts: Vec::new(),
        clock,
        answers_within: api::ANSWERS_WITHIN,
        metrics: Sink::Nowhere,
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let router = api::router(&Arc::new(app));
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

/// A destination that owes something, and one that failed for good at something.
async fn with_destinations(world: &World) {
    let table = &world.system.table;
    add_destination(world, "dst_one", "active").await;
    let id = "dst_one".parse().unwrap();
    let failed = json!({
        "changed": {"changed": "connection", "id": world.connection("user-1").await.id},
        "cause": "live", "attempts": 1, "first_failed_at_ms": 0, "due_at_ms": 0,
    });
    let failed = serde_json::from_value(failed).unwrap();
    table.fail(&id, &failed).await.unwrap();
}

fn matches(pattern: &str, partition: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(beginning) => partition.starts_with(beginning),
        None => partition == pattern,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_writes_what_its_role_allows_and_no_other_item() {
    let world = with_ann_in(World::start_with_terra().await).await;
    with_destinations(&world).await;
    let (address, written) = api_over(&world).await;
    let key = key_with(&world, Scope::ALL).await;
    let call = async |method: &str, path: &str, body: Option<&Value>, once: &str| {
        let request = world
            .http
            .request(method.parse().unwrap(), format!("{address}{path}"));
        let request = request.bearer_auth(&key).header("if-match", "\"0\"");
        let request = match body {
            Some(body) => request
                .header("content-type", "application/json")
                .header("idempotency-key", once)
                .body(body.to_string()),
            None => request,
        };
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        assert!(status < 500, "{method} {path}: {status}");
        let text = answer.text().await.unwrap();
        (
            status,
            serde_json::from_str::<Value>(&text).unwrap_or_default(),
        )
    };
    // Things that are made first, so that the calls about them find something.
    let backfills = format!("/v1/people/{}/backfills", api::id::to_path(ANN));
    let wish = json!({"from": "2026-06-05", "to": "2026-06-10", "types": ["daily"]});
    let (status, backfill) = call("POST", &backfills, Some(&wish), "b").await;
    assert_eq!(status, 202, "{backfill}");
    let backfill = backfill["plans"][0]["backfill"]
        .as_str()
        .unwrap()
        .to_owned();
    let server = json!({"name": "server", "scopes": ["people:read"]});
    let (_, made) = call("POST", "/v1/keys", Some(&server), "k").await;
    let made = made["id"].as_str().unwrap().to_owned();
    let mut endpoints = api::endpoints();
    // Calls that end something come last.
    endpoints.sort_by_key(|it| it.verb == Verb::Delete);
    for endpoint in &endpoints {
        let id = match endpoint.path.split('/').nth(2) {
            Some("backfills") => backfill.as_str(),
            Some("keys") => made.as_str(),
            Some("destinations") => "dst_one",
            _ => OF_ANN.id,
        };
        let (path, body) = call_of(endpoint, Names { id, ..OF_ANN });
        let once = format!("{endpoint:?}");
        call(endpoint.verb.as_str(), &path, body.as_ref(), &once).await;
    }
    // Somebody signs in to the console, invites somebody else, and leaves.
    let visitor = SignedIn::at(&address, &world.system.table).await;
    for (path, form) in [
        ("/console/access/links", "name=Bert&role=viewer"),
        ("/console/sign-out", ""),
    ] {
        let status = visitor.post(path, form).await;
        assert!(status < 400, "{path}: {status}");
    }

    let written = written.0.lock().unwrap().clone();
    let allowed: Vec<String> = serde_json::from_str(ALLOWED).unwrap();
    for partition in &written {
        let is_allowed = allowed.iter().any(|pattern| matches(pattern, partition));
        assert!(
            is_allowed,
            "{partition} is written, and the role does not allow it"
        );
    }
    for pattern in &allowed {
        let is_written = written.iter().any(|partition| matches(pattern, partition));
        assert!(
            is_written,
            "{pattern} is allowed, and nothing writes it: {written:?}"
        );
    }
    world.system.stop().await;
}
