//! The functions, built from their own settings, and what calls them: the queues' event source
//! mappings, the schedule and the gateway.

use std::time::Duration;

use aws_sdk_sqs::Client;
use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};
use weir_lambda::{Deadline, Parts};
use weir_runtime::{Clock, Metrics, Random, Reader};

use crate::embedded::{ACCOUNT_ID, Expiry, Outside, REGION, Sqs};
use crate::system::SystemError;
use crate::system::gateway::Gateway;
use crate::system::invoke::invoke;
use crate::system::pump::{Pump, QueueSpec};
use crate::system::tasks::Tasks;

/// The upload function's queue. Its time is short, so that continuations are part of daily life.
const UPLOADS: QueueSpec = QueueSpec {
    name: "uploads",
    timeout: Duration::from_secs(10),
};
/// The processor's queue.
const DETAILS: QueueSpec = QueueSpec {
    name: "details",
    timeout: Duration::from_secs(30),
};
/// The queue of the messages that bring reference data. What waits for another one comes again after
/// six times this.
const MESSAGES: QueueSpec = QueueSpec {
    name: "messages",
    timeout: Duration::from_secs(5),
};
/// The queues of the dead letters, which the queues above make.
const DEAD: [QueueSpec; 3] = [
    dead("uploads-dead"),
    dead("details-dead"),
    dead("messages-dead"),
];
/// How long the sweeper may run.
const SWEEP_TIMEOUT: Duration = Duration::from_mins(1);
/// Invocations of the processor at the same time.
const PROCESSORS: usize = 4;
/// Files that are taken at the same time.
const UPLOADERS: usize = 2;
/// How often items that have outlived their time are deleted. DynamoDB promises days; reading all
/// tables more often than this would slow down the rest.
const EXPIRE_EVERY: Duration = Duration::from_hours(1);

const fn dead(name: &'static str) -> QueueSpec {
    QueueSpec {
        name,
        timeout: Duration::from_secs(10),
    }
}

/// The functions, ready to be called.
pub(super) struct Functions {
    upload: weir_settlement_upload::State,
    process: weir_detail_processor::State,
    synchronize: weir_reference_sync::State,
    dead_letter: weir_dead_letter::State,
    sweep: weir_sweeper::State,
    query: weir_query_api::State,
    action: weir_action_api::State,
    clock: Clock,
}

/// Makes the functions' queues.
pub(super) async fn create_queues(sqs: &Client) -> Result<(), SystemError> {
    UPLOADS.create(sqs).await?;
    DETAILS.create(sqs).await?;
    MESSAGES.create(sqs).await
}

/// What a function is built from here. Its metrics go nowhere.
pub(super) fn parts(outside: &Outside) -> Parts {
    let (clock, random): (Clock, Random) = (outside.clock.clone(), outside.random.clone());
    Parts {
        metrics: Metrics::discarded(clock.clone()),
        clock,
        random,
    }
}

impl Functions {
    /// Builds them from their settings.
    pub(super) async fn build(
        environment: &[(String, String)],
        outside: &Outside,
    ) -> Result<Self, SystemError> {
        let mut reader = Reader::new(environment.iter().cloned());
        let upload = weir_settlement_upload::read(&mut reader);
        let process = weir_detail_processor::read(&mut reader);
        let synchronize = weir_reference_sync::read(&mut reader);
        let dead_letter = weir_dead_letter::read(&mut reader);
        let sweep = weir_sweeper::read(&mut reader);
        let query = weir_query_api::read(&mut reader);
        let action = weir_action_api::read(&mut reader);
        reader.finish()?;
        let upload = weir_settlement_upload::build(upload, parts(outside)).await;
        let process = weir_detail_processor::build(process, parts(outside)).await;
        let synchronize = weir_reference_sync::build(synchronize, parts(outside)).await;
        let dead_letter = weir_dead_letter::build(dead_letter, parts(outside)).await;
        let sweep = weir_sweeper::build(sweep, parts(outside)).await;
        let query = weir_query_api::build(query, parts(outside)).await;
        let action = weir_action_api::build(action, parts(outside)).await;
        Ok(Self {
            upload: upload.map_err(SystemError::Function)?,
            process: process.map_err(SystemError::Function)?,
            synchronize: synchronize.map_err(SystemError::Function)?,
            dead_letter: dead_letter.map_err(SystemError::Function)?,
            sweep: sweep.map_err(SystemError::Function)?,
            query: query.map_err(SystemError::Function)?,
            action: action.map_err(SystemError::Function)?,
            clock: outside.clock.clone(),
        })
    }

    /// The gateway before the API's functions.
    pub(super) fn gateway(&self, outside: &Outside) -> Gateway {
        Gateway {
            query: self.query.clone(),
            action: self.action.clone(),
            clock: outside.clock.clone(),
            random: outside.random.clone(),
        }
    }

    /// Has them called for as long as the tasks go on.
    pub(super) fn run(
        self,
        tasks: &mut Tasks,
        client: &Client,
        sqs: &Sqs,
        expiry: Expiry,
        sweep_every: Duration,
    ) {
        let pump = |queue: QueueSpec| Pump {
            sqs: client.clone(),
            url: sqs.queue_url(queue.name),
            queue,
            clock: self.clock.clone(),
        };
        for _ in 0..UPLOADERS {
            let state = self.upload.clone();
            let handler = move |event, deadline| {
                let state = state.clone();
                async move { weir_settlement_upload::handle(&state, event, deadline).await }
            };
            tasks.spawn("the upload function's trigger", pump(UPLOADS).run(handler));
        }
        for _ in 0..PROCESSORS {
            let state = self.process.clone();
            let handler = move |event, deadline| {
                let state = state.clone();
                async move { weir_detail_processor::handle(&state, event, deadline).await }
            };
            tasks.spawn("the processor's trigger", pump(DETAILS).run(handler));
        }
        let state = self.synchronize;
        let handler = move |event, deadline| {
            let state = state.clone();
            async move { weir_reference_sync::handle(&state, event, deadline).await }
        };
        let trigger = pump(MESSAGES).run(handler);
        tasks.spawn("the trigger of reference data", trigger);
        for queue in DEAD {
            let state = self.dead_letter.clone();
            let handler = move |event, deadline| {
                let state = state.clone();
                async move { weir_dead_letter::handle(&state, event, deadline).await }
            };
            tasks.spawn("the dead letters' trigger", pump(queue).run(handler));
        }
        let sweeping = sweep(self.sweep, self.clock.clone(), sweep_every);
        tasks.spawn("the sweeper's schedule", sweeping);
        tasks.spawn("the expiry of items", expire(expiry, self.clock));
    }
}

/// Runs the sweeper again and again.
async fn sweep(state: weir_sweeper::State, clock: Clock, every: Duration) {
    loop {
        let deadline = Deadline::after(SWEEP_TIMEOUT, &clock);
        let (state, event) = (state.clone(), schedule_event(clock.now()));
        let invocation = async move { weir_sweeper::handle(&state, event, deadline).await };
        if let Err(error) = invoke(&clock, SWEEP_TIMEOUT, invocation).await {
            tracing::error!(%error, "the sweeper failed");
        }
        clock.sleep(every).await;
    }
}

async fn expire(expiry: Expiry, clock: Clock) {
    loop {
        match expiry.sweep().await {
            Ok(0) => {}
            Ok(count) => tracing::info!(count, "items had outlived their time"),
            Err(error) => tracing::error!(%error, "expired items could not be deleted"),
        }
        clock.sleep(EXPIRE_EVERY).await;
    }
}

/// What EventBridge sends on a schedule.
fn schedule_event(now: DateTime<Utc>) -> Value {
    json!({
        "version": "0",
        "source": "aws.scheduler",
        "detail-type": "Scheduled Event",
        "time": now.to_rfc3339_opts(SecondsFormat::Secs, true),
        "region": REGION,
        "account": ACCOUNT_ID,
        "detail": {},
    })
}
