//! What each function may do: no more than it does, named one by one.

use serde_json::Value;

use crate::template::{Template, list, text};

/// Statements that may say `*`, each with the reason.
const WIDE: &[(&str, &str)] = &[("RefuseWithoutTls", "it forbids, so nothing may be left out")];
/// Resources within one of ours whose name ends so, each with the reason.
const WITHIN: &[(&str, &str)] = &[
    (
        "/*",
        "objects of the one bucket; their names are not known beforehand",
    ),
    ("/messages/*", "bodies of messages; named by their messages"),
];

fn statements(template: &Template) -> Vec<(String, Value)> {
    let mut statements = Vec::new();
    for resource in template.resources() {
        let documents = match resource.kind {
            "AWS::IAM::Role" => {
                let policies = resource.properties["Policies"].as_array().unwrap();
                assert!(
                    resource.properties["ManagedPolicyArns"].is_null(),
                    "{}",
                    resource.id
                );
                policies
                    .iter()
                    .map(|policy| &policy["PolicyDocument"])
                    .collect()
            }
            "AWS::S3::BucketPolicy" | "AWS::SQS::QueuePolicy" => {
                vec![&resource.properties["PolicyDocument"]]
            }
            _ => Vec::new(),
        };
        for statement in documents
            .iter()
            .flat_map(|document| list(&document["Statement"]))
        {
            statements.push((resource.id.to_owned(), statement.clone()));
        }
    }
    statements
}

#[test]
fn nothing_is_allowed_wholesale_without_a_reason() {
    let template = Template::read();
    for (id, statement) in statements(&template) {
        let sid = text(&statement["Sid"]);
        if WIDE.iter().any(|(wide, _)| *wide == sid) {
            assert_eq!(statement["Effect"], "Deny", "{id} {sid}");
            continue;
        }
        for action in list(&statement["Action"]) {
            assert!(!text(action).contains('*'), "{id} {sid}: {action}");
        }
        assert!(statement["Principal"] != "*", "{id} {sid}");
        for resource in list(&statement["Resource"]) {
            let name = template.text(resource);
            let is_narrow = !name.contains('*')
                || WITHIN.iter().any(|(end, _)| {
                    (name.strip_suffix(end)).is_some_and(|rest| !rest.contains('*'))
                });
            assert!(is_narrow, "{id} {sid}: {name}");
        }
    }
}

#[test]
fn each_function_has_a_role_of_its_own() {
    let template = Template::read();
    for function in template.of("AWS::Serverless::Function") {
        let role = &function.properties["Role"]["Fn::GetAtt"][0];
        assert_eq!(*role, format!("{}Role", function.id));
        assert!(function.properties["Policies"].is_null(), "{}", function.id);
    }
}

#[test]
fn first_answers_are_seen_by_action_api_alone_and_query_api_changes_nothing() {
    let template = Template::read();
    for (id, statement) in statements(&template) {
        let resources = list(&statement["Resource"]);
        let of_answers =
            (resources.iter()).any(|resource| resource["Fn::GetAtt"][0] == "AnswersTable");
        assert!(!of_answers || id == "ActionApiRole", "{id}");
        if id == "QueryApiRole" {
            for action in list(&statement["Action"]) {
                let reads = [
                    "dynamodb:BatchGetItem",
                    "dynamodb:GetItem",
                    "dynamodb:Query",
                    "s3:GetObject",
                    "s3:ListBucket",
                ];
                let is_log = text(action).starts_with("logs:");
                assert!(is_log || reads.contains(&text(action)), "{action}");
            }
        }
    }
}
