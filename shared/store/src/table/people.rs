//! People: who there is.

use aws_sdk_dynamodb::types::{AttributeValue, Put, TransactWriteItem};
use models::ids::ReferenceId;

use super::{
    Item, Table, TableError,
    key::{BY_TIME, Key, PEOPLE, RecordOwner, TIME_PK, TIME_SK},
};

impl Table {
    /// Lists a person, in the transaction that gives them a connection.
    pub(super) fn list_person(
        &self,
        reference_id: &ReferenceId,
    ) -> Result<TransactWriteItem, TableError> {
        let key = Key::person(reference_id);
        let put = Put::builder()
            .table_name(&self.name)
            .set_item(Some(item_of(&key, reference_id)))
            .build()
            .map_err(TableError::unavailable("write", &key))?;
        Ok(TransactWriteItem::builder().put(put).build())
    }

    /// Lists a person of whom there is a lab report, perhaps without any connection.
    pub(super) async fn list_person_now(
        &self,
        reference_id: &ReferenceId,
    ) -> Result<(), TableError> {
        let key = Key::person(reference_id);
        self.put(&key, item_of(&key, reference_id), "write").await
    }

    /// The people whose reference ids begin with `prefix`, in the order of those, behind `after` if that
    /// is given, at most `limit`. The last one is the place to go on behind if there are `limit`.
    ///
    /// They come from an index, which lags by a moment.
    ///
    /// # Errors
    ///
    /// [`TableError::Unavailable`] when DynamoDB does not answer.
    pub async fn people(
        &self,
        prefix: &str,
        after: Option<&ReferenceId>,
        limit: usize,
    ) -> Result<Vec<ReferenceId>, TableError> {
        let text = |text: &str| AttributeValue::S(text.to_owned());
        let start = after.map(|after| {
            let mut start = Key::person(after).attributes();
            start.insert(TIME_PK.to_owned(), text(PEOPLE));
            start.insert(TIME_SK.to_owned(), text(after.as_str()));
            start
        });
        let query = self
            .client
            .query()
            .table_name(&self.name)
            .index_name(BY_TIME)
            .expression_attribute_values(":people", text(PEOPLE))
            .projection_expression("pk, sk")
            .set_exclusive_start_key(start);
        let query = if prefix.is_empty() {
            query.key_condition_expression("time_pk = :people")
        } else {
            query
                .key_condition_expression("time_pk = :people AND begins_with(time_sk, :prefix)")
                .expression_attribute_values(":prefix", text(prefix))
        };
        let items = super::first_items(query, limit, "people").await?;
        let keys = items.iter().filter_map(Key::of_item);
        Ok(keys.filter_map(|key| key.as_person()).collect())
    }

    /// Returns whether a person is listed.
    ///
    /// # Errors
    ///
    /// [`TableError::Unavailable`] when DynamoDB does not answer.
    pub async fn is_person(&self, reference_id: &ReferenceId) -> Result<bool, TableError> {
        Ok(self.get(&Key::person(reference_id)).await?.is_some())
    }

    /// Removes a person's own records, which are the lab reports, and their source policy.
    ///
    /// # Errors
    ///
    /// [`TableError::Unavailable`] when DynamoDB does not answer.
    pub async fn erase_person(&self, reference_id: &ReferenceId) -> Result<usize, TableError> {
        let owner = RecordOwner::Person(Some(reference_id.clone()));
        let policies = self.erase_source_policy(reference_id).await?;
        Ok(self.erase_partition(&owner, "").await? + policies)
    }

    /// Returns whether anything is kept under a reference id: a connection or a lab report.
    ///
    /// # Errors
    ///
    /// [`TableError::Unavailable`] when DynamoDB does not answer.
    pub async fn has_person(&self, reference_id: &ReferenceId) -> Result<bool, TableError> {
        let owner = RecordOwner::Person(Some(reference_id.clone()));
        Ok(!self.query(&Key::partition_of(&owner), "").await?.is_empty())
    }
}

fn item_of(key: &Key, reference_id: &ReferenceId) -> Item {
    let text = |text: &str| AttributeValue::S(text.to_owned());
    let mut item = key.attributes();
    item.insert(TIME_PK.to_owned(), text(PEOPLE));
    item.insert(TIME_SK.to_owned(), text(reference_id.as_str()));
    item
}
