//! Objects in a folder.
//!
//! ```text
//! lock                                held as long as the process lives
//! buckets/BUCKET/records/aa/HASH.json one object: key, ETag, size, which blob
//! buckets/BUCKET/blobs/ID             its bytes
//! uploads/ID/                         a multipart upload under way
//! ```
//!
//! Invariants:
//! - a record appears by a rename, when its blob is complete: a reader, and a process that starts after
//!   a SIGKILL, see the old object or the new one, never bytes of one under the `ETag` of the other;
//! - a blob never changes; once nothing refers to it, it is deleted;
//! - the records in memory are those in the folder; keys may have any form that S3 allows, because file
//!   names are made of their hash.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use s3s::crypto::{Checksum, Sha256};
use s3s::{S3Error, S3Result, s3_error};

use super::super::{EmbeddedError, Outside, hex, listener};
use super::record::{Record, WriteConditions};
use super::{NAME, multipart};

/// How often a reader looks again when the blob it was told of has just been replaced.
const READ_ATTEMPTS: usize = 10;

/// The objects of all buckets.
#[derive(Debug)]
pub(super) struct Folder {
    root: PathBuf,
    pub(super) outside: Outside,
    buckets: Mutex<BTreeMap<String, Objects>>,
    /// Held while a part of an upload takes the place of others, or parts are looked through.
    parts: Mutex<()>,
    /// Held, not used: it keeps other processes away.
    _lock: fs::File,
}

type Objects = BTreeMap<String, Arc<Record>>;

/// A file being written; it goes away unless it is kept.
#[derive(Debug)]
pub(super) struct Draft {
    path: PathBuf,
    kept: bool,
}

impl Draft {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, kept: false }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Gives the file its final name.
    pub(super) fn keep_as(mut self, path: &Path) -> io::Result<()> {
        fs::rename(&self.path, path)?;
        self.kept = true;
        Ok(())
    }

    fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.kept {
            // It may never have been created.
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl Folder {
    /// Opens the folder, creating it when it is not there, and sweeps out what an earlier process left
    /// half done.
    pub(super) fn open(root: &Path, outside: Outside) -> Result<Self, EmbeddedError> {
        let unusable = |source| EmbeddedError::FolderUnusable {
            service: NAME,
            path: root.to_owned(),
            source,
        };
        fs::create_dir_all(root.join("buckets")).map_err(unusable)?;
        fs::create_dir_all(root.join("uploads")).map_err(unusable)?;
        let lock = listener::lock(NAME, &root.join("lock"))?;
        sweep_uploads(&root.join("uploads"))?;
        let mut buckets = BTreeMap::new();
        for entry in fs::read_dir(root.join("buckets")).map_err(unusable)? {
            let entry = entry.map_err(unusable)?;
            if let Ok(name) = entry.file_name().into_string() {
                buckets.insert(name, load(&entry.path())?);
            }
        }
        Ok(Self {
            root: root.to_owned(),
            outside,
            buckets: Mutex::new(buckets),
            parts: Mutex::new(()),
            _lock: lock,
        })
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Objects>> {
        // The map is changed by single inserts and removals, so it is whole even after a panic.
        self.buckets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn lock_parts(&self) -> MutexGuard<'_, ()> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn bucket_path(&self, bucket: &str) -> PathBuf {
        self.root.join("buckets").join(bucket)
    }

    pub(super) fn upload_path(&self, upload_id: &str) -> PathBuf {
        self.root.join("uploads").join(upload_id)
    }

    /// Makes a bucket; tells whether it is a new one.
    pub(super) fn create_bucket(&self, bucket: &str) -> io::Result<bool> {
        let path = self.bucket_path(bucket);
        fs::create_dir_all(path.join("records"))?;
        fs::create_dir_all(path.join("blobs"))?;
        let mut buckets = self.lock();
        let is_new = !buckets.contains_key(bucket);
        buckets.entry(bucket.to_owned()).or_default();
        Ok(is_new)
    }

    pub(super) fn buckets(&self) -> Vec<String> {
        self.lock().keys().cloned().collect()
    }

    pub(super) fn check_bucket(&self, bucket: &str) -> S3Result<()> {
        let known = self.lock().contains_key(bucket);
        known.then_some(()).ok_or_else(|| s3_error!(NoSuchBucket))
    }

    pub(super) fn record(&self, bucket: &str, key: &str) -> S3Result<Arc<Record>> {
        let buckets = self.lock();
        let objects = buckets.get(bucket).ok_or_else(|| s3_error!(NoSuchBucket))?;
        let record = objects.get(key).cloned();
        record.ok_or_else(|| s3_error!(NoSuchKey))
    }

    /// The object and its bytes, which belong together even when it is replaced meanwhile.
    pub(super) fn read(&self, bucket: &str, key: &str) -> S3Result<(Arc<Record>, fs::File)> {
        let mut attempts = 0;
        loop {
            let record = self.record(bucket, key)?;
            let path = self.bucket_path(bucket).join("blobs").join(&record.blob);
            match fs::File::open(path) {
                Ok(file) => return Ok((record, file)),
                Err(error)
                    if error.kind() == io::ErrorKind::NotFound && attempts < READ_ATTEMPTS =>
                {
                    attempts += 1;
                }
                Err(error) => return Err(S3Error::internal_error(error)),
            }
        }
    }

    /// The objects of a bucket whose keys start with `prefix` and come after `after`, in the order of
    /// their keys, as far as `visit` wants to see them.
    pub(super) fn walk(
        &self,
        bucket: &str,
        prefix: &str,
        after: &str,
        mut visit: impl FnMut(&Arc<Record>) -> bool,
    ) -> S3Result<()> {
        let buckets = self.lock();
        let objects = buckets.get(bucket).ok_or_else(|| s3_error!(NoSuchBucket))?;
        let start = if after >= prefix && !after.is_empty() {
            Bound::Excluded(after)
        } else {
            Bound::Included(prefix)
        };
        for (key, record) in objects.range::<str, _>((start, Bound::Unbounded)) {
            if !key.starts_with(prefix) || !visit(record) {
                break;
            }
        }
        Ok(())
    }

    /// Where the bytes of a new object of the bucket go.
    pub(super) fn draft(&self, bucket: &str) -> S3Result<Draft> {
        self.check_bucket(bucket)?;
        let id = self.outside.random.uuid_v4().to_string();
        Ok(Draft::new(self.bucket_path(bucket).join("blobs").join(id)))
    }

    /// Makes `record`, whose bytes are in `draft`, the object under its key; `record.blob` is set here.
    ///
    /// # Errors
    /// The bucket is gone, a condition does not hold, or the folder cannot be written. Then the object
    /// that was there is there still.
    pub(super) fn commit(
        &self,
        bucket: &str,
        draft: Draft,
        mut record: Record,
        conditions: &WriteConditions,
    ) -> S3Result<Arc<Record>> {
        let name = draft.path().file_name().unwrap_or_default();
        record.blob = name.to_string_lossy().into_owned();
        let path = self.record_path(bucket, &record.key);
        let written = Draft::new(path.with_extension(format!("{}.new", record.blob)));
        let json = serde_json::to_vec(&record).map_err(S3Error::internal_error)?;
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(S3Error::internal_error)?;
        }
        fs::write(written.path(), json).map_err(S3Error::internal_error)?;

        // From the condition to the change nobody else may change the same key.
        let mut buckets = self.lock();
        let objects = buckets
            .get_mut(bucket)
            .ok_or_else(|| s3_error!(NoSuchBucket))?;
        conditions.check(objects.get(&record.key).map(AsRef::as_ref))?;
        written.keep_as(&path).map_err(S3Error::internal_error)?;
        draft.keep();
        let record = Arc::new(record);
        let replaced = objects.insert(record.key.clone(), Arc::clone(&record));
        drop(buckets);
        if let Some(replaced) = replaced {
            self.forget_blob(bucket, &replaced);
        }
        Ok(record)
    }

    /// Deletes an object; one that is not there is deleted already.
    pub(super) fn delete(&self, bucket: &str, key: &str) -> S3Result<()> {
        let mut buckets = self.lock();
        let objects = buckets
            .get_mut(bucket)
            .ok_or_else(|| s3_error!(NoSuchBucket))?;
        if !objects.contains_key(key) {
            return Ok(());
        }
        fs::remove_file(self.record_path(bucket, key)).map_err(S3Error::internal_error)?;
        let deleted = objects.remove(key);
        drop(buckets);
        if let Some(deleted) = deleted {
            self.forget_blob(bucket, &deleted);
        }
        Ok(())
    }

    fn forget_blob(&self, bucket: &str, record: &Record) {
        let path = self.bucket_path(bucket).join("blobs").join(&record.blob);
        if let Err(error) = fs::remove_file(&path) {
            // It costs space until the next start, nothing else.
            tracing::warn!(path = %path.display(), %error, "a replaced object was not deleted");
        }
    }

    fn record_path(&self, bucket: &str, key: &str) -> PathBuf {
        let hash = hex(Sha256::checksum(key.as_bytes()).as_ref());
        let first_two = hash.get(..2).unwrap_or_default();
        self.bucket_path(bucket)
            .join("records")
            .join(first_two)
            .join(format!("{hash}.json"))
    }
}

/// Deletes the parts that were cut off, and the uploads that were never given out: those whose
/// description was not written whole.
fn sweep_uploads(uploads: &Path) -> Result<(), EmbeddedError> {
    for upload in entries(uploads)?.into_iter().filter(|path| path.is_dir()) {
        if !multipart::is_described(&upload) {
            fs::remove_dir_all(&upload).map_err(|source| EmbeddedError::FolderUnusable {
                service: NAME,
                path: upload.clone(),
                source,
            })?;
            continue;
        }
        for path in entries(&upload)? {
            if path.extension().is_some_and(|extension| extension == "new") {
                remove(&path)?;
            }
        }
    }
    Ok(())
}

/// The records of one bucket; deletes unfinished records and the blobs that nothing refers to.
fn load(bucket: &Path) -> Result<Objects, EmbeddedError> {
    let mut objects = Objects::new();
    let mut blobs = BTreeSet::new();
    for shelf in entries(&bucket.join("records"))? {
        for path in entries(&shelf)? {
            if path.extension().is_none_or(|extension| extension != "json") {
                remove(&path)?;
                continue;
            }
            let damaged = |reason: String| EmbeddedError::Damaged {
                service: NAME,
                path: path.clone(),
                reason,
            };
            let json = fs::read(&path).map_err(|error| damaged(error.to_string()))?;
            let record: Record =
                serde_json::from_slice(&json).map_err(|error| damaged(error.to_string()))?;
            blobs.insert(bucket.join("blobs").join(&record.blob));
            objects.insert(record.key.clone(), Arc::new(record));
        }
    }
    for path in entries(&bucket.join("blobs"))? {
        if !blobs.contains(&path) {
            remove(&path)?;
        }
    }
    Ok(objects)
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, EmbeddedError> {
    let list = || -> io::Result<Vec<PathBuf>> {
        fs::create_dir_all(folder)?;
        fs::read_dir(folder)?
            .map(|entry| entry.map(|entry| entry.path()))
            .collect()
    };
    list().map_err(|source| EmbeddedError::FolderUnusable {
        service: NAME,
        path: folder.to_owned(),
        source,
    })
}

fn remove(path: &Path) -> Result<(), EmbeddedError> {
    fs::remove_file(path).map_err(|source| EmbeddedError::FolderUnusable {
        service: NAME,
        path: path.to_owned(),
        source,
    })
}
