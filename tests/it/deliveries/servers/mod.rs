//! The one story with the servers that the kinds are made for. `.ci/destinations` starts them and runs these
//! tests; each is told its server by an environment variable.

mod buckets;
mod databases;
mod documents;
#[path = "../../../../shared/destinations/tests/servers/places.rs"]
mod places;
#[path = "../../../../shared/destinations/tests/servers/postgrest.rs"]
mod postgrest;
mod queues;

use super::story::story;

/// The value of an environment variable that names a server.
#[expect(
    clippy::disallowed_methods,
    reason = "a test is told its server from outside"
)]
fn server(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run .ci/destinations"))
}

fn port(name: &str) -> u16 {
    server(name).parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a server"]
async fn postgres_ends_with_what_the_store_has() {
    story(&databases::Postgres::start().await).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a server"]
async fn mysql_ends_with_what_the_store_has() {
    story(&databases::Mysql::start().await).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a server"]
async fn supabase_ends_with_what_the_store_has() {
    story(&databases::Postgres::behind_supabase().await).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a server"]
async fn mongodb_ends_with_what_the_store_has() {
    story(&documents::Mongodb::start().await).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a server"]
async fn firestore_ends_with_what_the_store_has() {
    if !server("TERRARIUM_TEST_FIRESTORE").is_empty() {
        story(&documents::Firestore::start().await).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a server"]
async fn s3_ends_with_what_the_store_has() {
    story(&buckets::Objects::s3().await).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a server"]
async fn azure_ends_with_what_the_store_has() {
    story(&buckets::Objects::azure().await).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a server"]
async fn gcs_ends_with_what_the_store_has() {
    story(&buckets::Gcs::start().await).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a server"]
async fn sqs_ends_with_what_the_store_has() {
    story(&queues::Sqs::start(false).await).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a server"]
async fn sqs_in_order_ends_with_what_the_store_has() {
    story(&queues::Sqs::start(true).await).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a server"]
async fn kafka_ends_with_what_the_store_has() {
    story(&queues::Kafka::start().await).await;
}
