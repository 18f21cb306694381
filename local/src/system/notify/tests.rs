use chrono::DateTime;
use weir_runtime::{AwsClients, AwsOptions, Random, Reader};
use weir_store::Names;

use super::*;
use crate::embedded::{ACCESS_KEY_ID, CreatedBy, Outside, SECRET_ACCESS_KEY, Sqs};

fn object(bucket: &str, key: &str) -> ObjectCreated {
    ObjectCreated {
        bucket: bucket.to_owned(),
        key: key.to_owned(),
        etag: "0".repeat(32),
        size_bytes: 7,
        created_by: CreatedBy::Put,
        created_at: DateTime::UNIX_EPOCH,
    }
}

async fn notifier(sqs: &Sqs, outside: Outside) -> Notifier {
    let queue_url = sqs.queue_url("uploads");
    let variables = [
        ("AWS_REGION", REGION),
        ("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID),
        ("AWS_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY),
        ("AWS_ENDPOINT_URL_SQS", &sqs.endpoint()),
        // Nobody listens there: no file can be looked up.
        ("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:9"),
        ("WEIR_TABLE_PREFIX", "t-"),
        ("WEIR_BUCKET", BUCKET),
        ("WEIR_UPLOADS_QUEUE_URL", &queue_url),
        ("WEIR_DETAILS_QUEUE_URL", &queue_url),
    ];
    let own = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    let mut reader = Reader::new(variables.map(own));
    let (aws, names) = (AwsOptions::read(&mut reader), Names::read(&mut reader));
    reader.finish().unwrap();
    let clients = AwsClients::new(&aws).await;
    Notifier {
        sqs: clients.sqs.clone(),
        queue_url,
        clock: outside.clock.clone(),
        store: Store::new(clients, names, outside.clock, outside.random),
    }
}

#[tokio::test]
async fn what_cannot_be_announced_or_looked_up_is_announced_later_and_other_buckets_never() {
    let patience = Clock::system();
    let (clock, hand) = Clock::manual(DateTime::UNIX_EPOCH);
    let outside = Outside {
        clock,
        random: Random::seeded(1),
    };
    let sqs = Sqs::start(None, outside.clone()).unwrap();
    let notifier = notifier(&sqs, outside).await;
    let client = notifier.sqs.clone();
    let (on_created, created) = mpsc::channel(10);
    for (bucket, key) in [("elsewhere", "b"), (BUCKET, "c d")] {
        on_created.send(object(bucket, key)).await.unwrap();
    }
    let running = tokio::spawn(notifier.run(vec![object(BUCKET, "a")], created));
    // The look-ups fail, and then there is no queue: each time it pauses and goes on.
    for _ in 0..LOOKUPS_MAX + 3 {
        while hand.sleepers_count() == 0 {
            patience.sleep(Duration::from_millis(1)).await;
        }
        hand.advance(PAUSE);
    }
    client
        .create_queue()
        .queue_name("uploads")
        .send()
        .await
        .unwrap();
    let count = || sqs.counts("uploads").unwrap().ready;
    while count() < 2 {
        hand.advance(PAUSE);
        patience.sleep(Duration::from_millis(5)).await;
    }
    drop(on_created);
    running.await.unwrap();
    assert_eq!(count(), 2);
    let url = sqs.queue_url("uploads");
    let received = client
        .receive_message()
        .queue_url(url)
        .max_number_of_messages(10);
    let messages = received.send().await.unwrap().messages.unwrap();
    let mut keys: Vec<_> = messages
        .iter()
        .map(|message| serde_json::from_str::<Value>(message.body().unwrap()).unwrap())
        .map(|event| event["Records"][0]["s3"]["object"]["key"].clone())
        .map(|key| key.as_str().unwrap().to_owned())
        .collect();
    keys.sort();
    assert_eq!(keys, ["a", "c+d"]);
}
