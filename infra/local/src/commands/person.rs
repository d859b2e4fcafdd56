//! A person's connections, as commands are given them.

use models::ids::ReferenceId;
use store::table::connections::StoredConnection;

use super::{access::Access, show, terra};
use crate::failure;

/// The connections of a person, of one provider or of all.
///
/// # Errors
///
/// When there are none; exit code 3.
pub(super) async fn connections(
    access: &Access,
    reference_id: &str,
    provider: Option<&str>,
) -> anyhow::Result<Vec<StoredConnection>> {
    let id = ReferenceId::new(reference_id)
        .ok_or_else(|| failure::input("the reference id is empty"))?;
    let provider = provider.map(terra::provider).transpose()?;
    let mut connections = access.table.connections_of(&id).await?;
    if connections.is_empty() {
        return Err(failure::not_found(format!(
            "there is no person {reference_id}: `terrarium connections` lists who there is, and \
             `terrarium connect --reference-id {reference_id}` makes a link to connect"
        )));
    }
    let Some(provider) = provider else {
        return Ok(connections);
    };
    let others: Vec<_> = connections.iter().map(show::provider).collect();
    connections.retain(|connection| connection.state.provider() == Some(&provider));
    if connections.is_empty() {
        return Err(failure::not_found(format!(
            "{reference_id} has no connection to {provider}; there are: {}",
            others.join(", ")
        )));
    }
    Ok(connections)
}
