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

/// How many puts were acknowledged.
#[derive(Debug, Default)]
struct Acknowledged {
    items: AtomicU32,
    files: AtomicU32,
}

/// Puts one item after the other until the process is gone.
async fn put_items(client: aws_sdk_dynamodb::Client, acknowledged: Arc<Acknowledged>) {
    loop {
        let next = acknowledged.items.load(Ordering::SeqCst);
        let put = client.put_item().table_name(TABLE);
        if put.set_item(Some(item(next, 1))).send().await.is_err() {
            break;
        }
        acknowledged.items.store(next + 1, Ordering::SeqCst);
    }
}

/// Puts the same key again and again, each time a byte longer, until the process is gone.
async fn put_files(client: aws_sdk_s3::Client, acknowledged: Arc<Acknowledged>) {
    loop {
        let next = acknowledged.files.load(Ordering::SeqCst);
        let body = ByteStream::from(vec![b'x'; 50_000 + next as usize]);
        let put = client.put_object().bucket(BUCKET).key("k").body(body);
        if put.send().await.is_err() {
            break;
        }
        acknowledged.files.store(next + 1, Ordering::SeqCst);
    }
}

async fn assert_items(folder: &Path, count: u32) {
    let database = folder.join("db");
    let dynamodb = Dynamodb::start(Some(&database), None, Outside::system()).unwrap();
    let client = dynamodb_client(dynamodb.endpoint()).await;
    for pk in 0..count {
        let get = client.get_item().table_name(TABLE).set_key(Some(key(pk)));
        assert!(get.send().await.unwrap().item.is_some(), "item {pk}");
    }
}

async fn assert_file(folder: &Path, puts_count: u32) {
    let (s3, _created) = objects::start(&folder.join("s3"));
    let client = s3_client(s3.endpoint()).await;
    let got = client.get_object().bucket(BUCKET).key("k");
    let got = got.send().await.unwrap();
    let etag = got.e_tag().unwrap().to_owned();
    let bytes = got.body.collect().await.unwrap().to_vec();
    // The last acknowledged one, or the one that was cut off after it had been written.
    let length = u32::try_from(bytes.len()).unwrap() - 50_000;
    assert!(length + 1 >= puts_count, "{length} against {puts_count}");
    let again = client.put_object().bucket(BUCKET).key("again");
    let again = again.body(bytes.into()).send().await.unwrap();
    assert_eq!(again.e_tag(), Some(etag.as_str()));
    let blobs = folder.join("s3/buckets").join(BUCKET).join("blobs");
    assert_eq!(std::fs::read_dir(blobs).unwrap().count(), 2);
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_a_sigkill() {
    let folder = tempfile::tempdir().unwrap();
    let acknowledged = Arc::new(Acknowledged::default());
    for round in 0..3_u64 {
        let mut victim = start(folder.path());
        let dynamodb = dynamodb_client(victim.dynamodb.clone()).await;
        let s3 = s3_client(victim.s3.clone()).await;
        if round == 0 {
            create_table(&dynamodb).await;
        }
        let items = tokio::spawn(put_items(dynamodb, Arc::clone(&acknowledged)));
        let files = tokio::spawn(put_files(s3, Arc::clone(&acknowledged)));
        let clock = Clock::system();
        clock.sleep(Duration::from_millis(400 + 130 * round)).await;
        victim.child.kill().unwrap();
        victim.child.wait().unwrap();
        items.abort();
        files.abort();
    }
    let items = acknowledged.items.load(Ordering::SeqCst);
    let files = acknowledged.files.load(Ordering::SeqCst);
    assert!(items > 10 && files > 10, "{items} items, {files} files");
    assert_items(folder.path(), items).await;
    assert_file(folder.path(), files).await;
}
