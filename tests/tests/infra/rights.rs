//! What each function is seen to ask of AWS, held to what its role allows.
//!
//! The functions are built as they are deployed, from settings and nothing else, and do their work on
//! the embedded services. Between them and each function lies a wire that is listened to
//! ([`wire`]): every request is an action on a resource, as IAM names them. Each must be allowed, so
//! that AWS refuses nothing that the play needs; and all that is allowed must have been asked for, so that
//! a right that nobody needs any more is noticed. Only what Lambda asks for itself, for its queues and
//! logs, is left out: a right that is needed only when something comes in between has its scene in the
//! play, in which that comes in between.

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
                allowed.insert(Call {
                    action: action.to_owned(),
                    resource,
                });
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
    let (id, rest) = name.split_once(".Arn").unwrap_or((&name, ""));
    let made = template.get(id);
    let named = match made.kind {
        "AWS::DynamoDB::Table" => template.text(&made.properties["TableName"]),
        "AWS::SQS::Queue" => template.text(&made.properties["QueueName"]),
        // A reference to it is its ARN.
        "AWS::SecretsManager::Secret" => template.text(&made.properties["Name"]),
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
            if !is_lambdas && !calls.iter().any(|call| covers(right, call)) {
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
        "allowed and never asked for:\n{}",
        unasked.join("\n")
    );
}
