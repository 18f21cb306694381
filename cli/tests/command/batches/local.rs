//! A local system, its simulator, and the command on it.

use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use weir_cli::Outside;
use weir_local::system::{Ports, System, SystemOptions};
use weir_runtime::{Clock, Http, HttpOptions, Random, Reader};
use weir_simulator::{Faults, Running};

use crate::weir::{Run, command, run};

/// A running local system.
pub(super) struct Local {
    system: Option<System>,
    runtime: tokio::runtime::Runtime,
    folder: tempfile::TempDir,
}

/// A batch that was submitted.
#[derive(Debug, Clone)]
pub(super) struct Submitted {
    pub(super) file: String,
    pub(super) batch: String,
}

/// 3Rivers refuses everything for now, and has made nothing.
pub(super) fn refusing() -> Faults {
    serde_json::from_str(r#"{"errors":{"429":1.0}}"#).unwrap()
}

/// Every second connection is cut after the charge was made.
pub(super) fn cutting() -> Faults {
    serde_json::from_str(r#"{"cut_after_commit":0.5}"#).unwrap()
}

/// A file of one batch with so many charges, those of some numbers with a buyer that is none.
pub(super) fn xml(number: &str, count: usize, is_broken: impl Fn(usize) -> bool) -> String {
    let charge = |n: usize| {
        let buyer = if is_broken(n) {
            "Fabrikam, purchasing"
        } else {
            "cf771e8a-5c1a-462f-b4c9-fc745f02d0de"
        };
        format!(
            "<Charge><OrderNumber>SO-{n}</OrderNumber><BuyerId>{buyer}</BuyerId>\
             <TotalAmount>10.5{}</TotalAmount></Charge>\n",
            n % 10
        )
    };
    let charges: String = (1..=count).map(charge).collect();
    format!(
        "<SettlementFile xmlns=\"urn:servicegate:batch:v2\" version=\"2.0\">\
         <FileHeader><FileReference>{number}</FileReference>\
         <CreatedAt>2026-11-21T22:14:05Z</CreatedAt></FileHeader>\n<Batch><BatchHeader>\
         <BatchNumber>{number}</BatchNumber><AlternateSellerId>NW-0042</AlternateSellerId>\
         <Currency>USD</Currency></BatchHeader>\n{charges}</Batch></SettlementFile>\n"
    )
}

impl Local {
    pub(super) fn start(faults: Faults) -> Self {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let options = SystemOptions {
            data: folder.path().join("data"),
            listen: "127.0.0.1:0".parse().unwrap(),
            ports: Ports::default(),
            faults,
            seed: 1,
            register_sellers_of: None,
            sweep_every: Duration::from_secs(2),
            settings: [
                ("WEIR_ATTEMPTS_MAX", "50"),
                ("WEIR_RETRY_FIRST", "1"),
                ("WEIR_RETRY_MAX", "2"),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
        };
        let system = runtime.block_on(System::start(options)).unwrap();
        Self {
            system: Some(system),
            runtime,
            folder,
        }
    }

    fn system(&self) -> &System {
        self.system.as_ref().unwrap()
    }

    pub(super) fn simulator(&self) -> &Running {
        self.system().simulator()
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The binary with nobody at the keyboard.
    pub(super) fn weir(&self, arguments: &[&str]) -> Run {
        let mut command = command(arguments);
        let ready = self.system().ready();
        command
            .env("WEIR_API", &ready.api)
            .env("WEIR_API_KEY", &ready.api_key);
        run(command)
    }

    /// The binary, which is to end well.
    pub(super) fn well(&self, arguments: &[&str]) -> Run {
        let ran = self.weir(arguments);
        assert_eq!(ran.code, 0, "{arguments:?} {ran:?}");
        ran
    }

    /// The command in this process, with somebody at the keyboard.
    pub(super) fn asked(&self, arguments: &[&str], answer: &str) -> Run {
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let ready = self.system().ready();
        let outside = Outside {
            clock: Clock::system(),
            random: Random::system(),
            connect: &|| Http::new(&HttpOptions::default()),
            settings: &|| Reader::new(Vec::<(String, String)>::new()),
            answers: Some(&mut Cursor::new(answer.as_bytes())),
            stdout: &mut stdout,
            stderr: &mut stderr,
            stdout_colours: false,
            stderr_colours: false,
            stderr_is_terminal: false,
            whole_bytes_max: weir_cli::WHOLE_BYTES_MAX,
            interrupt: Box::pin(std::future::pending()),
        };
        let own = ["--api", &ready.api, "--api-key", &ready.api_key];
        let arguments = ["weir"].iter().chain(arguments).chain(&own);
        let code = weir_cli::run(arguments.map(Into::into), outside);
        let code = self.runtime.block_on(code);
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Run {
            code: code.into(),
            stdout: text(stdout),
            stderr: text(stderr),
        }
    }

    /// Submits a file of one batch, and waits until that is there.
    pub(super) fn submit(&self, name: &str, xml: &str) -> Submitted {
        let path = self.path(name);
        std::fs::write(&path, xml).unwrap();
        let sent = self.well(&["submit", text(&path), "--json"]).json();
        let file = sent["file"]["id"].as_str().unwrap().to_owned();
        for _ in 0..600 {
            let seen = self.status(&file);
            if seen["file"]["status"] == "Processed" {
                let batch = seen["batches"][0]["id"].as_str().unwrap().to_owned();
                return Submitted { file, batch };
            }
            assert_ne!(seen["file"]["status"], "Error", "{seen}");
            let clock = Clock::system();
            self.runtime
                .block_on(clock.sleep(Duration::from_millis(50)));
        }
        panic!("{name} was not taken");
    }

    pub(super) fn status(&self, file: &str) -> Value {
        self.weir(&["status", file, "--json"]).json()
    }

    /// Waits until nothing of a file is open any more: mostly seconds, longer where a breaker opens again
    /// and again on a busy machine.
    pub(super) fn settled(&self, file: &str) -> Value {
        let arguments = ["status", file, "--watch", "--timeout", "240", "--json"];
        let ran = self.weir(&arguments);
        assert!(ran.code <= 1, "{ran:?}");
        ran.json()["batches"][0].clone()
    }

    /// The ids of the details in error of a batch, as its table names them.
    pub(super) fn in_error(&self, of: &Submitted) -> Vec<String> {
        let table = self.well(&["errors", "get", &of.batch]).stdout;
        let id = |line: &str| line.split(',').next().unwrap().to_owned();
        table.lines().skip(1).map(id).collect()
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        // Where the runtime is, whose tasks end with it.
        let _entered = self.runtime.enter();
        drop(self.system.take());
    }
}

pub(super) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// The counters of a batch: unprocessed, processed, error, cancelled.
pub(super) fn counts(batch: &Value) -> [u64; 4] {
    let count = |name: &str| {
        batch[format!("batch_detail_{name}_count")]
            .as_u64()
            .unwrap()
    };
    ["unprocessed", "processed", "error", "cancelled"].map(count)
}
