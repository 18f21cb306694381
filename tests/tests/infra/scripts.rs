//! The scripts: each says what it needs before it begins.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Scripts that run Python, themselves or in an environment that they make.
const WITH_PYTHON: [&str; 7] = [
    "build",
    "deploy",
    "destroy",
    "lint",
    "schemathesis",
    "test",
    "test-deployed",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn where_is(tool: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap();
    let mut folders = std::env::split_paths(&path);
    let found = folders.find_map(|folder| Some(folder.join(tool)).filter(|file| file.is_file()));
    found.unwrap_or_else(|| panic!("{tool} is not on this machine"))
}

#[test]
fn a_script_that_runs_python_says_that_it_is_missing_before_it_does_anything() {
    // A machine with nothing but what a script needs to say so.
    let machine = tempfile::tempdir().unwrap();
    for tool in ["bash", "cargo", "cc", "curl", "dirname", "sed", "uname"] {
        symlink(where_is(tool), machine.path().join(tool)).unwrap();
    }
    let target = tempfile::tempdir().unwrap();
    for script in WITH_PYTHON {
        let mut command = Command::new(where_is("bash"));
        command.arg(format!("scripts/{script}.sh"));
        command.current_dir(root()).env("PATH", machine.path());
        let ended = command
            .env("CARGO_TARGET_DIR", target.path())
            .env("STAGE", "dev")
            .output()
            .unwrap();
        let said = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(ended.status.code(), Some(1), "{script}: {said}");
        assert!(
            said.starts_with("python3 is missing: ") && said.lines().count() == 1,
            "{script}: {said}"
        );
        assert!(ended.stdout.is_empty(), "{script}");
    }
    assert_eq!(target.path().read_dir().unwrap().count(), 0);
}
