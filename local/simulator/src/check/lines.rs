//! Lines, taxes and the sums that they come to.

use serde::Deserialize;

use super::fields::{Findings, Path, Raw, array, decimal, not_negative, text, whole};

#[derive(Deserialize)]
struct RawLine<'a> {
    #[serde(borrow, default)]
    sku: Raw<'a>,
    #[serde(borrow, default)]
    description: Raw<'a>,
    #[serde(borrow, default)]
    quantity: Raw<'a>,
    #[serde(borrow, default)]
    unit_price: Raw<'a>,
    #[serde(borrow, default)]
    tax_amount: Raw<'a>,
    #[serde(borrow, default)]
    discount_amount: Raw<'a>,
    #[serde(borrow, default)]
    subtotal: Raw<'a>,
    #[serde(borrow, default)]
    tax_details: Raw<'a>,
}

#[derive(Deserialize)]
struct RawTax<'a> {
    #[serde(borrow, default, rename = "tax_type")]
    kind: Raw<'a>,
    #[serde(borrow, default, rename = "tax_rate")]
    rate: Raw<'a>,
    #[serde(borrow, default, rename = "tax_amount")]
    amount: Raw<'a>,
}

/// What the total is made of besides the lines.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shipping {
    pub(super) amount: i64,
    pub(super) tax: i64,
    pub(super) discount: i64,
}

/// The sum of the lines' subtotals; `None` where some line cannot be read.
pub(super) fn lines(findings: &mut Findings, raw: Raw<'_>) -> Option<i128> {
    let items = findings.optional(Path::Root, "details", raw, array)?;
    let mut sum = Some(0);
    for (index, item) in items.into_iter().enumerate() {
        let subtotal = line(
            findings,
            Path::Item(&Path::Root, "details", index),
            item.get(),
        );
        sum = sum.zip(subtotal).map(|(sum, subtotal): (i128, i64)| {
            // Fewer lines than 2^63 fit into any request.
            sum.saturating_add(i128::from(subtotal))
        });
    }
    sum
}

fn line(findings: &mut Findings, at: Path<'_>, json: &str) -> Option<i64> {
    let raw: RawLine<'_> = findings.object(at, json)?;
    findings.optional(at, "sku", raw.sku, text);
    findings.optional(at, "description", raw.description, text);
    let quantity = findings.required(at, "quantity", raw.quantity, decimal);
    let price = findings.required(at, "unit_price", raw.unit_price, whole);
    let tax = findings.required(at, "tax_amount", raw.tax_amount, not_negative);
    let discount = findings.required(at, "discount_amount", raw.discount_amount, not_negative);
    let subtotal = findings.required(at, "subtotal", raw.subtotal, whole);
    taxes(findings, at, "tax_details", raw.tax_details);
    let computed = quantity?
        .times_rounded(price?)
        .saturating_add(i128::from(tax?))
        .saturating_sub(i128::from(discount?));
    if computed != i128::from(subtotal?) {
        let message = format!("must be {computed}: quantity × unit_price + tax − discount");
        findings.unfit(at, "subtotal", &message);
    }
    subtotal
}

/// Checks a list of taxes.
pub(super) fn taxes(findings: &mut Findings, parent: Path<'_>, name: &'static str, raw: Raw<'_>) {
    let items = findings.optional(parent, name, raw, array);
    for (index, item) in items.into_iter().flatten().enumerate() {
        let at = Path::Item(&parent, name, index);
        let Some(tax) = findings.object::<RawTax<'_>>(at, item.get()) else {
            continue;
        };
        findings.optional(at, "tax_type", tax.kind, text);
        findings.optional(at, "tax_rate", tax.rate, decimal);
        findings.required(at, "tax_amount", tax.amount, not_negative);
    }
}

/// Checks that the total is what its parts come to.
pub(super) fn total(findings: &mut Findings, total: i64, lines: i128, shipping: Shipping) {
    let computed = lines
        .saturating_add(i128::from(shipping.amount))
        .saturating_add(i128::from(shipping.tax))
        .saturating_sub(i128::from(shipping.discount));
    if computed != i128::from(total) {
        let message = format!("must be {computed}: the subtotals and shipping");
        findings.unfit(Path::Root, "total_amount", &message);
    }
}
