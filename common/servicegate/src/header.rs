//! From a captured header to its values.

use chrono::{DateTime, Utc};
use weir_domain::{BatchOrdinal, ErrorCode};

use crate::capture::{Entry, Fields, Kind};
use crate::record::parse_currency;
use crate::window::Window;
use crate::{BatchHeader, Element, FileHeader, FileRule, Position, SellerReference, Stated};

type Refused = (ErrorCode, String);

fn format_invalid(reason: &str) -> Refused {
    (ErrorCode::FormatInvalid, reason.to_owned())
}

/// Reads the values of a header in place.
struct HeaderReader<'a, 'b> {
    fields: &'b mut Fields<'a>,
    window: &'b Window,
    /// Where the header begins in the window.
    base: usize,
}

impl HeaderReader<'_, '_> {
    fn stated<T>(&self, entry: &Entry, value: Option<T>) -> Option<Stated<T>> {
        let position = self.window.position(self.base + entry.at);
        value.map(|value| Stated { value, position })
    }

    fn parsed<T: std::str::FromStr<Err: std::fmt::Display>>(
        &mut self,
        place: usize,
        entry: &Entry,
    ) -> Option<T> {
        self.fields.read(place, entry, |text| {
            text.parse()
                .map_err(|error| (ErrorCode::LengthInvalid, format!("{error}")))
        })
    }

    fn count(&mut self, place: usize, entry: &Entry) -> Option<Stated<u64>> {
        let count = self.fields.read(place, entry, |text| {
            let digits = text.bytes().all(|byte| byte.is_ascii_digit());
            let count = text.parse().ok().filter(|_| digits);
            count.ok_or_else(|| format_invalid("must be a whole number in digits alone"))
        });
        self.stated(entry, count)
    }

    fn total(&mut self, place: usize, entry: &Entry) -> Option<Stated<String>> {
        let total = self.fields.read(place, entry, |text| {
            // Decimals are judged with the currency, which the batch's records may have to tell.
            let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
            let digits = |part: &str| {
                !part.is_empty() && part.len() <= 24 && part.bytes().all(|b| b.is_ascii_digit())
            };
            if digits(whole) && digits(fraction) {
                Ok(text.to_owned())
            } else {
                Err(format_invalid(
                    "must be digits with at most one point: no sign, no grouping, no exponent",
                ))
            }
        });
        self.stated(entry, total)
    }
}

/// Reads a `FileHeader`; what is wrong with it is left in the capture.
pub(crate) fn file_header(fields: &mut Fields<'_>, window: &Window, base: usize) -> FileHeader {
    let mut reader = HeaderReader {
        fields,
        window,
        base,
    };
    let mut header = FileHeader::default();
    while let Some((place, entry)) = reader.fields.take() {
        if entry.kind != Kind::Text {
            continue;
        }
        match entry.element {
            Element::FileReference => header.reference = reader.parsed(place, &entry),
            Element::CreatedAt => {
                header.created_at = reader.fields.read(place, &entry, parse_time);
            }
            Element::BatchCount => header.batch_count = reader.count(place, &entry),
            Element::TransactionCount => header.transaction_count = reader.count(place, &entry),
            _ => {}
        }
    }
    header
}

fn parse_time(text: &str) -> Result<DateTime<Utc>, Refused> {
    DateTime::parse_from_rfc3339(text)
        .map(|time| time.to_utc())
        .map_err(|_| format_invalid("must be an RFC 3339 time such as 2026-11-21T22:14:05Z"))
}

/// What a `BatchHeader` came to: a header, or what is wrong with it as a whole. What is wrong with
/// its elements is left in the capture.
pub(crate) fn batch_header(
    fields: &mut Fields<'_>,
    window: &Window,
    base: usize,
    (ordinal, start): (BatchOrdinal, Position),
) -> Result<BatchHeader, Option<FileRule>> {
    let mut reader = HeaderReader {
        fields,
        window,
        base,
    };
    let (mut number, mut id, mut alternate, mut currency) = (None, None, None, None);
    let (mut transaction_count, mut charge_total, mut refund_total) = (None, None, None);
    let (mut id_seen, mut alternate_seen) = (false, false);
    while let Some((place, entry)) = reader.fields.take() {
        if entry.kind != Kind::Text {
            continue;
        }
        match entry.element {
            Element::BatchNumber => number = reader.parsed(place, &entry),
            Element::SellerId => {
                id_seen = true;
                id = reader.fields.read(place, &entry, |text| {
                    text.parse().map_err(|_| format_invalid("must be a UUID"))
                });
            }
            Element::AlternateSellerId => {
                alternate_seen = true;
                alternate = reader.parsed(place, &entry);
            }
            Element::Currency => currency = reader.fields.read(place, &entry, parse_currency),
            Element::TransactionCount => transaction_count = reader.count(place, &entry),
            Element::ChargeTotal => charge_total = reader.total(place, &entry),
            Element::RefundTotal => refund_total = reader.total(place, &entry),
            _ => {}
        }
    }
    match (id_seen, alternate_seen) {
        (true, true) => return Err(Some(FileRule::SellerConflict)),
        (false, false) => return Err(Some(FileRule::SellerMissing)),
        _ => {}
    }
    let seller = match (id, alternate) {
        (Some(id), _) => SellerReference::Id(id),
        (None, Some(alternate)) => SellerReference::Alternate(alternate),
        (None, None) => return Err(None),
    };
    Ok(BatchHeader {
        ordinal,
        number: number.ok_or(None)?,
        seller,
        currency,
        transaction_count,
        charge_total,
        refund_total,
        start,
        xml: None,
    })
}
