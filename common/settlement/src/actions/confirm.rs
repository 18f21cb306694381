//! A confirmed draft: the detail takes on what the draft's record states.

use weir_domain::LineNumber;
use weir_servicegate::{cells_of, record_of};
use weir_store::{Batch, DetailChange, PutBuffer, Store, StoreError};

use crate::request::state;

/// Carries over what the drafts state to the details that are to send them. Gives the lines whose
/// drafts cannot be read back, which are changes no more.
pub(super) async fn take_records(
    store: &Store,
    batch: &Batch,
    changes: &mut Vec<DetailChange>,
) -> Result<Vec<LineNumber>, StoreError> {
    let version =
        |change: &DetailChange| (change.before.line(), change.event.detail.request_version);
    let wanted: Vec<_> = changes.iter().map(version).collect();
    let payloads = store.readable_payloads(&batch.place(), &wanted).await?;
    let mut unreadable = Vec::new();
    changes.retain_mut(|change| {
        let payload = payloads.get(&version(change));
        let detail = &mut change.event.detail;
        let record = payload.and_then(|payload| {
            let cells = cells_of(&payload.xml)?;
            record_of(detail.transaction_type, batch.currency, &cells).ok()
        });
        if let Some(record) = &record {
            state(detail, record);
        } else {
            tracing::error!(detail_id = %detail.id, "a draft cannot be read back");
            unreadable.push(detail.line());
        }
        record.is_some()
    });
    Ok(unreadable)
}

/// Puts the ways to the details by the order numbers and charges that their drafts name: before the
/// details say the same, as every way is. One too many misleads nobody.
pub(super) async fn put_ways(
    store: &Store,
    batch: &Batch,
    changes: &[DetailChange],
) -> Result<(), StoreError> {
    let Some(seller) = batch.seller_id else {
        return Ok(());
    };
    let mut puts = PutBuffer::new(store, 2);
    for change in changes {
        puts.put_ways(seller, &change.event.detail).await?;
    }
    puts.flush().await
}
