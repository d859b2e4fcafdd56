//! Webhook intake: verify a Terra webhook, make it durable, answer.

use std::{convert::Infallible, sync::Arc};

use jiff::Timestamp;
use lambda_http::{
    Adapter, Error, LambdaEvent, Request, aws_lambda_events::apigw::ApiGatewayV2httpRequest,
    lambda_runtime, service_fn, tower::ServiceExt as _,
};
use runtime::{settings::Settings, telemetry};
use webhook_intake::{App, Config, handle, request_of};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::init();
    let app = Arc::new(App::connect(Config::from_settings(Settings::from_env())?).await?);

    let answer = service_fn(move |request: Request| {
        let app = Arc::clone(&app);
        #[expect(clippy::disallowed_methods, reason = "the only clock")]
        let now = Timestamp::now();
        async move { Ok::<_, Infallible>(handle(&app, request, now).await) }
    });
    // Read as the one event it can be: to find out which of several it is takes another pass.
    lambda_runtime::run(service_fn(
        move |event: LambdaEvent<ApiGatewayV2httpRequest>| {
            let LambdaEvent { payload, context } = event;
            let event = LambdaEvent::new(request_of(payload), context);
            Adapter::from(answer.clone()).oneshot(event)
        },
    ))
    .await
}
