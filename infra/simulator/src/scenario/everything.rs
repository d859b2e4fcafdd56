//! One event of every type.

use super::{connections, data};
use crate::{DataType, Provider, Shape, Webhook, World};

/// At least one webhook of every event type the simulator knows, pings excepted.
pub fn every_event(world: &mut World) -> Vec<Webhook> {
    let garmin = world.connection(Provider::Garmin);
    let google = world.connection(Provider::Google);
    let fitbit = world.connection(Provider::Fitbit);
    let reference = world.reference();
    let mut webhooks = vec![
        world.auth(&garmin),
        world.auth_failed(&garmin),
        world.auth_cancelled(None),
        world.google_no_datasource(&google),
        world.processing(&garmin),
        world.rate_limit_hit(&fitbit),
        world.large_request_processing(&garmin, &reference),
        world.large_request_sending(&garmin, &reference, 0),
        world.connection_error(&garmin),
        world.healthcheck(),
        world.lab_report_completed(&garmin.reference_id, 1, 4),
        world.lab_report_failed(&garmin.reference_id, 2),
    ];
    webhooks.extend(data::unusable(world, &garmin));
    for provider in Provider::ALL {
        let connection = world.connection(provider);
        for data_type in provider.data_types() {
            webhooks.push(world.data(&connection, *data_type, &Shape::default()));
        }
    }
    // Types that no provider of the list offers may come all the same.
    let core = world.connection(Provider::Core);
    for data_type in DataType::ALL {
        webhooks.push(world.data(&core, data_type, &Shape::default().without_samples()));
    }
    webhooks.extend(connections::permissions(world, &garmin));
    let garmin = world.connection(Provider::Garmin);
    let renewed = world.reauthenticate(&garmin);
    webhooks.push(world.user_reauth(Some(&garmin), &renewed));
    webhooks.push(world.deauth(&renewed));
    webhooks.push(world.access_revoked(&fitbit));
    webhooks
}
