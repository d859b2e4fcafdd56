//! Stories about records: they grow, arrive late, lose scores and samples, are taken back.

use crate::{Connection, DataType, Scores, Shape, Webhook, World};

/// One day of one type, delivered `deliveries` times, each a superset of the one before.
pub fn superset_day(
    world: &mut World,
    connection: &Connection,
    data_type: DataType,
    deliveries: u16,
) -> Vec<Webhook> {
    let shape = Shape::on(Some(connection.zone.date(world.now())));
    (1..=i32::from(deliveries))
        .map(|number| {
            let minute = 1_440 * number / i32::from(deliveries);
            world.data(connection, data_type, &shape.clone().until(minute))
        })
        .collect()
}

/// A whole day, and afterwards an earlier, smaller version of it with its older stamp.
pub fn newer_then_stale(
    world: &mut World,
    connection: &Connection,
    data_type: DataType,
) -> Vec<Webhook> {
    let mut webhooks = superset_day(world, connection, data_type, 2);
    webhooks.reverse();
    webhooks
}

/// The same webhook twice, with the same trace id.
pub fn redelivered(
    world: &mut World,
    connection: &Connection,
    data_type: DataType,
) -> Vec<Webhook> {
    let webhook = world.data(connection, data_type, &Shape::default());
    vec![webhook.clone(), webhook]
}

/// Scores, then null scores, then a delivery without `data_enrichment`: the scores must stay.
pub fn scores_nulled(
    world: &mut World,
    connection: &Connection,
    data_type: DataType,
) -> Vec<Webhook> {
    let day = Some(connection.zone.date(world.now()));
    [Scores::Given, Scores::Null, Scores::Absent]
        .into_iter()
        .map(|scores| world.data(connection, data_type, &Shape::on(day).scores(scores)))
        .collect()
}

/// A day with samples, then the same with some of them and with none: the samples must stay.
pub fn samples_left_out(
    world: &mut World,
    connection: &Connection,
    data_type: DataType,
) -> Vec<Webhook> {
    let shape = Shape::on(Some(connection.zone.date(world.now())));
    vec![
        world.data(connection, data_type, &shape),
        world.data_with_some_samples(connection, data_type, &shape),
        world.data(
            connection,
            data_type,
            &Shape {
                floats: true,
                ..shape.without_samples()
            },
        ),
    ]
}

/// Records, then the vendor's word that they are deleted.
pub fn retracted(world: &mut World, connection: &Connection, data_type: DataType) -> Vec<Webhook> {
    let shape = Shape::on(Some(connection.zone.date(world.now())));
    vec![
        world.data(connection, data_type, &shape),
        world.data(connection, data_type, &shape.retracted()),
    ]
}

/// A food diary that grows with every meal and then loses two lines.
pub fn diary(world: &mut World, connection: &Connection) -> Vec<Webhook> {
    let mut webhooks = superset_day(world, connection, DataType::Nutrition, 4);
    let day = Some(connection.zone.date(world.now()));
    let shrunk = Shape {
        removed: 2,
        ..Shape::on(day)
    };
    webhooks.push(world.data(connection, DataType::Nutrition, &shrunk));
    webhooks
}

/// Makes webhooks that cannot be used now: an unknown type, a record without a key, types without a
/// shape, no data.
pub fn unusable(world: &mut World, connection: &Connection) -> Vec<Webhook> {
    vec![
        world.unknown_event(connection),
        world.record_without_key(connection),
        world.route(connection),
        world.internal_server_error(connection),
        world.empty_data(connection),
    ]
}
