//! The table's own shape, for places where no template makes it.

use std::error::Error;

use aws_sdk_dynamodb::{
    error::BuildError,
    operation::create_table::CreateTableError,
    types::{
        AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType,
        Projection, ProjectionType, ScalarAttributeType, TimeToLiveSpecification,
    },
};

use super::{
    Table, TableError,
    key::{BY_TIME, BY_USER, PK, RECEIVED_AT, SK, TIME_PK, TIME_SK, USER},
    ledger::EXPIRES_AT,
};

/// Attributes that a list by time shows without reading the items themselves.
const PROJECTED: [&str; 18] = [
    "summary",
    "enrichment",
    "retracted",
    "ordering_ts_ms",
    "size_bytes",
    "has_samples",
    "event_type",
    "outcome",
    "records",
    "parked",
    "parked_count",
    "terra_user_id",
    "provider",
    "reference",
    "locator",
    "late",
    "received_at_ms",
    "routed_at_ms",
];

/// Attributes that the log of a user is filtered by.
const PROJECTED_BY_USER: [&str; 9] = [
    "event_type",
    "outcome",
    "provider",
    "records",
    "parked_count",
    "size_bytes",
    "late",
    "ordering_ts_ms",
    "reference",
];

impl Table {
    /// Creates the table if it is not there, with its indexes and its TTL. A table that is there is not described: an
    /// engine on this machine counts all its items for that.
    ///
    /// # Errors
    ///
    /// [`TableError::Unavailable`] when the endpoint refuses or does not answer.
    pub async fn create_if_missing(&self) -> Result<(), TableError> {
        let by_time = index(BY_TIME, (TIME_PK, TIME_SK), &PROJECTED);
        let by_user = index(BY_USER, (USER, RECEIVED_AT), &PROJECTED_BY_USER);
        let created = self
            .client
            .create_table()
            .table_name(&self.name)
            .billing_mode(BillingMode::PayPerRequest)
            .set_attribute_definitions(Some(attributes().map_err(self.cannot_create())?))
            .set_key_schema(Some(key_schema(PK, SK).map_err(self.cannot_create())?))
            .global_secondary_indexes(by_time.map_err(self.cannot_create())?)
            .global_secondary_indexes(by_user.map_err(self.cannot_create())?)
            .send()
            .await;
        if let Err(error) = created {
            let service = error.as_service_error();
            if service.is_some_and(CreateTableError::is_resource_in_use_exception) {
                return Ok(());
            }
            return Err(self.cannot_create()(error));
        }
        let ttl = TimeToLiveSpecification::builder()
            .enabled(true)
            .attribute_name(EXPIRES_AT)
            .build()
            .map_err(self.cannot_create())?;
        self.client
            .update_time_to_live()
            .table_name(&self.name)
            .time_to_live_specification(ttl)
            .send()
            .await
            .map_err(self.cannot_create())?;
        Ok(())
    }

    fn cannot_create<E: Error + Send + Sync + 'static>(&self) -> impl FnOnce(E) -> TableError {
        TableError::unavailable("create", &self.name)
    }
}

/// An index by a partition and a sort key, with copies of these attributes.
fn index(
    name: &str,
    (partition, sort): (&str, &str),
    copied: &[&str],
) -> Result<GlobalSecondaryIndex, BuildError> {
    let copied = copied.iter().map(|&name| name.to_owned());
    let projection = Projection::builder()
        .projection_type(ProjectionType::Include)
        .set_non_key_attributes(Some(copied.collect()))
        .build();
    GlobalSecondaryIndex::builder()
        .index_name(name)
        .set_key_schema(Some(key_schema(partition, sort)?))
        .projection(projection)
        .build()
}

/// Attributes of all keys: texts, but for the time of arrival, which is a number.
fn attributes() -> Result<Vec<AttributeDefinition>, BuildError> {
    let texts = [PK, SK, TIME_PK, TIME_SK, USER].map(|name| (name, ScalarAttributeType::S));
    texts
        .into_iter()
        .chain([(RECEIVED_AT, ScalarAttributeType::N)])
        .map(|(name, kind)| {
            AttributeDefinition::builder()
                .attribute_name(name)
                .attribute_type(kind)
                .build()
        })
        .collect()
}

fn key_schema(partition: &str, sort: &str) -> Result<Vec<KeySchemaElement>, BuildError> {
    [(partition, KeyType::Hash), (sort, KeyType::Range)]
        .into_iter()
        .map(|(name, kind)| {
            KeySchemaElement::builder()
                .attribute_name(name)
                .key_type(kind)
                .build()
        })
        .collect()
}
