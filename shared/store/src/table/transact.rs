//! Items written together, or not at all.

use aws_sdk_dynamodb::{
    operation::transact_write_items::TransactWriteItemsError,
    types::{Delete, Put, TransactWriteItem},
};

use super::{Condition, Table, TableError, attribute::Item, key::Key, stamped};

impl Table {
    /// Writes items together. Returns `false` when a condition of one of them failed.
    pub(super) async fn transact(
        &self,
        items: Vec<TransactWriteItem>,
        key: &Key,
    ) -> Result<bool, TableError> {
        let sent = self
            .client
            .transact_write_items()
            .set_transact_items(Some(items))
            .send()
            .await;
        match sent {
            Ok(_) => Ok(true),
            Err(error) if error.as_service_error().is_some_and(lost_a_race) => Ok(false),
            Err(error) => Err(TableError::unavailable("write", key)(error)),
        }
    }

    /// Writes an item in a transaction if its revision is still `seen`.
    pub(super) fn transact_put(
        &self,
        key: &Key,
        item: Item,
        seen: Option<u64>,
    ) -> Result<TransactWriteItem, TableError> {
        let condition = Condition::on(seen);
        let put = Put::builder()
            .table_name(&self.name)
            .set_item(Some(stamped(key, item, seen)))
            .condition_expression(condition.expression)
            .set_expression_attribute_values(condition.values)
            .build()
            .map_err(TableError::unavailable("write", key))?;
        Ok(TransactWriteItem::builder().put(put).build())
    }

    /// Deletes an item in a transaction if its revision is still `seen`.
    pub(super) fn transact_delete(
        &self,
        key: &Key,
        seen: u64,
    ) -> Result<TransactWriteItem, TableError> {
        let condition = Condition::on(Some(seen));
        let delete = Delete::builder()
            .table_name(&self.name)
            .set_key(Some(key.attributes()))
            .condition_expression(condition.expression)
            .set_expression_attribute_values(condition.values)
            .build()
            .map_err(TableError::unavailable("delete", key))?;
        Ok(TransactWriteItem::builder().delete(delete).build())
    }
}

/// Returns whether a transaction lost to another writer: by a condition or a conflict, and by nothing
/// else.
fn lost_a_race(error: &TransactWriteItemsError) -> bool {
    match error {
        TransactWriteItemsError::TransactionCanceledException(cancelled) => {
            let reasons = cancelled.cancellation_reasons().iter();
            reasons.filter_map(|reason| reason.code()).all(|code| {
                matches!(
                    code,
                    "None" | "ConditionalCheckFailed" | "TransactionConflict"
                )
            })
        }
        TransactWriteItemsError::TransactionInProgressException(_) => true,
        _ => false,
    }
}
