//! History fetch: connections that stay true, gaps that are found and filled.

use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use history_fetch::{App, Clock, Config, Trigger, handle};
use jiff::Timestamp;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use runtime::{settings::Settings, telemetry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::init();
    #[expect(clippy::disallowed_methods, reason = "the only clock")]
    let clock: Clock = Arc::new(Timestamp::now);
    let config = Config::from_settings(Settings::from_env())?;
    let app = Arc::new(App::connect(config, clock).await?);

    lambda_runtime::run(service_fn(move |event: LambdaEvent<Trigger>| {
        let app = Arc::clone(&app);
        // Boxed: the SDK's futures are deeper than the compiler lays out in one.
        Box::pin(async move {
            let until = ends_at(&event.context.deadline());
            let worker = event.context.request_id.clone();
            Ok::<_, Error>(handle(&app, event.payload, &worker, until).await?)
        })
    }))
    .await
}

fn ends_at(deadline: &SystemTime) -> Timestamp {
    let since = deadline.duration_since(UNIX_EPOCH).unwrap_or_default();
    let ms = i64::try_from(since.as_millis()).unwrap_or(i64::MAX);
    Timestamp::from_millisecond(ms).unwrap_or(Timestamp::MAX)
}
