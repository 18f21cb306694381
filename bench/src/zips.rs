//! How large the packages are that go to Lambda: `target/lambda`, as `make build` has left them.
//!
//! A cold start fetches and unpacks them, so their size is time.

use std::io::Write;
use std::path::Path;

use anyhow::Context;

use crate::Setting;
use crate::measure::Values;

/// Where `make build` leaves the packages.
const FOLDER: &str = "target/lambda";
/// The packages, by the names of their figures.
const PACKAGES: [(&str, &str); 7] = [
    ("zips.action_api_mb", "action-api"),
    ("zips.dead_letter_mb", "dead-letter"),
    ("zips.detail_processor_mb", "detail-processor"),
    ("zips.query_api_mb", "query-api"),
    ("zips.reference_sync_mb", "reference-sync"),
    ("zips.settlement_upload_mb", "settlement-upload"),
    ("zips.sweeper_mb", "sweeper"),
];

/// The sizes; one MB is 10^6 bytes. None where nothing was built.
pub(crate) fn sizes(_: &Setting) -> anyhow::Result<Values> {
    if !Path::new(FOLDER).exists() {
        let why = "zips: there are no packages to be measured; make build makes them";
        writeln!(std::io::stderr(), "{why}")?;
        return Ok(Values::new());
    }
    let size = |(figure, function): (&str, &str)| {
        let path = Path::new(FOLDER).join(function).join("bootstrap.zip");
        let file = std::fs::metadata(&path)
            .with_context(|| format!("{} is missing: make build", path.display()))?;
        Ok((figure.to_owned(), file.len() as f64 / 1e6))
    };
    PACKAGES.into_iter().map(size).collect()
}
