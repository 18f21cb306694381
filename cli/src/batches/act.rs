//! Cancel, retry, and what is done to drafts: shown, asked, sent, followed.
//!
//! More details than one request may name go in several, one after the other. What is done to a whole
//! batch may go on after its answer; it is watched until it is done, which nothing hangs on.

use std::collections::BTreeSet;

use futures::{StreamExt, TryStreamExt, stream};
use serde::Serialize;
use uuid::Uuid;
use weir_domain::{BatchAction, BatchStatus};

use super::arguments::Target;
use super::{PATIENCE, confirm, new_key, rendered, words};
use crate::api::{Act, ApiError, Batch, NamedDetail, Standing};
use crate::failure::{EXIT_WELL, Failure};
use crate::follow::{Pace, patiently, patiently_for};
use crate::progress::Progress;
use crate::summary::{table, to_json};
use crate::text::{Paint, append, counted};
use crate::watch::Session;
use crate::{Outside, Report};

/// Most details that one request may name.
const NAMED_MAX: usize = 1_000;
/// Details that are looked at side by side.
const LOOKED_AT_TOGETHER: usize = 8;

/// What is done, and to what.
pub(super) struct Wish {
    pub(super) action: BatchAction,
    /// The batch before.
    pub(super) before: Standing,
    /// The details that were named, as they were; none for all of the batch.
    pub(super) named: Vec<NamedDetail>,
    /// Whether it was looked up what became of their calls.
    pub(super) looked_up: bool,
}

/// What came of it.
struct Outcome {
    /// The batch as it was seen last.
    standing: Standing,
    /// How many of the named details were taken.
    taken_count: usize,
    /// Why no more came of it.
    failure: Option<Failure>,
    /// Whether the service goes on with it.
    goes_on: bool,
}

/// The document that `--json` prints.
#[derive(Serialize)]
struct Document<'a> {
    action: &'static str,
    /// Whether nothing more comes of it by itself.
    done: bool,
    /// How many details were named and taken; not there for a whole batch.
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<usize>,
    batch: BatchDocument<'a>,
}

#[derive(Serialize)]
struct BatchDocument<'a> {
    file_id: Uuid,
    #[serde(flatten)]
    batch: &'a Batch,
    batch_detail_processed_count: u64,
    batch_detail_draft_count: u64,
}

/// Does it, once a person has said yes.
pub(super) async fn run(
    target: &Target,
    action: BatchAction,
    looked_up: bool,
    outside: &mut Outside<'_>,
) -> Result<Report, Failure> {
    let mut session = crate::session(&target.connection, &target.output, outside)?;
    let before = session.api.standing(target.batch_id).await?;
    let details: BTreeSet<Uuid> = target.details.iter().copied().collect();
    let is_untaken = before.batch.status == BatchStatus::Error
        && before.batch.batch_detail_count == 0
        && details.is_empty();
    let action = match action {
        BatchAction::Retry if is_untaken => BatchAction::Retake,
        action => action,
    };
    let named = look_at(&session, &before, action, details).await?;
    let wish = Wish {
        action,
        before,
        named,
        looked_up,
    };
    if wish.named.is_empty() && words::left(action, &wish.before) == 0 {
        let nothing = format!("{}\n\n", words::nothing(&wish));
        return Ok(report(&session, &wish, &wish.unchanged(), &nothing));
    }
    let (preview, question) = (words::preview(&wish), words::question(&wish));
    let flags = (session.json, target.yes);
    confirm(&preview, &question, flags, outside)?;
    let groups = wish.groups();
    let keys: Vec<String> = groups.iter().map(|_| new_key(outside)).collect();
    let mut progress = crate::progress(&target.output, outside);
    let carried_out = carry_out(&mut session, &wish, &groups, &keys, &mut progress).await;
    progress.clear();
    let outcome = carried_out?;
    let heading = match &outcome.failure {
        None => format!("Done: {}.\n\n", words::done(&wish)),
        Some(_) => String::new(),
    };
    Ok(report(&session, &wish, &outcome, &heading))
}

/// The named details as they are.
async fn look_at(
    session: &Session,
    before: &Standing,
    action: BatchAction,
    details: BTreeSet<Uuid>,
) -> Result<Vec<NamedDetail>, Failure> {
    let with_draft = action == BatchAction::ConfirmDrafts;
    let found = stream::iter(details).map(|id| async move {
        let found = session.api.named(before, id, with_draft).await?;
        Ok::<_, ApiError>((id, found))
    });
    let found: Vec<_> = found.buffered(LOOKED_AT_TOGETHER).try_collect().await?;
    let missing = found.iter().filter(|(_, found)| found.is_none());
    let missing: Vec<Uuid> = missing.map(|(id, _)| *id).collect();
    if missing.is_empty() {
        Ok(found.into_iter().filter_map(|(_, found)| found).collect())
    } else {
        Err(Failure::NotInBatch(missing))
    }
}

impl Wish {
    /// What each request names: nothing, when all of the batch is meant.
    fn groups(&self) -> Vec<Vec<Uuid>> {
        if self.named.is_empty() {
            return vec![Vec::new()];
        }
        let ids = |details: &[NamedDetail]| details.iter().map(|named| named.detail.id).collect();
        self.named.chunks(NAMED_MAX).map(ids).collect()
    }

    fn unchanged(&self) -> Outcome {
        Outcome {
            standing: self.before.clone(),
            taken_count: 0,
            failure: None,
            goes_on: false,
        }
    }
}

/// Sends every request, and watches what goes on after the answer. A failure after something was done
/// is part of the outcome.
async fn carry_out(
    session: &mut Session,
    wish: &Wish,
    groups: &[Vec<Uuid>],
    keys: &[String],
    progress: &mut Progress<'_>,
) -> Result<Outcome, Failure> {
    let mut outcome = wish.unchanged();
    for (details, key) in groups.iter().zip(keys) {
        match send(session, wish, details, key, progress).await {
            Ok(standing) => outcome.standing = standing,
            Err(failure) if outcome.taken_count == 0 => return Err(failure),
            Err(failure) => {
                outcome.failure = Some(failure);
                return Ok(outcome);
            }
        }
        outcome.taken_count += details.len();
        if groups.len() > 1 {
            let left = wish.named.len().saturating_sub(outcome.taken_count);
            progress.task(
                words::going_on(wish.action),
                count(left),
                count(wish.named.len()),
            );
        }
    }
    if wish.named.is_empty() {
        outcome.goes_on = true;
        match follow(session, wish, &mut outcome.standing, progress).await {
            Ok(()) => outcome.goes_on = false,
            Err(failure) => outcome.failure = Some(failure),
        }
    }
    Ok(outcome)
}

async fn send(
    session: &mut Session,
    wish: &Wish,
    details: &[Uuid],
    key: &str,
    progress: &mut Progress<'_>,
) -> Result<Standing, Failure> {
    let Session {
        api,
        clock,
        interrupt,
        ..
    } = session;
    let what = Act {
        action: wish.action,
        details,
        looked_up: wish.looked_up,
    };
    let once = async || api.act(&wish.before, what, key).await;
    let sending = async {
        // Without a key it would be another request the second time.
        if wish.action == BatchAction::Retake {
            once().await
        } else {
            patiently_for(PATIENCE, clock, progress, once).await
        }
    };
    tokio::select! {
        biased;
        () = interrupt => Err(Failure::ChangeInterrupted),
        sent = sending => sent.map_err(Failure::from),
    }
}

/// Looks until nothing is done to the whole batch any more. `standing` is the batch as seen last.
async fn follow(
    session: &mut Session,
    wish: &Wish,
    standing: &mut Standing,
    progress: &mut Progress<'_>,
) -> Result<(), Failure> {
    let Session {
        api,
        clock,
        interrupt,
        ..
    } = session;
    let all = words::left(wish.action, &wish.before);
    let id = standing.batch.id;
    let watching = async {
        let mut pace = Pace::start();
        loop {
            let left = words::left(wish.action, standing);
            if left == 0 || standing.task.is_none() {
                return Ok::<_, ApiError>(());
            }
            progress.task(words::going_on(wish.action), left, all);
            clock.sleep(pace.next()).await;
            *standing = patiently(clock, progress, async || api.standing(id).await).await?;
        }
    };
    tokio::select! {
        biased;
        () = interrupt => Err(Failure::Interrupted),
        watched = watching => watched.map_err(Failure::from),
    }
}

fn report(session: &Session, wish: &Wish, outcome: &Outcome, heading: &str) -> Report {
    let standing = &outcome.standing;
    let stdout = if session.json {
        to_json(&Document {
            action: words::name(wish.action),
            done: outcome.failure.is_none(),
            details: (!wish.named.is_empty()).then_some(outcome.taken_count),
            batch: BatchDocument {
                file_id: standing.file_id,
                batch: &standing.batch,
                batch_detail_processed_count: standing.batch.processed_count(),
                batch_detail_draft_count: standing.batch_detail_draft_count,
            },
        })
    } else {
        text(wish, standing, heading, session.paint)
    };
    let Some(failure) = &outcome.failure else {
        return Report {
            stdout,
            stderr: String::new(),
            exit_code: EXIT_WELL,
        };
    };
    let note = if outcome.goes_on {
        let file = standing.file_id;
        format!(
            "the {} goes on by itself; see how it stands with: weir status {file}",
            words::noun(wish.action)
        )
    } else {
        let taken = counted(count(outcome.taken_count), "detail was", "details were");
        format!("the first {taken} taken before, and stay so; name the others again")
    };
    Report {
        stdout,
        stderr: rendered(failure, &note, session.paint_stderr),
        exit_code: failure.exit_code(),
    }
}

fn text(wish: &Wish, standing: &Standing, heading: &str, paint: Paint) -> String {
    let batch = std::slice::from_ref(&standing.batch);
    let mut text = format!("{heading}{}", table(batch, paint));
    for hint in words::hints(wish, standing) {
        append(&mut text, format_args!("{hint}\n"));
    }
    text
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}
