//! What each function is seen to ask of AWS, held to what its role allows.
//!
//! The functions are built as they are deployed, from settings and nothing else, and do their work on
//! the embedded services. Between them and each function lies a wire that is listened to
//! ([`wire`]): every request is an action on a resource, as IAM names them. Each must be allowed, so
//! that AWS refuses nothing that the play needs; and what is allowed must have been asked for, or be
//! said below with its reason, so that a right that nobody needs any more is noticed.

mod calls;
mod play;
mod stage;
mod wire;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::template::{Resource, Template, list, text};
use calls::Call;
use stage::Stage;

/// What Lambda asks for on behalf of a function whose events come from a queue.
const OF_THE_QUEUES: [&str; 3] = [
    "sqs:DeleteMessage",
    "sqs:GetQueueAttributes",
    "sqs:ReceiveMessage",
];
/// S3 says 404 of an object that is gone only to those who may list the bucket, and 403 to others.
const TO_BE_TOLD_404: &str = "no request needs it, an answer does";
/// A statement names a table and its indexes, and every action on either.
const BESIDE_AN_INDEX: &str = "only the indexes of the table are asked, in the same statement";
/// One statement is for every table that is read.
const OF_ALL_READ: &str = "the tables that are read share a statement";
/// Somebody has to come in between, or be too slow.
const OUT_OF_TURN: &str = "happens where another call, or the end of the time, comes in between";

/// What is allowed and is not asked for in the play, each with the reason.
const UNSEEN: &[(&str, &str, &str)] = &[
    ("action-api", "dynamodb:BatchGetItem reference", OUT_OF_TURN),
    ("action-api", "dynamodb:DeleteItem answers", OUT_OF_TURN),
    ("action-api", "dynamodb:GetItem answers", OUT_OF_TURN),
    ("action-api", "dynamodb:Query batches", BESIDE_AN_INDEX),
    ("action-api", "dynamodb:Query reference", BESIDE_AN_INDEX),
    ("action-api", "s3:ListBucket bucket", TO_BE_TOLD_404),
    (
        "detail-processor",
        "dynamodb:BatchWriteItem details",
        OUT_OF_TURN,
    ),
    ("detail-processor", "dynamodb:PutItem lookups", OUT_OF_TURN),
    ("query-api", "dynamodb:BatchGetItem lookups", OF_ALL_READ),
    ("query-api", "dynamodb:GetItem batches", OF_ALL_READ),
    ("query-api", "dynamodb:GetItem details", OF_ALL_READ),
    ("query-api", "dynamodb:GetItem files", OF_ALL_READ),
    ("query-api", "dynamodb:GetItem lookups", OF_ALL_READ),
    ("query-api", "dynamodb:GetItem messages", OF_ALL_READ),
    ("query-api", "dynamodb:Query batches", BESIDE_AN_INDEX),
    ("query-api", "dynamodb:Query files", BESIDE_AN_INDEX),
    ("query-api", "dynamodb:Query messages", BESIDE_AN_INDEX),
    ("query-api", "dynamodb:Query reference", BESIDE_AN_INDEX),
    ("query-api", "s3:ListBucket bucket", TO_BE_TOLD_404),
    (
        "reference-sync",
        "dynamodb:ConditionCheckItem reference",
        OUT_OF_TURN,
    ),
    (
        "reference-sync",
        "dynamodb:UpdateItem reference",
        OUT_OF_TURN,
    ),
    ("settlement-upload", "dynamodb:GetItem lookups", OUT_OF_TURN),
    (
        "settlement-upload",
        "dynamodb:ConditionCheckItem batches",
        OUT_OF_TURN,
    ),
    (
        "settlement-upload",
        "dynamodb:UpdateItem batches",
        OUT_OF_TURN,
    ),
    ("settlement-upload", "s3:ListBucket bucket", TO_BE_TOLD_404),
    ("settlement-upload", "sqs:SendMessage uploads", OUT_OF_TURN),
    ("sweeper", "dynamodb:Query batches", BESIDE_AN_INDEX),
    ("sweeper", "dynamodb:Query files", BESIDE_AN_INDEX),
];

/// A role's statements as pairs of an action and a resource, in the words of [`Call`].
fn allowed(template: &Template, function: &Resource<'_>) -> BTreeSet<Call> {
    let role = text(&function.properties["Role"]["Fn::GetAtt"][0]);
    let policies = &template.get(role).properties["Policies"];
    let statements = (list(policies).into_iter())
        .flat_map(|policy| list(&policy["PolicyDocument"]["Statement"]));
    let mut allowed = BTreeSet::new();
    for statement in statements {
        for action in list(&statement["Action"]) {
            for resource in list(&statement["Resource"]) {
                let (action, resource) = (text(action), resource_name(template, resource));
                // An index knows no other action; those of its table are said beside it.
                if action == "dynamodb:Query" || !resource.contains("/index/") {
                    let action = action.to_owned();
                    allowed.insert(Call { action, resource });
                }
            }
        }
    }
    allowed
}

/// How a resource of the template is called here: `files`, `files/index/open`, `uploads`, `bucket/*`.
fn resource_name(template: &Template, resource: &Value) -> String {
    let name = template.text(resource);
    if let Some((_, rest)) = name.split_once(":s3:::") {
        let within = rest.split_once('/').map(|(_, within)| within);
        return within.map_or("bucket".to_owned(), |within| format!("bucket/{within}"));
    }
    let (id, rest) = name.split_once(".Arn").unwrap_or_else(|| panic!("{name}"));
    let made = template.get(id);
    let named = match made.kind {
        "AWS::DynamoDB::Table" => template.text(&made.properties["TableName"]),
        "AWS::SQS::Queue" => template.text(&made.properties["QueueName"]),
        "AWS::Logs::LogGroup" => return "logs".to_owned(),
        other => panic!("{id} is a {other}"),
    };
    let named = named.strip_prefix("weir-dev-").unwrap();
    format!("{named}{rest}")
}

fn covers(right: &Call, call: &Call) -> bool {
    right.action == call.action
        && match right.resource.strip_suffix('*') {
            Some(start) => call.resource.starts_with(start),
            None => call.resource == right.resource,
        }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_function_asks_for_what_its_role_allows_and_for_all_of_it() {
    let template = Template::read();
    let seen: BTreeMap<&str, BTreeSet<Call>> = Box::pin(Stage::set().await.play()).await;
    let (mut refused, mut unasked) = (Vec::new(), Vec::new());
    for function in template.of("AWS::Serverless::Function") {
        let name = template.text(&function.properties["FunctionName"]);
        let name = name.strip_prefix("weir-dev-").unwrap();
        let (rights, calls) = (allowed(&template, &function), &seen[name]);
        assert!(!calls.is_empty(), "{name} was not seen at work");
        let is_refused = |call: &&Call| !rights.iter().any(|right| covers(right, call));
        refused.extend(
            calls
                .iter()
                .filter(is_refused)
                .map(|call| format!("{name}: {call}")),
        );
        for right in &rights {
            let is_lambdas = right.action.starts_with("logs:")
                || (OF_THE_QUEUES.contains(&right.action.as_str()) && name != "sweeper");
            let is_asked = calls.iter().any(|call| covers(right, call));
            let is_said = UNSEEN
                .iter()
                .any(|(function, unseen, _)| *function == name && *unseen == right.to_string());
            if !is_lambdas && is_asked == is_said {
                unasked.push(format!("{name}: {right}"));
            }
        }
    }
    assert!(
        refused.is_empty(),
        "AWS would refuse:\n{}",
        refused.join("\n")
    );
    assert!(
        unasked.is_empty(),
        "allowed and never asked for, or said to be and asked for:\n{}",
        unasked.join("\n")
    );
}
