//! Drafts as the table of errors leaves them, written without it.

use uuid::Uuid;
use weir_domain::{AskedAction, LineNumber, TransactionRequest};
use weir_runtime::Clock;
use weir_servicegate::{cells_of, record_of};
use weir_settlement::actions::{Refusal, draft};
use weir_store::{AskedRecord, Batch, ChangedBy, DetailChange, Event, Payload, Store, StoreError};

/// Who writes drafts here.
pub const DRAFTER: &str = "drafter (test)";

/// Why there is no draft.
#[derive(Debug)]
pub enum NotDrafted {
    /// The detail takes none.
    Refused(Refusal),
    /// It could not be written; whether it was is not known.
    Store(StoreError),
}

/// Writes a draft on a detail: the element, which must be sound, is what is to be sent.
pub async fn write(
    store: &Store,
    clock: &Clock,
    batch: &Batch,
    line: u32,
    element: &str,
) -> Result<(), NotDrafted> {
    let line = LineNumber::new(line).unwrap();
    let before = store.detail(&batch.place(), line).await;
    let before = before.map_err(NotDrafted::Store)?.unwrap();
    let (mut after, event) = draft(&before).map_err(NotDrafted::Refused)?;
    let cells = cells_of(element).unwrap();
    let record = record_of(before.transaction_type, batch.currency, &cells).unwrap();
    let transaction = record.transaction.unwrap();
    let seller = batch.seller_id.unwrap();
    let request = TransactionRequest::build(&transaction, seller, before.id).unwrap();
    let now = clock.now();
    after.version += 1;
    after.events += 1;
    after.updated_at = now;
    after.user_updated_at = Some(now);
    after.user_updated_by = Some(DRAFTER.to_owned());
    let change = DetailChange {
        before,
        event: Event {
            name: event.name().to_owned(),
            actor: Some(DRAFTER.to_owned()),
            correlation_id: "draft".to_owned(),
            calls: Vec::new(),
            detail: after,
        },
        draft: Some(Payload {
            xml: element.to_owned(),
            request: request.to_json().unwrap(),
        }),
    };
    let by = ChangedBy {
        record: AskedRecord::of_batch(
            batch,
            AskedAction::WriteDrafts,
            Uuid::from_u128(u128::from(line.get())),
            (DRAFTER, "draft"),
            now,
        ),
        task: None,
    };
    let written = store.change_details(batch, &[change], &by, now).await;
    written.map_err(NotDrafted::Store)
}
