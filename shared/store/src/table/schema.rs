//! The table's own shape, for places where no template makes it.

use std::error::Error;

use aws_sdk_dynamodb::{
    operation::describe_table::DescribeTableError,
    types::{
        AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType,
        Projection, ProjectionType, ScalarAttributeType, TimeToLiveSpecification,
    },
};

use super::{
    Table, TableError,
    key::{BY_TIME, PK, SK, TIME_PK, TIME_SK},
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

impl Table {
    /// Creates the table if it is not there, with its index and its TTL.
    ///
    /// # Errors
    ///
    /// [`TableError::Unavailable`] when the endpoint refuses or does not answer.
    pub async fn create_if_missing(&self) -> Result<(), TableError> {
        let listed = self
            .client
            .describe_table()
            .table_name(&self.name)
            .send()
            .await;
        match listed {
            Ok(_) => return Ok(()),
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(DescribeTableError::is_resource_not_found_exception) => {}
            Err(error) => return Err(self.cannot_create()(error)),
        }
        let index = GlobalSecondaryIndex::builder()
            .index_name(BY_TIME)
            .set_key_schema(Some(
                key_schema(TIME_PK, TIME_SK).map_err(self.cannot_create())?,
            ))
            .projection(
                Projection::builder()
                    .projection_type(ProjectionType::Include)
                    .set_non_key_attributes(Some(PROJECTED.map(str::to_owned).to_vec()))
                    .build(),
            )
            .build()
            .map_err(self.cannot_create())?;
        let attributes = [PK, SK, TIME_PK, TIME_SK]
            .into_iter()
            .map(|name| {
                AttributeDefinition::builder()
                    .attribute_name(name)
                    .attribute_type(ScalarAttributeType::S)
                    .build()
            })
            .collect::<Result<Vec<_>, _>>()
            .map_err(self.cannot_create())?;
        self.client
            .create_table()
            .table_name(&self.name)
            .billing_mode(BillingMode::PayPerRequest)
            .set_attribute_definitions(Some(attributes))
            .set_key_schema(Some(key_schema(PK, SK).map_err(self.cannot_create())?))
            .global_secondary_indexes(index)
            .send()
            .await
            .map_err(self.cannot_create())?;
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

fn key_schema(
    partition: &str,
    sort: &str,
) -> Result<Vec<KeySchemaElement>, aws_sdk_dynamodb::error::BuildError> {
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
