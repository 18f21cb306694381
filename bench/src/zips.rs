//! How large the packages are that go to Lambda: `target/lambda`, as `make build` has left them.
//!
//! A cold start fetches and unpacks them, so their size is time.

use std::io::Write;

use anyhow::Context;

use crate::Setting;
use crate::measure::Values;

/// A function, and the names of its figures.
pub(crate) struct Figures {
    pub(crate) name: &'static str,
    zip: &'static str,
    /// Milliseconds until it asks for its first event.
    pub(crate) start: &'static str,
    /// Its most memory.
    pub(crate) peak: &'static str,
}

const fn figures(
    name: &'static str,
    zip: &'static str,
    start: &'static str,
    peak: &'static str,
) -> Figures {
    Figures {
        name,
        zip,
        start,
        peak,
    }
}

/// Every function.
pub(crate) const FUNCTIONS: [Figures; 7] = [
    figures(
        "action-api",
        "zips.action_api_mb",
        "functions.action_api.start_ms",
        "functions.action_api.peak_mb",
    ),
    figures(
        "dead-letter",
        "zips.dead_letter_mb",
        "functions.dead_letter.start_ms",
        "functions.dead_letter.peak_mb",
    ),
    figures(
        "detail-processor",
        "zips.detail_processor_mb",
        "functions.detail_processor.start_ms",
        "functions.detail_processor.peak_mb",
    ),
    figures(
        "query-api",
        "zips.query_api_mb",
        "functions.query_api.start_ms",
        "functions.query_api.peak_mb",
    ),
    figures(
        "reference-sync",
        "zips.reference_sync_mb",
        "functions.reference_sync.start_ms",
        "functions.reference_sync.peak_mb",
    ),
    figures(
        "settlement-upload",
        "zips.settlement_upload_mb",
        "functions.settlement_upload.start_ms",
        "functions.settlement_upload.peak_mb",
    ),
    figures(
        "sweeper",
        "zips.sweeper_mb",
        "functions.sweeper.start_ms",
        "functions.sweeper.peak_mb",
    ),
];

/// The sizes; one MB is 10^6 bytes. None where nothing was built.
pub(crate) fn sizes(setting: &Setting) -> anyhow::Result<Values> {
    let folder = &setting.packages;
    if !folder.exists() {
        let why = "zips: there are no packages to be measured; make build makes them";
        writeln!(std::io::stderr(), "{why}")?;
        return Ok(Values::new());
    }
    let size = |function: &Figures| {
        let path = folder.join(function.name).join("bootstrap.zip");
        let file = std::fs::metadata(&path)
            .with_context(|| format!("{} is missing: make build", path.display()))?;
        Ok((function.zip.to_owned(), file.len() as f64 / 1e6))
    };
    FUNCTIONS.iter().map(size).collect()
}
