//! Transactions of every kind, made up: texts that try an escaper, amounts that fit together.

use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use weir_domain::{
    Address, Amount, Amounts, Charge, ChargeReference, Currency, Decimal, Line, Metadata, Refund,
    RefundReason, ShipTo, Supplier, TaxDetail, Tracking, Transaction, Vehicle,
};

/// Texts that try an escaper: markup, references, quotes, line ends, all planes.
fn text<T: std::str::FromStr + std::fmt::Debug>(max: usize) -> impl Strategy<Value = T> {
    let piece = prop::sample::select(vec![
        "<",
        ">",
        "&",
        "&amp;",
        "]]>",
        "\"",
        "'",
        "\r",
        "\r\n",
        "\n",
        "\t",
        " ",
        "a",
        "0",
        "<!--",
        "-->",
        "é",
        "€",
        "😀",
        "\u{85}",
        "\u{2028}",
        "\u{FEFF}",
        "\u{FFFD}",
        "\u{7F}",
        "\u{A0}",
        "\u{10FFFF}",
        "<?",
        "<![CDATA[",
        "%20",
    ]);
    vec(piece, 0..12).prop_filter_map("fits", move |pieces| {
        let text: String = pieces.concat().chars().take(max).collect();
        text.trim_matches([' ', '\t', '\r', '\n']).parse().ok()
    })
}

fn uuid<T: std::str::FromStr + std::fmt::Debug>() -> impl Strategy<Value = T> {
    any::<u128>().prop_filter_map("fits", |number| {
        let mut text = format!("{number:032x}");
        for hyphen in [20, 16, 12, 8] {
            text.insert(hyphen, '-');
        }
        text.parse().ok()
    })
}

fn amount(max: i64) -> impl Strategy<Value = Amount> {
    (0..=max).prop_map(|minor| Amount::from_minor(minor).unwrap())
}

fn decimal() -> impl Strategy<Value = Decimal> {
    (0..1000_u32, 0..1_000_000_u32)
        .prop_map(|(whole, part)| format!("{whole}.{part:06}").parse().unwrap())
}

pub(crate) fn currency() -> impl Strategy<Value = Currency> {
    prop::sample::select(vec!["USD", "JPY", "KWD", "EUR"]).prop_map(|code| code.parse().unwrap())
}

fn tax_details() -> impl Strategy<Value = Vec<TaxDetail>> {
    let detail = (of(text(1024)), of(decimal()), amount(1_000_000)).prop_map(
        |(tax_type, tax_rate, tax_amount)| TaxDetail {
            tax_type,
            tax_rate,
            tax_amount,
        },
    );
    vec(detail, 0..3)
}

fn line() -> impl Strategy<Value = Line> {
    let amounts = (amount(100_000), amount(10_000), amount(100));
    (
        of(text(1024)),
        of(text(1024)),
        decimal(),
        amounts,
        any::<bool>(),
        tax_details(),
    )
        .prop_map(
            |(sku, description, quantity, (unit_price, tax, discount), stated, tax_details)| {
                let subtotal = quantity.times_rounded(unit_price.minor())
                    + i128::from(tax.minor() - discount.minor());
                let subtotal = Amount::from_wide(subtotal)
                    .ok()
                    .filter(|subtotal| stated && subtotal.minor() >= 0);
                Line {
                    sku,
                    description,
                    quantity,
                    unit_price,
                    tax,
                    discount,
                    subtotal,
                    tax_details,
                }
            },
        )
}

/// Amounts that fit the lines, as the format demands.
fn amounts(lines: &[Line], parts: [Amount; 5]) -> Amounts {
    let [tax, discount, shipping, shipping_tax, extra] = parts;
    let subtotal = |line: &Line| {
        line.quantity.times_rounded(line.unit_price.minor())
            + i128::from(line.tax.minor() - line.discount.minor())
    };
    let goods = if lines.is_empty() {
        i128::from(extra.minor() + tax.minor())
    } else {
        lines.iter().map(subtotal).sum()
    };
    let total = goods + i128::from(shipping.minor() + shipping_tax.minor());
    let discount = if lines.is_empty() {
        Amount::ZERO
    } else {
        discount
    };
    let total = Amount::from_wide(total.max(1)).unwrap();
    Amounts {
        total,
        tax,
        discount,
        shipping,
        shipping_tax,
        shipping_discount: Amount::ZERO,
    }
}

fn address() -> impl Strategy<Value = Address> {
    (
        of(text(1024)),
        of(text(1024)),
        of(text(1024)),
        of(text(1024)),
        of(text(1024)),
        of(text(1024)),
    )
        .prop_map(
            |(address_line1, address_line2, city, state, zip, country)| Address {
                address_line1,
                address_line2,
                city,
                state,
                zip,
                country,
            },
        )
}

fn ship_to() -> impl Strategy<Value = ShipTo> {
    let tracking = (of(text(1024)), of(text(1024)), of(text(1024))).prop_map(
        |(tracking_number, tracking_url, carrier)| Tracking {
            tracking_number,
            tracking_url,
            carrier,
        },
    );
    (
        of(text(1024)),
        of(text(1024)),
        of(any::<bool>()),
        of(address()),
        of(tracking),
    )
        .prop_map(
            |(recipient_name, company_name, pickup, company_address, tracking)| ShipTo {
                recipient_name,
                company_name,
                pickup,
                company_address,
                tracking,
            },
        )
}

fn vehicle() -> impl Strategy<Value = Vehicle> {
    (of(text(100)), of(text(100)), of(text(100))).prop_map(
        |(odometer, identification_number, unit_number)| Vehicle {
            odometer,
            identification_number,
            unit_number,
        },
    )
}

fn metadata() -> impl Strategy<Value = Vec<Metadata>> {
    vec(
        (text(100), text(500)).prop_map(|(name, value)| Metadata { name, value }),
        0..4,
    )
}

fn parts() -> impl Strategy<Value = [Amount; 5]> {
    [
        amount(10_000),
        amount(10_000),
        amount(10_000),
        amount(10_000),
        amount(10_000),
    ]
}

pub(crate) fn charge() -> impl Strategy<Value = Transaction> {
    let ids = (
        uuid(),
        of(uuid()),
        of(uuid::<weir_domain::CustomerId>()),
        of(uuid()),
    );
    let texts = (
        of(text(200)),
        of(text(1024)),
        of(text(1024)),
        of(text(1024)),
        of(text(1024)),
    );
    let company = (text(1024), address()).prop_map(|(name, address)| Supplier {
        company_name: Some(name),
        company_address: Some(address),
    });
    let parties = (of(ship_to()), of(company), of(vehicle()), metadata());
    (
        text(824),
        currency(),
        ids,
        texts,
        vec(line(), 0..4),
        parts(),
        tax_details(),
        parties,
    )
        .prop_map(
            |(order_number, currency, ids, texts, lines, parts, shipping_tax_details, parties)| {
                let (buyer_id, customer_id, authorization_id, previous_charge_id) = ids;
                let (
                    po_number,
                    order_url,
                    comment,
                    seller_tax_invoice_number,
                    seller_tax_invoice_url,
                ) = texts;
                let (ship_to, supplier, vehicle, metadata) = parties;
                Transaction::Charge(Box::new(Charge {
                    order_number,
                    currency,
                    amounts: amounts(&lines, parts),
                    buyer_id,
                    customer_id,
                    po_number,
                    authorization_id: authorization_id.map(weir_domain::CustomerId::uuid),
                    previous_charge_id,
                    order_url,
                    comment,
                    seller_tax_invoice_number,
                    seller_tax_invoice_url,
                    shipping_tax_details,
                    lines,
                    ship_to,
                    supplier,
                    vehicle,
                    metadata,
                }))
            },
        )
}

pub(crate) fn refund() -> impl Strategy<Value = Transaction> {
    let of_charge =
        of(uuid()).prop_map(|id| id.map_or(ChargeReference::LatestOfOrder, ChargeReference::Id));
    let why = (
        prop::sample::select(RefundReason::ALL.to_vec()),
        of(text(1024)),
    );
    let rest = (tax_details(), of(vehicle()), metadata());
    (
        text(824),
        currency(),
        of_charge,
        why,
        vec(line(), 0..4),
        parts(),
        rest,
    )
        .prop_map(
            |(order_number, currency, charge, (reason, comment), lines, parts, rest)| {
                let (shipping_tax_details, vehicle, metadata) = rest;
                Transaction::Refund(Box::new(Refund {
                    order_number,
                    currency,
                    amounts: amounts(&lines, parts),
                    charge,
                    reason,
                    comment,
                    shipping_tax_details,
                    lines,
                    vehicle,
                    metadata,
                }))
            },
        )
}
