//! Runs the action-api function in Lambda.

use std::process::ExitCode;

use weir_action_api::{build, handle, read};

fn main() -> ExitCode {
    weir_lambda::start("action-api", read, build, handle)
}
