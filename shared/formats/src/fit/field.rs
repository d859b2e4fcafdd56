//! Values as the fields of a FIT message hold them.

use domain::stand_in::is_stand_in;
use models::lenient::Number;

/// Longest text of a field, without the zero byte that ends it.
const MAX_TEXT_BYTES: usize = 254;

/// An integer type of FIT, with the value that stands for *not set*.
pub(super) trait Integer: TryFrom<i64> + PartialEq {
    const INVALID: Self;
}

macro_rules! integer {
    ($($kind:ty),*) => { $(
        impl Integer for $kind {
            const INVALID: Self = <$kind>::MAX;
        }
    )* };
}

integer!(u8, u16, u32, i8, i32);

/// The integer that stands for `number × scale`; *not set* where the type cannot hold it.
///
/// `rustyfit`'s own setters cut fractions off and turn a negative number into zero.
pub(super) fn scaled<T: Integer>(number: impl Into<Option<f64>>, scale: f64) -> T {
    number
        .into()
        .and_then(|number| whole(number * scale))
        .and_then(|number| T::try_from(number).ok())
        .unwrap_or(T::INVALID)
}

/// The integer nearest to `number`; *not set* where the type cannot hold it.
pub(super) fn rounded<T: Integer>(number: Number) -> T {
    scaled(number.get(), 1.0)
}

/// The number of a field of Terra's, unless it stands for none.
///
/// A field of FIT is too small for most numbers that stand for none; this is for the others.
pub(super) fn real(field: &str, number: Number) -> Number {
    Number::from(number.get().filter(|&number| !is_stand_in(field, number)))
}

/// An altitude in metres as FIT's fifths of a metre above -500 m.
pub(super) fn altitude(metres: Number) -> u32 {
    scaled(metres.get().map(|metres| metres + 500.0), 5.0)
}

/// Degrees as semicircles, of which there are 2³¹ on half a turn.
pub(super) fn semicircles(degrees: f64) -> i32 {
    scaled(degrees, f64::from(1_u32 << 31) / 180.0)
}

/// A number as a whole part and a rest in parts of `parts`, for which FIT has a field each. The rest
/// is not set where it is zero.
pub(super) fn split<T: Integer>(number: Number, parts: u8) -> (T, u8) {
    let all: u32 = scaled(number.get(), f64::from(parts));
    if all == u32::INVALID {
        return (T::INVALID, u8::INVALID);
    }
    let divisor = u32::from(parts);
    match T::try_from(i64::from(all / divisor)) {
        Ok(whole) if whole != T::INVALID => {
            let rest = u8::try_from(all % divisor).unwrap_or(0);
            (whole, if rest == 0 { u8::INVALID } else { rest })
        }
        _ => (T::INVALID, u8::INVALID),
    }
}

/// A text that a field can hold, else an empty one, which is not written.
pub(super) fn text(text: Option<&str>) -> Box<str> {
    text.filter(|text| text.len() <= MAX_TEXT_BYTES && !text.contains('\0'))
        .unwrap_or_default()
        .into()
}

fn whole(number: f64) -> Option<i64> {
    /// Beyond any field of FIT that is written here.
    const LIMIT: f64 = 1e15;
    let rounded = number.round();
    #[expect(
        clippy::cast_possible_truncation,
        reason = "whole and within the limit"
    )]
    (rounded.abs() < LIMIT).then_some(rounded as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_field_cannot_hold_is_not_set() {
        assert_eq!(scaled::<u8>(254.4, 1.0), 254);
        assert_eq!(scaled::<u8>(254.6, 1.0), u8::MAX);
        assert_eq!(scaled::<u8>(300.0, 1.0), u8::MAX);
        assert_eq!(scaled::<u16>(-1.0, 1.0), u16::MAX);
        assert_eq!(scaled::<u16>(f64::INFINITY, 1.0), u16::MAX);
        assert_eq!(scaled::<i8>(-4.5, 1.0), -5);
        assert_eq!(scaled::<u32>(None, 1.0), u32::MAX);
    }

    #[test]
    fn an_altitude_below_the_sea_is_held_and_one_below_the_deepest_land_is_not() {
        assert_eq!(altitude(Number::from(-430.5)), 348);
        assert_eq!(altitude(Number::from(-501.0)), u32::MAX);
    }

    #[test]
    fn a_position_on_the_date_line_is_not_set() {
        assert_eq!(semicircles(-180.0), i32::MIN);
        assert_eq!(semicircles(180.0), i32::MAX);
        assert_eq!(semicircles(90.0), 1 << 30);
    }

    #[test]
    fn a_fraction_goes_into_its_own_field() {
        assert_eq!(split::<u8>(Number::from(7.5), 128), (7, 64));
        assert_eq!(split::<u8>(Number::from(168.0), 128), (168, u8::MAX));
        assert_eq!(split::<u8>(Number::from(255.0), 128), (u8::MAX, u8::MAX));
        assert_eq!(split::<u16>(Number::from(410.75), 100), (410, 75));
        assert_eq!(split::<u16>(Number::default(), 100), (u16::MAX, u8::MAX));
    }

    #[test]
    fn a_text_that_is_too_long_is_not_cut() {
        assert_eq!(&*text(Some("Ride")), "Ride");
        assert_eq!(&*text(Some(&"x".repeat(255))), "");
        assert_eq!(&*text(Some("a\0b")), "");
    }
}
