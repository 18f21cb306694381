use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::error::ProvideErrorMetadata;
use aws_sdk_sqs::primitives::Blob;
use aws_sdk_sqs::types::{
    DeleteMessageBatchRequestEntry, Message, MessageAttributeValue, MessageSystemAttributeName,
    MessageSystemAttributeNameForSends, MessageSystemAttributeValue, QueueAttributeName,
    SendMessageBatchRequestEntry,
};
use weir_local::embedded::{EmbeddedError, Outside, QueueCounts, Sqs};
use weir_runtime::Clock;

use super::sqs_client;

async fn running(outside: Outside) -> (Sqs, Client) {
    let sqs = Sqs::start(None, outside).unwrap();
    let client = sqs_client(sqs.endpoint()).await;
    (sqs, client)
}

async fn create(client: &Client, name: &str, attributes: &[(QueueAttributeName, &str)]) -> String {
    let create = client.create_queue().queue_name(name);
    let create = attributes.iter().fold(create, |create, (name, value)| {
        create.attributes(name.clone(), *value)
    });
    let created = create.send().await.unwrap();
    created.queue_url().unwrap().to_owned()
}

async fn send(client: &Client, url: &str, body: &str) {
    let send = client.send_message().queue_url(url).message_body(body);
    send.send().await.unwrap();
}

async fn receive(client: &Client, url: &str, wait_s: i32) -> Vec<Message> {
    let receive = client.receive_message().queue_url(url);
    let received = receive
        .max_number_of_messages(10)
        .wait_time_seconds(wait_s)
        .message_system_attribute_names(MessageSystemAttributeName::All)
        .message_attribute_names("All")
        .send()
        .await
        .unwrap();
    received.messages.unwrap_or_default()
}

fn bodies(messages: &[Message]) -> Vec<&str> {
    messages.iter().filter_map(Message::body).collect()
}

fn system<'a>(message: &'a Message, name: &MessageSystemAttributeName) -> Option<&'a str> {
    message.attributes()?.get(name).map(String::as_str)
}

fn entry(id: usize, body: &str) -> SendMessageBatchRequestEntry {
    let entry = SendMessageBatchRequestEntry::builder().id(id.to_string());
    entry.message_body(body).build().unwrap()
}

#[tokio::test]
async fn a_batch_is_sent_received_and_deleted_entry_by_entry() {
    let (sqs, client) = running(Outside::system()).await;
    let url = create(&client, "details", &[]).await;
    assert_eq!(url, sqs.queue_url("details"));
    let entries = (0..9).map(|id| entry(id, &format!("m{id}")));
    let refused = SendMessageBatchRequestEntry::builder().id("late");
    let refused = refused.message_body("x").delay_seconds(901);
    let sent = client
        .send_message_batch()
        .queue_url(&url)
        .set_entries(Some(entries.chain([refused.build().unwrap()]).collect()))
        .send()
        .await
        .unwrap();
    assert_eq!((sent.successful().len(), sent.failed().len()), (9, 1));
    assert_eq!(sent.failed()[0].id(), "late");
    assert_eq!(sent.failed()[0].code(), "InvalidParameterValue");

    let got = receive(&client, &url, 0).await;
    assert_eq!(got.len(), 9);
    let counts = sqs.counts("details").unwrap();
    assert_eq!((counts.ready, counts.in_flight), (0, 9));
    let delete = |id: &str, receipt: &str| {
        let entry = DeleteMessageBatchRequestEntry::builder().id(id);
        entry.receipt_handle(receipt).build().unwrap()
    };
    let numbered = got.iter().enumerate();
    let mut entries: Vec<_> = numbered
        .map(|(id, message)| delete(&id.to_string(), message.receipt_handle().unwrap()))
        .collect();
    entries.push(delete("bad", "made up"));
    let deleted = client
        .delete_message_batch()
        .queue_url(&url)
        .set_entries(Some(entries))
        .send()
        .await
        .unwrap();
    assert_eq!((deleted.successful().len(), deleted.failed().len()), (9, 1));
    assert_eq!(deleted.failed()[0].code(), "ReceiptHandleIsInvalid");
    assert_eq!(sqs.counts("details"), Some(QueueCounts::default()));
}

#[tokio::test]
async fn a_batch_of_none_of_eleven_of_twins_or_of_more_than_1_mib_is_refused() {
    let (_sqs, client) = running(Outside::system()).await;
    let url = create(&client, "details", &[]).await;
    let send = |entries: Vec<SendMessageBatchRequestEntry>| async {
        let batch = client.send_message_batch().queue_url(&url);
        match batch.set_entries(Some(entries)).send().await {
            Ok(_) => "sent".to_owned(),
            Err(error) => {
                let error = error.into_service_error();
                format!("{error:?}")
                    .split(['(', ' '])
                    .next()
                    .unwrap()
                    .to_owned()
            }
        }
    };
    let mib = 1024 * 1024;
    assert_eq!(send(Vec::new()).await, "EmptyBatchRequest");
    let eleven = (0..11).map(|id| entry(id, "x")).collect();
    assert_eq!(send(eleven).await, "TooManyEntriesInBatchRequest");
    let twins = vec![entry(1, "x"), entry(1, "y")];
    assert_eq!(send(twins).await, "BatchEntryIdsNotDistinct");
    let half = "x".repeat(mib / 2);
    let all = vec![entry(1, &half), entry(2, &half)];
    assert_eq!(send(all).await, "sent");
    let over = vec![entry(1, &half), entry(2, &half), entry(3, "x")];
    assert_eq!(send(over).await, "BatchRequestTooLong");
    for (length, fits) in [(mib - 1, true), (mib, true), (mib + 1, false)] {
        let message = client.send_message().queue_url(&url);
        let outcome = message.message_body("x".repeat(length)).send().await;
        assert_eq!(outcome.is_ok(), fits, "{length}");
    }
    for refused in ["", "\u{0}", "\u{fffe}"] {
        let message = client.send_message().queue_url(&url);
        assert!(message.message_body(refused).send().await.is_err());
    }
}

#[tokio::test]
async fn a_wait_ends_the_moment_a_message_is_sent_and_does_not_poll_until_then() {
    let (clock, hand) = Clock::manual(Outside::system().clock.now());
    let outside = Outside {
        clock,
        ..Outside::system()
    };
    let (_sqs, client) = running(outside).await;
    let url = create(&client, "details", &[]).await;
    let waiting = tokio::spawn({
        let (client, url) = (client.clone(), url.clone());
        async move { receive(&client, &url, 20).await }
    });
    while hand.sleepers_count() == 0 {
        tokio::task::yield_now().await;
    }
    // One sleep, to the very end of the wait: nothing looks in between.
    assert_eq!(hand.sleepers_count(), 1);
    hand.advance(Duration::from_millis(19_999));
    assert!(!waiting.is_finished());
    send(&client, &url, "now").await;
    assert_eq!(bodies(&waiting.await.unwrap()), ["now"]);

    let empty = tokio::spawn({
        let (client, url) = (client.clone(), url.clone());
        async move { receive(&client, &url, 20).await }
    });
    while hand.sleepers_count() == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(hand.advance_to_next(), Some(Duration::from_secs(20)));
    assert!(empty.await.unwrap().is_empty());
}

#[tokio::test]
async fn a_wait_ends_when_a_delayed_or_a_hidden_message_shows_itself() {
    let (clock, hand) = Clock::manual(Outside::system().clock.now());
    let outside = Outside {
        clock,
        ..Outside::system()
    };
    let (_sqs, client) = running(outside).await;
    let url = create(
        &client,
        "details",
        &[(QueueAttributeName::VisibilityTimeout, "7")],
    )
    .await;
    let message = client.send_message().queue_url(&url).message_body("later");
    message.delay_seconds(5).send().await.unwrap();
    for (seconds, count) in [(5, "1"), (7, "2")] {
        let waiting = tokio::spawn({
            let (client, url) = (client.clone(), url.clone());
            async move { receive(&client, &url, 20).await }
        });
        while hand.sleepers_count() == 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(hand.advance_to_next(), Some(Duration::from_secs(seconds)));
        let got = waiting.await.unwrap();
        let counted = system(
            &got[0],
            &MessageSystemAttributeName::ApproximateReceiveCount,
        );
        assert_eq!(counted, Some(count));
    }
}

#[tokio::test]
async fn long_polls_wake_within_milliseconds() {
    let (_sqs, client) = running(Outside::system()).await;
    let url = create(&client, "details", &[]).await;
    let clock = Clock::system();
    let mut slowest = Duration::ZERO;
    for _ in 0..20 {
        let waiting = tokio::spawn({
            let (client, url) = (client.clone(), url.clone());
            async move { receive(&client, &url, 20).await }
        });
        clock.sleep(Duration::from_millis(20)).await;
        send(&client, &url, "now").await;
        let sent_at = clock.monotonic();
        let got = waiting.await.unwrap();
        slowest = slowest.max(clock.monotonic().saturating_sub(sent_at));
        assert_eq!(got.len(), 1);
    }
    println!("slowest wake-up of 20: {slowest:?}");
    // Generous for a busy machine, and still far below what polling every 100 ms could do on average.
    assert!(slowest < Duration::from_millis(500), "{slowest:?}");
}

#[tokio::test]
async fn a_message_received_five_times_becomes_a_dead_letter_and_wakes_who_waits_there() {
    let (sqs, client) = running(Outside::system()).await;
    let dead_url = create(&client, "details-dead", &[]).await;
    let policy = format!(
        r#"{{"deadLetterTargetArn":"{}","maxReceiveCount":5}}"#,
        Sqs::queue_arn("details-dead")
    );
    let attributes = [(QueueAttributeName::RedrivePolicy, policy.as_str())];
    let url = create(&client, "details", &attributes).await;
    let message = client.send_message().queue_url(&url).message_body("poison");
    let sent = message.message_group_id("seller-1").send().await.unwrap();
    let waiting = tokio::spawn({
        let (client, dead_url) = (client.clone(), dead_url.clone());
        async move { receive(&client, &dead_url, 20).await }
    });
    for _ in 0..5 {
        let got = receive(&client, &url, 0).await;
        client
            .change_message_visibility()
            .queue_url(&url)
            .receipt_handle(got[0].receipt_handle().unwrap())
            .visibility_timeout(0)
            .send()
            .await
            .unwrap();
    }
    assert!(receive(&client, &url, 0).await.is_empty());
    let dead = waiting.await.unwrap();
    assert_eq!(dead[0].message_id(), sent.message_id());
    let source = system(
        &dead[0],
        &MessageSystemAttributeName::DeadLetterQueueSourceArn,
    );
    assert_eq!(source, Some(Sqs::queue_arn("details").as_str()));
    let group = system(&dead[0], &MessageSystemAttributeName::MessageGroupId);
    assert_eq!(group, Some("seller-1"));
    assert_eq!(sqs.counts("details"), Some(QueueCounts::default()));
}

#[tokio::test]
async fn a_redrive_policy_to_a_queue_that_is_not_there_is_refused() {
    let (_sqs, client) = running(Outside::system()).await;
    let policy =
        r#"{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:none","maxReceiveCount":5}"#;
    let create = client.create_queue().queue_name("details");
    let create = create.attributes(QueueAttributeName::RedrivePolicy, policy);
    assert!(create.send().await.is_err());
}

#[tokio::test]
async fn attributes_trace_header_and_group_pass_through_and_only_what_is_asked_for_comes() {
    let (_sqs, client) = running(Outside::system()).await;
    let url = create(&client, "details", &[]).await;
    let attribute = |kind| MessageAttributeValue::builder().data_type(kind);
    let trace = MessageSystemAttributeValue::builder().data_type("String");
    let trace = trace.string_value("Root=1-5759e988-bd862e3fe1be46a994272793");
    client
        .send_message()
        .queue_url(&url)
        .message_body("x")
        .message_group_id("seller-1")
        .message_attributes(
            "correlation_id",
            attribute("String").string_value("c-1").build().unwrap(),
        )
        .message_attributes(
            "digest",
            attribute("Binary")
                .binary_value(Blob::new([0, 1, 255]))
                .build()
                .unwrap(),
        )
        .message_system_attributes(
            MessageSystemAttributeNameForSends::AwsTraceHeader,
            trace.build().unwrap(),
        )
        .send()
        .await
        .unwrap();
    let bare = client.receive_message().queue_url(&url);
    let bare = bare.visibility_timeout(0).send().await.unwrap();
    let bare = &bare.messages()[0];
    assert!(bare.attributes().is_none_or(HashMap::is_empty));
    assert!(bare.message_attributes().is_none_or(HashMap::is_empty));

    let got = receive(&client, &url, 0).await;
    let attributes = got[0].message_attributes().unwrap();
    assert_eq!(attributes["correlation_id"].string_value(), Some("c-1"));
    let digest = attributes["digest"].binary_value().unwrap();
    assert_eq!(digest.as_ref(), [0, 1, 255]);
    let trace = system(&got[0], &MessageSystemAttributeName::AwsTraceHeader);
    assert!(trace.unwrap().starts_with("Root="));
    let group = system(&got[0], &MessageSystemAttributeName::MessageGroupId);
    assert_eq!(group, Some("seller-1"));
    let count = system(
        &got[0],
        &MessageSystemAttributeName::ApproximateReceiveCount,
    );
    assert_eq!(count, Some("2"));
    assert!(system(&got[0], &MessageSystemAttributeName::SentTimestamp).is_some());
}

#[tokio::test]
async fn queues_are_found_described_changed_emptied_and_deleted() {
    let (_sqs, client) = running(Outside::system()).await;
    let url = create(&client, "details", &[]).await;
    create(&client, "reports", &[]).await;
    assert_eq!(create(&client, "details", &[]).await, url);
    let other = client.create_queue().queue_name("details");
    let other = other.attributes(QueueAttributeName::VisibilityTimeout, "1");
    let refused = other.send().await.unwrap_err().into_service_error();
    assert!(refused.is_queue_name_exists());

    let listed = client.list_queues().queue_name_prefix("det");
    let listed = listed.send().await.unwrap();
    assert_eq!(listed.queue_urls(), std::slice::from_ref(&url));
    client
        .set_queue_attributes()
        .queue_url(&url)
        .attributes(QueueAttributeName::VisibilityTimeout, "120")
        .send()
        .await
        .unwrap();
    send(&client, &url, "x").await;
    let described = client.get_queue_attributes().queue_url(&url);
    let described = described.attribute_names(QueueAttributeName::All);
    let described = described.send().await.unwrap();
    let attribute = |name| described.attributes().unwrap()[&name].clone();
    assert_eq!(attribute(QueueAttributeName::VisibilityTimeout), "120");
    assert_eq!(
        attribute(QueueAttributeName::ApproximateNumberOfMessages),
        "1"
    );
    assert_eq!(
        attribute(QueueAttributeName::QueueArn),
        Sqs::queue_arn("details")
    );
    let purge = client.purge_queue().queue_url(&url);
    purge.send().await.unwrap();
    assert!(receive(&client, &url, 0).await.is_empty());
    let delete = client.delete_queue().queue_url(&url);
    delete.send().await.unwrap();
    let gone = client.get_queue_url().queue_name("details").send().await;
    let gone = gone.unwrap_err().into_service_error();
    assert!(gone.is_queue_does_not_exist());
    let gone = client.send_message().queue_url(&url).message_body("x");
    let gone = gone.send().await.unwrap_err().into_service_error();
    assert!(gone.is_queue_does_not_exist());
}

#[tokio::test]
async fn receives_that_ask_for_too_much_are_refused() {
    let (_sqs, client) = running(Outside::system()).await;
    let url = create(&client, "details", &[]).await;
    for (count, wait_s, visibility_s, taken) in [
        (1, 0, 0, true),
        (10, 0, 43_200, true),
        (0, 0, 0, false),
        (11, 0, 0, false),
        (1, 21, 0, false),
        (1, -1, 0, false),
        (1, 0, 43_201, false),
    ] {
        let receive = client.receive_message().queue_url(&url);
        let received = receive
            .max_number_of_messages(count)
            .wait_time_seconds(wait_s)
            .visibility_timeout(visibility_s)
            .send()
            .await;
        let code = received.err().map(|error| error.code().map(str::to_owned));
        let expected = (!taken).then(|| Some("InvalidParameterValue".to_owned()));
        assert_eq!(code, expected, "{count} {wait_s} {visibility_s}");
    }
}

#[tokio::test]
async fn stopping_ends_the_waits_and_frees_the_port() {
    let (sqs, client) = running(Outside::system()).await;
    let port = sqs.addr().port();
    let taken = Sqs::start(Some(port), Outside::system()).unwrap_err();
    assert!(matches!(taken, EmbeddedError::PortInUse { .. }));
    let url = create(&client, "details", &[]).await;
    let clock = Clock::system();
    let waiting = tokio::spawn({
        let (client, url) = (client.clone(), url.clone());
        async move { receive(&client, &url, 20).await }
    });
    clock.sleep(Duration::from_millis(100)).await;
    let stopped = clock.timeout(Duration::from_secs(4), sqs.stop()).await;
    assert!(stopped.is_ok());
    assert!(waiting.await.unwrap().is_empty());
    Sqs::start(Some(port), Outside::system()).unwrap();
}

#[tokio::test]
async fn many_senders_and_receivers_lose_nothing() {
    let (sqs, client) = running(Outside::system()).await;
    let url = create(&client, "details", &[]).await;
    let senders = (0..4).map(|sender| {
        let (client, url) = (client.clone(), url.clone());
        tokio::spawn(async move {
            for round in 0..50 {
                let entries = (0..10).map(|id| entry(id, &format!("{sender}-{round}-{id}")));
                let batch = client.send_message_batch().queue_url(&url);
                let sent = batch.set_entries(Some(entries.collect())).send().await;
                assert_eq!(sent.unwrap().successful().len(), 10);
            }
        })
    });
    let senders: Vec<_> = senders.collect();
    let receivers = (0..4).map(|_| {
        let (client, url) = (client.clone(), url.clone());
        tokio::spawn(async move {
            let mut seen = Vec::new();
            loop {
                let got = receive(&client, &url, 1).await;
                if got.is_empty() {
                    return seen;
                }
                let entries = got.iter().enumerate().map(|(id, message)| {
                    DeleteMessageBatchRequestEntry::builder()
                        .id(id.to_string())
                        .receipt_handle(message.receipt_handle().unwrap())
                        .build()
                        .unwrap()
                });
                let delete = client.delete_message_batch().queue_url(&url);
                let entries = Some(entries.collect());
                delete.set_entries(entries).send().await.unwrap();
                seen.extend(got.into_iter().filter_map(|message| message.body));
            }
        })
    });
    let receivers: Vec<_> = receivers.collect();
    for sender in senders {
        sender.await.unwrap();
    }
    let mut seen = Vec::new();
    for receiver in receivers {
        seen.extend(receiver.await.unwrap());
    }
    let distinct: std::collections::BTreeSet<_> = seen.iter().collect();
    assert_eq!((seen.len(), distinct.len()), (2_000, 2_000));
    assert_eq!(sqs.counts("details"), Some(QueueCounts::default()));
}
