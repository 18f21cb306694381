//! Children: processes of their own, so that what they use is theirs alone.
//!
//! A child prints what it measured as one JSON object of names and numbers.

use std::io::{self, Write};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, anyhow};
use clap::ValueEnum;

use crate::measure::Values;
use crate::{Setting, actions, functions, messages, query, reader, settle};

/// What a child does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Role {
    /// Reads a file from standard input.
    Read,
    /// Settles a file.
    Settle,
    /// Settles a file and counts units.
    Units,
    /// Asks the API.
    Query,
    /// Takes messages.
    Messages,
    /// Acts on a whole batch.
    Actions,
    /// Starts the functions.
    Functions,
}

/// Does a child's work.
pub(crate) fn run(role: Role, setting: &Setting) -> anyhow::Result<()> {
    let values = match role {
        Role::Read => reader::read_input(),
        Role::Settle => settle::speed_here(setting),
        Role::Units => settle::units_here(setting),
        Role::Messages => messages::measure_here(setting),
        Role::Query => settle::runtime()?.block_on(query::measure(setting)),
        Role::Functions => functions::measure_here(setting),
        Role::Actions => settle::runtime()?.block_on(actions::measure(setting)),
    }?;
    let mut out = io::stdout().lock();
    serde_json::to_writer(&mut out, &values)?;
    Ok(out.flush()?)
}

/// Starts a child that takes its input from `input`.
pub(crate) fn start(role: Role, setting: &Setting, input: Stdio) -> anyhow::Result<Child> {
    let name = role
        .to_possible_value()
        .ok_or_else(|| anyhow!("a role has no name"))?;
    Command::new(std::env::current_exe()?)
        .args(["--child", name.get_name()])
        .arg("--scratch")
        .arg(&setting.scratch)
        .arg("--packages")
        .arg(&setting.packages)
        .args(["--details", &setting.details.to_string()])
        .stdin(input)
        .stdout(Stdio::piped())
        .spawn()
        .context("start a child")
}

/// What a child measured.
pub(crate) fn finish(child: Child) -> anyhow::Result<Values> {
    let output = child.wait_with_output()?;
    anyhow::ensure!(
        output.status.success(),
        "a child ended with {}",
        output.status
    );
    serde_json::from_slice(&output.stdout).context("read what a child measured")
}
