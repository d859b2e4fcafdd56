//! Events of API Gateway as requests.

use std::convert::Infallible;

use axum::Router;
use lambda_http::{
    Adapter, LambdaEvent, Request, RequestExt as _,
    aws_lambda_events::apigw::ApiGatewayV2httpRequest,
    request::LambdaRequest,
    tower::{ServiceBuilder, ServiceExt as _},
};
use serde::Serialize;

use crate::{
    serve::RequestId,
    text::{path_of_decoded, query_of_raw},
};

/// Answers a request as Lambda gets it: its path decoded, its query as it was sent, its id in the context.
///
/// # Errors
///
/// None: what goes wrong is an answer.
pub async fn answer(
    router: Router,
    event: LambdaEvent<ApiGatewayV2httpRequest>,
) -> Result<impl Serialize, Infallible> {
    let LambdaEvent {
        mut payload,
        context,
    } = event;
    payload.raw_path = payload.raw_path.as_deref().map(path_of_decoded);
    let query = payload.raw_query_string.as_deref();
    payload.raw_query_string = query.map(query_of_raw);
    let event = LambdaEvent::new(LambdaRequest::ApiGatewayV2(payload), context);
    let service = ServiceBuilder::new().map_request(with_id).service(router);
    Adapter::from(service).oneshot(event).await
}

fn with_id(mut request: Request) -> Request {
    let context = request.lambda_context_ref();
    let id = context.map(|context| RequestId(context.request_id.clone()));
    if let Some(id) = id {
        request.extensions_mut().insert(id);
    }
    request
}
