//! Single values of a record, each judged by the rule of its element.

use std::str::FromStr;

use weir_domain::{
    Amount, AmountError, Decimal, ErrorCode, IdError, RefundReason, ShortText, TextError,
};

use crate::capture::Entry;
use crate::record::RecordReader;

impl RecordReader<'_, '_> {
    /// A text that may not be empty.
    pub(crate) fn text<T: FromStr<Err = TextError>>(
        &mut self,
        place: usize,
        entry: &Entry,
    ) -> Option<T> {
        self.fields.read(place, entry, |text| {
            text.parse()
                .map_err(|error: TextError| (ErrorCode::LengthInvalid, error.to_string()))
        })
    }

    /// A text that counts as absent when it is empty.
    pub(crate) fn short(&mut self, place: usize, entry: &Entry) -> Option<ShortText> {
        if self.fields.value(entry).is_empty() {
            return None;
        }
        self.text(place, entry)
    }

    pub(crate) fn id<T: FromStr<Err = IdError>>(
        &mut self,
        place: usize,
        entry: &Entry,
    ) -> Option<T> {
        self.fields.read(place, entry, |text| {
            text.parse().map_err(|_| {
                let reason = "must be a UUID such as 0b9a2b9e-0d5d-4f0b-8f5b-6f0f4a6a2b11";
                (ErrorCode::FormatInvalid, reason.to_owned())
            })
        })
    }

    pub(crate) fn decimal(&mut self, place: usize, entry: &Entry) -> Option<Decimal> {
        self.fields.read(place, entry, |text| {
            text.parse()
                .map_err(|error| (ErrorCode::FormatInvalid, format!("{error}")))
        })
    }

    pub(crate) fn boolean(&mut self, place: usize, entry: &Entry) -> Option<bool> {
        self.fields.read(place, entry, |text| match text {
            "true" | "1" => Ok(true),
            "false" | "0" => Ok(false),
            _ => Err((
                ErrorCode::FormatInvalid,
                "must be `true` or `false`".to_owned(),
            )),
        })
    }

    pub(crate) fn reason(&mut self, place: usize, entry: &Entry) -> Option<RefundReason> {
        self.fields.read(place, entry, |text| {
            text.parse()
                .map_err(|error| (ErrorCode::FormatInvalid, format!("{error}")))
        })
    }

    pub(crate) fn amount(&mut self, place: usize, entry: &Entry) -> Option<Amount> {
        let currency = self.currency?;
        self.fields.read(place, entry, |text| {
            Amount::parse(text, currency).map_err(|error| {
                let code = match error {
                    AmountError::Malformed | AmountError::TooManyDecimals { .. } => {
                        ErrorCode::AmountInvalid
                    }
                    AmountError::TooLarge => ErrorCode::AmountOutOfRange,
                };
                (code, error.to_string())
            })
        })
    }

    /// The total: readable even when it is zero, but then at fault.
    pub(crate) fn total(&mut self, place: usize, entry: &Entry) -> Option<Amount> {
        let total = self.amount(place, entry)?;
        if total == Amount::ZERO {
            let reason = "must be above zero";
            self.fields
                .fault(place, ErrorCode::AmountOutOfRange, reason);
        }
        Some(total)
    }
}
