//! Whether a batch is taken: its seller must be the uploader's, and its number free.

use std::collections::{HashMap, HashSet};
use std::fmt::Display;

use futures::{StreamExt, TryStreamExt, stream};
use weir_domain::{BatchNumber, BatchOrdinal, ProgramId, SellerId};
use weir_servicegate::{BatchHeader, SellerReference};
use weir_store::{Seller, Store, StoreError};

use super::UploadScope;

/// The seller that a batch names, if a file of that scope may hold its batches.
pub(super) async fn seller_named(
    store: &Store,
    named: &SellerReference,
    scope: UploadScope,
) -> Result<Option<Seller>, StoreError> {
    let seller = match named {
        SellerReference::Id(id) => store.seller(*id).await?,
        SellerReference::Alternate(id) => {
            store.seller_by_alternate_id(scope.program_id, id).await?
        }
    };
    Ok(seller.filter(|seller| {
        seller.program_id == scope.program_id
            && seller.client_id == scope.client_id
            && scope.seller_id.is_none_or(|only| only == seller.id)
    }))
}

/// Batches whose sellers and numbers are looked up together.
pub(super) const BATCHES_TOGETHER: usize = 100;
/// Look-ups under way at the same time.
const LOOKUPS_MAX: usize = 16;

/// The sellers that the batches of a file name, each looked up once.
#[derive(Debug, Default)]
pub(super) struct Sellers(HashMap<SellerReference, Option<Seller>>);

impl Sellers {
    /// Looks up the sellers of some batches.
    pub(super) async fn look_up(
        &mut self,
        store: &Store,
        scope: UploadScope,
        headers: &[BatchHeader],
    ) -> Result<(), StoreError> {
        let named = headers.iter().map(|header| header.seller.clone());
        let named = named.filter(|named| !self.0.contains_key(named));
        let named: HashSet<SellerReference> = named.collect();
        let sellers: Vec<_> = stream::iter(named)
            .map(async |named| {
                let seller = seller_named(store, &named, scope).await?;
                Ok::<_, StoreError>((named, seller))
            })
            .buffer_unordered(LOOKUPS_MAX)
            .try_collect()
            .await?;
        self.0.extend(sellers);
        Ok(())
    }

    /// The seller of a batch that was looked up, if it is known.
    pub(super) fn of(&self, header: &BatchHeader) -> Option<&Seller> {
        self.0.get(&header.seller)?.as_ref()
    }
}

/// That there is no such seller.
pub(super) fn seller_unknown(
    named: &SellerReference,
    program: ProgramId,
    only: Option<SellerId>,
) -> String {
    let named = match named {
        SellerReference::Id(id) => id.to_string(),
        SellerReference::Alternate(id) => format!("\"{id}\""),
    };
    let or_other = match only {
        Some(only) => format!(", or is not the one that uploads, {only}"),
        None => String::new(),
    };
    format!("the seller {named} is not known in program {program}{or_other}")
}

/// That the number is that of another batch of the file.
pub(super) fn number_repeated(number: &BatchNumber, first: BatchOrdinal) -> String {
    number_taken(number, format_args!("the file's batch {first}"))
}

/// That the number is another batch's.
pub(super) fn number_taken(number: &BatchNumber, other: impl Display) -> String {
    format!("the seller already has a batch {number}: it is {other}")
}
