//! Uploads in parts that have a SHA-256 each.

use aws_sdk_s3::Client;
use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumAlgorithm, ChecksumType, CompletedMultipartUpload, CompletedPart};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use s3s::crypto::{Checksum as _, Sha256};

use super::objects::{BUCKET, start};
use super::s3_client;

const MIB: usize = 1024 * 1024;
const KEY: &str = "in parts.xml";

fn sha256(bytes: &[u8]) -> String {
    STANDARD.encode(Sha256::checksum(bytes))
}

/// Begins an upload whose parts have a SHA-256 each.
async fn begin(client: &Client) -> String {
    let begun = client.create_multipart_upload().bucket(BUCKET).key(KEY);
    let begun = begun.checksum_algorithm(ChecksumAlgorithm::Sha256);
    let begun = begun.checksum_type(ChecksumType::Composite).send().await;
    let begun = begun.unwrap();
    assert_eq!(begun.checksum_algorithm(), Some(&ChecksumAlgorithm::Sha256));
    assert_eq!(begun.checksum_type(), Some(&ChecksumType::Composite));
    begun.upload_id().unwrap().to_owned()
}

/// Sends a part with the SHA-256 of some bytes.
async fn send(
    client: &Client,
    id: &str,
    number: i32,
    bytes: &[u8],
    of: &[u8],
) -> Result<CompletedPart, String> {
    let part = client.upload_part().bucket(BUCKET).key(KEY).upload_id(id);
    let part = part.part_number(number).checksum_sha256(sha256(of));
    match part.body(ByteStream::from(bytes.to_vec())).send().await {
        Ok(part) => {
            assert_eq!(part.checksum_sha256(), Some(sha256(of).as_str()));
            Ok(CompletedPart::builder()
                .part_number(number)
                .e_tag(part.e_tag().unwrap())
                .checksum_sha256(sha256(of))
                .build())
        }
        Err(error) => Err(error.code().unwrap_or_default().to_owned()),
    }
}

async fn complete(client: &Client, id: &str, parts: &[CompletedPart]) -> Result<String, String> {
    let all = CompletedMultipartUpload::builder().set_parts(Some(parts.to_vec()));
    let complete = client.complete_multipart_upload().bucket(BUCKET).key(KEY);
    let complete = complete.upload_id(id).if_none_match("*");
    match complete.multipart_upload(all.build()).send().await {
        Ok(answer) => {
            assert_eq!(answer.checksum_type(), Some(&ChecksumType::Composite));
            Ok(answer.checksum_sha256().unwrap().to_owned())
        }
        Err(error) => Err(error.code().unwrap_or_default().to_owned()),
    }
}

#[tokio::test]
async fn the_object_has_the_checksum_of_those_of_its_parts_also_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let (s3, _created) = start(folder.path());
    let client = s3_client(s3.endpoint()).await;
    let id = begin(&client).await;
    let (first, last) = (vec![b'a'; 5 * MIB], b"b".to_vec());
    let one = send(&client, &id, 1, &first, &first).await.unwrap();
    s3.stop().await;
    let (s3, _created) = start(folder.path());
    let client = s3_client(s3.endpoint()).await;
    let two = send(&client, &id, 2, &last, &last).await.unwrap();
    let listed = client.list_parts().bucket(BUCKET).key(KEY).upload_id(&id);
    let listed = listed.send().await.unwrap();
    assert_eq!(listed.checksum_type(), Some(&ChecksumType::Composite));
    let found: Vec<_> = listed
        .parts()
        .iter()
        .map(|part| {
            (
                part.size().unwrap(),
                part.checksum_sha256().unwrap().to_owned(),
            )
        })
        .collect();
    let large = i64::try_from(5 * MIB).unwrap();
    assert_eq!(found, [(large, sha256(&first)), (1, sha256(&last))]);
    let both = [Sha256::checksum(&first), Sha256::checksum(&last)].concat();
    let composite = format!("{}-2", sha256(&both));
    assert_eq!(
        complete(&client, &id, &[one, two]).await,
        Ok(composite.clone())
    );
    let head = client.head_object().bucket(BUCKET).key(KEY);
    let head = head.send().await.unwrap();
    assert_eq!(head.checksum_sha256(), Some(composite.as_str()));
}

#[tokio::test]
async fn a_part_that_is_not_its_checksums_or_has_none_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (s3, _created) = start(folder.path());
    let client = s3_client(s3.endpoint()).await;
    let id = begin(&client).await;
    let wrong = send(&client, &id, 1, b"sent", b"said").await;
    assert_eq!(wrong.unwrap_err(), "BadDigest");
    let none = client.upload_part().bucket(BUCKET).key(KEY).upload_id(&id);
    let none = none.part_number(1).body(ByteStream::from_static(b"sent"));
    let none = none.send().await.unwrap_err();
    assert_eq!(none.code(), Some("InvalidRequest"));
    let listed = client.list_parts().bucket(BUCKET).key(KEY).upload_id(&id);
    assert!(listed.send().await.unwrap().parts().is_empty());
}

#[tokio::test]
async fn a_completion_that_names_other_checksums_or_none_makes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (s3, _created) = start(folder.path());
    let client = s3_client(s3.endpoint()).await;
    let id = begin(&client).await;
    let part = send(&client, &id, 1, b"one", b"one").await.unwrap();
    let named = |checksum: Option<String>| {
        let named = CompletedPart::builder()
            .part_number(1)
            .e_tag(part.e_tag().unwrap());
        named.set_checksum_sha256(checksum).build()
    };
    let other = complete(&client, &id, &[named(Some(sha256(b"two")))]).await;
    assert_eq!(other.unwrap_err(), "InvalidPart");
    let none = complete(&client, &id, &[named(None)]).await;
    assert_eq!(none.unwrap_err(), "InvalidRequest");
    assert!(s3.objects(BUCKET).is_empty());
    assert!(complete(&client, &id, &[part]).await.is_ok());
}

#[tokio::test]
async fn parts_do_not_replace_an_object_where_there_may_be_none() {
    let folder = tempfile::tempdir().unwrap();
    let (s3, _created) = start(folder.path());
    let client = s3_client(s3.endpoint()).await;
    let (first, second) = (begin(&client).await, begin(&client).await);
    let mut made = Vec::new();
    for (id, bytes) in [(&first, b"one"), (&second, b"two")] {
        let part = send(&client, id, 1, bytes, bytes).await.unwrap();
        made.push(complete(&client, id, &[part]).await);
    }
    assert!(made[0].is_ok());
    assert_eq!(made[1], Err("PreconditionFailed".to_owned()));
    assert_eq!(s3.objects(BUCKET).len(), 1);
    let gone = client.list_parts().bucket(BUCKET).key(KEY).upload_id(first);
    let gone = gone.send().await.unwrap_err();
    assert_eq!(gone.code(), Some("NoSuchUpload"));
}

#[tokio::test]
async fn a_list_of_parts_holds_every_part_once_whatever_the_size_of_its_pages() {
    let folder = tempfile::tempdir().unwrap();
    let (s3, _created) = start(folder.path());
    let client = s3_client(s3.endpoint()).await;
    let id = begin(&client).await;
    for number in [2, 3, 5, 7, 10_000] {
        send(&client, &id, number, b"x", b"x").await.unwrap();
    }
    for size in [1, 2, 4, 5, 6] {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = client.list_parts().bucket(BUCKET).key(KEY).upload_id(&id);
            let page = page.max_parts(size).set_part_number_marker(after.take());
            let page = page.send().await.unwrap();
            found.extend(
                page.parts()
                    .iter()
                    .filter_map(aws_sdk_s3::types::Part::part_number),
            );
            if page.is_truncated() != Some(true) {
                break;
            }
            after = page.next_part_number_marker().map(str::to_owned);
        }
        assert_eq!(found, [2, 3, 5, 7, 10_000], "{size}");
    }
}

/// The checksums of the parts that are listed, by their numbers.
async fn listed(client: &Client, id: &str) -> Vec<(i32, String)> {
    let list = client.list_parts().bucket(BUCKET).key(KEY).upload_id(id);
    let list = list.send().await.unwrap();
    let part = |part: &aws_sdk_s3::types::Part| {
        let sha256 = part.checksum_sha256().unwrap().to_owned();
        (part.part_number().unwrap(), sha256)
    };
    list.parts().iter().map(part).collect()
}

#[tokio::test]
async fn of_uploads_of_one_part_the_last_wins_also_when_a_process_ended_in_between() {
    let folder = tempfile::tempdir().unwrap();
    let (s3, _created) = start(folder.path());
    let client = s3_client(s3.endpoint()).await;
    let id = begin(&client).await;
    let upload = folder.path().join("uploads").join(&id);
    let files = || {
        let names = std::fs::read_dir(&upload).unwrap();
        let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.filter(|name| name.starts_with("part-1-")).collect();
        names.sort();
        names
    };
    send(&client, &id, 10, b"ten", b"ten").await.unwrap();
    // The names of what others sent, which come before and after each other.
    let texts: [&[u8]; 4] = [b"one", b"two", b"three", b"four"];
    let mut left = Vec::new();
    for text in texts {
        send(&client, &id, 1, text, text).await.unwrap();
        let [name] = files().try_into().unwrap();
        left.push((name, text));
    }
    for last in texts {
        // Ended after each had its name, and before it could remove those before it.
        for (name, text) in &left {
            std::fs::write(upload.join(name), text).unwrap();
        }
        assert_eq!(files().len(), 4);
        send(&client, &id, 1, last, last).await.unwrap();
        assert_eq!(files().len(), 1);
        let expected = [(1, sha256(last)), (10, sha256(b"ten"))];
        assert_eq!(listed(&client, &id).await, expected);
    }
    s3.stop().await;
}

#[tokio::test]
async fn of_uploads_of_one_part_at_the_same_time_one_is_left_whole() {
    let folder = tempfile::tempdir().unwrap();
    let (s3, _created) = start(folder.path());
    let client = s3_client(s3.endpoint()).await;
    let id = begin(&client).await;
    for round in 0..20 {
        let texts: Vec<Vec<u8>> = (0..4)
            .map(|n| format!("{round} {n}").into_bytes())
            .collect();
        let all = texts.iter().map(|text| send(&client, &id, 1, text, text));
        for sent in futures::future::join_all(all).await {
            sent.unwrap();
        }
        let [(1, left)] = &listed(&client, &id).await[..] else {
            panic!("there is not one part");
        };
        assert!(texts.iter().any(|text| sha256(text) == *left), "{round}");
    }
    s3.stop().await;
}
