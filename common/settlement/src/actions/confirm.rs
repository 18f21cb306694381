//! A confirmed draft: the detail takes on what the draft's record states.

use weir_servicegate::{cells_of, record_of};
use weir_store::{Batch, DetailChange, PutBuffer, Store, StoreError};

use super::ActionError;
use crate::request::state;

/// Carries over what the drafts state to the details that are to send them.
pub(super) async fn take_records(
    store: &Store,
    batch: &Batch,
    changes: &mut [DetailChange],
) -> Result<(), ActionError> {
    let version =
        |change: &DetailChange| (change.before.line(), change.event.detail.request_version);
    let wanted: Vec<_> = changes.iter().map(version).collect();
    let payloads = store.payload_versions(&batch.place(), &wanted).await?;
    for change in changes {
        let detail = &mut change.event.detail;
        let payload = payloads.get(&(detail.line(), detail.request_version));
        let unreadable = ActionError::Draft(detail.id);
        let record = payload.and_then(|payload| {
            let cells = cells_of(&payload.xml)?;
            record_of(detail.transaction_type, batch.currency, &cells).ok()
        });
        state(detail, &*record.ok_or(unreadable)?);
    }
    Ok(())
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
