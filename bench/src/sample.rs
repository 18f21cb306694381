//! The files that are measured with: realistic ones, the same on every machine.

use std::io::Write;

use weir_local::demo;
use weir_servicegate::generate::{self, Contents, Plan};

/// Records that make about a megabyte.
const RECORDS_PER_MB: u32 = 740;
/// Batches of a file.
pub(crate) const BATCHES: u32 = 4;

/// A file of the demo's sellers and customers: one record in ten refunds the charge before it.
pub(crate) fn plan(records: u32, error_every: u32) -> anyhow::Result<Plan> {
    let customers = demo::customer_ids()?;
    let buyer = |(place, customer)| -> anyhow::Result<_> {
        let id = format!("55555555-0000-4000-8000-{place:012}");
        Ok((id.parse()?, Some(customer)))
    };
    Ok(Plan {
        seed: 7,
        prefix: "BENCH".to_owned(),
        created_at: None,
        batches: BATCHES,
        records_per_batch: records / BATCHES,
        sellers: demo::seller_references()?,
        buyers: (1..)
            .zip(customers)
            .map(buyer)
            .collect::<anyhow::Result<_>>()?,
        currency: "USD".parse()?,
        refund_every: 10,
        error_every,
    })
}

/// Writes a file of about so many megabytes, with one record in a thousand in error.
pub(crate) fn write_mb<W: Write>(megabytes: u32, out: W) -> anyhow::Result<Contents> {
    let plan = plan(megabytes * RECORDS_PER_MB, 1_000)?;
    Ok(generate::generate(&plan, out)?)
}
