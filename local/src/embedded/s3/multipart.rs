//! Multipart uploads under way: a folder each, holding what it is for and its parts.
//!
//! Invariants: the name of a part's file holds its number, its MD5 and its SHA-256 where that was sent, so
//! a process that starts anew knows all about it; of several uploads of the same part the last wins, and
//! what is left of the others goes when it is there, also where a process ended before it could see to
//! that; nothing of an upload is part of an object before it is completed.
//!
//! An upload may be begun with SHA-256 as its checksum. Then every part must be sent with its own, the
//! completion must name them all, and the object's is that of the parts' with their number: composite. Of
//! the other algorithms each part is checked, and nothing is kept.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use s3s::crypto::{Checksum as _, Md5, Sha256};
use s3s::dto::{
    self, ChecksumAlgorithm, ChecksumType, CompletedPart, ETag, ListPartsInput, ListPartsOutput,
    StreamingBlob,
};
use s3s::{S3Error, S3Result, s3_error};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::super::hex;
use super::body::{self, Claims, Written};
use super::folder::{Draft, Folder};
use super::record::Described;

/// A page of a list has at most so many parts.
const PAGE_MAX: i32 = 1_000;
/// Part numbers go from 1 to this.
const PART_NUMBER_MAX: i32 = 10_000;
/// Every part but the last has at least so many bytes.
const PART_MIN_BYTES: u64 = 5 * 1024 * 1024;

/// What an upload is for.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Upload {
    pub(super) bucket: String,
    pub(super) key: String,
    pub(super) described: Described,
    /// Whether its parts have a SHA-256 each, and the object one of those.
    #[serde(default)]
    pub(super) has_sha256: bool,
}

/// A part that has been uploaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) number: i32,
    /// The MD5 of its bytes.
    pub(super) etag: String,
    /// The SHA-256 of its bytes in base64, where its sender gave one.
    pub(super) sha256: Option<String>,
    pub(super) size_bytes: u64,
    path: PathBuf,
}

/// The bytes of a completed upload.
#[derive(Debug)]
pub(super) struct Joined {
    pub(super) etag: String,
    pub(super) size_bytes: u64,
    /// The composite SHA-256 of an upload that has one.
    pub(super) sha256: Option<String>,
}

impl Upload {
    /// The checksum of its parts and what the object's is to be, where it has one.
    pub(super) fn checksum(&self) -> Option<(ChecksumAlgorithm, ChecksumType)> {
        let algorithm = ChecksumAlgorithm::from_static(ChecksumAlgorithm::SHA256);
        let kind = ChecksumType::from_static(ChecksumType::COMPOSITE);
        self.has_sha256.then_some((algorithm, kind))
    }

    /// The page of its parts that is asked for.
    pub(super) fn page(
        &self,
        parts: BTreeMap<i32, Part>,
        input: ListPartsInput,
    ) -> ListPartsOutput {
        let count_max = input.max_parts.unwrap_or(PAGE_MAX).clamp(0, PAGE_MAX);
        let marker = input.part_number_marker.unwrap_or_default();
        let mut rest = parts.into_values().filter(|part| part.number > marker);
        let count = usize::try_from(count_max).unwrap_or_default();
        let page: Vec<Part> = rest.by_ref().take(count).collect();
        let is_truncated = count > 0 && rest.next().is_some();
        let last = page.last().map(|part| part.number);
        let page = page.into_iter().map(|part| dto::Part {
            part_number: Some(part.number),
            e_tag: Some(ETag::Strong(part.etag)),
            checksum_sha256: part.sha256,
            size: i64::try_from(part.size_bytes).ok(),
            ..dto::Part::default()
        });
        let (algorithm, kind) = self.checksum().unzip();
        ListPartsOutput {
            parts: Some(page.collect()),
            bucket: Some(input.bucket),
            key: Some(input.key),
            upload_id: Some(input.upload_id),
            max_parts: Some(count_max),
            part_number_marker: input.part_number_marker,
            next_part_number_marker: last.filter(|_| is_truncated),
            is_truncated: Some(is_truncated),
            checksum_algorithm: algorithm,
            checksum_type: kind,
            ..ListPartsOutput::default()
        }
    }
}

impl Folder {
    /// Begins an upload, and gives it an id.
    pub(super) fn begin_upload(&self, upload: &Upload) -> S3Result<String> {
        self.check_bucket(&upload.bucket)?;
        let id = self.outside.random.uuid_v4().to_string();
        let path = self.upload_path(&id);
        let json = serde_json::to_vec(upload).map_err(S3Error::internal_error)?;
        fs::create_dir(&path)
            .and_then(|()| fs::write(path.join("upload.json"), json))
            .map_err(S3Error::internal_error)?;
        Ok(id)
    }

    /// What an upload is for.
    ///
    /// # Errors
    /// There is no such upload for this bucket and key.
    pub(super) fn upload(&self, id: &str, bucket: &str, key: &str) -> S3Result<Upload> {
        // An id is made of nothing but hexadecimal and hyphens, so a path made of one stays here.
        let known = Uuid::parse_str(id)
            .ok()
            .and_then(|_| described(&self.upload_path(id)))
            .filter(|upload| upload.bucket == bucket && upload.key == key);
        known.ok_or_else(|| s3_error!(NoSuchUpload))
    }

    /// Takes one part in. The caller has looked up the upload.
    pub(super) async fn add_part(
        &self,
        id: &str,
        upload: &Upload,
        number: i32,
        body: StreamingBlob,
        claims: Claims,
    ) -> S3Result<Written> {
        if !(1..=PART_NUMBER_MAX).contains(&number) {
            return Err(s3_error!(
                InvalidArgument,
                "Part number must be an integer between 1 and 10000, inclusive"
            ));
        }
        let folder = self.upload_path(id);
        let draft_id = self.outside.random.uuid_v4();
        let draft = Draft::new(folder.join(format!("{draft_id}.new")));
        let written = body::write(body, draft.path(), claims).await?;
        let sha256 = &written.checksum.checksum_sha256;
        let sha256 = sha256
            .as_ref()
            .and_then(|sha256| STANDARD.decode(sha256).ok());
        if upload.has_sha256 && sha256.is_none() {
            return Err(s3_error!(
                InvalidRequest,
                "Checksum Type mismatch occurred, expected checksum Type: sha256"
            ));
        }
        let sha256 = sha256.map_or_else(String::new, |sha256| format!("-{}", hex(&sha256)));
        let path = folder.join(format!("part-{number}-{}{sha256}", hex(&written.md5)));
        // Two that come at once would remove each other's.
        let _held = self.lock_parts();
        draft.keep_as(&path).map_err(gone)?;
        let others = files(&folder).map_err(gone)?.into_iter();
        for other in others.filter(|part| part.number == number && part.path != path) {
            match fs::remove_file(other.path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(S3Error::internal_error(error));
                }
                Ok(()) | Err(_) => {}
            }
        }
        Ok(written)
    }

    /// The parts of an upload so far, by their number.
    pub(super) fn parts(&self, id: &str) -> S3Result<BTreeMap<i32, Part>> {
        let _held = self.lock_parts();
        let parts = files(&self.upload_path(id)).map_err(gone)?;
        Ok(parts.into_iter().map(|part| (part.number, part)).collect())
    }

    /// Joins the chosen parts into `draft`. Copies, so that a process killed half-way leaves the upload
    /// as it was. Blocks.
    pub(super) fn join(
        &self,
        id: &str,
        upload: &Upload,
        chosen: Vec<CompletedPart>,
        draft: &Draft,
    ) -> S3Result<Joined> {
        let parts = choose(&self.parts(id)?, chosen, upload.has_sha256)?;
        let mut digest = Md5::new();
        let mut composite = Sha256::new();
        let mut size_bytes: u64 = 0;
        let mut target = fs::File::create_new(draft.path()).map_err(S3Error::internal_error)?;
        for part in &parts {
            let mut source = fs::File::open(&part.path).map_err(S3Error::internal_error)?;
            let copied = io::copy(&mut source, &mut target).map_err(S3Error::internal_error)?;
            size_bytes = size_bytes.saturating_add(copied);
            digest.update(&unhex(&part.etag));
            let sha256 = part.sha256.as_deref().unwrap_or_default();
            composite.update(&STANDARD.decode(sha256).unwrap_or_default());
        }
        let composite = STANDARD.encode(composite.finalize());
        let composite = format!("{composite}-{}", parts.len());
        Ok(Joined {
            etag: format!("{}-{}", hex(&digest.finalize()), parts.len()),
            size_bytes,
            sha256: upload.has_sha256.then_some(composite),
        })
    }

    /// Ends an upload: its parts are gone.
    pub(super) fn end_upload(&self, id: &str) -> S3Result<()> {
        fs::remove_dir_all(self.upload_path(id)).map_err(S3Error::internal_error)
    }
}

/// Whether a folder is that of an upload: it says what it is for.
pub(super) fn is_described(folder: &Path) -> bool {
    described(folder).is_some()
}

fn described(folder: &Path) -> Option<Upload> {
    let json = fs::read(folder.join("upload.json")).ok()?;
    serde_json::from_slice(&json).ok()
}

/// An upload whose folder cannot be used has ended meanwhile.
fn gone(error: io::Error) -> S3Error {
    if error.kind() == io::ErrorKind::NotFound {
        s3_error!(error, NoSuchUpload)
    } else {
        S3Error::internal_error(error)
    }
}

/// The parts in a folder; of one number there may be several.
fn files(folder: &Path) -> io::Result<Vec<Part>> {
    let mut parts = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let Some(part) = part(&entry.path()) else {
            continue;
        };
        match entry.metadata() {
            Ok(metadata) => parts.push(Part {
                size_bytes: metadata.len(),
                ..part
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(parts)
}

/// The part that a file holds, if it holds one; how long it is, its name does not say.
fn part(path: &Path) -> Option<Part> {
    let name = path.file_name()?.to_str()?;
    let (number, digests) = name.strip_prefix("part-")?.split_once('-')?;
    let (etag, sha256) = match digests.split_once('-') {
        Some((etag, sha256)) => (etag, Some(STANDARD.encode(unhex(sha256)))),
        None => (digests, None),
    };
    Some(Part {
        number: number.parse().ok()?,
        etag: etag.to_owned(),
        sha256,
        size_bytes: 0,
        path: path.to_owned(),
    })
}

/// Checks the list of a completion against what was uploaded.
fn choose(
    uploaded: &BTreeMap<i32, Part>,
    chosen: Vec<CompletedPart>,
    has_sha256: bool,
) -> S3Result<Vec<Part>> {
    let mut parts: Vec<Part> = Vec::with_capacity(chosen.len());
    for chosen in chosen {
        let number = chosen.part_number.unwrap_or_default();
        if parts.last().is_some_and(|last| last.number >= number) {
            return Err(s3_error!(InvalidPartOrder));
        }
        let part = uploaded
            .get(&number)
            .filter(|part| chosen.e_tag.as_ref().map(ETag::value) == Some(part.etag.as_str()))
            .ok_or_else(|| s3_error!(InvalidPart))?;
        match &chosen.checksum_sha256 {
            None if has_sha256 => {
                return Err(s3_error!(
                    InvalidRequest,
                    "The complete request must include the checksum for each part"
                ));
            }
            Some(_) if chosen.checksum_sha256 != part.sha256 => {
                return Err(s3_error!(InvalidPart));
            }
            Some(_) | None => {}
        }
        if parts
            .last()
            .is_some_and(|last| last.size_bytes < PART_MIN_BYTES)
        {
            return Err(s3_error!(EntityTooSmall));
        }
        parts.push(part.clone());
    }
    if parts.is_empty() {
        return Err(s3_error!(InvalidPart, "You must specify at least one part"));
    }
    Ok(parts)
}

/// The bytes that `text`, hexadecimal of our own making, stands for.
fn unhex(text: &str) -> Vec<u8> {
    let digits = text.as_bytes().chunks_exact(2);
    digits
        .filter_map(|pair| std::str::from_utf8(pair).ok())
        .filter_map(|pair| u8::from_str_radix(pair, 16).ok())
        .collect()
}
