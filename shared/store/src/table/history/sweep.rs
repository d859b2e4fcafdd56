//! Pages of a comparison with Terra's list, until the comparison is over.

use std::collections::HashSet;

use aws_sdk_dynamodb::types::AttributeValue;
use models::ids::TerraUserId;

use crate::table::{Table, TableError, attribute::Item, key::Key, ledger::expire};

/// Time for which a page is kept: much longer than a comparison takes. Unit: seconds.
const KEPT_S: i64 = 3 * 86_400;
/// An item takes 400 KB, and without pages Terra's answer has everybody on one (FACTS section 3). With
/// ids of 36 characters a fifth of that.
const IDS_PER_ITEM: usize = 2_000;
const TERRA_USER_IDS: &str = "terra_user_ids";
const UNREADABLE: &str = "unreadable";

/// Everybody on the pages of a comparison.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listed {
    /// Their ids.
    pub terra_user_ids: HashSet<TerraUserId>,
    /// True if an entry could not be read: then nobody can be called missing.
    pub unreadable: bool,
}

impl Table {
    /// Notes a page. The same page again takes its place.
    ///
    /// # Errors
    ///
    /// [`TableError::Unavailable`] when DynamoDB does not answer.
    pub async fn note_sweep_page(
        &self,
        sweep_ms: i64,
        page: u32,
        terra_user_ids: &[TerraUserId],
        unreadable: bool,
    ) -> Result<(), TableError> {
        // Also of an empty page it is said whether it could be read.
        let parts = terra_user_ids
            .chunks(IDS_PER_ITEM)
            .chain(terra_user_ids.is_empty().then_some(&[] as &[TerraUserId]));
        for (part, ids) in parts.enumerate() {
            let key = Key::sweep_page(sweep_ms, page, part);
            let ids = ids
                .iter()
                .map(|id| AttributeValue::S(id.as_str().to_owned()));
            let mut item = Item::new();
            item.insert(TERRA_USER_IDS.to_owned(), AttributeValue::L(ids.collect()));
            item.insert(UNREADABLE.to_owned(), AttributeValue::Bool(unreadable));
            expire(&mut item, sweep_ms, KEPT_S);
            self.put(&key, item, "write").await?;
        }
        Ok(())
    }

    /// Everybody on the pages noted so far.
    ///
    /// # Errors
    ///
    /// [`TableError::Unavailable`] when DynamoDB does not answer.
    pub async fn sweep(&self, sweep_ms: i64) -> Result<Listed, TableError> {
        let (pk, prefix) = Key::sweep_pages(sweep_ms);
        let mut listed = Listed::default();
        for mut item in self.query(&pk, &prefix).await? {
            listed.unreadable |= item.get(UNREADABLE) != Some(&AttributeValue::Bool(false));
            let Some(AttributeValue::L(ids)) = item.remove(TERRA_USER_IDS) else {
                continue;
            };
            let ids = ids.iter().filter_map(|id| id.as_s().ok());
            listed
                .terra_user_ids
                .extend(ids.filter_map(|id| TerraUserId::new(id)));
        }
        Ok(listed)
    }
}
