//! The functions as Lambda runs them: how long each takes from its start until it asks for its first event,
//! and how much memory it needs for its load.
//!
//! Every function is a process of its own with the binary of its package, with the settings that a
//! deployment gives it, before a stand-in of Lambda's runtime API; what it talks to are the embedded
//! parts, in this process. What Lambda does before, fetching and unpacking the package and starting a
//! virtual machine, is in no figure.

mod load;
mod packages;
mod process;
mod runtime_api;

use std::io::Write;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, anyhow};
use weir_runtime::Clock;

use crate::child::{self, Role};
use crate::measure::Values;
use crate::surroundings::Surroundings;
use crate::zips::FUNCTIONS;
use crate::{Setting, settle};

use load::Load;
use packages::Binaries;
use process::{Function, Started};

/// How often each is started; the median counts.
const STARTS: usize = 9;

/// Measures them, in a process of their own.
pub(crate) fn measure(setting: &Setting) -> anyhow::Result<Values> {
    child::finish(child::start(Role::Functions, setting, Stdio::null())?)
}

/// The child's part.
pub(crate) fn measure_here(setting: &Setting) -> anyhow::Result<Values> {
    let folder = setting.scratch.join("functions");
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    std::fs::create_dir_all(&folder)?;
    let binaries = Binaries::find(&setting.packages, &folder)?;
    writeln!(std::io::stderr(), "functions: {}", binaries.what)?;
    settle::runtime()?.block_on(measure_all(&binaries, &folder, &setting.clock))
}

async fn measure_all(binaries: &Binaries, folder: &Path, clock: &Clock) -> anyhow::Result<Values> {
    let objects = folder.join("objects");
    std::fs::create_dir_all(&objects)?;
    let (surroundings, parts) = Surroundings::start(&objects).await?;
    let load = Load::prepare(&surroundings, &parts).await?;
    let mut values = Values::new();
    // In this order: each finds what those before it have made.
    for name in [
        "settlement-upload",
        "detail-processor",
        "query-api",
        "action-api",
        "sweeper",
        "reference-sync",
        "dead-letter",
    ] {
        let figures = FUNCTIONS.iter().find(|known| known.name == name);
        let figures = figures.ok_or_else(|| anyhow!("{name} has no figures"))?;
        let function = Function {
            name,
            binary: binaries.path(name)?,
            environment: surroundings.environment(),
            log: folder.join(format!("{name}.log")),
            clock: clock.clone(),
        };
        let mut starts = Vec::with_capacity(STARTS);
        for _ in 0..STARTS {
            starts.push(function.start().await?.took);
        }
        values.insert(figures.start.to_owned(), median_ms(&mut starts));
        let mut started = function.start().await?;
        let seen = load.put_on(&mut started, name).await;
        values.extend(seen.with_context(|| format!("{name}; see {}", function.log.display()))?);
        values.insert(figures.peak.to_owned(), started.peak_mb()?);
    }
    surroundings.stop().await?;
    std::fs::remove_dir_all(&objects)?;
    Ok(values)
}

fn median_ms(times: &mut [Duration]) -> f64 {
    times.sort_unstable();
    let middle = times.get(times.len() / 2).copied().unwrap_or_default();
    middle.as_secs_f64() * 1e3
}

/// A function that has asked for its first event, and is sent others.
impl Started {
    /// Sends events one after the other; no record of them may come back.
    async fn take_all(
        &mut self,
        events: impl IntoIterator<Item = serde_json::Value>,
    ) -> anyhow::Result<()> {
        for event in events {
            let answer = self.invoke(event).await?;
            anyhow::ensure!(
                answer.pointer("/batchItemFailures/0").is_none(),
                "records came back: {answer}"
            );
        }
        Ok(())
    }
}
