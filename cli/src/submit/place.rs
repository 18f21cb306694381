//! Sends a file that is too large for a request to a place of its own.
//!
//! A place takes exactly the bytes it was asked for, once and for a quarter of an hour. So it does no
//! harm to send them again when a connection was lost, always from the start: bytes that arrived the
//! first time are refused as being there already, which is as good. When the time of a place is over,
//! another one is asked for, under a key that follows from the last place: whoever begins anew with
//! the same file goes the same way and comes to the same place.

use std::pin::pin;
use std::time::Duration;

use http::StatusCode;
use uuid::Uuid;
use weir_domain::FileStatus;
use weir_runtime::{Clock, HttpError, HttpResponse};

use super::{Identity, Upload};
use crate::api::{Api, File, Place, SignedPut};
use crate::failure::Failure;
use crate::follow::patiently;
use crate::progress::Progress;
use crate::text::cut;

/// How often a place is asked for: each is good for a quarter of an hour.
pub(super) const PLACES_MAX: u32 = 4;
/// The pauses before the bytes are sent again.
pub(super) const PAUSES: [Duration; 4] = [
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
];
/// How often it is looked at how much is sent.
pub(super) const GLANCE: Duration = Duration::from_secs(5);
/// After so many of them without a byte the connection counts as lost: two minutes, as what is at the
/// other end checks the bytes before it answers.
const GLANCES_STILL_MAX: u32 = 24;
/// Most that is shown of what the other side says, in terminal columns.
const SAID_WIDTH_MAX: usize = 200;

/// What became of sending the bytes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// They are in their place, by this request or an earlier one.
    There,
    /// The time of the place is over, or there is none any more.
    Over,
    /// They are not those that the place was made for.
    Different,
    /// They may be sent again.
    Lost(String),
    /// They will not be taken.
    Refused(String),
}

/// Sends the bytes and gives the file that they are.
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
        let place: Place<SignedPut> = place.await?;
        let id = place.file.id;
        // What an earlier run has sent need not be sent again.
        if place.is_replayed
            && let Some(file) = taken(api, id).await
        {
            return Ok(file);
        }
        if fill(api, clock, upload, &place.upload, progress).await? {
            return Ok(announced(api, clock, place.file, progress).await);
        }
        if let Some(file) = taken(api, id).await {
            return Ok(file);
        }
        key = identity.key_after(id);
    }
    Err(Failure::PlaceOver)
}

/// Sends the bytes until they are in their place, or its time is over, which is false.
async fn fill(
    api: &Api,
    clock: &Clock,
    upload: &Upload,
    put: &SignedPut,
    progress: &mut Progress<'_>,
) -> Result<bool, Failure> {
    let mut pauses = PAUSES.into_iter();
    loop {
        // Asked here too, as the other side may hang up before it says so.
        if put.is_over(clock.now()) {
            return Ok(false);
        }
        let (body, bar) = upload.body(progress).await?;
        let moved = |sent, elapsed| progress.sent(sent, upload.size_bytes, sent, elapsed);
        let sent = watched(clock, || bar.position(), moved, api.put(put, body)).await;
        match verdict(sent) {
            Verdict::There => return Ok(true),
            Verdict::Over => return Ok(false),
            Verdict::Different => return Err(upload.changed()),
            Verdict::Refused(reason) => return Err(Failure::PlaceRefused { reason }),
            Verdict::Lost(reason) => {
                upload.unless_changed().await?;
                let Some(pause) = pauses.next() else {
                    return Err(Failure::PlaceUnanswered { reason });
                };
                progress.again(&reason, pause);
                clock.sleep(pause).await;
            }
        }
    }
}

/// The answer to what is being sent; lost when nothing moves for too long.
pub(super) async fn watched(
    clock: &Clock,
    position: impl Fn() -> u64,
    mut on_moved: impl FnMut(u64, Duration),
    answer: impl Future<Output = Result<HttpResponse, HttpError>>,
) -> Result<HttpResponse, HttpError> {
    let mut answer = pin!(answer);
    let begun = clock.monotonic();
    let (mut sent_before, mut still) = (0, 0);
    loop {
        tokio::select! {
            biased;
            answer = &mut answer => return answer,
            () = clock.sleep(GLANCE) => {}
        }
        let sent = position();
        if sent > sent_before {
            (sent_before, still) = (sent, 0);
            on_moved(sent, clock.monotonic().saturating_sub(begun));
        } else if still >= GLANCES_STILL_MAX {
            return Err(HttpError::Timeout {
                limit: GLANCE * GLANCES_STILL_MAX,
            });
        } else {
            still += 1;
        }
    }
}

pub(super) fn verdict(sent: Result<HttpResponse, HttpError>) -> Verdict {
    let response = match sent {
        Ok(response) => response,
        Err(error @ HttpError::Invalid { .. }) => return Verdict::Refused(error.to_string()),
        Err(error) => return Verdict::Lost(error.to_string()),
    };
    let body = String::from_utf8_lossy(&response.body);
    let code = element(&body, "Code");
    let message = element(&body, "Message");
    let status = response.status;
    let said = [code, message].map(|said| cut(said, SAID_WIDTH_MAX));
    let said = said.iter().filter(|said| !said.is_empty());
    let reason = said.fold(status.to_string(), |all, said| format!("{all}: {said}"));
    let is_expired = matches!(code, "ExpiredToken" | "NoSuchUpload")
        || (status == StatusCode::FORBIDDEN && message.to_lowercase().contains("expired"));
    match status {
        _ if status.is_success() => Verdict::There,
        StatusCode::PRECONDITION_FAILED => Verdict::There,
        _ if is_expired => Verdict::Over,
        _ if matches!(
            code,
            "BadDigest" | "XAmzContentChecksumMismatch" | "XAmzContentSHA256Mismatch"
        ) =>
        {
            Verdict::Different
        }
        StatusCode::CONFLICT | StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => {
            Verdict::Lost(reason)
        }
        // How S3 says that no byte came for a while.
        _ if status.is_server_error() || code == "RequestTimeout" => Verdict::Lost(reason),
        _ => Verdict::Refused(reason),
    }
}

/// What an element of a small document holds; empty when it is not there.
fn element<'a>(document: &'a str, name: &str) -> &'a str {
    let inner = document.split_once(&format!("<{name}>"));
    let inner = inner.and_then(|(_, rest)| rest.split_once(&format!("</{name}>")));
    inner.map_or("", |(inner, _)| inner)
}

/// The file, if its object is known to be there.
async fn taken(api: &Api, id: Uuid) -> Option<File> {
    let is_taken = |file: &File| file.status != FileStatus::Stored;
    if let Some(file) = api.complete(id).await.ok().filter(is_taken) {
        return Some(file);
    }
    api.file(id).await.ok().filter(is_taken)
}

/// The file as it stands now that its object is there. The object announces itself, too: a service
/// that need not be told, or an answer that stays away, changes nothing.
async fn announced(api: &Api, clock: &Clock, file: File, progress: &mut Progress<'_>) -> File {
    let id = file.id;
    if let Ok(file) = patiently(clock, progress, async || api.complete(id).await).await {
        return file;
    }
    api.file(id).await.unwrap_or(file)
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::*;

    fn answered(status: u16, body: &str) -> Verdict {
        verdict(Ok(HttpResponse {
            status: StatusCode::from_u16(status).unwrap(),
            headers: HeaderMap::new(),
            body: body.to_owned().into(),
        }))
    }

    fn error(code: &str, message: &str) -> String {
        format!("<Error><Code>{code}</Code><Message>{message}</Message></Error>")
    }

    #[test]
    fn what_is_there_already_is_as_good_as_sent() {
        for status in [200, 204, 412] {
            assert_eq!(answered(status, ""), Verdict::There, "{status}");
        }
    }

    #[test]
    fn only_a_refusal_that_speaks_of_time_or_of_no_upload_ends_a_place() {
        let over = error("AccessDenied", "Request has expired");
        assert_eq!(answered(403, &over), Verdict::Over);
        let over = error("ExpiredToken", "The provided token has expired.");
        assert_eq!(answered(400, &over), Verdict::Over);
        let gone = error("NoSuchUpload", "The specified upload does not exist.");
        assert_eq!(answered(404, &gone), Verdict::Over);
        let denied = error("AccessDenied", "Access Denied");
        let refused = "403 Forbidden: AccessDenied: Access Denied".to_owned();
        assert_eq!(answered(403, &denied), Verdict::Refused(refused));
    }

    #[test]
    fn other_bytes_are_not_sent_again_and_lost_ones_are() {
        let different = error("BadDigest", "no match");
        assert_eq!(answered(400, &different), Verdict::Different);
        for status in [408, 409, 429, 500, 503] {
            assert!(matches!(answered(status, ""), Verdict::Lost(_)));
        }
        let slow = error("RequestTimeout", "too slow");
        assert!(matches!(answered(400, &slow), Verdict::Lost(_)));
        let cut = HttpError::Cut {
            status: None,
            reason: "reset".to_owned(),
        };
        assert!(matches!(verdict(Err(cut)), Verdict::Lost(_)));
        let large = error("EntityTooLarge", "too large");
        assert!(matches!(answered(400, &large), Verdict::Refused(_)));
    }
}
