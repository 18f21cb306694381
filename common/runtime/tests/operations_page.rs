//! The operations page against the settings and metrics in the code.
#![allow(
    clippy::unwrap_used,
    missing_docs,
    reason = "a test fails where it cannot read the sources"
)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use weir_runtime::Metric;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn page() -> String {
    std::fs::read_to_string(root().join("docs/operations.md")).unwrap()
}

/// Every source of the libraries, functions and the command; not their tests.
fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let is_test = path.file_stem().is_some_and(|stem| stem == "tests");
        if is_test {
            continue;
        }
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The settings that a text names in quotes, as the code reads them.
fn settings(text: &str) -> impl Iterator<Item = String> + '_ {
    text.split('"')
        .filter(|part| {
            part.len() > "WEIR_".len()
                && part.starts_with("WEIR_")
                && part.bytes().all(|b| b.is_ascii_uppercase() || b == b'_')
        })
        .map(str::to_owned)
}

#[test]
fn the_operations_page_names_every_setting() {
    let mut files = Vec::new();
    for folder in ["common", "functions", "cli"] {
        sources(&root().join(folder), &mut files);
    }
    let mut named = BTreeSet::new();
    for file in files {
        named.extend(settings(&std::fs::read_to_string(file).unwrap()));
    }
    assert!(named.contains("WEIR_BUCKET"), "the search finds settings");
    let page = page();
    for name in named {
        assert!(page.contains(&format!("`{name}`")), "{name}");
    }
}

#[test]
fn the_operations_page_names_every_metric() {
    let page = page();
    for metric in Metric::ALL {
        assert!(
            page.contains(&format!("`{}`", metric.name())),
            "{}",
            metric.name()
        );
    }
}
