//! What a deployment needs beside the template: rights, and leave to go round in circles.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::template::{Resource, Template, list, root, target, text};

/// Statements of the policy that name what is not ours alone, each with the reason.
const UNNAMED: &[(&str, &str)] = &[
    (
        "AccessLog",
        "AWS knows these for all logs of an account alone",
    ),
    ("Api", "the ids of APIs are made up by AWS"),
    ("ApiOwnRole", "it is AWS's own"),
    ("EventSources", "their ids are made up by AWS"),
    ("Mail", "a domain is called as it is called"),
    ("Subscriptions", "the topic of reference data is upstream's"),
];
/// The service that a kind of resource belongs to, as IAM names it, where the two differ.
const SERVICES: &[(&str, &str)] = &[("ApiGatewayV2", "apigateway"), ("Serverless", "lambda")];

fn policy() -> Vec<Value> {
    let policy = std::fs::read(root().join("infra/deploy-policy.json")).unwrap();
    let policy: Value = serde_json::from_slice(&policy).unwrap();
    policy["Statement"].as_array().unwrap().clone()
}

/// The queues that a function's role lets it send to.
fn sent_to<'a>(template: &'a Template, function: &Resource<'_>) -> BTreeSet<&'a str> {
    let role = target(&function.properties["Role"]).to_owned();
    let mut queues = BTreeSet::new();
    for policy in list(&template.get(&role).properties["Policies"]) {
        for statement in list(&policy["PolicyDocument"]["Statement"]) {
            if list(&statement["Action"]).contains(&&Value::from("sqs:SendMessage")) {
                queues.extend(list(&statement["Resource"]).into_iter().map(target));
            }
        }
    }
    queues
}

#[test]
fn a_function_that_sends_to_the_queue_that_calls_it_is_not_cut_off_as_a_loop() {
    let template = Template::read();
    let mut round = Vec::new();
    for function in template.of("AWS::Serverless::Function") {
        let events = function.properties["Events"].as_object();
        let called_by: BTreeSet<_> = (events.into_iter().flatten())
            .filter(|(_, event)| event["Type"] == "SQS")
            .map(|(_, event)| target(&event["Properties"]["Queue"]).to_owned())
            .collect();
        let goes_round =
            (sent_to(&template, &function).iter()).any(|queue| called_by.contains(*queue));
        let allowed = function.properties["RecursiveLoop"] == "Allow";
        assert_eq!(goes_round, allowed, "{}", function.id);
        round.extend(goes_round.then_some(function.id));
    }
    assert_eq!(round, ["DetailProcessor", "SettlementUpload"]);
}

#[test]
fn whoever_deploys_by_the_policy_may_make_everything_in_the_template() {
    let policy = policy();
    let actions = policy
        .iter()
        .flat_map(|statement| list(&statement["Action"]));
    let services: BTreeSet<_> = actions
        .map(|action| text(action).split(':').next().unwrap())
        .collect();
    let template = Template::read();
    for resource in template.resources() {
        let kind = resource.kind.split("::").nth(1).unwrap();
        let named = SERVICES.iter().find(|(known, _)| *known == kind);
        let service =
            named.map_or_else(|| kind.to_lowercase(), |(_, service)| (*service).to_owned());
        assert!(services.contains(&*service), "{}: {service}", resource.kind);
    }
}

#[test]
fn whoever_deploys_by_the_policy_touches_nothing_but_what_is_weir_s() {
    for statement in policy() {
        let sid = text(&statement["Sid"]);
        assert_eq!(statement["Effect"], "Allow", "{sid}");
        let is_ours = |resource: &&Value| {
            let resource = text(resource);
            // The bucket that SAM puts packages into, its stack, and what makes SAM's templates AWS's.
            let is_sam_s = resource.contains("aws-sam-cli-managed-default")
                || resource.ends_with(":transform/Serverless-2016-10-31");
            is_sam_s
                || [":weir-", "/weir-"]
                    .iter()
                    .any(|ours| resource.contains(ours))
        };
        let is_unnamed = !list(&statement["Resource"]).iter().all(is_ours);
        let is_said = UNNAMED.iter().any(|(unnamed, _)| *unnamed == sid);
        assert_eq!(is_unnamed, is_said, "{sid}");
        for action in list(&statement["Action"]) {
            let (service, action) = text(action).split_once(':').unwrap();
            assert!(
                action != "*" || ["s3", "lambda"].contains(&service),
                "{sid}"
            );
            let is_of_data = action.contains("Item") || action.contains("SecretValue");
            assert!(!is_of_data, "{sid}: {action}");
        }
    }
}

/// AWS takes no managed policy of more than 6 144 characters, spaces aside.
#[test]
fn the_policy_is_short_enough_for_aws() {
    let policy = std::fs::read_to_string(root().join("infra/deploy-policy.json")).unwrap();
    let characters = policy.chars().filter(|letter| !letter.is_whitespace());
    assert!(characters.count() <= 6_144);
}
