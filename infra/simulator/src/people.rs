//! People, what they wear, and what their bodies are like.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::{
    calendar::{Place, Zone, instant},
    dice::{Dice, Purpose, fingerprint},
    events::DataType,
};

/// A maker of wearables or apps, as Terra spells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Provider {
    /// `CORE`: body temperature sensor.
    Core,
    /// `CRONOMETER`: food diary.
    Cronometer,
    /// `APPLE`: Apple Health.
    Apple,
    /// `GARMIN`.
    Garmin,
    /// `OURA`.
    Oura,
    /// `FREESTYLELIBRE`: glucose sensor.
    FreestyleLibre,
    /// `WHOOP`.
    Whoop,
    /// `FITBIT`.
    Fitbit,
    /// `WITHINGS`: scales and cuffs.
    Withings,
    /// `STRAVA`: activities only.
    Strava,
    /// `INITO`: hormone tests.
    Inito,
    /// `GOOGLE`: known for having no data source.
    Google,
}

impl Provider {
    /// Every provider the simulator plays.
    pub const ALL: [Self; 12] = [
        Self::Core,
        Self::Cronometer,
        Self::Apple,
        Self::Garmin,
        Self::Oura,
        Self::FreestyleLibre,
        Self::Whoop,
        Self::Fitbit,
        Self::Withings,
        Self::Strava,
        Self::Inito,
        Self::Google,
    ];

    /// Terra's spelling.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Core => "CORE",
            Self::Cronometer => "CRONOMETER",
            Self::Apple => "APPLE",
            Self::Garmin => "GARMIN",
            Self::Oura => "OURA",
            Self::FreestyleLibre => "FREESTYLELIBRE",
            Self::Whoop => "WHOOP",
            Self::Fitbit => "FITBIT",
            Self::Withings => "WITHINGS",
            Self::Strava => "STRAVA",
            Self::Inito => "INITO",
            Self::Google => "GOOGLE",
        }
    }

    /// Returns the data types that the simulator sends for this provider.
    pub fn data_types(self) -> &'static [DataType] {
        use DataType::{
            Activity, Athlete, Body, Daily, HealthObservation, Hormone, Menstruation, Nutrition,
            PlannedWorkout, Sleep,
        };
        match self {
            Self::Core | Self::FreestyleLibre => &[Body],
            Self::Cronometer => &[Nutrition, Body, Activity],
            Self::Apple => &[
                Activity,
                Body,
                Daily,
                Sleep,
                Menstruation,
                Nutrition,
                HealthObservation,
            ],
            Self::Garmin => &[
                Activity,
                Body,
                Daily,
                Sleep,
                Menstruation,
                PlannedWorkout,
                Athlete,
            ],
            Self::Oura => &[Activity, Daily, Sleep, Menstruation, Athlete],
            Self::Whoop => &[Activity, Daily, Sleep, Athlete],
            Self::Fitbit => &[Activity, Body, Daily, Sleep, Nutrition, Athlete],
            Self::Withings => &[Body, Daily, Sleep],
            Self::Strava => &[Activity, Athlete],
            Self::Inito => &[Hormone],
            Self::Google => &[Daily, Activity],
        }
    }

    /// Returns whether Terra has to wait for the phone, because its servers cannot ask the provider.
    pub fn is_sdk_only(self) -> bool {
        matches!(self, Self::Apple)
    }

    /// The provider of this name, whatever its case.
    pub fn of_name(name: &str) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|provider| provider.as_str().eq_ignore_ascii_case(name))
    }

    /// Returns the scopes that a user grants, as Terra writes them; null for providers without scopes.
    pub(crate) fn scopes(self) -> Option<&'static str> {
        match self {
            Self::Garmin => Some("ACTIVITY_EXPORT,HEALTH_EXPORT"),
            Self::Whoop => Some("read:recovery,read:cycles,read:workout,read:sleep,read:profile"),
            Self::Strava => Some("read,activity:read_all"),
            Self::Fitbit => Some("heartrate weight profile sleep activity nutrition"),
            Self::Oura => Some("email, personal, daily, heartrate, workout"),
            Self::Withings => Some("user.info,user.metrics,user.activity"),
            Self::Google => Some("https://www.googleapis.com/auth/fitness.activity.read"),
            _ => None,
        }
    }

    /// The maker and the name of the device, where the provider tells.
    pub(crate) fn device(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Core => Some(("greenTEG", "CORE 2")),
            Self::Apple => Some(("Apple", "Apple Watch")),
            Self::Garmin => Some(("Garmin", "Forerunner 965")),
            Self::Oura => Some(("Oura", "Oura Ring 4")),
            Self::FreestyleLibre => Some(("Abbott", "FreeStyle Libre 3")),
            Self::Withings => Some(("Withings", "Body Scan")),
            Self::Fitbit => Some(("Fitbit", "Charge 6")),
            _ => None,
        }
    }

    /// Returns the zone in which times are written: most with offset and six digits, some as bare wall
    /// time.
    fn zone(self, place: Place) -> Zone {
        let (offset_written, fraction) = match self {
            Self::Cronometer => (false, ".000000"),
            Self::Inito => (true, ""),
            Self::Strava => (true, ".000"),
            _ => (true, ".000000"),
        };
        Zone {
            place,
            offset_written,
            fraction,
        }
    }
}

/// One person of the app.
#[derive(Debug, Clone)]
pub struct Person {
    /// The app's own key, like `person-0042`.
    pub reference_id: String,
    /// One connection per provider.
    pub connections: Vec<Connection>,
}

/// One person at one provider.
#[derive(Debug, Clone)]
pub struct Connection {
    /// Terra's `user_id`, which a reauthentication replaces.
    pub terra_user_id: String,
    /// The app's key of the person; empty when the app gave none.
    pub reference_id: String,
    /// The provider.
    pub provider: Provider,
    /// Granted permissions as Terra writes them.
    pub scopes: Option<String>,
    /// Time at which the user connected.
    pub created_at: Timestamp,
    /// True if Terra still delivers for the connection.
    pub active: bool,
    /// Account at the provider, which survives a reauthentication.
    pub(crate) account: u64,
    /// The body behind the numbers.
    pub(crate) physique: Physique,
    /// Zone where the person lives.
    pub(crate) zone: Zone,
}

impl Connection {
    /// The `user` object of an event.
    pub(crate) fn user(&self, now: Timestamp) -> Value {
        json!({
            "user_id": self.terra_user_id,
            "provider": self.provider.as_str(),
            "created_at": instant(self.created_at),
            "last_webhook_update": instant(now),
            "scopes": self.scopes,
            "reference_id": self.reference_id,
            "active": self.active,
        })
    }

    /// The `user` object as one of Terra's guides shows it, reduced to ids.
    pub(crate) fn short_user(&self) -> Value {
        json!({ "user_id": self.terra_user_id, "reference_id": self.reference_id })
    }
}

/// A body.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Physique {
    pub(crate) weight_kg: f64,
    pub(crate) height_cm: f64,
    pub(crate) bodyfat_percent: f64,
    pub(crate) resting_bpm: f64,
    pub(crate) core_celsius: f64,
    /// 0 for a beginner, 1 for a professional.
    pub(crate) fitness: f64,
    /// Days of a menstrual cycle; also given to people without one, whose app simply does not ask.
    pub(crate) cycle_days: i32,
}

/// Makes person number `number` of the world with `seed`.
///
/// The first person is at every provider, the others at CORE and CRONOMETER for the most part and
/// at a few more.
pub(crate) fn person(seed: u64, number: u64, start: Timestamp) -> Person {
    let mut dice = Dice::of(&[seed, number, Purpose::Providers.number()]);
    let mut connections = Vec::new();
    for provider in Provider::ALL {
        let likelihood = match provider {
            Provider::Core => 0.95,
            Provider::Cronometer => 0.85,
            Provider::Inito | Provider::Google => 0.05,
            _ => 0.25,
        };
        if dice.chance(likelihood) || number == 1 {
            connections.push(connection(seed, number, provider, start));
        }
    }
    Person {
        reference_id: reference_id(number),
        connections,
    }
}

/// Connects person number `number` at `provider`.
pub(crate) fn connection(
    seed: u64,
    number: u64,
    provider: Provider,
    start: Timestamp,
) -> Connection {
    let mut body = Dice::of(&[seed, number, Purpose::Physique.number()]);
    let physique = Physique {
        weight_kg: body.between(52.0, 94.0),
        height_cm: body.between(158.0, 195.0),
        bodyfat_percent: body.between(9.0, 28.0),
        resting_bpm: body.between(42.0, 66.0),
        core_celsius: body.between(36.5, 36.9),
        fitness: body.between(0.2, 0.95),
        cycle_days: body.whole(25, 32),
    };
    let minutes_east = body.one_of(&[0, 60, 120, 120, -300, -480, 330, 540]);

    let mut own = Dice::of(&[
        seed,
        number,
        Purpose::Account.number(),
        fingerprint(provider.as_str().as_bytes()),
    ]);
    let age = SignedDuration::from_secs(i64::from(own.whole(3_600, 200 * 86_400)));
    Connection {
        terra_user_id: own.uuid(),
        reference_id: reference_id(number),
        provider,
        scopes: provider.scopes().map(str::to_owned),
        created_at: start.saturating_sub(age).unwrap_or(start),
        active: true,
        account: own.number(),
        physique,
        zone: provider.zone(Place::At(minutes_east)),
    }
}

fn reference_id(number: u64) -> String {
    format!("person-{number:04}")
}
