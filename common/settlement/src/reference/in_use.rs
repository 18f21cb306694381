//! What hangs on something.
//!
//! | on | hang |
//! | --- | --- |
//! | a client | programs |
//! | a program | sellers, customers, report schedules, batches |
//! | a seller | batches, report schedules |
//!
//! Asked of indexes, which may still name what has just been removed: whatever they name is read, together.
//! Of anything a few are enough, as most of them are there; the schedules of one seller are looked for among
//! all of its program's.

use uuid::Uuid;
use weir_domain::SellerId;
use weir_store::{
    BatchesOf, CreatedId, CreatedRange, Direction, Reference, ReferenceKind, ReferencesOf, Store,
    StoreError,
};

/// Keys that are looked up together where any one is enough.
const FEW: u32 = 10;
/// Keys that are looked up together where one among many is looked for: what one request reads.
const MANY: u32 = 100;

/// Whether anything can hang on such a thing.
pub(super) fn can_be(kind: ReferenceKind) -> bool {
    matches!(
        kind,
        ReferenceKind::Client | ReferenceKind::Program | ReferenceKind::Seller
    )
}

/// What hangs on something, in the plural and in the order of the table above.
pub(super) async fn by(
    store: &Store,
    reference: &Reference,
) -> Result<Vec<&'static str>, StoreError> {
    let mut found = Vec::new();
    match reference {
        Reference::Client(client) => {
            if has(store, ReferenceKind::Program, client.id.uuid(), None).await? {
                found.push("programs");
            }
        }
        Reference::Program(program) => {
            for (kind, name) in [
                (ReferenceKind::Seller, "sellers"),
                (ReferenceKind::Customer, "customers"),
                (ReferenceKind::ReportSchedule, "report schedules"),
            ] {
                if has(store, kind, program.id.uuid(), None).await? {
                    found.push(name);
                }
            }
            if has_batches(store, BatchesOf::Program(program.id)).await? {
                found.push("batches");
            }
        }
        Reference::Seller(seller) => {
            if has_batches(store, BatchesOf::Seller(seller.id)).await? {
                found.push("batches");
            }
            let (kind, program) = (ReferenceKind::ReportSchedule, seller.program_id.uuid());
            if has(store, kind, program, Some(seller.id)).await? {
                found.push("report schedules");
            }
        }
        Reference::Customer(_) | Reference::SellerContact(_) | Reference::ReportSchedule(_) => {}
    }
    Ok(found)
}

/// Whether there is anything of a kind under a parent; or only of one seller.
async fn has(
    store: &Store,
    kind: ReferenceKind,
    parent: Uuid,
    seller: Option<SellerId>,
) -> Result<bool, StoreError> {
    let of = ReferencesOf {
        kind,
        parent: Some(parent),
    };
    let page = if seller.is_some() { MANY } else { FEW };
    let mut range = CreatedRange::ALL;
    loop {
        let keys = store
            .reference_keys(of, range, Direction::Forward, page)
            .await?;
        let ids: Vec<Uuid> = keys.iter().map(|key| key.id).collect();
        let found = store.references(kind, &ids).await?;
        let is_one = |reference: &Reference| match (reference, seller) {
            (_, None) => true,
            (Reference::ReportSchedule(schedule), Some(seller)) => {
                schedule.seller_id == Some(seller)
            }
            _ => false,
        };
        if found.iter().any(is_one) {
            return Ok(true);
        }
        match following(&keys, page) {
            Some(from) => range.from = from,
            None => return Ok(false),
        }
    }
}

/// Batches are never removed, so their keys are enough.
async fn has_batches(store: &Store, of: BatchesOf) -> Result<bool, StoreError> {
    let (range, forward) = (CreatedRange::ALL, Direction::Forward);
    Ok(!store.batch_keys(of, range, forward, 1).await?.is_empty())
}

/// Where to go on after a full page.
fn following(keys: &[CreatedId], page: u32) -> Option<CreatedId> {
    let is_full = keys.len() >= usize::try_from(page).unwrap_or_default();
    keys.last().filter(|_| is_full).map(|last| last.next())
}
