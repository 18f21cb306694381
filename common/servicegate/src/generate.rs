//! Realistic files out of a seed: for demonstrations, benchmarks and tests.
//!
//! The same plan gives the same bytes everywhere. A file is written as it is made up, so its size
//! is bounded by the format alone. Its controls are right, because each batch is made up twice:
//! first to count it, then to write it.

use std::io::{self, Write};

use chrono::{DateTime, Utc};
use weir_domain::{
    Address, Amount, Amounts, BuyerId, Charge, ChargeReference, Currency, CustomerId, Decimal,
    Line, Metadata, Refund, RefundReason, ShipTo, TaxDetail, Tracking, Transaction, Vehicle,
};

use crate::writer::{BatchOutline, Writer};
use crate::{FileHeader, Position, SellerReference, Stated, Total};

/// What a file is to hold. Texts are made from `prefix`, so two files with different prefixes have
/// no batch number and no order number in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Where all that looks random comes from.
    pub seed: u64,
    /// What batch and order numbers begin with: at most 12 characters.
    pub prefix: String,
    /// When the file says that it was made.
    pub created_at: Option<DateTime<Utc>>,
    /// How many batches: 1 to 10 000.
    pub batches: u32,
    /// How many records in each: 1 to 1 000 000.
    pub records_per_batch: u32,
    /// Whose batches, in turn; at least one.
    pub sellers: Vec<SellerReference>,
    /// Who buys, with the customer they belong to; at least one.
    pub buyers: Vec<(BuyerId, Option<CustomerId>)>,
    /// The currency of every batch.
    pub currency: Currency,
    /// One in so many records is a refund of the charge before it, by order number; 0 for none.
    pub refund_every: u32,
    /// One in so many records is in error; 0 for none. Their amounts can be read, so totals hold.
    pub error_every: u32,
}

/// What a generated file holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Contents {
    /// Charges that are sound.
    pub charges: u64,
    /// Refunds; all are sound.
    pub refunds: u64,
    /// Records in error.
    pub errors: u64,
}

/// Writes the planned file and tells what it holds.
pub fn generate<W: Write>(plan: &Plan, out: W) -> io::Result<Contents> {
    let header = FileHeader {
        reference: parsed(&format!("{}-FILE", plan.prefix)).ok(),
        created_at: plan.created_at,
        batch_count: Some(stated(u64::from(plan.batches))),
        transaction_count: Some(stated(
            u64::from(plan.batches) * u64::from(plan.records_per_batch),
        )),
    };
    let mut writer = Writer::begin(out, Some(&header))?;
    let mut contents = Contents::default();
    for ordinal in 1..=plan.batches {
        let place = (ordinal as usize - 1) % plan.sellers.len().max(1);
        let seller = plan.sellers.get(place).cloned();
        let mut outline = BatchOutline {
            number: parsed(&format!("{}-{ordinal}", plan.prefix))?,
            seller: seller.ok_or_else(|| invalid("a plan needs a seller"))?,
            currency: Some(plan.currency),
            transaction_count: Some(u64::from(plan.records_per_batch)),
            charge_total: None,
            refund_total: None,
        };
        let (mut charges, mut refunds) = (Total::default(), Total::default());
        for_each_record(plan, ordinal, |record| {
            let (Made::Sound(transaction) | Made::Broken(transaction, _)) = record;
            let sum = match transaction {
                Transaction::Charge(_) => &mut charges,
                Transaction::Refund(_) => &mut refunds,
            };
            *sum = sum.plus(transaction.amounts().total);
            Ok(())
        })?;
        (outline.charge_total, outline.refund_total) = (Some(charges), Some(refunds));
        let mut batch = writer.batch(&outline)?;
        for_each_record(plan, ordinal, |record| match record {
            Made::Sound(transaction) => {
                match transaction {
                    Transaction::Charge(_) => contents.charges += 1,
                    Transaction::Refund(_) => contents.refunds += 1,
                }
                batch.transaction(transaction)
            }
            Made::Broken(_, xml) => {
                contents.errors += 1;
                batch.raw_record(xml)
            }
        })?;
        batch.end()?;
    }
    writer.finish()?;
    Ok(contents)
}

enum Made {
    Sound(Transaction),
    /// What it would have been, and what is written instead.
    Broken(Transaction, String),
}

fn for_each_record(
    plan: &Plan,
    ordinal: u32,
    mut each: impl FnMut(&Made) -> io::Result<()>,
) -> io::Result<()> {
    let mut random = Random::new(plan.seed ^ (u64::from(ordinal) << 32));
    let is_due = |every: u32, line: u32| every > 0 && line.is_multiple_of(every);
    let mut before: Option<Charge> = None;
    for line in 1..=plan.records_per_batch {
        if is_due(plan.refund_every, line)
            && !is_due(plan.error_every, line)
            && let Some(charge) = before.take()
        {
            each(&Made::Sound(refund(&charge, &mut random)?))?;
            continue;
        }
        let order_number = format!("{}-{ordinal}-{line}", plan.prefix);
        let charge = charge(plan, &order_number, &mut random)?;
        if is_due(plan.error_every, line) {
            let xml = broken(plan, &charge, &mut random);
            each(&Made::Broken(Transaction::Charge(Box::new(charge)), xml))?;
            continue;
        }
        each(&Made::Sound(Transaction::Charge(Box::new(charge.clone()))))?;
        before = Some(charge);
    }
    Ok(())
}

const GOODS: [(&str, &str, u64); 8] = [
    ("BRK-9", "Brake kit, front axle", 18_950),
    ("OIL-5W30", "Engine oil 5W-30, 20 l", 8_990),
    ("FLT-112", "Oil filter", 1_245),
    ("TYR-315", "Tyre 315/80 R22.5", 41_900),
    ("BAT-180", "Battery 12 V 180 Ah", 23_900),
    ("LMP-H7", "Lamp H7, 24 V", 690),
    ("WPR-700", "Wiper blade 700 mm", 1_580),
    ("ADB-10", "AdBlue, 10 l", 1_190),
];

fn charge(plan: &Plan, order_number: &str, random: &mut Random) -> io::Result<Charge> {
    let count = 1 + random.below(3);
    let lines: Vec<Line> = (0..count)
        .map(|_| line(random))
        .collect::<io::Result<_>>()?;
    let subtotals = lines.iter().filter_map(|line| line.subtotal);
    let goods: i64 = subtotals.map(Amount::minor).sum();
    let shipping = if random.one_in(3) {
        500 + random.below(2_000)
    } else {
        0
    };
    let shipping_tax = shipping / 10;
    let taxes = lines.iter().map(|line| line.tax.minor()).sum();
    let discounts = lines.iter().map(|line| line.discount.minor()).sum();
    let total = goods.saturating_add_unsigned(shipping + shipping_tax);
    let place = random.below(plan.buyers.len().max(1) as u64);
    let buyer = usize::try_from(place)
        .ok()
        .and_then(|place| plan.buyers.get(place));
    let (buyer_id, customer_id) = *buyer.ok_or_else(|| invalid("a plan needs a buyer"))?;
    Ok(Charge {
        order_number: parsed(order_number)?,
        currency: plan.currency,
        amounts: Amounts {
            total: minor(total)?,
            tax: minor(taxes)?,
            discount: minor(discounts)?,
            shipping: minor(0_i64.saturating_add_unsigned(shipping))?,
            shipping_tax: minor(0_i64.saturating_add_unsigned(shipping_tax))?,
            shipping_discount: Amount::ZERO,
        },
        buyer_id,
        customer_id,
        po_number: some_in(random, 2, |random| format!("PO-{}", random.below(90_000)))?,
        authorization_id: None,
        previous_charge_id: None,
        order_url: some_in(random, 4, |_| {
            format!("https://shop.example.com/orders?id={order_number}&view=full")
        })?,
        comment: some_in(random, 8, |_| {
            "Ring twice at dock 4 <rear>, ask for Zoë".to_owned()
        })?,
        seller_tax_invoice_number: some_in(random, 3, |_| format!("INV-{order_number}"))?,
        seller_tax_invoice_url: None,
        shipping_tax_details: Vec::new(),
        lines,
        ship_to: random
            .one_in(4)
            .then(|| ship_to(order_number))
            .transpose()?,
        supplier: None,
        vehicle: (!random.one_in(3)).then(|| vehicle(random)).transpose()?,
        metadata: metadata(random)?,
    })
}

fn line(random: &mut Random) -> io::Result<Line> {
    let place = usize::try_from(random.below(GOODS.len() as u64)).unwrap_or_default();
    let (sku, description, price) = *GOODS.get(place).ok_or_else(|| invalid("no such good"))?;
    let quantity = 1 + random.below(6);
    let price = price + random.below(100);
    let net = quantity * price;
    let tax = net / 12;
    let discount = if random.one_in(5) { net / 20 } else { 0 };
    let unsigned = |value: u64| minor(0_i64.saturating_add_unsigned(value));
    Ok(Line {
        sku: Some(parsed(sku)?),
        description: Some(parsed(description)?),
        quantity: parsed::<Decimal>(&quantity.to_string())?,
        unit_price: unsigned(price)?,
        tax: unsigned(tax)?,
        discount: unsigned(discount)?,
        subtotal: Some(unsigned(net + tax - discount)?),
        tax_details: vec![TaxDetail {
            tax_type: Some(parsed("STATE")?),
            tax_rate: Some(parsed("8.333333")?),
            tax_amount: unsigned(tax)?,
        }],
    })
}

fn ship_to(order_number: &str) -> io::Result<ShipTo> {
    Ok(ShipTo {
        recipient_name: Some(parsed("Renée Müller")?),
        company_name: Some(parsed("Fjord Transport & Sons")?),
        pickup: Some(false),
        company_address: Some(Address {
            address_line1: Some(parsed("12 Quay Street")?),
            city: Some(parsed("Portland")?),
            state: Some(parsed("OR")?),
            zip: Some(parsed("97201")?),
            country: Some(parsed("US")?),
            ..Address::default()
        }),
        tracking: Some(Tracking {
            tracking_number: Some(parsed(&format!("1Z-{order_number}"))?),
            carrier: Some(parsed("Coast Parcel")?),
            ..Tracking::default()
        }),
    })
}

fn vehicle(random: &mut Random) -> io::Result<Vehicle> {
    Ok(Vehicle {
        odometer: Some(parsed(&(10_000 + random.below(400_000)).to_string())?),
        identification_number: Some(parsed(&format!(
            "1FTFW1ET5DF{:06}",
            random.below(1_000_000)
        ))?),
        unit_number: Some(parsed(&format!("T-{}", random.below(400)))?),
    })
}

fn metadata(random: &mut Random) -> io::Result<Vec<Metadata>> {
    if !random.one_in(3) {
        return Ok(Vec::new());
    }
    Ok(vec![Metadata {
        name: parsed("cost_centre")?,
        value: parsed(&random.below(10_000).to_string())?,
    }])
}

/// A refund of half a charge, named by its order alone.
fn refund(charge: &Charge, random: &mut Random) -> io::Result<Transaction> {
    let half = (charge.amounts.total.minor() / 2).max(1);
    let place = usize::try_from(random.below(10)).unwrap_or_default();
    let reason = RefundReason::ALL.get(place).copied().unwrap_or_default();
    Ok(Transaction::Refund(Box::new(Refund {
        order_number: charge.order_number.clone(),
        currency: charge.currency,
        amounts: Amounts {
            total: minor(half)?,
            ..Amounts::default()
        },
        charge: ChargeReference::LatestOfOrder,
        reason,
        comment: some_in(random, 2, |_| "Half of the goods came back".to_owned())?,
        shipping_tax_details: Vec::new(),
        lines: Vec::new(),
        vehicle: charge.vehicle.clone(),
        metadata: Vec::new(),
    })))
}

/// A record as a seller gets it wrong, its total readable.
fn broken(plan: &Plan, charge: &Charge, random: &mut Random) -> String {
    let total = charge.amounts.total.in_major(plan.currency);
    let (order, buyer) = (&charge.order_number, charge.buyer_id);
    match random.below(3) {
        0 => format!(
            "<Charge><OrderNumber>{order}</OrderNumber><BuyerId>not-a-uuid</BuyerId>\
             <TotalAmount>{total}</TotalAmount></Charge>"
        ),
        1 => {
            format!("<Charge><BuyerId>{buyer}</BuyerId><TotalAmount>{total}</TotalAmount></Charge>")
        }
        _ => format!(
            "<Charge><OrderNumber>{order}</OrderNumber><BuyerId>{buyer}</BuyerId>\
             <TotalAmount>{total}</TotalAmount><Lines><Line><Quantity>1</Quantity>\
             <UnitPrice>0</UnitPrice></Line></Lines></Charge>"
        ),
    }
}

fn some_in<T: std::str::FromStr>(
    random: &mut Random,
    every: u64,
    text: impl FnOnce(&mut Random) -> String,
) -> io::Result<Option<T>> {
    if !random.one_in(every) {
        return Ok(None);
    }
    parsed(&text(random)).map(Some)
}

fn parsed<T: std::str::FromStr>(text: &str) -> io::Result<T> {
    text.parse()
        .map_err(|_| invalid(&format!("`{text}` is too long for its element")))
}

fn minor(value: i64) -> io::Result<Amount> {
    Amount::from_minor(value).map_err(|error| invalid(&error.to_string()))
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, what.to_owned())
}

fn stated(value: u64) -> Stated<u64> {
    Stated {
        value,
        position: Position::START,
    }
}

/// `SplitMix64` (Steele, Lea, Flood 2014): small, and the same everywhere.
#[derive(Debug, Clone)]
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 to below the bound; 0 when the bound is 0.
    fn below(&mut self, bound: u64) -> u64 {
        self.next().checked_rem(bound).unwrap_or_default()
    }

    fn one_in(&mut self, every: u64) -> bool {
        self.below(every) == 0
    }
}
