//! Numbers that vendors write where they have none: 255 as heart rate, -1 as stress, a negative count,
//! the end of a number type.
//!
//! Summaries, series and the formats of others leave them out by these rules.

/// Magnitudes that DynamoDB's numbers hold.
const MAGNITUDES: std::ops::RangeInclusive<f64> = 1e-130..=9.9e125;

/// Largest and least numbers of the types that vendors' programs count with.
const ENDS_OF_TYPES: [f64; 6] = [
    2_147_483_647.0,
    -2_147_483_648.0,
    4_294_967_295.0,
    9_223_372_036_854_775_807.0,
    -9_223_372_036_854_775_808.0,
    3.402_823_466_385_288_6e38,
];

/// Parts of the names of fields that may be negative.
const SIGNED: [&str; 14] = [
    "temperature",
    "max_meters",
    "min_meters",
    "avg_meters",
    "elev_meters",
    "quantity",
    "net_",
    "TSS",
    "timestamp",
    "level_change",
    "delta",
    "numeric",
    "torque",
    "potential",
];

/// End of the names of heart rates.
const HEART_RATE: &str = "bpm";

/// Returns whether a number stands for none in a field of this name.
///
/// The name is that of the field in Terra's record, or in a summary.
///
/// ```
/// use domain::stand_in::is_stand_in;
///
/// assert!(is_stand_in("avg_hr_bpm", 255.0));
/// assert!(is_stand_in("steps", -5.0));
/// assert!(!is_stand_in("min_meters", -5.0));
/// ```
pub fn is_stand_in(field: &str, number: f64) -> bool {
    let size = number.abs();
    let negative = number < 0.0 && !SIGNED.iter().any(|part| field.contains(part));
    #[expect(clippy::float_cmp, reason = "stand-ins are exact")]
    let end = ENDS_OF_TYPES.contains(&number) || (field.ends_with(HEART_RATE) && number == 255.0);
    negative || end || (size != 0.0 && !MAGNITUDES.contains(&size))
}

/// Returns whether a number stands for none in a sample's member of this name.
///
/// A single heart rate of 0 is none either: the sensor had no contact.
///
/// ```
/// use domain::stand_in::is_sample_stand_in;
///
/// assert!(is_sample_stand_in("bpm", 0.0));
/// assert!(!is_sample_stand_in("watts", 0.0));
/// ```
pub fn is_sample_stand_in(member: &str, number: f64) -> bool {
    is_stand_in(member, number) || (member.ends_with(HEART_RATE) && number == 0.0)
}
