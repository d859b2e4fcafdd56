//! A running stand-in Terra with a clock that only moves when told to, and a client for it.

use std::sync::{Arc, Mutex};

use axum::http::{HeaderMap, Method};
use jiff::{SignedDuration, Timestamp, civil::Date};
use serde_json::Value;
use simulator::{
    Clock, Connection, Provider, Truth, TruthSettings,
    api::{ApiSettings, Faults, Rule, TerraApi},
};

pub(crate) const DEV_ID: &str = "testing-terrarium";
pub(crate) const API_KEY: &str = "a key of the tests";

pub(crate) fn start() -> Timestamp {
    "2026-07-15T15:30:00Z".parse().unwrap()
}

pub(crate) fn day(text: &str) -> Date {
    text.parse().unwrap()
}

/// Time that stands still.
#[derive(Clone)]
pub(crate) struct Hands(Arc<Mutex<Timestamp>>);

impl Hands {
    pub(crate) fn at(now: Timestamp) -> Self {
        Self(Arc::new(Mutex::new(now)))
    }

    pub(crate) fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }

    pub(crate) fn set(&self, now: Timestamp) {
        *self.0.lock().unwrap() = now;
    }

    pub(crate) fn advance(&self, by: SignedDuration) {
        *self.0.lock().unwrap() += by;
    }

    pub(crate) fn clock(&self) -> Clock {
        let hands = self.clone();
        Arc::new(move || hands.now())
    }
}

pub(crate) const PROVIDERS: [Provider; 7] = [
    Provider::Garmin,
    Provider::Fitbit,
    Provider::Oura,
    Provider::Core,
    Provider::Cronometer,
    Provider::FreestyleLibre,
    Provider::Apple,
];

pub(crate) struct StandIn {
    pub(crate) api: TerraApi,
    pub(crate) truth: Truth,
    pub(crate) hands: Hands,
    pub(crate) address: String,
    http: reqwest::Client,
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

impl StandIn {
    /// Two people at seven providers, connected four weeks ago.
    pub(crate) async fn start(change: impl FnOnce(&mut ApiSettings)) -> Self {
        let connected = start() - SignedDuration::from_hours(28 * 24);
        Self::of(TruthSettings::new(7, 2, &PROVIDERS, connected), change).await
    }

    pub(crate) async fn of(truth: TruthSettings, change: impl FnOnce(&mut ApiSettings)) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let hands = Hands::at(start());
        let truth = Truth::new(truth, hands.clock());
        let mut settings = ApiSettings::new(&address, DEV_ID, API_KEY);
        change(&mut settings);
        let api = TerraApi::new(truth.clone(), settings);
        let router = api.router();
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self {
            api,
            truth,
            hands,
            address,
            http: client(),
        }
    }

    /// With one fault in force.
    pub(crate) async fn with_rule(rule: Rule) -> Self {
        Self::start(|settings| {
            settings.faults = Faults {
                rules: vec![rule],
                ..Faults::none()
            };
        })
        .await
    }

    /// The first person's connection.
    pub(crate) fn at(&self, provider: Provider) -> Connection {
        let mut all = self.truth.connections().into_iter();
        all.find(|connection| connection.provider == provider)
            .unwrap()
    }

    pub(crate) fn user(&self, provider: Provider) -> String {
        self.at(provider).terra_user_id
    }

    /// Calls with credentials.
    pub(crate) async fn call(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        self.try_call(method, path, body).await.unwrap()
    }

    pub(crate) async fn try_call(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<Answer, reqwest::Error> {
        let mut request = self
            .http
            .request(method, format!("{}/api/v2{path}", self.address))
            .header("dev-id", DEV_ID)
            .header("x-api-key", API_KEY);
        if let Some(body) = body {
            request = request
                .header("content-type", "application/json")
                .body(body.to_string());
        }
        received(request).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.call(Method::GET, path, None).await
    }

    /// Any request, as it is.
    pub(crate) async fn raw(&self, method: Method, path: &str, headers: &[(&str, &str)]) -> Answer {
        let request = self.http.request(method, format!("{}{path}", self.address));
        let request = headers.iter().fold(request, |request, (name, value)| {
            request.header(*name, *value)
        });
        received(request).await.unwrap()
    }

    /// A synchronous read.
    pub(crate) async fn read(&self, user: &str, kind: &str, from: &str, to: &str) -> Answer {
        let query = format!("user_id={user}&start_date={from}&end_date={to}");
        self.get(&format!(
            "/{kind}?{query}&to_webhook=false&with_samples=true"
        ))
        .await
    }

    /// A read whose data come as webhooks.
    pub(crate) async fn order(&self, user: &str, kind: &str, from: &str, to: &str) -> Answer {
        let query = format!("user_id={user}&start_date={from}&end_date={to}");
        self.get(&format!(
            "/{kind}?{query}&to_webhook=true&with_samples=true"
        ))
        .await
    }
}

async fn received(request: reqwest::RequestBuilder) -> Result<Answer, reqwest::Error> {
    let response = request.send().await?;
    Ok(Answer {
        status: response.status().as_u16(),
        headers: response.headers().clone(),
        text: response.text().await?,
    })
}

/// A client that follows no redirect and trusts nobody: everything here is on loopback.
pub(crate) fn client() -> reqwest::Client {
    let tls = rustls::ClientConfig::builder_with_provider(Arc::new(
        rustls::crypto::ring::default_provider(),
    ))
    .with_safe_default_protocol_versions()
    .unwrap()
    .with_root_certificates(rustls::RootCertStore::empty())
    .with_no_client_auth();
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .build()
        .unwrap()
}
