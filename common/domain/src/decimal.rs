//! Exact decimals for what is not money: quantities and tax rates.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

/// Digits that are kept after the point.
const SCALE_DIGITS: usize = 6;
/// One, in millionths.
const SCALE: u64 = 1_000_000;
/// Digits that are taken before the point.
const WHOLE_DIGITS_MAX: usize = 9;

/// Why a text is not such a decimal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecimalError {
    /// Something else than digits with at most one point between them.
    #[error("must be digits, with at most one point between them")]
    Malformed,
    /// More digits than are kept exactly.
    #[error("must have at most 9 digits before the point and 6 after it")]
    TooLong,
}

/// A number that is not negative, exact to six decimals: 0 to 999 999 999.999999.
///
/// In JSON it is a plain number, written and read digit by digit, never through a float.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Decimal(u64);

impl Decimal {
    /// One.
    pub const ONE: Self = Self(SCALE);

    /// The number in millionths.
    pub fn millionths(self) -> u64 {
        self.0
    }

    /// The product with an integer, rounded half up to an integer. Never overflows: the largest
    /// product has less than 109 bits.
    pub fn times_rounded(self, factor: i64) -> i128 {
        let product = i128::from(self.0) * i128::from(factor);
        // Half up means towards positive infinity, so the floor after adding a half.
        (product + i128::from(SCALE / 2)).div_euclid(i128::from(SCALE))
    }
}

impl FromStr for Decimal {
    type Err = DecimalError;

    fn from_str(text: &str) -> Result<Self, DecimalError> {
        let (whole, fraction) = match text.split_once('.') {
            Some((whole, fraction)) if !fraction.is_empty() => (whole, fraction),
            Some(_) => return Err(DecimalError::Malformed),
            None => (text, ""),
        };
        let digits_only = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        if whole.is_empty() || !digits_only(whole) || !digits_only(fraction) {
            return Err(DecimalError::Malformed);
        }
        if whole.len() > WHOLE_DIGITS_MAX || fraction.len() > SCALE_DIGITS {
            return Err(DecimalError::TooLong);
        }
        let number = |part: &str| part.parse::<u64>().map_err(|_| DecimalError::Malformed);
        let fraction = format!("{fraction:0<SCALE_DIGITS$}");
        Ok(Self(number(whole)? * SCALE + number(&fraction)?))
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, fraction) = (self.0 / SCALE, self.0 % SCALE);
        if fraction == 0 {
            return write!(f, "{whole}");
        }
        let fraction = format!("{fraction:06}");
        write!(f, "{whole}.{}", fraction.trim_end_matches('0'))
    }
}

impl Serialize for Decimal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let raw = RawValue::from_string(self.to_string()).map_err(serde::ser::Error::custom)?;
        raw.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Decimal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        raw.get().parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn digits_are_taken_up_to_nine_before_and_six_after_the_point() {
        let read = |text: &str| text.parse::<Decimal>();
        assert_eq!(read("0").unwrap().millionths(), 0);
        assert_eq!(read("10").unwrap().millionths(), 10_000_000);
        assert_eq!(read("1.5").unwrap().millionths(), 1_500_000);
        assert_eq!(
            read("999999999.99999").unwrap().millionths(),
            999_999_999_999_990
        );
        assert_eq!(
            read("999999999.999999").unwrap().millionths(),
            999_999_999_999_999
        );
        assert_eq!(read("1000000000"), Err(DecimalError::TooLong));
        assert_eq!(read("1.0000000"), Err(DecimalError::TooLong));
        for text in [
            "", ".", "1.", ".5", "-1", "+1", "1e3", "1,5", "1.2.3", " 1", "١",
        ] {
            assert_eq!(read(text), Err(DecimalError::Malformed), "{text}");
        }
    }

    #[test]
    fn a_product_is_rounded_half_up() {
        let product = |text: &str, factor| text.parse::<Decimal>().unwrap().times_rounded(factor);
        assert_eq!(product("0.5", 1), 1);
        assert_eq!(product("0.499999", 1), 0);
        assert_eq!(product("0.5", -1), 0);
        assert_eq!(product("1.5", -1), -1);
        assert_eq!(product("2.5", 333), 833);
    }

    proptest! {
        #[test]
        fn writing_and_reading_gives_the_same_decimal(millionths in 0..=999_999_999_999_999_u64) {
            let decimal = Decimal(millionths);
            prop_assert_eq!(decimal.to_string().parse::<Decimal>().unwrap(), decimal);
            let json = serde_json::to_string(&decimal).unwrap();
            prop_assert_eq!(&json, &decimal.to_string());
            prop_assert_eq!(serde_json::from_str::<Decimal>(&json).unwrap(), decimal);
        }
    }
}
