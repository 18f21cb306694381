//! A settlement file to try the local system with: charges and refunds of the demo's sellers, and
//! one record that a person got wrong.
//!
//! The file is a function of its seed, byte for byte. Batch and order numbers begin with the seed,
//! so files of two seeds have none in common, and the same file submitted twice is recognised.
//!
//! Refused: more than [`RECORDS_MAX`] records, as the file is made up in memory.

use std::io;
use std::path::Path;

use uuid::Uuid;
use weir_domain::{BuyerId, CustomerId};
use weir_servicegate::generate::{Contents, Plan, generate};

use crate::demo::{self, DemoError};

/// Most records of a sample, over all batches: some hundred megabytes.
pub const RECORDS_MAX: u32 = 100_000;
/// Every fifth record refunds half of the charge before it.
const REFUND_EVERY: u32 = 5;
/// Who buys; the simulator takes every id for an active buyer's unless told otherwise.
const BUYERS: [u128; 4] = [
    0x55555555_0000_4000_8000_000000000001,
    0x55555555_0000_4000_8000_000000000002,
    0x55555555_0000_4000_8000_000000000003,
    0x55555555_0000_4000_8000_000000000004,
];
/// What stands where a buyer's id should: a name, as a person types it.
const WRONG_BUYER: &str = "Fabrikam, purchasing";

/// Why there is no sample.
#[derive(Debug, thiserror::Error)]
pub enum SampleError {
    /// There are too many records, or none.
    #[error("a sample holds 1 to {RECORDS_MAX} records in all, in 1 to 10 000 batches")]
    Size,
    /// The demo data cannot be named.
    #[error(transparent)]
    Demo(#[from] DemoError),
    /// The file could not be made up or written.
    #[error("the sample could not be written: {0}")]
    Write(#[from] io::Error),
}

/// What a sample is to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// What the file is derived from.
    pub seed: u32,
    /// How many batches: 1 to 10 000; the demo's two sellers take turns.
    pub batches: u32,
    /// How many records in each.
    pub records_per_batch: u32,
}

impl Sample {
    /// Makes up the file.
    pub fn xml(&self) -> Result<(String, Contents), SampleError> {
        let records = self.batches.saturating_mul(self.records_per_batch);
        if !(1..=RECORDS_MAX).contains(&records) || self.batches > 10_000 {
            return Err(SampleError::Size);
        }
        let mut bytes = Vec::new();
        let mut contents = generate(&self.plan()?, &mut bytes)?;
        let xml = String::from_utf8(bytes).map_err(io::Error::other)?;
        let xml = with_wrong_buyer(&xml, &self.wrong_order())
            .ok_or_else(|| io::Error::other("the charge to spoil is not there"))?;
        contents.charges -= 1;
        contents.errors += 1;
        Ok((xml, contents))
    }

    /// Writes the file, over one that is there.
    pub fn write(&self, path: &Path) -> Result<Contents, SampleError> {
        let (xml, contents) = self.xml()?;
        std::fs::write(path, xml)?;
        Ok(contents)
    }

    fn prefix(&self) -> String {
        format!("S{:08X}", self.seed)
    }

    fn plan(&self) -> Result<Plan, SampleError> {
        let customers = demo::customer_ids()?;
        let mut buyers: Vec<(BuyerId, Option<CustomerId>)> = Vec::with_capacity(BUYERS.len());
        for (id, customer) in BUYERS.into_iter().zip(customers.into_iter().cycle()) {
            let id = Uuid::from_u128(id)
                .try_into()
                .map_err(|_| DemoError::Invalid)?;
            buyers.push((id, Some(customer)));
        }
        Ok(Plan {
            seed: u64::from(self.seed),
            prefix: self.prefix(),
            created_at: None,
            batches: self.batches,
            records_per_batch: self.records_per_batch,
            sellers: demo::seller_references()?,
            buyers,
            currency: "USD".parse().map_err(|_| DemoError::Invalid)?,
            refund_every: REFUND_EVERY,
            error_every: 0,
        })
    }

    /// The order of the charge to spoil: about in the middle of the first batch, and of a line that
    /// no refund follows, so that none waits for a charge that never comes.
    fn wrong_order(&self) -> String {
        let middle = self.records_per_batch / 2;
        let line = middle - middle % REFUND_EVERY + 1;
        format!("{}-1-{}", self.prefix(), line)
    }
}

/// The file with another buyer on one order's charge; `None` when there is no such charge. Control
/// totals stay right, as the amounts do.
fn with_wrong_buyer(xml: &str, order: &str) -> Option<String> {
    const BUYER: &str = "<BuyerId>";
    let charge = xml.find(&format!("<OrderNumber>{order}</OrderNumber>"))?;
    let start = charge + xml.get(charge..)?.find(BUYER)? + BUYER.len();
    let end = start + xml.get(start..)?.find('<')?;
    let (before, after) = (xml.get(..start)?, xml.get(end..)?);
    Some([before, WRONG_BUYER, after].concat())
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use weir_servicegate::{Item, Options, Reader};

    use super::*;

    fn sample(seed: u32, batches: u32, records_per_batch: u32) -> Sample {
        Sample {
            seed,
            batches,
            records_per_batch,
        }
    }

    /// The sound records, the records in error by line and code, and the batch numbers.
    fn read(xml: String) -> (u64, Vec<(u32, &'static str)>, Vec<String>) {
        let bytes = xml.into_bytes();
        let open = |byte: u64| {
            let mut cursor = Cursor::new(bytes.clone());
            cursor.set_position(byte);
            Ok(cursor)
        };
        let mut reader = Reader::new(open, Options::default());
        let (mut sound, mut errors, mut numbers) = (0, Vec::new(), Vec::new());
        while let Some(item) = reader.next_item().unwrap() {
            match item {
                Item::Record(record) => match &record.transaction {
                    Ok(_) => sound += 1,
                    Err(wrong) => errors.push((record.line.get(), wrong.problems[0].code.code())),
                },
                Item::BatchStart(header) => numbers.push(header.number.to_string()),
                Item::Problem(problem) => panic!("{problem}"),
                _ => {}
            }
        }
        (sound, errors, numbers)
    }

    #[test]
    fn a_sample_is_sound_but_for_one_record() {
        for records in [1, 4, 5, 9, 10, 11, 200] {
            let (xml, contents) = sample(7, 2, records).xml().unwrap();
            let (sound, errors, _) = read(xml);
            assert_eq!(sound, contents.charges + contents.refunds, "{records}");
            assert_eq!(errors.len(), 1, "{records}");
            assert_eq!(errors[0].1, "bcs.format_invalid", "{records}");
            assert_eq!(contents.errors, 1);
            assert_eq!(sound + 1, u64::from(2 * records));
        }
    }

    #[test]
    fn no_refund_waits_for_the_record_in_error() {
        for records in 1..=60 {
            let (xml, _) = sample(1, 1, records).xml().unwrap();
            let order = sample(1, 1, records).wrong_order();
            let named = xml
                .matches(&format!("<OrderNumber>{order}</OrderNumber>"))
                .count();
            assert_eq!(named, 1, "{records}");
        }
    }

    #[test]
    fn a_seed_gives_the_same_bytes_and_another_seed_other_batch_numbers() {
        let xml = |seed| sample(seed, 2, 10).xml().unwrap().0;
        assert_eq!(xml(0xF00), xml(0xF00));
        let (.., numbers) = read(xml(0xF00));
        assert_eq!(numbers, ["S00000F00-1", "S00000F00-2"]);
        let (.., others) = read(xml(u32::MAX));
        assert_eq!(others, ["SFFFFFFFF-1", "SFFFFFFFF-2"]);
    }

    #[test]
    fn a_sample_of_no_or_too_many_records_is_refused() {
        for (batches, records) in [(0, 1), (1, 0), (1, RECORDS_MAX + 1), (10_001, 1)] {
            let refused = sample(1, batches, records).xml();
            assert!(matches!(refused, Err(SampleError::Size)), "{batches}");
        }
    }
}
