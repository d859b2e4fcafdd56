//! Stories about connections: they are renewed, end, come back, or are not known yet.

use crate::{Connection, DataType, Provider, Shape, Webhook, World};

/// Order in which the events of a reauthentication arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReauthOrder {
    /// `auth`, then `user_reauth`, link by link.
    AuthFirst,
    /// `user_reauth`, then `auth`, link by link.
    ReauthFirst,
    /// All `user_reauth` events last and the newest link first: B→C before A→B.
    NewestLinkFirst,
}

/// The data type that a provider sends first.
fn main_type(provider: Provider) -> DataType {
    provider
        .data_types()
        .first()
        .copied()
        .unwrap_or(DataType::Daily)
}

/// A connection that is renewed `links` times: data under every id, and at the end a late delivery
/// under the very first one.
pub fn reauth_chain(
    world: &mut World,
    connection: &Connection,
    links: usize,
    order: ReauthOrder,
) -> Vec<Webhook> {
    let data_type = main_type(connection.provider);
    let mut webhooks = vec![
        world.auth(connection),
        world.data(connection, data_type, &Shape::default().until(600)),
    ];
    let late = world.data(connection, data_type, &Shape::default().until(660));
    let mut swaps = Vec::new();
    let mut old = connection.clone();
    for _ in 0..links {
        let new = world.reauthenticate(&old);
        let auth = world.auth(&new);
        let swap = world.user_reauth(Some(&old), &new);
        let data = world.data(&new, data_type, &Shape::default().until(900));
        match order {
            ReauthOrder::AuthFirst => webhooks.extend([auth, data, swap]),
            ReauthOrder::ReauthFirst => webhooks.extend([swap, auth, data]),
            ReauthOrder::NewestLinkFirst => {
                webhooks.extend([auth, data]);
                swaps.insert(0, swap);
            }
        }
        old = new;
    }
    webhooks.extend(swaps);
    webhooks.push(late);
    webhooks.push(world.data(&old, data_type, &Shape::default()));
    webhooks
}

/// A reauthentication that does not say whom it replaces.
pub fn reauth_without_old(world: &mut World, connection: &Connection) -> Vec<Webhook> {
    let new = world.reauthenticate(connection);
    vec![world.user_reauth(None, &new), world.auth(&new)]
}

/// A reauthentication whose users have no `provider`, as in one of Terra's guides.
pub fn reauth_short_users(world: &mut World, connection: &Connection) -> Vec<Webhook> {
    let new = world.reauthenticate(connection);
    vec![world.user_reauth_short(connection, &new), world.auth(&new)]
}

/// The user disconnects, and some time later connects again under a new id: there is no
/// `user_reauth`, since the old connection was over.
pub fn came_back(world: &mut World, connection: &Connection) -> Vec<Webhook> {
    let data_type = main_type(connection.provider);
    let gone = world.deauth(connection);
    let new = world.reauthenticate(connection);
    vec![
        gone,
        world.auth(&new),
        world.data(&new, data_type, &Shape::default()),
    ]
}

/// The user withdraws access at the provider, then connects again.
pub fn revoked(world: &mut World, connection: &Connection) -> Vec<Webhook> {
    let gone = world.access_revoked(connection);
    let new = world.reauthenticate(connection);
    vec![
        gone,
        world.auth_cancelled(Some(&new.reference_id)),
        world.auth(&new),
    ]
}

/// The provider refuses for a while; the next data show that it is over.
pub fn failing_and_recovered(world: &mut World, connection: &Connection) -> Vec<Webhook> {
    let data_type = main_type(connection.provider);
    vec![
        world.connection_error(connection),
        world.rate_limit_hit(connection),
        world.data(connection, data_type, &Shape::default()),
    ]
}

/// A permission is given, another withdrawn.
pub fn permissions(world: &mut World, connection: &Connection) -> Vec<Webhook> {
    let given = world.permission_change(connection, "BODY_EXPORT", "");
    let connection = world
        .connections()
        .find(|known| known.account == connection.account)
        .cloned()
        .unwrap_or_else(|| connection.clone());
    vec![
        given,
        world.permission_change(&connection, "", "BODY_EXPORT"),
    ]
}

/// Data of a connection that nobody has heard of; its `auth` comes later.
pub fn data_before_auth(world: &mut World, provider: Provider) -> Vec<Webhook> {
    let connection = world.stranger(provider);
    let data = world.data(
        &connection,
        main_type(provider),
        &Shape::default().until(700),
    );
    vec![data, world.auth(&connection)]
}

/// Data of a connection without a reference id, whose `auth` never comes.
pub fn stray_data(world: &mut World, provider: Provider) -> Vec<Webhook> {
    let stranger = world.stranger(provider);
    let connection = Connection {
        reference_id: String::new(),
        ..stranger
    };
    vec![world.data(&connection, main_type(provider), &Shape::default())]
}
