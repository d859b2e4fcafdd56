//! Keys of backfills, of asked days and of what is known over all connections.

use domain::{
    connection::ConnectionId,
    history::{
        day::Span,
        month::Month,
        window::{BackfillId, WindowId},
    },
};
use jiff::civil::Date;
use models::{data::DataType, ids::Provider};

use super::{DUE_SHARDS, Key, after_all};

/// Beginning of the sort key of a window.
const WINDOW: &str = "WINDOW#";
/// Beginning of the keys of backfills.
const BACKFILL: &str = "BACKFILL#";
/// Beginning of the sort key of a month of asked days.
const ASKED: &str = "ASKED#";

/// Owner of the quota that a pacing bucket holds.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Paced {
    /// The Terra account's, for all.
    Account,
    /// One provider's, for all.
    Provider(Provider),
    /// One connection's.
    Connection(ConnectionId),
}

fn backfill_pk(id: &BackfillId) -> String {
    format!("{BACKFILL}{id}")
}

impl Key {
    /// A backfill.
    pub fn backfill(id: &BackfillId) -> Self {
        Self {
            pk: backfill_pk(id),
            sk: "BACKFILL".to_owned(),
        }
    }

    /// Reads back the id of a backfill.
    pub(crate) fn as_backfill(&self) -> Option<BackfillId> {
        let id = self.pk.strip_prefix(BACKFILL)?;
        (self.sk == "BACKFILL").then(|| id.parse().ok()).flatten()
    }

    /// Key of the item that lists a backfill under its connection.
    pub fn backfill_of(connection: &ConnectionId, id: &BackfillId) -> Self {
        Self {
            pk: Self::backfills_of(connection).0,
            sk: format!("{BACKFILL}{id}"),
        }
    }

    /// Partition of a connection's backfills and what their sort keys begin with. It is not that of its records, which
    /// the API may not write.
    pub(crate) fn backfills_of(connection: &ConnectionId) -> (String, &'static str) {
        (format!("BACKFILLS#{connection}"), BACKFILL)
    }

    /// Reads back the id of a connection's backfill.
    pub(crate) fn as_backfill_of(&self) -> Option<BackfillId> {
        self.sk.strip_prefix(BACKFILL)?.parse().ok()
    }

    /// A window of a backfill.
    pub fn window(id: &WindowId) -> Self {
        let (data_type, span) = (id.data_type, id.span);
        Self {
            pk: backfill_pk(&id.backfill),
            sk: format!("{WINDOW}{data_type}#{}#{}", span.from(), span.until()),
        }
    }

    /// Partition of a backfill and all its windows.
    pub(crate) fn all_of_backfill(id: &BackfillId) -> String {
        backfill_pk(id)
    }

    /// Partition of a backfill's windows and what their sort keys begin with, of one type or of all.
    pub(crate) fn windows(id: &BackfillId, data_type: Option<DataType>) -> (String, String) {
        let prefix = data_type.map(|data_type| format!("{data_type}#"));
        (
            backfill_pk(id),
            format!("{WINDOW}{}", prefix.unwrap_or_default()),
        )
    }

    /// Reads back the id of a window.
    pub(crate) fn as_window(&self) -> Option<WindowId> {
        let backfill = self.pk.strip_prefix(BACKFILL)?.parse().ok()?;
        let mut parts = self.sk.strip_prefix(WINDOW)?.split('#');
        let data_type = parts.next()?.parse().ok()?;
        let span = Span::new(parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        Some(WindowId {
            backfill,
            data_type,
            span: span.ok()?,
        })
    }

    /// The window that a request to Terra was made for.
    pub fn window_of_request(reference: &str) -> Self {
        Self {
            pk: format!("REQUEST#{reference}"),
            sk: "WINDOW".to_owned(),
        }
    }

    /// The days asked for of one month.
    pub fn asked_month(id: &ConnectionId, data_type: DataType, month: Month) -> Self {
        Self {
            pk: format!("CONNECTION#{id}"),
            sk: format!("{ASKED}{data_type}#{month}"),
        }
    }

    /// Partition of a connection's asked days of one type and what their sort keys begin with.
    pub(crate) fn asked_months(id: &ConnectionId, data_type: DataType) -> (String, String) {
        (format!("CONNECTION#{id}"), format!("{ASKED}{data_type}#"))
    }

    /// Partition of a connection's asked days of one type, and first and last sort key of those
    /// from the month of `from` on.
    pub(crate) fn asked_months_from(
        id: &ConnectionId,
        data_type: DataType,
        from: Date,
    ) -> (String, String, String) {
        (
            format!("CONNECTION#{id}"),
            format!("{ASKED}{data_type}#{}", Month::of(from)),
            after_all(&format!("{ASKED}{data_type}")),
        )
    }

    /// Reads back the month of asked days.
    pub(crate) fn as_asked_month(&self) -> Option<Month> {
        let (_, month) = self.sk.strip_prefix(ASKED)?.split_once('#')?;
        month.parse().ok()
    }

    /// One shard of what is due, in [`BY_TIME`](super::BY_TIME).
    pub(crate) fn due_shard(shard: u8) -> String {
        format!("DUE#{shard}")
    }

    /// The shard of all that belongs to a backfill.
    pub(crate) fn due_shard_of(id: &BackfillId) -> String {
        let hash = xxhash_rust::xxh3::xxh3_64(id.as_str().as_bytes());
        Self::due_shard(u8::try_from(hash % u64::from(DUE_SHARDS)).unwrap_or_default())
    }

    /// Text order is time order. Unit: Unix milliseconds.
    pub(crate) fn due_at(ms: i64) -> String {
        format!("{:015}", ms.max(0))
    }

    /// A pacing bucket: `limit` names what is limited.
    pub fn pacing(limit: &str, paced: &Paced) -> Self {
        let whose = match paced {
            Paced::Account => "account".to_owned(),
            Paced::Provider(provider) => format!("provider#{provider}"),
            Paced::Connection(id) => format!("connection#{id}"),
        };
        Self {
            pk: format!("PACING#{limit}#{whose}"),
            sk: "PACING".to_owned(),
        }
    }

    /// Key of the log of outages.
    pub fn outages() -> Self {
        Self {
            pk: "HISTORY".to_owned(),
            sk: "OUTAGES".to_owned(),
        }
    }

    /// Key of the times of the newest data of each provider's people.
    pub fn peers() -> Self {
        Self {
            pk: "HISTORY".to_owned(),
            sk: "PEERS".to_owned(),
        }
    }

    /// Key of the counts over the connections of a shard.
    pub fn fleet(shard: u8) -> Self {
        Self {
            pk: "HISTORY".to_owned(),
            sk: format!("FLEET#{shard}"),
        }
    }

    /// Key of the time of the last search all the way back.
    pub fn searches() -> Self {
        Self {
            pk: "HISTORY".to_owned(),
            sk: "SEARCHES".to_owned(),
        }
    }

    /// Part of one page of a comparison of our connections with Terra's.
    pub(crate) fn sweep_page(sweep_ms: i64, page: u32, part: usize) -> Self {
        let (pk, prefix) = Self::sweep_pages(sweep_ms);
        Self {
            pk,
            sk: format!("{prefix}{page:08}#{part:04}"),
        }
    }

    /// All pages of a comparison: the partition, and the prefix of the sort keys.
    pub(crate) fn sweep_pages(sweep_ms: i64) -> (String, String) {
        (format!("SWEEP#{sweep_ms}"), "PAGE#".to_owned())
    }
}
