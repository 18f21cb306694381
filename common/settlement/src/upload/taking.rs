//! Whether a batch is taken: its seller must be the uploader's, and its number free.

use std::fmt::Display;

use weir_domain::{BatchNumber, ProgramId, SellerId};
use weir_servicegate::SellerReference;
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

/// That the number is another batch's.
pub(super) fn number_taken(number: &BatchNumber, other: impl Display) -> String {
    format!("the seller already has a batch {number}: it is {other}")
}
