//! The story of a large request: announced, sent in chunks, perhaps in disorder or incomplete.

use jiff::civil::Date;

use crate::{Connection, DataType, Shape, Webhook, World};

/// Days of data in one chunk.
const CHUNK_DAYS: u16 = 7;

/// Header that tells the chunks of a large request apart; both are documented.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChunkForm {
    /// The bare reference on all; the number stands only in the trace id, `<id>:chunk:<n>`.
    SameReference,
    /// `Terra-Reference` is `<reference>:chunk:<n>`.
    NumberedReference,
}

/// A large request of `chunks` chunks in order; those numbered in `missing` (from 1) never arrive.
pub fn large_request(
    world: &mut World,
    connection: &Connection,
    data_type: DataType,
    form: ChunkForm,
    chunks: u16,
    missing: &[u16],
) -> Vec<Webhook> {
    let reference = world.reference();
    let trace_id = world.reference();
    let mut webhooks = vec![
        world.large_request_processing(connection, &reference),
        world.large_request_sending(connection, &reference, u32::from(chunks)),
    ];
    let today = connection.zone.date(world.now());
    for number in 1..=chunks {
        let newest = days_before(today, CHUNK_DAYS.saturating_mul(chunks - number));
        let shape = Shape {
            days: CHUNK_DAYS,
            samples: false,
            ..Shape::on(Some(newest))
        };
        let webhook = world.data(connection, data_type, &shape);
        if missing.contains(&number) {
            continue;
        }
        let reference = match form {
            ChunkForm::SameReference => reference.clone(),
            ChunkForm::NumberedReference => format!("{reference}:chunk:{number}"),
        };
        webhooks.push(Webhook {
            trace_id: Some(format!("{trace_id}:chunk:{number}")),
            reference: Some(reference),
            ..webhook
        });
    }
    webhooks
}

/// The same with the chunks backwards, the second of them twice, and `sending` and `processing` last.
pub fn large_request_shuffled(
    world: &mut World,
    connection: &Connection,
    data_type: DataType,
    form: ChunkForm,
    chunks: u16,
) -> Vec<Webhook> {
    let mut webhooks = large_request(world, connection, data_type, form, chunks, &[]);
    webhooks.reverse();
    if let Some(again) = webhooks.get(1).cloned() {
        webhooks.push(again);
    }
    webhooks
}

fn days_before(date: Date, days: u16) -> Date {
    date.saturating_sub(jiff::SignedDuration::from_hours(i64::from(days) * 24))
}
