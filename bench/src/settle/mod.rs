//! The whole way of a file: from the object in S3 to every detail settled at the simulator, which
//! answers at once and without faults.

mod speed;
mod units;

use std::path::PathBuf;
use std::process::Stdio;

use weir_domain::ObjectIdentity;
use weir_local::demo;
use weir_servicegate::generate::{self, Contents};
use weir_settlement::upload::UploadScope;
use weir_simulator::Summary;
use weir_store::Store;

use crate::child::{self, Role};
use crate::measure::Values;
use crate::{Setting, sample};

/// Runs of the whole file; the fastest counts, being the one that others on the machine disturbed
/// least.
const RUNS: usize = 3;

/// Speed and processor time, of a process in which the whole local system runs and nothing else.
pub(crate) fn speed(setting: &Setting) -> anyhow::Result<Values> {
    let mut best = Values::new();
    for _ in 0..RUNS {
        let run = child::finish(child::start(Role::Settle, setting, Stdio::null())?)?;
        let speed = |run: &Values| run.get(speed::DETAILS_PER_S).copied().unwrap_or_default();
        if speed(&run) > speed(&best) {
            best = run;
        }
    }
    Ok(best)
}

/// Read and write units as DynamoDB reports them.
pub(crate) fn units(setting: &Setting) -> anyhow::Result<Values> {
    child::finish(child::start(Role::Units, setting, Stdio::null())?)
}

/// The child's part of measuring speed.
pub(crate) fn speed_here(setting: &Setting) -> anyhow::Result<Values> {
    runtime()?.block_on(speed::measure(setting))
}

/// The child's part of counting units.
pub(crate) fn units_here(setting: &Setting) -> anyhow::Result<Values> {
    runtime()?.block_on(units::measure(setting))
}

pub(crate) fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::ERROR)
        .with_writer(std::io::stderr)
        .init();
    Ok(tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?)
}

/// An empty folder for the state of one run.
fn fresh_folder(setting: &Setting) -> anyhow::Result<PathBuf> {
    let folder = setting.scratch.join("settle");
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    std::fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// A file to be settled, and what it holds.
struct Settlement {
    bytes: Vec<u8>,
    contents: Contents,
}

impl Settlement {
    fn generate(details: u32) -> anyhow::Result<Self> {
        let mut bytes = Vec::new();
        let contents = generate::generate(&sample::plan(details, 0)?, &mut bytes)?;
        Ok(Self { bytes, contents })
    }

    fn details(&self) -> u64 {
        self.contents.charges + self.contents.refunds
    }

    /// Puts it into the bucket, as the demo's program would.
    async fn put(self, store: &Store) -> anyhow::Result<ObjectIdentity> {
        let scope = UploadScope {
            client_id: demo::client_id()?,
            program_id: demo::program_id()?,
            seller_id: None,
        };
        Ok(store
            .put_upload(&scope.key("bench.xml"), self.bytes.into())
            .await?)
    }
}

/// A figure counts only when everything was charged, and once.
fn check(contents: &Contents, made: &Summary) -> anyhow::Result<()> {
    anyhow::ensure!(
        made.charges == contents.charges
            && made.refunds == contents.refunds
            && made.duplicates == 0,
        "the file holds {contents:?}, and 3Rivers has {made:?}"
    );
    Ok(())
}
