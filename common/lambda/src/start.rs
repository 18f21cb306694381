//! Starts a function in Lambda.

use std::any::Any;
use std::fmt::Display;
use std::panic::AssertUnwindSafe;
use std::process::ExitCode;
use std::thread::available_parallelism;

use futures::FutureExt;
use lambda_runtime::{Context, Diagnostic, LambdaEvent, service_fn};
use serde_json::Value;
use tracing::Instrument;
use weir_runtime::telemetry::{self, TelemetryOptions};
use weir_runtime::{Clock, ConfigError, CorrelationId, Metric, Metrics, Namespace, Random, Reader};

use crate::deadline::Deadline;

/// Why a function's state could not be built.
pub type BuildError = Box<dyn std::error::Error + Send + Sync>;

/// What every function is given to build its state from.
#[derive(Debug, Clone)]
pub struct Parts {
    /// The system's clock.
    pub clock: Clock,
    /// The system's randomness.
    pub random: Random,
    /// Metrics on standard output, flushed after every invocation.
    pub metrics: Metrics,
}

/// Runs a function until Lambda stops it.
///
/// `read` takes the function's settings from the environment, `build` makes its state of them once,
/// and `handle` is called for each event, one at a time. A handler that fails or panics fails its
/// invocation and nothing else.
///
/// Ends with exit code 1, and one line in the log that lists every problem, when the settings are
/// wrong or the process was not started by Lambda or `cargo lambda`; with the reason in the log when
/// the state cannot be built or Lambda cannot be reached. No value of a setting is ever shown.
pub fn start<C, S, E>(
    function_name: &'static str,
    read: impl FnOnce(&mut Reader) -> C,
    build: impl AsyncFnOnce(C, Parts) -> Result<S, BuildError>,
    handle: impl AsyncFn(&S, Value, Deadline) -> Result<Value, E>,
) -> ExitCode
where
    E: Display,
{
    let clock = Clock::system();
    let mut reader = Reader::from_env();
    let options = TelemetryOptions::read(&mut reader);
    let namespace = Namespace::read(&mut reader);
    require_lambda(&mut reader);
    let settings = read(&mut reader);
    let read = reader.finish();
    let options = if read.is_ok() {
        options
    } else {
        TelemetryOptions::default()
    };
    if let Err(error) = telemetry::init(&options, &clock) {
        // Somebody else logs already, which serves as well.
        tracing::warn!(%error, "logging was not set up again");
    }
    let outcome = read.map_err(StartError::Settings).and_then(|()| {
        let parts = Parts {
            random: Random::system(),
            metrics: Metrics::stdout(namespace, function_name, clock.clone()),
            clock,
        };
        executor()?.block_on(run(settings, parts, build, handle))
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let error: &(dyn std::error::Error + 'static) = &error;
            tracing::error!(error, function_name, "the function cannot run");
            ExitCode::FAILURE
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum StartError {
    #[error(transparent)]
    Settings(ConfigError),
    #[error("the threads could not be started")]
    Executor(#[source] std::io::Error),
    #[error("the state could not be built")]
    Build(#[source] BuildError),
    #[error("the connection to Lambda was lost")]
    Lambda(#[source] lambda_runtime::Error),
}

/// The runtime panics without these, so their absence is reported like any other problem.
fn require_lambda(reader: &mut Reader) {
    for name in [
        "AWS_LAMBDA_RUNTIME_API",
        "AWS_LAMBDA_FUNCTION_NAME",
        "AWS_LAMBDA_FUNCTION_VERSION",
    ] {
        let _ = reader.text(name);
    }
    let memory = "AWS_LAMBDA_FUNCTION_MEMORY_SIZE";
    let is_set = !reader.text(memory).is_empty();
    if is_set {
        let _: Option<i32> = reader.parsed(memory, "a whole number of megabytes");
    }
}

fn executor() -> Result<tokio::runtime::Runtime, StartError> {
    // A record that computes for long must not hold up the timer that watches the deadline, so
    // there are two threads even where there is one processor.
    let threads = available_parallelism().map_or(2, |threads| threads.get().max(2));
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .enable_all()
        .build()
        .map_err(StartError::Executor)
}

async fn run<C, S, E>(
    settings: C,
    parts: Parts,
    build: impl AsyncFnOnce(C, Parts) -> Result<S, BuildError>,
    handle: impl AsyncFn(&S, Value, Deadline) -> Result<Value, E>,
) -> Result<(), StartError>
where
    E: Display,
{
    let state = build(settings, parts.clone())
        .await
        .map_err(StartError::Build)?;
    let (state, parts, handle) = (&state, &parts, &handle);
    let service = service_fn(move |event: LambdaEvent<Value>| async move {
        let LambdaEvent { payload, context } = event;
        let deadline = Deadline::from_context(&context, &parts.clock);
        // In a box: a handler's future is nested nearly as deeply as the compiler can measure by itself.
        let work = Box::pin(handle(state, payload, deadline));
        invoke(parts, &context, work).await
    });
    lambda_runtime::run(service)
        .await
        .map_err(StartError::Lambda)
}

/// One invocation: in a span with its request id, contained, measured, its metrics written.
async fn invoke<E: Display>(
    parts: &Parts,
    context: &Context,
    work: impl Future<Output = Result<Value, E>>,
) -> Result<Value, Diagnostic> {
    let correlation = CorrelationId::new(context.request_id.as_str())
        .unwrap_or_else(|_| CorrelationId::generate(&parts.random, &parts.clock));
    let began_at = parts.clock.monotonic();
    let outcome = AssertUnwindSafe(work)
        .catch_unwind()
        .instrument(telemetry::span(&correlation))
        .await;
    let took = parts.clock.monotonic().saturating_sub(began_at);
    parts.metrics.duration(Metric::InvocationTime, took);
    let handed_back = handed_back_count(outcome.as_ref().ok());
    if handed_back > 0 {
        parts.metrics.count(Metric::RecordsFailed, handed_back);
    }
    parts.metrics.flush();
    match outcome {
        Ok(outcome) => outcome.map_err(|error| diagnostic("Failed", error.to_string())),
        Err(payload) => Err(panicked(payload)),
    }
}

/// How many records an answer hands back to their queue.
fn handed_back_count<E>(outcome: Option<&Result<Value, E>>) -> u64 {
    let Some(Ok(answer)) = outcome else {
        return 0;
    };
    let failures = answer.get("batchItemFailures").and_then(Value::as_array);
    failures.map_or(0, |failures| {
        u64::try_from(failures.len()).unwrap_or(u64::MAX)
    })
}

/// The panic hook has logged where and why; the caller learns only that.
fn panicked(payload: Box<dyn Any + Send>) -> Diagnostic {
    // A payload may panic in turn when it is dropped, and nothing is gained by dropping it.
    std::mem::forget(payload);
    diagnostic("Panicked", "the function panicked".to_owned())
}

fn diagnostic(error_type: &str, error_message: String) -> Diagnostic {
    Diagnostic {
        error_type: error_type.to_owned(),
        error_message,
    }
}
