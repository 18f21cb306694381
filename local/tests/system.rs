//! The whole system as its process shows it: what it refuses, what it keeps, how it ends.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests"
)]

use std::ffi::OsString;
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;
use weir_local::embedded::EmbeddedError;
use weir_local::system::{Ports, System, SystemError, SystemOptions};
use weir_runtime::Clock;
use weir_simulator::Faults;

fn options(data: &Path) -> SystemOptions {
    SystemOptions {
        data: data.to_owned(),
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        ports: Ports::default(),
        faults: Faults::default(),
        seed: 1,
        register_sellers_of: None,
        sweep_every: Duration::from_secs(5),
        settings: Vec::new(),
    }
}

fn command(data: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_weir-local"));
    command
        .args(["serve", "--listen", "127.0.0.1:0", "--data"])
        .arg(data);
    command
}

/// A process that is ended with the test.
struct Serving {
    child: Child,
    ready: Value,
}

impl Serving {
    fn start(command: &mut Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        stdout.read_line(&mut line).unwrap();
        let ready = serde_json::from_str(&line).expect("it says that it is ready");
        Self { child, ready }
    }

    fn end(mut self) -> std::process::ExitStatus {
        let id = self.child.id().to_string();
        let asked = Command::new("kill").args(["-TERM", &id]).status().unwrap();
        assert!(asked.success());
        self.child.wait().unwrap()
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // It is dead already, unless an assertion failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn is_taken(addr: &str) -> bool {
    let addr = addr.trim_start_matches("http://");
    match TcpListener::bind(addr) {
        Ok(_) => false,
        Err(error) => error.kind() == std::io::ErrorKind::AddrInUse,
    }
}

#[test]
fn a_shell_set_up_for_a_deployment_changes_nothing_but_what_may_be_tuned() {
    let data = tempfile::tempdir().unwrap();
    let elsewhere = "http://127.0.0.1:9";
    let serving = Serving::start(
        command(data.path())
            .env("WEIR_THREE_RIVERS_URL", elsewhere)
            .env("WEIR_THREE_RIVERS_API_KEY", "s3cret")
            .env("WEIR_THREE_RIVERS_API_KEYS", "s3cret")
            .env("WEIR_DETAILS_QUEUE_URL", elsewhere)
            .env("WEIR_UPLOADS_QUEUE_URL", elsewhere)
            .env("WEIR_BUCKET", "elsewhere")
            .env("WEIR_TABLE_PREFIX", "elsewhere-")
            .env("AWS_ENDPOINT_URL_DYNAMODB", elsewhere)
            .env("WEIR_API_KEY", "s3cret")
            .env("WEIR_RETRY_MAX", "7")
            .env("WEIR_LEASE", "")
            .env("WEIR_SOMETHING", OsString::from_vec(vec![0xff])),
    );
    let kept = std::fs::read_to_string(data.path().join("functions.env")).unwrap();
    assert!(!kept.contains(elsewhere) && !kept.contains("elsewhere"));
    assert!(!kept.contains("s3cret") && !kept.contains("WEIR_SOMETHING"));
    let lines: Vec<_> = kept.lines().collect();
    assert!(lines.contains(&"WEIR_RETRY_MAX=7") && lines.contains(&"WEIR_LEASE=12"));
    let three_rivers = serving.ready["three_rivers"].as_str().unwrap();
    let url = format!("WEIR_THREE_RIVERS_URL={three_rivers}");
    assert!(lines.contains(&url.as_str()));
    let mut names: Vec<_> = lines.iter().map(|line| line.split_once('=')).collect();
    names.sort_unstable();
    names.dedup_by_key(|pair| pair.unwrap().0);
    assert_eq!(names.len(), lines.len());
    assert_eq!(serving.end().code(), Some(0));
}

#[test]
fn what_is_kept_is_for_its_owner_alone() {
    let root = tempfile::tempdir().unwrap();
    let data = root.path().join("data");
    std::fs::create_dir(&data).unwrap();
    std::fs::set_permissions(&data, std::fs::Permissions::from_mode(0o755)).unwrap();
    let _serving = Serving::start(&mut command(&data));
    assert_eq!(mode(&data), 0o700);
    assert_eq!(mode(&data.join("api-key")), 0o600);
    assert_eq!(mode(&data.join("functions.env")), 0o600);
}

fn refused(command: &mut Command) -> String {
    let Output { status, stderr, .. } = command.output().unwrap();
    assert_eq!(status.code(), Some(1));
    String::from_utf8(stderr).unwrap()
}

#[test]
fn a_setting_that_is_not_unicode_is_named_and_refused() {
    let data = tempfile::tempdir().unwrap();
    let value = OsString::from_vec(vec![b'7', 0xff]);
    let error = refused(command(data.path()).env("WEIR_LEASE", value));
    assert!(error.contains("WEIR_LEASE is not Unicode"), "{error}");
}

#[tokio::test]
async fn an_address_or_a_folder_that_cannot_be_had_is_named_with_the_remedy() {
    let data = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut wanted = options(data.path());
    wanted.listen = taken.local_addr().unwrap();
    let error = System::start(wanted).await.unwrap_err();
    assert!(matches!(
        error,
        SystemError::Embedded(EmbeddedError::PortInUse { service: "API", .. })
    ));
    assert!(error.to_string().contains("choose another port"), "{error}");

    let mut wanted = options(data.path());
    wanted.listen = SocketAddr::from(([0, 0, 0, 0], 0));
    let error = System::start(wanted).await.unwrap_err();
    assert!(matches!(error, SystemError::NotLoopback(_)), "{error}");

    let file = data.path().join("file");
    std::fs::write(&file, "").unwrap();
    for folder in [&file, &file.join("below")] {
        let error = System::start(options(folder)).await.unwrap_err();
        let is_folder = matches!(
            &error,
            SystemError::Embedded(EmbeddedError::FolderUnusable { path, .. }) if path == folder
        );
        assert!(is_folder, "{error:?}");
        assert!(error.to_string().contains("choose a folder"), "{error}");
    }

    let mut wanted = options(data.path());
    wanted.settings = vec![("WEIR_BUCKET".to_owned(), "elsewhere".to_owned())];
    let error = System::start(wanted).await.unwrap_err();
    assert!(matches!(error, SystemError::NotTunable(name) if name == "WEIR_BUCKET"));
}

#[test]
fn a_second_process_on_the_same_folder_is_refused() {
    let data = tempfile::tempdir().unwrap();
    let _first = Serving::start(&mut command(data.path()));
    let error = refused(&mut command(data.path()));
    assert!(error.contains("in use by another process"), "{error}");
}

#[tokio::test]
async fn the_system_goes_on_until_it_is_stopped_and_then_nothing_listens_any_more() {
    let data = tempfile::tempdir().unwrap();
    let clock = Clock::system();
    let mut system = System::start(options(data.path())).await.unwrap();
    let ready = system.ready().clone();
    let second = Duration::from_secs(1);
    assert!(clock.timeout(second, system.ended()).await.is_err());
    assert!(is_taken(&ready.api));
    system.stop().await.unwrap();
    for addr in [
        &ready.api,
        &ready.s3,
        &ready.sqs,
        &ready.dynamodb,
        &ready.three_rivers,
    ] {
        assert!(!is_taken(addr), "{addr}");
    }
    // What it held is free: the next one starts on it.
    let system = System::start(options(data.path())).await.unwrap();
    assert_eq!(system.ready().api_key, ready.api_key);
    drop(system);
}

#[tokio::test]
async fn a_system_that_is_dropped_takes_its_api_with_it() {
    let data = tempfile::tempdir().unwrap();
    let clock = Clock::system();
    let system = System::start(options(data.path())).await.unwrap();
    let api = system.ready().api.clone();
    drop(system);
    let gone = async {
        while is_taken(&api) {
            clock.sleep(Duration::from_millis(10)).await;
        }
    };
    clock.timeout(Duration::from_secs(10), gone).await.unwrap();
}

#[test]
fn the_ready_line_is_the_only_thing_on_standard_output() {
    let data = tempfile::tempdir().unwrap();
    let mut child = command(data.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    stdout.read_line(&mut line).unwrap();
    let serving = Serving {
        child,
        ready: serde_json::from_str(&line).unwrap(),
    };
    assert_eq!(serving.ready["ready"], true);
    assert_eq!(serving.end().code(), Some(0));
    let mut rest = String::new();
    stdout.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "");
}
