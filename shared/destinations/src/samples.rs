//! Changes for tests, here and in `tests/servers`.

use bytes::Bytes;
use domain::{connection::ConnectionId, key::NaturalKey, summary::summarise};
use jiff::Timestamp;
use models::{
    data::DataType,
    ids::{Provider, ReferenceId, TerraUserId},
};

use crate::{
    change::{Body, Cause, Change, PassedWebhook, RecordState, Source},
    id::{DeliveryId, OwnerId, RecordId},
};

/// A daily whose note has so many bytes.
pub(crate) fn large(number: u32, bytes: usize, revision: u64) -> Change {
    let record = format!(
        r#"{{"metadata":{{"start_time":"2026-11-20T00:00:00+00:00"}},"note":"{}"}}"#,
        "x".repeat(bytes)
    );
    record_of(number, DataType::Daily, "2026-11-20", &record, revision)
}

/// Id of the destination in every sample.
pub(crate) const DESTINATION: &str = "dst_test";

/// A connection by a number.
pub(crate) fn owner(number: u32) -> OwnerId {
    let user = TerraUserId::new(&format!("user-{number}")).unwrap();
    OwnerId::connection(&ConnectionId::of(&user))
}

/// The person behind a connection.
pub(crate) fn source(number: u32) -> Source {
    Source {
        owner: owner(number),
        terra_user_id: TerraUserId::new(&format!("user-{number}")),
        reference_id: ReferenceId::new(&format!("person-{number}")),
        provider: Provider::new("GARMIN"),
        scopes: Some(vec!["daily".to_owned(), "sleep".to_owned()]),
        status: Some(domain::connection::Status::Active),
        created_at_ms: Some(1_700_000_000_000),
        last_data_at_ms: None,
        former_user_ids: Vec::new(),
    }
}

/// The time of every sample.
pub(crate) fn now() -> Timestamp {
    "2026-11-29T10:00:00Z".parse().unwrap()
}

/// A change of a record of connection `number`.
pub(crate) fn change_of(
    number: u32,
    data_type: DataType,
    key: &str,
    revision: u64,
    body: Body,
) -> Change {
    let source = source(number);
    let natural: NaturalKey = key.parse().unwrap();
    let record_id = RecordId::of(&source.owner, data_type, &natural);
    Change {
        delivery_id: DeliveryId::of(DESTINATION, &record_id, revision),
        record_id,
        revision,
        attempt: 1,
        cause: Cause::Live,
        force: false,
        sent_at: now(),
        source,
        body,
    }
}

/// A state of a record of connection `number`.
pub(crate) fn record_of(
    number: u32,
    data_type: DataType,
    key: &str,
    record: &str,
    revision: u64,
) -> Change {
    let found = summarise(data_type, record.as_bytes());
    let summary = found.map_or_else(
        |_| domain::summary::Summary::empty(data_type),
        |found| found.delivered,
    );
    let state = RecordState {
        data_type,
        key: key.to_owned(),
        day: key.parse().ok(),
        ordering_ts_ms: 1_700_000_000_000 + i64::try_from(revision).unwrap(),
        source_webhook_id: format!("webhook-{revision}"),
        retracted: found_retracted(record),
        summary,
        enrichment: std::collections::BTreeMap::new(),
        samples: None,
        record: Bytes::copy_from_slice(record.as_bytes()),
    };
    change_of(
        number,
        data_type,
        key,
        revision,
        Body::Record(Box::new(state)),
    )
}

fn found_retracted(record: &str) -> bool {
    record.contains(r#""upload_type":4"#)
}

/// A state of a record of connection 1.
pub(crate) fn record(data_type: DataType, key: &str, record: &str, revision: u64) -> Change {
    record_of(1, data_type, key, record, revision)
}

/// The deletion of a record of connection 1.
pub(crate) fn deleted(data_type: DataType, key: &str, revision: u64) -> Change {
    deleted_of(1, data_type, key, revision)
}

/// The deletion of a record of connection `number`.
pub(crate) fn deleted_of(number: u32, data_type: DataType, key: &str, revision: u64) -> Change {
    let terra_user_ids = source(number).terra_user_id.into_iter().collect();
    let body = Body::Deleted {
        data_type,
        key: key.to_owned(),
        terra_user_ids,
    };
    change_of(number, data_type, key, revision, body)
}

/// The state of connection `number`.
pub(crate) fn connection(number: u32, revision: u64) -> Change {
    let source = source(number);
    let record_id = RecordId::of_connection(&source.owner);
    let terra_user_ids = source.terra_user_id.clone().into_iter().collect();
    Change {
        delivery_id: DeliveryId::of(DESTINATION, &record_id, revision),
        record_id,
        source,
        ..change_of(
            number,
            DataType::Athlete,
            "@profile",
            revision,
            Body::Connection { terra_user_ids },
        )
    }
}

/// One of Terra's webhooks.
pub(crate) fn webhook(body: &[u8]) -> Change {
    let passed = PassedWebhook {
        event_type: "auth".to_owned(),
        webhook_id: "trace-1".to_owned(),
        terra_reference: Some("user-1".to_owned()),
        received_at_ms: now().as_millisecond(),
        ordering_ts_ms: now().as_millisecond(),
        body: Bytes::copy_from_slice(body),
    };
    change_of(
        1,
        DataType::Athlete,
        "@profile",
        1,
        Body::Webhook(Box::new(passed)),
    )
}

/// A daily with so many steps.
pub(crate) fn daily(number: u32, day: &str, steps: u32, revision: u64) -> Change {
    let record = format!(
        r#"{{"metadata":{{"start_time":"{day}T00:00:00+00:00","end_time":"{day}T23:59:59+00:00","upload_type":1}},"distance_data":{{"steps":{steps}}}}}"#
    );
    record_of(number, DataType::Daily, day, &record, revision)
}
