//! Runs the binary.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use crate::server::{KEY, Server};

/// What a run came to.
#[derive(Debug)]
pub struct Run {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl From<Output> for Run {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().expect("no signal ended it"),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Run {
    /// Everything that was shown, for a snapshot: the server's address is another every time.
    pub fn shown(&self, server: &Server) -> String {
        let Self {
            code,
            stdout,
            stderr,
        } = self;
        let shown = format!("exit {code}\n--- stdout\n{stdout}--- stderr\n{stderr}");
        shown.replace(&server.url, "http://api")
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap()
    }
}

/// The binary without settings.
pub fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
    for variable in ["WEIR_API", "WEIR_API_KEY", "NO_COLOR"] {
        command.env_remove(variable);
    }
    command.args(arguments).stdin(Stdio::null());
    command
}

/// The binary, told where the server is.
pub fn command_at(url: &str, arguments: &[&str]) -> Command {
    let mut command = command(arguments);
    command.env("WEIR_API", url).env("WEIR_API_KEY", KEY);
    command
}

pub fn run(mut command: Command) -> Run {
    command.output().unwrap().into()
}

/// Runs against the server, with a correlation id that is always the same.
pub fn weir(server: &Server, arguments: &[&str]) -> Run {
    let mut command = command_at(&server.url, arguments);
    command.args(["--correlation-id", "c-1"]);
    run(command)
}

/// Starts against the server without waiting for the end.
pub fn start(server: &Server, arguments: &[&str]) -> Child {
    let mut command = command_at(&server.url, arguments);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

/// What the terminal does on ctrl-c.
pub fn interrupt(child: &Child) {
    let id = child.id().to_string();
    let killed = Command::new("kill").args(["-INT", &id]).status().unwrap();
    assert!(killed.success());
}

/// The sample file that every part of the system is tested with.
pub fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/settlements/golden.xml")
}

/// A file of so many bytes in a folder that goes away with the first of the two.
pub fn file_of(bytes: usize) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("large.xml");
    std::fs::write(&path, vec![b' '; bytes]).unwrap();
    let path = path.to_str().unwrap().to_owned();
    (folder, path)
}
