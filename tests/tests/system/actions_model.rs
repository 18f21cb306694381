//! Whatever several people do to a batch at the same time, while it is processed and everything that
//! can go wrong does: what they were told is what happened, and nobody is charged twice.
//!
//! Each seed is a world of its own. In it some hands cancel, retry, revive, draft, confirm and drop
//! drafts, for details that they name and for the whole batch, and are now and then stopped in the
//! middle; processors get messages twice, late and out of order, and are stopped as well; requests to
//! DynamoDB and SQS are lost, repeated, late and refused, and 3Rivers fails. When all have come to
//! rest, each detail's history is played again on a model, and every answer that a hand was given is
//! held against it ([`checks`](super::actions_checks)).

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::json;
use tokio::task::JoinSet;
use uuid::Uuid;
use weir_domain::{BatchAction, BatchStatus, FileId};
use weir_runtime::{Clock, Random};
use weir_settlement::TimeLimit;
use weir_settlement::actions::{ActionError, Asked, Reach, Step, step};
use weir_store::{Batch, Detail};
use weir_tests::delivery::{Function, deliver};
use weir_tests::drafts;
use weir_tests::faults::{FaultyClient, Rates, Service};
use weir_tests::laws::Books;
use weir_tests::parts::{DETAILS, Network, Parts, UPLOADS};
use weir_tests::rig::{Rig, Settings};
use weir_tests::text;

use super::actions_checks::check;

/// Worlds; more where `WEIR_MODEL_CASES` says so.
const CASES: u64 = 12;
/// Worlds at the same time: most of a world is waiting.
const AT_A_TIME: usize = 6;
/// How much faster than the machine's the time passes.
const TIMES: u32 = 40;
/// How long a world may take, by the machine's clock.
const LIMIT: Duration = Duration::from_mins(5);
/// How long a late request may be on its way.
const LATE_MAX: Duration = Duration::from_secs(20);
/// Hands that act at the same time, and how often each does.
const HANDS: u64 = 3;
const TURNS: u64 = 7;
/// Records of the batch.
const LINES: u32 = 40;

/// What a hand asked for, and what it was told.
#[derive(Debug)]
pub(super) struct Deed {
    pub(super) correlation_id: String,
    pub(super) actor: String,
    pub(super) action: BatchAction,
    /// The lines that were named; `None` for the whole batch.
    pub(super) lines: Option<BTreeSet<u32>>,
    pub(super) begun_at: DateTime<Utc>,
    pub(super) answered_at: DateTime<Utc>,
    pub(super) told: Told,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    Done,
    /// Nothing was changed.
    Refused,
    /// So many were changed.
    Partly(usize),
    /// It may have been done or not.
    Nothing,
}

fn rates() -> Rates {
    use weir_tests::faults::Fault as F;
    let of = |much: u64| {
        [
            (F::NotSent, much),
            (F::AnswerLost, 3 * much),
            (F::Late, much),
            (F::Repeated, 2 * much),
            (F::Throttled, 2 * much),
            (F::Failed, much),
            (F::Slow, 3 * much),
        ]
    };
    Rates::default()
        .of(Service::Dynamodb, &of(5))
        .of(Service::Sqs, &of(8))
}

fn three_rivers() -> serde_json::Value {
    json!({
        "latency": {"min_ms": 0, "max_ms": 1_500},
        "errors": {"429": 0.03, "500": 0.05, "503": 0.05},
        "retry_after_s": 3,
        "cut_before": 0.04, "cut_after_commit": 0.12, "cut_in_answer": 0.04, "never_answer": 0.03,
    })
}

/// Sound records, some that 3Rivers refuses, some that are wrong, some refunds of those before.
fn records() -> Vec<String> {
    (1..=LINES)
        .map(|line| {
            let order = format!("SO-{line}");
            match line % 8 {
                3 | 6 => text::charge_of(text::UNKNOWN_BUYER, &order, "12.50"),
                5 => text::wrong_charge(&order, "12.50"),
                7 => text::refund(&format!("SO-{}", line - 3), "1.50"),
                _ => text::charge(&order, "12.50"),
            }
        })
        .collect()
}

/// The element that a draft of a line says.
fn mended(random: &Random, line: u32) -> String {
    let total = format!("{}.00", 20 + random.below(900));
    if line % 8 == 7 {
        text::refund(&format!("SO-{}", line - 3), "1.25")
    } else {
        text::charge(&format!("MO-{line}"), &total)
    }
}

fn settings() -> Settings {
    let mut settings = Settings::default();
    settings.process.attempts_max = 4;
    settings.process.retry_max = Duration::from_mins(5);
    settings.process.charge_wait = Duration::from_mins(40);
    settings
}

async fn world(network: &Network, seed: u64) -> (Rig, FaultyClient, FileId) {
    let parts = Parts::start(network, seed, TIMES).await;
    let (random, clock) = (parts.random.clone(), parts.timeline.clock().clone());
    let faults = FaultyClient::new(network.aws.clone(), rates(), random, clock, LATE_MAX);
    faults.hold(true);
    let rig = Rig::on(parts, settings(), faults.shared()).await;
    rig.set_faults(three_rivers());
    let file = rig
        .take("model.xml", text::one_batch("B-1", &records()))
        .await;
    (rig, faults, file)
}

fn cases() -> u64 {
    let asked = std::env::var("WEIR_MODEL_CASES").ok();
    asked.map_or(CASES, |asked| asked.parse().unwrap())
}

/// A hand: does something, waits, does something else.
async fn hand(rig: Arc<Rig>, file: FileId, number: u64) -> Vec<Deed> {
    let random = &rig.parts.random;
    let clock = rig.parts.timeline.clock();
    let mut deeds = Vec::new();
    for turn in 0..TURNS {
        clock.sleep(random.jitter(Duration::from_secs(40))).await;
        let batch = rig.batch(file, 1).await;
        if random.below(4) == 0 {
            for _ in 0..8 {
                let line = 1 + u32::try_from(random.below(LINES.into())).unwrap();
                let (store, element) = (&rig.process.actions.store, mended(random, line));
                let _ = drafts::write(store, clock, &batch, line, &element).await;
            }
            continue;
        }
        let action = match random.below(10) {
            0 | 1 => BatchAction::Cancel,
            2..=4 => BatchAction::Retry,
            5 | 6 => BatchAction::Revive,
            7 | 8 => BatchAction::ConfirmDrafts,
            _ => BatchAction::CancelDrafts,
        };
        let lines = match random.below(2) {
            0 => Some(named(&rig, &batch, action).await),
            _ => None,
        };
        let asked = Asked {
            actor: format!("hand {number}"),
            correlation_id: format!("hand-{number}-{turn}"),
            id: None,
        };
        let done = deed(&rig, &batch, action, lines, asked);
        deeds.push(Box::pin(done).await);
    }
    deeds
}

/// Lines that a hand names: mostly such as the action is for, and now and then more than one
/// transaction holds.
async fn named(rig: &Rig, batch: &Batch, action: BatchAction) -> BTreeSet<u32> {
    let random = &rig.parts.random;
    let all: Vec<_> = batch.lines().collect();
    let details = rig.parts.store.details(&batch.place(), &all).await.unwrap();
    let now = rig.parts.timeline.now();
    let is_any = random.below(6) == 0;
    let is_fit = |detail: &&Detail| {
        is_any || matches!(step(action, detail, Reach::Named, now), Step::Becomes(..))
    };
    let fit = details
        .iter()
        .filter(is_fit)
        .map(|detail| detail.line().get());
    let mut fit: Vec<u32> = fit.collect();
    let count = match random.below(4) {
        0 => LINES.into(),
        _ => 1 + random.below(4),
    };
    let mut lines = BTreeSet::new();
    for _ in 0..count.min(fit.len() as u64) {
        let place = usize::try_from(random.below(fit.len() as u64)).unwrap();
        lines.insert(fit.swap_remove(place));
    }
    lines
}

async fn deed(
    rig: &Rig,
    batch: &Batch,
    action: BatchAction,
    lines: Option<BTreeSet<u32>>,
    asked: Asked,
) -> Deed {
    let random = &rig.parts.random;
    let clock = rig.parts.timeline.clock();
    let begun_at = clock.now();
    let seconds = if random.below(3) == 0 { 4 } else { 25 };
    let limit = TimeLimit::after(Duration::from_secs(seconds), clock);
    let actions = &rig.process.actions;
    let acting = async {
        match &lines {
            None => actions.act_on_all(batch, action, &asked, &limit).await,
            Some(lines) => {
                let id = |line: &u32| batch.id.detail((*line).try_into().unwrap()).uuid();
                let ids: Vec<Uuid> = lines.iter().map(id).collect();
                actions.act_on(batch, action, &ids.into(), &asked).await
            }
        }
    };
    let stops_after = match random.below(8) {
        0 => random.jitter(Duration::from_millis(60)),
        _ => LIMIT,
    };
    let told = match Clock::system().timeout(stops_after, Box::pin(acting)).await {
        Ok(Ok(_)) => Told::Done,
        Ok(Err(ActionError::Refused(_) | ActionError::Busy(_))) => Told::Refused,
        Ok(Err(ActionError::PartlyRefused { changed, .. })) => Told::Partly(changed),
        Ok(Err(ActionError::Store(_))) | Err(_) => Told::Nothing,
        Ok(Err(error @ (ActionError::TaskOver | ActionError::NoBatch(_)))) => panic!("{error}"),
    };
    Deed {
        correlation_id: asked.correlation_id,
        actor: asked.actor,
        action,
        lines,
        begun_at,
        answered_at: clock.now(),
        told,
    }
}

/// A worker of the processor function, which is stopped now and then in the middle of its work.
async fn worker(rig: Arc<Rig>, busy: Arc<AtomicUsize>, is_over: Arc<AtomicBool>) {
    while !is_over.load(Ordering::SeqCst) {
        if rig.parts.counts(DETAILS).ready == 0 {
            Clock::system().sleep(Duration::from_millis(5)).await;
            continue;
        }
        let own = AtomicUsize::new(0);
        busy.fetch_add(1, Ordering::SeqCst);
        let stops_after = match rig.parts.random.below(10) {
            0 => rig.parts.random.jitter(Duration::from_millis(80)),
            _ => LIMIT,
        };
        let working = Box::pin(deliver(&rig, Function::Process, &own));
        let _ = Clock::system().timeout(stops_after, working).await;
        busy.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Lets the time pass and sweeps until all is at rest.
async fn live(rig: &Arc<Rig>, file: FileId) -> Vec<Deed> {
    let busy = Arc::new(AtomicUsize::new(0));
    let is_over = Arc::new(AtomicBool::new(false));
    let mut workers = JoinSet::new();
    for _ in 0..3 {
        workers.spawn(worker(
            Arc::clone(rig),
            Arc::clone(&busy),
            Arc::clone(&is_over),
        ));
    }
    let mut hands = JoinSet::new();
    for number in 1..=HANDS {
        hands.spawn(hand(Arc::clone(rig), file, number));
    }
    let mut deeds = Vec::new();
    let system = Clock::system();
    let deadline = system.monotonic() + LIMIT;
    loop {
        while let Some(done) = hands.try_join_next() {
            deeds.extend(done.unwrap());
        }
        assert!(system.monotonic() < deadline, "not settled");
        system.sleep(Duration::from_millis(5)).await;
        let counts = [UPLOADS, DETAILS].map(|queue| rig.parts.counts(queue));
        let is_idle =
            busy.load(Ordering::SeqCst) == 0 && counts.iter().all(|count| count.ready == 0);
        if is_idle || rig.parts.random.below(300) == 0 {
            // Hands take their time as well: not much is skipped while they are there.
            let most = if hands.is_empty() { 100 } else { 6 };
            let seconds = 1 + rig.parts.random.below(most);
            rig.parts.timeline.jump(Duration::from_secs(seconds));
        }
        if !is_idle || rig.parts.random.below(4) > 0 {
            continue;
        }
        // It fails as a function does whose store cannot be reached; the next one goes on.
        let _ = rig.sweep.sweeper.sweep(&rig.limit()).await;
        if hands.is_empty() && is_at_rest(rig, file).await {
            break;
        }
    }
    is_over.store(true, Ordering::SeqCst);
    while let Some(ended) = workers.join_next().await {
        ended.unwrap();
    }
    deeds
}

async fn is_at_rest(rig: &Rig, file: FileId) -> bool {
    let books = Books::of(&rig.parts.store, file).await;
    let is_done = |batch: &Batch| batch.task.is_none() && batch.status != BatchStatus::Unprocessed;
    books.is_settled() && books.batches.iter().all(|(batch, _)| is_done(batch))
}

/// Lives through a world and holds it against the model; tells which events it had.
async fn survive(network: Network, seed: u64) -> BTreeSet<String> {
    let (rig, faults, file) = world(&network, seed).await;
    let rig = Arc::new(rig);
    faults.hold(false);
    let deeds = live(&rig, file).await;
    // What is late still comes, and may set something going once more.
    faults.heal().await;
    rig.set_faults(json!({}));
    for _ in 0..40 {
        rig.settle().await;
        rig.parts.timeline.jump(Duration::from_mins(3));
        rig.sweep().await;
        if is_at_rest(&rig, file).await {
            break;
        }
    }
    rig.settle().await;
    check(&rig, file, &deeds).await
}

/// What must have happened somewhere.
const EVENTS: [&str; 8] = [
    "Accepted",
    "Cancelled",
    "DraftConfirmed",
    "DraftDropped",
    "Drafted",
    "Failed",
    "Rejected",
    "Retried",
];
/// How often more worlds are lived through where something has not.
const ROUNDS_MAX: u64 = 4;

#[tokio::test(flavor = "multi_thread")]
async fn what_hands_were_told_is_what_happened_and_nobody_is_charged_twice() {
    let network = Network::new().await;
    let mut seen = BTreeSet::new();
    let is_left_out = |seen: &BTreeSet<String>| EVENTS.iter().any(|event| !seen.contains(*event));
    // What happens by chance may take more worlds to happen.
    for round in 0..ROUNDS_MAX {
        if round > 0 && !is_left_out(&seen) {
            break;
        }
        seen.extend(worlds(&network, round * cases()..(round + 1) * cases()).await);
    }
    assert!(!is_left_out(&seen), "{seen:?} of {EVENTS:?}");
}

/// What happened in the worlds of some seeds.
async fn worlds(network: &Network, seeds: Range<u64>) -> BTreeSet<String> {
    let mut worlds = JoinSet::new();
    let mut seen = BTreeSet::new();
    for seed in seeds {
        while worlds.len() >= AT_A_TIME {
            seen.extend(worlds.join_next().await.unwrap().unwrap());
        }
        let network = network.clone();
        worlds.spawn(async move {
            let lived = tokio::spawn(survive(network, seed)).await;
            lived.unwrap_or_else(|error| panic!("seed {seed}: {error}"))
        });
    }
    while let Some(world) = worlds.join_next().await {
        seen.extend(world.unwrap());
    }
    seen
}
