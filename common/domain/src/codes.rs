//! The closed list of error codes that the service itself gives to a detail.
//!
//! Codes of 3Rivers are kept as they come; only these begin with `bcs.`.

use std::fmt;

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $code:literal),+ $(,)?) => {
        /// Why a detail is in Error, when the service and not 3Rivers found it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum ErrorCode { $($(#[$doc])* $variant),+ }

        impl ErrorCode {
            /// Every code.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The code as the API shows it.
            pub fn code(self) -> &'static str {
                match self { $(Self::$variant => $code),+ }
            }
        }
    };
}

codes! {
    /// A required element is not there.
    ElementMissing = "bcs.element_missing",
    /// An element that may stand once stands more often.
    ElementRepeated = "bcs.element_repeated",
    /// Two elements exclude each other, or one needs another.
    ElementConflict = "bcs.element_conflict",
    /// A text is empty or longer than its element allows.
    LengthInvalid = "bcs.length_invalid",
    /// A value is not of the form that its element asks for.
    FormatInvalid = "bcs.format_invalid",
    /// An amount cannot be read, or has too many decimals.
    AmountInvalid = "bcs.amount_invalid",
    /// An amount is zero where it may not be, or above the largest.
    AmountOutOfRange = "bcs.amount_out_of_range",
    /// No currency on the transaction nor on its batch.
    CurrencyMissing = "bcs.currency_missing",
    /// Not a currency, or one whose minor unit is disputed.
    CurrencyInvalid = "bcs.currency_invalid",
    /// The total is not the sum of its parts.
    TotalMismatch = "bcs.total_mismatch",
    /// A line's subtotal is not what quantity, price, tax and discount give.
    SubtotalMismatch = "bcs.subtotal_mismatch",
    /// More repeated elements than are allowed.
    TooMany = "bcs.too_many",
    /// Every attempt failed.
    RetriesExhausted = "bcs.retries_exhausted",
    /// The charge that a refund belongs to was not settled in time.
    ChargeNotSettled = "bcs.charge_not_settled",
    /// The charge that a refund names was made for another seller.
    ChargeOfOtherSeller = "bcs.charge_of_other_seller",
    /// The charge that a refund names is in another currency.
    ChargeInOtherCurrency = "bcs.charge_in_other_currency",
    /// A call was begun, its outcome was never seen, and its key is no longer surely valid.
    OutcomeUnknown = "bcs.outcome_unknown",
    /// 3Rivers said yes with a body that is not the documented resource.
    UnexpectedResponse = "bcs.unexpected_response",
    /// A queue message of the detail could not be processed and was set aside.
    Undeliverable = "bcs.undeliverable",
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_code_is_its_own_and_begins_with_bcs() {
        let codes: BTreeSet<_> = ErrorCode::ALL.iter().map(|code| code.code()).collect();
        assert_eq!(codes.len(), ErrorCode::ALL.len());
        assert!(codes.iter().all(|code| code.starts_with("bcs.")));
    }
}
