//! `weir-local`: the whole system in one process.

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use clap::{Args, Parser, Subcommand};
use weir_local::system::{Ports, System, SystemOptions};
use weir_runtime::telemetry::{self, TelemetryOptions};
use weir_runtime::{Clock, Reader};
use weir_simulator::Faults;

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
}

#[derive(Debug, Args)]
struct Serve {
    /// Where everything is kept; it survives a restart.
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

fn main() -> anyhow::Result<()> {
    let Arguments {
        command: Command::Serve(serve),
    } = Arguments::parse();
    // The embedded database warns of every failed condition, which here is daily life.
    let quiet = ("WEIR_LOG".to_owned(), "info,dynoxide=error".to_owned());
    let mut reader = Reader::new(std::iter::once(quiet).chain(std::env::vars()));
    let logging = TelemetryOptions::read(&mut reader);
    reader.finish()?;
    telemetry::init(&logging, &Clock::system())?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(run(serve))
}

async fn run(serve: Serve) -> anyhow::Result<()> {
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
        // What is set for this process is meant for the functions in it.
        settings: std::env::vars()
            .filter(|(name, _)| name.starts_with("WEIR_"))
            .collect(),
    };
    let data = options.data.clone();
    let system = System::start(options).await?;
    let lines: Vec<_> = system
        .environment()
        .iter()
        .map(|(name, value)| format!("{name}={value}\n"))
        .collect();
    std::fs::write(data.join("functions.env"), lines.concat()).context("write functions.env")?;
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{}", serde_json::to_string(system.ready())?)?;
    stdout.flush()?;
    drop(stdout);
    stopped().await?;
    tracing::info!("stopping");
    system.stop().await
}

/// Waits for Ctrl-C or for being asked to end.
async fn stopped() -> anyhow::Result<()> {
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => Ok(interrupted?),
        _ = terminate.recv() => Ok(()),
    }
}
