//! Runs the query-api function in Lambda.

use std::process::ExitCode;

use weir_query_api::{build, handle, read};

fn main() -> ExitCode {
    weir_lambda::start("query-api", read, build, handle)
}
