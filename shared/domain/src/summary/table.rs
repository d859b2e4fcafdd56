//! Macros for the tables of all data types.

use models::{
    data::{
        enums::OxygenSaturationType,
        shared::{HeartRateZoneData, OxygenSaturationSample},
    },
    lenient::{Code, List, Number, Object, TerraEnum, Text},
};
use serde::Deserialize;

use super::Value;
use crate::{
    key::{instant, is_placeholder, is_zero_time},
    stand_in::{is_sample_stand_in, is_stand_in},
};

/// A type that a field of a summary can have.
pub(super) trait Scalar: Sized {
    fn to_value(&self) -> Value;
    fn from_value(value: Value) -> Option<Self>;
    /// The text in the place of a coded value.
    fn unknown_code(&self) -> Option<&str> {
        None
    }
    /// The measured number; a coded value is none.
    fn measured(&self) -> Option<f64> {
        None
    }
}

/// A coded value: Terra's number. Text that stands in its place is moved to `unknown_codes`.
impl Scalar for Value {
    fn to_value(&self) -> Value {
        self.clone()
    }

    fn from_value(value: Value) -> Option<Self> {
        matches!(value, Value::Number(_)).then_some(value)
    }

    fn unknown_code(&self) -> Option<&str> {
        match self {
            Value::Text(text) => Some(text),
            Value::Number(_) | Value::Flag(_) => None,
        }
    }
}

impl Scalar for f64 {
    fn to_value(&self) -> Value {
        Value::Number(*self)
    }

    fn from_value(value: Value) -> Option<Self> {
        match value {
            Value::Number(number) => Some(number),
            Value::Text(_) | Value::Flag(_) => None,
        }
    }

    fn measured(&self) -> Option<f64> {
        Some(*self)
    }
}

macro_rules! scalars {
    ($($kind:ty => $variant:ident),*) => { $(
        impl Scalar for $kind {
            fn to_value(&self) -> Value {
                Value::$variant(self.clone())
            }

            fn from_value(value: Value) -> Option<Self> {
                match value {
                    Value::$variant(scalar) => Some(scalar),
                    _ => None,
                }
            }
        }
    )* };
}
scalars! { String => Text, bool => Flag }

/// The object, or one with everything absent.
pub(super) fn take<T: Default>(object: Object<T>) -> T {
    object.into_inner().unwrap_or_default()
}

/// The longest text of a summary; the archive keeps all of it. Unit: characters.
const MAX_TEXT_CHARS: usize = 256;

/// Text as sent, unless it is empty.
pub(super) fn whole(text: &Text<'_>) -> Option<String> {
    text.non_empty().map(str::to_owned)
}

/// An id as sent, unless it is a placeholder.
pub(super) fn id(text: &Text<'_>) -> Option<String> {
    whole(text).filter(|id| !is_placeholder(id))
}

/// A time as sent, unless it stands for no time.
pub(super) fn time(text: &Text<'_>) -> Option<String> {
    whole(text).filter(|time| !is_zero_time(time))
}

/// Text to show, unless it is empty.
pub(super) fn text(text: &Text<'_>) -> Option<String> {
    text.non_empty()
        .map(|text| text.chars().take(MAX_TEXT_CHARS).collect())
}

/// Terra's number, known to its schema or not, or the text that stands in its place.
pub(super) fn code<E: TerraEnum>(code: &Code<E>) -> Option<Value> {
    #[expect(
        clippy::cast_precision_loss,
        reason = "codes are small, and were doubles in JSON"
    )]
    match (code.number(), code.label()) {
        (Some(number), _) => Some(Value::Number(number as f64)),
        (None, Some(label)) => Some(Value::Text(label.chars().take(MAX_TEXT_CHARS).collect())),
        (None, None) => None,
    }
}

/// Fields of a summary that hold no value, though they are there.
#[derive(Debug, Default)]
pub(super) struct StandIns {
    names: Vec<&'static str>,
    words: Vec<String>,
}

impl StandIns {
    /// Takes the value out of a field if it is a number that stands for none, or a word that no schema knows.
    pub(super) fn take<T: Scalar>(&mut self, name: &'static str, field: &mut Option<T>) {
        let Some(value) = field else { return };
        if value
            .measured()
            .is_some_and(|number| is_stand_in(name, number))
        {
            self.names.push(name);
        } else if let Some(word) = value.unknown_code() {
            self.words.push(format!("{name}={word}"));
        } else {
            return;
        }
        *field = None;
    }

    /// The names of the fields whose number was taken out, and the fields with their word.
    pub(super) fn texts(self) -> (Option<String>, Option<String>) {
        (
            (!self.names.is_empty()).then(|| self.names.join(",")),
            (!self.words.is_empty()).then(|| self.words.join(",")),
        )
    }
}

/// Adds a field that is there.
pub(super) fn push<T: Scalar>(
    fields: &mut Vec<(&'static str, Value)>,
    name: &'static str,
    field: Option<&T>,
) {
    if let Some(value) = field {
        fields.push((name, value.to_value()));
    }
}

/// A sample's heart rate that is no stand-in.
pub(super) fn heart_rate(number: Number) -> Number {
    let rate = number.get();
    Number::from(rate.filter(|rate| !is_sample_stand_in("bpm", *rate)))
}

/// A number that is no stand-in.
pub(super) fn real(number: Number) -> Number {
    Number::from(number.get().filter(|number| !is_stand_in("", *number)))
}

/// The number of elements of a list that is there.
pub(super) fn count<T>(list: &List<'_, T>) -> Option<f64> {
    #[expect(
        clippy::cast_precision_loss,
        reason = "a list in memory is far shorter than 2^53"
    )]
    list.raw().map(|_| list.count() as f64)
}

/// Saturation, if it is of blood: averaging muscle in would mean nothing.
pub(super) fn blood(sample: &OxygenSaturationSample<'_>) -> Number {
    match sample.kind.known() {
        Some(OxygenSaturationType::Muscle) => Number::default(),
        Some(OxygenSaturationType::Blood) | None => sample.percentage,
    }
}

/// The mean of the samples that have the value.
pub(super) fn mean<'a, T>(samples: &List<'a, T>, value: impl Fn(&T) -> Number) -> Option<f64>
where
    T: Deserialize<'a> + Default,
{
    let samples = samples.parse();
    let values = samples.iter().filter_map(|sample| value(sample).get());
    let (sum, count) = values.fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
    Some(sum / count).filter(|mean: &f64| mean.is_finite())
}

/// The value of the newest sample that has it; of equal times, the last.
///
/// Times are compared as instants, one without offset as UTC. A sample without a readable time is
/// older than any other.
pub(super) fn newest<T>(samples: &[T], read: impl Fn(&T) -> (Option<&str>, Number)) -> Option<f64> {
    let values = samples.iter().filter_map(|sample| {
        let (time, value) = read(sample);
        Some((time, value.get()?))
    });
    let instant = |time: &str| instant(time).or_else(|| instant(&format!("{}Z", time.trim())));
    values
        .max_by_key(|(time, _)| time.and_then(instant))
        .map(|(_, value)| value)
}

/// The value of the last sample that has it, where samples have no time.
pub(super) fn last<'a, T>(samples: &List<'a, T>, value: impl Fn(&T) -> Number) -> Option<f64>
where
    T: Deserialize<'a> + Default,
{
    samples
        .parse()
        .iter()
        .rev()
        .find_map(|sample| value(sample).get())
}

/// The greatest value of the samples that have it.
pub(super) fn greatest<'a, T>(samples: &List<'a, T>, value: impl Fn(&T) -> Number) -> Option<f64>
where
    T: Deserialize<'a> + Default,
{
    let samples = samples.parse();
    let values = samples.iter().filter_map(|sample| value(sample).get());
    values.max_by(f64::total_cmp)
}

/// The least value of the samples that have it.
pub(super) fn least<'a, T>(samples: &List<'a, T>, value: impl Fn(&T) -> Number) -> Option<f64>
where
    T: Deserialize<'a> + Default,
{
    let samples = samples.parse();
    let values = samples.iter().filter_map(|sample| value(sample).get());
    values.min_by(f64::total_cmp)
}

/// Most entries of a list that becomes one text.
const MAX_LISTED: usize = 64;
/// Longest text of a list. Unit: bytes.
const MAX_LISTED_BYTES: usize = 8 * 1024;

/// The entries of a list as one JSON array, as far as they fit: an item has no room for more, and
/// the archive keeps all.
pub(super) fn listed<'a, T>(
    list: &List<'a, T>,
    entry: impl Fn(T) -> Vec<(&'static str, Option<Value>)>,
) -> Option<String>
where
    T: Deserialize<'a> + Default,
{
    let mut text = String::new();
    for one in list.parse().into_iter().take(MAX_LISTED) {
        let fields = entry(one).into_iter();
        let entry: std::collections::BTreeMap<_, _> = fields
            .filter_map(|(name, value)| Some((name, value?)))
            .filter(|(name, value)| !matches!(value, Value::Number(number) if is_stand_in(name, *number)))
            .collect();
        let Ok(entry) = serde_json::to_string(&entry) else {
            continue;
        };
        if entry == "{}" {
            continue;
        }
        if text.len() + entry.len() > MAX_LISTED_BYTES {
            break;
        }
        text.push(if text.is_empty() { '[' } else { ',' });
        text.push_str(&entry);
    }
    (!text.is_empty()).then(|| text + "]")
}

/// Time in heart rate zones as one JSON array.
pub(super) fn heart_rate_zones<'a>(zones: &List<'a, HeartRateZoneData<'a>>) -> Option<String> {
    listed(zones, |zone| {
        vec![
            ("zone", zone.zone.get().map(Value::Number)),
            ("name", text(&zone.name).map(Value::Text)),
            (
                "start_percentage",
                zone.start_percentage.get().map(Value::Number),
            ),
            (
                "end_percentage",
                zone.end_percentage.get().map(Value::Number),
            ),
            (
                "duration_seconds",
                zone.duration_seconds.get().map(Value::Number),
            ),
        ]
    })
}

/// The name of a field: its own, or the one after `as`.
macro_rules! key {
    ($field:ident) => {
        stringify!($field)
    };
    ($field:ident as $key:literal) => {
        $key
    };
}

/// Value from samples for a field, computed only if Terra left the field absent.
macro_rules! derived {
    ($delivered:expr) => {
        None
    };
    ($delivered:expr, $derived:expr) => {
        if $delivered.is_none() { $derived } else { None }
    };
}

/// Value that a data type gives, or the default where it gives none.
macro_rules! or {
    ($default:expr) => {
        $default
    };
    ($default:expr, $said:expr) => {
        $said
    };
}

pub(super) use {derived, key, or};

/// Defines the summary of one data type: its fields and where each comes from.
///
/// `field as "name": type = delivered => from samples`; without `as` the name is the field's own.
/// The first block opens the objects of the record that the fields are read from, and says what
/// identifies the record, which scores it has and whether it takes itself back.
macro_rules! summary {
    (
        $(#[$meta:meta])*
        $variant:ident($name:ident) of $record:ident: $source:ty {
            $(let $object:ident = $opened:expr;)*
            identity = $identity:expr;
            $(enrichment = $enrichment:expr;)?
            $(retracted = $retracted:expr;)?
        } {
            $(
                $(#[$field_meta:meta])*
                $field:ident $(as $key:literal)?: $kind:ty = $delivered:expr $(=> $derived:expr)?,
            )*
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Default, PartialEq)]
        pub struct $name {
            $(
                $(#[$field_meta])*
                pub $field: Option<$kind>,
            )*
            /// Names of the fields whose number stood for none, as `min_hr_bpm,steps`. The payload
            /// has the numbers.
            pub stand_ins: Option<String>,
            /// Words in the place of coded values that Terra's schema does not know, as
            /// `type=JUGGLING,upload_type=ROBOT`.
            pub unknown_codes: Option<String>,
        }

        impl $name {
            /// The names of all fields, as they are written.
            pub const FIELDS: &[&str] = &[$(crate::summary::table::key!($field $(as $key)?),)* "stand_ins", "unknown_codes"];

            /// Each field with its documentation, which names its unit, and its type.
            pub(super) const DOCS: &[(&str, &str, &str)] = &[$((
                crate::summary::table::key!($field $(as $key)?),
                concat!($(stringify!($field_meta)),*),
                stringify!($kind),
            ),)*];

            /// The fields that are there, under their names.
            pub fn to_map(&self) -> std::collections::BTreeMap<&'static str, crate::summary::Value> {
                self.fields().into_iter().collect()
            }

            /// Reads what [`to_map`](Self::to_map) wrote. What has another name or another
            /// type is left out.
            pub fn from_map<K: AsRef<str>>(map: impl IntoIterator<Item = (K, crate::summary::Value)>) -> Self {
                let mut summary = Self::default();
                for (name, value) in map {
                    summary.set(name.as_ref(), value);
                }
                summary
            }

            /// Fills the fields that are absent from another summary.
            pub fn filled_from(&mut self, other: &Self) {
                $(
                    if self.$field.is_none() {
                        self.$field.clone_from(&other.$field);
                    }
                )*
                for (own, other) in [
                    (&mut self.stand_ins, &other.stand_ins),
                    (&mut self.unknown_codes, &other.unknown_codes),
                ] {
                    if own.is_none() {
                        own.clone_from(other);
                    }
                }
            }

            /// Takes out the numbers that stand for none and the words that no schema knows, and says
            /// which.
            fn without_stand_ins(mut self) -> Self {
                let mut found = crate::summary::table::StandIns::default();
                $(found.take(crate::summary::table::key!($field $(as $key)?), &mut self.$field);)*
                (self.stand_ins, self.unknown_codes) = found.texts();
                self
            }

            pub(super) fn fields(&self) -> Vec<(&'static str, crate::summary::Value)> {
                let mut fields = Vec::new();
                $(crate::summary::table::push(&mut fields, crate::summary::table::key!($field $(as $key)?), self.$field.as_ref());)*
                crate::summary::table::push(&mut fields, "stand_ins", self.stand_ins.as_ref());
                crate::summary::table::push(&mut fields, "unknown_codes", self.unknown_codes.as_ref());
                fields
            }

            fn set(&mut self, name: &str, value: crate::summary::Value) {
                match name {
                    $(crate::summary::table::key!($field $(as $key)?) => self.$field = crate::summary::table::Scalar::from_value(value),)*
                    "stand_ins" => self.stand_ins = crate::summary::table::Scalar::from_value(value),
                    "unknown_codes" => self.unknown_codes = crate::summary::table::Scalar::from_value(value),
                    _ => {}
                }
            }

            pub(super) fn read($record: $source) -> crate::summary::Found {
                $(let $object = $opened;)*
                let delivered = Self { $($field: $delivered,)* stand_ins: None, unknown_codes: None }.without_stand_ins();
                let mut derived = Self { $($field: crate::summary::table::derived!(delivered.$field $(, $derived)?),)* stand_ins: None, unknown_codes: None }.without_stand_ins();
                derived.stand_ins = None;
                derived.unknown_codes = None;
                crate::summary::Found {
                    identity: $identity,
                    from_samples: (derived != Self::default())
                        .then_some(crate::summary::Summary::$variant(derived)),
                    delivered: crate::summary::Summary::$variant(delivered),
                    enrichment: crate::summary::scores::scores(crate::summary::table::or!(None $(, $enrichment.raw())?)),
                    streams: std::collections::BTreeSet::new(),
                    retracted: crate::summary::table::or!(false $(, $retracted)?),
                }
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_map(self.fields())
            }
        }
    };
}

pub(super) use summary;
