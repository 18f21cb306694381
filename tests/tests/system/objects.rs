//! Objects that are read on from where an earlier run stopped.

use std::time::Duration;

use weir_domain::{FileStatus, ObjectIdentity};
use weir_settlement::TimeLimit;
use weir_settlement::upload::Progress;
use weir_store::StoreError;
use weir_tests::rig::{Rig, correlation};
use weir_tests::text;

/// What is read of an object from a byte on.
async fn read(rig: &Rig, object: &ObjectIdentity, from: u64) -> Result<Vec<u8>, StoreError> {
    let mut reader = rig.parts.store.read_object(object, from).await?;
    let expected = reader.bytes_left();
    let mut bytes = Vec::new();
    while let Some(piece) = reader.next().await? {
        bytes.extend_from_slice(&piece);
    }
    assert_eq!((bytes.len() as u64, reader.bytes_left()), (expected, 0));
    Ok(bytes)
}

#[tokio::test]
async fn an_object_is_read_from_any_byte_up_to_its_end_and_none_beyond() {
    let rig = Rig::start().await;
    let bytes = b"abcdef";
    let object = rig.parts.put("bytes.xml", &bytes[..]).await;
    for from in 0..=bytes.len() {
        let read = read(&rig, &object, from as u64).await.unwrap();
        assert_eq!(read, bytes[from..], "{from}");
    }
    let beyond = read(&rig, &object, bytes.len() as u64 + 1).await;
    assert!(matches!(beyond, Err(StoreError::Refused { .. })));
    let empty = rig.parts.put("empty.xml", &b""[..]).await;
    assert_eq!(read(&rig, &empty, 0).await.unwrap(), b"");
}

#[tokio::test]
async fn a_file_that_ends_early_is_refused_wherever_its_check_is_interrupted() {
    let rig = Rig::start().await;
    let whole = text::one_batch("B-1", &[text::charge("SO-1", "1.00")]);
    let at = |words: &str| whole.find(words).unwrap() + words.len();
    for (name, end) in [
        ("record.xml", at("</Charge>")),
        ("batch.xml", at("</Batch>")),
        ("within.xml", at("</Charge>") - 1),
    ] {
        let object = rig.parts.put(name, whole[..end].to_owned()).await;
        let uploader = &rig.upload.uploader;
        let file = uploader.register(object, &correlation()).await.unwrap().id;
        let mut runs = 0;
        loop {
            let limit = TimeLimit::after(Duration::from_millis(1), rig.parts.timeline.clock());
            runs += 1;
            if uploader.work(file, &limit).await.unwrap() == Progress::Done {
                break;
            }
            assert!(runs < 20, "{name}");
        }
        assert!(runs > 1, "{name}");
        let file = rig.file(file).await;
        assert_eq!(file.status, FileStatus::Error, "{name}");
    }
}
