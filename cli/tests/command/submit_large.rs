//! Files that are too large for a request, sent to a running local system.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::BoxFuture;
use futures::{StreamExt, stream};
use http::Method;
use tokio::sync::Notify;
use weir_cli::Outside;
use weir_local::system::{Ports, System, SystemOptions};
use weir_runtime::{
    Clock, Http, HttpError, HttpOptions, HttpRequest, HttpResponse, Random, Reader, StreamBody,
    Transport,
};
use weir_simulator::Faults;

use crate::weir::Run;

const REQUEST_MOST: usize = 4 * 1024 * 1024;

/// A running local system with a folder for files.
pub(crate) struct Local {
    system: Option<System>,
    runtime: tokio::runtime::Runtime,
    folder: tempfile::TempDir,
    whole_bytes_max: u64,
}

impl Local {
    pub(crate) fn start() -> Self {
        Self::start_with(weir_cli::WHOLE_BYTES_MAX)
    }

    /// The same, for commands that send a file in parts that has more bytes than this.
    pub(crate) fn start_with(whole_bytes_max: u64) -> Self {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let options = SystemOptions {
            data: folder.path().join("data"),
            listen: "127.0.0.1:0".parse().unwrap(),
            ports: Ports::default(),
            faults: Faults::default(),
            seed: 1,
            register_sellers_of: None,
            sweep_every: Duration::from_secs(2),
            settings: [].into(),
        };
        let system = runtime.block_on(System::start(options)).unwrap();
        Self {
            system: Some(system),
            runtime,
            folder,
            whole_bytes_max,
        }
    }

    /// The command in this process, and the requests it made but those that follow the file.
    pub(crate) fn submit(&self, path: &Path, fault: &Fault, more: &[&str]) -> (Run, Vec<String>) {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let stop = Arc::new(Notify::new());
        let connect = || {
            Ok(Http::with_transport(Arc::new(Faulty {
                inner: Http::new(&HttpOptions::default())?,
                fault: Mutex::new(fault.clone()),
                seen: Arc::clone(&seen),
                begun: Arc::default(),
                arrived: Arc::default(),
                stop: Arc::clone(&stop),
            })))
        };
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let outside = Outside {
            clock: Clock::system(),
            random: Random::system(),
            connect: &connect,
            settings: &|| Reader::new(Vec::<(String, String)>::new()),
            answers: None,
            stdout: &mut stdout,
            stderr: &mut stderr,
            stdout_colours: false,
            stderr_colours: false,
            stderr_is_terminal: false,
            whole_bytes_max: self.whole_bytes_max,
            interrupt: {
                let stop = Arc::clone(&stop);
                Box::pin(async move { stop.notified().await })
            },
        };
        let ready = self.system.as_ref().unwrap().ready();
        let own = ["weir", "submit", path.to_str().unwrap()];
        let whose = ["--api", &ready.api, "--api-key", &ready.api_key];
        let arguments = own.iter().chain(more).chain(&whose);
        let code = weir_cli::run(arguments.map(Into::into), outside);
        let code = self.runtime.block_on(code);
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let ran = Run {
            code: code.into(),
            stdout: text(stdout),
            stderr: text(stderr),
        };
        let mut seen = seen.lock().unwrap().clone();
        seen.retain(|request| !request.starts_with("GET") && !request.ends_with("/complete"));
        (ran, seen)
    }

    /// Where S3 keeps parts that are not completed.
    pub(crate) fn uploads(&self) -> PathBuf {
        self.folder.path().join("data/s3/uploads")
    }

    /// A sound file of so many bytes with one batch of two charges.
    pub(crate) fn file_of(&self, number: &str, size: usize) -> PathBuf {
        let charge = "<Charge><OrderNumber>SO-1</OrderNumber>\
         <BuyerId>cf771e8a-5c1a-462f-b4c9-fc745f02d0de</BuyerId>\
         <TotalAmount>10.50</TotalAmount></Charge>";
        let xml = format!(
            "<SettlementFile xmlns=\"urn:servicegate:batch:v2\" version=\"2.0\">\
         <FileHeader><FileReference>{number}</FileReference>\
         <CreatedAt>2026-11-21T22:14:05Z</CreatedAt></FileHeader><Batch><BatchHeader>\
         <BatchNumber>{number}</BatchNumber><AlternateSellerId>NW-0042</AlternateSellerId>\
         <Currency>USD</Currency></BatchHeader>{charge}{}</Batch></SettlementFile>\n",
            charge.replace("SO-1", "SO-2")
        );
        let mut bytes = xml.into_bytes();
        // Comments: of a text, blanks too, there may be 64 KiB.
        let comment = format!("<!--{}-->", " ".repeat(32 * 1024));
        while size - bytes.len() > comment.len() {
            bytes.extend_from_slice(comment.as_bytes());
        }
        bytes.resize(size, b'\n');
        let path = self.folder.path().join(format!("{number}.xml"));
        std::fs::write(&path, bytes).unwrap();
        path
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        // Where the runtime is, whose tasks end with it.
        let _entered = self.runtime.enter();
        drop(self.system.take());
    }
}

/// What happens to the first sending of the bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    /// The connection is lost after so many parts of the body.
    CutAfter(usize),
    /// The bytes arrive, their answer does not.
    AnswerLost,
    /// What is sent to the first place is an hour late.
    Late,
    /// What is sent first is an hour late.
    LateOnce,
    /// The command is interrupted once so many sendings have arrived, and no others are on their way.
    StopAfter(usize),
    /// S3 has given up the upload in parts whose folder is there.
    GivenUp(PathBuf),
    /// The file has other bytes by then, of as many.
    Rewritten(PathBuf),
    /// The file has become longer between its two readings.
    Longer(PathBuf),
}

/// The network, with a fault.
struct Faulty {
    inner: Http,
    fault: Mutex<Fault>,
    seen: Arc<Mutex<Vec<String>>>,
    /// Sendings that were begun, and those that arrived.
    begun: Arc<AtomicUsize>,
    arrived: Arc<AtomicUsize>,
    stop: Arc<Notify>,
}

impl Faulty {
    /// The fault of this sending: all to the first place are late, any other happens once.
    fn take_fault(&self) -> Fault {
        let mut fault = self.fault.lock().unwrap();
        if matches!(*fault, Fault::Late | Fault::StopAfter(_)) {
            return fault.clone();
        }
        std::mem::replace(&mut *fault, Fault::None)
    }

    /// Nothing is late any more once a second place is asked for.
    fn end_of_lateness(&self) {
        let asked = |seen: &&String| *seen == RESERVE;
        let places = self.seen.lock().unwrap().iter().filter(asked).count();
        let mut fault = self.fault.lock().unwrap();
        if places > 1 && *fault == Fault::Late {
            *fault = Fault::None;
        }
    }

    fn note(&self, request: &HttpRequest) {
        let path = request.url.path();
        let path = if request.method == Method::PUT {
            "place"
        } else {
            path
        };
        let seen = format!("{} {path}", request.method);
        self.seen.lock().unwrap().push(seen);
    }
}

fn cut() -> HttpError {
    HttpError::Cut {
        status: None,
        reason: "connection reset".to_owned(),
    }
}

/// The same signed address as it would be an hour later.
fn an_hour_late(request: &mut HttpRequest) {
    let pairs: Vec<(String, String)> = request.url.query_pairs().into_owned().collect();
    let date = pairs.iter().find(|(name, _)| name == "X-Amz-Date");
    let signed = &date.unwrap().1;
    let before = chrono::NaiveDateTime::parse_from_str(signed, "%Y%m%dT%H%M%SZ").unwrap()
        - chrono::TimeDelta::hours(1);
    // The scope of the credential names the day, which an hour ago may have been another.
    let days = [signed[..8].to_owned(), before.format("%Y%m%d").to_string()];
    let mut query = request.url.query_pairs_mut();
    query.clear();
    for (name, value) in pairs {
        let value = match name.as_str() {
            "X-Amz-Date" => before.format("%Y%m%dT%H%M%SZ").to_string(),
            "X-Amz-Credential" => value.replace(&days[0], &days[1]),
            _ => value,
        };
        query.append_pair(&name, &value);
    }
}

impl Transport for Faulty {
    fn send(&self, request: HttpRequest) -> BoxFuture<'_, Result<HttpResponse, HttpError>> {
        self.note(&request);
        self.end_of_lateness();
        if let Fault::Longer(path) = &*self.fault.lock().unwrap() {
            let mut bytes = std::fs::read(path).unwrap();
            bytes.push(b'\n');
            std::fs::write(path, bytes).unwrap();
        }
        Box::pin(self.inner.send(request))
    }

    fn send_stream(
        &self,
        mut request: HttpRequest,
        mut body: StreamBody,
    ) -> BoxFuture<'_, Result<HttpResponse, HttpError>> {
        self.note(&request);
        let fault = self.take_fault();
        let inner = self.inner.clone();
        let begun = self.begun.fetch_add(1, Ordering::SeqCst);
        let (arrived, stop) = (Arc::clone(&self.arrived), Arc::clone(&self.stop));
        Box::pin(async move {
            match &fault {
                Fault::StopAfter(count) if begun >= *count => std::future::pending().await,
                Fault::CutAfter(parts) => {
                    let lost = stream::iter([Err(std::io::ErrorKind::ConnectionReset.into())]);
                    body.stream = Box::pin(body.stream.take(*parts).chain(lost));
                }
                Fault::Late | Fault::LateOnce => an_hour_late(&mut request),
                Fault::GivenUp(uploads) => {
                    for upload in std::fs::read_dir(uploads).unwrap() {
                        std::fs::remove_dir_all(upload.unwrap().path()).unwrap();
                    }
                }
                Fault::Rewritten(path) => {
                    let mut bytes = std::fs::read(path).unwrap();
                    let last = bytes.len() - 1;
                    bytes[last] = b'\t';
                    std::fs::write(path, bytes).unwrap();
                }
                Fault::AnswerLost | Fault::Longer(_) | Fault::StopAfter(_) | Fault::None => {}
            }
            let answer = inner.send_stream(request, body).await;
            if fault == Fault::StopAfter(arrived.fetch_add(1, Ordering::SeqCst) + 1) {
                stop.notify_one();
            }
            if fault == Fault::AnswerLost {
                assert!(answer.unwrap().status.is_success());
                return Err(cut());
            }
            answer
        })
    }
}

pub(crate) const RESERVE: &str = "POST /v1/settlements/uploads";
pub(crate) const PUT: &str = "PUT place";
pub(crate) const WAIT: [&str; 4] = ["--wait", "--timeout", "120", "--json"];

#[track_caller]
pub(crate) fn is_settled(ran: &Run) {
    assert_eq!(ran.code, 0, "{ran:?}");
    let document = ran.json();
    assert_eq!(document["file"]["status"], "Processed", "{document}");
    assert_eq!(document["totals"]["details"], 2, "{document}");
    assert_eq!(document["totals"]["processed"], 2, "{document}");
}

#[test]
fn above_4_mib_a_file_goes_to_a_place_of_its_own() {
    let local = Local::start();
    for (number, size, requests) in [
        ("AT", REQUEST_MOST, vec!["POST /v1/settlements"]),
        ("ABOVE", REQUEST_MOST + 1, vec![RESERVE, PUT]),
        ("TWELVE", 12 * 1024 * 1024, vec![RESERVE, PUT]),
    ] {
        let (ran, seen) = local.submit(&local.file_of(number, size), &Fault::None, &WAIT);
        assert_eq!(seen, requests, "{ran:?}");
        is_settled(&ran);
    }
}

#[test]
fn what_was_sent_is_not_sent_again_by_the_same_command() {
    let local = Local::start();
    let path = local.file_of("AGAIN", REQUEST_MOST + 9);
    let (first, _) = local.submit(&path, &Fault::None, &WAIT);
    is_settled(&first);
    let (second, seen) = local.submit(&path, &Fault::None, &WAIT);
    is_settled(&second);
    assert_eq!(seen, [RESERVE]);
    assert_eq!(first.json()["file"]["id"], second.json()["file"]["id"]);
}

#[test]
fn a_connection_that_is_lost_is_made_again_and_all_is_sent_from_the_start() {
    let local = Local::start();
    for (number, parts) in [("CUT-0", 0), ("CUT-20", 20)] {
        let path = local.file_of(number, REQUEST_MOST + 1);
        let (ran, seen) = local.submit(&path, &Fault::CutAfter(parts), &["--wait"]);
        assert_eq!(ran.code, 0, "{ran:?}");
        assert_eq!(seen, [RESERVE, PUT, PUT]);
        assert!(ran.stderr.contains("sending again in 1 s"), "{ran:?}");
    }
}

#[test]
fn bytes_whose_answer_was_lost_are_found_in_their_place() {
    let local = Local::start();
    let path = local.file_of("LOST", REQUEST_MOST + 1);
    let (ran, seen) = local.submit(&path, &Fault::AnswerLost, &WAIT);
    is_settled(&ran);
    assert_eq!(seen, [RESERVE, PUT, PUT]);
}

#[test]
fn a_place_whose_time_is_over_is_replaced_by_another() {
    let local = Local::start();
    let path = local.file_of("LATE", REQUEST_MOST + 1);
    let (ran, mut seen) = local.submit(&path, &Fault::Late, &WAIT);
    is_settled(&ran);
    // Whoever refuses what it has not read may hang up before its answer is read: sent again.
    seen.dedup();
    assert_eq!(seen, [RESERVE, PUT, RESERVE, PUT]);
}

#[test]
fn a_file_that_changes_after_it_was_read_is_not_taken() {
    let local = Local::start();
    let path = local.file_of("REWRITTEN", REQUEST_MOST + 1);
    let (ran, seen) = local.submit(&path, &Fault::Rewritten(path.clone()), &[]);
    assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{ran:?}");
    assert_eq!(seen, [RESERVE, PUT]);
    let said = "REWRITTEN.xml changed while it was being uploaded\nhelp: submit it again once";
    assert!(ran.stderr.contains(said), "{ran:?}");

    let path = local.file_of("LONGER", REQUEST_MOST + 1);
    let (ran, seen) = local.submit(&path, &Fault::Longer(path.clone()), &[]);
    assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{ran:?}");
    assert_eq!(seen, [RESERVE]);
    assert!(ran.stderr.contains("LONGER.xml changed"), "{ran:?}");
}
