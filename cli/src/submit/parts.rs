//! Sends a file in parts: some at the same time, each again by itself when its connection is lost.
//!
//! The service knows which parts are there, by their SHA-256s. So the same command, given again after
//! whatever ended it, sends those that are missing and no others; nothing need be kept here for it. Before a
//! part is sent again it is asked for again: its answer alone may have been lost, or the time of its
//! request be over.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use http::StatusCode;
use indicatif::ProgressBar;
use uuid::Uuid;
use weir_runtime::Clock;
use weir_settlement::upload::{PARTS_ASKED_MAX, part_size};

use super::place::{GLANCE, PAUSES, PLACES_MAX, Verdict, verdict, watched};
use super::{Identity, Upload};
use crate::api::{Api, ApiError, File, InParts, PartPlace, Place, SignedPut};
use crate::failure::Failure;
use crate::follow::patiently;
use crate::progress::Progress;

/// Parts under way at the same time: a line whose other end is far away is not filled by one.
const AT_ONCE: usize = 3;

/// Sends the parts and gives the file that they are.
pub(super) async fn send(
    api: &Api,
    clock: &Clock,
    upload: &Upload,
    identity: &Identity,
    progress: &mut Progress<'_>,
) -> Result<File, Failure> {
    let (name, checksum) = (upload.name.as_str(), identity.checksum.as_str());
    let mut key = identity.idempotency_key.clone();
    for _ in 0..PLACES_MAX {
        let place = patiently(clock, progress, async || {
            api.reserve(name, upload.size_bytes, checksum, &key).await
        });
        let place: Place<InParts> = place.await?;
        let id = place.file.id;
        if !place.upload.is(identity.parts.len()) {
            let reason = "it counts its parts in another way".to_owned();
            return Err(Failure::PlaceRefused { reason });
        }
        // An earlier run may have sent everything.
        if place.is_replayed
            && let Ok(file) = api.complete(id).await
        {
            return Ok(file);
        }
        let sending = Sending {
            api,
            clock,
            upload,
            id,
            parts: &identity.parts,
        };
        // Where it was given up meanwhile, or completed by somebody else, completing it says which.
        sending.all(progress).await?;
        match patiently(clock, progress, async || api.complete(id).await).await {
            Ok(file) => return Ok(file),
            Err(error) if is_conflict(&error) => {}
            Err(error) => return Err(error.into()),
        }
        key = identity.key_after(id);
    }
    Err(Failure::PlaceOver)
}

/// Whether what was asked for is at odds with what is there, and stays so.
fn is_conflict(error: &ApiError) -> bool {
    error.status() == Some(StatusCode::CONFLICT) && !error.is_busy()
}

/// What is sent where.
struct Sending<'a> {
    api: &'a Api,
    clock: &'a Clock,
    upload: &'a Upload,
    id: Uuid,
    /// SHA-256s of the parts.
    parts: &'a [String],
}

/// A part that is to be sent.
struct Attempt {
    number: u32,
    /// Where to, unless it is to be asked for.
    put: Option<SignedPut>,
    /// The pauses before it is sent again.
    pauses: std::array::IntoIter<Duration, 4>,
    /// That before this time.
    pause: Duration,
}

/// What became of it.
enum Sent {
    /// It is there.
    There,
    /// It may be sent again.
    Lost(String),
    /// The file takes no parts any more.
    Over,
}

impl Sending<'_> {
    /// Sends what is missing until all of it is there, or the file takes no parts any more.
    async fn all(&self, progress: &mut Progress<'_>) -> Result<(), Failure> {
        let Some(missing) = self.missing(progress).await? else {
            return Ok(());
        };
        let bar = self.upload.bar(progress);
        let all = self.upload.size_bytes;
        let size = |part: &PartPlace| part_size(all, part.number);
        let before = all.saturating_sub(missing.iter().map(size).sum());
        bar.inc(before);
        if missing.len() < self.parts.len() {
            progress.there(self.parts.len() - missing.len(), self.parts.len());
        }
        let attempt = |part: PartPlace| Attempt {
            number: part.number,
            put: part.put,
            pauses: PAUSES.into_iter(),
            pause: Duration::ZERO,
        };
        let mut waiting: VecDeque<Attempt> = missing.into_iter().map(attempt).collect();
        let mut under_way = FuturesUnordered::new();
        let begun = self.clock.monotonic();
        let (mut shown, mut shown_at) = (before, begun);
        loop {
            while under_way.len() < AT_ONCE
                && let Some(next) = waiting.pop_front()
            {
                under_way.push(self.attempt(next, &bar));
            }
            let done = tokio::select! {
                biased;
                done = under_way.next() => Some(done),
                () = self.clock.sleep(GLANCE) => None,
            };
            let (now, sent) = (self.clock.monotonic(), bar.position());
            if sent > shown && now.saturating_sub(shown_at) >= GLANCE {
                (shown, shown_at) = (sent, now);
                progress.sent(
                    sent,
                    all,
                    sent.saturating_sub(before),
                    now.saturating_sub(begun),
                );
            }
            let Some(done) = done else {
                continue;
            };
            let Some(done) = done else {
                return Ok(());
            };
            match done? {
                (_, Sent::There) => {}
                (_, Sent::Over) => return Ok(()),
                (mut part, Sent::Lost(reason)) => {
                    self.upload.unless_changed().await?;
                    let Some(pause) = part.pauses.next() else {
                        return Err(Failure::PlaceUnanswered { reason });
                    };
                    progress.part_again(part.number, &reason, pause);
                    part.pause = pause;
                    // The others may be lost as well, and find the line again first.
                    waiting.push_front(part);
                }
            }
        }
    }

    /// The parts that are not there, with where they go; nothing where the file takes none any more.
    async fn missing(
        &self,
        progress: &mut Progress<'_>,
    ) -> Result<Option<Vec<PartPlace>>, Failure> {
        let all: Vec<(u32, &str)> = (1..).zip(self.parts.iter().map(String::as_str)).collect();
        let mut missing = Vec::new();
        for some in all.chunks(PARTS_ASKED_MAX) {
            let ask = async || self.api.parts(self.id, some).await;
            match patiently(self.clock, progress, ask).await {
                Ok(places) => missing.extend(places.into_iter().filter(|part| part.put.is_some())),
                Err(error) if is_conflict(&error) => return Ok(None),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Some(missing))
    }

    /// Sends a part once, after its pause.
    async fn attempt(
        &self,
        mut part: Attempt,
        bar: &ProgressBar,
    ) -> Result<(Attempt, Sent), Failure> {
        if part.pause > Duration::ZERO {
            self.clock.sleep(part.pause).await;
        }
        let now = self.clock.now();
        let sent = match part.put.take().filter(|put| !put.is_over(now)) {
            Some(put) => self.put(part.number, &put, bar).await?,
            None => self.put_anew(part.number, bar).await?,
        };
        Ok((part, sent))
    }

    /// Asks where a part goes, and sends it unless it is there.
    async fn put_anew(&self, number: u32, bar: &ProgressBar) -> Result<Sent, Failure> {
        let index = usize::try_from(number).unwrap_or(0).saturating_sub(1);
        let sha256 = self.parts.get(index).map_or("", String::as_str);
        let places = match self.api.parts(self.id, &[(number, sha256)]).await {
            Ok(places) => places,
            Err(error) if is_conflict(&error) => return Ok(Sent::Over),
            Err(error) if error.passes().is_some() => return Ok(Sent::Lost(error.to_string())),
            Err(error) => return Err(error.into()),
        };
        if let Some(put) = places.into_iter().find_map(|place| place.put) {
            return self.put(number, &put, bar).await;
        }
        bar.inc(part_size(self.upload.size_bytes, number));
        Ok(Sent::There)
    }

    async fn put(&self, number: u32, put: &SignedPut, bar: &ProgressBar) -> Result<Sent, Failure> {
        let (body, sent) = self.upload.part(number, bar).await?;
        let position = || sent.load(Ordering::Relaxed);
        let answer = watched(self.clock, position, |_, _| {}, self.api.put(put, body)).await;
        let lost = match verdict(answer) {
            Verdict::There => return Ok(Sent::There),
            Verdict::Different => return Err(self.upload.changed()),
            Verdict::Refused(reason) => return Err(Failure::PlaceRefused { reason }),
            Verdict::Lost(reason) => reason,
            Verdict::Over => "the time to send it was over".to_owned(),
        };
        bar.dec(position());
        Ok(Sent::Lost(lost))
    }
}
