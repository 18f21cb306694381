//! Currencies and how many decimals their amounts have.
//!
//! Decimals follow ISO 4217, but the platform's own list of zero-decimal and three-decimal
//! currencies decides how an integer is read there. Where the two disagree without the platform's
//! list naming the currency, an amount could be off by a factor of ten or a hundred, so such a
//! currency is refused (the Libyan dinar and the Icelandic króna among them), as are the codes
//! that have no minor unit at all (gold, the testing code).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Currencies that 3Rivers counts in whole major units.
const ZERO_DECIMAL: [&str; 16] = [
    "BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "UGX", "VND", "VUV",
    "XAF", "XOF", "XPF",
];
/// Currencies that 3Rivers counts in thousandths.
const THREE_DECIMAL: [&str; 6] = ["BHD", "IQD", "JOD", "KWD", "OMR", "TND"];

/// Why a code is not a usable currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CurrencyError {
    /// Not an ISO 4217 code: three capital letters from the list.
    #[error("is not an ISO 4217 currency code")]
    Unknown,
    /// A real code, but 3Rivers and ISO 4217 count its minor units differently.
    #[error("is not supported: 3Rivers and ISO 4217 disagree on its decimals")]
    Unsupported,
}

/// An ISO 4217 currency whose minor unit is certain.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Currency {
    iso: iso_currency::Currency,
    decimals: u8,
}

impl Currency {
    /// The three-letter code.
    pub fn code(self) -> &'static str {
        self.iso.code()
    }

    /// How many decimals an amount in major units may have: 0, 2 or 3.
    pub fn decimals(self) -> u8 {
        self.decimals
    }
}

/// The decimals that the platform's list gives a code.
fn platform_decimals(code: &str) -> u8 {
    if ZERO_DECIMAL.contains(&code) {
        0
    } else if THREE_DECIMAL.contains(&code) {
        3
    } else {
        2
    }
}

impl FromStr for Currency {
    type Err = CurrencyError;

    fn from_str(code: &str) -> Result<Self, CurrencyError> {
        let iso = iso_currency::Currency::from_code(code).ok_or(CurrencyError::Unknown)?;
        let decimals = platform_decimals(code);
        let agreed = iso.exponent() == Some(u16::from(decimals));
        if agreed || ZERO_DECIMAL.contains(&code) {
            Ok(Self { iso, decimals })
        } else {
            Err(CurrencyError::Unsupported)
        }
    }
}

impl TryFrom<String> for Currency {
    type Error = CurrencyError;
    fn try_from(code: String) -> Result<Self, CurrencyError> {
        code.parse()
    }
}

impl From<Currency> for String {
    fn from(currency: Currency) -> String {
        currency.code().to_owned()
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimals(code: &str) -> Result<u8, CurrencyError> {
        code.parse::<Currency>().map(Currency::decimals)
    }

    #[test]
    fn decimals_are_those_of_iso_4217_and_of_the_platform() {
        assert_eq!(decimals("USD"), Ok(2));
        assert_eq!(decimals("EUR"), Ok(2));
        for code in ZERO_DECIMAL {
            assert_eq!(decimals(code), Ok(0), "{code}");
        }
        for code in THREE_DECIMAL {
            assert_eq!(decimals(code), Ok(3), "{code}");
        }
    }

    #[test]
    fn a_code_that_is_not_on_the_list_is_unknown() {
        for code in ["", "US", "usd", "USDX", "QQQ", "U\u{30a}D"] {
            assert_eq!(decimals(code), Err(CurrencyError::Unknown), "{code}");
        }
    }

    #[test]
    fn a_currency_whose_minor_unit_is_disputed_is_refused() {
        for code in ["LYD", "ISK", "CLF", "XAU"] {
            assert_eq!(decimals(code), Err(CurrencyError::Unsupported), "{code}");
        }
    }
}
