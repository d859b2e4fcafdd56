//! Calls that broke off: repeated under their `Idempotency-Key`, they make nothing twice.

use std::sync::{
    Arc,
    atomic::{AtomicI32, Ordering},
};

use aws_sdk_dynamodb::{
    config::{
        ConfigBag, Intercept, RuntimeComponents,
        interceptors::BeforeSerializationInterceptorContextRef,
    },
    error::BoxError,
    operation::put_item::PutItemInput,
};
use domain::access::Scope;
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::{
    api::{ANN, Reader, add_destination, answered, key_with, with_ann},
    api_writes::api_with,
    world::{World, now},
};

/// Fails one write of a kind of items.
#[derive(Debug, Clone)]
struct Failing {
    /// Beginning of the sort keys of the items.
    sk: &'static str,
    /// Beginning of their partitions.
    pk: &'static str,
    /// Number of writes before the one that fails.
    left: Arc<AtomicI32>,
}

impl Failing {
    fn after(writes: i32, pk: &'static str, sk: &'static str) -> Self {
        let left = Arc::new(AtomicI32::new(writes));
        Self { sk, pk, left }
    }
}

impl Intercept for Failing {
    fn name(&self) -> &'static str {
        "Failing"
    }

    fn read_before_serialization(
        &self,
        context: &BeforeSerializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let put = context.input().downcast_ref::<PutItemInput>();
        let Some(item) = put.and_then(PutItemInput::item) else {
            return Ok(());
        };
        let begins = |name: &str, with: &str| item[name].as_s().unwrap().starts_with(with);
        let is_meant = begins("pk", self.pk) && begins("sk", self.sk);
        if is_meant && self.left.fetch_sub(1, Ordering::SeqCst) == 0 {
            return Err("the table is not there".into());
        }
        Ok(())
    }
}

struct Caller<'a> {
    world: &'a World,
    address: String,
    key: String,
}

impl Caller<'_> {
    async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let request = self.world.http.post(format!("{}{path}", self.address));
        let request = request
            .header("content-type", "application/json")
            .header("idempotency-key", path);
        answered(request.bearer_auth(&self.key).body(body.to_string())).await
    }
}

fn ids(list: &Value) -> Vec<&str> {
    let data = list["data"].as_array().unwrap().iter();
    data.map(|it| it["id"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backfill_that_broke_off_between_two_connections_is_not_planned_twice() {
    let world = with_ann().await;
    let body = json!({
        "type": "daily", "status": "success",
        "user": {"user_id": "user-ring", "provider": "OURA", "reference_id": ANN, "active": true},
        "data": [{"metadata": {"start_time": "2026-07-02T00:00:00.000000+02:00"}}],
    });
    assert_eq!(world.send("w-ring", body.to_string()).await, 200);
    world.idle().await;
    // The first is written, and marked as made; the second fails.
    let failing = Failing::after(2, "BACKFILL#", "BACKFILL");
    let caller = Caller {
        world: &world,
        address: api_with(&world, failing, Arc::new(now)).await,
        key: key_with(&world, &[Scope::OperationsWrite]).await,
    };
    let path = format!("/v1/people/{}/backfills", api::id::to_path(ANN));
    let wish = json!({"from": "2026-06-05", "to": "2026-06-10", "types": ["daily"]});
    let (status, failed) = caller.post(&path, &wish).await;
    assert_eq!(status, 503, "{failed}");
    let (status, planned) = caller.post(&path, &wish).await;
    assert_eq!(status, 202, "{planned}");
    assert_eq!(planned["plans"].as_array().unwrap().len(), 2);
    let reader = Reader::of(&world, &[Scope::OperationsRead]).await;
    for plan in planned["plans"].as_array().unwrap() {
        let connection = plan["connection"].as_str().unwrap();
        let path = format!("/v1/connections/{connection}/backfills");
        let backfills = reader.ask(&path).await;
        assert_eq!(ids(&backfills), [plan["backfill"].as_str().unwrap()]);
    }
    world.system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_whose_answer_was_lost_orders_no_second_time() {
    let world = with_ann().await;
    add_destination(&world, "dst_one", "active").await;
    let key = key_with(&world, Scope::ALL).await;
    let reader = Reader::of(&world, Scope::ALL).await;
    for (path, body) in [
        (
            format!("/v1/people/{}/exports", api::id::to_path(ANN)),
            json!({}),
        ),
        ("/v1/destinations/dst_one/redrive".to_owned(), json!({})),
        (
            "/v1/keys".to_owned(),
            json!({"name": "server", "scopes": ["people:read"]}),
        ),
    ] {
        // The claim is written, and the answer is not, as if the function had died before.
        let failing = Failing::after(1, "IDEMPOTENCY#tk_", "");
        let address = api_with(&world, failing.clone(), Arc::new(now)).await;
        let mut caller = Caller {
            world: &world,
            address,
            key: key.clone(),
        };
        let (status, first) = caller.post(&path, &body).await;
        assert!(matches!(status, 201 | 202), "{path} {first}");
        let (status, at_work) = caller.post(&path, &body).await;
        assert_eq!(status, 409, "{path} {at_work}");
        let later = Arc::new(|| now() + SignedDuration::from_secs(61));
        caller.address = api_with(&world, failing, later).await;
        let (again, second) = caller.post(&path, &body).await;
        assert_eq!((again, &second["id"]), (status_of(&path), &first["id"]));
    }
    assert_eq!(
        reader.ask("/v1/exports").await["data"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    let destination = reader.ask("/v1/destinations/dst_one").await;
    assert_eq!(destination["orders"].as_array().unwrap().len(), 1);
    world.system.stop().await;
}

/// Status of the answer to an order.
fn status_of(path: &str) -> u16 {
    if path == "/v1/keys" { 201 } else { 202 }
}
