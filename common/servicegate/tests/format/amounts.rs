//! Amounts, currencies and lines of charges and refunds.

use crate::support::{
    HEADER, ROOT, assert_fault, assert_sound, charge, faults, items, one, problems, records_of,
    transaction,
};
use weir_domain::Transaction;

#[test]
fn amounts_are_digits_with_the_decimals_of_the_currency() {
    let with = |amount: &str| charge("").replace("12.50", amount);
    for amount in [
        "0.01",
        "12",
        "12.5",
        "12.50",
        " 12.50 ",
        "0012.50",
        "9000000000000.00",
    ] {
        assert_sound(&with(amount));
    }
    for amount in [
        "-1", "+1", "1,000.00", "1 000", "1e2", ".5", "5.", "12.500", "١", "x",
    ] {
        assert_fault(&with(amount), "bcs.amount_invalid", "TotalAmount");
    }
    for amount in [
        "0",
        "0.00",
        "9000000000000.01",
        "99999999999999999999999999",
    ] {
        assert_fault(&with(amount), "bcs.amount_out_of_range", "TotalAmount");
    }
    assert_fault(&with(""), "bcs.length_invalid", "TotalAmount");
    let in_yen = |amount: &str| {
        with(amount).replace("<TotalAmount>", "<Currency>JPY</Currency><TotalAmount>")
    };
    assert_sound(&in_yen("12"));
    assert_fault(&in_yen("12.0"), "bcs.amount_invalid", "TotalAmount");
    let in_dinar = |amount: &str| in_yen(amount).replace("JPY", "KWD");
    assert_sound(&in_dinar("12.125"));
    assert_fault(&in_dinar("12.1255"), "bcs.amount_invalid", "TotalAmount");
}

#[test]
fn amounts_beside_the_total_may_be_zero_and_default_to_it() {
    for element in [
        "TaxAmount",
        "DiscountAmount",
        "ShippingAmount",
        "ShippingTaxAmount",
        "ShippingDiscountAmount",
    ] {
        assert_sound(&charge(&one(element, "0.00")));
        assert_fault(
            &charge(&one(element, "-0.01")),
            "bcs.amount_invalid",
            element,
        );
        assert_fault(&charge(&one(element, "")), "bcs.length_invalid", element);
        assert_fault(
            &charge(&one(element, "9000000000000.01")),
            "bcs.amount_out_of_range",
            element,
        );
    }
    assert_eq!(transaction(&charge("")).amounts().tax.minor(), 0);
}

#[test]
fn a_transactions_own_currency_wins_and_one_of_the_two_is_needed() {
    assert_eq!(transaction(&charge("")).currency().code(), "USD");
    assert_eq!(
        transaction(&charge("<Currency>EUR</Currency>"))
            .currency()
            .code(),
        "EUR"
    );
    for value in ["usd", "US$", "XAU", "LYD"] {
        assert_fault(
            &charge(&one("Currency", value)),
            "bcs.currency_invalid",
            "Currency",
        );
    }
    let header = HEADER.replace("<Currency>USD</Currency>", "");
    let without = format!(
        "{ROOT}<Batch>{header}{}{}</Batch></SettlementFile>",
        charge(""),
        charge("<Currency>EUR</Currency>")
    );
    assert_eq!(problems(without.as_bytes()), []);
    let records = records_of(items(without.as_bytes()));
    let rejected = records[0].transaction.as_ref().unwrap_err();
    assert_eq!(rejected.problems[0].code.code(), "bcs.currency_missing");
    assert_eq!(
        rejected.problems[0].path,
        "/SettlementFile/Batch[1]/Charge[1]/Currency"
    );
    assert!(records[1].transaction.is_ok());
}

#[test]
fn a_currency_after_the_amounts_decides_them_all_the_same() {
    let late = charge("<Currency>JPY</Currency>").replace("12.50", "1250");
    assert_eq!(transaction(&late).amounts().total.minor(), 1250);
}

#[test]
fn lines_are_read_whole() {
    let lines = "<Lines><Line><Subtotal>12.50</Subtotal><Quantity>2.5</Quantity><UnitPrice>5.00</UnitPrice>\
        <TaxAmount>0.50</TaxAmount><DiscountAmount>0.50</DiscountAmount><Sku>A</Sku>\
        <TaxDetails><TaxDetail><TaxRate>7.25</TaxRate><TaxAmount>0.50</TaxAmount></TaxDetail></TaxDetails>\
        </Line></Lines>";
    let Transaction::Charge(charge) = transaction(&charge(lines)) else {
        panic!("a charge");
    };
    let line = &charge.lines[0];
    assert_eq!(line.quantity.to_string(), "2.5");
    assert_eq!(
        (
            line.unit_price.minor(),
            line.tax.minor(),
            line.discount.minor()
        ),
        (500, 50, 50)
    );
    assert_eq!(line.subtotal.unwrap().minor(), 1250);
    assert_eq!(line.tax_details[0].tax_rate.unwrap().to_string(), "7.25");
}

#[test]
fn quantities_and_rates_are_exact_decimals() {
    let with = |quantity: &str, rate: &str| {
        charge(&format!(
            "<Lines><Line><Quantity>{quantity}</Quantity><UnitPrice>12.50</UnitPrice><TaxDetails><TaxDetail>\
             <TaxRate>{rate}</TaxRate><TaxAmount>0</TaxAmount></TaxDetail></TaxDetails></Line></Lines>"
        ))
    };
    assert_sound(&with("1.000000", "999999999.999999"));
    for bad in ["-1", "1e3", "1.0000000", "1000000000"] {
        assert_fault(&with(bad, "0"), "bcs.format_invalid", "Quantity");
        assert_fault(&with("1", bad), "bcs.format_invalid", "TaxRate");
    }
    assert_fault(&with("", "0"), "bcs.length_invalid", "Quantity");
}

#[test]
fn the_total_is_the_sum_of_its_parts_within_a_minor_unit_a_line() {
    let with = |price: &str| {
        charge(&format!(
            "<Lines><Line><Quantity>1</Quantity><UnitPrice>{price}</UnitPrice></Line></Lines>"
        ))
    };
    for price in ["12.49", "12.50", "12.51"] {
        assert_sound(&with(price));
    }
    for price in ["12.48", "12.52"] {
        assert_fault(&with(price), "bcs.total_mismatch", "TotalAmount");
    }
    let two = |subtotal: &str| {
        charge(&format!(
            "<Lines><Line><Quantity>1</Quantity><UnitPrice>2.50</UnitPrice></Line><Line><Quantity>1</Quantity>\
             <UnitPrice>10.00</UnitPrice><Subtotal>{subtotal}</Subtotal></Line></Lines>"
        ))
    };
    assert_sound(&two("10.01"));
    let faults = faults(&two("10.02"));
    assert_eq!(faults[0].code.code(), "bcs.subtotal_mismatch");
    assert_eq!(
        faults[0].path,
        "/SettlementFile/Batch[1]/Charge[1]/Lines/Line[2]/Subtotal"
    );
    assert_fault(
        &charge("<ShippingAmount>12.51</ShippingAmount>"),
        "bcs.amount_out_of_range",
        "TotalAmount",
    );
}
