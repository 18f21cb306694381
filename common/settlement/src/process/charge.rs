//! Which charge a refund is of.
//!
//! A refund carries no seller and no currency: 3Rivers takes both from the charge. So a refund of
//! a charge that was made here is held against it before anything is sent. A charge that was not
//! made here is left to 3Rivers, whose answer must repeat the refund's currency.
//!
//! A refund that names no charge is of the seller's latest charge with its order number, counted
//! from the refund: the nearest one before it, in earlier files or on earlier lines; only if there
//! is none, the latest after it. Charges in Error and cancelled ones do not count. So which one is
//! meant does not hang on the order in which queues deliver.

use weir_domain::{ChargeId, DetailId, DetailStatus, TransactionType};
use weir_store::{Detail, Payload, Side, StoreError};

use super::decide::GaveUp;
use super::{Group, Processor};

/// Whether a refund can be sent.
pub(super) enum ChargeOf {
    /// It is no refund, or its charge is known and right.
    NotNeeded,
    /// The charge it is of.
    Settled(ChargeId),
    /// There is none to be named yet; in words, what it waits for.
    Awaited(String),
    /// It is of a charge that it cannot be of.
    Wrong(GaveUp),
}

impl Processor {
    /// Which charge a detail is of, if it is a refund.
    pub(super) async fn charge_of(
        &self,
        group: &Group<'_>,
        refund: &Detail,
        payload: &Payload,
    ) -> Result<ChargeOf, StoreError> {
        if refund.transaction_type != TransactionType::Refund {
            return Ok(ChargeOf::NotNeeded);
        }
        if let Some(named) = refund.charge_id {
            return self.named_charge(group, refund, named).await;
        }
        if !payload.needs_charge(refund) {
            return Ok(ChargeOf::NotNeeded);
        }
        self.charge_of_order(group, refund).await
    }

    /// Holds a refund against the charge that it names, when that was made here.
    async fn named_charge(
        &self,
        group: &Group<'_>,
        refund: &Detail,
        named: ChargeId,
    ) -> Result<ChargeOf, StoreError> {
        let Some(id) = self.store.detail_of_charge(named).await? else {
            return Ok(ChargeOf::NotNeeded);
        };
        let Some(batch) = self.store.batch(id.batch()).await? else {
            return Ok(ChargeOf::NotNeeded);
        };
        if batch.seller_id != Some(group.seller) {
            return Ok(ChargeOf::Wrong(GaveUp::ChargeOfOtherSeller(named)));
        }
        let charge = self.store.detail(&batch.place(), id.line()).await?;
        Ok(
            match charge.filter(|charge| charge.currency != refund.currency) {
                Some(charge) => ChargeOf::Wrong(other_currency(&charge, refund)),
                None => ChargeOf::NotNeeded,
            },
        )
    }

    async fn charge_of_order(
        &self,
        group: &Group<'_>,
        refund: &Detail,
    ) -> Result<ChargeOf, StoreError> {
        for side in [Side::Before, Side::After] {
            for id in self
                .store
                .charges_of_order(group.seller, refund, side)
                .await?
            {
                let Some(charge) = self.charge(id).await? else {
                    continue;
                };
                match (charge.status, charge.charge_id) {
                    (DetailStatus::Error | DetailStatus::Cancelled, _) => {}
                    // It has been mended since: it is of another order now.
                    _ if charge.order_number != refund.order_number => {}
                    _ if charge.currency != refund.currency => {
                        return Ok(ChargeOf::Wrong(other_currency(&charge, refund)));
                    }
                    (DetailStatus::Processed, Some(made)) => return Ok(ChargeOf::Settled(made)),
                    _ => {
                        let what = format!("waits for its charge {id}, which is not settled yet");
                        return Ok(ChargeOf::Awaited(what));
                    }
                }
            }
        }
        let order = refund.order_number.as_deref().unwrap_or_default();
        let order: String = order.chars().take(100).collect();
        Ok(ChargeOf::Awaited(format!(
            "waits for a charge of order {order}: the seller has none that could be refunded"
        )))
    }

    /// A detail, when its batch exists: entries are written before their batch.
    async fn charge(&self, id: DetailId) -> Result<Option<Detail>, StoreError> {
        match self.store.place_of(id).await? {
            Some(place) => self.store.detail(&place, id.line()).await,
            None => Ok(None),
        }
    }
}

fn other_currency(charge: &Detail, refund: &Detail) -> GaveUp {
    let code = |detail: &Detail| detail.currency.map_or("none", |currency| currency.code());
    GaveUp::ChargeInOtherCurrency {
        charge: code(charge),
        refund: code(refund),
    }
}
