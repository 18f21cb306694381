//! The process is killed ten times while it takes and settles a file. In the end every detail is
//! settled once.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests"
)]

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use weir_domain::{DetailStatus, FileId, FileStatus};
use weir_runtime::{Clock, Random};
use weir_store::Stage;
use weir_tests::laws::{self, Books};
use weir_tests::parts::Network;
use weir_tests::service::Service;
use weir_tests::text;

/// Details of the file.
const DETAILS: u32 = 5_000;
/// How long each part of the way may take on a busy machine.
const LIMIT: Duration = Duration::from_mins(6);
/// What 3Rivers does wrong: almost every tenth request meets something. A 429 is rare, because each
/// makes all calls pause for a second.
const FAULTS: &str = r#"{
    "latency": {"min_ms": 0, "max_ms": 30},
    "errors": {"429": 0.002, "500": 0.02, "503": 0.01},
    "retry_after_s": 1,
    "cut_before": 0.02, "cut_after_commit": 0.03, "cut_in_answer": 0.01, "never_answer": 0.002
}"#;
/// Everything is tried again soon, so that the test is about kills and not about waiting.
const SETTINGS: [(&str, &str); 8] = [
    ("WEIR_CALL_TIMEOUT", "1"),
    ("WEIR_LEASE", "4"),
    ("WEIR_RETRY_FIRST", "1"),
    ("WEIR_RETRY_MAX", "2"),
    ("WEIR_ATTEMPTS_MAX", "50"),
    // Kills cost their time; no refund is to be given up for it.
    ("WEIR_CHARGE_WAIT", "3600"),
    ("WEIR_SWEEP_QUIET", "2"),
    ("WEIR_SWEEP_QUIET_BEHIND_QUEUE", "20"),
];

/// The local system in a process of its own.
struct Victim {
    child: Child,
    service: Service,
}

impl Victim {
    async fn start(data: &Path, network: &Network) -> Self {
        let log = data.join("stderr.log");
        let log = std::fs::File::options().create(true).append(true).open(log);
        let mut child = Command::new(env!("CARGO_BIN_EXE_weir-local"))
            .arg("serve")
            .args(["--listen", "127.0.0.1:0", "--sweep-seconds", "1"])
            .args(["--faults", FAULTS])
            .arg("--data")
            .arg(data)
            .envs(SETTINGS)
            .env("WEIR_LOG", "error")
            .stdout(Stdio::piped())
            .stderr(log.unwrap())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        // Log lines may come before it.
        let ready = lines
            .map_while(Result::ok)
            .filter_map(|line| serde_json::from_str::<Value>(&line).ok())
            .find(|line| line["ready"] == true);
        let ready = ready.expect("it says that it is ready");
        let environment = std::fs::read_to_string(data.join("functions.env")).unwrap();
        let environment = environment
            .lines()
            .filter_map(|line| line.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        Self {
            service: Service::new(&ready, environment, network).await,
            child,
        }
    }

    /// `SIGKILL`: nothing of the process runs after it.
    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        // It is dead already, unless an assertion failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// At which point of its work the process is killed.
#[derive(Debug, Clone, Copy)]
enum Moment {
    /// While the object is being put.
    Putting,
    /// While the file is in a stage.
    In(Stage),
    /// Once so many details are settled.
    Settled(u32),
}

const MOMENTS: [Moment; 10] = [
    Moment::Putting,
    Moment::In(Stage::Checking),
    Moment::In(Stage::Splitting),
    Moment::In(Stage::Splitting),
    Moment::In(Stage::Enqueuing),
    Moment::Settled(200),
    Moment::Settled(1_100),
    Moment::Settled(2_300),
    Moment::Settled(3_500),
    Moment::Settled(4_700),
];

/// Waits for a moment: the stage, or the first one after it when it was too short to be seen.
async fn wait_for(moment: Moment, service: &Service, file: FileId) {
    let clock = Clock::system();
    let deadline = clock.monotonic() + LIMIT;
    while !is_reached(moment, service, file).await {
        assert!(clock.monotonic() < deadline, "{moment:?} never came");
        clock.sleep(Duration::from_millis(10)).await;
    }
}

async fn is_reached(moment: Moment, service: &Service, id: FileId) -> bool {
    let Some(file) = service.store.file(id).await.unwrap() else {
        return false;
    };
    let place = |stage| match stage {
        Stage::Checking => 0,
        Stage::Splitting => 1,
        Stage::Enqueuing => 2,
        Stage::Done => 3,
    };
    match moment {
        Moment::Putting => true,
        Moment::In(stage) => file.status != FileStatus::Stored && place(file.stage) >= place(stage),
        Moment::Settled(count) => {
            let mut open = u64::from(DETAILS);
            for ordinal in 1..=2 {
                let batch = id.batch(weir_domain::BatchOrdinal::new(ordinal).unwrap());
                let batch = service.store.batch(batch).await.unwrap();
                let done = batch.map_or(0, |batch| {
                    batch.counters.details - batch.counters.unprocessed
                });
                open -= done;
            }
            open <= u64::from(DETAILS - count)
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_is_killed_ten_times_settles_every_detail_once() {
    let data = tempfile::tempdir().unwrap();
    let network = Network::new().await;
    let random = Random::seeded(20_261_121);
    let clock = Clock::system();
    let (bytes, contents) = text::generated("KILL", 9, 2, DETAILS / 2, 40);
    let mut file = None;
    for moment in MOMENTS {
        let victim = Victim::start(data.path(), &network).await;
        match moment {
            Moment::Putting => {
                let service = victim.service.clone();
                let bytes = bytes.clone();
                let put = tokio::spawn(async move { service.put("killed.xml", bytes).await });
                clock.sleep(random.jitter(Duration::from_millis(40))).await;
                victim.kill();
                // It may have been stored, or not; who got no answer puts it again.
                drop(put.await);
                continue;
            }
            Moment::In(Stage::Checking) => {
                file = victim.service.put("killed.xml", bytes.clone()).await;
            }
            _ => {}
        }
        wait_for(moment, &victim.service, file.unwrap()).await;
        clock.sleep(random.jitter(Duration::from_millis(120))).await;
        victim.kill();
    }
    let victim = Victim::start(data.path(), &network).await;
    let (service, file) = (&victim.service, file.unwrap());
    let books = service.wait_settled(file, LIMIT).await;
    service.platform.heal().await;
    assert_settled_as_written(&books, contents);
    laws::audit(&service.store, &service.platform, &[file]).await;
    let summary = service.platform.summary().await;
    assert_eq!(summary.duplicates, 0);
    assert_eq!(summary.charges, contents.charges);
    assert_eq!(summary.refunds, contents.refunds);
    assert!(
        summary.replays > 0,
        "nothing was ever repeated: {summary:?}"
    );
    victim.kill();
}

fn assert_settled_as_written(books: &Books, contents: weir_servicegate::generate::Contents) {
    let count = |status| u64::try_from(books.count(status)).unwrap();
    let settled = contents.charges + contents.refunds;
    let errors = books.errors();
    assert_eq!(count(DetailStatus::Processed), settled, "{errors:?}");
    assert_eq!(count(DetailStatus::Error), contents.errors);
    assert_eq!(books.file.detail_count, u64::from(DETAILS));
}
