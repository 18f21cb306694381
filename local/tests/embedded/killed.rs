//! What was acknowledged is there after a SIGKILL.
//!
//! This very test binary is started again as the process that is killed.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use aws_sdk_s3::primitives::ByteStream;
use weir_local::embedded::{Dynamodb, Outside};
use weir_runtime::Clock;

use super::dynamodb::{TABLE, create_table, item, key};
use super::objects::{self, BUCKET};
use super::{dynamodb_client, s3_client};

const FOLDER: &str = "WEIR_TEST_KILLED_FOLDER";

#[tokio::test]
async fn serves_until_it_is_killed() {
    // Only as the process that the other test starts and kills.
    let Ok(folder) = std::env::var(FOLDER) else {
        return;
    };
    let folder = Path::new(&folder);
    let database = folder.join("db");
    let dynamodb = Dynamodb::start(Some(&database), None, Outside::system()).unwrap();
    let (s3, mut created) = objects::start(&folder.join("s3"));
    println!("\nREADY {} {}", dynamodb.endpoint(), s3.endpoint());
    while created.recv().await.is_some() {}
}

struct Victim {
    child: Child,
    dynamodb: String,
    s3: String,
}

impl Drop for Victim {
    fn drop(&mut self) {
        // It is dead already, unless an assertion failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn start(folder: &Path) -> Victim {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--nocapture"])
        .arg("killed::serves_until_it_is_killed")
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut ready = lines.map_while(Result::ok);
    let ready = ready.find_map(|line| line.strip_prefix("READY ").map(str::to_owned));
    let ready = ready.expect("it serves");
    let (dynamodb, s3) = ready.split_once(' ').unwrap();
    Victim {
        dynamodb: dynamodb.to_owned(),
        s3: s3.to_owned(),
        child,
    }
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_a_sigkill() {
    let folder = tempfile::tempdir().unwrap();
    let (items, files) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    for round in 0..3_u64 {
        let mut victim = start(folder.path());
        let dynamodb = dynamodb_client(victim.dynamodb.clone()).await;
        let s3 = s3_client(victim.s3.clone()).await;
        if round == 0 {
            create_table(&dynamodb).await;
        }
        let put_items = tokio::spawn({
            let items = Arc::clone(&items);
            async move {
                loop {
                    let next = items.load(Ordering::SeqCst);
                    let put = dynamodb.put_item().table_name(TABLE);
                    let put = put.set_item(Some(item(next, 1))).send();
                    if put.await.is_err() {
                        break;
                    }
                    items.store(next + 1, Ordering::SeqCst);
                }
            }
        });
        let put_files = tokio::spawn({
            let files = Arc::clone(&files);
            async move {
                loop {
                    let next = files.load(Ordering::SeqCst);
                    // The same key again and again: each put replaces an object.
                    let body = ByteStream::from(vec![b'x'; 50_000 + next as usize]);
                    let put = s3.put_object().bucket(BUCKET).key("k").body(body);
                    if put.send().await.is_err() {
                        break;
                    }
                    files.store(next + 1, Ordering::SeqCst);
                }
            }
        });
        let clock = Clock::system();
        clock.sleep(Duration::from_millis(400 + 130 * round)).await;
        victim.child.kill().unwrap();
        victim.child.wait().unwrap();
        put_items.abort();
        put_files.abort();
    }
    let (items, files) = (items.load(Ordering::SeqCst), files.load(Ordering::SeqCst));
    assert!(items > 10 && files > 10, "{items} items, {files} files");

    let database = folder.path().join("db");
    let dynamodb = Dynamodb::start(Some(&database), None, Outside::system()).unwrap();
    let client = dynamodb_client(dynamodb.endpoint()).await;
    for pk in 0..items {
        let get = client.get_item().table_name(TABLE).set_key(Some(key(pk)));
        assert!(get.send().await.unwrap().item.is_some(), "item {pk}");
    }
    let (s3, _created) = objects::start(&folder.path().join("s3"));
    let client = s3_client(s3.endpoint()).await;
    let got = client.get_object().bucket(BUCKET).key("k");
    let got = got.send().await.unwrap();
    let etag = got.e_tag().unwrap().to_owned();
    let bytes = got.body.collect().await.unwrap().to_vec();
    // The last acknowledged one, or the one that was cut off after it had been written.
    let length = u32::try_from(bytes.len()).unwrap() - 50_000;
    assert!(length + 1 >= files, "{length} against {files}");
    let again = client.put_object().bucket(BUCKET).key("again");
    let again = again.body(bytes.into()).send().await.unwrap();
    assert_eq!(again.e_tag(), Some(etag.as_str()));
    let blobs = folder.path().join("s3/buckets").join(BUCKET).join("blobs");
    assert_eq!(std::fs::read_dir(blobs).unwrap().count(), 2);
}
