//! Tests of the parts of a plan that concern connections, notes and requests.

use models::{event::Scopes, ids::Provider};

use super::*;

const MINUTE_MS: i64 = 60_000;
/// Seven seconds after a full minute.
const NOW: i64 = 29_000_000 * MINUTE_MS + 7_000;

fn planned(body: &str) -> Plan {
    planned_with(body, "webhook", &[])
}

fn planned_with(body: &str, webhook_id: &str, headers: &[(&str, &[u8])]) -> Plan {
    let event = Event::parse(body.as_bytes()).unwrap();
    let headers = TerraHeaders::from_pairs(headers.iter().copied());
    plan(&event, &WebhookId::new(webhook_id).unwrap(), &headers, NOW)
}

fn user(id: &str) -> TerraUserId {
    TerraUserId::new(id).unwrap()
}

/// The event of one user at GARMIN.
fn of_user(event_type: &str) -> String {
    format!(r#"{{"type":"{event_type}","user":{{"user_id":"u","provider":"GARMIN"}}}}"#)
}

fn version() -> Version {
    Version::of(&WebhookId::new("webhook").unwrap(), NOW)
}

fn parked_for(plan: &Plan) -> Option<ParkReason> {
    plan.parked.first().map(|parked| parked.reason)
}

#[test]
fn the_events_of_a_life_set_the_status_and_only_a_new_connection_is_told_of() {
    for (event_type, status, connected) in [
        ("auth", Status::Active, Some(user("u"))),
        ("deauth", Status::Ended, None),
        ("access_revoked", Status::Ended, None),
        ("connection_error", Status::Failing, None),
    ] {
        let plan = planned(&of_user(event_type));
        let connection = plan.connection.unwrap();
        assert_eq!(connection.status(), status, "{event_type}");
        assert_eq!(connection.status_since_ms(), Some(NOW), "{event_type}");
        assert_eq!(connection.provider(), Provider::new("GARMIN").as_ref());
        assert_eq!(plan.connected, connected, "{event_type}");
        assert_eq!((plan.owner, plan.records), (None, vec![]), "{event_type}");
    }
}

#[test]
fn a_failed_login_changes_nothing() {
    let failed = r#"{"type":"auth","status":"error","user":{"user_id":"u"}}"#;
    assert_eq!(planned(failed), Plan::default());
    assert_eq!(planned(&of_user("auth_cancelled")), Plan::default());
}

#[test]
fn an_event_that_must_name_a_user_and_does_not_is_parked() {
    for event_type in [
        "auth",
        "deauth",
        "access_revoked",
        "connection_error",
        "user_reauth",
        "permission_change",
        "daily",
    ] {
        for user in ["null", r#"{"provider":"GARMIN"}"#] {
            let plan = planned(&format!(
                r#"{{"type":"{event_type}","user":{user},"data":[]}}"#
            ));
            assert_eq!(plan, Plan::parked(ParkReason::NoUser), "{event_type}");
        }
    }
}

#[test]
fn a_reauthentication_ties_the_new_user_to_the_old_one() {
    let plan = planned(
        r#"{"type":"user_reauth","old_user":{"user_id":"old","reference_id":"anna"},
            "new_user":{"user_id":"new","provider":"FITBIT"}}"#,
    );
    let connection = plan.connection.unwrap();
    assert_eq!(connection.root(), Some(&user("old")));
    let (current, member) = connection.current().unwrap();
    assert_eq!(current, &user("new"));
    assert_eq!(member.replaces, BTreeSet::from([user("old")]));
    assert_eq!(connection.status(), Status::Active);
    assert_eq!(connection.reference_id(), ReferenceId::new("anna").as_ref());
    assert_eq!(connection.members[&user("old")].life, None);
    assert_eq!(plan.connected, Some(user("new")));
}

#[test]
fn a_reauthentication_without_another_old_user_is_a_plain_auth() {
    let auth = planned(&of_user("auth"));
    for body in [
        r#"{"type":"user_reauth","new_user":{"user_id":"u","provider":"GARMIN"}}"#,
        r#"{"type":"user_reauth","user":{"user_id":"u","provider":"GARMIN"}}"#,
        r#"{"type":"user_reauth","old_user":{"user_id":"u"},"new_user":{"user_id":"u","provider":"GARMIN"}}"#,
    ] {
        assert_eq!(planned(body), auth, "{body}");
    }
}

#[test]
fn a_change_of_permissions_keeps_the_whole_set_and_each_change() {
    let with_whole = planned(
        r#"{"type":"permission_change","user":{"user_id":"u","scopes":"DAILY,SLEEP"},
            "scopes_added":"SLEEP","scopes_removed":"BODY"}"#,
    );
    let connection = with_whole.connection.unwrap();
    let member = &connection.members[&user("u")];
    let of = |value| Register {
        value,
        version: version(),
    };
    let changes = [("BODY", false), ("SLEEP", true)];
    let changes = changes.map(|(scope, granted)| (scope.to_owned(), of(granted)));
    assert_eq!(member.scope_changes, BTreeMap::from(changes));
    assert_eq!(connection.scopes(), Some(Scopes::parse("DAILY,SLEEP")));
    assert_eq!(connection.withdrawn_at_ms(), Some(NOW));
    assert_eq!(member.life, None);

    let without_whole = planned(
        r#"{"type":"permission_change","user":{"user_id":"u"},"scopes_added":"SLEEP","scopes_removed":"BODY"}"#,
    );
    let scopes = without_whole.connection.unwrap().scopes();
    assert_eq!(scopes, Some(Scopes::parse("SLEEP")));
}

#[test]
fn an_event_that_only_tells_something_is_noted_where_there_is_a_user() {
    for event_type in ["google_no_datasource", "processing", "rate_limit_hit"] {
        let connection = planned(&of_user(event_type)).connection.unwrap();
        assert_eq!(connection.note(), Some((event_type, NOW)));
        assert_eq!(connection.members[&user("u")].life, None);
        let nobody = planned(&format!(r#"{{"type":"{event_type}"}}"#));
        assert_eq!(nobody, Plan::default(), "{event_type}");
    }
}

#[test]
fn data_show_to_the_minute_that_a_connection_brings_them_unless_they_were_asked_for() {
    let body = r#"{"type":"daily","user":{"user_id":"u","provider":"GARMIN"},"data":[]}"#;
    let plan = planned(body);
    let connection = plan.connection.unwrap();
    assert_eq!(connection.data_at_ms(), Some(NOW - 7_000));
    let provider = connection.members[&user("u")].provider.as_ref().unwrap();
    assert_eq!(provider.version, Version::in_passing(NOW));
    assert_eq!(plan.owner, Some(Owner::TerraUser(user("u"))));
    assert_eq!((plan.request, plan.connected), (None, None));

    let fetched = WebhookId::fetched("x");
    let asked_for = planned_with(body, fetched.as_str(), &[]);
    let connection = asked_for.connection.unwrap();
    assert_eq!(connection.data_at_ms(), None);
    assert_eq!(connection.provider(), Provider::new("GARMIN").as_ref());
}

#[test]
fn a_marked_chunk_counts_at_once_and_another_webhook_only_for_a_known_request() {
    let body = r#"{"type":"daily","user":{"user_id":"u"},"data":[{"metadata":{"start_time":"2026-04-02T00:00:00Z"}}]}"#;
    let request = |reference: &str| {
        let headers = [("terra-reference", reference.as_bytes())];
        planned_with(body, "webhook", &headers).request.unwrap()
    };
    for (number, chunk) in [("3", "3"), ("03", "3"), ("0", "0"), ("00", "0")] {
        let marked = request(&format!("r:chunk:{number}"));
        assert_eq!(marked.reference, "r");
        assert!(!marked.only_if_known && marked.request.has_records);
        assert_eq!(marked.request.chunks, BTreeSet::from([chunk.to_owned()]));
        assert_eq!(marked.request.terra_user_id, Some(user("u")));
        assert_eq!(marked.request.last_seen_ms, NOW);
    }
    let unmarked = request("r");
    assert_eq!(unmarked.reference, "r");
    assert!(unmarked.only_if_known);
    // Known by its webhook id, so that a repeated delivery is one chunk.
    assert_eq!(unmarked.request.chunks, request("r").request.chunks);
    assert_eq!(unmarked.request.chunks.first().unwrap().len(), 16);
}

#[test]
fn a_large_request_is_known_by_the_reference_of_the_body_before_that_of_the_header() {
    let headers: [(&str, &[u8]); 1] = [("terra-reference", b"header:chunk:0")];
    let sending = r#"{"type":"large_request_sending","user":{"user_id":"u","provider":"GARMIN"},
        "reference":"body","expected_payloads":7}"#;
    let plan = planned_with(sending, "webhook", &headers);
    let planned = plan.request.unwrap();
    assert_eq!(planned.reference, "body");
    assert_eq!(planned.request.expected_chunks, Some(7));
    assert_eq!(planned.request.chunks, BTreeSet::new());
    assert!(!planned.only_if_known);
    // No sign of life: Terra was asked for these data.
    assert_eq!(plan.connection.unwrap().data_at_ms(), None);

    let processing = r#"{"type":"large_request_processing"}"#;
    let plan = planned_with(processing, "webhook", &headers);
    assert_eq!(plan.request.unwrap().reference, "header");
    assert_eq!((plan.connection, plan.parked), (None, vec![]));
}

#[test]
fn a_reference_too_long_for_a_key_is_kept_by_its_hash() {
    let long = "r".repeat(MAX_REFERENCE_BYTES + 1);
    let body = format!(r#"{{"type":"large_request_sending","reference":"{long}"}}"#);
    let reference = planned(&body).request.unwrap().reference;
    assert_eq!(reference.len(), 64);
    let fits = "r".repeat(MAX_REFERENCE_BYTES);
    let body = format!(r#"{{"type":"large_request_sending","reference":"{fits}"}}"#);
    assert_eq!(planned(&body).request.unwrap().reference, fits);
}

#[test]
fn an_event_of_ours_changes_nothing_and_its_name_alone_does_not_make_it_ours() {
    let body = format!(r#"{{"type":"{DONE_EVENT}"}}"#);
    let fetched = WebhookId::fetched("x");
    let ours = planned_with(&body, fetched.as_str(), &[]);
    assert_eq!(ours, Plan::default());
    assert_eq!(parked_for(&planned(&body)), Some(ParkReason::UnknownType));
    let unheard_of = planned(&of_user("unheard_of"));
    assert_eq!(parked_for(&unheard_of), Some(ParkReason::UnknownType));
}

#[test]
fn a_ping_in_place_of_a_payload_is_parked_and_a_lost_payload_names_its_request() {
    let ping = r#"{"type":"s3_payload","user_id":"u","reference_id":"anna","url":"https://x"}"#;
    assert_eq!(parked_for(&planned(ping)), Some(ParkReason::NestedPing));
    let event = Event::parse(ping.as_bytes()).unwrap();
    let headers: [(&str, &[u8]); 1] = [("terra-reference", b"r:chunk:2")];
    let headers = TerraHeaders::from_pairs(headers);
    let plan = lost_payload(&event, &headers, ParkReason::PayloadExpired, NOW);
    let lost = plan.lost.as_ref().unwrap();
    assert_eq!(lost.terra_user_id, Some(user("u")));
    assert_eq!(lost.reference_id, ReferenceId::new("anna"));
    assert_eq!(lost.reference.as_deref(), Some("r"));
    assert_eq!(lost.offered_at_ms, NOW);
    assert_eq!(parked_for(&plan), Some(ParkReason::PayloadExpired));
}
