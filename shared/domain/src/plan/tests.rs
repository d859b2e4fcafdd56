//! Tests of the parts of a plan that concern data, and of what is parked.

use super::*;

/// Plans the event of a body.
fn planned(body: &str) -> Plan {
    let event = Event::parse(body.as_bytes()).unwrap();
    let webhook_id = WebhookId::new("webhook").unwrap();
    let headers = TerraHeaders::from_pairs(std::iter::empty::<(&str, &[u8])>());
    plan(&event, &webhook_id, &headers, 1)
}

fn keys(plan: &Plan) -> BTreeSet<String> {
    plan.records
        .iter()
        .map(|record| record.key.to_string())
        .collect()
}

fn reasons(plan: &Plan) -> Vec<(Option<usize>, ParkReason)> {
    plan.parked
        .iter()
        .map(|parked| (parked.index, parked.reason))
        .collect()
}

/// An event of one user with these records.
fn event(data_type: DataType, data: &str) -> String {
    format!(
        r#"{{"type":"{data_type}","user":{{"user_id":"u","provider":"SUUNTO"}},"data":{data}}}"#
    )
}

#[test]
fn workouts_with_placeholder_ids_are_told_apart_by_their_times() {
    let ids = ["0", "\"0\"", "\"\"", "\" \"", "\"None\""];
    let workouts: Vec<_> = ids
        .iter()
        .enumerate()
        .map(|(day, id)| {
            format!(
                r#"{{"metadata":{{"summary_id":{id},"start_time":"2026-09-0{n}T06:42:14.550Z","end_time":"2026-09-0{n}T07:39:20.630Z"}}}}"#,
                n = day + 1
            )
        })
        .collect();
    let plan = planned(&event(
        DataType::Activity,
        &format!("[{}]", workouts.join(",")),
    ));
    assert_eq!(keys(&plan).len(), ids.len());
    assert_eq!(plan.parked, []);
}

#[test]
fn a_data_event_tells_the_first_and_last_day_of_its_records() {
    let day = |start: &str| format!(r#"{{"metadata":{{"start_time":"{start}"}}}}"#);
    let days = [
        day("2026-09-02T00:00:00+02:00"),
        day("2026-08-30T23:59:00-11:00"),
        day("soon"),
        day("2026-09-01T00:00:00Z"),
    ];
    let plan = planned(&event(DataType::Daily, &format!("[{}]", days.join(","))));
    let types = plan.connection.unwrap().types;
    let told = types
        .iter()
        .map(|(data_type, extent)| (*data_type, extent.to_string()));
    let expected = (DataType::Daily, "2026-08-30/2026-09-02".to_owned());
    assert_eq!(told.collect::<Vec<_>>(), [expected]);

    let profile =
        r#"{"type":"athlete","user":{"user_id":"u","provider":"SUUNTO"},"athlete":{"age":30}}"#;
    let plan = planned(profile);
    assert_eq!(plan.records.len(), 1);
    assert!(plan.connection.unwrap().types.is_empty());
}

#[test]
fn the_earlier_of_two_overlapping_sessions_without_id_is_shadowed() {
    let night = |start: &str, end: &str| {
        format!(
            r#"{{"metadata":{{"start_time":"2026-09-02T{start}Z","end_time":"2026-09-03T{end}Z"}}}}"#
        )
    };
    let nights = [
        night("21:30:00", "05:00:00"),
        night("21:41:00", "05:02:00"),
        night("12:00:00", "00:01:00"),
    ];
    let plan = planned(&event(DataType::Sleep, &format!("[{}]", nights.join(","))));
    let shadowed: Vec<_> = plan.records.iter().map(|record| record.shadowed).collect();
    assert_eq!(shadowed, [true, false, false]);
}

#[test]
fn records_of_the_zero_time_are_parked_like_those_without_time() {
    let zero = r#"[{"metadata":{"start_time":"0001-01-01T00:00:00Z","end_time":"0001-01-01T00:00:00Z"}},
        {"metadata":{"start_time":"1970-01-01T00:00:00Z","end_time":"1970-01-01T00:00:00Z"}}]"#;
    for (data_type, reason) in [
        (DataType::Body, ParkReason::NoStartTime),
        (DataType::Sleep, ParkReason::NoStartTime),
        (DataType::Activity, ParkReason::NoSummaryId),
    ] {
        let plan = planned(&event(data_type, zero));
        assert_eq!(plan.records, []);
        assert_eq!(reasons(&plan), [(Some(0), reason), (Some(1), reason)]);
    }
}

#[test]
fn half_an_emoji_costs_neither_user_nor_record() {
    let body = r#"{"type":"activity","user":{"user_id":"u","provider":"STRAVA","reference_id":"runner \ud83d"},
        "data":[{"metadata":{"summary_id":"em-2","name":"run \ud83d"},"distance_data":"n/a \ud83d",
        "energy_data":1e999,"calories_data":{"total_burned_calories":321}}]}"#;
    let plan = planned(body);
    assert_eq!(plan.parked, []);
    let found = &plan.records[0].found.delivered;
    let burned = found.get("total_burned_calories");
    assert_eq!(burned, Some(crate::summary::Value::Number(321.0)));
    assert_eq!(
        plan.owner,
        Some(Owner::TerraUser(TerraUserId::new("u").unwrap()))
    );
}

#[test]
fn a_data_event_without_data_is_parked_and_one_with_none_is_not() {
    let none = r#"{"type":"daily","user":{"user_id":"u","provider":"CORE"}}"#;
    assert_eq!(reasons(&planned(none)), [(None, ParkReason::NoData)]);
    let report = r#"{"type":"lab_report.completed","event_id":"e"}"#;
    assert_eq!(reasons(&planned(report)), [(None, ParkReason::NoData)]);
    assert_eq!(reasons(&planned(&event(DataType::Daily, "[]"))), []);
    let empty = r#"{"type":"lab_report.completed","data":[]}"#;
    assert_eq!(reasons(&planned(empty)), [(None, ParkReason::NoSessionId)]);
}

#[test]
fn every_lab_report_of_an_event_is_stored_or_parked() {
    let body = r#"{"type":"lab_report.completed","data":[{"session_id":"1","reference_id":"a"},
        {"session_id":"2","reference_id":"a"},{"session_id":"3","reference_id":"b"},{"session_id":"0"}]}"#;
    let plan = planned(body);
    assert_eq!(
        keys(&plan),
        BTreeSet::from(["1".to_owned(), "2".to_owned()])
    );
    assert_eq!(
        reasons(&plan),
        [
            (Some(2), ParkReason::SeveralPeople),
            (Some(3), ParkReason::NoSessionId)
        ]
    );
}
