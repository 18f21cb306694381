//! `POST /refunds`.

use std::borrow::Cow;

use serde::Deserialize;
use weir_domain::RefundReason;

use super::fields::{Findings, Path, Raw, not_negative, positive, text, uuid};
use super::lines::{Shipping, lines, taxes, total};
use super::{Invalid, RefundFacts};

#[derive(Deserialize)]
struct RawRefund<'a> {
    #[serde(borrow, default)]
    charge_id: Raw<'a>,
    #[serde(borrow, default)]
    total_amount: Raw<'a>,
    #[serde(borrow, default)]
    tax_amount: Raw<'a>,
    #[serde(borrow, default)]
    discount_amount: Raw<'a>,
    #[serde(borrow, default)]
    shipping_amount: Raw<'a>,
    #[serde(borrow, default)]
    shipping_tax_amount: Raw<'a>,
    #[serde(borrow, default)]
    shipping_discount_amount: Raw<'a>,
    #[serde(borrow, default)]
    shipping_tax_details: Raw<'a>,
    #[serde(borrow, default)]
    details: Raw<'a>,
    #[serde(borrow, default)]
    refund_reason: Raw<'a>,
    #[serde(borrow, default)]
    refund_comment: Raw<'a>,
    #[serde(borrow, default)]
    id: Raw<'a>,
    #[serde(borrow, default)]
    seller_id: Raw<'a>,
    #[serde(borrow, default)]
    buyer_id: Raw<'a>,
    #[serde(borrow, default)]
    currency: Raw<'a>,
    #[serde(borrow, default)]
    status: Raw<'a>,
    #[serde(borrow, default)]
    refund_memo_url: Raw<'a>,
    #[serde(borrow, default)]
    created: Raw<'a>,
    #[serde(borrow, default)]
    modified: Raw<'a>,
}

/// Checks the body of a refund. One without lines needs none: its total is taken as it is.
pub(crate) fn refund(json: &str) -> Result<RefundFacts, Invalid> {
    let mut findings = Findings::default();
    let facts = read(&mut findings, json);
    findings.finish()?;
    // Whatever is absent has been noted.
    facts.ok_or_else(|| Invalid {
        is_malformed: true,
        problems: Vec::new(),
    })
}

fn read(findings: &mut Findings, json: &str) -> Option<RefundFacts> {
    let raw: RawRefund<'_> = findings.object(Path::Root, json)?;
    refuse_reserved(findings, &raw);
    let root = Path::Root;
    let charge_id = findings.required(root, "charge_id", raw.charge_id, uuid);
    let total_amount = findings.required(root, "total_amount", raw.total_amount, positive);
    findings.optional(root, "tax_amount", raw.tax_amount, not_negative);
    findings.optional(root, "discount_amount", raw.discount_amount, not_negative);
    let mut amount = |name, raw: Raw<'_>| {
        let is_absent = raw.is_none();
        let read = findings.optional(root, name, raw, not_negative);
        read.or(is_absent.then_some(0))
    };
    let amounts = (
        amount("shipping_amount", raw.shipping_amount),
        amount("shipping_tax_amount", raw.shipping_tax_amount),
        amount("shipping_discount_amount", raw.shipping_discount_amount),
    );
    taxes(
        findings,
        root,
        "shipping_tax_details",
        raw.shipping_tax_details,
    );
    findings.optional(root, "refund_reason", raw.refund_reason, reason);
    findings.optional(root, "refund_comment", raw.refund_comment, text);
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
    Some(RefundFacts {
        charge_id: charge_id?,
        total: total_amount?,
    })
}

fn reason(json: &str) -> Result<RefundReason, Cow<'static, str>> {
    text(json)?
        .parse()
        .map_err(|error: weir_domain::UnknownReason| Cow::Owned(error.to_string()))
}

fn refuse_reserved(findings: &mut Findings, raw: &RawRefund<'_>) {
    findings.reserved(&[
        ("id", raw.id),
        ("seller_id", raw.seller_id),
        ("buyer_id", raw.buyer_id),
        ("currency", raw.currency),
        ("status", raw.status),
        ("refund_memo_url", raw.refund_memo_url),
        ("created", raw.created),
        ("modified", raw.modified),
    ]);
}
