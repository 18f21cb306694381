//! Runs the reference-sync function in Lambda.

use std::process::ExitCode;

use weir_reference_sync::{build, handle, read};

fn main() -> ExitCode {
    weir_lambda::start("reference-sync", read, build, handle)
}
