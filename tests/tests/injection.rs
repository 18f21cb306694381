//! Time, randomness and connections come from `weir-runtime` alone.
//!
//! A lint of the compiler's front end, `disallowed-methods` in `clippy.toml`, says so of calls that it
//! can name. This test holds the list to what it must name, and looks for the ways around it: other
//! calls of the same kind, and places that switch the lint off.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests"
)]

use std::fs;
use std::path::{Path, PathBuf};

/// Where the machine's clock, randomness and network may be reached: the one crate that is for it.
const RUNTIME: &str = "common/runtime/";

/// What the lint must name.
const NAMED: &[&str] = &[
    "std::time::SystemTime::now",
    "std::time::Instant::now",
    "tokio::time::Instant::now",
    "chrono::Utc::now",
    "chrono::Local::now",
    "tokio::time::sleep",
    "tokio::time::timeout",
    "tokio::time::interval",
    "std::thread::sleep",
    "uuid::Uuid::new_v4",
    "uuid::Uuid::now_v7",
    "rand::rng",
    "rand::random",
    "reqwest::get",
    "reqwest::Client::new",
    "reqwest::Client::builder",
    "std::net::TcpStream::connect",
    "tokio::net::TcpStream::connect",
];

/// The same by other names: the end of a path, as code writes it.
const OUTSIDE: &[&str] = &[
    "Instant::now(",
    "SystemTime::now(",
    "UNIX_EPOCH.elapsed(",
    "Utc::now(",
    "Local::now(",
    "time::sleep(",
    "time::sleep_until(",
    "time::timeout(",
    "time::timeout_at(",
    "time::interval(",
    "time::interval_at(",
    "thread::sleep(",
    "Uuid::new_v4(",
    "Uuid::now_v7(",
    "Uuid::now_v6(",
    "Uuid::now_v1(",
    "rand::rng(",
    "rand::random(",
    "rand::random_range(",
    "SysRng",
    "OsRng",
    "from_os_rng(",
    "getrandom",
    "RandomState::new(",
    "fastrand::",
    "reqwest::",
    "TcpStream::connect",
    "TcpSocket::",
    "UdpSocket::",
    "UnixStream::connect",
    "lookup_host(",
    "to_socket_addrs(",
    "HttpConnector::new(",
];

/// Places that may, each with its reason. The list is only to shrink.
const EXCEPTIONS: &[(&str, &str, &str)] = &[];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

/// Source files of the service and of what belongs to it, by path from the root, without tests,
/// benchmarks and what tests share: those own their time.
fn sources() -> Vec<(String, String)> {
    let root = root();
    let mut found = Vec::new();
    for part in ["common", "functions", "local", "cli"] {
        collect(&root, &root.join(part), &mut found);
    }
    assert!(found.len() > 100, "{} files", found.len());
    found
}

fn collect(root: &Path, folder: &Path, found: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() {
            if !["tests", "benches", "fuzz", "target"].contains(&name) {
                collect(root, &path, found);
            }
        } else if path.extension().is_some_and(|kind| kind == "rs") && name != "tests.rs" {
            let path_from_root = path.strip_prefix(root).unwrap().to_str().unwrap();
            let text = fs::read_to_string(&path).unwrap();
            found.push((path_from_root.to_owned(), code_of(&text)));
        }
    }
}

/// The code of a file: no comments, and nothing after the start of its tests, which end it.
fn code_of(text: &str) -> String {
    let code = text.split("\n#[cfg(test)]\nmod tests").next().unwrap();
    let is_code = |line: &&str| !line.trim_start().starts_with("//");
    let lines: Vec<_> = code.lines().filter(is_code).collect();
    lines.join("\n")
}

#[test]
fn the_lint_names_every_clock_every_randomness_and_every_connection() {
    let clippy = fs::read_to_string(root().join("clippy.toml")).unwrap();
    for path in NAMED {
        let entry = format!("path = \"{path}\"");
        assert!(clippy.contains(&entry), "clippy.toml lacks {path}");
    }
}

#[test]
fn the_lint_is_on_in_every_crate() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    assert!(manifest.contains("[workspace.lints.clippy]\nall = { level = \"deny\""));
    assert!(!manifest.contains("disallowed_methods"));
    for (path, code) in sources() {
        let is_off = code.contains("disallowed_methods");
        assert!(
            !is_off || path.starts_with(RUNTIME),
            "{path} switches it off"
        );
    }
}

#[test]
fn nothing_but_the_runtime_reaches_for_time_randomness_or_the_network() {
    let mut found = Vec::new();
    for (path, code) in sources() {
        if path.starts_with(RUNTIME) {
            continue;
        }
        for outside in OUTSIDE {
            let is_excepted = EXCEPTIONS
                .iter()
                .any(|(excepted, what, _)| *excepted == path && what == outside);
            if code.contains(outside) && !is_excepted {
                found.push(format!("{path}: {outside}"));
            }
        }
    }
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn no_exception_outlives_its_reason() {
    let sources = sources();
    for (path, what, reason) in EXCEPTIONS {
        let file = sources.iter().find(|(source, _)| source == path);
        let still_does = file.is_some_and(|(_, code)| code.contains(what));
        assert!(still_does, "{path} does not {what} any more ({reason})");
    }
}
