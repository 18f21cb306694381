//! The `sweeper` function: every few minutes it wakes what nothing is working on.
//!
//! Triggered by a schedule; whatever the event says, it sweeps. Answers what it did.

use serde_json::Value;
use weir_lambda::{BuildError, Deadline, Parts};
use weir_runtime::{AwsClients, AwsOptions, Clock, Reader};
use weir_settlement::TimeLimit;
use weir_settlement::sweep::{SweepError, SweepOptions, Sweeper};
use weir_store::{Names, Store};

/// What the function reads from its environment.
#[derive(Debug)]
pub struct Settings {
    aws: AwsOptions,
    names: Names,
    options: SweepOptions,
}

/// What lives from one invocation to the next.
#[derive(Debug, Clone)]
pub struct State {
    /// The use case.
    pub sweeper: Sweeper,
    /// Time.
    pub clock: Clock,
}

/// Reads the settings; problems are noted in the reader.
pub fn read(reader: &mut Reader) -> Settings {
    Settings {
        aws: AwsOptions::read(reader),
        names: Names::read(reader),
        options: SweepOptions::read(reader),
    }
}

/// Builds the state.
pub async fn build(settings: Settings, parts: Parts) -> Result<State, BuildError> {
    let clients = AwsClients::new(&settings.aws).await;
    let store = Store::new(
        clients,
        settings.names,
        parts.clock.clone(),
        parts.random.clone(),
    );
    let sweeper = Sweeper {
        store,
        clock: parts.clock.clone(),
        random: parts.random,
        metrics: parts.metrics,
        options: settings.options,
    };
    Ok(State {
        sweeper,
        clock: parts.clock,
    })
}

/// Sweeps once.
pub async fn handle(state: &State, _event: Value, deadline: Deadline) -> Result<Value, SweepError> {
    let limit = TimeLimit::after(deadline.usable(), &state.clock);
    let swept = state.sweeper.sweep(&limit).await?;
    // A handful of numbers always has a JSON form.
    Ok(serde_json::to_value(swept).unwrap_or(Value::Null))
}
