//! Webhooks of people whose erasure was ordered.

use std::collections::HashMap;

use models::{event::EventType, ids::WebhookId};
use routing::{Read, RouteError};
use store::{
    archive::Named,
    table::{
        connections::{Alias, SeenAliases},
        erasures::Verdict,
    },
};

use crate::config::App;

/// Verdicts about webhooks that are not simply stored.
pub(crate) type Verdicts = HashMap<WebhookId, Verdict>;

/// Finds out which webhooks are of people whose erasure was ordered. Where Terra users are known, their aliases say so at
/// no further cost. Others, which are few, are looked up under the reference ids that they name.
pub(crate) async fn verdicts<'a>(
    app: &App,
    reads: impl Iterator<Item = &'a Read<'a>>,
    aliases: &SeenAliases,
) -> Result<Verdicts, RouteError> {
    let mut verdicts = Verdicts::new();
    let mut asked = Vec::new();
    for read in reads {
        let known: Vec<_> = read
            .users()
            .filter_map(|user| aliases.get(user)?.as_ref())
            .collect();
        if known.iter().any(|alias| matches!(alias, Alias::Erased(_))) {
            verdicts.insert(read.id.clone(), Verdict::Erase);
        } else if known.iter().any(|alias| matches!(alias, Alias::Held(_))) {
            verdicts.insert(read.id.clone(), Verdict::Park);
        } else if known.is_empty() {
            asked.extend(named(read).map(|named| (read, named)));
        }
    }
    if asked.is_empty() {
        return Ok(verdicts);
    }
    let Some(key) = app.archive.known_person_key().await? else {
        return Ok(verdicts);
    };
    let mut tags = Vec::new();
    for (_, named) in &asked {
        tags.extend(named.references.iter().map(|id| key.reference(id).text()));
    }
    tags.sort_unstable();
    tags.dedup();
    let tombstones = app.table.tombstones(&tags).await?;
    for (read, named) in asked {
        let has_user = read.users().next().is_some();
        for reference in &named.references {
            let Some(tombstone) = tombstones.get(&key.reference(reference).text()) else {
                continue;
            };
            let mut verdict = tombstone.verdict(read.work.ordering_ts_ms(), has_user);
            // A person who connected anew has lab reports again.
            let made_after = tombstone
                .done_at_ms
                .is_some_and(|at| read.work.ordering_ts_ms() > at);
            if verdict == Verdict::Erase
                && made_after
                && !app.table.connections_of(reference).await?.is_empty()
            {
                verdict = Verdict::Store;
            }
            if verdict != Verdict::Store {
                verdicts.insert(read.id.clone(), verdict);
            }
        }
    }
    Ok(verdicts)
}

/// The ids that a webhook names whose Terra users nobody knows, if it names a person.
fn named(read: &Read<'_>) -> Option<Named> {
    let event = read.event.as_ref().ok()?;
    let users = [&event.user, &event.old_user, &event.new_user];
    let references = users.into_iter().flatten();
    let references = references.filter_map(|user| user.reference_id.clone());
    let mut named = Named {
        references: references.collect(),
        ..Named::default()
    };
    let is_healthcheck = event.event_type == EventType::Healthcheck;
    if named.references.is_empty() && read.terra_user_ids.is_empty() && !is_healthcheck {
        named = Named::in_body(&read.work.body);
    }
    (!named.references.is_empty()).then_some(named)
}
