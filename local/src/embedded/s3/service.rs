//! The operations of S3 on the folder.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::SubsecRound as _;
use s3s::dto::{
    AbortMultipartUploadInput, AbortMultipartUploadOutput, Bucket, Checksum, ChecksumAlgorithm,
    CompleteMultipartUploadInput, CompleteMultipartUploadOutput, CopyObjectInput, CopyObjectOutput,
    CopyObjectResult, CopySource, CreateBucketInput, CreateBucketOutput,
    CreateMultipartUploadInput, CreateMultipartUploadOutput, DeleteObjectInput, DeleteObjectOutput,
    DeleteObjectsInput, DeleteObjectsOutput, DeletedObject, ETag, GetBucketLocationInput,
    GetBucketLocationOutput, GetObjectInput, GetObjectOutput, HeadBucketInput, HeadBucketOutput,
    HeadObjectInput, HeadObjectOutput, ListBucketsInput, ListBucketsOutput, ListObjectsV2Input,
    ListObjectsV2Output, ListPartsInput, ListPartsOutput, MetadataDirective, PutObjectInput,
    PutObjectOutput, UploadPartInput, UploadPartOutput,
};
use s3s::{S3, S3Error, S3Request, S3Response, S3Result, s3_error};
use tokio::sync::mpsc;

use super::super::hex;
use super::body::{self, Claims};
use super::folder::{Draft, Folder};
use super::list;
use super::multipart::Upload;
use super::record::{Checksums, Described, ReadConditions, Record, WriteConditions};
use super::{CreatedBy, ObjectCreated};

/// S3, as the protocol layer calls it.
pub(super) struct Service {
    folder: Arc<Folder>,
    on_created: mpsc::Sender<ObjectCreated>,
}

impl Service {
    pub(super) fn new(folder: Arc<Folder>, on_created: mpsc::Sender<ObjectCreated>) -> Self {
        Self { folder, on_created }
    }

    /// Makes the object and reports it, on a task of its own: a client that goes away at this moment
    /// must not leave an object that nobody has heard of.
    async fn create(
        &self,
        bucket: String,
        draft: Draft,
        record: Record,
        conditions: WriteConditions,
        created_by: CreatedBy,
    ) -> S3Result<Arc<Record>> {
        let folder = Arc::clone(&self.folder);
        let on_created = self.on_created.clone();
        let task = tokio::spawn(async move {
            let record = folder.commit(&bucket, draft, record, &conditions)?;
            let report = ObjectCreated::new(&bucket, &record, created_by);
            if on_created.send(report).await.is_err() {
                tracing::warn!(bucket, key = record.key, "nobody listens for new objects");
            }
            Ok(record)
        });
        task.await.map_err(S3Error::internal_error)?
    }

    fn record(&self, key: String, etag: String, size_bytes: u64, described: Described) -> Record {
        Record {
            key,
            etag,
            size_bytes,
            modified_at: self.folder.outside.clock.now().trunc_subsecs(0),
            blob: String::new(),
            described,
            checksums: Checksums::default(),
        }
    }
}

#[async_trait]
impl S3 for Service {
    async fn create_bucket(
        &self,
        request: S3Request<CreateBucketInput>,
    ) -> S3Result<S3Response<CreateBucketOutput>> {
        let created = self.folder.create_bucket(&request.input.bucket);
        if !created.map_err(S3Error::internal_error)? {
            return Err(s3_error!(BucketAlreadyOwnedByYou));
        }
        Ok(S3Response::new(CreateBucketOutput {
            location: Some(format!("/{}", request.input.bucket)),
        }))
    }

    async fn head_bucket(
        &self,
        request: S3Request<HeadBucketInput>,
    ) -> S3Result<S3Response<HeadBucketOutput>> {
        self.folder.check_bucket(&request.input.bucket)?;
        Ok(S3Response::new(HeadBucketOutput::default()))
    }

    async fn get_bucket_location(
        &self,
        request: S3Request<GetBucketLocationInput>,
    ) -> S3Result<S3Response<GetBucketLocationOutput>> {
        self.folder.check_bucket(&request.input.bucket)?;
        // The first region of S3 is the one without a name.
        Ok(S3Response::new(GetBucketLocationOutput::default()))
    }

    async fn list_buckets(
        &self,
        _: S3Request<ListBucketsInput>,
    ) -> S3Result<S3Response<ListBucketsOutput>> {
        let buckets = self.folder.buckets().into_iter().map(|name| Bucket {
            name: Some(name),
            ..Bucket::default()
        });
        Ok(S3Response::new(ListBucketsOutput {
            buckets: Some(buckets.collect()),
            ..ListBucketsOutput::default()
        }))
    }

    async fn put_object(
        &self,
        request: S3Request<PutObjectInput>,
    ) -> S3Result<S3Response<PutObjectOutput>> {
        let input = request.input;
        let conditions = WriteConditions {
            if_match: input.if_match,
            if_none_match: input.if_none_match,
        };
        let claims = Claims {
            content_md5: input.content_md5,
            checksum: Checksum {
                checksum_crc32: input.checksum_crc32,
                checksum_crc32c: input.checksum_crc32c,
                checksum_crc64nvme: input.checksum_crc64nvme,
                checksum_sha1: input.checksum_sha1,
                checksum_sha256: input.checksum_sha256,
                ..Checksum::default()
            },
            algorithm: input.checksum_algorithm,
            trailers: request.trailing_headers,
        };
        let described = Described {
            content_type: input.content_type,
            content_encoding: input.content_encoding,
            content_disposition: input.content_disposition,
            content_language: input.content_language,
            cache_control: input.cache_control,
            metadata: input.metadata.into_iter().flatten().collect(),
        };
        let content = input.body.ok_or_else(|| s3_error!(IncompleteBody))?;
        let draft = self.folder.draft(&input.bucket)?;
        let written = body::write(content, draft.path(), claims).await?;
        let mut record = self.record(input.key, hex(&written.md5), written.size_bytes, described);
        record.checksums = written.checksum.clone().into();
        let record = self
            .create(input.bucket, draft, record, conditions, CreatedBy::Put)
            .await?;
        Ok(S3Response::new(PutObjectOutput {
            e_tag: Some(record.etag()),
            checksum_crc32: written.checksum.checksum_crc32,
            checksum_crc32c: written.checksum.checksum_crc32c,
            checksum_crc64nvme: written.checksum.checksum_crc64nvme,
            checksum_sha1: written.checksum.checksum_sha1,
            checksum_sha256: written.checksum.checksum_sha256,
            ..PutObjectOutput::default()
        }))
    }

    async fn get_object(
        &self,
        request: S3Request<GetObjectInput>,
    ) -> S3Result<S3Response<GetObjectOutput>> {
        let input = request.input;
        let (record, file) = self.folder.read(&input.bucket, &input.key)?;
        let conditions = ReadConditions {
            if_match: input.if_match,
            if_none_match: input.if_none_match,
            if_modified_since: input.if_modified_since,
            if_unmodified_since: input.if_unmodified_since,
        };
        conditions.check(&record)?;
        let whole = 0..record.size_bytes;
        let range = match &input.range {
            Some(range) => range.check(record.size_bytes)?,
            None => whole.clone(),
        };
        let length = range.end.saturating_sub(range.start);
        let last = range.end.saturating_sub(1);
        let content_range = input
            .range
            .map(|_| format!("bytes {}-{last}/{}", range.start, record.size_bytes));
        // The checksum is that of all bytes, and says nothing about a part of them.
        let checksums = if range == whole {
            record.checksums.clone()
        } else {
            Checksums::default()
        };
        let described = &record.described;
        Ok(S3Response::new(GetObjectOutput {
            body: Some(body::read(file, range.start, length).await?),
            content_length: i64::try_from(length).ok(),
            content_range,
            accept_ranges: Some("bytes".to_owned()),
            e_tag: Some(record.etag()),
            last_modified: Some(record.modified()),
            content_type: input
                .response_content_type
                .or_else(|| described.content_type.clone()),
            content_disposition: input
                .response_content_disposition
                .or_else(|| described.content_disposition.clone()),
            content_encoding: described.content_encoding.clone(),
            content_language: described.content_language.clone(),
            cache_control: described.cache_control.clone(),
            metadata: described.metadata(),
            checksum_crc32: checksums.crc32,
            checksum_crc32c: checksums.crc32c,
            checksum_crc64nvme: checksums.crc64nvme,
            checksum_sha1: checksums.sha1,
            checksum_sha256: checksums.sha256,
            ..GetObjectOutput::default()
        }))
    }

    async fn head_object(
        &self,
        request: S3Request<HeadObjectInput>,
    ) -> S3Result<S3Response<HeadObjectOutput>> {
        let input = request.input;
        let record = self.folder.record(&input.bucket, &input.key)?;
        let conditions = ReadConditions {
            if_match: input.if_match,
            if_none_match: input.if_none_match,
            if_modified_since: input.if_modified_since,
            if_unmodified_since: input.if_unmodified_since,
        };
        conditions.check(&record)?;
        let described = record.described.clone();
        let checksums = record.checksums.clone();
        Ok(S3Response::new(HeadObjectOutput {
            content_length: i64::try_from(record.size_bytes).ok(),
            accept_ranges: Some("bytes".to_owned()),
            e_tag: Some(record.etag()),
            last_modified: Some(record.modified()),
            metadata: described.metadata(),
            content_type: described.content_type,
            content_disposition: described.content_disposition,
            content_encoding: described.content_encoding,
            content_language: described.content_language,
            cache_control: described.cache_control,
            checksum_crc32: checksums.crc32,
            checksum_crc32c: checksums.crc32c,
            checksum_crc64nvme: checksums.crc64nvme,
            checksum_sha1: checksums.sha1,
            checksum_sha256: checksums.sha256,
            ..HeadObjectOutput::default()
        }))
    }

    async fn copy_object(
        &self,
        request: S3Request<CopyObjectInput>,
    ) -> S3Result<S3Response<CopyObjectOutput>> {
        let input = request.input;
        let CopySource::Bucket { bucket, key, .. } = &input.copy_source else {
            return Err(s3_error!(NotImplemented));
        };
        let (source, file) = self.folder.read(bucket, key)?;
        let conditions = ReadConditions {
            if_match: input.copy_source_if_match,
            if_none_match: input.copy_source_if_none_match,
            if_modified_since: input.copy_source_if_modified_since,
            if_unmodified_since: input.copy_source_if_unmodified_since,
        };
        // A copy has no 304: what is not to be copied is refused.
        conditions
            .check(&source)
            .map_err(|_| s3_error!(PreconditionFailed))?;
        let replaces = input
            .metadata_directive
            .is_some_and(|directive| directive.as_str() == MetadataDirective::REPLACE);
        let described = if replaces {
            Described {
                content_type: input.content_type,
                content_encoding: input.content_encoding,
                content_disposition: input.content_disposition,
                content_language: input.content_language,
                cache_control: input.cache_control,
                metadata: input.metadata.into_iter().flatten().collect(),
            }
        } else {
            source.described.clone()
        };
        let draft = self.folder.draft(&input.bucket)?;
        let content = body::read(file, 0, source.size_bytes).await?;
        let written = body::write(content, draft.path(), Claims::default()).await?;
        let record = self.record(input.key, hex(&written.md5), written.size_bytes, described);
        let record = self
            .create(
                input.bucket,
                draft,
                record,
                WriteConditions::default(),
                CreatedBy::Copy,
            )
            .await?;
        Ok(S3Response::new(CopyObjectOutput {
            copy_object_result: Some(CopyObjectResult {
                e_tag: Some(record.etag()),
                last_modified: Some(record.modified()),
                ..CopyObjectResult::default()
            }),
            ..CopyObjectOutput::default()
        }))
    }

    async fn delete_object(
        &self,
        request: S3Request<DeleteObjectInput>,
    ) -> S3Result<S3Response<DeleteObjectOutput>> {
        let input = request.input;
        self.folder.delete(&input.bucket, &input.key)?;
        Ok(S3Response::new(DeleteObjectOutput::default()))
    }

    async fn delete_objects(
        &self,
        request: S3Request<DeleteObjectsInput>,
    ) -> S3Result<S3Response<DeleteObjectsOutput>> {
        let input = request.input;
        let mut deleted = Vec::new();
        for object in input.delete.objects {
            self.folder.delete(&input.bucket, &object.key)?;
            deleted.push(DeletedObject {
                key: Some(object.key),
                ..DeletedObject::default()
            });
        }
        Ok(S3Response::new(DeleteObjectsOutput {
            deleted: Some(deleted),
            ..DeleteObjectsOutput::default()
        }))
    }

    async fn list_objects_v2(
        &self,
        request: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        list::page(&self.folder, request.input).map(S3Response::new)
    }

    async fn create_multipart_upload(
        &self,
        request: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        let input = request.input;
        let upload = Upload {
            bucket: input.bucket,
            key: input.key,
            described: Described {
                content_type: input.content_type,
                content_encoding: input.content_encoding,
                content_disposition: input.content_disposition,
                content_language: input.content_language,
                cache_control: input.cache_control,
                metadata: input.metadata.into_iter().flatten().collect(),
            },
            has_sha256: input
                .checksum_algorithm
                .is_some_and(|algorithm| algorithm.as_str() == ChecksumAlgorithm::SHA256),
        };
        let upload_id = self.folder.begin_upload(&upload)?;
        let (algorithm, kind) = upload.checksum().unzip();
        Ok(S3Response::new(CreateMultipartUploadOutput {
            checksum_algorithm: algorithm,
            checksum_type: kind,
            bucket: Some(upload.bucket),
            key: Some(upload.key),
            upload_id: Some(upload_id),
            ..CreateMultipartUploadOutput::default()
        }))
    }

    async fn upload_part(
        &self,
        request: S3Request<UploadPartInput>,
    ) -> S3Result<S3Response<UploadPartOutput>> {
        let input = request.input;
        let upload = self
            .folder
            .upload(&input.upload_id, &input.bucket, &input.key)?;
        let claims = Claims {
            content_md5: input.content_md5,
            checksum: Checksum {
                checksum_crc32: input.checksum_crc32,
                checksum_crc32c: input.checksum_crc32c,
                checksum_crc64nvme: input.checksum_crc64nvme,
                checksum_sha1: input.checksum_sha1,
                checksum_sha256: input.checksum_sha256,
                ..Checksum::default()
            },
            algorithm: input.checksum_algorithm,
            trailers: request.trailing_headers,
        };
        let content = input.body.ok_or_else(|| s3_error!(IncompleteBody))?;
        let written = self
            .folder
            .add_part(
                &input.upload_id,
                &upload,
                input.part_number,
                content,
                claims,
            )
            .await?;
        Ok(S3Response::new(UploadPartOutput {
            e_tag: Some(ETag::Strong(hex(&written.md5))),
            checksum_crc32: written.checksum.checksum_crc32,
            checksum_crc32c: written.checksum.checksum_crc32c,
            checksum_crc64nvme: written.checksum.checksum_crc64nvme,
            checksum_sha1: written.checksum.checksum_sha1,
            checksum_sha256: written.checksum.checksum_sha256,
            ..UploadPartOutput::default()
        }))
    }

    async fn list_parts(
        &self,
        request: S3Request<ListPartsInput>,
    ) -> S3Result<S3Response<ListPartsOutput>> {
        let input = request.input;
        let upload = self
            .folder
            .upload(&input.upload_id, &input.bucket, &input.key)?;
        let parts = self.folder.parts(&input.upload_id)?;
        Ok(S3Response::new(upload.page(parts, input)))
    }

    async fn complete_multipart_upload(
        &self,
        request: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        let input = request.input;
        let upload = self
            .folder
            .upload(&input.upload_id, &input.bucket, &input.key)?;
        let chosen = input.multipart_upload.and_then(|upload| upload.parts);
        let draft = self.folder.draft(&input.bucket)?;
        let (folder, id) = (Arc::clone(&self.folder), input.upload_id.clone());
        let joining = tokio::task::spawn_blocking(move || {
            let joined = folder.join(&id, &upload, chosen.unwrap_or_default(), &draft)?;
            Ok::<_, S3Error>((joined, draft, upload))
        });
        let (joined, draft, upload) = joining.await.map_err(S3Error::internal_error)??;
        let kind = upload.checksum().map(|(_, kind)| kind);
        let mut record = self.record(input.key, joined.etag, joined.size_bytes, upload.described);
        record.checksums.sha256 = joined.sha256;
        let conditions = WriteConditions {
            if_match: input.if_match,
            if_none_match: input.if_none_match,
        };
        let created_by = CreatedBy::CompleteMultipartUpload;
        let record = self
            .create(input.bucket.clone(), draft, record, conditions, created_by)
            .await?;
        self.folder.end_upload(&input.upload_id)?;
        Ok(S3Response::new(CompleteMultipartUploadOutput {
            bucket: Some(input.bucket),
            key: Some(record.key.clone()),
            e_tag: Some(record.etag()),
            checksum_sha256: record.checksums.sha256.clone(),
            checksum_type: kind,
            ..CompleteMultipartUploadOutput::default()
        }))
    }

    async fn abort_multipart_upload(
        &self,
        request: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        let input = request.input;
        self.folder
            .upload(&input.upload_id, &input.bucket, &input.key)?;
        self.folder.end_upload(&input.upload_id)?;
        Ok(S3Response::new(AbortMultipartUploadOutput::default()))
    }
}
