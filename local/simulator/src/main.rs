//! `weir-simulator`: 3Rivers on the loopback as a process of its own.
//!
//! When it listens it prints one line of JSON, `{"ready":true,"three_rivers":"http://127.0.0.1:PORT"}`,
//! on standard output. It stops on SIGINT and SIGTERM; what it cannot start with it says on standard
//! error and ends with 1.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use secrecy::SecretString;
use tokio::signal::unix::{SignalKind, signal};
use uuid::Uuid;
use weir_runtime::Clock;
use weir_simulator::{Faults, Latency, Rate, Rules, Simulator, SimulatorOptions};

/// 3Rivers on the loopback: charges, refunds and buyers, with faults on demand.
#[derive(Debug, Parser)]
#[command(version)]
struct Flags {
    /// Where to listen; on the loopback. Port 0 takes any that is free.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// What ids and faults are derived from.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// An API key that is accepted; may be repeated. Without any, every key is accepted.
    #[arg(long = "api-key", value_name = "KEY")]
    api_keys: Vec<SecretString>,
    /// Where what was made is kept, so that it outlives the process.
    #[arg(long, value_name = "FILE")]
    state_file: Option<PathBuf>,
    /// A buyer that does not exist; may be repeated.
    #[arg(long = "unknown-buyer", value_name = "UUID")]
    unknown_buyers: Vec<Uuid>,
    /// Judge a refused request anew when it comes again under its key.
    #[arg(long)]
    forget_refusals: bool,
    /// How long an answer takes, in milliseconds: MIN-MAX or one number.
    #[arg(long, value_name = "MS", value_parser = latency)]
    latency_ms: Option<Latency>,
    /// How often a status is answered, such as 503=0.01; may be repeated.
    #[arg(long = "error", value_name = "STATUS=RATE", value_parser = error)]
    errors: Vec<(u16, Rate)>,
    /// What 429 and 503 say in Retry-After.
    #[arg(long, value_name = "SECONDS")]
    retry_after_s: Option<u32>,
    /// How often the connection is cut before anything is made.
    #[arg(long, value_name = "RATE", default_value_t)]
    cut_before: Rate,
    /// How often the connection is cut after everything was made.
    #[arg(long, value_name = "RATE", default_value_t)]
    cut_after_commit: Rate,
    /// How often the connection is cut within the answer.
    #[arg(long, value_name = "RATE", default_value_t)]
    cut_in_answer: Rate,
    /// How often no answer ever comes.
    #[arg(long, value_name = "RATE", default_value_t)]
    never_answer: Rate,
}

fn latency(text: &str) -> Result<Latency, String> {
    let (min, max) = text.split_once('-').unwrap_or((text, text));
    let number = |text: &str| {
        text.parse()
            .map_err(|_| "MIN-MAX, or one number".to_owned())
    };
    Ok(Latency {
        min_ms: number(min)?,
        max_ms: number(max)?,
    })
}

fn error(text: &str) -> Result<(u16, Rate), String> {
    let (status, rate) = text.split_once('=').ok_or("STATUS=RATE")?;
    let status = status.parse().map_err(|_| "a status is a number")?;
    Ok((
        status,
        rate.parse()
            .map_err(|error: weir_simulator::RateError| error.to_string())?,
    ))
}

impl Flags {
    fn options(self) -> SimulatorOptions {
        let mut rules = Rules {
            forget_refusals: self.forget_refusals,
            ..Rules::default()
        };
        rules.buyers.unknown.extend(self.unknown_buyers);
        SimulatorOptions {
            seed: self.seed,
            api_keys: (!self.api_keys.is_empty()).then_some(self.api_keys),
            faults: Faults {
                latency: self.latency_ms.unwrap_or_default(),
                errors: self.errors.into_iter().collect::<BTreeMap<_, _>>(),
                retry_after_s: self.retry_after_s,
                cut_before: self.cut_before,
                cut_after_commit: self.cut_after_commit,
                cut_in_answer: self.cut_in_answer,
                never_answer: self.never_answer,
            },
            rules,
            state_file: self.state_file,
        }
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Flags::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("weir-simulator: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(flags: Flags) -> Result<(), Box<dyn std::error::Error>> {
    // Before it is said to be ready, so that no signal is missed.
    let mut interrupted = signal(SignalKind::interrupt())?;
    let mut terminated = signal(SignalKind::terminate())?;
    let listen = flags.listen;
    let running = Simulator::start(listen, flags.options(), Clock::system()).await?;
    let ready = serde_json::json!({"ready": true, "three_rivers": running.base_url()});
    let mut out = std::io::stdout();
    writeln!(out, "{ready}")?;
    out.flush()?;
    tokio::select! {
        _ = interrupted.recv() => {}
        _ = terminated.recv() => {}
    }
    running.stop().await;
    Ok(())
}
