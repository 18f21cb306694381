//! Runs the dead-letter function in Lambda.

use std::process::ExitCode;

use weir_dead_letter::{build, handle, read};

fn main() -> ExitCode {
    weir_lambda::start("dead-letter", read, build, handle)
}
