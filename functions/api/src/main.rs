//! API: gives back what was stored.

use std::sync::Arc;

use api::{App, Clock, Config, RequestId, nothing_here, path_of_decoded, query_of_raw, router};
use axum::Router;
use jiff::Timestamp;
use lambda_http::{
    Adapter, Error, LambdaEvent, Request, RequestExt as _,
    aws_lambda_events::apigw::ApiGatewayV2httpRequest,
    lambda_runtime,
    request::LambdaRequest,
    service_fn,
    tower::{ServiceBuilder, ServiceExt as _},
};
use runtime::{settings::Settings, telemetry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::init();
    #[expect(clippy::disallowed_methods, reason = "the only clock")]
    let clock: Clock = Arc::new(Timestamp::now);
    let config = Config::from_settings(Settings::from_env())?;
    let app = Arc::new(App::connect(config, clock).await?);
    let router: Router = router(&app).fallback(nothing_here);
    let answer = ServiceBuilder::new()
        .map_request(|mut request: Request| {
            let id = request
                .lambda_context_ref()
                .map(|context| RequestId(context.request_id.clone()));
            if let Some(id) = id {
                request.extensions_mut().insert(id);
            }
            request
        })
        .service(router);

    lambda_runtime::run(service_fn(
        move |event: LambdaEvent<ApiGatewayV2httpRequest>| {
            let LambdaEvent {
                mut payload,
                context,
            } = event;
            payload.raw_path = payload.raw_path.as_deref().map(path_of_decoded);
            let query = payload.raw_query_string.as_deref();
            payload.raw_query_string = query.map(query_of_raw);
            let event = LambdaEvent::new(LambdaRequest::ApiGatewayV2(payload), context);
            Adapter::from(answer.clone()).oneshot(event)
        },
    ))
    .await
}
