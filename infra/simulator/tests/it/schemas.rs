//! Everything the simulator sends is valid by Terra's own JSON Schemas.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
};

use jiff::Timestamp;
use jsonschema::{Retrieve, Uri, Validator};
use serde_json::Value;
use simulator::{
    DataType, Payloads, Provider, Scores, Shape, Size, Truth, TruthSettings, Webhook, World,
    scenario::{self, ChunkForm, Lively, ReauthOrder},
};

/// Base address of the schemas, so that they find each other.
const BASE: &str = "json-schema:///";

/// Types with a schema of their own.
const WITH_SCHEMA: [(&str, &str); 23] = [
    ("access_revoked", "AccessRevokedEvent"),
    ("activity", "ActivityEvent"),
    ("athlete", "AthleteEvent"),
    ("auth", "AuthSuccessEvent"),
    ("auth_cancelled", "AuthErrorEvent"),
    ("body", "BodyEvent"),
    ("connection_error", "ConnectionErrorEvent"),
    ("daily", "DailyEvent"),
    ("deauth", "DeauthEvent"),
    ("health_observation", "HealthObservationEvent"),
    ("hormone", "HormoneEvent"),
    ("lab_report.completed", "LabReportCompletedEvent"),
    ("lab_report.failed", "LabReportFailedEvent"),
    ("large_request_processing", "LargeRequestProcessingEvent"),
    ("large_request_sending", "LargeRequestSendingEvent"),
    ("menstruation", "MenstruationEvent"),
    ("nutrition", "NutritionEvent"),
    ("permission_change", "PermissionChangeEvent"),
    ("planned_workout", "PlannedWorkoutEvent"),
    ("s3_payload", "S3PayloadEvent"),
    ("sleep", "SleepEvent"),
    ("user_reauth", "UserReauthEvent"),
    // The base of all events holds for every other type.
    ("", "WebhookEvent"),
];

/// Types that Terra describes nowhere in full.
const WITHOUT_SCHEMA: [&str; 8] = [
    "breath_session",
    "google_no_datasource",
    "healthcheck",
    "internal_server_error",
    "processing",
    "rate_limit_hit",
    "route",
    "s3_upload",
];

struct Siblings(PathBuf);

impl Retrieve for Siblings {
    fn retrieve(
        &self,
        uri: &Uri<String>,
    ) -> Result<Value, Box<dyn std::error::Error + Send + Sync>> {
        let name = uri.path().as_str().trim_start_matches('/');
        read(&self.0.join(name))
    }
}

fn read(path: &Path) -> Result<Value, Box<dyn std::error::Error + Send + Sync>> {
    Ok(serde_yaml_ng::from_str(&std::fs::read_to_string(path)?)?)
}

/// Terra's schemas, and what has been held against them.
struct Checker {
    validators: BTreeMap<&'static str, Validator>,
    seen: BTreeSet<String>,
    count: usize,
}

impl Checker {
    fn new() -> Option<Self> {
        let schemas = crate::terra::directory()?.join("openapi/schemas");
        let validators = WITH_SCHEMA
            .iter()
            .map(|(event_type, name)| {
                let schema = read(&schemas.join(format!("{name}.yaml"))).unwrap();
                let validator = jsonschema::draft202012::options()
                    .with_base_uri(format!("{BASE}{name}.yaml"))
                    .with_retriever(Siblings(schemas.clone()))
                    .build(&schema)
                    .unwrap();
                (*event_type, validator)
            })
            .collect();
        Some(Self {
            validators,
            seen: BTreeSet::new(),
            count: 0,
        })
    }

    fn check(&mut self, webhook: &Webhook) {
        let body: Value = serde_json::from_slice(&webhook.body).unwrap();
        assert_eq!(body["type"], webhook.event_type);
        let event_type = webhook.event_type.as_str();
        let base = self.validators.get("").unwrap();
        // Two forms that Terra documents outside its schemas.
        let old_failure = event_type == "auth" && body["status"] == "error";
        let short_users = event_type == "user_reauth" && body["new_user"]["provider"].is_null();
        let validator = if old_failure || short_users {
            base
        } else {
            self.validators.get(event_type).unwrap_or(base)
        };
        let faults: Vec<String> = validator
            .iter_errors(&body)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(faults.is_empty(), "{event_type}: {faults:#?}");
        self.seen.insert(event_type.to_owned());
        self.count += 1;
    }
}

fn start() -> Timestamp {
    "2026-07-01T15:30:00Z".parse().unwrap()
}

fn payloads() -> Payloads {
    Payloads::new("http://127.0.0.1:1", b"payload secret", Arc::new(start))
}

fn lively(seed: u64) -> Lively {
    Lively::new(World::new(seed, 6, start()), Some(payloads()))
}

/// Guards the other tests: a checker that cannot say no would let everything through.
#[test]
fn faults_are_found_in_the_envelope_and_deep_inside() {
    let Some(checker) = Checker::new() else {
        return;
    };
    let mut world = World::new(1, 1, start());
    let cronometer = world.connection(Provider::Cronometer);
    let webhook = world.data(&cronometer, DataType::Nutrition, &Shape::default());
    let body: Value = serde_json::from_slice(&webhook.body).unwrap();
    let validator = checker.validators.get("nutrition").unwrap();
    assert!(validator.is_valid(&body));
    for (pointer, wrong) in [
        ("/type", Value::from("daily")),
        ("/user/provider", Value::Null),
        ("/data/0/metadata/start_time", Value::Null),
        ("/data/0/meals/0/quantity/unit", Value::from(99)),
        ("/data/0/meals/0/macros/calories", Value::from("many")),
    ] {
        let mut broken = body.clone();
        *broken.pointer_mut(pointer).unwrap() = wrong;
        assert!(!validator.is_valid(&broken), "{pointer}");
    }
}

#[test]
fn a_lively_run_is_valid_and_has_every_type() {
    let Some(mut checker) = Checker::new() else {
        return;
    };
    for seed in 0..4 {
        for webhook in lively(seed).take(900) {
            checker.check(&webhook);
        }
    }
    let expected: BTreeSet<String> = WITH_SCHEMA
        .iter()
        .map(|(event_type, _)| *event_type)
        .filter(|event_type| !event_type.is_empty())
        .chain(WITHOUT_SCHEMA)
        .map(str::to_owned)
        .collect();
    assert_eq!(checker.seen, expected);
    assert_eq!(checker.count, 3_600);
}

#[test]
fn every_event_by_itself_is_valid() {
    let Some(mut checker) = Checker::new() else {
        return;
    };
    let mut world = World::new(1, 2, start());
    for webhook in scenario::every_event(&mut world) {
        checker.check(&webhook);
    }
    assert_eq!(
        checker.seen.len(),
        WITH_SCHEMA.len() - 1 + WITHOUT_SCHEMA.len() - 2
    );
}

#[test]
fn every_data_type_of_every_provider_is_valid_in_every_form() {
    let Some(mut checker) = Checker::new() else {
        return;
    };
    let mut world = World::new(2, 1, start());
    for provider in Provider::ALL {
        let connection = world.connection(provider);
        for data_type in DataType::ALL {
            for (shape, minute) in [
                (Shape::default(), 1_440),
                (Shape::default(), 0),
                (
                    Shape {
                        floats: true,
                        ..Shape::default()
                    },
                    700,
                ),
                (
                    Shape::default().without_samples().scores(Scores::Null),
                    1_440,
                ),
                (Shape::default().retracted().scores(Scores::Absent), 1_440),
                (
                    Shape {
                        days: 3,
                        removed: 2,
                        ..Shape::default()
                    },
                    900,
                ),
            ] {
                checker.check(&world.data(&connection, data_type, &shape.until(minute)));
            }
        }
    }
}

#[test]
fn large_bodies_are_valid_and_about_as_large_as_asked() {
    let Some(mut checker) = Checker::new() else {
        return;
    };
    let mut world = World::new(3, 1, start());
    for (size, low, high) in [
        (Size::Large, 55_000, 160_000),
        (Size::Huge, 900_000, 1_400_000),
        (Size::Giant, 5_000_000, 8_000_000),
    ] {
        for (provider, data_type) in [
            (Provider::Core, DataType::Body),
            (Provider::Cronometer, DataType::Nutrition),
            (Provider::Garmin, DataType::Activity),
        ] {
            let connection = world.connection(provider);
            let webhook = world.data(&connection, data_type, &Shape::default().size(size));
            let bytes = webhook.body.len();
            assert!(
                (low..high).contains(&bytes),
                "{provider:?} {size:?}: {bytes}"
            );
            checker.check(&webhook);
        }
    }
}

#[test]
fn named_scenarios_are_valid() {
    let Some(mut checker) = Checker::new() else {
        return;
    };
    let mut world = World::new(4, 1, start());
    let mut all = Vec::new();
    for provider in [Provider::Core, Provider::Garmin, Provider::Apple] {
        let connection = world.connection(provider);
        let data_type = provider.data_types()[0];
        for order in [
            ReauthOrder::AuthFirst,
            ReauthOrder::ReauthFirst,
            ReauthOrder::NewestLinkFirst,
        ] {
            all.extend(scenario::reauth_chain(&mut world, &connection, 3, order));
        }
        for form in [ChunkForm::SameReference, ChunkForm::NumberedReference] {
            all.extend(scenario::large_request(
                &mut world,
                &connection,
                data_type,
                form,
                4,
                &[2],
            ));
            all.extend(scenario::large_request_shuffled(
                &mut world,
                &connection,
                data_type,
                form,
                3,
            ));
        }
        all.extend(scenario::superset_day(
            &mut world,
            &connection,
            data_type,
            5,
        ));
        all.extend(scenario::newer_then_stale(
            &mut world,
            &connection,
            data_type,
        ));
        all.extend(scenario::scores_nulled(
            &mut world,
            &connection,
            DataType::Daily,
        ));
        all.extend(scenario::samples_left_out(
            &mut world,
            &connection,
            data_type,
        ));
        all.extend(scenario::retracted(
            &mut world,
            &connection,
            DataType::Activity,
        ));
        all.extend(scenario::came_back(&mut world, &connection));
        all.extend(scenario::revoked(&mut world, &connection));
        all.extend(scenario::permissions(&mut world, &connection));
        all.extend(scenario::data_before_auth(&mut world, provider));
        all.extend(scenario::diary(&mut world, &connection));
        all.extend(scenario::unusable(&mut world, &connection));
    }
    for webhook in &all {
        checker.check(webhook);
    }
}

#[test]
fn what_the_truth_emits_is_valid() {
    let Some(mut checker) = Checker::new() else {
        return;
    };
    let settings = TruthSettings::new(5, 1, &Provider::ALL, start());
    let truth = Truth::new(settings, Arc::new(start));
    let days = jiff::SignedDuration::from_hours(24 * 20);
    for emission in truth.webhooks_between(start(), start() + days) {
        checker.check(&emission.webhook);
    }
    let expected = DataType::ALL.len() + 1;
    assert_eq!(checker.seen.len(), expected, "{:?}", checker.seen);
}
