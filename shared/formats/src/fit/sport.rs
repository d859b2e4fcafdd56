//! FIT's sports for Terra's kinds of activity.

use models::data::enums::ActivityType as Kind;
use rustyfit::profile::typedef::{Sport, SubSport};

/// FIT's sport and sub-sport of a kind of activity.
///
/// A kind without a sport of its own is `generic`, and so is one that is a means to be moved:
/// the session's `sport_profile_name` has Terra's own word.
#[expect(
    clippy::too_many_lines,
    reason = "one table, in which every kind has its place"
)]
pub(super) fn of(kind: Kind) -> (Sport, SubSport) {
    let plain = |sport| (sport, SubSport::GENERIC);
    match kind {
        Kind::InVehicle
        | Kind::Still
        | Kind::Unknown
        | Kind::Tilting
        | Kind::Gardening
        | Kind::Housework
        | Kind::Other
        | Kind::Elevator
        | Kind::Escalator
        | Kind::Frisbee
        | Kind::Curling
        | Kind::Sledding
        | Kind::Fencing
        | Kind::Polo
        | Kind::HotAirBallooning
        | Kind::JetSkiing
        | Kind::Wheelchair => plain(Sport::GENERIC),

        Kind::Running | Kind::Jogging | Kind::RunningOnSand => plain(Sport::RUNNING),
        Kind::Treadmill | Kind::TreadmillRunning => (Sport::RUNNING, SubSport::TREADMILL),
        Kind::IndoorRunning => (Sport::RUNNING, SubSport::INDOOR_RUNNING),
        Kind::TrailRunning => (Sport::RUNNING, SubSport::TRAIL),
        Kind::Orienteering => (Sport::RUNNING, SubSport::NAVIGATE),

        Kind::Walking
        | Kind::WalkingForFitness
        | Kind::NordicWalking
        | Kind::WalkingWithStroller => plain(Sport::WALKING),
        Kind::TreadmillWalking => (Sport::WALKING, SubSport::INDOOR_WALKING),
        Kind::Hiking => plain(Sport::HIKING),
        Kind::Mountaineering => plain(Sport::MOUNTAINEERING),
        Kind::Snowshoeing => plain(Sport::SNOWSHOEING),

        Kind::Biking | Kind::UtilityBiking => plain(Sport::CYCLING),
        Kind::RoadBiking => (Sport::CYCLING, SubSport::ROAD),
        Kind::MountainBiking => (Sport::CYCLING, SubSport::MOUNTAIN),
        Kind::GravelCycling => (Sport::CYCLING, SubSport::GRAVEL_CYCLING),
        Kind::HandBiking => (Sport::CYCLING, SubSport::HAND_CYCLING),
        Kind::Spinning => (Sport::CYCLING, SubSport::SPIN),
        Kind::StationaryBiking => (Sport::CYCLING, SubSport::INDOOR_CYCLING),
        Kind::EBiking => plain(Sport::E_BIKING),
        Kind::EMountainBiking => (Sport::E_BIKING, SubSport::E_BIKE_MOUNTAIN),

        Kind::Swimming => plain(Sport::SWIMMING),
        Kind::SwimmingInPool => (Sport::SWIMMING, SubSport::LAP_SWIMMING),
        Kind::OpenWaterSwimming => (Sport::SWIMMING, SubSport::OPEN_WATER),
        Kind::Diving | Kind::ScubaDiving => plain(Sport::DIVING),
        Kind::WaterPolo => plain(Sport::WATER_SPORT),

        Kind::Rowing => plain(Sport::ROWING),
        Kind::RowingMachine => (Sport::ROWING, SubSport::INDOOR_ROWING),
        Kind::Kayaking => plain(Sport::KAYAKING),
        Kind::Canoeing => plain(Sport::CANOEING),
        Kind::Paddling => plain(Sport::PADDLING),
        Kind::StandUpPaddleboarding => plain(Sport::STAND_UP_PADDLEBOARDING),
        Kind::Sailing => plain(Sport::SAILING),
        Kind::PowerBoating => plain(Sport::BOATING),
        Kind::Surfing => plain(Sport::SURFING),
        Kind::Windsurfing => plain(Sport::WINDSURFING),
        Kind::Kitesurfing => plain(Sport::KITESURFING),
        Kind::Wakeboarding => plain(Sport::WAKEBOARDING),
        Kind::WaterSkiing => plain(Sport::WATER_SKIING),
        Kind::Fishing => plain(Sport::FISHING),

        Kind::CrossCountrySkiing | Kind::RollerSkiing => plain(Sport::CROSS_COUNTRY_SKIING),
        Kind::Skiing | Kind::DownhillSkiing => plain(Sport::ALPINE_SKIING),
        Kind::BackCountrySkiing => (Sport::ALPINE_SKIING, SubSport::BACKCOUNTRY),
        Kind::Snowboarding => plain(Sport::SNOWBOARDING),
        Kind::Snowmobile => plain(Sport::SNOWMOBILING),
        Kind::KiteSkiing | Kind::Biathlon => plain(Sport::WINTER_SPORT),
        Kind::IceSkating | Kind::IndoorSkating => plain(Sport::ICE_SKATING),
        Kind::InlineSkating
        | Kind::IndoorRollerblading
        | Kind::CrossSkating
        | Kind::Skating
        | Kind::Skateboarding => plain(Sport::INLINE_SKATING),

        Kind::Basketball => plain(Sport::BASKETBALL),
        Kind::EnglishFootball => plain(Sport::SOCCER),
        Kind::AmericanFootball => plain(Sport::AMERICAN_FOOTBALL),
        Kind::Baseball | Kind::Softball => plain(Sport::BASEBALL),
        Kind::Cricket => plain(Sport::CRICKET),
        Kind::Rugby => plain(Sport::RUGBY),
        Kind::Hockey => plain(Sport::HOCKEY),
        Kind::Lacrosse => plain(Sport::LACROSSE),
        Kind::Volleyball | Kind::BeachVolleyball | Kind::IndoorVolleyball => {
            plain(Sport::VOLLEYBALL)
        }
        Kind::Handball
        | Kind::AustralianFootball
        | Kind::TeamSports
        | Kind::GaelicFootball
        | Kind::Hurling => plain(Sport::TEAM_SPORT),

        Kind::Tennis => plain(Sport::TENNIS),
        Kind::Badminton => (Sport::RACKET, SubSport::BADMINTON),
        Kind::Squash => (Sport::RACKET, SubSport::SQUASH),
        Kind::Racquetball => (Sport::RACKET, SubSport::RACQUETBALL),
        Kind::TableTennis => (Sport::RACKET, SubSport::TABLE_TENNIS),
        Kind::PadelTennis => (Sport::RACKET, SubSport::PADEL),

        Kind::Boxing => plain(Sport::BOXING),
        Kind::MixedMartialArts | Kind::MartialArts | Kind::Kickboxing => {
            plain(Sport::MIXED_MARTIAL_ARTS)
        }
        Kind::Dancing | Kind::Zumba => plain(Sport::DANCE),
        Kind::JumpingRope => plain(Sport::JUMP_ROPE),
        Kind::Meditation => plain(Sport::MEDITATION),
        Kind::GuidedBreathing => (Sport::MEDITATION, SubSport::BREATHING),
        Kind::Golf => plain(Sport::GOLF),
        Kind::Archery => plain(Sport::ARCHERY),
        Kind::HorsebackRiding => plain(Sport::HORSEBACK_RIDING),
        Kind::RockClimbing => plain(Sport::ROCK_CLIMBING),
        Kind::StairClimbing => plain(Sport::FLOOR_CLIMBING),

        Kind::Yoga => (Sport::TRAINING, SubSport::YOGA),
        Kind::Pilates => (Sport::TRAINING, SubSport::PILATES),
        Kind::Stretching => (Sport::TRAINING, SubSport::FLEXIBILITY_TRAINING),
        Kind::StrengthTraining | Kind::Weightlifting | Kind::KettlebellTraining => {
            (Sport::TRAINING, SubSport::STRENGTH_TRAINING)
        }
        Kind::Aerobics | Kind::CardioTraining => (Sport::TRAINING, SubSport::CARDIO_TRAINING),
        Kind::Hiit => plain(Sport::HIIT),
        Kind::Calisthenics
        | Kind::CircuitTraining
        | Kind::Gymnastics
        | Kind::P90xExercises
        | Kind::CrossFit
        | Kind::IntervalTraining
        | Kind::PhysicalTherapy => plain(Sport::TRAINING),
        Kind::Elliptical => (Sport::FITNESS_EQUIPMENT, SubSport::ELLIPTICAL),
        Kind::StairClimbingMachine => (Sport::FITNESS_EQUIPMENT, SubSport::STAIR_CLIMBING),
        Kind::Ergometer => plain(Sport::FITNESS_EQUIPMENT),

        Kind::Triathlon => (Sport::MULTISPORT, SubSport::TRIATHLON),
        Kind::Multisport => plain(Sport::MULTISPORT),

        Kind::Driving | Kind::OffRoadDriving => plain(Sport::DRIVING),
        Kind::Motorbiking => plain(Sport::MOTORCYCLING),
        Kind::Enduro => (Sport::MOTORCYCLING, SubSport::ENDURO),
        Kind::MotorRacing => plain(Sport::MOTOR_SPORTS),
        Kind::Flying => plain(Sport::FLYING),
        Kind::Paragliding => (Sport::FLYING, SubSport::FLY_PARAGLIDE),
        Kind::HangGliding => plain(Sport::HANG_GLIDING),
        Kind::SkyDiving => plain(Sport::SKY_DIVING),
    }
}
