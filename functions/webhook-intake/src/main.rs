//! Webhook intake: verify a Terra webhook, make it durable, answer.

use std::{convert::Infallible, sync::Arc};

use jiff::Timestamp;
use lambda_http::{
    Adapter, Error, LambdaEvent, Request, lambda_runtime, request::LambdaRequest, service_fn,
    tower::ServiceExt as _,
};
use runtime::{settings::Settings, telemetry};
use webhook_intake::{App, Config, drop_undecodable_body, handle};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::init("webhook-intake");
    let app = Arc::new(App::connect(Config::from_settings(Settings::from_env())?).await?);

    let answer = service_fn(move |request: Request| {
        let app = Arc::clone(&app);
        #[expect(clippy::disallowed_methods, reason = "the only clock")]
        let now = Timestamp::now();
        async move { Ok::<_, Infallible>(handle(&app, request, now).await) }
    });
    lambda_runtime::run(service_fn(move |mut event: LambdaEvent<LambdaRequest>| {
        drop_undecodable_body(&mut event.payload);
        Adapter::from(answer.clone()).oneshot(event)
    }))
    .await
}
