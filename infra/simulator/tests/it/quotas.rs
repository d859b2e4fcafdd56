//! Terra's limits are kept, told, and counted.

use jiff::SignedDuration;
use simulator::{DataType, Provider, api::ViolationKind};

use crate::stand_in::{StandIn, day};

fn kinds(terra: &StandIn) -> Vec<ViolationKind> {
    let violations = terra.api.violations().into_iter();
    violations.map(|violation| violation.kind).collect()
}

#[tokio::test]
async fn one_request_covers_five_years_at_most() {
    let terra = StandIn::start(|_| {}).await;
    let user = terra.user(Provider::Oura);
    // 1,825 days, and one more.
    assert_eq!(
        terra
            .order(&user, "daily", "2021-07-16", "2026-07-15")
            .await
            .status,
        200
    );
    let refused = terra
        .order(&user, "daily", "2021-07-15", "2026-07-15")
        .await;
    assert_eq!(refused.status, 429);
    assert_eq!(refused.header("retry-after"), None);
    assert_eq!(refused.header("x-terra-ratelimit-remaining"), Some("4175"));
    assert_eq!(kinds(&terra), [ViolationKind::TooManyDays]);
}

#[tokio::test]
async fn six_thousand_days_an_hour_and_user_and_then_a_wait() {
    let terra = StandIn::start(|_| {}).await;
    let (user, other) = (terra.user(Provider::Oura), terra.user(Provider::Garmin));
    for minutes in [0, 10, 10] {
        terra.hands.advance(SignedDuration::from_mins(minutes));
        let answer = terra
            .order(&user, "daily", "2021-07-16", "2026-07-15")
            .await;
        assert_eq!(answer.header("x-terra-ratelimit-limit"), Some("6000"));
        assert_eq!(answer.status, 200);
    }
    terra.hands.advance(SignedDuration::from_mins(10));
    let fits = terra
        .order(&user, "sleep", "2025-02-05", "2026-07-15")
        .await;
    assert_eq!(
        (fits.status, fits.header("x-terra-ratelimit-remaining")),
        (200, Some("0"))
    );
    assert_eq!(kinds(&terra), []);

    let refused = terra
        .order(&user, "sleep", "2026-07-14", "2026-07-15")
        .await;
    assert_eq!(refused.status, 429);
    assert_eq!(refused.header("retry-after"), Some("1800"));
    assert_eq!(kinds(&terra), [ViolationKind::HourSpent]);
    // Once told, asking is another fault; other users are not concerned.
    terra
        .order(&user, "sleep", "2026-07-14", "2026-07-15")
        .await;
    assert_eq!(
        kinds(&terra),
        [ViolationKind::HourSpent, ViolationKind::TooSoon]
    );
    assert_eq!(
        terra
            .order(&other, "sleep", "2026-07-14", "2026-07-15")
            .await
            .status,
        200
    );
    terra.hands.advance(SignedDuration::from_secs(1_800));
    assert_eq!(
        terra
            .order(&user, "sleep", "2026-07-14", "2026-07-15")
            .await
            .status,
        200
    );
    assert_eq!(terra.api.limited().len(), 2);
}

#[tokio::test]
async fn fitbit_takes_150_calls_an_hour_and_user() {
    let terra = StandIn::start(|_| {}).await;
    let user = terra.user(Provider::Fitbit);
    let path = format!("/athlete?user_id={user}&to_webhook=false");
    for _ in 0..150 {
        assert_eq!(terra.get(&path).await.status, 200);
    }
    let refused = terra.get(&path).await;
    assert_eq!((refused.status, refused.header("retry-after")), (429, None));
    assert_eq!(kinds(&terra), [ViolationKind::ProviderSpent]);
    terra.hands.advance(SignedDuration::from_hours(1));
    assert_eq!(terra.get(&path).await.status, 200);
}

#[tokio::test]
async fn whoop_multiplies_calls() {
    let connected = crate::stand_in::start() - SignedDuration::from_hours(48);
    let people = simulator::TruthSettings::new(1, 1, &[Provider::Whoop], connected);
    let terra = StandIn::of(people, |settings| {
        settings.provider_calls_per_hour.insert(Provider::Whoop, 8);
    })
    .await;
    let user = terra.user(Provider::Whoop);
    for (kind, status) in [
        ("daily", 200),
        ("sleep", 200),
        ("activity", 200),
        ("sleep", 429),
        ("activity", 200),
    ] {
        assert_eq!(
            terra
                .read(&user, kind, "2026-07-01", "2026-07-02")
                .await
                .status,
            status,
            "{kind}"
        );
    }
}

#[tokio::test]
async fn the_days_that_were_asked_for_are_known() {
    let terra = StandIn::start(|_| {}).await;
    let user = terra.user(Provider::Oura);
    terra.read(&user, "daily", "2026-07-01", "2026-07-04").await;
    terra
        .order(&user, "daily", "2026-07-03", "2026-07-05")
        .await;
    terra.read(&user, "sleep", "2026-07-01", "2026-07-02").await;
    terra.read(&user, "daily", "2026-02-30", "2026-07-02").await;
    let asked = terra.api.asked(&user, DataType::Daily);
    let expected = [
        ("2026-07-01", 1),
        ("2026-07-02", 1),
        ("2026-07-03", 2),
        ("2026-07-04", 1),
    ];
    assert!(
        asked
            .into_iter()
            .eq(expected.map(|(date, times)| (day(date), times)))
    );
    let requests = terra.api.requests();
    assert_eq!(requests.len(), 4);
    assert!(requests[1].to_webhook && !requests[0].to_webhook);
    assert_eq!(requests[3].status, 400);
}
