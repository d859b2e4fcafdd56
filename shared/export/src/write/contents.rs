//! Contents of the files of an export.

use std::collections::BTreeSet;

use domain::{connection::ConnectionId, record::Record, summary::Summary};
use formats::{
    fhir::{self, BundleKind, BundleText, Input, NO_SERVER, Options, Person},
    fit::{self, FitError},
};
use jiff::ToSpan as _;
use models::{data::DataType, ids::WebhookId};
use store::table::ledger::WebhookEntry;

use super::{
    LeftOut, Writer,
    bodies::Bodies,
    cursor::{CHANGED, Cursor, ITEMS, Loaded, read},
};
use crate::{
    ExportError, files,
    index::Listed,
    lines::{self, Head},
    reader::{CORE, Deliveries},
    texts,
};

/// Days whose values are chosen together.
const DAYS: i64 = 92;

impl Writer<'_> {
    pub(super) async fn records(
        &mut self,
        file: &str,
        data_type: DataType,
        listed: Vec<&Listed>,
    ) -> Result<(), ExportError> {
        let mut cursor = Cursor::new(self.reader, self.index, data_type, listed);
        while let Some(batch) = cursor.next().await? {
            self.progress.done += batch.len();
            for loaded in batch {
                let Some((record, deliveries)) = self.usable(file, data_type, &loaded) else {
                    continue;
                };
                self.deliveries(&loaded, record, deliveries)?;
                let count = self.written.records.entry(data_type.to_string());
                *count.or_default() += 1;
            }
            self.put_parts().await?;
            self.tell();
        }
        Ok(())
    }

    /// Writes a line for the newest delivery of a record, and one for each older delivery with samples that
    /// the newer ones lack.
    fn deliveries(
        &mut self,
        loaded: &Loaded<'_>,
        record: &Record,
        deliveries: &Deliveries,
    ) -> Result<(), ExportError> {
        let key = loaded.listed.key.to_string();
        let none = BTreeSet::new();
        let head = Head {
            connection: loaded.owner.connection.as_ref().map(ConnectionId::as_str),
            provider: loaded.owner.provider.as_deref(),
            key: &key,
            retracted: record.newest.retracted,
            version: &record.newest.version,
            kept_for: &none,
        };
        self.zip
            .write(&lines::record(&head.members(), &deliveries.newest))?;
        for ((payload, streams), (bytes, _)) in
            record.sampled_arrivals().iter().zip(&deliveries.older)
        {
            let mut kept = record.sampled.values();
            let kept = kept.find(|kept| kept.payload == **payload);
            let head = Head {
                version: kept.map_or(head.version, |kept| &kept.version),
                kept_for: streams,
                ..head
            };
            self.zip.write(&lines::record(&head.members(), bytes))?;
            self.written.older_deliveries += 1;
        }
        Ok(())
    }

    pub(super) async fn webhooks(&mut self) -> Result<(), ExportError> {
        let mut ids = BTreeSet::new();
        for (&(data_type, _), listed) in &self.index.records {
            let recent: Vec<_> = listed.iter().filter(|listed| listed.is_recent).collect();
            for chunk in recent.chunks(ITEMS) {
                for (_, record) in read(self.reader, self.index, data_type, chunk).await? {
                    ids.extend(record.into_iter().flat_map(|record| webhooks_of(&record)));
                }
            }
        }
        let ids: Vec<WebhookId> = ids.iter().filter_map(|id| WebhookId::new(id)).collect();
        let mut entries: Vec<WebhookEntry> = Vec::new();
        for chunk in ids.chunks(ITEMS) {
            entries.extend(self.reader.table.webhooks(chunk).await?.into_values());
        }
        entries.sort_by(|one, other| {
            (one.received_at_ms, &one.webhook_id).cmp(&(other.received_at_ms, &other.webhook_id))
        });
        for entry in &entries {
            self.zip.write(&texts::webhook(entry))?;
            self.put_parts().await?;
        }
        self.written.webhooks = entries.len();
        Ok(())
    }

    /// Writes the value of each metric and day that was chosen among all sources, as the API answers it.
    pub(super) async fn days(&mut self) -> Result<(), ExportError> {
        self.zip.write(&lines::row(texts::CHOSEN))?;
        self.written.chosen = 0;
        let Some((mut first, last)) = self.index.days(self.order.period) else {
            return Ok(());
        };
        let person = inspect::person(self.reader.table, &self.order.person).await?;
        while first <= last {
            let end = first.saturating_add((DAYS - 1).days()).min(last);
            for day in inspect::decided(self.reader.table, &person, (first, end)).await? {
                for row in texts::chosen(&day) {
                    self.zip.write(&row)?;
                    self.written.chosen += 1;
                }
            }
            self.put_parts().await?;
            self.tell();
            let Ok(next) = end.tomorrow() else { break };
            first = next;
        }
        Ok(())
    }

    pub(super) async fn values(&mut self, file: &str) -> Result<(), ExportError> {
        let header = [
            "day",
            "type",
            "metric",
            "value",
            "unit",
            "origin",
            "provider",
            "connection",
            "key",
        ];
        self.zip.write(&lines::row(header))?;
        self.written.values = 0;
        for (&(data_type, _), listed) in &self.index.records {
            let listed: Vec<_> = listed.iter().collect();
            for chunk in listed.chunks(ITEMS) {
                for (listed, record) in read(self.reader, self.index, data_type, chunk).await? {
                    self.progress.done += 1;
                    let Some(record) = record else {
                        self.leave_out(file, data_type, listed, CHANGED);
                        continue;
                    };
                    self.values_of(data_type, listed, &record)?;
                }
                self.put_parts().await?;
                self.tell();
            }
        }
        Ok(())
    }

    fn values_of(
        &mut self,
        data_type: DataType,
        listed: &Listed,
        record: &Record,
    ) -> Result<(), ExportError> {
        let owner = self.index.owners.get(listed.owner);
        let provider = owner.and_then(|owner| owner.provider.as_deref());
        let connection = owner.and_then(|owner| owner.connection.as_ref());
        let day = listed.day.map(|day| day.to_string());
        let key = listed.key.to_string();
        for (metric, value, origin) in texts::values(record) {
            let unit = Summary::unit(data_type, &metric).unwrap_or_default();
            let row = lines::row([
                day.as_deref().unwrap_or_default(),
                data_type.as_str(),
                metric.as_str(),
                value.as_str(),
                unit,
                origin,
                provider.unwrap_or_default(),
                connection.map_or("", |id| id.as_str()),
                key.as_str(),
            ]);
            self.zip.write(&row)?;
            self.written.values += 1;
        }
        Ok(())
    }

    pub(super) async fn fhir(&mut self, file: &str, year: Option<i16>) -> Result<(), ExportError> {
        let person = Person::with_reference_id(self.order.person.as_str());
        let mut bundle = BundleText::new(BundleKind::Collection, NO_SERVER);
        let mut text = Vec::new();
        for (&(data_type, of_year), listed) in &self.index.records {
            if of_year != year || !files::is_observed(data_type) {
                continue;
            }
            let listed = listed.iter().collect();
            let mut cursor = Cursor::new(self.reader, self.index, data_type, listed);
            while let Some(batch) = cursor.next().await? {
                self.progress.done += batch.len();
                for loaded in batch {
                    let Some((record, deliveries)) = self.usable(file, data_type, &loaded) else {
                        continue;
                    };
                    let composed = deliveries.composed(data_type, record);
                    let owner = loaded.owner.connection.as_ref();
                    let input = Input {
                        data_type,
                        owner: owner.map_or("person", |id| id.as_str()),
                        key: &loaded.listed.key.to_string(),
                        provider: loaded.owner.provider.as_deref(),
                        retracted: record.newest.retracted,
                        record: &composed,
                    };
                    match fhir::resources(&input, &person, Options::default()) {
                        Ok(resources) => bundle.add(&resources, &mut text),
                        Err(error) => {
                            self.leave_out(file, data_type, loaded.listed, &error.to_string());
                        }
                    }
                    self.zip.write(&text)?;
                    text.clear();
                }
                self.put_parts().await?;
                self.tell();
            }
        }
        bundle.end(&mut text);
        self.zip.write(&text)?;
        Ok(())
    }

    pub(super) async fn fit(&mut self, year: Option<i16>) -> Result<(), ExportError> {
        let names = files::fit_names(self.index);
        let listed = self.index.of_file(DataType::Activity, year);
        let name_of = |listed: &Listed| {
            names
                .get(&(listed.owner, listed.key.to_string()))
                .cloned()
                .unwrap_or_default()
        };
        let (done, wanted): (Vec<_>, Vec<_>) = listed
            .into_iter()
            .partition(|listed| self.finished.contains(&name_of(listed)));
        self.progress.done += done.len();
        let mut bodies = Bodies::new(self.reader, self.index.connections_to(CORE));
        let mut cursor = Cursor::new(self.reader, self.index, DataType::Activity, wanted);
        while let Some(batch) = cursor.next().await? {
            for loaded in batch {
                self.progress.done += 1;
                let file = name_of(loaded.listed);
                let found = self.usable(&file, DataType::Activity, &loaded);
                let Some((record, deliveries)) = found else {
                    continue;
                };
                let activity = deliveries.composed(DataType::Activity, record);
                bodies.read(&activity).await?;
                let made = match fit::file(&activity, &bodies.all()) {
                    // Body records that no reader takes must not take the activity with them.
                    Err(FitError::NoObject(_)) => fit::file(&activity, &[]),
                    made => made,
                };
                match made {
                    Ok(bytes) => {
                        self.zip.begin(&file)?;
                        self.zip.write(&bytes)?;
                        self.end_file().await?;
                    }
                    Err(error) => {
                        self.leave_out(
                            &file,
                            DataType::Activity,
                            loaded.listed,
                            &error.to_string(),
                        );
                    }
                }
                self.tell();
                if !self.goes_on {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// The record and its deliveries, if both can be read; else the reason is noted.
    fn usable<'l>(
        &mut self,
        file: &str,
        data_type: DataType,
        loaded: &'l Loaded<'_>,
    ) -> Option<(&'l Record, &'l Deliveries)> {
        match &loaded.found {
            Ok((record, deliveries)) => Some((record, deliveries)),
            Err(why) => {
                self.leave_out(file, data_type, loaded.listed, why);
                None
            }
        }
    }

    fn leave_out(&mut self, file: &str, data_type: DataType, listed: &Listed, why: &str) {
        self.written.left_out.insert(LeftOut {
            file: file.to_owned(),
            record: format!("{data_type} {}", listed.key),
            why: why.to_owned(),
        });
    }
}

/// Ids of the webhooks that a record has something of.
fn webhooks_of(record: &Record) -> BTreeSet<String> {
    let newest = std::iter::once(&record.newest.version);
    let kept = record.sampled.values().map(|kept| &kept.version);
    let scores = record.enrichment.values().map(|score| &score.version);
    let versions = newest
        .chain(kept)
        .chain(scores)
        .chain(record.shadowed.keys());
    versions.map(|version| version.webhook_id.clone()).collect()
}
