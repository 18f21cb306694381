//! Runs the detail-processor function in Lambda.

use std::process::ExitCode;

use weir_detail_processor::{build, handle, read};

fn main() -> ExitCode {
    weir_lambda::start("detail-processor", read, build, handle)
}
