//! A charge or a refund as a file states it, every value checked by itself.
//!
//! Whether the values fit together (the total, the subtotals) is decided where the request is
//! made: [`crate::TransactionRequest`].

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    Amount, BuyerId, ChargeId, Currency, CustomerId, Decimal, MetadataName, MetadataValue,
    OrderNumber, PoNumber, ShortText, TransactionType, VehicleText,
};

/// A charge or a refund.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transaction {
    /// Takes money from a buyer.
    Charge(Box<Charge>),
    /// Gives money back.
    Refund(Box<Refund>),
}

/// The amounts on a transaction itself, in minor units of its currency, none negative.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Amounts {
    /// What is charged or refunded in all; above zero.
    pub total: Amount,
    /// Tax of the lines.
    pub tax: Amount,
    /// Discount of the lines.
    pub discount: Amount,
    /// Shipping before tax and discount.
    pub shipping: Amount,
    /// Tax on shipping.
    pub shipping_tax: Amount,
    /// Discount on shipping.
    pub shipping_discount: Amount,
}

/// A charge as stated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charge {
    /// The order's number.
    pub order_number: OrderNumber,
    /// The currency of every amount of the charge.
    pub currency: Currency,
    /// The amounts.
    pub amounts: Amounts,
    /// Who buys.
    pub buyer_id: BuyerId,
    /// The buyer's company.
    pub customer_id: Option<CustomerId>,
    /// The purchase order's number.
    pub po_number: Option<PoNumber>,
    /// An authorization that the charge uses.
    pub authorization_id: Option<Uuid>,
    /// A charge that this one replaces.
    pub previous_charge_id: Option<ChargeId>,
    /// Where the order can be seen.
    pub order_url: Option<ShortText>,
    /// A remark.
    pub comment: Option<ShortText>,
    /// The number of the seller's tax invoice.
    pub seller_tax_invoice_number: Option<ShortText>,
    /// Where the seller's tax invoice can be seen.
    pub seller_tax_invoice_url: Option<ShortText>,
    /// Taxes on shipping.
    pub shipping_tax_details: Vec<TaxDetail>,
    /// The lines; may be none.
    pub lines: Vec<Line>,
    /// Where the goods go.
    pub ship_to: Option<ShipTo>,
    /// Who delivers.
    pub supplier: Option<Supplier>,
    /// The vehicle that was served.
    pub vehicle: Option<Vehicle>,
    /// Further names and values; at most 50.
    pub metadata: Vec<Metadata>,
}

/// A refund as stated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refund {
    /// The order's number.
    pub order_number: OrderNumber,
    /// The currency of every amount of the refund.
    pub currency: Currency,
    /// The amounts.
    pub amounts: Amounts,
    /// Which charge is refunded.
    pub charge: ChargeReference,
    /// Why.
    pub reason: RefundReason,
    /// A remark.
    pub comment: Option<ShortText>,
    /// Taxes on shipping.
    pub shipping_tax_details: Vec<TaxDetail>,
    /// The lines; may be none.
    pub lines: Vec<Line>,
    /// The vehicle that was served.
    pub vehicle: Option<Vehicle>,
    /// Further names and values; at most 50. 3Rivers takes none with a refund: they are kept in
    /// the stored XML alone.
    pub metadata: Vec<Metadata>,
}

/// Which charge a refund is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChargeReference {
    /// The charge with this id.
    Id(ChargeId),
    /// The seller's latest charge with the refund's order number.
    LatestOfOrder,
}

/// One line of a charge or refund.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Stock-keeping unit.
    pub sku: Option<ShortText>,
    /// What it is.
    pub description: Option<ShortText>,
    /// How many.
    pub quantity: Decimal,
    /// The price of one, in minor units.
    pub unit_price: Amount,
    /// Tax on the whole line.
    pub tax: Amount,
    /// Discount on the whole line.
    pub discount: Amount,
    /// The line's sum, when the file states it.
    pub subtotal: Option<Amount>,
    /// The taxes that make up the tax.
    pub tax_details: Vec<TaxDetail>,
}

/// One tax.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaxDetail {
    /// Its name.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub tax_type: Option<ShortText>,
    /// Its rate in per cent.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub tax_rate: Option<Decimal>,
    /// Its amount in minor units.
    pub tax_amount: Amount,
}

/// An address. Every part may be missing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Address {
    /// First line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address_line1: Option<ShortText>,
    /// Second line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address_line2: Option<ShortText>,
    /// City.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub city: Option<ShortText>,
    /// State or province.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<ShortText>,
    /// Postal code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zip: Option<ShortText>,
    /// Country.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub country: Option<ShortText>,
}

/// Where the goods go.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ShipTo {
    /// Who receives them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recipient_name: Option<ShortText>,
    /// At which company.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub company_name: Option<ShortText>,
    /// Whether the buyer fetches them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pickup: Option<bool>,
    /// Where.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub company_address: Option<Address>,
    /// How to follow them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tracking: Option<Tracking>,
}

/// How to follow a shipment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Tracking {
    /// The carrier's number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tracking_number: Option<ShortText>,
    /// Where to look.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tracking_url: Option<ShortText>,
    /// Who carries.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub carrier: Option<ShortText>,
}

/// Who delivers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Supplier {
    /// The company.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub company_name: Option<ShortText>,
    /// Where it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub company_address: Option<Address>,
}

/// The vehicle that was served.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Vehicle {
    /// What its odometer showed.
    pub odometer: Option<VehicleText>,
    /// Its identification number.
    pub identification_number: Option<VehicleText>,
    /// Its number in the fleet.
    pub unit_number: Option<VehicleText>,
}

/// A name and a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata {
    /// The name.
    pub name: MetadataName,
    /// The value.
    pub value: MetadataValue,
}

impl Transaction {
    /// Charge or refund.
    pub fn transaction_type(&self) -> TransactionType {
        match self {
            Self::Charge(_) => TransactionType::Charge,
            Self::Refund(_) => TransactionType::Refund,
        }
    }

    /// The order's number.
    pub fn order_number(&self) -> &OrderNumber {
        match self {
            Self::Charge(charge) => &charge.order_number,
            Self::Refund(refund) => &refund.order_number,
        }
    }

    /// The currency.
    pub fn currency(&self) -> Currency {
        match self {
            Self::Charge(charge) => charge.currency,
            Self::Refund(refund) => refund.currency,
        }
    }

    /// The amounts.
    pub fn amounts(&self) -> &Amounts {
        match self {
            Self::Charge(charge) => &charge.amounts,
            Self::Refund(refund) => &refund.amounts,
        }
    }

    /// The vehicle, when there is one.
    pub fn vehicle(&self) -> Option<&Vehicle> {
        match self {
            Self::Charge(charge) => charge.vehicle.as_ref(),
            Self::Refund(refund) => refund.vehicle.as_ref(),
        }
    }
}

/// Why a refund is made: the ten reasons that 3Rivers knows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum RefundReason {
    /// Delivery Refused.
    DeliveryRefused,
    /// Merchandise Damaged.
    MerchandiseDamaged,
    /// Merchandise Defective.
    MerchandiseDefective,
    /// Duplicate Shipment.
    DuplicateShipment,
    /// Duplicate Consignment.
    DuplicateConsignment,
    /// Other: what a file means that names none.
    #[default]
    Other,
    /// Miskey.
    Miskey,
    /// Paid To Client Direct.
    PaidToClientDirect,
    /// Unauthorized Purchase.
    UnauthorizedPurchase,
    /// Customer Tax Exempt Or Incorrect Tax.
    CustomerTaxExemptOrIncorrectTax,
}

impl RefundReason {
    /// Every reason.
    pub const ALL: [Self; 10] = [
        Self::DeliveryRefused,
        Self::MerchandiseDamaged,
        Self::MerchandiseDefective,
        Self::DuplicateShipment,
        Self::DuplicateConsignment,
        Self::Other,
        Self::Miskey,
        Self::PaidToClientDirect,
        Self::UnauthorizedPurchase,
        Self::CustomerTaxExemptOrIncorrectTax,
    ];

    /// The reason as 3Rivers spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::DeliveryRefused => "Delivery Refused",
            Self::MerchandiseDamaged => "Merchandise Damaged",
            Self::MerchandiseDefective => "Merchandise Defective",
            Self::DuplicateShipment => "Duplicate Shipment",
            Self::DuplicateConsignment => "Duplicate Consignment",
            Self::Other => "Other",
            Self::Miskey => "Miskey",
            Self::PaidToClientDirect => "Paid To Client Direct",
            Self::UnauthorizedPurchase => "Unauthorized Purchase",
            Self::CustomerTaxExemptOrIncorrectTax => "Customer Tax Exempt Or Incorrect Tax",
        }
    }
}

/// A reason that 3Rivers does not know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be one of the ten refund reasons: {}", RefundReason::ALL.map(RefundReason::name).join(", "))]
pub struct UnknownReason;

impl FromStr for RefundReason {
    type Err = UnknownReason;
    fn from_str(text: &str) -> Result<Self, UnknownReason> {
        Self::ALL
            .into_iter()
            .find(|reason| reason.name() == text)
            .ok_or(UnknownReason)
    }
}

impl TryFrom<String> for RefundReason {
    type Error = UnknownReason;
    fn try_from(text: String) -> Result<Self, UnknownReason> {
        text.parse()
    }
}

impl From<RefundReason> for String {
    fn from(reason: RefundReason) -> String {
        reason.name().to_owned()
    }
}

impl fmt::Display for RefundReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
