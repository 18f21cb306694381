//! What the batches of a file come to together.

use std::collections::BTreeMap;

use serde::Serialize;
use serde::ser::{SerializeSeq, Serializer};
use weir_domain::Currency;

use crate::{BatchSummary, Total};

/// The counts of batches that were read, and their sums.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Batches.
    pub batches: u64,
    /// Charges.
    pub charges: u64,
    /// Refunds.
    pub refunds: u64,
    /// Charges and refunds that are in error.
    pub records_in_error: u64,
    /// Sums by currency, of the batches whose amounts can be read and share a currency.
    pub amounts: Sums,
}

/// Sums of charges and of refunds by currency; in JSON an array of them in major units.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sums(BTreeMap<&'static str, (Currency, i128, i128)>);

/// The sums of a currency, in major units.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Amounts {
    /// Its code.
    pub currency: &'static str,
    /// What the charges come to, such as `115.50`.
    pub charge_total: String,
    /// What the refunds come to.
    pub refund_total: String,
}

impl Totals {
    /// Counts a batch.
    pub fn add(&mut self, batch: &BatchSummary) {
        self.batches += 1;
        self.charges += u64::from(batch.charges);
        self.refunds += u64::from(batch.refunds);
        self.records_in_error += u64::from(batch.errors);
        let Some(currency) = batch.currency else {
            return;
        };
        let sums = self.amounts.0.entry(currency.code());
        let (_, charged, refunded) = sums.or_insert((currency, 0, 0));
        // Ten thousand batches of a million amounts of 50 bits stay below 84 bits.
        *charged += batch.charge_total.map_or(0, Total::minor);
        *refunded += batch.refund_total.map_or(0, Total::minor);
    }
}

impl Sums {
    /// The sums, in the order of their currencies' codes.
    pub fn in_major(&self) -> impl Iterator<Item = Amounts> + '_ {
        let sums = self.0.values();
        sums.map(|(currency, charged, refunded)| Amounts {
            currency: currency.code(),
            charge_total: Total::of_minor(*charged).in_major(*currency),
            refund_total: Total::of_minor(*refunded).in_major(*currency),
        })
    }
}

impl Serialize for Sums {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut sums = serializer.serialize_seq(Some(self.0.len()))?;
        for amounts in self.in_major() {
            sums.serialize_element(&amounts)?;
        }
        sums.end()
    }
}
