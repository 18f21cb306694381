//! Runs the sweeper function in Lambda.

use std::process::ExitCode;

use weir_sweeper::{build, handle, read};

fn main() -> ExitCode {
    weir_lambda::start("sweeper", read, build, handle)
}
