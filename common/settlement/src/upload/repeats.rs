//! Batches of one number within a file that is only judged.
//!
//! A page of the problems of such a file is read from the middle of it, and does not know the batches before.
//! So it is found out once, while the whole file is checked, and kept with the file. What is kept while the
//! check is interrupted is a hash of each number with its seller, so that the file's item holds it for as
//! many batches as a file may have.

use std::collections::HashMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use weir_domain::{BatchNumber, BatchOrdinal, SellerId};
use weir_servicegate::BatchHeader;
use weir_store::{RepeatedNumber, Store, StoreError};

use super::UploadScope;
use super::taking::{BATCHES_TOGETHER, Sellers};

/// Enough to tell ten thousand numbers apart.
type NumberHash = [u8; 8];

/// The numbers of a file's batches, as far as the file was read.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    /// Batches that have been read and whose sellers have not been looked up.
    headers: Vec<BatchHeader>,
    sellers: Sellers,
    /// The first batch with each number.
    first: HashMap<NumberHash, BatchOrdinal>,
    repeated: Vec<RepeatedNumber>,
}

/// What is kept of them while the reading is interrupted.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct KeptNumbers {
    /// Ordinal and hash of each, in base64.
    first: String,
    repeated: Vec<RepeatedNumber>,
}

fn hash_of(seller: SellerId, number: &BatchNumber) -> NumberHash {
    let mut hash = Sha256::new();
    hash.update(seller.uuid().as_bytes());
    hash.update(number.to_string());
    let hash: [u8; 32] = hash.finalize().into();
    hash.first_chunk().copied().unwrap_or_default()
}

impl Numbers {
    /// Goes on from what was kept; `None` where that cannot be read.
    pub(super) fn of_kept(kept: KeptNumbers) -> Option<Self> {
        let bytes = STANDARD_NO_PAD.decode(kept.first).ok()?;
        let (entries, []) = bytes.as_chunks::<12>() else {
            return None;
        };
        let entry = |entry: &[u8; 12]| {
            let (ordinal, hash) = entry.split_first_chunk::<4>()?;
            let ordinal = BatchOrdinal::new(u32::from_be_bytes(*ordinal)).ok()?;
            Some((hash.first_chunk().copied()?, ordinal))
        };
        Some(Self {
            first: entries.iter().map(entry).collect::<Option<_>>()?,
            repeated: kept.repeated,
            ..Self::default()
        })
    }

    /// What is to be kept, when everything that was read has been looked up.
    pub(super) fn kept(&self) -> KeptNumbers {
        let entry = |(hash, ordinal): (&NumberHash, &BatchOrdinal)| {
            [&ordinal.get().to_be_bytes()[..], hash].concat()
        };
        let bytes: Vec<u8> = self.first.iter().flat_map(entry).collect();
        KeptNumbers {
            first: STANDARD_NO_PAD.encode(bytes),
            repeated: self.repeated.clone(),
        }
    }

    /// Adds a batch.
    pub(super) async fn add(
        &mut self,
        store: &Store,
        scope: UploadScope,
        header: BatchHeader,
    ) -> Result<(), StoreError> {
        self.headers.push(header);
        if self.headers.len() >= BATCHES_TOGETHER {
            self.look_up(store, scope).await?;
        }
        Ok(())
    }

    /// Looks up the sellers of what was added, and which of the numbers were there before. A batch whose
    /// seller is not known has nobody's number.
    pub(super) async fn look_up(
        &mut self,
        store: &Store,
        scope: UploadScope,
    ) -> Result<&[RepeatedNumber], StoreError> {
        let headers = std::mem::take(&mut self.headers);
        self.sellers.look_up(store, scope, &headers).await?;
        for header in &headers {
            let Some(seller) = self.sellers.of(header) else {
                continue;
            };
            let batch = header.ordinal;
            let first = self.first.entry(hash_of(seller.id, &header.number));
            let first = *first.or_insert(batch);
            if first != batch {
                self.repeated.push(RepeatedNumber { batch, first });
            }
        }
        Ok(&self.repeated)
    }
}
