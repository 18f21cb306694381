//! What `submit --wait` and `status` share: a session with the API, the watch, and its report.

use std::time::Duration;

use futures::future::BoxFuture;
use secrecy::{ExposeSecret, SecretString};
use weir_runtime::{Clock, CorrelationId, Random};

use crate::Connect;
use crate::Report;
use crate::api::{Api, base_url, invalid_key};
use crate::arguments::Connection;
use crate::failure::{EXIT_IN_ERROR, EXIT_WELL, Failure, go_on_hint};
use crate::follow::{Seen, follow};
use crate::progress::Progress;
use crate::summary::{self, BATCHES_DETAILED_MAX, DETAILS_SHOWN_MAX, DetailsInError};
use crate::text::Paint;

/// The API, and what a command needs to watch it.
pub(crate) struct Session {
    pub(crate) api: Api,
    pub(crate) clock: Clock,
    /// Ends when the person at the keyboard wants no more.
    pub(crate) interrupt: BoxFuture<'static, ()>,
    /// Whether one JSON document is wanted instead of text.
    pub(crate) json: bool,
    /// The colours of standard output.
    pub(crate) paint: Paint,
    /// The colours of standard error.
    pub(crate) paint_stderr: Paint,
}

/// Reads how the API is reached and makes the client. Nothing is sent yet.
pub(crate) fn open(
    connection: &Connection,
    connect: Connect<'_>,
    clock: &Clock,
    random: &Random,
) -> Result<Api, Failure> {
    let is_given = |setting: &&SecretString| !setting.expose_secret().trim().is_empty();
    let base = connection.api.as_ref().filter(is_given);
    let base = base.ok_or(Failure::SettingMissing {
        what: "address of the API",
        variable: "WEIR_API",
        flag: "--api",
    })?;
    let base = base_url(base.expose_secret())?;
    let key = connection.api_key.as_ref().filter(is_given);
    let key = key.ok_or(Failure::SettingMissing {
        what: "API key",
        variable: "WEIR_API_KEY",
        flag: "--api-key",
    })?;
    if key.expose_secret().trim().contains(char::is_whitespace) {
        return Err(invalid_key("must be the key alone, without spaces"));
    }
    let correlation = connection.correlation_id.clone();
    let correlation = correlation.unwrap_or_else(|| CorrelationId::generate(random, clock));
    let http = connect().map_err(Failure::NoClient)?;
    Api::new(http.with_clock(clock.clone()), base, key, correlation)
}

impl Session {
    /// Follows what was seen until nothing more happens, the time runs out or somebody interrupts.
    pub(crate) async fn watch(
        &mut self,
        mut seen: Seen,
        timeout: Option<Duration>,
        progress: &mut Progress<'_>,
    ) -> Report {
        let following = follow(&self.api, &self.clock, &mut seen, progress);
        let limited = async {
            let Some(limit) = timeout else {
                return following.await.map_err(Failure::from);
            };
            match self.clock.timeout(limit, following).await {
                Ok(followed) => followed.map_err(Failure::from),
                Err(elapsed) => Err(Failure::TimedOut {
                    limit: elapsed.limit,
                }),
            }
        };
        let failure = tokio::select! {
            biased;
            () = &mut self.interrupt => Some(Failure::Interrupted),
            followed = limited => followed.err(),
        };
        progress.clear();
        self.report(&seen, failure).await
    }

    /// What was seen, with the first details in error, and the failure that ended the watch.
    pub(crate) async fn report(&self, seen: &Seen, failure: Option<Failure>) -> Report {
        let mut stderr = String::new();
        let mut details = DetailsInError::new();
        if failure.is_none() {
            match self.details_in_error(seen).await {
                Ok(found) => details = found,
                // The verdict stands without them.
                Err(failure) => stderr.push_str(&failure.render(self.paint_stderr)),
            }
        }
        let verdict = if failure.is_none() && seen.shows_nothing() {
            stderr.push_str(&Failure::NothingVisible.render(self.paint_stderr));
            Failure::NothingVisible.exit_code()
        } else if seen.is_in_error() {
            EXIT_IN_ERROR
        } else {
            EXIT_WELL
        };
        let exit_code = failure.as_ref().map_or(verdict, Failure::exit_code);
        if let Some(failure) = failure {
            stderr.push_str(&failure.render(self.paint_stderr));
            stderr.push_str(&go_on_hint(seen.file.id, self.paint_stderr));
        }
        let stdout = if self.json {
            summary::json(seen, &details)
        } else {
            summary::text(seen, &details, self.paint)
        };
        Report {
            stdout,
            stderr,
            exit_code,
        }
    }

    async fn details_in_error(&self, seen: &Seen) -> Result<DetailsInError, Failure> {
        let mut details = DetailsInError::new();
        let batches = seen.batches.iter().flatten();
        let in_error = batches.filter(|batch| batch.batch_detail_error_count > 0);
        for batch in in_error.take(BATCHES_DETAILED_MAX) {
            let found = self
                .api
                .details_in_error(seen.file.id, batch.id, DETAILS_SHOWN_MAX)
                .await?;
            details.insert(batch.id, found);
        }
        Ok(details)
    }
}
