//! What is sent to 3Rivers for a transaction, and whether its amounts fit together.
//!
//! The platform checks `total = Σ line subtotals + shipping + shipping tax − shipping discount`,
//! where a subtotal is `quantity × unit price + tax − discount`, rounded half up. A request that
//! exists fulfils it: building one is the check. Three things are put right on the way:
//!
//! - A transaction without lines gets one line that carries the total less shipping.
//! - A stated subtotal may be off by one minor unit; the computed one is sent.
//! - What the total is off by, at most one minor unit a line, is booked on a control line `ADJ`,
//!   as the platform's own client does it.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    Amount, AmountError, BuyerId, Charge, ChargeId, ChargeReference, Currency, CustomerId, Decimal,
    DetailId, ErrorCode, Line, OrderNumber, PoNumber, Refund, RefundReason, SellerId, ShipTo,
    ShortText, Supplier, TaxDetail, Transaction, Vehicle, transaction::Amounts,
};

/// The `sku` of the line that a rounding difference is booked on.
pub const CONTROL_LINE_SKU: &str = "ADJ";
/// The `sku` of the one line of a transaction that states none.
const WHOLE_LINE_SKU: &str = "TOTAL";
/// Metadata names that a file cannot set: its items of such a name are kept in the XML alone.
const RESERVED_NAMES: [&str; 4] = [
    "batch_detail_id",
    "vehicle_odometer",
    "vehicle_identification_number",
    "vehicle_unit_number",
];
/// How far a stated subtotal may be off, and the total for each line, in minor units.
const TOLERANCE_MINOR: i64 = 1;

/// Why the amounts of a transaction do not fit together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// The total is off by more than one minor unit a line.
    #[error(
        "TotalAmount is {stated}, but lines and shipping come to {computed}: they may differ by at \
         most {tolerated} in minor units"
    )]
    TotalMismatch {
        /// The total as stated, in major units.
        stated: String,
        /// The sum of the parts, in major units.
        computed: String,
        /// The greatest difference that is booked on a control line.
        tolerated: i64,
    },
    /// A line's subtotal is off by more than one minor unit.
    #[error(
        "Subtotal of line {line} is {stated}, but quantity × price + tax − discount is {computed}"
    )]
    SubtotalMismatch {
        /// Which line, from 1.
        line: usize,
        /// The subtotal as stated, in major units.
        stated: String,
        /// The subtotal as computed, in major units.
        computed: String,
    },
    /// A sum is above the largest amount, or what is left for the only line is below zero.
    #[error("the amounts of line {line} come to less than zero or to more than the largest amount")]
    OutOfRange {
        /// Which line, from 1; 0 for the transaction itself.
        line: usize,
    },
}

impl RequestError {
    /// The code that the detail gets.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::TotalMismatch { .. } => ErrorCode::TotalMismatch,
            Self::SubtotalMismatch { .. } => ErrorCode::SubtotalMismatch,
            Self::OutOfRange { .. } => ErrorCode::AmountOutOfRange,
        }
    }
}

/// One line as sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestLine {
    /// Stock-keeping unit.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub sku: Option<ShortText>,
    /// What it is.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub description: Option<ShortText>,
    /// How many.
    pub quantity: Decimal,
    /// The price of one in minor units; below zero only on a control line.
    pub unit_price: Amount,
    /// Tax on the line in minor units.
    pub tax_amount: Amount,
    /// Discount on the line in minor units.
    pub discount_amount: Amount,
    /// `quantity × unit_price + tax − discount`, rounded half up.
    pub subtotal: Amount,
    /// The taxes of the line.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub tax_details: Vec<TaxDetail>,
}

/// A name and a value, as sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MetadataEntry {
    /// The name.
    pub name: String,
    /// The value.
    pub value: String,
}

/// The body of `POST /charges`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChargeBody {
    /// Who sells.
    pub seller_id: SellerId,
    /// Who buys.
    pub buyer_id: BuyerId,
    /// The buyer's company.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub customer_id: Option<CustomerId>,
    /// An authorization that the charge uses.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub authorization_id: Option<Uuid>,
    /// A charge that this one replaces.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub previous_charge_id: Option<ChargeId>,
    /// The currency of every amount.
    pub currency: Currency,
    /// The whole amount.
    pub total_amount: Amount,
    /// Tax of the lines.
    pub tax_amount: Amount,
    /// Discount of the lines.
    pub discount_amount: Amount,
    /// Shipping.
    pub shipping_amount: Amount,
    /// Tax on shipping.
    pub shipping_tax_amount: Amount,
    /// Discount on shipping.
    pub shipping_discount_amount: Amount,
    /// Taxes on shipping.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub shipping_tax_details: Vec<TaxDetail>,
    /// The order's number.
    pub order_number: OrderNumber,
    /// The purchase order's number.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub po_number: Option<PoNumber>,
    /// Where the order can be seen.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub order_url: Option<ShortText>,
    /// A remark.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub comment: Option<ShortText>,
    /// The number of the seller's tax invoice.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub seller_tax_invoice_number: Option<ShortText>,
    /// Where the seller's tax invoice can be seen.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub seller_tax_invoice_url: Option<ShortText>,
    /// The lines; at least one.
    pub details: Vec<RequestLine>,
    /// Where the goods go.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub ship_to: Option<ShipTo>,
    /// Who delivers.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub supplier: Option<Supplier>,
    /// Vehicle, batch detail and the file's own items.
    pub metadata: Vec<MetadataEntry>,
}

/// The body of `POST /refunds`. 3Rivers takes neither a seller, nor a currency, nor metadata: it
/// knows them from the charge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefundBody {
    /// The refunded charge; filled in before sending where the file names only the order.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub charge_id: Option<ChargeId>,
    /// The whole amount.
    pub total_amount: Amount,
    /// Tax of the lines.
    pub tax_amount: Amount,
    /// Discount of the lines.
    pub discount_amount: Amount,
    /// Shipping.
    pub shipping_amount: Amount,
    /// Tax on shipping.
    pub shipping_tax_amount: Amount,
    /// Discount on shipping.
    pub shipping_discount_amount: Amount,
    /// Taxes on shipping.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub shipping_tax_details: Vec<TaxDetail>,
    /// The lines; at least one.
    pub details: Vec<RequestLine>,
    /// Why.
    pub refund_reason: RefundReason,
    /// A remark.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub refund_comment: Option<ShortText>,
}

/// A request to 3Rivers whose amounts fit together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TransactionRequest {
    /// For `POST /charges`.
    Charge(Box<ChargeBody>),
    /// For `POST /refunds`.
    Refund(Box<RefundBody>),
}

impl TransactionRequest {
    /// Makes the request of a transaction, or says what does not fit.
    pub fn build(
        transaction: &Transaction,
        seller_id: SellerId,
        detail_id: DetailId,
    ) -> Result<Self, RequestError> {
        Ok(match transaction {
            Transaction::Charge(charge) => {
                Self::Charge(Box::new(charge_body(charge, seller_id, detail_id)?))
            }
            Transaction::Refund(refund) => Self::Refund(Box::new(refund_body(refund)?)),
        })
    }

    /// The body as JSON text.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        match self {
            Self::Charge(body) => serde_json::to_string(body),
            Self::Refund(body) => serde_json::to_string(body),
        }
    }
}

impl Transaction {
    /// Whether a request can be made of it: the same check as [`TransactionRequest::build`],
    /// for a reader that does not know the seller yet.
    pub fn check_amounts(&self) -> Result<(), RequestError> {
        let lines = match self {
            Self::Charge(charge) => &charge.lines,
            Self::Refund(refund) => &refund.lines,
        };
        request_lines(lines, self.amounts(), self.currency(), self.order_number()).map(drop)
    }
}

fn charge_body(
    charge: &Charge,
    seller_id: SellerId,
    detail_id: DetailId,
) -> Result<ChargeBody, RequestError> {
    let amounts = &charge.amounts;
    let details = request_lines(
        &charge.lines,
        amounts,
        charge.currency,
        &charge.order_number,
    )?;
    // Names that Weir writes itself stay its own: people look a detail up by them.
    let foreign = |name: &str| !RESERVED_NAMES.contains(&name);
    let mut metadata = vehicle_metadata(charge.vehicle.as_ref());
    metadata.push(entry("batch_detail_id", detail_id.to_string()));
    metadata.extend(
        charge
            .metadata
            .iter()
            .filter(|m| foreign(m.name.as_str()))
            .map(|m| entry(m.name.as_str(), m.value.to_string())),
    );
    Ok(ChargeBody {
        seller_id,
        buyer_id: charge.buyer_id,
        customer_id: charge.customer_id,
        authorization_id: charge.authorization_id,
        previous_charge_id: charge.previous_charge_id,
        currency: charge.currency,
        total_amount: amounts.total,
        tax_amount: amounts.tax,
        discount_amount: amounts.discount,
        shipping_amount: amounts.shipping,
        shipping_tax_amount: amounts.shipping_tax,
        shipping_discount_amount: amounts.shipping_discount,
        shipping_tax_details: charge.shipping_tax_details.clone(),
        order_number: charge.order_number.clone(),
        po_number: charge.po_number.clone(),
        order_url: charge.order_url.clone(),
        comment: charge.comment.clone(),
        seller_tax_invoice_number: charge.seller_tax_invoice_number.clone(),
        seller_tax_invoice_url: charge.seller_tax_invoice_url.clone(),
        details,
        ship_to: charge.ship_to.clone(),
        supplier: charge.supplier.clone(),
        metadata,
    })
}

fn refund_body(refund: &Refund) -> Result<RefundBody, RequestError> {
    let amounts = &refund.amounts;
    Ok(RefundBody {
        charge_id: match refund.charge {
            ChargeReference::Id(id) => Some(id),
            ChargeReference::LatestOfOrder => None,
        },
        total_amount: amounts.total,
        tax_amount: amounts.tax,
        discount_amount: amounts.discount,
        shipping_amount: amounts.shipping,
        shipping_tax_amount: amounts.shipping_tax,
        shipping_discount_amount: amounts.shipping_discount,
        shipping_tax_details: refund.shipping_tax_details.clone(),
        details: request_lines(
            &refund.lines,
            amounts,
            refund.currency,
            &refund.order_number,
        )?,
        refund_reason: refund.reason,
        refund_comment: refund.comment.clone(),
    })
}

fn entry(name: &str, value: String) -> MetadataEntry {
    MetadataEntry {
        name: name.to_owned(),
        value,
    }
}

fn vehicle_metadata(vehicle: Option<&Vehicle>) -> Vec<MetadataEntry> {
    let Some(vehicle) = vehicle else {
        return Vec::new();
    };
    [
        ("vehicle_odometer", &vehicle.odometer),
        (
            "vehicle_identification_number",
            &vehicle.identification_number,
        ),
        ("vehicle_unit_number", &vehicle.unit_number),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some(entry(name, value.as_ref()?.to_string())))
    .collect()
}

/// The lines as sent: they and shipping come to the total exactly.
fn request_lines(
    lines: &[Line],
    amounts: &Amounts,
    currency: Currency,
    order_number: &OrderNumber,
) -> Result<Vec<RequestLine>, RequestError> {
    if lines.is_empty() {
        return whole_line(amounts, order_number).map(|line| vec![line]);
    }
    let mut sent = Vec::with_capacity(lines.len() + 1);
    for (index, line) in lines.iter().enumerate() {
        sent.push(request_line(line, index + 1, currency)?);
    }
    let computed = sent
        .iter()
        .map(|line| i128::from(line.subtotal.minor()))
        .sum::<i128>()
        + shipping_wide(amounts);
    let difference = i128::from(amounts.total.minor()) - computed;
    // No transaction has 2^63 lines: the format caps it at 256 KiB.
    let tolerated = i64::try_from(lines.len())
        .unwrap_or(i64::MAX)
        .saturating_mul(TOLERANCE_MINOR);
    if difference == 0 {
        return Ok(sent);
    }
    if difference.abs() > i128::from(tolerated) {
        let computed =
            Amount::from_wide(computed).map_err(|_| RequestError::OutOfRange { line: 0 })?;
        return Err(RequestError::TotalMismatch {
            stated: amounts.total.in_major(currency),
            computed: computed.in_major(currency),
            tolerated,
        });
    }
    sent.push(control_line(difference)?);
    Ok(sent)
}

fn shipping_wide(amounts: &Amounts) -> i128 {
    i128::from(amounts.shipping.minor()) + i128::from(amounts.shipping_tax.minor())
        - i128::from(amounts.shipping_discount.minor())
}

fn request_line(
    line: &Line,
    number: usize,
    currency: Currency,
) -> Result<RequestLine, RequestError> {
    let out_of_range = |_: AmountError| RequestError::OutOfRange { line: number };
    let computed = line.quantity.times_rounded(line.unit_price.minor())
        + i128::from(line.tax.minor())
        - i128::from(line.discount.minor());
    let subtotal = Amount::from_wide(computed).map_err(out_of_range)?;
    if let Some(stated) = line.subtotal {
        let difference = stated.minus(subtotal).map_err(out_of_range)?;
        if difference.minor().abs() > TOLERANCE_MINOR {
            return Err(RequestError::SubtotalMismatch {
                line: number,
                stated: stated.in_major(currency),
                computed: subtotal.in_major(currency),
            });
        }
    }
    Ok(RequestLine {
        sku: line.sku.clone(),
        description: line.description.clone(),
        quantity: line.quantity,
        unit_price: line.unit_price,
        tax_amount: line.tax,
        discount_amount: line.discount,
        subtotal,
        tax_details: line.tax_details.clone(),
    })
}

/// The one line of a transaction that states none: the total less shipping.
fn whole_line(amounts: &Amounts, order_number: &OrderNumber) -> Result<RequestLine, RequestError> {
    let out_of_range = |_: AmountError| RequestError::OutOfRange { line: 1 };
    let subtotal = i128::from(amounts.total.minor()) - shipping_wide(amounts);
    let price = subtotal - i128::from(amounts.tax.minor()) + i128::from(amounts.discount.minor());
    if subtotal < 0 || price < 0 {
        return Err(RequestError::OutOfRange { line: 1 });
    }
    Ok(RequestLine {
        sku: WHOLE_LINE_SKU.parse().ok(),
        description: format!("Order {order_number}").parse().ok(),
        quantity: Decimal::ONE,
        unit_price: Amount::from_wide(price).map_err(out_of_range)?,
        tax_amount: amounts.tax,
        discount_amount: amounts.discount,
        subtotal: Amount::from_wide(subtotal).map_err(out_of_range)?,
        tax_details: Vec::new(),
    })
}

fn control_line(difference: i128) -> Result<RequestLine, RequestError> {
    let difference =
        Amount::from_wide(difference).map_err(|_| RequestError::OutOfRange { line: 0 })?;
    Ok(RequestLine {
        sku: CONTROL_LINE_SKU.parse().ok(),
        description: "Rounding adjustment".parse().ok(),
        quantity: Decimal::ONE,
        unit_price: difference,
        tax_amount: Amount::ZERO,
        discount_amount: Amount::ZERO,
        subtotal: difference,
        tax_details: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BatchOrdinal, FileId, LineNumber, ObjectIdentity};
    use proptest::prelude::*;

    fn minor(value: i64) -> Amount {
        Amount::from_minor(value).unwrap()
    }

    fn line(quantity: &str, price: i64, tax: i64, discount: i64, subtotal: Option<i64>) -> Line {
        Line {
            sku: None,
            description: None,
            quantity: quantity.parse().unwrap(),
            unit_price: minor(price),
            tax: minor(tax),
            discount: minor(discount),
            subtotal: subtotal.map(minor),
            tax_details: Vec::new(),
        }
    }

    fn refund(amounts: Amounts, lines: Vec<Line>) -> Transaction {
        Transaction::Refund(Box::new(Refund {
            order_number: "SO-1".parse().unwrap(),
            currency: "USD".parse().unwrap(),
            amounts,
            charge: ChargeReference::LatestOfOrder,
            reason: RefundReason::default(),
            comment: None,
            shipping_tax_details: Vec::new(),
            lines,
            vehicle: None,
            metadata: Vec::new(),
        }))
    }

    fn build(transaction: &Transaction) -> Result<RefundBody, RequestError> {
        let file = FileId::of_object(&ObjectIdentity::new("b", "k", "e"));
        let detail = file
            .batch(BatchOrdinal::new(1).unwrap())
            .detail(LineNumber::new(1).unwrap());
        let seller = SellerId::try_from(Uuid::from_u128(1)).unwrap();
        match TransactionRequest::build(transaction, seller, detail)? {
            TransactionRequest::Refund(body) => Ok(*body),
            TransactionRequest::Charge(_) => panic!("a refund gives a refund"),
        }
    }

    fn total(total: i64) -> Amounts {
        Amounts {
            total: minor(total),
            ..Amounts::default()
        }
    }

    #[test]
    fn a_transaction_without_lines_gets_one_that_carries_the_total_less_shipping() {
        let amounts = Amounts {
            total: minor(11_550),
            tax: minor(1_000),
            discount: minor(200),
            shipping: minor(500),
            shipping_tax: minor(50),
            shipping_discount: minor(10),
        };
        let body = build(&refund(amounts, Vec::new())).unwrap();
        let [only] = body.details.as_slice() else {
            panic!("one line")
        };
        assert_eq!(only.subtotal, minor(11_010));
        assert_eq!(only.unit_price, minor(10_210));
        assert_eq!(
            (only.tax_amount, only.discount_amount),
            (minor(1_000), minor(200))
        );
    }

    #[test]
    fn shipping_above_the_total_leaves_nothing_for_the_line_and_is_refused() {
        let amounts = |shipping| Amounts {
            shipping: minor(shipping),
            ..total(100)
        };
        assert!(build(&refund(amounts(99), Vec::new())).is_ok());
        assert!(build(&refund(amounts(100), Vec::new())).is_ok());
        let refused = build(&refund(amounts(101), Vec::new()));
        assert_eq!(refused, Err(RequestError::OutOfRange { line: 1 }));
    }

    #[test]
    fn a_total_off_by_at_most_one_minor_unit_a_line_is_booked_on_a_control_line() {
        let lines = || vec![line("3", 3_333, 0, 0, None), line("1", 1, 0, 0, None)];
        for (stated, booked) in [(9_998, -2), (9_999, -1), (10_001, 1), (10_002, 2)] {
            let body = build(&refund(total(stated), lines())).unwrap();
            let last = body.details.last().unwrap();
            assert_eq!(last.sku.as_ref().unwrap().as_str(), CONTROL_LINE_SKU);
            assert_eq!(
                (last.unit_price, last.subtotal),
                (minor(booked), minor(booked))
            );
        }
        assert_eq!(
            build(&refund(total(10_000), lines()))
                .unwrap()
                .details
                .len(),
            2
        );
        for stated in [9_997, 10_003] {
            let refused = build(&refund(total(stated), lines())).unwrap_err();
            assert_eq!(refused.code(), ErrorCode::TotalMismatch, "{stated}");
        }
    }

    #[test]
    fn a_subtotal_may_be_off_by_one_minor_unit_and_no_more() {
        let with = |stated| refund(total(9_999), vec![line("3", 3_333, 0, 0, Some(stated))]);
        for stated in [9_998, 9_999, 10_000] {
            assert_eq!(
                build(&with(stated))
                    .unwrap()
                    .details
                    .first()
                    .unwrap()
                    .subtotal,
                minor(9_999)
            );
        }
        for stated in [9_997, 10_001] {
            let refused = build(&with(stated)).unwrap_err();
            assert_eq!(refused.code(), ErrorCode::SubtotalMismatch, "{stated}");
        }
    }

    #[test]
    fn a_line_beyond_the_largest_amount_is_refused() {
        let huge = refund(
            total(1),
            vec![line("999999999", 900_000_000_000_000, 0, 0, None)],
        );
        assert_eq!(build(&huge), Err(RequestError::OutOfRange { line: 1 }));
    }

    proptest! {
        #[test]
        fn lines_and_shipping_come_to_the_total_of_every_request_that_exists(
            lines in prop::collection::vec(
                (0..100_000_u64, 0..1_000_000_i64, 0..1_000_i64, 0..1_000_i64), 0..6),
            off in -8..8_i64, shipping in 0..500_i64, shipping_tax in 0..50_i64, less in 0..50_i64,
        ) {
            let lines: Vec<_> = lines.into_iter()
                .map(|(q, p, t, d)| line(&format!("{}.{:03}", q / 1_000, q % 1_000), p, t, d, None))
                .collect();
            let sum: i128 = lines.iter()
                .map(|l| l.quantity.times_rounded(l.unit_price.minor())
                    + i128::from(l.tax.minor()) - i128::from(l.discount.minor()))
                .sum();
            let net = shipping + shipping_tax - less;
            let stated = i64::try_from(sum).unwrap() + net + off;
            let amounts = Amounts {
                total: minor(stated.max(1)), shipping: minor(shipping),
                shipping_tax: minor(shipping_tax), shipping_discount: minor(less),
                ..Amounts::default()
            };
            let transaction = refund(amounts, lines);
            prop_assert_eq!(transaction.check_amounts().err(), build(&transaction).err());
            if let Ok(body) = build(&transaction) {
                let sent: i64 = body.details.iter().map(|l| l.subtotal.minor()).sum();
                prop_assert_eq!(sent + net, body.total_amount.minor());
                for l in &body.details {
                    let subtotal = l.quantity.times_rounded(l.unit_price.minor())
                        + i128::from(l.tax_amount.minor()) - i128::from(l.discount_amount.minor());
                    prop_assert_eq!(subtotal, i128::from(l.subtotal.minor()));
                }
            }
        }
    }
}
