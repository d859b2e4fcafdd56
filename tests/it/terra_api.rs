//! Our client of Terra's HTTP API and the stand-in Terra say the same of the same people.

use std::{sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp, civil::Date, tz::TimeZone};
use models::{
    data::DataType,
    event::Event,
    ids::{Provider as ProviderName, TerraUserId},
};
use serde_json::Value;
use simulator::{
    Connection, DataType as Kind, Provider, Truth, TruthSettings,
    api::{ApiSettings, Forms, TerraApi},
};
use terra_client::api::{
    DataAnswer, DataRequest, DateRange, Deauthenticated, Gone, Jitter, Samples, Settings,
    TerraClient, TerraError, Via,
};
use tokio::net::TcpListener;

use crate::world::{description, now};

const DEV_ID: &str = "testing-dev";
const API_KEY: &str = "key-of-the-tests";

struct Terra {
    truth: Truth,
    api: TerraApi,
    client: TerraClient,
    /// Days that are over and settled, the second one exclusive.
    days: (Date, Date),
}

async fn terra(forms: Forms) -> Terra {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let at: Timestamp = now();
    let month_ago = at - SignedDuration::from_hours(24 * 30);
    let providers = [Provider::Core, Provider::Cronometer, Provider::Garmin];
    let people = TruthSettings::new(5, 2, &providers, month_ago);
    let truth = Truth::new(people, Arc::new(move || at));
    let settings = ApiSettings {
        forms,
        description: description(),
        ..ApiSettings::new(&url, DEV_ID, API_KEY)
    };
    let api = TerraApi::new(truth.clone(), settings);
    tokio::spawn(axum::serve(listener, api.router()).into_future());

    let mut settings = Settings::new(DEV_ID, API_KEY.into());
    settings.base_url = format!("{url}/api/v2").parse().unwrap();
    settings.former_base_url = format!("{url}/v2").parse().unwrap();
    settings.widget_base_url = url.parse().unwrap();
    let client = TerraClient::new(&settings, Jitter::from_fn(|_| Duration::ZERO)).unwrap();
    let today = at.to_zoned(TimeZone::UTC).date();
    let back = |days: i64| today.saturating_sub(SignedDuration::from_hours(24 * days));
    Terra {
        truth,
        api,
        client,
        days: (back(12), back(5)),
    }
}

fn id_of(connection: &Connection) -> TerraUserId {
    TerraUserId::new(&connection.terra_user_id).unwrap()
}

/// The types that Terra has a call for and a provider may have.
const TYPES: [(DataType, Kind); 4] = [
    (DataType::Body, Kind::Body),
    (DataType::Daily, Kind::Daily),
    (DataType::Nutrition, Kind::Nutrition),
    (DataType::Sleep, Kind::Sleep),
];

#[tokio::test(flavor = "multi_thread")]
async fn what_the_stand_in_has_is_what_the_client_reads() {
    for forms in [Forms::Current, Forms::Former] {
        let Terra {
            truth,
            api,
            client,
            days: (from, to),
        } = terra(forms).await;
        let connections = truth.connections();
        let mut expected: Vec<_> = connections.iter().map(id_of).collect();
        expected.sort();
        let listed = client.subscriptions().await.unwrap();
        let mut found: Vec<_> = listed.users.into_iter().map(|user| user.user_id).collect();
        found.sort();
        assert_eq!((found, listed.unreadable), (expected, 0), "{forms:?}");

        let mut records = 0;
        for connection in &connections {
            let user_id = id_of(connection);
            let info = client.user_info(&user_id).await.unwrap();
            let provider = ProviderName::new(connection.provider.as_str()).unwrap();
            assert_eq!(info.user.user.provider.as_ref(), Some(&provider));
            for (data_type, kind) in TYPES {
                let request = DataRequest {
                    user_id: &user_id,
                    provider: Some(&provider),
                    data_type,
                    range: DateRange::of_days(from, to).unwrap(),
                    via: Via::Answer,
                    samples: Samples::With,
                };
                let expected = truth.records(connection, kind, from, to);
                let payload = match client.data(&request).await {
                    Ok(DataAnswer::Data(payload)) => payload,
                    Ok(DataAnswer::NoData) | Err(TerraError::NotSupported { .. }) => {
                        assert!(expected.is_empty(), "{forms:?} {provider} {data_type}");
                        continue;
                    }
                    other => panic!("{forms:?} {provider} {data_type}: {other:?}"),
                };
                let body = payload.event_body();
                let event = Event::parse(&body).unwrap();
                let mut read: Vec<Value> = event
                    .records
                    .iter()
                    .map(|record| serde_json::from_slice(&body[record.range.clone()]).unwrap())
                    .collect();
                // A night that touches the range but begins outside of it is answered too.
                read.retain(|record| expected.iter().any(|expected| expected.body == *record));
                assert_eq!(
                    read.len(),
                    expected.len(),
                    "{forms:?} {provider} {data_type}"
                );
                records += read.len();
            }
        }
        assert!(records > 20, "{records}");

        let leaver = id_of(&connections[0]);
        let first = client.deauthenticate(&leaver).await.unwrap();
        assert_eq!(first, Deauthenticated::Now);
        let gone = client.user_info(&leaver).await.unwrap_err();
        assert!(
            matches!(
                gone,
                TerraError::Gone {
                    what: Gone::UserUnknown | Gone::NotSaid,
                    ..
                }
            ),
            "{gone}"
        );
        let violations = api.violations();
        assert!(violations.is_empty(), "{violations:?}");
    }
}
