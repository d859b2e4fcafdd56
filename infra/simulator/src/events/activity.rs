//! Workouts with their streams, hand-written diary exercises, and trips by car.

use std::{f64::consts::TAU, mem::take};

use serde_json::{Value, json};

use super::{
    Context, heart,
    number::{hundredths, largest, mean, tenths, whole},
};
use crate::{dice::Dice, people::Provider, shape::Scores};

/// `upload_type` values of activities.
const AUTOMATIC: i32 = 1;
const MANUAL: i32 = 2;
const UPDATE: i32 = 3;
const DELETED: i32 = 4;

/// A kind of activity: name, Terra's `type`, metres per second, beats over rest, whether on a bike.
type Sport = (&'static str, i32, f64, f64, bool);

/// Kinds of sport. Type 0, a trip by car, is a value like any other.
const SPORTS: [Sport; 8] = [
    ("Morning run", 8, 3.1, 95.0, false),
    ("Trail run", 149, 2.6, 100.0, false),
    ("Road ride", 16, 8.4, 80.0, true),
    ("Gravel ride", 150, 6.9, 85.0, true),
    ("Walk", 7, 1.4, 35.0, false),
    ("Hike", 35, 1.1, 50.0, false),
    ("Yoga", 100, 0.0, 25.0, false),
    ("In the car", 0, 14.0, 8.0, false),
];

/// The streams of one activity.
#[derive(Default)]
struct Streams {
    heart: Vec<Value>,
    speed: Vec<Value>,
    distance: Vec<Value>,
    elevation: Vec<Value>,
    position: Vec<Value>,
    power: Vec<Value>,
    bpm: Vec<f64>,
    metres_per_second: Vec<f64>,
    watts: Vec<f64>,
    metres: f64,
}

/// One activity: when, what, how hard.
struct Plan {
    from: i32,
    /// The end so far: a session is delivered incomplete at first.
    to: i32,
    complete: bool,
    sport: Sport,
    effort: f64,
    latitude: f64,
    longitude: f64,
}

/// The activities of one day that have begun.
pub(crate) fn records(context: &mut Context<'_>) -> Vec<Value> {
    let count = if context.shape.retracted {
        1
    } else {
        context.dice.whole(1, 2)
    };
    let mut records = Vec::new();
    for number in 0..count {
        let from = context.dice.whole(6 + number * 8, 9 + number * 8) * 3_600
            + context.dice.whole(0, 3_599);
        let to = from + context.dice.whole(20, 110) * 60;
        let plan = Plan {
            from,
            to: to.min(context.until.max(from + 60)),
            complete: to <= context.until,
            sport: context.dice.one_of(&SPORTS),
            effort: context.dice.between(0.8, 1.15),
            latitude: context.dice.between(46.5, 48.5),
            longitude: context.dice.between(6.5, 10.5),
        };
        let summary_id = summary_id(context);
        // Fixed draws first, so that the next activity falls alike whatever has happened so far.
        let dice = Dice::of(&[context.dice.number()]);
        let mut alone = Context { dice, ..*context };
        if from < context.until {
            records.push(if context.connection.provider == Provider::Cronometer {
                diary_exercise(&mut alone, &plan, &summary_id)
            } else {
                workout(&mut alone, &plan, &summary_id)
            });
        }
    }
    records
}

/// Ids as providers write them: UUIDs, or numbers that are text.
fn summary_id(context: &mut Context<'_>) -> String {
    match context.connection.provider {
        Provider::Garmin | Provider::Strava | Provider::Fitbit => {
            (context.dice.number() % 100_000_000_000).to_string()
        }
        Provider::Cronometer => format!("ex-{}", context.dice.number() % 1_000_000_000),
        _ => context.dice.uuid(),
    }
}

fn metadata(context: &Context<'_>, plan: &Plan, summary_id: &str, upload_type: i32) -> Value {
    let (name, kind, ..) = plan.sport;
    json!({
        "name": name,
        "type": kind,
        "summary_id": summary_id,
        "start_time": context.day.at(plan.from),
        "end_time": context.day.at(plan.to),
        "timestamp_localization": context.localization(),
        "upload_type": if context.shape.retracted { DELETED } else { upload_type },
        "city": null,
        "state": null,
        "country": null,
    })
}

/// An exercise typed into a food diary: no samples, no heart rate.
fn diary_exercise(context: &mut Context<'_>, plan: &Plan, summary_id: &str) -> Value {
    let seconds = plan.to - plan.from;
    let calories = tenths(f64::from(seconds) / 60.0 * 7.5 * plan.effort);
    let other = Plan {
        sport: (plan.sport.0, 108, 0.0, 0.0, false),
        ..*plan
    };
    let upload_type = if context.dice.chance(0.2) { 6 } else { MANUAL };
    json!({
        "metadata": metadata(context, &other, summary_id, upload_type),
        "active_durations_data": { "activity_seconds": seconds },
        "calories_data": { "net_activity_calories": calories, "total_burned_calories": calories },
    })
}

fn workout(context: &mut Context<'_>, plan: &Plan, summary_id: &str) -> Value {
    let mut streams = streams(context, plan);
    let seconds = plan.to - plan.from;
    let minutes = f64::from(seconds) / 60.0;
    let calories = (minutes * 9.0 * plan.effort).round();
    let upload_type = if plan.complete { AUTOMATIC } else { UPDATE };
    let mut record = json!({
        "metadata": metadata(context, plan, summary_id, upload_type),
        "device_data": context.device(),
        "active_durations_data": {
            "activity_levels_samples": [],
            "activity_seconds": seconds,
            "rest_seconds": 0,
            "low_intensity_seconds": seconds / 5,
            "moderate_intensity_seconds": seconds / 2,
            "vigorous_intensity_seconds": seconds / 4,
        },
        "calories_data": {
            "BMR_calories": whole(minutes * 1.2),
            "calorie_samples": [],
            "net_activity_calories": calories,
            "total_burned_calories": whole(calories + minutes * 1.2),
        },
        "cheat_detection": 0,
        "heart_rate_data": heart::data(&context.samples(take(&mut streams.heart)), &streams.bpm, None),
        "distance_data": {
            "summary": {
                "distance_meters": hundredths(streams.metres),
                "steps": if plan.sport.4 { Value::Null } else { whole(streams.metres * 1.1).into() },
                "elevation": { "gain_actual_meters": tenths(streams.metres / 90.0) },
            },
            "detailed": {
                "distance_samples": context.samples(take(&mut streams.distance)),
                "elevation_samples": context.samples(take(&mut streams.elevation)),
                "floors_climbed_samples": [],
                "step_samples": [],
            },
        },
    });
    if let Some(fields) = record.as_object_mut() {
        for (name, value) in optional_parts(context, plan, streams) {
            fields.insert(name.to_owned(), value);
        }
    }
    record
}

/// The parts that not every activity has.
fn optional_parts(
    context: &mut Context<'_>,
    plan: &Plan,
    streams: Streams,
) -> Vec<(&'static str, Value)> {
    let mut parts = Vec::new();
    let moving = plan.sport.2 > 0.0;
    if moving {
        parts.push((
            "movement_data",
            json!({
                "avg_speed_meters_per_second": mean(&streams.metres_per_second),
                "max_speed_meters_per_second": largest(&streams.metres_per_second),
                "speed_samples": context.samples(streams.speed),
                "cadence_samples": [],
                "torque_samples": [],
            }),
        ));
        parts.push((
            "position_data",
            json!({
                "start_pos_lat_lng_deg": [plan.latitude, plan.longitude],
                "end_pos_lat_lng_deg": [],
                "position_samples": context.samples(streams.position),
            }),
        ));
        parts.push((
            "lap_data",
            json!({ "laps": laps(context, plan, streams.metres) }),
        ));
    }
    if plan.sport.4 {
        parts.push((
            "power_data",
            json!({
                "avg_watts": mean(&streams.watts),
                "max_watts": largest(&streams.watts).map(whole),
                "power_samples": context.samples(streams.power),
            }),
        ));
    }
    match context.connection.provider {
        Provider::Strava => {
            let polyline = json!({ "summary_polyline": r"_p~iF~ps|U_ulLnnqC_mqNvxq`@" });
            parts.push(("polyline_map_data", polyline));
        }
        Provider::Whoop => {
            let strain = tenths(context.dice.between(6.0, 18.0));
            parts.push(("strain_data", json!({ "strain_level": strain })));
        }
        _ => {}
    }
    if let Some(enrichment) = enrichment(context) {
        parts.push(("data_enrichment", enrichment));
    }
    parts
}

/// Terra's own scores of the activity.
fn enrichment(context: &mut Context<'_>) -> Option<Value> {
    let given = context.shape.scores == Scores::Given;
    let strain = tenths(context.dice.between(4.0, 19.0));
    let trimp = tenths(context.dice.between(30.0, 180.0));
    (context.shape.scores != Scores::Absent).then(|| {
        json!({
            "efficiency_score": null,
            "efficiency_contributors": null,
            "strain_score": given.then_some(strain),
            "strain_contributors": given.then(|| json!({ "duration": 0.5, "intensity": 0.5 })),
            "rcrs_score": null,
            "rcrs_contributors": null,
            "trimp_score": given.then_some(trimp),
            "trimp_contributors": given.then(|| json!({ "zone_3": 0.3, "zone_4": 0.7 })),
        })
    })
}

fn laps(context: &Context<'_>, plan: &Plan, metres: f64) -> Vec<Value> {
    let middle = plan.from + (plan.to - plan.from) / 2;
    [(plan.from, middle), (middle, plan.to)]
        .into_iter()
        .map(|(from, to)| {
            json!({
                "start_time": context.day.at(from),
                "end_time": context.day.at(to),
                "distance_meters": tenths(metres / 2.0),
                "active_duration_seconds": to - from,
                "trigger_method": "DISTANCE",
                "stroke_type": null,
                "total_strokes": null,
            })
        })
        .collect()
}

fn streams(context: &mut Context<'_>, plan: &Plan) -> Streams {
    let (_, _, metres_per_second, over_rest, on_bike) = plan.sport;
    let step = context.step(30);
    let mut streams = Streams::default();
    for second in (plan.from..plan.to).step_by(usize::try_from(step).unwrap_or(30)) {
        let timestamp = context.day.at(second);
        let timer = second - plan.from;
        let done = f64::from(timer);
        let warm = 1.0 - (-done / 300.0).exp();
        let hill = (TAU * done / 900.0).sin();
        let bpm = context.connection.physique.resting_bpm + over_rest * plan.effort * warm;
        let bpm = (bpm + 4.0 * hill + context.dice.noise(2.0)).round();
        let speed = metres_per_second * plan.effort * (1.0 - 0.15 * hill);
        let speed = hundredths((speed + context.dice.noise(0.2)).max(0.0));
        let watts = (190.0 * plan.effort + 40.0 * hill + context.dice.noise(15.0)).round();
        streams.heart.push(heart::sample(&timestamp, bpm));
        streams.bpm.push(bpm);
        if metres_per_second > 0.0 {
            streams.metres += speed * f64::from(step);
            streams.metres_per_second.push(speed);
            streams.speed.push(json!({
                "timestamp": timestamp,
                "speed_meters_per_second": speed,
                "timer_duration_seconds": timer,
            }));
            streams.distance.push(json!({
                "timestamp": timestamp,
                "distance_meters": tenths(streams.metres),
                "timer_duration_seconds": timer,
            }));
            streams.elevation.push(json!({
                "timestamp": timestamp,
                "elev_meters": tenths(480.0 + 35.0 * hill),
                "timer_duration_seconds": timer,
            }));
            streams.position.push(json!({
                "timestamp": timestamp,
                "coords_lat_lng_deg": [
                    plan.latitude + streams.metres / 111_000.0,
                    plan.longitude + 0.002 * hill,
                ],
                "timer_duration_seconds": timer,
            }));
        }
        if on_bike {
            streams.watts.push(watts);
            streams.power.push(json!({
                "timestamp": timestamp,
                "watts": whole(watts),
                "timer_duration_seconds": timer,
            }));
        }
    }
    streams
}
