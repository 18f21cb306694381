//! Whatever the network and AWS do to requests, and the queues to messages: every detail is settled
//! once.
//!
//! Each seed is a world of its own. In it a file is taken and settled while requests to DynamoDB, SQS
//! and S3 are lost, repeated, late and refused, queues deliver twice, late and out of order, 3Rivers
//! fails, and now and then the time jumps while work is under way, as it does for a process that was
//! frozen. In the end the laws of settled files hold.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;
use tokio::task::JoinSet;
use weir_domain::{DetailStatus, FileId};
use weir_runtime::Clock;
use weir_tests::delivery::{Function, deliver};
use weir_tests::faults::{Fault, FaultyClient, Rates, Service};
use weir_tests::laws::Books;
use weir_tests::parts::{DETAILS, Network, Parts, UPLOADS};
use weir_tests::rig::{Rig, Settings};
use weir_tests::text;

/// Worlds.
const SEEDS: u64 = 36;
/// Worlds at the same time: most of a world is waiting.
const AT_A_TIME: usize = 9;
/// How much faster than the machine's the time passes.
const TIMES: u32 = 40;
/// How long a world may take, by the machine's clock.
const LIMIT: Duration = Duration::from_mins(5);
/// How long a late request may be on its way.
const LATE_MAX: Duration = Duration::from_secs(20);

/// What goes wrong between the functions and AWS: about every eighth request meets something.
fn rates() -> Rates {
    let of = |percent: u64| {
        [
            (Fault::NotSent, 2 * percent),
            (Fault::AnswerLost, 4 * percent),
            (Fault::Late, 2 * percent),
            (Fault::Repeated, 3 * percent),
            (Fault::Throttled, 2 * percent),
            (Fault::Failed, percent),
            (Fault::Slow, 3 * percent),
        ]
    };
    Rates::default()
        .of(Service::Dynamodb, &of(8))
        .of(Service::Sqs, &of(10))
        .of(
            Service::S3,
            &[(Fault::NotSent, 50), (Fault::AnswerLost, 50)],
        )
}

/// What goes wrong between the functions and 3Rivers.
fn three_rivers() -> serde_json::Value {
    json!({
        "latency": {"min_ms": 0, "max_ms": 300},
        "errors": {"429": 0.02, "500": 0.02, "503": 0.02},
        "retry_after_s": 3,
        "cut_before": 0.02, "cut_after_commit": 0.04, "cut_in_answer": 0.02, "never_answer": 0.01,
    })
}

/// A world with a file in its bucket.
async fn world(network: &Network, seed: u64) -> (Rig, FaultyClient, FileId) {
    let mut parts = Parts::start(network, seed, TIMES).await;
    let faults = FaultyClient::new(
        network.aws.clone(),
        rates(),
        parts.random.clone(),
        parts.timeline.clock().clone(),
        LATE_MAX,
    );
    let (bytes, _) = text::generated(&format!("F{seed}"), seed, 2, 26, 13);
    let object = parts.put("faults.xml", bytes).await;
    let event = parts.next_event().await.to_string();
    for _ in 0..2 {
        let url = &parts.names.uploads_queue;
        let request = parts.queues.send_message().queue_url(url);
        request.message_body(&event).send().await.unwrap();
    }
    let rig = Rig::on(parts, Settings::default(), faults.shared()).await;
    rig.set_faults(three_rivers());
    (rig, faults, FileId::of_object(&object))
}

/// Lets the time pass: at once where nothing can be done now, and now and then in the midst of work.
/// Tells whether nothing could be done.
async fn pass_time(rig: &Rig, busy: &AtomicUsize) -> bool {
    let counts = [UPLOADS, DETAILS].map(|queue| rig.parts.counts(queue));
    let is_idle = busy.load(Ordering::SeqCst) == 0 && counts.iter().all(|count| count.ready == 0);
    if is_idle || rig.parts.random.below(200) == 0 {
        let seconds = 1 + rig.parts.random.below(100);
        rig.parts.timeline.jump(Duration::from_secs(seconds));
    }
    Clock::system().sleep(Duration::from_millis(5)).await;
    is_idle
}

/// Runs the functions until everything is settled.
async fn live(rig: &Arc<Rig>, file: FileId) {
    let busy = Arc::new(AtomicUsize::new(0));
    let is_over = Arc::new(AtomicBool::new(false));
    let mut workers = JoinSet::new();
    for function in [
        Function::Upload,
        Function::Upload,
        Function::Process,
        Function::Process,
        Function::Process,
    ] {
        let (rig, busy, is_over) = (Arc::clone(rig), Arc::clone(&busy), Arc::clone(&is_over));
        workers.spawn(async move {
            let queue = match function {
                Function::Upload => UPLOADS,
                Function::Process => DETAILS,
            };
            while !is_over.load(Ordering::SeqCst) {
                let is_empty = rig.parts.counts(queue).ready == 0;
                if is_empty || !Box::pin(deliver(&rig, function, &busy)).await {
                    Clock::system().sleep(Duration::from_millis(5)).await;
                }
            }
        });
    }
    let system = Clock::system();
    let deadline = system.monotonic() + LIMIT;
    loop {
        let mut is_idle = false;
        for _ in 0..10 {
            is_idle |= pass_time(rig, &busy).await;
        }
        assert!(system.monotonic() < deadline, "not settled");
        if !is_idle {
            continue;
        }
        // It fails as a function does whose store cannot be reached; the next one goes on.
        let _ = rig.sweep.sweeper.sweep(&rig.limit()).await;
        let is_known = rig.parts.store.file(file).await.unwrap().is_some();
        if is_known && Books::of(&rig.parts.store, file).await.is_settled() {
            break;
        }
    }
    is_over.store(true, Ordering::SeqCst);
    while let Some(ended) = workers.join_next().await {
        ended.unwrap();
    }
}

/// Lives through a world, holds it against the laws, and tells which faults it met.
async fn survive(network: Network, seed: u64) -> BTreeSet<(Service, Fault)> {
    let (rig, faults, file) = world(&network, seed).await;
    let rig = Arc::new(rig);
    live(&rig, file).await;
    // What is late still comes, and so does what the queues hold.
    faults.heal().await;
    rig.set_faults(json!({}));
    rig.settle().await;
    let books = rig.audit(&[file]).await.remove(0);
    let (_, contents) = text::generated(&format!("F{seed}"), seed, 2, 26, 13);
    let settled = u64::try_from(books.count(DetailStatus::Processed)).unwrap();
    assert_eq!(settled, contents.charges + contents.refunds, "seed {seed}");
    faults.met().into_keys().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_becomes_of_requests_and_messages_every_detail_is_settled_once() {
    let network = Network::new().await;
    let mut worlds = JoinSet::new();
    let mut met = BTreeSet::new();
    for seed in 0..SEEDS {
        while worlds.len() >= AT_A_TIME {
            met.extend(worlds.join_next().await.unwrap().unwrap());
        }
        let network = network.clone();
        worlds.spawn(async move {
            let lived = tokio::spawn(survive(network, seed)).await;
            lived.unwrap_or_else(|error| panic!("seed {seed}: {error}"))
        });
    }
    while let Some(world) = worlds.join_next().await {
        met.extend(world.unwrap());
    }
    for fault in Fault::ALL {
        assert!(met.contains(&(Service::Dynamodb, fault)), "{fault:?}");
        assert!(met.contains(&(Service::Sqs, fault)), "{fault:?}");
    }
}
