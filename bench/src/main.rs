//! `weir-bench`: how fast, how large and how costly the service is.
//!
//! Each benchmark is measured in this process or in a child of it, never against anything outside
//! the machine. Nothing here passes or fails: a table tells whether an aim was met, and
//! `target/bench.json` keeps the figures, merged with those of benchmarks that were not run. Only
//! a benchmark that could not be measured is an error.
#![allow(
    clippy::float_arithmetic,
    clippy::cast_precision_loss,
    reason = "measurements are rounded when they are shown; none of them is money"
)]

mod actions;
mod child;
mod functions;
mod machine;
mod measure;
mod messages;
mod query;
mod reader;
mod sample;
mod settle;
mod surroundings;
mod zips;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use weir_runtime::Clock;

use child::Role;
use measure::{Aim, Measure, Spec, Values};

/// The allocator of `weir-local`, as it is the local system that is measured.
#[cfg(not(debug_assertions))]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures the reader and the whole service, and writes the figures to a file.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// What to measure: names, or what they begin with, such as `reader`. Everything by default.
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// The file that keeps the figures of every benchmark.
    #[arg(long, value_name = "FILE", default_value = "target/bench.json")]
    out: PathBuf,
    /// A folder for scratch data; it is emptied.
    #[arg(long, value_name = "DIR", default_value = "target/bench")]
    scratch: PathBuf,
    /// Where the packages of the functions are.
    #[arg(long, value_name = "DIR", default_value = "target/lambda")]
    packages: PathBuf,
    /// Details in the file that is settled.
    #[arg(long, value_name = "COUNT", default_value_t = 20_000)]
    details: u32,
    /// Is told what to do by its parent.
    #[arg(long, hide = true)]
    child: Option<Role>,
}

/// What a benchmark is given.
struct Setting {
    clock: Clock,
    scratch: PathBuf,
    packages: PathBuf,
    details: u32,
}

/// Some figures that are measured together.
struct Benchmark {
    measures: &'static [Spec],
    run: fn(&Setting) -> anyhow::Result<Values>,
}

const BENCHMARKS: &[Benchmark] = &[
    Benchmark {
        measures: &[
            Spec::new("reader.mb_per_s", "MB/s", Aim::None),
            Spec::new("reader.keep_xml_mb_per_s", "MB/s", Aim::None),
            Spec::new("reader.bare_mb_per_s", "MB/s", Aim::None),
            Spec::new("reader.ratio_to_bare", "", Aim::AtLeast(0.5)),
        ],
        run: reader::speed,
    },
    Benchmark {
        measures: &[Spec::new("reader.peak_mb_1gb", "MB", Aim::Below(256.0))],
        run: reader::memory,
    },
    Benchmark {
        measures: &[
            Spec::new("settle.details_per_s", "1/s", Aim::AtLeast(1_500.0)),
            Spec::new("settle.split_details_per_s", "1/s", Aim::None),
            Spec::new("settle.cpu_ms_per_detail", "ms", Aim::None),
            Spec::new("settle.peak_mb", "MB", Aim::None),
        ],
        run: settle::speed,
    },
    Benchmark {
        measures: &[
            Spec::new("settle.write_units_per_detail", "units", Aim::AtMost(15.0)),
            Spec::new("settle.read_units_per_detail", "units", Aim::None),
        ],
        run: settle::units,
    },
    Benchmark {
        measures: &[
            Spec::new("query.by_id.p50_ms", "ms", Aim::None),
            Spec::new("query.by_id.p99_ms", "ms", Aim::Below(300.0)),
            Spec::new("query.by_id.read_units", "units", Aim::None),
            Spec::new("query.batch_page.p50_ms", "ms", Aim::None),
            Spec::new("query.batch_page.p99_ms", "ms", Aim::Below(300.0)),
            Spec::new("query.batch_page.read_units", "units", Aim::None),
            Spec::new("query.errors.p50_ms", "ms", Aim::None),
            Spec::new("query.errors.p99_ms", "ms", Aim::Below(300.0)),
            Spec::new("query.errors.read_units", "units", Aim::None),
            Spec::new("query.page_4000.p50_ms", "ms", Aim::None),
            Spec::new("query.page_4000.p99_ms", "ms", Aim::Below(300.0)),
            Spec::new("query.page_4000.read_units", "units", Aim::None),
            Spec::new("query.cursor.p50_ms", "ms", Aim::None),
            Spec::new("query.cursor.p99_ms", "ms", Aim::Below(300.0)),
            Spec::new("query.cursor.read_units", "units", Aim::None),
            Spec::new("query.sort_in_file.p50_ms", "ms", Aim::None),
            Spec::new("query.sort_in_file.p99_ms", "ms", Aim::None),
            Spec::new("query.sort_in_file.read_units", "units", Aim::None),
        ],
        run: query,
    },
    Benchmark {
        measures: &[
            Spec::new("messages.per_s", "1/s", Aim::None),
            Spec::new("messages.write_units_per_message", "units", Aim::None),
            Spec::new("messages.read_units_per_message", "units", Aim::None),
        ],
        run: messages,
    },
    Benchmark {
        measures: &[
            Spec::new("actions.cancel.answer_s", "s", Aim::None),
            Spec::new("actions.cancel.done_s", "s", Aim::None),
            Spec::new("actions.cancel.units_per_detail", "units", Aim::None),
            Spec::new("actions.retry.answer_s", "s", Aim::None),
            Spec::new("actions.retry.done_s", "s", Aim::None),
            Spec::new("actions.retry.units_per_detail", "units", Aim::None),
            Spec::new("actions.confirm.answer_s", "s", Aim::None),
            Spec::new("actions.confirm.done_s", "s", Aim::None),
            Spec::new("actions.confirm.units_per_detail", "units", Aim::None),
        ],
        run: actions,
    },
    Benchmark {
        measures: &[
            Spec::new("zips.action_api_mb", "MB", Aim::AtMost(4.0)),
            Spec::new("zips.dead_letter_mb", "MB", Aim::AtMost(4.0)),
            Spec::new("zips.detail_processor_mb", "MB", Aim::AtMost(4.0)),
            Spec::new("zips.query_api_mb", "MB", Aim::AtMost(4.0)),
            Spec::new("zips.reference_sync_mb", "MB", Aim::AtMost(4.0)),
            Spec::new("zips.settlement_upload_mb", "MB", Aim::AtMost(4.0)),
            Spec::new("zips.sweeper_mb", "MB", Aim::AtMost(4.0)),
        ],
        run: zips::sizes,
    },
    Benchmark {
        measures: &[
            Spec::new("functions.action_api.start_ms", "ms", Aim::None),
            Spec::new("functions.action_api.peak_mb", "MB", Aim::None),
            Spec::new("functions.dead_letter.start_ms", "ms", Aim::None),
            Spec::new("functions.dead_letter.peak_mb", "MB", Aim::None),
            Spec::new("functions.detail_processor.start_ms", "ms", Aim::None),
            Spec::new("functions.detail_processor.peak_mb", "MB", Aim::None),
            Spec::new(
                "functions.detail_processor.cpu_ms_per_detail",
                "ms",
                Aim::None,
            ),
            Spec::new(
                "functions.detail_processor.messages_per_detail",
                "1",
                Aim::None,
            ),
            Spec::new("functions.query_api.start_ms", "ms", Aim::None),
            Spec::new("functions.query_api.peak_mb", "MB", Aim::None),
            Spec::new("functions.reference_sync.start_ms", "ms", Aim::None),
            Spec::new("functions.reference_sync.peak_mb", "MB", Aim::None),
            Spec::new("functions.settlement_upload.start_ms", "ms", Aim::None),
            Spec::new("functions.settlement_upload.peak_mb", "MB", Aim::None),
            Spec::new(
                "functions.settlement_upload.cpu_ms_per_detail",
                "ms",
                Aim::None,
            ),
            Spec::new("functions.sweeper.start_ms", "ms", Aim::None),
            Spec::new("functions.sweeper.peak_mb", "MB", Aim::None),
        ],
        run: functions::measure,
    },
];

/// What people do to a whole batch, in a process of its own.
fn actions(setting: &Setting) -> anyhow::Result<Values> {
    child::finish(child::start(
        Role::Actions,
        setting,
        std::process::Stdio::null(),
    )?)
}

/// Messages that bring reference data, in a process of their own.
fn messages(setting: &Setting) -> anyhow::Result<Values> {
    let child = child::start(Role::Messages, setting, std::process::Stdio::null())?;
    child::finish(child)
}

/// Questions to the API, in a process of their own.
fn query(setting: &Setting) -> anyhow::Result<Values> {
    child::finish(child::start(
        Role::Query,
        setting,
        std::process::Stdio::null(),
    )?)
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let setting = Setting {
        clock: Clock::system(),
        scratch: arguments.scratch.clone(),
        packages: arguments.packages.clone(),
        details: arguments.details,
    };
    let done = match arguments.child {
        Some(role) => child::run(role, &setting).map(|()| true),
        None => run(&arguments, &setting),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            let _ = writeln!(io::stderr(), "weir-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs what was asked for; `false` when some of it could not be measured.
fn run(arguments: &Arguments, setting: &Setting) -> anyhow::Result<bool> {
    let chosen = |spec: &Spec| {
        let named = |name: &String| spec.name.starts_with(name.as_str());
        arguments.names.is_empty() || arguments.names.iter().any(named)
    };
    let is_chosen = |benchmark: &&Benchmark| benchmark.measures.iter().any(chosen);
    anyhow::ensure!(
        BENCHMARKS.iter().any(|benchmark| is_chosen(&benchmark)),
        "nothing is called that; there are: {}",
        all_names()
    );
    let mut out = io::stdout().lock();
    writeln!(out, "{}", machine::description())?;
    let mut measured = Vec::new();
    let mut all = true;
    for benchmark in BENCHMARKS.iter().filter(is_chosen) {
        let name = benchmark.measures.first().map_or("", |spec| spec.name);
        let busy = machine::BusyMeter::start();
        match (benchmark.run)(setting) {
            Ok(values) => {
                let specs = benchmark.measures.iter().copied();
                let found: Vec<_> = specs
                    .filter_map(|spec| Some(Measure::new(spec, *values.get(spec.name)?)))
                    .collect();
                measure::keep(&arguments.out, &found)?;
                measured.extend(found);
            }
            Err(error) => {
                all = false;
                writeln!(io::stderr(), "{name} could not be measured: {error:#}")?;
            }
        }
        if let Some(others) = busy.others_cores() {
            writeln!(out, "{name}: others kept {others:.1} cores busy meanwhile")?;
        }
    }
    writeln!(out, "{}", measure::table(&measured))?;
    Ok(all)
}

fn all_names() -> String {
    let specs = BENCHMARKS.iter().flat_map(|benchmark| benchmark.measures);
    let names: Vec<_> = specs.map(|spec| spec.name).collect();
    names.join(", ")
}
