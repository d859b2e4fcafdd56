//! API: gives back what was stored.

use std::sync::Arc;

use api::{App, Clock, Config, gateway, nothing_here, router};
use jiff::Timestamp;
use lambda_http::{Error, LambdaEvent, lambda_runtime, service_fn};
use runtime::{settings::Settings, telemetry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::init();
    #[expect(clippy::disallowed_methods, reason = "the only clock")]
    let clock: Clock = Arc::new(Timestamp::now);
    let config = Config::from_settings(Settings::from_env())?;
    let app = Arc::new(App::connect(config, clock).await?);
    let router = router(&app).fallback(nothing_here);

    lambda_runtime::run(service_fn(move |event: LambdaEvent<_>| {
        gateway::answer(router.clone(), event)
    }))
    .await
}
