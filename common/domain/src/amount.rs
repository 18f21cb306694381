//! Amounts of money: whole minor units, checked arithmetic, exact text.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Currency;

/// The largest amount, in minor units, that the format allows; so any sum of three thousand
/// amounts still fits an `i64`.
pub const AMOUNT_MINOR_MAX: i64 = 900_000_000_000_000;

/// Why a text or a result is not an amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AmountError {
    /// Something else than digits with at most one point between them.
    #[error("must be digits with at most one point: no sign, no grouping, no exponent")]
    Malformed,
    /// More decimals than the currency has.
    #[error("must have at most {decimals} decimals in {currency}")]
    TooManyDecimals {
        /// The currency of the amount.
        currency: Currency,
        /// How many decimals it has.
        decimals: u8,
    },
    /// Above the largest amount, in either direction.
    #[error("must be at most 900 000 000 000 000 in minor units")]
    TooLarge,
}

/// Whole minor units of a currency that the context names; from −[`AMOUNT_MINOR_MAX`] to
/// [`AMOUNT_MINOR_MAX`]. What a file holds is never negative; differences may be.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(try_from = "i64", into = "i64")]
pub struct Amount(i64);

impl Amount {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// Takes a number of minor units within the bounds.
    pub fn from_minor(minor: i64) -> Result<Self, AmountError> {
        if (-AMOUNT_MINOR_MAX..=AMOUNT_MINOR_MAX).contains(&minor) {
            Ok(Self(minor))
        } else {
            Err(AmountError::TooLarge)
        }
    }

    /// Takes a wide intermediate result within the bounds.
    pub fn from_wide(minor: i128) -> Result<Self, AmountError> {
        i64::try_from(minor)
            .map_err(|_| AmountError::TooLarge)
            .and_then(Self::from_minor)
    }

    /// Reads an amount in major units, such as `115.50`, exactly. Fewer decimals than the
    /// currency has are filled with zeros; more are refused, even when they are zeros.
    pub fn parse(text: &str, currency: Currency) -> Result<Self, AmountError> {
        let (whole, fraction) = match text.split_once('.') {
            Some((whole, fraction)) if !fraction.is_empty() => (whole, fraction),
            Some(_) => return Err(AmountError::Malformed),
            None => (text, ""),
        };
        let digits_only = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        if whole.is_empty() || !digits_only(whole) || !digits_only(fraction) {
            return Err(AmountError::Malformed);
        }
        let decimals = currency.decimals();
        let missing = usize::from(decimals)
            .checked_sub(fraction.len())
            .ok_or(AmountError::TooManyDecimals { currency, decimals })?;
        let mut minor: i64 = 0;
        for digit in whole
            .bytes()
            .chain(fraction.bytes())
            .chain(std::iter::repeat_n(b'0', missing))
        {
            minor = minor
                .checked_mul(10)
                .and_then(|n| n.checked_add(i64::from(digit - b'0')))
                .filter(|n| *n <= AMOUNT_MINOR_MAX)
                .ok_or(AmountError::TooLarge)?;
        }
        Ok(Self(minor))
    }

    /// The number of minor units.
    pub fn minor(self) -> i64 {
        self.0
    }

    /// The sum, or [`AmountError::TooLarge`].
    pub fn plus(self, other: Self) -> Result<Self, AmountError> {
        Self::from_wide(i128::from(self.0) + i128::from(other.0))
    }

    /// The difference, or [`AmountError::TooLarge`].
    pub fn minus(self, other: Self) -> Result<Self, AmountError> {
        Self::from_wide(i128::from(self.0) - i128::from(other.0))
    }

    /// The amount in major units with all decimals of the currency, such as `115.50`.
    pub fn in_major(self, currency: Currency) -> String {
        let decimals = usize::from(currency.decimals());
        let sign = if self.0 < 0 { "-" } else { "" };
        let digits = format!("{:0>width$}", self.0.unsigned_abs(), width = decimals + 1);
        let (whole, fraction) = digits.split_at(digits.len() - decimals);
        if fraction.is_empty() {
            format!("{sign}{whole}")
        } else {
            format!("{sign}{whole}.{fraction}")
        }
    }
}

impl TryFrom<i64> for Amount {
    type Error = AmountError;
    fn try_from(minor: i64) -> Result<Self, AmountError> {
        Self::from_minor(minor)
    }
}

impl From<Amount> for i64 {
    fn from(amount: Amount) -> i64 {
        amount.0
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn usd() -> Currency {
        "USD".parse().unwrap()
    }

    fn read(text: &str, code: &str) -> Result<i64, AmountError> {
        Amount::parse(text, code.parse().unwrap()).map(Amount::minor)
    }

    #[test]
    fn an_amount_has_at_most_the_decimals_of_its_currency() {
        assert_eq!(read("115.50", "USD"), Ok(11_550));
        assert_eq!(read("115.5", "USD"), Ok(11_550));
        assert_eq!(read("115", "USD"), Ok(11_500));
        assert_eq!(read("0.001", "KWD"), Ok(1));
        assert_eq!(read("7", "JPY"), Ok(7));
        let too_many = |currency: &str, decimals| {
            Err(AmountError::TooManyDecimals {
                currency: currency.parse().unwrap(),
                decimals,
            })
        };
        assert_eq!(read("1.000", "USD"), too_many("USD", 2));
        assert_eq!(read("1.0", "JPY"), too_many("JPY", 0));
        assert_eq!(read("1.0001", "KWD"), too_many("KWD", 3));
    }

    #[test]
    fn an_amount_has_no_sign_no_grouping_and_no_exponent() {
        for text in [
            "", ".", "1.", ".5", "-1", "+1", "1,000", "1 000", "1e2", "0x1", "1.2.3", "٣", " 1",
        ] {
            assert_eq!(read(text, "USD"), Err(AmountError::Malformed), "{text}");
        }
    }

    #[test]
    fn the_largest_amount_is_taken_and_one_more_is_refused() {
        assert_eq!(read("8999999999999.99", "USD"), Ok(AMOUNT_MINOR_MAX - 1));
        assert_eq!(read("9000000000000.00", "USD"), Ok(AMOUNT_MINOR_MAX));
        assert_eq!(read("9000000000000.01", "USD"), Err(AmountError::TooLarge));
        assert_eq!(read(&"9".repeat(400), "USD"), Err(AmountError::TooLarge));
        let most = Amount::from_minor(AMOUNT_MINOR_MAX).unwrap();
        let one = Amount::from_minor(1).unwrap();
        assert_eq!(most.plus(one), Err(AmountError::TooLarge));
        assert_eq!(most.minus(one).unwrap().plus(one), Ok(most));
        assert_eq!(
            Amount::ZERO.minus(most).unwrap().minus(one),
            Err(AmountError::TooLarge)
        );
    }

    proptest! {
        #[test]
        fn writing_and_reading_gives_the_same_amount(
            minor in 0..=AMOUNT_MINOR_MAX, code in prop::sample::select(vec!["USD", "JPY", "KWD"]),
        ) {
            let currency: Currency = code.parse().unwrap();
            let amount = Amount::from_minor(minor).unwrap();
            prop_assert_eq!(Amount::parse(&amount.in_major(currency), currency), Ok(amount));
        }

        #[test]
        fn a_sum_less_one_part_is_the_other_part(a in 0..=AMOUNT_MINOR_MAX / 2, b in 0..=AMOUNT_MINOR_MAX / 2) {
            let (a, b) = (Amount::from_minor(a).unwrap(), Amount::from_minor(b).unwrap());
            prop_assert_eq!(a.plus(b).unwrap().minus(b), Ok(a));
        }

        #[test]
        fn reading_any_text_never_panics(text in ".{0,40}") {
            let _ = Amount::parse(&text, usd());
        }
    }
}
