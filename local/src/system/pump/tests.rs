use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use chrono::DateTime;
use weir_runtime::{AwsClients, AwsOptions, ManualClock, Random, Reader};

use super::*;
use crate::embedded::{ACCESS_KEY_ID, Outside, QueueCounts, SECRET_ACCESS_KEY};

const SPEC: QueueSpec = QueueSpec {
    name: "q",
    timeout: Duration::from_secs(2),
};

async fn client(sqs: &Sqs) -> Client {
    let variables = [
        ("AWS_REGION", REGION.to_owned()),
        ("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID.to_owned()),
        ("AWS_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY.to_owned()),
        ("AWS_ENDPOINT_URL_SQS", sqs.endpoint()),
    ];
    let mut reader = Reader::new(variables.map(|(name, value)| (name.to_owned(), value)));
    let options = AwsOptions::read(&mut reader);
    reader.finish().unwrap();
    AwsClients::new(&options).await.sqs
}

/// Moves the time on, second by second, until something is so.
async fn until(hand: &ManualClock, is_so: impl Fn() -> bool) {
    let patience = Clock::system();
    for _ in 0..1_000 {
        if is_so() {
            return;
        }
        hand.advance(Duration::from_secs(1));
        patience.sleep(Duration::from_millis(2)).await;
    }
    panic!("it never was so");
}

#[tokio::test]
async fn a_message_stays_until_an_invocation_says_that_it_is_done() {
    let (clock, hand) = Clock::manual(DateTime::UNIX_EPOCH);
    let outside = Outside {
        clock: clock.clone(),
        random: Random::seeded(1),
    };
    let sqs = Sqs::start(None, outside).unwrap();
    let client = client(&sqs).await;
    SPEC.create(&client).await.unwrap();
    let url = sqs.queue_url(SPEC.name);
    let send = client.send_message().queue_url(&url).message_body("m");
    send.send().await.unwrap();

    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let handler = move |event: Value, _deadline| {
        let call = counted.fetch_add(1, Ordering::SeqCst);
        assert_eq!(event["Records"][0]["body"], "m");
        async move {
            match call {
                0 => panic!("on purpose"),
                1 => std::future::pending().await,
                2 => Ok(json!({"batchItemFailure": []})),
                3 => Err("no"),
                _ => Ok(json!({"batchItemFailures": []})),
            }
        }
    };
    let pump = Pump {
        sqs: client,
        queue: SPEC,
        url,
        clock,
    };
    let pumping = tokio::spawn(pump.run(handler));
    until(&hand, || calls.load(Ordering::SeqCst) == 4).await;
    let counts = || sqs.counts(SPEC.name).unwrap();
    assert_ne!(counts(), QueueCounts::default());
    until(&hand, || counts() == QueueCounts::default()).await;
    assert_eq!(calls.load(Ordering::SeqCst), 5);
    assert!(!pumping.is_finished());
    pumping.abort();
}
