//! The sample events: they are what the deployment's functions get.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::template::{Template, root, target, text};

/// The sample events are of the stage `local`.
fn named(template: &Template, name: &Value) -> String {
    let name = template.text(name).replacen("weir-dev-", "weir-local-", 1);
    let name = name.replace("AWS::AccountId", "000000000000");
    name.replace("AWS::Region", "us-east-1")
}

fn samples() -> BTreeMap<String, Value> {
    let read = |entry: std::io::Result<std::fs::DirEntry>| {
        let path = entry.unwrap().path();
        let name = path.file_stem()?.to_str()?.strip_prefix("example-")?;
        let event = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        Some((name.to_owned(), event))
    };
    let files = std::fs::read_dir(root().join("events")).unwrap();
    files.filter_map(read).collect()
}

/// Each queue by its ARN, with the function that it triggers and the ARN of its dead letters.
fn queues(template: &Template) -> BTreeMap<String, (String, Option<String>)> {
    let arn = |id: &str| {
        let name = named(template, &template.get(id).properties["QueueName"]);
        format!("arn:aws:sqs:us-east-1:000000000000:{name}")
    };
    let mut queues = BTreeMap::new();
    for function in template.of("AWS::Serverless::Function") {
        let events = function.properties["Events"].as_object();
        for event in events.into_iter().flatten().map(|(_, event)| event) {
            if event["Type"] == "SQS" {
                let id = target(&event["Properties"]["Queue"]);
                let redrive = &template.get(id).properties["RedrivePolicy"];
                let dead = redrive.get("deadLetterTargetArn").map(target);
                queues.insert(arn(id), (function.id.to_owned(), dead.map(arn)));
            }
        }
    }
    queues
}

#[test]
fn every_queue_that_triggers_a_function_has_a_sample_event_and_every_sample_a_queue() {
    let template = Template::read();
    let queues = queues(&template);
    let mut shown = BTreeSet::new();
    for (name, event) in samples() {
        for record in event["Records"].as_array().into_iter().flatten() {
            if record["eventSource"] != "aws:sqs" {
                continue;
            }
            let arn = text(&record["eventSourceARN"]).to_owned();
            let (function, _) = queues.get(&arn).unwrap_or_else(|| panic!("{name}: {arn}"));
            // Only what its queue set aside says where it came from.
            let source = record["attributes"]["DeadLetterQueueSourceArn"].as_str();
            assert_eq!(source.is_some(), function == "DeadLetter", "{name}");
            if let Some(source) = source {
                assert_eq!(queues[source].1.as_deref(), Some(arn.as_str()), "{name}");
            }
            shown.insert(arn);
        }
    }
    assert_eq!(shown, queues.into_keys().collect());
}

#[test]
fn the_sample_objects_are_in_the_bucket_that_is_made() {
    let template = Template::read();
    let bucket = named(&template, &template.get("Files").properties["BucketName"]);
    let is_put = |event: &Value| event["Records"][0]["eventSource"] == "aws:s3";
    let mut puts = 0;
    for (name, event) in samples() {
        if event["Event"] == "s3:TestEvent" {
            assert_eq!(event["Bucket"], bucket.as_str(), "{name}");
        }
        let body = event["Records"][0]["body"].as_str();
        let inner = body.map(|body| serde_json::from_str(body).unwrap());
        for put in [Some(event), inner].into_iter().flatten().filter(is_put) {
            let is = &put["Records"][0]["s3"]["bucket"];
            assert_eq!(is["name"], bucket.as_str(), "{name}");
            assert_eq!(is["arn"], format!("arn:aws:s3:::{bucket}"), "{name}");
            puts += 1;
        }
    }
    assert_eq!(puts, 3);
}

#[test]
fn the_sample_requests_come_by_routes_with_what_their_paths_hold() {
    let template = Template::read();
    let routes = template.of("AWS::ApiGatewayV2::Route");
    let routes: BTreeSet<_> = (routes.iter())
        .map(|route| text(&route.properties["RouteKey"]))
        .collect();
    let mut requests = 0;
    for (name, event) in samples() {
        let Some(key) = event["routeKey"].as_str() else {
            continue;
        };
        assert!(routes.contains(key) && key != "$default", "{name}: {key}");
        assert_eq!(event["requestContext"]["routeKey"], key, "{name}");
        let (method, path) = key.split_once(' ').unwrap();
        let http = &event["requestContext"]["http"];
        assert_eq!(http["method"], method, "{name}");
        assert_eq!(http["path"], event["rawPath"], "{name}");
        let (of_route, of_request) = (path.split('/'), text(&event["rawPath"]).split('/'));
        assert_eq!(of_route.clone().count(), of_request.clone().count());
        let mut held = serde_json::Map::new();
        for (known, is) in of_route.zip(of_request) {
            match known.strip_prefix('{') {
                None => assert_eq!(known, is, "{name}"),
                Some(known) => drop(held.insert(known.replace('}', ""), json!(is))),
            }
        }
        let held = if held.is_empty() {
            Value::Null
        } else {
            Value::Object(held)
        };
        assert_eq!(event["pathParameters"], held, "{name}");
        requests += 1;
    }
    assert_eq!(requests, 3);
}

#[test]
fn the_sample_schedule_is_the_one_that_is_made() {
    let template = Template::read();
    let schedule = &template.get("Sweeper").properties["Events"]["Schedule"]["Properties"];
    let name = named(&template, &schedule["Name"]);
    let arn = format!("arn:aws:scheduler:us-east-1:000000000000:schedule/default/{name}");
    assert_eq!(samples()["schedule"]["resources"], json!([arn]));
}
