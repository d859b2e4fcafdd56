//! Moving of records from one owner to another.

use domain::session::Session;
use models::data::DataType;

use super::{IncomingRecord, Mode, decode};
use crate::table::{
    MAX_ATTEMPTS, Table, TableError,
    attribute::Item,
    key::{Key, RecordOwner},
};

impl Table {
    /// Moves every record of one owner to another, joining where both have one.
    pub(crate) async fn move_all_records(
        &self,
        from: &RecordOwner,
        to: &RecordOwner,
    ) -> Result<(), TableError> {
        let items = self.query(&Key::partition_of(from), "").await?;
        let keys = items.iter().filter_map(Key::of_item);
        let sightings = keys.filter_map(|key| Some((key.as_sighting()?, key)));
        let sightings: Vec<_> = sightings.collect();
        // First of all, because the records find each other by them.
        for ((data_type, sighting), _) in &sightings {
            let sightings = std::slice::from_ref(sighting);
            self.put_sightings(to, *data_type, sightings).await?;
        }
        for item in items {
            let Some(key) = Key::of_item(&item) else {
                continue;
            };
            if let Some((data_type, _)) = key.as_record() {
                self.move_record(&key, data_type, item, (from, to)).await?;
            }
        }
        for (_, key) in &sightings {
            self.delete(key).await?;
        }
        Ok(())
    }

    /// Moves one record, of which `item` was read before, to another owner.
    async fn move_record(
        &self,
        key: &Key,
        data_type: DataType,
        item: Item,
        (from, to): (&RecordOwner, &RecordOwner),
    ) -> Result<(), TableError> {
        let mut item = Some(item);
        for _ in 0..MAX_ATTEMPTS {
            let found = match item.take() {
                Some(item) => Some(item),
                None => self.get(key).await?,
            };
            let Some(found) = found else { return Ok(()) };
            let stored = decode(key, data_type, found)?;
            let incoming = stored.state.into_iter().map(|(natural, record)| {
                let start_time = record.newest.start_time.as_deref();
                let sessions = [
                    Session::of_key(data_type, &natural),
                    start_time.and_then(|start| Session::of_start(data_type, start)),
                ];
                IncomingRecord {
                    owner: to.clone(),
                    data_type,
                    key: natural,
                    sessions: sessions.into_iter().flatten().collect(),
                    record,
                }
            });
            self.apply_records(incoming.collect(), Mode::Write).await?;
            // Before the deletion: whoever finds the note reads the record, too.
            self.note_gone(from, key, stored.revision).await?;
            // Only what was moved may go: a record written meanwhile is moved again.
            if self.delete_if(key, stored.revision).await? {
                return Ok(());
            }
        }
        Err(TableError::Contended {
            operation: "move",
            key: key.clone(),
            attempts: MAX_ATTEMPTS,
        })
    }
}
