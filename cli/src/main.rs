//! The `weir` binary: wires the command to the machine it runs on.

use std::io::{self, BufRead, IsTerminal};
use std::process::ExitCode;

use weir_cli::{Outside, WHOLE_BYTES_MAX};
use weir_runtime::{Clock, Http, HttpOptions, Random, Reader};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    let colours = !is_set("NO_COLOR") && !is_dumb;
    let (mut stdout, mut stderr) = (io::stdout(), io::stderr());
    let mut stdin = io::stdin().lock();
    let is_asked = stdin.is_terminal() && stderr.is_terminal();
    let outside = Outside {
        clock: Clock::system(),
        random: Random::system(),
        connect: &|| Http::new(&HttpOptions::default()),
        settings: &Reader::from_env,
        answers: is_asked.then_some(&mut stdin as &mut dyn BufRead),
        stdout_colours: colours && stdout.is_terminal(),
        stderr_colours: colours && stderr.is_terminal(),
        stderr_is_terminal: stderr.is_terminal() && !is_dumb,
        stdout: &mut stdout,
        stderr: &mut stderr,
        whole_bytes_max: WHOLE_BYTES_MAX,
        interrupt: Box::pin(async {
            if tokio::signal::ctrl_c().await.is_err() {
                // No signal will be seen; the command then ends as the machine ends it.
                std::future::pending::<()>().await;
            }
        }),
    };
    weir_cli::run(std::env::args_os(), outside).await.into()
}
