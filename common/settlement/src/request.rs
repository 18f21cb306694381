//! What a detail states of its record, and what is sent for it: the same for a record of a file and
//! for one that people mended.

use weir_domain::{
    ChargeReference, DetailId, ErrorCode, SellerId, Transaction, TransactionRequest,
};
use weir_servicegate::Record;
use weir_store::Detail;

/// The request of a sound record as JSON.
///
/// # Errors
/// Why there is none: as a code, and in words.
pub(crate) fn request_of(
    transaction: &Transaction,
    seller: SellerId,
    detail: DetailId,
) -> Result<String, (ErrorCode, String)> {
    let request = TransactionRequest::build(transaction, seller, detail)
        .map_err(|problem| (problem.code(), problem.to_string()))?;
    let json = request.to_json();
    json.map_err(|problem| (ErrorCode::FormatInvalid, problem.to_string()))
}

/// Has a detail state what a record states: what lists, reports and refunds know it by. Nothing else
/// of it changes.
pub(crate) fn state(detail: &mut Detail, record: &Record) {
    let facts = record.facts();
    let vehicle = facts.vehicle.unwrap_or_default();
    detail.order_number = facts.order_number.map(|number| number.to_string());
    detail.po_number = facts.po_number.map(|number| number.to_string());
    detail.amount = facts.amount;
    detail.currency = facts.currency;
    detail.buyer_id = facts.buyer_id;
    detail.customer_id = facts.customer_id;
    detail.vehicle_odometer = vehicle.odometer.map(|text| text.to_string());
    detail.vehicle_identification_number =
        vehicle.identification_number.map(|text| text.to_string());
    detail.vehicle_unit_number = vehicle.unit_number.map(|text| text.to_string());
    detail.charge_id = match &record.transaction {
        Ok(Transaction::Refund(refund)) => match refund.charge {
            ChargeReference::Id(charge) => Some(charge),
            ChargeReference::LatestOfOrder => None,
        },
        _ => None,
    };
}
