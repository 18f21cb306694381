//! Files that are sent in parts: after a cut connection only what is missing is sent again.
//!
//! A part is [`PART_BYTES`] long, the last one what is left. The file is announced with its composite
//! checksum, which is S3's: the SHA-256 of the SHA-256s of the parts, and how many there are. Each part is
//! signed for its number, length and SHA-256, and S3 keeps the latter, so whoever completes the upload need
//! not see a byte of it: the parts that are there must come to what was announced.
//!
//! The file keeps what S3 calls its upload from before anybody is told of it. A request that is sent again
//! finds it there; an upload whose request broke off in between has no parts and goes the way of all
//! unfinished ones: the bucket gives them up [`PARTS_KEPT_DAYS`] days after they were begun.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, TimeDelta, Utc};
use sha2::{Digest as _, Sha256};
use weir_domain::ObjectIdentity;
use weir_servicegate::FILE_BYTES_MAX;
use weir_store::{AwaitedParts, File, FileContent, Joining, PartsOf, SignedPut, StoredPart};

use super::reserve::{CHECKSUM, DIGEST_RULE, digest};
use super::{Completion, UploadError, Uploader};
use crate::schema::{BodyError, BodySchema, Checked, MemberRule, Violation, required};

/// The length of every part but the last. S3 takes from 5 MiB; so large a part costs a slow line of 1 MB a
/// second a quarter of a minute when it is cut, and the largest file has 320 of them, which are listed in
/// one request.
pub const PART_BYTES: u64 = 16 * 1024 * 1024;
/// Most parts of a file.
pub const PARTS_MAX: u64 = FILE_BYTES_MAX.div_ceil(PART_BYTES);
/// Most parts that are asked for at once.
pub const PARTS_ASKED_MAX: usize = 100;
/// How many days the parts of a file are kept that is not completed: what the bucket's rule says.
pub const PARTS_KEPT_DAYS: u32 = 7;

const PARTS: &str = "parts";
const NUMBER: &str = "number";

/// The body that asks where parts go.
pub static PARTS_BODY: BodySchema = BodySchema {
    name: "parts of a file",
    members: &[required(
        PARTS,
        MemberRule::Objects {
            members: &[
                required(
                    NUMBER,
                    MemberRule::Whole {
                        min: 1,
                        max: PARTS_MAX,
                    },
                    "Which part of the file it is",
                ),
                required(
                    CHECKSUM,
                    MemberRule::Text {
                        chars_min: 44,
                        chars_max: Some(64),
                    },
                    "The SHA-256 of its bytes, in hexadecimal or in base64",
                ),
            ],
            items_min: 1,
            items_max: PARTS_ASKED_MAX,
        },
        "The parts that are to be sent, each once and in any order",
    )],
};

/// How many parts a file of so many bytes has.
pub fn part_count(size_bytes: u64) -> u64 {
    size_bytes.div_ceil(PART_BYTES)
}

/// How many bytes a part has of a file of so many; parts are numbered from 1.
pub fn part_size(size_bytes: u64, number: u32) -> u64 {
    let before = u64::from(number.saturating_sub(1)).saturating_mul(PART_BYTES);
    size_bytes.saturating_sub(before).min(PART_BYTES)
}

/// The checksum of a file in parts: the SHA-256 of the SHA-256s of its parts, and their count. Written as
/// S3 does, in base64 and with the count behind a hyphen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Composite {
    sha256: [u8; 32],
    count: u32,
}

impl Composite {
    /// That of parts with these SHA-256s, in order.
    pub fn of(parts: impl IntoIterator<Item = [u8; 32]>) -> Self {
        let (mut hash, mut count) = (Sha256::new(), 0);
        for part in parts {
            hash.update(part);
            count += 1;
        }
        let sha256 = hash.finalize().into();
        Self { sha256, count }
    }

    /// Reads it as it is written; `None` for every other text.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (digest, count) = text.split_once('-')?;
        let composite = Self {
            sha256: STANDARD.decode(digest).ok()?.try_into().ok()?,
            count: count.parse().ok()?,
        };
        // A number may be written in many ways, and only one is S3's.
        (composite.to_string() == text).then_some(composite)
    }

    /// Why a file of so many bytes cannot have it, if so.
    pub(super) fn misfit(self, size_bytes: u64) -> Option<String> {
        let count = part_count(size_bytes);
        (u64::from(self.count) != count).then(|| {
            format!(
                "must end in -{count}: a file of {size_bytes} bytes has {count} parts of \
                 {PART_BYTES} bytes, the last of which may be shorter"
            )
        })
    }
}

impl fmt::Display for Composite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", STANDARD.encode(self.sha256), self.count)
    }
}

/// Parts that are to be sent, by their numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AskedParts(Vec<AskedPart>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct AskedPart {
    number: u32,
    sha256: [u8; 32],
}

impl AskedParts {
    /// Reads the body that asks where parts go.
    ///
    /// # Errors
    /// It is no JSON object, breaks its schema, names a part twice, or has a checksum that is none.
    pub fn parse(bytes: &[u8]) -> Result<Self, BodyError> {
        let mut members = PARTS_BODY.read(bytes)?;
        let Some(Checked::Objects(asked)) = members.remove(PARTS) else {
            return Ok(Self(Vec::new()));
        };
        let (mut parts, mut wrong, mut numbers) = (Vec::new(), Vec::new(), BTreeSet::new());
        for (place, mut asked) in asked.into_iter().enumerate() {
            let mut violate = |member: &str, rule: &str| {
                wrong.push(Violation {
                    place: format!("/{PARTS}/{place}/{member}"),
                    rule: rule.to_owned(),
                });
            };
            let number = match asked.remove(NUMBER) {
                Some(Checked::Whole(number)) => u32::try_from(number).unwrap_or_default(),
                _ => 0,
            };
            if !numbers.insert(number) {
                violate(NUMBER, "must be there once");
            }
            let sha256 = match asked.remove(CHECKSUM) {
                Some(Checked::Text(text)) => digest(&text),
                _ => None,
            };
            match sha256 {
                Some(sha256) => parts.push(AskedPart { number, sha256 }),
                None => violate(CHECKSUM, DIGEST_RULE),
            }
        }
        if wrong.is_empty() {
            Ok(Self(parts))
        } else {
            Err(BodyError::Invalid(wrong))
        }
    }

    /// The parts that a file of so many bytes does not have.
    fn beyond(&self, size_bytes: u64) -> Vec<Violation> {
        let count = part_count(size_bytes);
        let beyond = self.0.iter().enumerate();
        let beyond = beyond.filter(|(_, part)| u64::from(part.number) > count);
        let violation = |(place, _)| Violation {
            place: format!("/{PARTS}/{place}/{NUMBER}"),
            rule: format!("must be at most {count}: the file has so many parts"),
        };
        beyond.map(violation).collect()
    }
}

/// A part, and how it is to be sent unless it is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartPlace {
    /// Its number.
    pub number: u32,
    /// How many bytes it has.
    pub size_bytes: u64,
    /// How it is to be sent, and until when; nothing where S3 holds it with that checksum.
    pub put: Option<(SignedPut, DateTime<Utc>)>,
}

/// What came of asking where parts go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PartPlaces {
    /// Each, in the order in which they were asked for.
    Found(Vec<PartPlace>),
    /// The file does not have some of them.
    Beyond(Vec<Violation>),
    /// The file has its object: nothing is to be sent any more.
    Complete,
    /// The upload was given up, and its parts are gone.
    GivenUp,
    /// The file's place takes one request.
    Whole,
    /// The file has no place: it is a name.
    NoPlace,
}

/// What keeps parts from becoming an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unfinished {
    /// Some are not what the size of the file makes them.
    Lacking {
        /// Parts that are not there.
        missing: Vec<u32>,
        /// Parts that have another size than they must.
        wrong_size: Vec<u32>,
    },
    /// All are there, and together they have another checksum than was announced. Which of the two is
    /// wrong, only their sender can tell.
    Different {
        /// The composite checksum that was announced.
        announced: String,
        /// The composite checksum that the parts come to.
        stored: String,
    },
}

fn of<'a>(bucket: &'a str, key: &'a str, parts: &'a AwaitedParts) -> PartsOf<'a> {
    PartsOf {
        bucket,
        key,
        upload_id: &parts.upload_id,
    }
}

impl Uploader {
    /// Until when the parts of a file are kept at least, unless they are completed.
    pub(super) fn parts_kept_until(file: &File) -> DateTime<Utc> {
        file.created_at + TimeDelta::days(PARTS_KEPT_DAYS.into())
    }

    /// Says how parts of a file are to be sent, each for [`Uploader::PLACE_KEPT`], and which are there.
    pub async fn part_places(
        &self,
        file: &File,
        asked: &AskedParts,
    ) -> Result<PartPlaces, UploadError> {
        let (bucket, key, parts) = match &file.content {
            FileContent::Nothing => return Ok(PartPlaces::NoPlace),
            FileContent::Object(_) => return Ok(PartPlaces::Complete),
            FileContent::Awaited { parts: None, .. } => return Ok(PartPlaces::Whole),
            FileContent::Awaited {
                bucket,
                key,
                parts: Some(parts),
            } => (bucket, key, parts),
        };
        let beyond = asked.beyond(parts.size_bytes);
        if !beyond.is_empty() {
            return Ok(PartPlaces::Beyond(beyond));
        }
        let of = of(bucket, key, parts);
        let Some(stored) = self.store.parts(of).await? else {
            // Its parts may have been joined a moment ago.
            let object = self.store.find_object(bucket, key).await?;
            return Ok(match object {
                Some(_) => PartPlaces::Complete,
                None => PartPlaces::GivenUp,
            });
        };
        let now = self.clock.now();
        let kept = TimeDelta::from_std(Self::PLACE_KEPT).unwrap_or_default();
        let mut places = Vec::with_capacity(asked.0.len());
        for part in &asked.0 {
            let size_bytes = part_size(parts.size_bytes, part.number);
            let sha256 = STANDARD.encode(part.sha256);
            let is_there = |stored: &StoredPart| {
                (stored.number, stored.size_bytes) == (part.number, size_bytes)
                    && stored.sha256 == sha256
            };
            let put = if stored.iter().any(is_there) {
                None
            } else {
                let bound = (part.number, size_bytes, sha256.as_str());
                let put = self
                    .store
                    .sign_part(of, bound, now, Self::PLACE_KEPT)
                    .await?;
                Some((put, now + kept))
            };
            places.push(PartPlace {
                number: part.number,
                size_bytes,
                put,
            });
        }
        Ok(PartPlaces::Found(places))
    }

    /// Makes the parts of a file its object, or says why they are none. Any number of calls, also at the
    /// same time, make one object.
    pub(super) async fn join(
        &self,
        bucket: &str,
        key: &str,
        parts: &AwaitedParts,
    ) -> Result<Result<ObjectIdentity, Completion>, UploadError> {
        let of = of(bucket, key, parts);
        let joining = match self.store.parts(of).await? {
            None => Joining::NoUpload,
            Some(stored) => match all_of(parts, stored) {
                Err(unfinished) => return Ok(Err(Completion::Unfinished(unfinished))),
                Ok(all) => self.store.join_parts(of, &all).await?,
            },
        };
        let nothing = match joining {
            Joining::Done(object) => {
                tracing::info!(key, "the parts of a file were joined");
                return Ok(Ok(object));
            }
            Joining::NoUpload => Completion::GivenUp,
            Joining::Exists | Joining::Changing => Completion::Changing,
        };
        // Whoever was faster has made it.
        let object = self.store.find_object(bucket, key).await?;
        Ok(object.ok_or(nothing))
    }
}

/// The parts of a file in order, if they are what was announced.
fn all_of(awaited: &AwaitedParts, stored: Vec<StoredPart>) -> Result<Vec<StoredPart>, Unfinished> {
    let count = u32::try_from(part_count(awaited.size_bytes)).unwrap_or(u32::MAX);
    let by_number = stored.into_iter().map(|part| (part.number, part));
    let mut by_number: BTreeMap<u32, StoredPart> = by_number.collect();
    let (mut all, mut missing, mut wrong_size) = (Vec::new(), Vec::new(), Vec::new());
    for number in 1..=count {
        match by_number.remove(&number) {
            None => missing.push(number),
            Some(part) if part.size_bytes != part_size(awaited.size_bytes, number) => {
                wrong_size.push(number);
            }
            Some(part) => all.push(part),
        }
    }
    if !(missing.is_empty() && wrong_size.is_empty()) {
        return Err(Unfinished::Lacking {
            missing,
            wrong_size,
        });
    }
    let digests = all.iter().filter_map(|part| digest(&part.sha256));
    let stored = Composite::of(digests).to_string();
    if stored == awaited.checksum {
        Ok(all)
    } else {
        let announced = awaited.checksum.clone();
        Err(Unfinished::Different { announced, stored })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_file_has_as_many_parts_as_its_bytes_fill_and_320_at_most() {
        for (size, count, last) in [
            (1, 1, 1),
            (PART_BYTES - 1, 1, PART_BYTES - 1),
            (PART_BYTES, 1, PART_BYTES),
            (PART_BYTES + 1, 2, 1),
            (FILE_BYTES_MAX, 320, PART_BYTES),
        ] {
            assert_eq!(part_count(size), count, "{size}");
            let number = u32::try_from(count).unwrap();
            assert_eq!(part_size(size, number), last, "{size}");
            assert_eq!(part_size(size, number + 1), 0, "{size}");
        }
        assert_eq!(PARTS_MAX, 320);
    }

    #[test]
    fn a_composite_checksum_is_read_in_one_notation_only() {
        let composite = Composite::of([[1; 32], [2; 32]]);
        let text = composite.to_string();
        assert_eq!(Composite::parse(&text), Some(composite));
        let digest = text.strip_suffix("-2").unwrap();
        for wrong in [
            digest.to_owned(),
            format!("{digest}-"),
            format!("{digest}-02"),
            format!("{digest}-+2"),
            format!("{digest}-2-2"),
            format!("{digest}--2"),
            format!("{}-2", &digest[1..]),
            format!("{}-2", "0".repeat(64)),
        ] {
            assert_eq!(Composite::parse(&wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_composite_checksum_must_count_the_parts_that_the_size_makes() {
        let composite = Composite::of([[1; 32], [2; 32]]);
        for (size, fits) in [
            (PART_BYTES, false),
            (PART_BYTES + 1, true),
            (2 * PART_BYTES, true),
            (2 * PART_BYTES + 1, false),
        ] {
            assert_eq!(composite.misfit(size).is_none(), fits, "{size}");
        }
        let why = composite.misfit(1).unwrap();
        assert!(why.starts_with("must end in -1: "), "{why}");
    }

    fn body(parts: &[(u64, String)]) -> Vec<u8> {
        let part = |(number, sha256): &(u64, String)| serde_json::json!({"number": number, "checksum_sha256": sha256});
        let parts: Vec<_> = parts.iter().map(part).collect();
        serde_json::json!({ "parts": parts })
            .to_string()
            .into_bytes()
    }

    #[test]
    fn from_1_to_100_parts_are_asked_for_at_once_each_from_1_to_320_and_once() {
        let sha256 = "0".repeat(64);
        for (count, is_taken) in [(0, false), (1, true), (99, true), (100, true), (101, false)] {
            let parts: Vec<_> = (1..=count).map(|number| (number, sha256.clone())).collect();
            assert_eq!(
                AskedParts::parse(&body(&parts)).is_ok(),
                is_taken,
                "{count}"
            );
        }
        for (number, is_taken) in [
            (0, false),
            (1, true),
            (319, true),
            (320, true),
            (321, false),
        ] {
            let parts = [(number, sha256.clone())];
            assert_eq!(
                AskedParts::parse(&body(&parts)).is_ok(),
                is_taken,
                "{number}"
            );
        }
        let twice = [(7, sha256.clone()), (8, "g".repeat(64)), (7, sha256)];
        let Err(BodyError::Invalid(wrong)) = AskedParts::parse(&body(&twice)) else {
            panic!("it was taken");
        };
        let places: Vec<_> = wrong.iter().map(|wrong| wrong.place.as_str()).collect();
        assert_eq!(places, ["/parts/1/checksum_sha256", "/parts/2/number"]);
    }

    proptest! {
        #[test]
        fn the_parts_of_a_file_have_all_of_its_bytes(size in 1..=FILE_BYTES_MAX) {
            let count = u32::try_from(part_count(size)).unwrap();
            let sizes: Vec<u64> = (1..=count).map(|number| part_size(size, number)).collect();
            prop_assert!(sizes.iter().all(|size| *size > 0));
            prop_assert_eq!(sizes.iter().sum::<u64>(), size);
        }
    }
}
