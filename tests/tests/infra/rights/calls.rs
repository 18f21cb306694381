//! Requests as IAM sees them: an action on a resource each, of some requests several.
//!
//! From the "Actions, resources, and condition keys" of DynamoDB, S3, SQS and Secrets Manager: a transaction needs the
//! right to each of its parts, a statement in `PartiQL` that to its verb, a query of an index that to
//! the index, a `HEAD` that to read, an upload in parts that to put. And S3 says 404 of an object that is
//! gone only to those who may list the bucket, and 403 to others: who was told it has asked for that too.

use std::collections::BTreeSet;
use std::fmt;

use serde_json::Value;

use super::wire::Request;

/// An action on a resource.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Call {
    /// Such as `dynamodb:GetItem`.
    pub(super) action: String,
    /// The table or queue without prefix, an index within its table, `bucket` or a key within it.
    pub(super) resource: String,
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.action, self.resource)
    }
}

/// What requests to DynamoDB come to.
pub(super) fn dynamodb(requests: &[Request], prefix: &str) -> BTreeSet<Call> {
    let mut calls = BTreeSet::new();
    for request in requests {
        let (_, operation) = request.header("x-amz-target").split_once('.').unwrap();
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        let mut add = |action: &str, table: &str| {
            calls.insert(Call {
                action: format!("dynamodb:{action}"),
                resource: table.strip_prefix(prefix).unwrap().to_owned(),
            });
        };
        let table = |of: &Value| of["TableName"].as_str().unwrap().to_owned();
        match operation {
            "BatchGetItem" | "BatchWriteItem" => {
                for (table, _) in body["RequestItems"].as_object().unwrap() {
                    add(operation, table);
                }
            }
            "TransactWriteItems" | "TransactGetItems" => {
                for item in body["TransactItems"].as_array().unwrap() {
                    let (kind, item) = item.as_object().unwrap().iter().next().unwrap();
                    let action = match kind.as_str() {
                        "ConditionCheck" => "ConditionCheckItem".to_owned(),
                        kind => format!("{kind}Item"),
                    };
                    add(&action, &table(item));
                }
            }
            "BatchExecuteStatement" => {
                for statement in body["Statements"].as_array().unwrap() {
                    let statement = statement["Statement"].as_str().unwrap();
                    let verb = statement.split(' ').next().unwrap().to_lowercase();
                    let verb = format!("{}{}", verb[..1].to_uppercase(), &verb[1..]);
                    add(
                        &format!("PartiQL{verb}"),
                        statement.split('"').nth(1).unwrap(),
                    );
                }
            }
            "GetItem" | "PutItem" | "UpdateItem" | "DeleteItem" | "Query" | "Scan" => {
                match body["IndexName"].as_str() {
                    Some(index) => add(operation, &format!("{}/index/{index}", table(&body))),
                    None => add(operation, &table(&body)),
                }
            }
            other => panic!("what right {other} needs is not known here"),
        }
    }
    calls
}

/// What requests to SQS come to.
pub(super) fn sqs(requests: &[Request]) -> BTreeSet<Call> {
    let call = |request: &Request| {
        let (_, operation) = request.header("x-amz-target").split_once('.').unwrap();
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        let (_, queue) = body["QueueUrl"].as_str().unwrap().rsplit_once('/').unwrap();
        Call {
            action: format!(
                "sqs:{}",
                operation.strip_suffix("Batch").unwrap_or(operation)
            ),
            resource: queue.to_owned(),
        }
    };
    requests.iter().map(call).collect()
}

/// What requests to Secrets Manager come to.
pub(super) fn secrets(requests: &[Request]) -> BTreeSet<Call> {
    let call = |request: &Request| {
        let (_, operation) = request.header("x-amz-target").split_once('.').unwrap();
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        let secret = body["SecretId"].as_str().unwrap();
        Call {
            action: format!("secretsmanager:{operation}"),
            resource: secret.strip_prefix("weir-dev-").unwrap().to_owned(),
        }
    };
    requests.iter().map(call).collect()
}

/// What requests to S3, with the bucket in the path, come to.
pub(super) fn s3(requests: &[Request]) -> BTreeSet<Call> {
    let calls = |request: &Request| {
        let target = &request.target;
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let (_, key) = path[1..].split_once('/').unwrap_or((path, ""));
        let has = |name: &str| (query.split('&')).any(|pair| pair.split('=').next() == Some(name));
        let action = match request.method.as_str() {
            "GET" if key.is_empty() => "ListBucket",
            "GET" if has("uploadId") => "ListMultipartUploadParts",
            "GET" | "HEAD" => "GetObject",
            "PUT" | "POST" => "PutObject",
            "DELETE" if has("uploadId") => "AbortMultipartUpload",
            "DELETE" => "DeleteObject",
            other => panic!("what right {other} needs is not known here"),
        };
        let resource = if key.is_empty() {
            "bucket".to_owned()
        } else {
            format!("bucket/{key}")
        };
        let asked = Call {
            action: format!("s3:{action}"),
            resource,
        };
        let is_told = action == "GetObject" && request.status == Some(404);
        let listed = is_told.then(|| Call {
            action: "s3:ListBucket".to_owned(),
            resource: "bucket".to_owned(),
        });
        [asked].into_iter().chain(listed)
    };
    requests.iter().flat_map(calls).collect()
}
