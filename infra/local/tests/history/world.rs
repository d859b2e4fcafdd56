//! A data folder with people in it.

use std::collections::{BTreeMap, BTreeSet};

use domain::{
    connection::{Connection, Member, Status},
    history::day,
    key::{Identity, NaturalKey},
    locator::Locator,
    record::{Arrival, Payload, Record},
    session::Session,
    summary::{Summary, Value},
    version::{Register, Version},
};
use jiff::{Timestamp, civil::Date};
use models::{
    data::DataType,
    ids::{Provider, ReferenceId, TerraUserId},
};
use runtime::queue::local::Durability;
use store::table::{
    Table,
    connections::StoredConnection,
    key::RecordOwner,
    records::{IncomingRecord, Mode},
};
use tempfile::TempDir;
use terrarium::system::{EmbeddedDatabase, TABLE_NAME, dynamodb_client};

const DAY_MS: i64 = 86_400_000;

/// The real time, which the commands go by.
#[expect(
    clippy::disallowed_methods,
    reason = "the commands read the same clock"
)]
pub(super) fn now_ms() -> i64 {
    Timestamp::now().as_millisecond()
}

/// Returns the day so many days before today.
pub(super) fn ago(days: i64) -> Date {
    day::plus(day::earliest_on_earth(now_ms()), -days)
}

pub(super) fn ago_ms(days: i64) -> i64 {
    now_ms() - days * DAY_MS
}

/// A data folder in which no system runs.
pub(super) struct Folder {
    pub(super) path: String,
    pub(super) table: Table,
    database: EmbeddedDatabase,
    temporary: TempDir,
}

impl Folder {
    pub(super) async fn new() -> Self {
        drop(rustls::crypto::ring::default_provider().install_default());
        let folder = tempfile::tempdir().unwrap();
        let database = EmbeddedDatabase::start(folder.path(), false, Durability::Kill)
            .await
            .unwrap();
        let table = Table::new(dynamodb_client(&database.address).unwrap(), TABLE_NAME);
        table.create_if_missing().await.unwrap();
        Self {
            path: folder.path().to_str().unwrap().to_owned(),
            table,
            database,
            temporary: folder,
        }
    }

    /// Lets go of the database, so that commands can open it. Until the folder is dropped it stays.
    pub(super) async fn close(self) -> (TempDir, String) {
        drop(self.table);
        self.database.stop().await;
        (self.temporary, self.path)
    }

    pub(super) async fn connection(
        &self,
        person: &str,
        provider: &str,
        status: Status,
        at_ms: i64,
    ) -> StoredConnection {
        let version = version(at_ms);
        let member = Member {
            life: Some(Register {
                value: status,
                version: version.clone(),
            }),
            provider: Some(Register {
                value: Provider::new(provider).unwrap(),
                version: version.clone(),
            }),
            reference_id: Some(Register {
                value: ReferenceId::new(person).unwrap(),
                version,
            }),
            data_at_ms: (status == Status::Active).then_some(at_ms),
            ..Member::default()
        };
        let user = TerraUserId::new(&format!("{person} at {provider}")).unwrap();
        let fragment = Connection::of_member(user, member);
        let applied = self.table.apply_connection(&fragment).await.unwrap();
        applied.unwrap().connection
    }

    /// A record of a day.
    pub(super) async fn record(&self, of: &StoredConnection, data_type: DataType, day: Date) {
        let start_time = format!("{day}T00:00:00.000000+00:00");
        let identity = Identity {
            summary_id: Some(start_time.clone()),
            start_time: Some(start_time.clone()),
            ..Identity::default()
        };
        let arrival = Arrival {
            version: version(day::over_ms(day)),
            payload: Payload {
                locator: Locator {
                    segment: "archive/none.zst".to_owned(),
                    offset_bytes: 0,
                    length_bytes: 1,
                },
                size_bytes: 1,
                inline: None,
            },
            summary: Summary::from_fields(data_type, Vec::<(&str, Value)>::new()),
            from_samples: None,
            streams: BTreeSet::new(),
            start_time: Some(start_time),
            retracted: false,
        };
        let record = IncomingRecord {
            owner: RecordOwner::Connection(of.id.clone()),
            data_type,
            key: NaturalKey::of(data_type, &identity, "").unwrap(),
            sessions: Session::of(data_type, &identity).into_iter().collect(),
            record: Record::new(arrival, BTreeMap::new()),
        };
        let written = self.table.apply_records(vec![record], Mode::Write).await;
        assert_eq!(written.unwrap().created, 1);
    }
}

fn version(ordering_ts_ms: i64) -> Version {
    Version {
        ordering_ts_ms,
        webhook_id: "w".to_owned(),
        index: 0,
    }
}
