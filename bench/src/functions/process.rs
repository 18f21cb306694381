//! A function's process.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::Context;
use serde_json::Value;
use weir_runtime::Clock;

use super::runtime_api::{RuntimeApi, Seen};
use crate::machine;

/// When to give up waiting for a function.
const TIME_MAX: Duration = Duration::from_mins(5);

/// How a function is started.
pub(super) struct Function {
    pub(super) name: &'static str,
    pub(super) binary: PathBuf,
    pub(super) environment: Vec<(String, String)>,
    /// Where its log goes.
    pub(super) log: PathBuf,
    pub(super) clock: Clock,
}

/// A function that runs. Ends when it is dropped.
pub(super) struct Started {
    /// From its start until it asked for its first event.
    pub(super) took: Duration,
    api: RuntimeApi,
    child: Running,
    clock: Clock,
}

/// A process that does not outlive whoever has started it.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Function {
    /// Starts it, and waits until it asks for an event.
    pub(super) async fn start(&self) -> anyhow::Result<Started> {
        let mut api = RuntimeApi::start(&self.clock).await?;
        let mut command = Command::new(&self.binary);
        command
            .env_clear()
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .env("AWS_LAMBDA_RUNTIME_API", api.address.to_string())
            .env("AWS_LAMBDA_FUNCTION_NAME", self.name)
            .env("AWS_LAMBDA_FUNCTION_VERSION", "1")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&self.log)?);
        let began_at = self.clock.monotonic();
        let child = Running(command.spawn().context("start the function")?);
        let asked = self.clock.timeout(TIME_MAX, api.see()).await;
        let Seen::Asked(at) = asked.context("the function does not start")?? else {
            anyhow::bail!("{} did not start: see {}", self.name, self.log.display());
        };
        Ok(Started {
            took: at.saturating_sub(began_at),
            api,
            child,
            clock: self.clock.clone(),
        })
    }
}

impl Started {
    /// One invocation: what the event is answered with.
    pub(super) async fn invoke(&mut self, event: Value) -> anyhow::Result<Value> {
        self.api.send(event)?;
        loop {
            let seen = self.clock.timeout(TIME_MAX, self.api.see()).await;
            match seen.context("the function does not answer")?? {
                Seen::Asked(_) => {}
                Seen::Answered(answer) => return Ok(answer),
                Seen::Failed(why) => anyhow::bail!("the invocation failed: {why}"),
            }
        }
    }

    /// The processor time that it has used.
    pub(super) fn processor_time(&self) -> anyhow::Result<Duration> {
        machine::process_time_of(&self.child.0.id().to_string())
    }

    /// The most memory that it has had, in MB of 10^6 bytes.
    pub(super) fn peak_mb(&self) -> anyhow::Result<f64> {
        machine::peak_mb_of(&self.child.0.id().to_string())
    }
}
