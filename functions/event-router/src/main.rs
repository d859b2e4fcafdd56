//! Event router: queued webhooks into the archive and the table.

use std::{sync::Arc, time::SystemTime};

use aws_lambda_events::sqs::SqsEvent;
use event_router::{App, Config, handle};
use jiff::Timestamp;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use runtime::{settings::Settings, telemetry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::init();
    let app = Arc::new(Box::pin(App::connect(Config::from_settings(Settings::from_env())?)).await?);

    lambda_runtime::run(service_fn(move |event: LambdaEvent<SqsEvent>| {
        let app = Arc::clone(&app);
        #[expect(clippy::disallowed_methods, reason = "the only clock")]
        let now = Timestamp::now();
        // Boxed: the SDK's futures are deeper than the compiler lays out in one.
        Box::pin(async move {
            let ends_at = event.context.deadline();
            let within = ends_at
                .duration_since(SystemTime::from(now))
                .unwrap_or_default();
            Ok::<_, Error>(handle(&app, event.payload, now, within).await)
        })
    }))
    .await
}
