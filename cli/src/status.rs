//! `weir status`: where a file, its batches and their details stand.

use std::time::Duration;

use crate::Report;
use crate::arguments::Status;
use crate::failure::Failure;
use crate::follow::{Seen, glance};
use crate::progress::Progress;
use crate::watch::Session;

/// Asks once, or until nothing more happens.
pub(crate) async fn run(
    arguments: &Status,
    mut session: Session,
    progress: &mut Progress<'_>,
) -> Result<Report, Failure> {
    // The first question is not repeated: a wrong address or key is to be told at once.
    let mut seen = Seen::new(session.api.file(arguments.file_id).await?);
    if arguments.watch {
        let timeout = arguments.timeout.map(Duration::from_secs);
        return Ok(session.watch(seen, timeout, progress).await);
    }
    glance(&session.api, &mut seen).await?;
    Ok(session.report(&seen, None).await)
}
