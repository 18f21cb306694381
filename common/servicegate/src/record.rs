//! From a captured charge or refund to a transaction.
//!
//! Every rule of an element is judged where the element is read, so that all problems of a record
//! come out at once; whether the amounts fit together is the domain's to say, once all can be read.

use weir_domain::{
    Address, Amount, Amounts, BuyerId, Charge, ChargeId, ChargeReference, Currency, CustomerId,
    ErrorCode, Line, Metadata, OrderNumber, PoNumber, Refund, RefundReason, RequestError, ShipTo,
    ShortText, Supplier, TaxDetail, Tracking, Transaction, TransactionType, Vehicle,
};

use crate::Element;
use crate::RecordFacts;
use crate::capture::{Entry, Fields, Kind};
use crate::element::METADATA_ITEMS_MAX;

/// The currency that a batch gives to its transactions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fallback {
    /// This one.
    Currency(Currency),
    /// None: each transaction must name its own.
    None,
    /// The batch's header is broken: what it would have said is not held against a transaction.
    Unknown,
}

/// Everything that a charge or refund may state, as far as it could be read.
#[derive(Default)]
struct Draft {
    order_number: Option<OrderNumber>,
    po_number: Option<PoNumber>,
    customer_id: Option<CustomerId>,
    buyer_id: Option<BuyerId>,
    authorization_id: Option<CustomerId>,
    previous_charge_id: Option<ChargeId>,
    charge_id: Option<ChargeId>,
    reason: Option<RefundReason>,
    refund_comment: Option<ShortText>,
    order_url: Option<ShortText>,
    comment: Option<ShortText>,
    seller_tax_invoice_number: Option<ShortText>,
    seller_tax_invoice_url: Option<ShortText>,
    total: Option<Amount>,
    amounts: Amounts,
    shipping_tax_details: Vec<TaxDetail>,
    lines: Vec<Line>,
    ship_to: Option<ShipTo>,
    supplier: Option<Supplier>,
    vehicle: Option<Vehicle>,
    metadata: Vec<Metadata>,
}

/// What a captured charge or refund comes to. The transaction is there unless there are faults.
pub(crate) struct Built {
    pub(crate) transaction: Option<Transaction>,
    pub(crate) facts: Option<RecordFacts>,
    pub(crate) currency: Option<Currency>,
    pub(crate) amount: Option<Amount>,
}

/// Reads a record. Faults are left in the capture; where there are any, there are facts instead
/// of a transaction.
pub(crate) fn build(
    fields: &mut Fields<'_>,
    kind: TransactionType,
    fallback: Fallback,
    known: &mut Option<Currency>,
) -> Built {
    let currency = record_currency(fields, fallback, known);
    let mut record = RecordReader { fields, currency };
    let draft = record.draft();
    let amount = draft.total;
    let mut transaction = None;
    let mut facts = None;
    // Without faults the currency is there, but for a batch whose own header is broken.
    if fields.capture.faults.is_empty() && currency.is_some() {
        let built = finish(draft, kind, currency);
        match built.map(|transaction| (transaction.check_amounts(), transaction)) {
            Some((Ok(()), sound)) => transaction = Some(sound),
            Some((Err(error), unsound)) => {
                refuse_amounts(fields, &error);
                facts = Some(facts_of(&unsound));
            }
            // Cannot be: what is missing without a fault is caught when its parent ends.
            None => fields.fault(0, ErrorCode::ElementMissing, "cannot be read"),
        }
    } else {
        facts = Some(RecordFacts {
            transaction_type: kind,
            order_number: draft.order_number,
            po_number: draft.po_number,
            customer_id: draft.customer_id,
            buyer_id: draft.buyer_id,
            currency,
            amount,
            vehicle: draft.vehicle,
        });
    }
    Built {
        transaction,
        facts,
        currency,
        amount,
    }
}

/// What a transaction states, in the form that a record in error has as well.
pub(crate) fn facts_of(transaction: &Transaction) -> RecordFacts {
    let charge = match transaction {
        Transaction::Charge(charge) => Some(charge),
        Transaction::Refund(_) => None,
    };
    RecordFacts {
        transaction_type: transaction.transaction_type(),
        order_number: Some(transaction.order_number().clone()),
        po_number: charge.and_then(|charge| charge.po_number.clone()),
        customer_id: charge.and_then(|charge| charge.customer_id),
        buyer_id: charge.map(|charge| charge.buyer_id),
        currency: Some(transaction.currency()),
        amount: Some(transaction.amounts().total),
        vehicle: transaction.vehicle().cloned(),
    }
}

/// The record's own currency, else its batch's.
fn record_currency(
    fields: &mut Fields<'_>,
    fallback: Fallback,
    known: &mut Option<Currency>,
) -> Option<Currency> {
    let Some(place) = fields.capture.currency else {
        return match fallback {
            Fallback::Currency(currency) => Some(currency),
            Fallback::Unknown => None,
            Fallback::None => {
                currency_missing(fields);
                None
            }
        };
    };
    let entry = *fields.capture.entries.get(place)?;
    // Files mostly stay with one currency; looking a code up is slow next to comparing it.
    if let Some(same) = known.filter(|known| known.code() == fields.value(&entry)) {
        return Some(same);
    }
    *known = fields.read(place, &entry, parse_currency);
    *known
}

pub(crate) fn parse_currency(text: &str) -> Result<Currency, (ErrorCode, String)> {
    text.parse()
        .map_err(|error| (ErrorCode::CurrencyInvalid, format!("{error}")))
}

fn currency_missing(fields: &mut Fields<'_>) {
    let mut path = fields.state.path();
    crate::state::push_step(&mut path, Element::Currency.name(), 0);
    fields.capture.fault(crate::capture::Fault {
        at: 0,
        element: Element::Currency,
        path,
        code: ErrorCode::CurrencyMissing,
        reason: "is missing here and in the header of the batch: add it to one of them".to_owned(),
    });
}

fn finish(draft: Draft, kind: TransactionType, currency: Option<Currency>) -> Option<Transaction> {
    let amounts = Amounts {
        total: draft.total?,
        ..draft.amounts
    };
    let (order_number, currency) = (draft.order_number?, currency?);
    Some(match kind {
        TransactionType::Charge => Transaction::Charge(Box::new(Charge {
            order_number,
            currency,
            amounts,
            buyer_id: draft.buyer_id?,
            customer_id: draft.customer_id,
            po_number: draft.po_number,
            authorization_id: draft.authorization_id.map(CustomerId::uuid),
            previous_charge_id: draft.previous_charge_id,
            order_url: draft.order_url,
            comment: draft.comment,
            seller_tax_invoice_number: draft.seller_tax_invoice_number,
            seller_tax_invoice_url: draft.seller_tax_invoice_url,
            shipping_tax_details: draft.shipping_tax_details,
            lines: draft.lines,
            ship_to: draft.ship_to,
            supplier: draft.supplier,
            vehicle: draft.vehicle,
            metadata: draft.metadata,
        })),
        TransactionType::Refund => Transaction::Refund(Box::new(Refund {
            order_number,
            currency,
            amounts,
            charge: draft
                .charge_id
                .map_or(ChargeReference::LatestOfOrder, ChargeReference::Id),
            reason: draft.reason.unwrap_or_default(),
            comment: draft.refund_comment,
            shipping_tax_details: draft.shipping_tax_details,
            lines: draft.lines,
            vehicle: draft.vehicle,
            metadata: draft.metadata,
        })),
    })
}

/// Puts what the domain found on the element that it is about.
fn refuse_amounts(fields: &mut Fields<'_>, error: &RequestError) {
    let (element, line) = match error {
        RequestError::TotalMismatch { .. } | RequestError::OutOfRange { line: 0 } => {
            (Element::TotalAmount, 0)
        }
        RequestError::SubtotalMismatch { line, .. } => (Element::Subtotal, *line),
        RequestError::OutOfRange { line } => (Element::Line, *line),
    };
    let mut lines = 0;
    let mut found = 0;
    for (place, entry) in fields.capture.entries.iter().enumerate() {
        if entry.kind == Kind::Open && entry.element == Element::Line {
            lines += 1;
        }
        let begins = matches!(entry.kind, Kind::Open | Kind::Text);
        if begins && entry.element == element && lines == line {
            found = place;
            break;
        }
        if entry.element == Element::TotalAmount {
            // Where a transaction without lines is at fault as a whole.
            found = place;
        }
    }
    fields.fault(found, error.code(), format!("does not fit: {error}"));
}

/// Reads a captured record's entries in place.
pub(crate) struct RecordReader<'a, 'b> {
    pub(crate) fields: &'b mut Fields<'a>,
    /// None when it is not known: then no amount can be read, which is not the amounts' fault.
    pub(crate) currency: Option<Currency>,
}

impl RecordReader<'_, '_> {
    fn draft(&mut self) -> Draft {
        let mut draft = Draft::default();
        while let Some((place, entry)) = self.fields.take() {
            match entry.kind {
                Kind::Open => self.container(&entry, &mut draft),
                Kind::Text => {
                    if !self.amounts_of(place, &entry, &mut draft) {
                        self.text_of(place, &entry, &mut draft);
                    }
                }
                Kind::Close | Kind::ItemName => {}
            }
        }
        draft
    }

    fn container(&mut self, entry: &Entry, draft: &mut Draft) {
        match entry.element {
            Element::ShippingTaxDetails => draft.shipping_tax_details = self.tax_details(),
            Element::Lines => draft.lines = self.lines(),
            Element::ShipTo => draft.ship_to = Some(self.ship_to()),
            Element::Supplier => draft.supplier = Some(self.supplier()),
            Element::Vehicle => draft.vehicle = Some(self.vehicle()),
            Element::Metadata => draft.metadata = self.metadata(),
            _ => {}
        }
    }

    fn amounts_of(&mut self, place: usize, entry: &Entry, draft: &mut Draft) -> bool {
        let slot = match entry.element {
            Element::TotalAmount => {
                draft.total = self.total(place, entry);
                return true;
            }
            Element::TaxAmount => &mut draft.amounts.tax,
            Element::DiscountAmount => &mut draft.amounts.discount,
            Element::ShippingAmount => &mut draft.amounts.shipping,
            Element::ShippingTaxAmount => &mut draft.amounts.shipping_tax,
            Element::ShippingDiscountAmount => &mut draft.amounts.shipping_discount,
            _ => return false,
        };
        *slot = self.amount(place, entry).unwrap_or_default();
        true
    }

    fn text_of(&mut self, place: usize, entry: &Entry, draft: &mut Draft) {
        match entry.element {
            Element::OrderNumber => draft.order_number = self.text(place, entry),
            Element::PoNumber => draft.po_number = self.text(place, entry),
            Element::CustomerId => draft.customer_id = self.id(place, entry),
            Element::BuyerId => draft.buyer_id = self.id(place, entry),
            Element::AuthorizationId => draft.authorization_id = self.id(place, entry),
            Element::PreviousChargeId => draft.previous_charge_id = self.id(place, entry),
            Element::ChargeId => draft.charge_id = self.id(place, entry),
            Element::RefundReason => draft.reason = self.reason(place, entry),
            Element::RefundComment => draft.refund_comment = self.short(place, entry),
            Element::OrderUrl => draft.order_url = self.short(place, entry),
            Element::Comment => draft.comment = self.short(place, entry),
            Element::SellerTaxInvoiceNumber => {
                draft.seller_tax_invoice_number = self.short(place, entry);
            }
            Element::SellerTaxInvoiceUrl => {
                draft.seller_tax_invoice_url = self.short(place, entry);
            }
            _ => {}
        }
    }

    /// Hands the entries of the container that has just begun to `each`, up to its end; containers
    /// within it are `each`'s to read.
    fn children(&mut self, mut each: impl FnMut(&mut Self, usize, &Entry)) {
        while let Some((place, entry)) = self.fields.take() {
            if entry.kind == Kind::Close {
                return;
            }
            each(self, place, &entry);
        }
    }

    fn lines(&mut self) -> Vec<Line> {
        let mut lines = Vec::new();
        self.children(|reader, _, _| lines.extend(reader.line()));
        lines
    }

    fn line(&mut self) -> Option<Line> {
        let (mut sku, mut description, mut quantity, mut unit_price) = (None, None, None, None);
        let (mut tax, mut discount, mut subtotal) = (None, None, None);
        let mut tax_details = Vec::new();
        self.children(|reader, place, entry| match entry.element {
            Element::Sku => sku = reader.short(place, entry),
            Element::Description => description = reader.short(place, entry),
            Element::Quantity => quantity = reader.decimal(place, entry),
            Element::UnitPrice => unit_price = reader.amount(place, entry),
            Element::TaxAmount => tax = reader.amount(place, entry),
            Element::DiscountAmount => discount = reader.amount(place, entry),
            Element::Subtotal => subtotal = reader.amount(place, entry),
            Element::TaxDetails => tax_details = reader.tax_details(),
            _ => {}
        });
        Some(Line {
            sku,
            description,
            quantity: quantity?,
            unit_price: unit_price?,
            tax: tax.unwrap_or_default(),
            discount: discount.unwrap_or_default(),
            subtotal,
            tax_details,
        })
    }

    fn tax_details(&mut self) -> Vec<TaxDetail> {
        let mut details = Vec::new();
        self.children(|reader, _, _| details.extend(reader.tax_detail()));
        details
    }

    fn tax_detail(&mut self) -> Option<TaxDetail> {
        let (mut tax_type, mut tax_rate, mut tax_amount) = (None, None, None);
        self.children(|reader, place, entry| match entry.element {
            Element::TaxType => tax_type = reader.short(place, entry),
            Element::TaxRate => tax_rate = reader.decimal(place, entry),
            Element::TaxAmount => tax_amount = reader.amount(place, entry),
            _ => {}
        });
        Some(TaxDetail {
            tax_type,
            tax_rate,
            tax_amount: tax_amount?,
        })
    }

    fn ship_to(&mut self) -> ShipTo {
        let mut ship_to = ShipTo::default();
        self.children(|reader, place, entry| match entry.element {
            Element::RecipientName => ship_to.recipient_name = reader.short(place, entry),
            Element::CompanyName => ship_to.company_name = reader.short(place, entry),
            Element::Pickup => ship_to.pickup = reader.boolean(place, entry),
            Element::CompanyAddress => ship_to.company_address = Some(reader.address()),
            Element::Tracking => ship_to.tracking = Some(reader.tracking()),
            _ => {}
        });
        ship_to
    }

    fn supplier(&mut self) -> Supplier {
        let mut supplier = Supplier::default();
        self.children(|reader, place, entry| match entry.element {
            Element::CompanyName => supplier.company_name = reader.short(place, entry),
            Element::CompanyAddress => supplier.company_address = Some(reader.address()),
            _ => {}
        });
        supplier
    }

    fn address(&mut self) -> Address {
        let mut address = Address::default();
        self.children(|reader, place, entry| {
            let slot = match entry.element {
                Element::AddressLine1 => &mut address.address_line1,
                Element::AddressLine2 => &mut address.address_line2,
                Element::City => &mut address.city,
                Element::State => &mut address.state,
                Element::Zip => &mut address.zip,
                Element::Country => &mut address.country,
                _ => return,
            };
            *slot = reader.short(place, entry);
        });
        address
    }

    fn tracking(&mut self) -> Tracking {
        let mut tracking = Tracking::default();
        self.children(|reader, place, entry| match entry.element {
            Element::TrackingNumber => tracking.tracking_number = reader.short(place, entry),
            Element::TrackingUrl => tracking.tracking_url = reader.short(place, entry),
            Element::Carrier => tracking.carrier = reader.short(place, entry),
            _ => {}
        });
        tracking
    }

    fn vehicle(&mut self) -> Vehicle {
        let mut vehicle = Vehicle::default();
        self.children(|reader, place, entry| {
            let slot = match entry.element {
                Element::Odometer => &mut vehicle.odometer,
                Element::IdentificationNumber => &mut vehicle.identification_number,
                Element::UnitNumber => &mut vehicle.unit_number,
                _ => return,
            };
            *slot = reader.text(place, entry);
        });
        vehicle
    }

    fn metadata(&mut self) -> Vec<Metadata> {
        let mut items = Vec::new();
        let mut name = None;
        self.children(|reader, place, entry| {
            if entry.kind == Kind::ItemName {
                name = reader.text(place, entry);
                return;
            }
            if entry.index == METADATA_ITEMS_MAX + 1 {
                let reason = format!("stands more than {METADATA_ITEMS_MAX} times: leave some out");
                reader.fields.fault(place, ErrorCode::TooMany, reason);
            }
            let empty = reader.fields.value(entry).is_empty();
            let value = if empty {
                None
            } else {
                reader.text(place, entry)
            };
            if let (Some(name), Some(value)) = (name.take(), value) {
                items.push(Metadata { name, value });
            }
        });
        items
    }
}
