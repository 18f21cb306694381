//! Bytes on their way from a request into a file, and from a file into an answer.

use std::io::{self, SeekFrom};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use futures::{StreamExt, stream};
use s3s::checksum::ChecksumHasher;
use s3s::crypto::{Checksum as _, Md5};
use s3s::dto::{Checksum, ChecksumAlgorithm, StreamingBlob};
use s3s::{S3Error, S3Result, TrailingHeaders, s3_error};
use tokio::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt};

/// How many bytes of a file an answer reads at a time.
const READ_BYTES: usize = 256 * 1024;

/// What the sender says its bytes add up to.
#[derive(Default)]
pub(super) struct Claims {
    pub(super) content_md5: Option<String>,
    pub(super) checksum: Checksum,
    pub(super) algorithm: Option<ChecksumAlgorithm>,
    /// Checksums that come after the bytes.
    pub(super) trailers: Option<TrailingHeaders>,
}

/// What was written.
pub(super) struct Written {
    pub(super) size_bytes: u64,
    pub(super) md5: [u8; 16],
    pub(super) checksum: Checksum,
}

/// Writes all of `body` to a new file at `path` and checks it against what the sender claims.
///
/// # Errors
/// The body ends early, a claim does not hold, or the file cannot be written. The file is left for the
/// caller to remove.
pub(super) async fn write(
    mut body: StreamingBlob,
    path: &Path,
    claims: Claims,
) -> S3Result<Written> {
    let mut file = tokio::fs::File::create_new(path)
        .await
        .map_err(S3Error::internal_error)?;
    let mut md5 = Md5::new();
    let mut hasher = hasher(&claims)?;
    let mut size_bytes: u64 = 0;
    while let Some(bytes) = body.next().await {
        let bytes = bytes.map_err(|error| {
            let mut refused = s3_error!(IncompleteBody);
            refused.set_source(error);
            refused
        })?;
        md5.update(&bytes);
        hasher.update(&bytes);
        size_bytes = size_bytes.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        file.write_all(&bytes)
            .await
            .map_err(S3Error::internal_error)?;
    }
    file.flush().await.map_err(S3Error::internal_error)?;
    let written = Written {
        size_bytes,
        md5: md5.finalize(),
        checksum: hasher.finalize(),
    };
    verify(&written, claims)?;
    Ok(written)
}

/// Computes the checksums that the sender gives or announces.
fn hasher(claims: &Claims) -> S3Result<ChecksumHasher> {
    let given = &claims.checksum;
    let announced = claims.algorithm.as_ref().map(ChecksumAlgorithm::as_str);
    let wanted = |value: &Option<String>, name: &str| value.is_some() || announced == Some(name);
    let hasher = ChecksumHasher {
        crc32: wanted(&given.checksum_crc32, ChecksumAlgorithm::CRC32).then(Default::default),
        crc32c: wanted(&given.checksum_crc32c, ChecksumAlgorithm::CRC32C).then(Default::default),
        crc64nvme: wanted(&given.checksum_crc64nvme, ChecksumAlgorithm::CRC64NVME)
            .then(Default::default),
        sha1: wanted(&given.checksum_sha1, ChecksumAlgorithm::SHA1).then(Default::default),
        sha256: wanted(&given.checksum_sha256, ChecksumAlgorithm::SHA256).then(Default::default),
    };
    let none = hasher.crc32.is_none()
        && hasher.crc32c.is_none()
        && hasher.crc64nvme.is_none()
        && hasher.sha1.is_none()
        && hasher.sha256.is_none();
    if none && announced.is_some() {
        return Err(s3_error!(NotImplemented, "this checksum is not offered"));
    }
    Ok(hasher)
}

fn verify(written: &Written, claims: Claims) -> S3Result<()> {
    if let Some(claimed) = claims.content_md5
        && STANDARD.encode(written.md5) != claimed
    {
        return Err(s3_error!(BadDigest, "Content-MD5 does not match the bytes"));
    }
    let trailers = claims.trailers.and_then(|trailers| trailers.take());
    let trailer = |name: &str| {
        let value = trailers.as_ref()?.get(name)?;
        value.to_str().ok().map(str::to_owned)
    };
    let (given, computed) = (claims.checksum, &written.checksum);
    for (name, given, computed) in [
        (
            "x-amz-checksum-crc32",
            given.checksum_crc32,
            &computed.checksum_crc32,
        ),
        (
            "x-amz-checksum-crc32c",
            given.checksum_crc32c,
            &computed.checksum_crc32c,
        ),
        (
            "x-amz-checksum-crc64nvme",
            given.checksum_crc64nvme,
            &computed.checksum_crc64nvme,
        ),
        (
            "x-amz-checksum-sha1",
            given.checksum_sha1,
            &computed.checksum_sha1,
        ),
        (
            "x-amz-checksum-sha256",
            given.checksum_sha256,
            &computed.checksum_sha256,
        ),
    ] {
        let claimed = given.or_else(|| trailer(name));
        if claimed.is_some() && claimed != *computed {
            return Err(s3_error!(BadDigest, "{name} does not match the bytes"));
        }
    }
    Ok(())
}

/// The `length` bytes of `file` from `start` on, read as the client takes them.
pub(super) async fn read(file: std::fs::File, start: u64, length: u64) -> S3Result<StreamingBlob> {
    let mut file = tokio::fs::File::from_std(file);
    if start > 0 {
        file.seek(SeekFrom::Start(start))
            .await
            .map_err(S3Error::internal_error)?;
    }
    Ok(StreamingBlob::wrap(stream::try_unfold(
        (file, length),
        |(file, left)| chunk(file, left),
    )))
}

type Chunk = Option<(Bytes, (tokio::fs::File, u64))>;

async fn chunk(mut file: tokio::fs::File, left: u64) -> io::Result<Chunk> {
    if left == 0 {
        return Ok(None);
    }
    let wanted = usize::try_from(left).unwrap_or(usize::MAX).min(READ_BYTES);
    let mut bytes = BytesMut::zeroed(wanted);
    let read = file.read(&mut bytes).await?;
    if read == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    bytes.truncate(read);
    let left = left.saturating_sub(u64::try_from(read).unwrap_or(u64::MAX));
    Ok(Some((bytes.freeze(), (file, left))))
}
