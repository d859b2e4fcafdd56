//! The story of a ping: the payload stays with the sender until it is fetched.

use crate::{Connection, DataType, Payloads, Shape, Webhook, World};

/// Seconds for which a payload can be fetched.
const EXPIRES_IN: i64 = 300;

/// Puts one delivery of data up for fetching and gives the ping that says so.
///
/// `event_type` is `s3_payload` by the schema, `s3_upload` by Terra's enumeration.
pub fn ping(
    world: &mut World,
    connection: &Connection,
    data_type: DataType,
    shape: &Shape,
    payloads: &Payloads,
    event_type: &str,
) -> Webhook {
    let webhook = world.data(connection, data_type, shape);
    let id = world.reference();
    let url = payloads.put(&id, webhook.body.clone(), world.now(), EXPIRES_IN);
    world.ping(event_type, &webhook, &url, EXPIRES_IN)
}
