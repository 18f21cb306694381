use std::path::Path;
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use tokio::sync::mpsc;
use weir_local::embedded::{CreatedBy, EmbeddedError, ObjectCreated, Outside, S3, S3Options};

use super::s3_client;

pub(crate) const BUCKET: &str = "settlements";
const MIB: usize = 1024 * 1024;

pub(crate) fn start(folder: &Path) -> (S3, mpsc::Receiver<ObjectCreated>) {
    let (on_created, created) = mpsc::channel(16);
    let options = S3Options {
        folder: folder.to_owned(),
        port: None,
        buckets: vec![BUCKET.to_owned()],
        on_created,
    };
    (S3::start(options, Outside::system()).unwrap(), created)
}

struct Running {
    s3: S3,
    client: Client,
    created: mpsc::Receiver<ObjectCreated>,
    folder: tempfile::TempDir,
}

async fn running() -> Running {
    let folder = tempfile::tempdir().unwrap();
    let (s3, created) = start(folder.path());
    let client = s3_client(s3.endpoint()).await;
    Running {
        s3,
        client,
        created,
        folder,
    }
}

/// Puts an object and gives its `ETag` without quotes.
pub(crate) async fn put(client: &Client, key: &str, bytes: impl Into<Vec<u8>>) -> String {
    let body = ByteStream::from(bytes.into());
    let put = client.put_object().bucket(BUCKET).key(key).body(body);
    let answer = put.send().await.unwrap();
    answer.e_tag().unwrap().trim_matches('"').to_owned()
}

async fn get(client: &Client, key: &str, if_match: Option<&str>) -> Result<Vec<u8>, String> {
    let get = client.get_object().bucket(BUCKET).key(key);
    let quoted = if_match.map(|etag| format!("\"{etag}\""));
    match get.set_if_match(quoted).send().await {
        Ok(answer) => Ok(answer.body.collect().await.unwrap().to_vec()),
        Err(error) => Err(error.code().unwrap_or_default().to_owned()),
    }
}

/// Uploads `parts` and gives the `ETag` of the whole.
async fn upload(client: &Client, key: &str, parts: &[Vec<u8>]) -> Result<String, String> {
    let begun = client.create_multipart_upload().bucket(BUCKET).key(key);
    let begun = begun.content_type("text/xml").send().await.unwrap();
    let id = begun.upload_id().unwrap();
    let mut done = CompletedMultipartUpload::builder();
    for (number, bytes) in (1..).zip(parts) {
        let part = client.upload_part().bucket(BUCKET).key(key).upload_id(id);
        let part = part.part_number(number);
        let part = part.body(bytes.clone().into()).send().await.unwrap();
        let part = CompletedPart::builder()
            .part_number(number)
            .e_tag(part.e_tag().unwrap());
        done = done.parts(part.build());
    }
    let complete = client
        .complete_multipart_upload()
        .bucket(BUCKET)
        .key(key)
        .upload_id(id)
        .multipart_upload(done.build());
    match complete.send().await {
        Ok(answer) => Ok(answer.e_tag().unwrap().trim_matches('"').to_owned()),
        Err(error) => Err(error.code().unwrap_or_default().to_owned()),
    }
}

#[tokio::test]
async fn an_object_is_reported_with_the_etag_that_if_match_compares_with() {
    let mut running = running().await;
    let key = "seller 1/2026-11/état+of the day.xml";
    let etag = put(&running.client, key, "<a/>").await;
    let created = running.created.recv().await.unwrap();
    assert_eq!(
        (created.bucket.as_str(), created.key.as_str()),
        (BUCKET, key)
    );
    assert_eq!(
        (created.size_bytes, created.created_by),
        (4, CreatedBy::Put)
    );
    assert_eq!(created.etag, etag);
    let head = running.client.head_object().bucket(BUCKET).key(key);
    let head = head.if_match(format!("\"{etag}\"")).send().await.unwrap();
    assert_eq!(head.e_tag(), Some(format!("\"{etag}\"").as_str()));
    assert_eq!(
        get(&running.client, key, Some(&etag)).await.unwrap(),
        b"<a/>"
    );

    let other = put(&running.client, key, "<b/>").await;
    assert_ne!(other, etag);
    let stale = get(&running.client, key, Some(&etag)).await;
    assert_eq!(stale.unwrap_err(), "PreconditionFailed");
    assert_eq!(put(&running.client, "elsewhere", "<a/>").await, etag);
}

#[tokio::test]
async fn an_upload_in_parts_is_reported_once_when_it_is_complete() {
    let mut running = running().await;
    let parts = [vec![b'a'; 5 * MIB], vec![b'b'; 5 * MIB + 1], vec![b'c'; 3]];
    let etag = upload(&running.client, "large.xml", &parts).await.unwrap();
    assert!(etag.ends_with("-3"), "{etag}");
    let created = running.created.recv().await.unwrap();
    assert_eq!(created.created_by, CreatedBy::CompleteMultipartUpload);
    assert_eq!(created.etag, etag);
    assert_eq!(created.size_bytes, 10 * 1024 * 1024 + 4);
    assert!(running.created.try_recv().is_err());

    let whole = get(&running.client, "large.xml", Some(&etag))
        .await
        .unwrap();
    assert!(whole == parts.concat());
    let changed = [vec![b'a'; 5 * MIB], vec![b'b'; 5 * MIB + 1], vec![b'd'; 3]];
    let other = upload(&running.client, "large.xml", &changed)
        .await
        .unwrap();
    assert_ne!(other, etag);
    let stale = get(&running.client, "large.xml", Some(&etag)).await;
    assert_eq!(stale.unwrap_err(), "PreconditionFailed");
    let left = std::fs::read_dir(running.folder.path().join("uploads"));
    assert_eq!(left.unwrap().count(), 0);
}

#[tokio::test]
async fn a_part_below_5_mib_that_is_not_the_last_is_refused() {
    let running = running().await;
    let small = [vec![0; 5 * MIB - 1], vec![1; 1]];
    let refused = upload(&running.client, "small", &small).await;
    assert_eq!(refused.unwrap_err(), "EntityTooSmall");
    let enough = [vec![0; 5 * MIB], vec![1; 1]];
    upload(&running.client, "enough", &enough).await.unwrap();
    assert_eq!(running.s3.objects(BUCKET).len(), 1);
}

#[tokio::test]
async fn an_aborted_upload_leaves_nothing_and_is_not_known_any_more() {
    let mut running = running().await;
    let begun = running.client.create_multipart_upload();
    let begun = begun.bucket(BUCKET).key("k").send().await.unwrap();
    let id = begun.upload_id().unwrap();
    let abort = || {
        let abort = running.client.abort_multipart_upload();
        abort.bucket(BUCKET).key("k").upload_id(id).send()
    };
    abort().await.unwrap();
    assert_eq!(abort().await.unwrap_err().code(), Some("NoSuchUpload"));
    assert!(running.created.try_recv().is_err());
    assert!(running.s3.objects(BUCKET).is_empty());
}

#[tokio::test]
async fn ranges_are_read_under_a_condition_and_beyond_the_end_they_are_refused() {
    let running = running().await;
    let bytes: Vec<u8> = (0..=255).cycle().take(600_000).collect();
    let etag = put(&running.client, "k", bytes.clone()).await;
    let read = |range: &'static str| {
        let get = running.client.get_object().bucket(BUCKET).key("k");
        get.if_match(&etag).range(range).send()
    };
    for (range, expected) in [
        ("bytes=0-0", &bytes[..1]),
        ("bytes=250000-599999", &bytes[250_000..]),
        ("bytes=599990-", &bytes[599_990..]),
        ("bytes=-7", &bytes[599_993..]),
        ("bytes=10-9999999", &bytes[10..]),
    ] {
        let answer = read(range).await.unwrap();
        let length = usize::try_from(answer.content_length().unwrap()).unwrap();
        assert_eq!(length, expected.len(), "{range}");
        assert!(answer.content_range().unwrap().ends_with("/600000"));
        let read = answer.body.collect().await.unwrap().to_vec();
        assert!(read == expected, "{range}");
    }
    let beyond = read("bytes=600000-").await.unwrap_err();
    assert_eq!(beyond.code(), Some("InvalidRange"));
    let stale = running.client.get_object().bucket(BUCKET).key("k");
    let stale = stale.if_match("\"0\"").range("bytes=0-0").send().await;
    assert_eq!(stale.unwrap_err().code(), Some("PreconditionFailed"));
}

#[tokio::test]
async fn a_presigned_url_is_good_for_its_request_and_no_other() {
    let mut running = running().await;
    let lifetime = || PresigningConfig::expires_in(Duration::from_mins(1)).unwrap();
    let put = running.client.put_object().bucket(BUCKET).key("a b.xml");
    let put = put.presigned(lifetime()).await.unwrap();
    let http = reqwest_client();
    let answer = http.put(put.uri()).body("<a/>").send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 200);
    assert_eq!(running.created.recv().await.unwrap().key, "a b.xml");

    let get = running.client.get_object().bucket(BUCKET).key("a b.xml");
    let get = get.presigned(lifetime()).await.unwrap();
    let answer = http.get(get.uri()).send().await.unwrap();
    assert_eq!(answer.text().await.unwrap(), "<a/>");
    let elsewhere = get.uri().replace("a%20b.xml", "c.xml");
    for (method, url) in [
        (reqwest::Method::DELETE, get.uri()),
        (reqwest::Method::GET, elsewhere.as_str()),
    ] {
        let answer = http.request(method, url).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 403);
    }
    let unsigned = format!("{}/{BUCKET}/c.xml", running.s3.endpoint());
    let answer = http.put(unsigned).body("x").send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 403);
    assert_eq!(running.s3.objects(BUCKET).len(), 1);
}

fn reqwest_client() -> reqwest::Client {
    #[expect(clippy::disallowed_methods, reason = "a client that is not ours")]
    reqwest::Client::builder().no_proxy().build().unwrap()
}

#[tokio::test]
async fn a_write_under_a_condition_changes_nothing_when_it_does_not_hold() {
    let mut running = running().await;
    let client = running.client.clone();
    let write = |if_match: Option<String>, if_none_match: Option<&str>, bytes: &'static [u8]| {
        let put = client.put_object().bucket(BUCKET).key("k");
        put.set_if_match(if_match)
            .set_if_none_match(if_none_match.map(str::to_owned))
            .body(ByteStream::from_static(bytes))
            .send()
    };
    let missing = write(Some("\"0\"".to_owned()), None, b"0").await;
    assert_eq!(missing.unwrap_err().code(), Some("PreconditionFailed"));
    let first = write(None, Some("*"), b"1").await.unwrap();
    let twice = write(None, Some("*"), b"2").await;
    assert_eq!(twice.unwrap_err().code(), Some("PreconditionFailed"));
    let etag = first.e_tag().map(str::to_owned);
    write(etag.clone(), None, b"3").await.unwrap();
    let stale = write(etag, None, b"4").await;
    assert_eq!(stale.unwrap_err().code(), Some("PreconditionFailed"));
    assert_eq!(get(&client, "k", None).await.unwrap(), b"3");
    assert!(running.created.recv().await.is_some());
    assert!(running.created.recv().await.is_some());
    assert!(running.created.try_recv().is_err());
}

#[tokio::test]
async fn bytes_that_do_not_match_their_checksum_never_become_the_object() {
    let running = running().await;
    put(&running.client, "k", "before").await;
    let wrong = running.client.put_object().bucket(BUCKET).key("k");
    let wrong = wrong
        .content_md5("1B2M2Y8AsgTpgAmY7PhCfg==")
        .body(ByteStream::from_static(b"after"));
    assert_eq!(wrong.send().await.unwrap_err().code(), Some("BadDigest"));
    assert_eq!(get(&running.client, "k", None).await.unwrap(), b"before");
    let blobs = running
        .folder
        .path()
        .join("buckets")
        .join(BUCKET)
        .join("blobs");
    assert_eq!(std::fs::read_dir(blobs).unwrap().count(), 1);
}

#[tokio::test]
async fn what_was_said_of_an_object_is_kept_and_copied_with_it() {
    let mut running = running().await;
    let put = running.client.put_object().bucket(BUCKET).key("from");
    let put = put.content_type("text/xml").metadata("seller", "s-1");
    put.body(ByteStream::from_static(b"<a/>"))
        .send()
        .await
        .unwrap();
    let copy = running.client.copy_object().bucket(BUCKET).key("to");
    let copy = copy.copy_source(format!("{BUCKET}/from"));
    copy.send().await.unwrap();
    running.created.recv().await.unwrap();
    let created = running.created.recv().await.unwrap();
    assert_eq!(
        (created.key.as_str(), created.created_by),
        ("to", CreatedBy::Copy)
    );
    let head = running.client.head_object().bucket(BUCKET).key("to");
    let head = head.send().await.unwrap();
    assert_eq!(head.content_type(), Some("text/xml"));
    assert_eq!(head.metadata().unwrap()["seller"], "s-1");
    assert_eq!(head.e_tag().unwrap().trim_matches('"'), created.etag);
}

#[tokio::test]
async fn a_list_holds_every_key_once_whatever_the_size_of_its_pages() {
    let running = running().await;
    let client = &running.client;
    for key in ["a/1", "a/2", "b", "c/1", "c/2/3", "d"] {
        put(client, key, key).await;
    }
    for page_size in 1..8 {
        let pages = client.list_objects_v2().bucket(BUCKET).max_keys(page_size);
        let mut pages = pages.delimiter("/").into_paginator().send();
        let (mut keys, mut groups) = (Vec::new(), Vec::new());
        while let Some(page) = pages.next().await {
            let page = page.unwrap();
            keys.extend(page.contents().iter().filter_map(|o| o.key.clone()));
            groups.extend(
                page.common_prefixes()
                    .iter()
                    .filter_map(|g| g.prefix.clone()),
            );
        }
        assert_eq!(
            (keys, groups),
            (
                vec!["b".to_owned(), "d".to_owned()],
                vec!["a/".to_owned(), "c/".to_owned()]
            ),
            "{page_size}"
        );
        let pages = client.list_objects_v2().bucket(BUCKET).prefix("c/");
        let mut pages = pages.max_keys(page_size).into_paginator().send();
        let mut keys = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.unwrap();
            keys.extend(page.contents().iter().filter_map(|o| o.key.clone()));
        }
        assert_eq!(keys, ["c/1", "c/2/3"]);
    }
    let delete = client.delete_object().bucket(BUCKET).key("b");
    delete.send().await.unwrap();
    assert_eq!(get(client, "b", None).await.unwrap_err(), "NoSuchKey");
    assert_eq!(running.s3.objects(BUCKET).len(), 5);
}

#[tokio::test]
async fn objects_and_their_etags_survive_a_restart_under_keys_of_any_form() {
    let folder = tempfile::tempdir().unwrap();
    let (s3, mut created) = start(folder.path());
    let client = s3_client(s3.endpoint()).await;
    let long = "k".repeat(1_024);
    let keys = ["a", "a/b", "a/b/", "../x", "UPPER", "upper", long.as_str()];
    let mut etags = Vec::new();
    for key in keys {
        etags.push(put(&client, key, key.as_bytes()).await);
        created.recv().await.unwrap();
    }
    etags.push(
        upload(&client, "parts", &[vec![1; 5 * MIB], vec![2]])
            .await
            .unwrap(),
    );
    let too_long = client.put_object().bucket(BUCKET).key("k".repeat(1_025));
    assert!(too_long.send().await.is_err());
    let second = S3Options {
        folder: folder.path().to_owned(),
        port: None,
        buckets: Vec::new(),
        on_created: mpsc::channel(1).0,
    };
    let refused = S3::start(second, Outside::system()).unwrap_err();
    assert!(matches!(refused, EmbeddedError::FolderInUse { .. }));
    s3.stop().await;

    let (s3, _created) = start(folder.path());
    let client = s3_client(s3.endpoint()).await;
    for (key, etag) in keys.into_iter().chain(["parts"]).zip(&etags) {
        let bytes = get(&client, key, Some(etag)).await.unwrap();
        assert!(key == "parts" || bytes == key.as_bytes(), "{key}");
    }
    let known = s3.objects(BUCKET).into_iter().map(|object| object.etag);
    let known: std::collections::BTreeSet<_> = known.collect();
    assert_eq!(known, etags.into_iter().collect());
}

#[tokio::test]
async fn a_reader_sees_one_object_or_the_other_while_it_is_replaced() {
    let running = running().await;
    put(&running.client, "k", vec![b'0'; 300_000]).await;
    let writer = tokio::spawn({
        let client = running.client.clone();
        async move {
            for round in 0..40_u8 {
                put(&client, "k", vec![b'0' + round % 10; 300_000]).await;
            }
        }
    });
    let mut created = running.created;
    let drain = tokio::spawn(async move { while created.recv().await.is_some() {} });
    while !writer.is_finished() {
        let got = running.client.get_object().bucket(BUCKET).key("k");
        let got = got.send().await.unwrap();
        let etag = got.e_tag().unwrap().to_owned();
        let bytes = got.body.collect().await.unwrap().to_vec();
        assert!(bytes.len() == 300_000 && bytes.iter().all(|byte| *byte == bytes[0]));
        let written = running.client.put_object().bucket(BUCKET).key("other");
        let written = written.body(bytes.into()).send().await.unwrap();
        assert_eq!(written.e_tag(), Some(etag.as_str()));
    }
    writer.await.unwrap();
    running.s3.stop().await;
    drain.abort();
}

#[tokio::test]
async fn a_part_that_was_cut_off_is_gone_after_a_restart_and_its_upload_goes_on() {
    let Running {
        s3, client, folder, ..
    } = running().await;
    let begun = client.create_multipart_upload().bucket(BUCKET).key("k");
    let id = begun.send().await.unwrap().upload_id.unwrap();
    let part = client.upload_part().bucket(BUCKET).key("k");
    let part = part.upload_id(&id).part_number(1);
    let part = part.body(ByteStream::from(b"whole".to_vec()));
    let etag = part.send().await.unwrap().e_tag.unwrap();
    s3.stop().await;
    let uploads = folder.path().join("uploads");
    let cut = uploads.join(&id).join("cut.new");
    std::fs::write(&cut, b"ha").unwrap();
    let undescribed = uploads.join("00000000-0000-4000-8000-000000000001");
    std::fs::create_dir(&undescribed).unwrap();
    std::fs::write(undescribed.join("upload.json"), b"{").unwrap();

    let (s3, _created) = start(folder.path());
    assert!(!cut.exists() && !undescribed.exists());
    let client = s3_client(s3.endpoint()).await;
    let part = CompletedPart::builder().part_number(1).e_tag(etag).build();
    let parts = CompletedMultipartUpload::builder().parts(part).build();
    let complete = client.complete_multipart_upload().bucket(BUCKET).key("k");
    let complete = complete.upload_id(&id).multipart_upload(parts);
    complete.send().await.unwrap();
    assert_eq!(get(&client, "k", None).await.unwrap(), b"whole");
}
