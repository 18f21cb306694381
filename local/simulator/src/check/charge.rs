//! `POST /charges`.

use serde::Deserialize;

use super::fields::{
    Findings, Path, Raw, array, currency, not_negative, object, positive, text, text_up_to, uuid,
};
use super::lines::{Shipping, lines, taxes, total};
use super::{ChargeFacts, Invalid};

const ORDER_NUMBER_CHARS_MAX: usize = 824;
const PO_NUMBER_CHARS_MAX: usize = 200;

/// The name of the metadata item that says which batch detail a charge is of.
const BATCH_DETAIL_ID: &str = "batch_detail_id";

macro_rules! raw {
    ($name:ident { $($field:ident),+ $(,)? }) => {
        #[derive(Deserialize)]
        struct $name<'a> { $(#[serde(borrow, default)] $field: Raw<'a>),+ }
    };
}

raw!(RawCharge {
    seller_id,
    buyer_id,
    customer_id,
    authorization_id,
    previous_charge_id,
    currency,
    total_amount,
    tax_amount,
    discount_amount,
    shipping_amount,
    shipping_tax_amount,
    shipping_discount_amount,
    shipping_tax_details,
    order_number,
    po_number,
    order_url,
    comment,
    seller_tax_invoice_number,
    seller_tax_invoice_url,
    details,
    ship_to,
    supplier,
    metadata,
    id,
    status,
    original_total_amount,
    foreign_exchange_fee,
    paid_amount,
    paid_amount_currency,
    due_date,
    invoice_url,
    created,
    modified,
});

raw!(RawMetadata { name, value });

/// Checks the body of a charge.
pub(crate) fn charge(json: &str) -> Result<ChargeFacts, Invalid> {
    let mut findings = Findings::default();
    let facts = read(&mut findings, json);
    findings.finish()?;
    // Whatever is absent has been noted.
    facts.ok_or_else(|| Invalid {
        is_malformed: true,
        problems: Vec::new(),
    })
}

fn read(findings: &mut Findings, json: &str) -> Option<ChargeFacts> {
    let raw: RawCharge<'_> = findings.object(Path::Root, json)?;
    refuse_reserved(findings, &raw);
    check_optional(findings, &raw);
    let batch_detail_id = metadata(findings, raw.metadata);
    let root = Path::Root;
    let seller_id = findings.required(root, "seller_id", raw.seller_id, uuid);
    let buyer_id = findings.required(root, "buyer_id", raw.buyer_id, uuid);
    let currency = findings.required(root, "currency", raw.currency, currency);
    let total_amount = findings.required(root, "total_amount", raw.total_amount, positive);
    findings.required(root, "tax_amount", raw.tax_amount, not_negative);
    findings.required(root, "discount_amount", raw.discount_amount, not_negative);
    let mut amount = |name, raw| findings.required(root, name, raw, not_negative);
    let amounts = (
        amount("shipping_amount", raw.shipping_amount),
        amount("shipping_tax_amount", raw.shipping_tax_amount),
        amount("shipping_discount_amount", raw.shipping_discount_amount),
    );
    if raw.details.is_none() {
        findings.malformed(root, "details", "is required");
    }
    let sum = lines(findings, raw.details);
    if let (Some(whole), Some(sum), (Some(amount), Some(tax), Some(discount))) =
        (total_amount, sum, amounts)
    {
        let shipping = Shipping {
            amount,
            tax,
            discount,
        };
        total(findings, whole, sum, shipping);
    }
    Some(ChargeFacts {
        seller_id: seller_id?,
        buyer_id: buyer_id?,
        currency: currency?,
        total: total_amount?,
        batch_detail_id,
    })
}

fn check_optional(findings: &mut Findings, raw: &RawCharge<'_>) {
    let root = Path::Root;
    for (name, field) in [
        ("customer_id", raw.customer_id),
        ("authorization_id", raw.authorization_id),
        ("previous_charge_id", raw.previous_charge_id),
    ] {
        findings.optional(root, name, field, uuid);
    }
    let order_number = text_up_to::<ORDER_NUMBER_CHARS_MAX>;
    findings.optional(root, "order_number", raw.order_number, order_number);
    let po_number = text_up_to::<PO_NUMBER_CHARS_MAX>;
    findings.optional(root, "po_number", raw.po_number, po_number);
    for (name, field) in [
        ("order_url", raw.order_url),
        ("comment", raw.comment),
        ("seller_tax_invoice_number", raw.seller_tax_invoice_number),
        ("seller_tax_invoice_url", raw.seller_tax_invoice_url),
    ] {
        findings.optional(root, name, field, text);
    }
    findings.optional(root, "ship_to", raw.ship_to, object);
    findings.optional(root, "supplier", raw.supplier, object);
    taxes(
        findings,
        root,
        "shipping_tax_details",
        raw.shipping_tax_details,
    );
}

fn metadata(findings: &mut Findings, raw: Raw<'_>) -> Option<String> {
    let items = findings.optional(Path::Root, "metadata", raw, array)?;
    let mut batch_detail_id = None;
    for (index, item) in items.into_iter().enumerate() {
        let at = Path::Item(&Path::Root, "metadata", index);
        let Some(entry) = findings.object::<RawMetadata<'_>>(at, item.get()) else {
            continue;
        };
        let name = findings.required(at, "name", entry.name, text);
        let value = findings.required(at, "value", entry.value, text);
        if batch_detail_id.is_none() && name.as_deref() == Some(BATCH_DETAIL_ID) {
            batch_detail_id = value.map(std::borrow::Cow::into_owned);
        }
    }
    batch_detail_id
}

fn refuse_reserved(findings: &mut Findings, raw: &RawCharge<'_>) {
    findings.reserved(&[
        ("id", raw.id),
        ("status", raw.status),
        ("original_total_amount", raw.original_total_amount),
        ("foreign_exchange_fee", raw.foreign_exchange_fee),
        ("paid_amount", raw.paid_amount),
        ("paid_amount_currency", raw.paid_amount_currency),
        ("due_date", raw.due_date),
        ("invoice_url", raw.invoice_url),
        ("created", raw.created),
        ("modified", raw.modified),
    ]);
}
