//! `weir-local`: the whole system in one process.

use std::env::VarError;
use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use clap::{Args, Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};
use weir_local::sample::Sample;
use weir_local::system::{Ports, System, SystemOptions, TUNABLE};
use weir_runtime::telemetry::{self, TelemetryOptions};
use weir_runtime::{Clock, Random, Reader};
use weir_servicegate::generate::Contents;
use weir_simulator::Faults;

/// What the embedded database allocates, for every attribute of every item, costs a sixth less time
/// so. A debug build has it unoptimized and would lose by it.
#[cfg(not(debug_assertions))]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The whole system in one process, on embedded parts. For a laptop, never for money.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve everything until Ctrl-C. Prints one JSON line when ready.
    Serve(Serve),
    /// Write a settlement file of the demo's sellers, with one record in error.
    Sample(SampleArguments),
}

#[derive(Debug, Args)]
struct Serve {
    /// Where everything is kept; it survives a restart. Others are shut out of it.
    #[arg(long, value_name = "DIR", default_value = ".weir")]
    data: PathBuf,
    /// Where the API listens, on the loopback.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// A fixed port for DynamoDB.
    #[arg(long, value_name = "PORT")]
    dynamodb_port: Option<u16>,
    /// A fixed port for S3.
    #[arg(long, value_name = "PORT")]
    s3_port: Option<u16>,
    /// A fixed port for SQS.
    #[arg(long, value_name = "PORT")]
    sqs_port: Option<u16>,
    /// A fixed port for the 3Rivers simulator.
    #[arg(long, value_name = "PORT")]
    three_rivers_port: Option<u16>,
    /// What the simulator does wrong, as JSON: see `PUT /_sim/faults`.
    #[arg(long, value_name = "JSON", default_value = "{}")]
    faults: String,
    /// What the simulator's ids and faults are derived from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Make the sellers that this settlement file names known.
    #[arg(long, value_name = "FILE")]
    register_sellers_of: Option<PathBuf>,
    /// How often the sweeper runs.
    #[arg(long, value_name = "SECONDS", default_value_t = 5)]
    sweep_seconds: u64,
}

#[derive(Debug, Args)]
struct SampleArguments {
    /// Where the file is written, over one that is there.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// What the file is derived from; batch and order numbers begin with it. Random by default.
    #[arg(long)]
    seed: Option<u32>,
    /// How many batches.
    #[arg(long, default_value_t = 2)]
    batches: u32,
    /// How many charges and refunds in each batch.
    #[arg(long, default_value_t = 200)]
    records: u32,
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().command {
        Command::Serve(serve) => start(serve),
        Command::Sample(arguments) => sample(&arguments),
    }
}

fn start(serve: Serve) -> anyhow::Result<()> {
    let settings = settings()?;
    // The embedded database warns of every failed condition, which here is daily life.
    let quiet = ("WEIR_LOG".to_owned(), "info,dynoxide=error".to_owned());
    let mut reader = Reader::new(std::iter::once(quiet).chain(settings.iter().cloned()));
    let logging = TelemetryOptions::read(&mut reader);
    reader.finish()?;
    telemetry::init(&logging, &Clock::system())?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(run(serve, settings))
}

/// What is set for this process of all that may be set. Everything else that it is started with is
/// meant for something else, such as a deployment.
fn settings() -> anyhow::Result<Vec<(String, String)>> {
    let mut settings = Vec::new();
    for name in TUNABLE {
        match std::env::var(name) {
            // As everywhere, an empty variable counts as not set.
            Ok(value) if value.is_empty() => {}
            Ok(value) => settings.push((name.to_owned(), value)),
            Err(VarError::NotPresent) => {}
            Err(VarError::NotUnicode(_)) => anyhow::bail!("{name} is not Unicode: set it anew"),
        }
    }
    Ok(settings)
}

async fn run(serve: Serve, settings: Vec<(String, String)>) -> anyhow::Result<()> {
    let faults: Faults = serde_json::from_str(&serve.faults).context("--faults is not valid")?;
    let options = SystemOptions {
        data: serve.data,
        listen: serve.listen,
        ports: Ports {
            dynamodb: serve.dynamodb_port,
            s3: serve.s3_port,
            sqs: serve.sqs_port,
            three_rivers: serve.three_rivers_port,
        },
        faults,
        seed: serve.seed,
        register_sellers_of: serve.register_sellers_of,
        sweep_every: Duration::from_secs(serve.sweep_seconds.max(1)),
        settings,
    };
    // Before anything is said: whoever reads the ready line may end the process at once.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut system = System::start(options).await?;
    system.write_environment()?;
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{}", serde_json::to_string(system.ready())?)?;
    stdout.flush()?;
    drop(stdout);
    let ended = tokio::select! {
        _ = terminate.recv() => None,
        _ = interrupt.recv() => None,
        part = system.ended() => Some(part),
    };
    if let Some(part) = ended {
        tracing::error!(part, "a part has ended by itself");
    }
    tracing::info!("stopping");
    let stopped = system.stop().await;
    match ended {
        None => Ok(stopped?),
        Some(part) => {
            let reason = stopped.err().map(|error| format!(": {error}"));
            let reason = reason.unwrap_or_default();
            anyhow::bail!("{part} has ended by itself{reason}; start again, what it kept is there")
        }
    }
}

fn sample(arguments: &SampleArguments) -> anyhow::Result<()> {
    let sample = Sample {
        seed: arguments.seed.unwrap_or_else(any_seed),
        batches: arguments.batches,
        records_per_batch: arguments.records,
    };
    let Contents {
        charges,
        refunds,
        errors,
    } = sample.write(&arguments.out)?;
    writeln!(
        std::io::stdout(),
        "{}: {} batches, {charges} charges, {refunds} refunds, {errors} record in error (seed {})",
        arguments.out.display(),
        sample.batches,
        sample.seed,
    )?;
    Ok(())
}

fn any_seed() -> u32 {
    u32::try_from(Random::system().below(1 << 32)).unwrap_or_default()
}
