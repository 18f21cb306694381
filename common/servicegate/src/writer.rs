//! Writes settlement files, one transaction at a time.
//!
//! Law: what has been written reads back the same. What could not is refused instead: a character
//! that XML does not allow, and white space around a value, which a reader drops.

use std::fmt::{Display, Write as _};
use std::io::{self, Write};

use chrono::SecondsFormat;
use weir_domain::{
    Address, Amount, Amounts, BatchNumber, Charge, ChargeReference, Currency, Line, Metadata,
    Refund, ShipTo, Supplier, TaxDetail, Tracking, Transaction, Vehicle,
};

use crate::chars::{is_xml_char, trim};
use crate::element::{NAME_ATTRIBUTE, VERSION_ATTRIBUTE};
use crate::{Element, FileHeader, NAMESPACE, SellerReference, Total, VERSION};

/// What a batch's header is to say. Controls stand before what they count, so whoever writes one
/// must know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchOutline {
    /// The seller's number for the batch.
    pub number: BatchNumber,
    /// Whose batch it is.
    pub seller: SellerReference,
    /// The currency that transactions need not repeat.
    pub currency: Option<Currency>,
    /// Control: how many transactions follow.
    pub transaction_count: Option<u64>,
    /// Control: the sum of its charges; written only when there is a currency.
    pub charge_total: Option<Total>,
    /// Control: the sum of its refunds, likewise.
    pub refund_total: Option<Total>,
}

/// Writes one file. [`Writer::finish`] makes it whole.
#[derive(Debug)]
pub struct Writer<W: Write> {
    out: W,
    sheet: Sheet,
}

impl<W: Write> Writer<W> {
    /// Begins a file. Only the values of a header's controls are written, not their positions.
    pub fn begin(out: W, header: Option<&FileHeader>) -> io::Result<Self> {
        let mut writer = Self {
            out,
            sheet: Sheet::default(),
        };
        let sheet = &mut writer.sheet;
        let root = Element::SettlementFile.name();
        sheet.text = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
             <{root} xmlns=\"{NAMESPACE}\" {VERSION_ATTRIBUTE}=\"{VERSION}\">\n"
        );
        sheet.depth = 1;
        if let Some(header) = header {
            sheet.container(Element::FileHeader, |sheet| {
                sheet.optional(Element::FileReference, header.reference.as_ref());
                let created_at = header.created_at;
                let created_at =
                    created_at.map(|at| at.to_rfc3339_opts(SecondsFormat::AutoSi, true));
                sheet.optional(Element::CreatedAt, created_at.as_ref());
                let batch_count = header.batch_count.as_ref().map(|stated| stated.value);
                sheet.optional(Element::BatchCount, batch_count);
                let count = header.transaction_count.as_ref().map(|stated| stated.value);
                sheet.optional(Element::TransactionCount, count);
            });
        }
        writer.flush_sheet()?;
        Ok(writer)
    }

    /// Begins a batch.
    pub fn batch(&mut self, outline: &BatchOutline) -> io::Result<BatchWriter<'_, W>> {
        let sheet = &mut self.sheet;
        sheet.open(Element::Batch);
        sheet.container(Element::BatchHeader, |sheet| {
            sheet.leaf(Element::BatchNumber, &outline.number);
            match &outline.seller {
                SellerReference::Id(id) => sheet.leaf(Element::SellerId, id),
                SellerReference::Alternate(id) => sheet.leaf(Element::AlternateSellerId, id),
            }
            sheet.optional(Element::Currency, outline.currency);
            sheet.optional(Element::TransactionCount, outline.transaction_count);
            if let Some(currency) = outline.currency {
                let in_major = |total: Option<Total>| total.map(|total| total.in_major(currency));
                sheet.optional(Element::ChargeTotal, in_major(outline.charge_total));
                sheet.optional(Element::RefundTotal, in_major(outline.refund_total));
            }
        });
        self.flush_sheet()?;
        Ok(BatchWriter {
            writer: self,
            currency: outline.currency,
        })
    }

    /// Ends the file and gives back what it was written to.
    pub fn finish(mut self) -> io::Result<W> {
        self.sheet.close(Element::SettlementFile);
        self.flush_sheet()?;
        self.out.flush()?;
        Ok(self.out)
    }

    fn flush_sheet(&mut self) -> io::Result<()> {
        if let Some(refused) = self.sheet.refused.take() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, refused));
        }
        self.out.write_all(self.sheet.text.as_bytes())?;
        self.sheet.text.clear();
        Ok(())
    }
}

/// Writes the transactions of one batch. [`BatchWriter::end`] ends it.
#[derive(Debug)]
#[must_use = "a batch that is not ended leaves a broken file"]
pub struct BatchWriter<'a, W: Write> {
    writer: &'a mut Writer<W>,
    currency: Option<Currency>,
}

impl<W: Write> BatchWriter<'_, W> {
    /// Writes a transaction. Its currency is written only where it is not the batch's.
    pub fn transaction(&mut self, transaction: &Transaction) -> io::Result<()> {
        let sheet = &mut self.writer.sheet;
        let own = Some(transaction.currency()).filter(|own| Some(*own) != self.currency);
        match transaction {
            Transaction::Charge(charge) => {
                sheet.container(Element::Charge, |sheet| sheet.charge(charge, own));
            }
            Transaction::Refund(refund) => {
                sheet.container(Element::Refund, |sheet| sheet.refund(refund, own));
            }
        }
        self.writer.flush_sheet()
    }

    /// Writes a record as it is given: the one way to write one that is in error.
    pub fn raw_record(&mut self, xml: &str) -> io::Result<()> {
        self.writer.sheet.indent();
        self.writer.sheet.text.push_str(xml);
        self.writer.sheet.text.push('\n');
        self.writer.flush_sheet()
    }

    /// Ends the batch.
    pub fn end(self) -> io::Result<()> {
        self.writer.sheet.close(Element::Batch);
        self.writer.flush_sheet()
    }
}

/// Text being put together.
#[derive(Debug, Default)]
struct Sheet {
    text: String,
    depth: usize,
    /// The first value that cannot be written so that it reads back the same.
    refused: Option<String>,
}

impl Sheet {
    fn indent(&mut self) {
        for _ in 0..self.depth {
            self.text.push_str("  ");
        }
    }

    fn open(&mut self, element: Element) {
        self.indent();
        self.tag("<", element, ">\n");
        self.depth += 1;
    }

    fn close(&mut self, element: Element) {
        self.depth = self.depth.saturating_sub(1);
        self.indent();
        self.tag("</", element, ">\n");
    }

    fn tag(&mut self, opening: &str, element: Element, end: &str) {
        self.text.push_str(opening);
        self.text.push_str(element.name());
        self.text.push_str(end);
    }

    fn container(&mut self, element: Element, fill: impl FnOnce(&mut Self)) {
        self.open(element);
        fill(self);
        self.close(element);
    }

    /// A list is left out when it is empty.
    fn list<T>(&mut self, element: Element, items: &[T], mut each: impl FnMut(&mut Self, &T)) {
        if !items.is_empty() {
            self.container(element, |sheet| {
                for item in items {
                    each(sheet, item);
                }
            });
        }
    }

    fn leaf(&mut self, element: Element, value: impl Display) {
        self.indent();
        self.tag("<", element, ">");
        self.value(element, value);
        self.tag("</", element, ">\n");
    }

    fn optional(&mut self, element: Element, value: Option<impl Display>) {
        if let Some(value) = value {
            self.leaf(element, value);
        }
    }

    fn value(&mut self, element: Element, value: impl Display) {
        let from = self.text.len();
        // Writing to a string cannot fail.
        let _ = write!(self.text, "{value}");
        let written = self.text.get(from..).unwrap_or_default();
        if written
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        {
            return;
        }
        let refused = trim(written).len() != written.len() || !written.chars().all(is_xml_char);
        if refused {
            self.refused.get_or_insert_with(|| {
                let name = element.name();
                format!("`{name}` has white space around it or a character that XML does not allow")
            });
        }
        let escaped = escape(written);
        self.text.truncate(from);
        self.text.push_str(&escaped);
    }

    fn charge(&mut self, charge: &Charge, currency: Option<Currency>) {
        self.leaf(Element::OrderNumber, &charge.order_number);
        self.optional(Element::PoNumber, charge.po_number.as_ref());
        self.optional(Element::CustomerId, charge.customer_id);
        self.leaf(Element::BuyerId, charge.buyer_id);
        self.optional(Element::AuthorizationId, charge.authorization_id);
        self.optional(Element::PreviousChargeId, charge.previous_charge_id);
        self.optional(Element::Currency, currency);
        self.amounts(&charge.amounts, charge.currency);
        self.tax_details(
            Element::ShippingTaxDetails,
            &charge.shipping_tax_details,
            charge.currency,
        );
        self.optional(Element::OrderUrl, charge.order_url.as_ref());
        self.optional(Element::Comment, charge.comment.as_ref());
        self.optional(
            Element::SellerTaxInvoiceNumber,
            charge.seller_tax_invoice_number.as_ref(),
        );
        self.optional(
            Element::SellerTaxInvoiceUrl,
            charge.seller_tax_invoice_url.as_ref(),
        );
        self.lines(&charge.lines, charge.currency);
        if let Some(ship_to) = &charge.ship_to {
            self.container(Element::ShipTo, |sheet| sheet.ship_to(ship_to));
        }
        if let Some(supplier) = &charge.supplier {
            self.container(Element::Supplier, |sheet| sheet.supplier(supplier));
        }
        self.vehicle(charge.vehicle.as_ref());
        self.metadata(&charge.metadata);
    }

    fn refund(&mut self, refund: &Refund, currency: Option<Currency>) {
        self.leaf(Element::OrderNumber, &refund.order_number);
        if let ChargeReference::Id(id) = refund.charge {
            self.leaf(Element::ChargeId, id);
        }
        self.leaf(Element::RefundReason, refund.reason);
        self.optional(Element::RefundComment, refund.comment.as_ref());
        self.optional(Element::Currency, currency);
        self.amounts(&refund.amounts, refund.currency);
        self.tax_details(
            Element::ShippingTaxDetails,
            &refund.shipping_tax_details,
            refund.currency,
        );
        self.lines(&refund.lines, refund.currency);
        self.vehicle(refund.vehicle.as_ref());
        self.metadata(&refund.metadata);
    }

    fn amounts(&mut self, amounts: &Amounts, currency: Currency) {
        self.leaf(Element::TotalAmount, amounts.total.in_major(currency));
        for (element, amount) in [
            (Element::TaxAmount, amounts.tax),
            (Element::DiscountAmount, amounts.discount),
            (Element::ShippingAmount, amounts.shipping),
            (Element::ShippingTaxAmount, amounts.shipping_tax),
            (Element::ShippingDiscountAmount, amounts.shipping_discount),
        ] {
            self.amount(element, amount, currency);
        }
    }

    /// Zero is what an absent amount means.
    fn amount(&mut self, element: Element, amount: Amount, currency: Currency) {
        if amount != Amount::ZERO {
            self.leaf(element, amount.in_major(currency));
        }
    }

    fn lines(&mut self, lines: &[Line], currency: Currency) {
        self.list(Element::Lines, lines, |sheet, line| {
            sheet.container(Element::Line, |sheet| {
                sheet.optional(Element::Sku, line.sku.as_ref());
                sheet.optional(Element::Description, line.description.as_ref());
                sheet.leaf(Element::Quantity, line.quantity);
                sheet.leaf(Element::UnitPrice, line.unit_price.in_major(currency));
                sheet.amount(Element::TaxAmount, line.tax, currency);
                sheet.amount(Element::DiscountAmount, line.discount, currency);
                let subtotal = line.subtotal.map(|subtotal| subtotal.in_major(currency));
                sheet.optional(Element::Subtotal, subtotal);
                sheet.tax_details(Element::TaxDetails, &line.tax_details, currency);
            });
        });
    }

    fn tax_details(&mut self, list: Element, details: &[TaxDetail], currency: Currency) {
        self.list(list, details, |sheet, detail| {
            sheet.container(Element::TaxDetail, |sheet| {
                sheet.optional(Element::TaxType, detail.tax_type.as_ref());
                sheet.optional(Element::TaxRate, detail.tax_rate);
                sheet.leaf(Element::TaxAmount, detail.tax_amount.in_major(currency));
            });
        });
    }

    fn ship_to(&mut self, ship_to: &ShipTo) {
        self.optional(Element::RecipientName, ship_to.recipient_name.as_ref());
        self.optional(Element::CompanyName, ship_to.company_name.as_ref());
        self.optional(Element::Pickup, ship_to.pickup);
        self.address(ship_to.company_address.as_ref());
        if let Some(tracking) = &ship_to.tracking {
            self.container(Element::Tracking, |sheet| sheet.tracking(tracking));
        }
    }

    fn supplier(&mut self, supplier: &Supplier) {
        self.optional(Element::CompanyName, supplier.company_name.as_ref());
        self.address(supplier.company_address.as_ref());
    }

    fn address(&mut self, address: Option<&Address>) {
        let Some(address) = address else {
            return;
        };
        self.container(Element::CompanyAddress, |sheet| {
            sheet.optional(Element::AddressLine1, address.address_line1.as_ref());
            sheet.optional(Element::AddressLine2, address.address_line2.as_ref());
            sheet.optional(Element::City, address.city.as_ref());
            sheet.optional(Element::State, address.state.as_ref());
            sheet.optional(Element::Zip, address.zip.as_ref());
            sheet.optional(Element::Country, address.country.as_ref());
        });
    }

    fn tracking(&mut self, tracking: &Tracking) {
        self.optional(Element::TrackingNumber, tracking.tracking_number.as_ref());
        self.optional(Element::TrackingUrl, tracking.tracking_url.as_ref());
        self.optional(Element::Carrier, tracking.carrier.as_ref());
    }

    fn vehicle(&mut self, vehicle: Option<&Vehicle>) {
        let Some(vehicle) = vehicle else {
            return;
        };
        self.container(Element::Vehicle, |sheet| {
            sheet.optional(Element::Odometer, vehicle.odometer.as_ref());
            let identification_number = vehicle.identification_number.as_ref();
            sheet.optional(Element::IdentificationNumber, identification_number);
            sheet.optional(Element::UnitNumber, vehicle.unit_number.as_ref());
        });
    }

    fn metadata(&mut self, metadata: &[Metadata]) {
        self.list(Element::Metadata, metadata, |sheet, item| {
            let name = Element::Item.name();
            sheet.indent();
            // Writing to a string cannot fail.
            let _ = write!(sheet.text, "<{name} {NAME_ATTRIBUTE}=\"");
            sheet.value(Element::Item, &item.name);
            sheet.text.push_str("\">");
            sheet.value(Element::Item, &item.value);
            sheet.tag("</", Element::Item, ">\n");
        });
    }
}

/// A text or attribute value as XML wants it. A carriage return would come back as a line feed,
/// and in an attribute a line feed or tab as a blank, so they are written as references.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\t' => escaped.push_str("&#9;"),
            '\n' => escaped.push_str("&#10;"),
            '\r' => escaped.push_str("&#13;"),
            c => escaped.push(c),
        }
    }
    escaped
}
