//! Jobs: long work, in stretches.

use std::{sync::Arc, time::Duration};

use aws_lambda_events::sqs::SqsEvent;
use jiff::Timestamp;
use jobs::{App, Clock, Config, handle};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use runtime::{settings::Settings, telemetry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::init();
    #[expect(clippy::disallowed_methods, reason = "the only clock")]
    let clock: Clock = Arc::new(Timestamp::now);
    let config = Config::from_settings(Settings::from_env())?;
    let app = Arc::new(App::connect(config, clock).await?);

    lambda_runtime::run(service_fn(move |event: LambdaEvent<SqsEvent>| {
        let app = Arc::clone(&app);
        // Boxed: the SDK's futures are deeper than the compiler lays out in one.
        Box::pin(async move {
            let deadline = event.context.deadline();
            let left = deadline.duration_since(std::time::SystemTime::now());
            let left = left.unwrap_or(Duration::ZERO);
            Ok::<_, Error>(handle(&app, event.payload, left).await)
        })
    }))
    .await
}
