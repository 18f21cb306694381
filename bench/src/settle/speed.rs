//! How fast the local system settles a file.

use std::net::SocketAddr;
use std::time::Duration;

use weir_domain::{BatchOrdinal, BatchStatus, FileId, FileStatus};
use weir_local::system::{System, SystemOptions};
use weir_simulator::Faults;
use weir_store::{Stage, Store};

use super::{Settlement, check, fresh_folder};
use crate::measure::Values;
use crate::sample::BATCHES;
use crate::{Setting, machine};

/// The figure that runs are compared by.
pub(super) const DETAILS_PER_S: &str = "settle.details_per_s";
/// How often it is looked whether everything is done: often enough for a run of some seconds, rarely
/// enough to cost nothing.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// When to give up.
const TIME_MAX: Duration = Duration::from_mins(10);

/// When the split of the file was seen to begin and to end.
#[derive(Debug, Default)]
struct Seen {
    split_from: Option<Duration>,
    split_to: Option<Duration>,
}

/// Settles a file and tells how long it took from its upload to the last batch.
pub(super) async fn measure(setting: &Setting) -> anyhow::Result<Values> {
    let clock = &setting.clock;
    let folder = fresh_folder(setting)?;
    let system = System::start(SystemOptions {
        data: folder.clone(),
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        ports: weir_local::system::Ports::default(),
        faults: Faults::default(),
        seed: 1,
        register_sellers_of: None,
        sweep_every: Duration::from_secs(5),
        settings: Vec::new(),
    })
    .await?;
    let settlement = Settlement::generate(setting.details)?;
    let contents = settlement.contents;
    let details = settlement.details() as f64;
    let (begun, cpu_begun) = (clock.monotonic(), machine::process_time()?);
    let object = settlement.put(system.store()).await?;
    let file = FileId::of_object(&object);
    let mut seen = Seen::default();
    while !is_done(system.store(), file, &mut seen, clock.monotonic()).await? {
        anyhow::ensure!(
            clock.monotonic().saturating_sub(begun) < TIME_MAX,
            "the file is not done after {TIME_MAX:?}; so far {:?}",
            system.simulator().summary()
        );
        clock.sleep(LOOK_EVERY).await;
    }
    let took = clock.monotonic().saturating_sub(begun);
    let cpu = machine::process_time()?.saturating_sub(cpu_begun);
    let peak = machine::peak_mb()?;
    let made = system.simulator().summary();
    system.stop().await?;
    std::fs::remove_dir_all(&folder)?;
    check(&contents, &made)?;
    let mut values = Values::from([
        (DETAILS_PER_S.to_owned(), details / took.as_secs_f64()),
        (
            "settle.cpu_ms_per_detail".to_owned(),
            cpu.as_secs_f64() * 1_000.0 / details,
        ),
        ("settle.peak_mb".to_owned(), peak),
    ]);
    if let (Some(from), Some(to)) = (seen.split_from, seen.split_to) {
        let rate = details / to.saturating_sub(from).as_secs_f64();
        values.insert("settle.split_details_per_s".to_owned(), rate);
    }
    Ok(values)
}

/// Whether every batch of the file is done.
async fn is_done(
    store: &Store,
    id: FileId,
    seen: &mut Seen,
    now: Duration,
) -> anyhow::Result<bool> {
    let Some(file) = store.file(id).await? else {
        return Ok(false);
    };
    if file.stage == Stage::Splitting {
        seen.split_from.get_or_insert(now);
    }
    if matches!(file.stage, Stage::Enqueuing | Stage::Done) {
        seen.split_to.get_or_insert(now);
    }
    match file.status {
        FileStatus::Processed => {}
        FileStatus::Error => anyhow::bail!("the file was refused: {:?}", file.error_log),
        FileStatus::Stored | FileStatus::Processing => return Ok(false),
    }
    let (first, last) = (BatchOrdinal::new(1)?, BatchOrdinal::new(BATCHES)?);
    let batches = store.batches_of_file(id, first, last).await?;
    Ok(batches
        .iter()
        .all(|batch| batch.status != BatchStatus::Unprocessed))
}
