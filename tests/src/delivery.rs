//! Queues that deliver twice, late and out of order.
//!
//! A standard queue promises delivery at least once and no order. Here each promise is used to its
//! limit: messages are handed to functions in batches put together at random, some at the same
//! moment twice, and what was dealt with is at times not deleted.

use std::sync::atomic::{AtomicUsize, Ordering};

use aws_sdk_sqs::types::Message;
use serde_json::{Value, json};
use weir_lambda::Deadline;

use crate::rig::{FUNCTION_TIME, Rig, delete, receive};

/// One in so many batches is handed over twice at the same moment.
const TWICE_IN: u64 = 8;
/// One in so many messages that were dealt with is not deleted.
const KEPT_IN: u64 = 12;
/// One in so many messages is received and then forgotten.
const FORGOTTEN_IN: u64 = 15;

/// Which function a queue is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Function {
    /// `settlement-upload`.
    Upload,
    /// `detail-processor`.
    Process,
}

/// The event of a queue with some messages.
pub fn sqs_event(messages: &[&Message]) -> Value {
    let record = |message: &&Message| {
        json!({
            "messageId": message.message_id(),
            "receiptHandle": message.receipt_handle(),
            "body": message.body(),
            "attributes": {"ApproximateReceiveCount": "1"},
            "messageAttributes": {},
            "eventSource": "aws:sqs",
            "eventSourceARN": "arn:aws:sqs:us-east-1:000000000000:queue",
            "awsRegion": "us-east-1",
        })
    };
    let records: Vec<_> = messages.iter().map(record).collect();
    json!({ "Records": records })
}

/// Receives once and hands over what came; `false` when nothing did. `busy` counts hand-overs
/// that are under way.
pub async fn deliver(rig: &Rig, function: Function, busy: &AtomicUsize) -> bool {
    let random = &rig.parts.random;
    let url = match function {
        Function::Upload => &rig.parts.names.uploads_queue,
        Function::Process => &rig.parts.names.details_queue,
    };
    let received = receive(&rig.parts.queues, url).await;
    if received.is_empty() {
        return false;
    }
    busy.fetch_add(1, Ordering::SeqCst);
    let mut wanted: Vec<&Message> = received
        .iter()
        .filter(|_| random.below(FORGOTTEN_IN) > 0)
        .collect();
    for index in (1..wanted.len()).rev() {
        let other = random.below(index as u64 + 1);
        wanted.swap(index, usize::try_from(other).unwrap());
    }
    let is_twice = random.below(TWICE_IN) == 0;
    let (first, second) = tokio::join!(hand_over(rig, function, &wanted), async {
        if is_twice {
            hand_over(rig, function, &wanted).await
        } else {
            Vec::new()
        }
    });
    for message in wanted {
        let id = message.message_id().unwrap().to_owned();
        let is_done = !first.contains(&id) && !second.contains(&id);
        if is_done && random.below(KEPT_IN) > 0 {
            delete(&rig.parts.queues, url, message).await;
        }
    }
    busy.fetch_sub(1, Ordering::SeqCst);
    true
}

/// Hands messages to a function and tells which ones it gives back.
async fn hand_over(rig: &Rig, function: Function, messages: &[&Message]) -> Vec<String> {
    if messages.is_empty() {
        return Vec::new();
    }
    let event = sqs_event(messages);
    let deadline = Deadline::after(FUNCTION_TIME, rig.parts.timeline.clock());
    let answer = match function {
        Function::Upload => weir_settlement_upload::handle(&rig.upload, event, deadline)
            .await
            .unwrap(),
        Function::Process => weir_detail_processor::handle(&rig.process, event, deadline)
            .await
            .unwrap(),
    };
    let failures = answer["batchItemFailures"].as_array().unwrap().iter();
    failures
        .map(|failure| failure["itemIdentifier"].as_str().unwrap().to_owned())
        .collect()
}
