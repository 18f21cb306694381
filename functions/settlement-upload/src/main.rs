//! Runs the settlement-upload function in Lambda.

use std::process::ExitCode;

use weir_settlement_upload::{build, handle, read};

fn main() -> ExitCode {
    weir_lambda::start("settlement-upload", read, build, handle)
}
