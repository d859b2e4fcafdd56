//! Answers of Terra, on their way to the table.

use domain::{
    history::{
        day::{self, Span},
        window::Window,
    },
    message::EventMessage,
    plan::plan,
};
use jiff::civil::Date;
use models::{
    event::Event,
    headers::{ORDERING_TIMESTAMP, TerraHeaders},
    ids::WebhookId,
};
use store::{parcel, table::history::Answer};
use terra_client::api::Payload;

use crate::{config::App, error::HistoryError};

/// Records and days of an answer.
#[derive(Debug, PartialEq, Eq)]
struct Content {
    /// Records of the days asked for, and such as name no day; those of the overlap are not counted.
    records: u64,
    /// The days of all records.
    days: Vec<Date>,
}

/// Puts an answer on the events queue. `None`: it is no event that a router could read.
///
/// The time of the request is its ordering stamp, so that it never beats a webhook that was sent
/// after Terra was asked. One request has one id, which the ledger and the records keep.
pub(crate) async fn queue(
    app: &App,
    window: &Window,
    asked_at_ms: i64,
    payload: &Payload,
) -> Result<Option<Answer>, HistoryError> {
    let body = payload.event_body();
    let id = window.id();
    let webhook_id = WebhookId::fetched(&format!(
        "{}~{}~{}~{}~{}",
        id.backfill,
        id.data_type,
        id.span.from(),
        id.span.until(),
        window.asked(),
    ));
    let Some(Content { records, days }) = content(&body, &webhook_id, id.span) else {
        return Ok(None);
    };
    if payload.records > 0 {
        let stamp = asked_at_ms.to_string();
        let headers = TerraHeaders::from_pairs([(ORDERING_TIMESTAMP, stamp.as_bytes())]);
        let received_at_ms = app.now_ms().max(asked_at_ms);
        send(app, webhook_id, headers, received_at_ms, &body).await?;
    }
    Ok(Some(Answer {
        records,
        days,
        asked_at_ms,
    }))
}

/// Sends an event down the backfill lane: from here on it is a webhook like any other, but without
/// a signature.
pub(crate) async fn send(
    app: &App,
    webhook_id: WebhookId,
    headers: TerraHeaders,
    received_at_ms: i64,
    body: &[u8],
) -> Result<(), HistoryError> {
    let message = EventMessage {
        body: parcel::pack(&app.archive, &webhook_id, body, (app.clock)()).await?,
        webhook_id,
        headers,
        received_at_ms,
        signed_at_s: None,
        secret_name: None,
        late: false,
        size_bytes: body.len() as u64,
    };
    Ok(app.backfill_events.send(&message).await?)
}

fn content(body: &[u8], webhook_id: &WebhookId, span: Span) -> Option<Content> {
    let event = Event::parse(body).ok()?;
    let plan = plan(&event, webhook_id, &TerraHeaders::default(), 0);
    let days: Vec<Option<Date>> = plan
        .records
        .iter()
        .map(|record| {
            let identity = &record.found.identity;
            let start_time = identity
                .start_time
                .as_deref()
                .or(identity.timestamp.as_deref());
            day::of_record(&record.key, start_time)
        })
        .collect();
    let own = |day: &&Option<Date>| day.is_none_or(|day| span.contains(day));
    Some(Content {
        // Also what the router will have to park: where there are records, there may be older ones.
        records: (days.iter().filter(own).count() + plan.parked.len()) as u64,
        days: days.into_iter().flatten().collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_in_the_overlap_is_noted_and_not_counted() {
        let body = br#"{"type":"daily","user":{"user_id":"u"},"data":[
            {"metadata":{"start_time":"2026-06-09T00:00:00+02:00"}},
            {"metadata":{"start_time":"2026-06-10T00:00:00+02:00"}},
            {"metadata":{"start_time":null}}
        ]}"#;
        let day = |text: &str| text.parse::<Date>().unwrap();
        let span = Span::of_day(day("2026-06-10"));
        let content = content(body, &WebhookId::fetched("x"), span).unwrap();
        // One of the day, and one that nobody can tell the day of.
        assert_eq!(content.records, 2);
        assert_eq!(content.days, [day("2026-06-09"), day("2026-06-10")]);
    }

    #[test]
    fn what_is_no_event_is_no_answer() {
        let span = Span::of_day("2026-06-10".parse().unwrap());
        assert_eq!(content(b"<html>", &WebhookId::fetched("x"), span), None);
    }
}
