//! Field types that read any well-formed JSON value.
//!
//! Real deliveries break Terra's schemas: numbers come as text, objects as empty arrays, codes as
//! words. So leniency lives in the type of each field: a value of the wrong type is *absent*, never
//! an error, and only malformed JSON stops a parse. Scalars and arrays are cut out of the input
//! unparsed first, which also lets through what `serde_json` itself refuses in them: numbers too
//! large for a double and broken surrogates. One gap is left: such a value in the place of an
//! object is still `serde_json`'s error, which [`mended`](crate::mend::mended) text has not.
//!
//! Everything borrows from the input, so these types read from a `&str` or `&[u8]`
//! (`serde_json::from_str`, `from_slice`), not from a reader or a `serde_json::Value`.

use std::{borrow::Cow, fmt, marker::PhantomData, ops::Deref};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

/// Questions that every type of field answers.
pub trait Field {
    /// Returns whether Terra sent nothing usable here; such a field is not serialised.
    fn is_absent(&self) -> bool;
}

/// An object that reads itself from the entries of a JSON object.
///
/// `terra_object!` implements it.
pub trait FromMap<'de>: Default {
    /// Reads the entries: unknown keys are skipped, of equal keys the last wins.
    ///
    /// # Errors
    ///
    /// Only for malformed JSON.
    fn from_map<A: MapAccess<'de>>(map: A) -> Result<Self, A::Error>;
}

/// A raw JSON value, sorted by what it is.
enum Shape<'a> {
    Null,
    Bool(bool),
    Number(&'a str),
    Text(Cow<'a, str>),
    Array,
    Object,
}

impl<'a> Shape<'a> {
    fn of(raw: &'a RawValue) -> Self {
        let text = raw.get();
        match text.as_bytes().first() {
            Some(b'"') => Self::Text(unquote(text)),
            Some(b'[') => Self::Array,
            Some(b'{') => Self::Object,
            Some(b't') => Self::Bool(true),
            Some(b'f') => Self::Bool(false),
            Some(b'n') | None => Self::Null,
            Some(_) => Self::Number(text),
        }
    }
}

/// The contents of a JSON string literal.
fn unquote(literal: &str) -> Cow<'_, str> {
    match literal
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
    {
        Some(inner) if !inner.contains('\\') => Cow::Borrowed(inner),
        _ => serde_json::from_str(literal)
            .map(|Lossy(text)| text)
            .unwrap_or_default(),
    }
}

/// A JSON string or key; broken surrogates become replacement characters.
///
/// Vendors cut names in the middle of an emoji, and `serde_json` refuses the half that is left.
pub(crate) struct Lossy<'a>(pub(crate) Cow<'a, str>);

impl<'de> Deserialize<'de> for Lossy<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct LossyVisitor;

        impl<'de> Visitor<'de> for LossyVisitor {
            type Value = Lossy<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_bytes<E: de::Error>(self, v: &'de [u8]) -> Result<Lossy<'de>, E> {
                Ok(Lossy(String::from_utf8_lossy(v)))
            }

            fn visit_bytes<E: de::Error>(self, v: &[u8]) -> Result<Lossy<'de>, E> {
                Ok(Lossy(Cow::Owned(String::from_utf8_lossy(v).into_owned())))
            }
        }

        deserializer.deserialize_bytes(LossyVisitor)
    }
}

/// Reads a field type from the raw value.
macro_rules! read_from_raw {
    ($($name:ty $(, $life:lifetime)?);* $(;)?) => { $(
        impl<'de $(: $life, $life)?> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                <&'de RawValue>::deserialize(deserializer).map(Self::from_raw)
            }
        }
    )* };
}

read_from_raw! {
    Number;
    Text<'a>, 'a;
    Flag;
    Any<'a>, 'a;
}

/// A finite number, from a JSON number of any form or from text such as `" 65.0 "`.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Number(Option<f64>);

impl Number {
    fn from_raw(raw: &RawValue) -> Self {
        match Shape::of(raw) {
            Shape::Number(text) => Self::from_text(text),
            Shape::Text(text) => Self::from_text(text.trim()),
            Shape::Null | Shape::Bool(_) | Shape::Array | Shape::Object => Self(None),
        }
    }

    fn from_text(text: &str) -> Self {
        Self::from(text.parse().ok())
    }

    /// The number.
    pub fn get(self) -> Option<f64> {
        self.0
    }

    /// The number if it is whole: `65` and `65.0`, not `65.5`.
    pub fn as_i64(self) -> Option<i64> {
        self.0.and_then(whole)
    }
}

/// A whole number that a double holds exactly.
fn whole(number: f64) -> Option<i64> {
    const LARGEST_EXACT: f64 = 9_007_199_254_740_992.0;
    #[expect(clippy::cast_possible_truncation, reason = "whole and within 2^53")]
    (number.fract() == 0.0 && number.abs() <= LARGEST_EXACT).then_some(number as i64)
}

impl From<Option<f64>> for Number {
    fn from(number: Option<f64>) -> Self {
        Self(number.filter(|number| number.is_finite()))
    }
}

impl From<f64> for Number {
    fn from(number: f64) -> Self {
        Self::from(Some(number))
    }
}

impl Field for Number {
    fn is_absent(&self) -> bool {
        self.0.is_none()
    }
}

/// Whole numbers are written without a fraction.
impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match (self.as_i64(), self.0) {
            (Some(whole), _) => serializer.serialize_i64(whole),
            (None, Some(number)) => serializer.serialize_f64(number),
            (None, None) => serializer.serialize_none(),
        }
    }
}

/// Text, borrowed when it holds no escapes. Numbers and booleans become their own text.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Text<'a>(Option<Cow<'a, str>>);

impl<'a> Text<'a> {
    fn from_raw(raw: &'a RawValue) -> Self {
        match Shape::of(raw) {
            Shape::Text(text) => Self(Some(text)),
            Shape::Number(_) | Shape::Bool(_) => Self(Some(Cow::Borrowed(raw.get()))),
            Shape::Null | Shape::Array | Shape::Object => Self(None),
        }
    }

    /// The text.
    pub fn get(&self) -> Option<&str> {
        self.0.as_deref()
    }

    /// The text unless it is empty: Terra sends `""` where it means nothing.
    pub fn non_empty(&self) -> Option<&str> {
        self.get().filter(|text| !text.is_empty())
    }
}

impl<'a> From<&'a str> for Text<'a> {
    fn from(text: &'a str) -> Self {
        Self(Some(Cow::Borrowed(text)))
    }
}

impl Field for Text<'_> {
    fn is_absent(&self) -> bool {
        self.0.is_none()
    }
}

impl Serialize for Text<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

/// Yes or no, from a boolean, 0 or 1, or any of these as text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Flag(Option<bool>);

impl Flag {
    fn from_raw(raw: &RawValue) -> Self {
        Self(match Shape::of(raw) {
            Shape::Bool(flag) => Some(flag),
            Shape::Number(text) => Self::from_text(text),
            Shape::Text(text) => Self::from_text(text.trim()),
            Shape::Null | Shape::Array | Shape::Object => None,
        })
    }

    fn from_text(text: &str) -> Option<bool> {
        let number = Number::from_text(text).as_i64();
        if number == Some(1) || text.eq_ignore_ascii_case("true") {
            Some(true)
        } else if number == Some(0) || text.eq_ignore_ascii_case("false") {
            Some(false)
        } else {
            None
        }
    }

    /// The answer.
    pub fn get(self) -> Option<bool> {
        self.0
    }
}

impl From<bool> for Flag {
    fn from(flag: bool) -> Self {
        Self(Some(flag))
    }
}

impl Field for Flag {
    fn is_absent(&self) -> bool {
        self.0.is_none()
    }
}

impl Serialize for Flag {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

/// An enumeration that Terra codes by numbers. `terra_enum!` implements it.
pub trait TerraEnum: Copy + 'static {
    /// All values of the schema, in its order.
    const ALL: &'static [Self];

    /// Terra's number.
    fn number(self) -> i64;

    /// Terra's name, as `Road Biking`.
    fn label(self) -> &'static str;

    /// The value of a number, if the schema knows it.
    fn from_number(number: i64) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|value| value.number() == number)
    }

    /// The value of a name in any spelling: `Road Biking`, `ROAD_BIKING`, `road-biking`.
    fn from_label(label: &str) -> Option<Self> {
        fn letters(text: &str) -> impl Iterator<Item = u8> {
            text.bytes()
                .filter(u8::is_ascii_alphanumeric)
                .map(|letter| letter.to_ascii_lowercase())
        }
        Self::ALL
            .iter()
            .copied()
            .find(|value| letters(value.label()).eq(letters(label)))
    }
}

/// A value of an enumeration. What the schema does not know is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub enum Code<E> {
    /// Not sent.
    #[default]
    Absent,
    /// A value of the schema, sent as its number, or by name as the description of 2022 has it.
    Known(E),
    /// A number that the schema lacks.
    Unknown(i64),
    /// Anything else, as it was sent.
    Text(Box<str>),
}

impl<E: TerraEnum> Code<E> {
    fn from_raw(raw: &RawValue) -> Self {
        match Shape::of(raw) {
            Shape::Number(text) => Self::from_text(text),
            Shape::Text(text) => Self::from_text(text.trim()),
            Shape::Null | Shape::Bool(_) | Shape::Array | Shape::Object => Self::Absent,
        }
    }

    fn from_text(text: &str) -> Self {
        if text.is_empty() {
            return Self::Absent;
        }
        match Number::from_text(text).as_i64() {
            Some(number) => E::from_number(number).map_or(Self::Unknown(number), Self::Known),
            None => E::from_label(text).map_or_else(|| Self::Text(text.into()), Self::Known),
        }
    }

    /// The value, if the schema knows it.
    pub fn known(&self) -> Option<E> {
        match self {
            Self::Known(value) => Some(*value),
            Self::Absent | Self::Unknown(_) | Self::Text(_) => None,
        }
    }

    /// Terra's number, known or not.
    pub fn number(&self) -> Option<i64> {
        match self {
            Self::Known(value) => Some(value.number()),
            Self::Unknown(number) => Some(*number),
            Self::Absent | Self::Text(_) => None,
        }
    }

    /// Terra's name, or the text that was sent in its place.
    pub fn label(&self) -> Option<&str> {
        match self {
            Self::Known(value) => Some(value.label()),
            Self::Text(text) => Some(text),
            Self::Absent | Self::Unknown(_) => None,
        }
    }
}

impl<'de, E: TerraEnum> Deserialize<'de> for Code<E> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <&'de RawValue>::deserialize(deserializer).map(Self::from_raw)
    }
}

impl<E> Field for Code<E> {
    fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }
}

impl<E: TerraEnum> Serialize for Code<E> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Absent => serializer.serialize_none(),
            Self::Known(value) => serializer.serialize_i64(value.number()),
            Self::Unknown(number) => serializer.serialize_i64(*number),
            Self::Text(text) => serializer.serialize_str(text),
        }
    }
}

/// A JSON object. Anything else, null and empty arrays included, is absent.
///
/// Derefs to `Option`, so that chains read well:
/// `daily.heart_rate_data.as_ref().and_then(|data| data.summary.as_ref())`.
#[derive(Debug, Clone, PartialEq)]
pub struct Object<T>(Option<T>);

impl<T> Default for Object<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T> Deref for Object<T> {
    type Target = Option<T>;

    fn deref(&self) -> &Option<T> {
        &self.0
    }
}

impl<T> From<T> for Object<T> {
    fn from(value: T) -> Self {
        Self(Some(value))
    }
}

impl<T> Object<T> {
    /// The object itself.
    pub fn into_inner(self) -> Option<T> {
        self.0
    }
}

impl<'de, T: FromMap<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer
            .deserialize_any(ObjectVisitor(PhantomData))
            .map(Self)
    }
}

impl<T: Field> Field for Object<T> {
    fn is_absent(&self) -> bool {
        self.0.is_none()
    }
}

impl<T: Serialize> Serialize for Object<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

/// Reads an object in the same pass as what surrounds it; skips everything else.
struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: FromMap<'de>> Visitor<'de> for ObjectVisitor<T> {
    type Value = Option<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Option<T>, A::Error> {
        T::from_map(map).map(Some)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Option<T>, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<Option<T>, E> {
        Ok(None)
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<Option<T>, E> {
        Ok(None)
    }

    fn visit_u64<E: de::Error>(self, _: u64) -> Result<Option<T>, E> {
        Ok(None)
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<Option<T>, E> {
        Ok(None)
    }

    fn visit_str<E: de::Error>(self, _: &str) -> Result<Option<T>, E> {
        Ok(None)
    }

    fn visit_unit<E: de::Error>(self) -> Result<Option<T>, E> {
        Ok(None)
    }
}

/// An array that is content, such as meals or tags, left unparsed until it is asked for.
pub struct List<'a, T> {
    raw: Option<&'a RawValue>,
    elements: PhantomData<fn() -> T>,
}

impl<'a, T> List<'a, T> {
    fn from_raw(raw: &'a RawValue) -> Self {
        let raw = matches!(Shape::of(raw), Shape::Array).then_some(raw);
        Self {
            raw,
            elements: PhantomData,
        }
    }

    /// Returns whether there is no element. Reads the first bytes only.
    pub fn is_empty(&self) -> bool {
        let after_bracket = |raw: &RawValue| {
            raw.get()
                .bytes()
                .skip(1)
                .find(|byte| !byte.is_ascii_whitespace())
        };
        self.raw.is_none_or(|raw| after_bracket(raw) == Some(b']'))
    }

    /// The array as Terra sent it.
    pub fn raw(&self) -> Option<&'a str> {
        self.raw.map(RawValue::get)
    }

    /// The number of elements, read without parsing them.
    pub fn count(&self) -> usize {
        self.raw()
            .and_then(|raw| serde_json::from_str::<Vec<IgnoredAny>>(raw).ok())
            .map_or(0, |elements| elements.len())
    }

    /// The elements. One of the wrong type is there with everything absent.
    pub fn parse(&self) -> Vec<T>
    where
        T: Deserialize<'a> + Default,
    {
        let Some(raw) = self.raw() else {
            return Vec::new();
        };
        // Elements fail together only where `serde_json` cannot skip one, such as 1e999.
        serde_json::from_str(raw).unwrap_or_else(|_| {
            let elements: Vec<&'a RawValue> = serde_json::from_str(raw).unwrap_or_default();
            let parse = |raw: &'a RawValue| serde_json::from_str(raw.get()).unwrap_or_default();
            elements.into_iter().map(parse).collect()
        })
    }
}

impl<T> Clone for List<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for List<'_, T> {}

impl<T> Default for List<'_, T> {
    fn default() -> Self {
        Self {
            raw: None,
            elements: PhantomData,
        }
    }
}

impl<T> PartialEq for List<'_, T> {
    fn eq(&self, other: &Self) -> bool {
        self.raw() == other.raw()
    }
}

impl<T> fmt::Debug for List<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.raw() {
            Some(raw) => write!(f, "[{} bytes]", raw.len()),
            None => f.write_str("[absent]"),
        }
    }
}

impl<'de: 'a, 'a, T> Deserialize<'de> for List<'a, T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <&'de RawValue>::deserialize(deserializer).map(Self::from_raw)
    }
}

impl<T> Field for List<'_, T> {
    fn is_absent(&self) -> bool {
        self.raw.is_none()
    }
}

impl<T> Serialize for List<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.raw.serialize(serializer)
    }
}

/// Any value but null, kept as it was sent.
#[derive(Clone, Copy, Default)]
pub struct Any<'a>(Option<&'a RawValue>);

impl<'a> Any<'a> {
    fn from_raw(raw: &'a RawValue) -> Self {
        Self((!matches!(Shape::of(raw), Shape::Null)).then_some(raw))
    }

    /// The value as Terra sent it.
    pub fn raw(&self) -> Option<&'a str> {
        self.0.map(RawValue::get)
    }

    /// The value read as an object of Terra's schemas; all absent if it is none.
    pub fn parse<T>(&self) -> T
    where
        T: Deserialize<'a> + Default,
    {
        self.raw()
            .and_then(|raw| serde_json::from_str(raw).ok())
            .unwrap_or_default()
    }
}

impl PartialEq for Any<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.raw() == other.raw()
    }
}

impl fmt::Debug for Any<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.raw() {
            Some(raw) => write!(f, "{{{} bytes}}", raw.len()),
            None => f.write_str("{absent}"),
        }
    }
}

impl Field for Any<'_> {
    fn is_absent(&self) -> bool {
        self.0.is_none()
    }
}

impl Serialize for Any<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

/// Puts a value that came under a former name where nothing stands yet.
pub(crate) fn fill<F: Field>(field: &mut F, former: F) {
    if field.is_absent() {
        *field = former;
    }
}

/// The name of a field on the wire: its own, or the one after `as`.
macro_rules! wire_name {
    ($field:ident) => {
        stringify!($field)
    };
    ($field:ident as $wire:literal) => {
        $wire
    };
}
pub(crate) use wire_name;

/// Defines objects of Terra's schemas.
///
/// `field as "wire" or "former": Kind` reads and writes the key `wire`, and reads `former` where
/// `wire` brings nothing; without `as` the key is the field's own name. Each object
///
/// - skips unknown keys, takes the last of equal keys (a derived `Deserialize` would fail), leaves
///   missing fields absent, and reads anything that is not an object as all absent;
/// - is serialised under Terra's names, without what is absent.
macro_rules! terra_object {
    ($(
        $(#[$meta:meta])*
        pub struct $name:ident $(<$life:lifetime>)? {
            $(
                $(#[$field_meta:meta])*
                $field:ident $(as $wire:literal)? $(or $former:literal)?: $kind:ty,
            )*
        }
    )*) => { $(
        $(#[$meta])*
        #[derive(Debug, Clone, Default, PartialEq)]
        pub struct $name $(<$life>)? {
            $(
                $(#[$field_meta])*
                pub $field: $kind,
            )*
        }

        impl $(<$life>)? $crate::lenient::Field for $name $(<$life>)? {
            fn is_absent(&self) -> bool {
                false
            }
        }

        impl<'de $(: $life, $life)?> $crate::lenient::FromMap<'de> for $name $(<$life>)? {
            fn from_map<A: serde::de::MapAccess<'de>>(mut map: A) -> Result<Self, A::Error> {
                let mut object = Self::default();
                while let Some($crate::lenient::Lossy(key)) = map.next_key()? {
                    match key.as_ref() {
                        $(
                            $crate::lenient::wire_name!($field $(as $wire)?) => {
                                object.$field = map.next_value()?;
                            }
                            $(
                                $former => {
                                    let former = map.next_value()?;
                                    $crate::lenient::fill(&mut object.$field, former);
                                }
                            )?
                        )*
                        _ => {
                            map.next_value::<serde::de::IgnoredAny>()?;
                        }
                    }
                }
                Ok(object)
            }
        }

        impl<'de $(: $life, $life)?> serde::Deserialize<'de> for $name $(<$life>)? {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let object = $crate::lenient::Object::deserialize(deserializer)?;
                Ok(object.into_inner().unwrap_or_default())
            }
        }

        impl $(<$life>)? serde::Serialize for $name $(<$life>)? {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                use serde::ser::SerializeMap;

                let mut map = serializer.serialize_map(None)?;
                $(
                    if !$crate::lenient::Field::is_absent(&self.$field) {
                        let key = $crate::lenient::wire_name!($field $(as $wire)?);
                        map.serialize_entry(key, &self.$field)?;
                    }
                )*
                map.end()
            }
        }
    )* };
}
pub(crate) use terra_object;

/// Defines enumerations as `number = Variant "Terra's label"`.
macro_rules! terra_enum {
    ($(
        $(#[$meta:meta])*
        pub enum $name:ident {
            $($number:literal = $variant:ident $label:literal,)*
        }
    )*) => { $(
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $(
                #[doc = concat!($label, ".")]
                $variant = $number,
            )*
        }

        impl $crate::lenient::TerraEnum for $name {
            const ALL: &'static [Self] = &[$(Self::$variant),*];

            fn number(self) -> i64 {
                self as i64
            }

            fn label(self) -> &'static str {
                match self {
                    $(Self::$variant => $label,)*
                }
            }
        }
    )* };
}
pub(crate) use terra_enum;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::enums::{ActivityType, UploadType};

    fn read<'a, T: Deserialize<'a>>(json: &'a str) -> T {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn numbers_come_in_any_form() {
        for json in ["65", "65.0", "6.5e1", r#""65""#, r#"" 65.0 ""#] {
            assert_eq!(read::<Number>(json).get(), Some(65.0), "{json}");
            assert_eq!(read::<Number>(json).as_i64(), Some(65), "{json}");
        }
        for json in [
            "null",
            "true",
            "[65]",
            r#"{"a":65}"#,
            r#""NaN""#,
            r#""inf""#,
            "1e999",
            r#""""#,
        ] {
            assert_eq!(read::<Number>(json).get(), None, "{json}");
        }
        assert_eq!(read::<Number>("65.5").as_i64(), None);
    }

    #[test]
    fn text_is_borrowed_unless_it_holds_escapes() {
        assert!(matches!(
            read::<Text<'_>>(r#""Morning run""#).0,
            Some(Cow::Borrowed("Morning run"))
        ));
        assert_eq!(read::<Text<'_>>(r#""a\nb""#).get(), Some("a\nb"));
        assert_eq!(
            read::<Text<'_>>("297405620317848112").get(),
            Some("297405620317848112")
        );
        assert_eq!(read::<Text<'_>>("true").get(), Some("true"));
        assert_eq!(read::<Text<'_>>("null").get(), None);
        assert_eq!(read::<Text<'_>>(r#""""#).non_empty(), None);
    }

    #[test]
    fn half_an_emoji_does_not_lose_the_text() {
        let text: Text<'_> = read(r#""run \ud83d""#);
        assert!(text.get().unwrap().starts_with("run \u{fffd}"));
    }

    #[test]
    fn flags_come_in_any_form() {
        for json in ["true", "1", "1.0", r#""true""#, r#""TRUE""#, r#""1""#] {
            assert_eq!(read::<Flag>(json).get(), Some(true), "{json}");
        }
        for json in ["false", "0", r#""False""#] {
            assert_eq!(read::<Flag>(json).get(), Some(false), "{json}");
        }
        for json in ["null", "2", r#""yes""#, "[]", "{}"] {
            assert_eq!(read::<Flag>(json).get(), None, "{json}");
        }
    }

    #[test]
    fn codes_lose_nothing() {
        for json in ["8", "8.0", r#""8""#, r#""RUNNING""#, r#""Running""#] {
            assert_eq!(
                read::<Code<ActivityType>>(json),
                Code::Known(ActivityType::Running),
                "{json}"
            );
        }
        assert_eq!(
            read::<Code<ActivityType>>("0").known(),
            Some(ActivityType::InVehicle)
        );
        assert_eq!(
            read::<Code<ActivityType>>(r#""ROAD_BIKING""#).number(),
            Some(16)
        );
        assert_eq!(read::<Code<ActivityType>>("6"), Code::Unknown(6));
        assert_eq!(
            read::<Code<ActivityType>>(r#""JUGGLING""#).label(),
            Some("JUGGLING")
        );
        assert_eq!(read::<Code<UploadType>>("1.5"), Code::Text("1.5".into()));
        assert_eq!(read::<Code<UploadType>>("null"), Code::Absent);
    }

    #[test]
    fn an_array_is_judged_empty_by_its_first_bytes() {
        for json in ["null", "[]", "[ \n]", "{}", "7", r#""[1]""#] {
            assert!(read::<List<'_, Number>>(json).is_empty(), "{json}");
        }
        assert!(!read::<List<'_, Number>>("[ 1]").is_empty());
    }

    #[test]
    fn elements_of_the_wrong_type_are_absent() {
        let list: List<'_, Number> = read(r#"[1,"2",null,{"a":[]},1e999]"#);
        let numbers: Vec<_> = list.parse().into_iter().map(Number::get).collect();
        assert_eq!(numbers, [Some(1.0), Some(2.0), None, None, None]);
        assert_eq!(list.count(), 5);
    }
}
