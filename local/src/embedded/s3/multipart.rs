//! Multipart uploads under way: a folder each, holding what it is for and its parts.
//!
//! Invariants: the name of a part's file holds its number and its MD5, so a process that starts anew
//! knows all about it; of two uploads of the same part the later wins; nothing of an upload is part of
//! an object before it is completed.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use s3s::crypto::{Checksum as _, Md5};
use s3s::dto::{CompletedPart, ETag, StreamingBlob};
use s3s::{S3Error, S3Result, s3_error};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::super::hex;
use super::body::{self, Claims, Written};
use super::folder::{Draft, Folder};
use super::record::Described;

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
}

/// A part that has been uploaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) number: i32,
    /// The MD5 of its bytes.
    pub(super) etag: String,
    pub(super) size_bytes: u64,
    path: PathBuf,
}

/// The bytes of a completed upload.
#[derive(Debug)]
pub(super) struct Joined {
    pub(super) etag: String,
    pub(super) size_bytes: u64,
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
        let earlier = self.parts(id)?.remove(&number);
        let path = folder.join(format!("part-{number}-{}", hex(&written.md5)));
        draft.keep_as(&path).map_err(S3Error::internal_error)?;
        if let Some(earlier) = earlier.filter(|earlier| earlier.path != path) {
            fs::remove_file(earlier.path).map_err(S3Error::internal_error)?;
        }
        Ok(written)
    }

    /// The parts of an upload so far, by their number.
    pub(super) fn parts(&self, id: &str) -> S3Result<BTreeMap<i32, Part>> {
        let list = || -> io::Result<BTreeMap<i32, Part>> {
            let mut parts = BTreeMap::new();
            for entry in fs::read_dir(self.upload_path(id))? {
                let entry = entry?;
                if let Some(part) = part(&entry.path(), entry.metadata()?.len()) {
                    parts.insert(part.number, part);
                }
            }
            Ok(parts)
        };
        list().map_err(|error| s3_error!(error, NoSuchUpload))
    }

    /// Joins the chosen parts into `draft`. Copies, so that a process killed half-way leaves the upload
    /// as it was. Blocks.
    pub(super) fn join(
        &self,
        id: &str,
        chosen: Vec<CompletedPart>,
        draft: &Draft,
    ) -> S3Result<Joined> {
        let parts = choose(&self.parts(id)?, chosen)?;
        let mut digest = Md5::new();
        let mut size_bytes: u64 = 0;
        let mut target = fs::File::create_new(draft.path()).map_err(S3Error::internal_error)?;
        for part in &parts {
            let mut source = fs::File::open(&part.path).map_err(S3Error::internal_error)?;
            let copied = io::copy(&mut source, &mut target).map_err(S3Error::internal_error)?;
            size_bytes = size_bytes.saturating_add(copied);
            digest.update(&unhex(&part.etag));
        }
        Ok(Joined {
            etag: format!("{}-{}", hex(&digest.finalize()), parts.len()),
            size_bytes,
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

/// The part that a file holds, if it holds one.
fn part(path: &Path, size_bytes: u64) -> Option<Part> {
    let name = path.file_name()?.to_str()?;
    let (number, etag) = name.strip_prefix("part-")?.split_once('-')?;
    Some(Part {
        number: number.parse().ok()?,
        etag: etag.to_owned(),
        size_bytes,
        path: path.to_owned(),
    })
}

/// Checks the list of a completion against what was uploaded.
fn choose(uploaded: &BTreeMap<i32, Part>, chosen: Vec<CompletedPart>) -> S3Result<Vec<Part>> {
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
