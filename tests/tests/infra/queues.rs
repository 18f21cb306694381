//! Queues, and the functions that they trigger.

use crate::template::{Template, target, text};

/// Each function with a queue that triggers it.
fn triggers(template: &Template) -> Vec<(String, String, serde_json::Value)> {
    let mut triggers = Vec::new();
    for function in template.of("AWS::Serverless::Function") {
        let events = function.properties["Events"].as_object();
        for event in events.into_iter().flatten().map(|(_, event)| event) {
            if event["Type"] == "SQS" {
                let queue = target(&event["Properties"]["Queue"]).to_owned();
                triggers.push((function.id.to_owned(), queue, event["Properties"].clone()));
            }
        }
    }
    triggers
}

#[test]
fn a_queue_hides_a_message_for_six_times_what_its_function_may_take() {
    let template = Template::read();
    for (function, queue, _) in triggers(&template) {
        let time = template.get(&function).properties["Timeout"]
            .as_i64()
            .unwrap();
        let hidden = template.get(&queue).properties["VisibilityTimeout"]
            .as_i64()
            .unwrap();
        assert!(hidden >= 6 * time, "{queue} and {function}");
    }
}

#[test]
fn every_queue_triggers_a_function_that_says_which_messages_failed() {
    let template = Template::read();
    let triggers = triggers(&template);
    for queue in template.of("AWS::SQS::Queue") {
        let mut of_queue = triggers.iter().filter(|(_, id, _)| id == queue.id);
        let (_, _, trigger) = of_queue
            .next()
            .unwrap_or_else(|| panic!("nobody reads {}", queue.id));
        assert!(of_queue.next().is_none(), "two read {}", queue.id);
        let answers = &trigger["FunctionResponseTypes"];
        assert_eq!(
            *answers,
            serde_json::json!(["ReportBatchItemFailures"]),
            "{}",
            queue.id
        );
        assert!(trigger["ScalingConfig"]["MaximumConcurrency"] != serde_json::Value::Null);
        let batch = trigger["BatchSize"].as_i64().unwrap();
        assert!((1..=10).contains(&batch), "{}", queue.id);
    }
}

#[test]
fn every_queue_has_dead_letters_after_five_receives_and_they_have_their_function() {
    let template = Template::read();
    let triggers = triggers(&template);
    let of = |queue: &str| {
        (triggers.iter())
            .find(|(_, id, _)| id == queue)
            .unwrap()
            .0
            .clone()
    };
    let mut named = Vec::new();
    for queue in template.of("AWS::SQS::Queue") {
        let redrive = &queue.properties["RedrivePolicy"];
        if redrive.is_null() {
            assert_eq!(of(queue.id), "DeadLetter", "{}", queue.id);
            continue;
        }
        assert_eq!(redrive["maxReceiveCount"], 5, "{}", queue.id);
        let dead = template.get(target(&redrive["deadLetterTargetArn"]));
        assert!(dead.properties["RedrivePolicy"].is_null(), "{}", dead.id);
        named.push(dead.id.to_owned());
    }
    named.sort();
    named.dedup();
    assert_eq!(named.len() * 2, template.of("AWS::SQS::Queue").len());
}

#[test]
fn the_queues_of_details_and_no_others_are_named_so() {
    let template = Template::read();
    for queue in template.of("AWS::SQS::Queue") {
        let name = template.text(&queue.properties["QueueName"]);
        assert_eq!(
            name.contains("details"),
            queue.id.starts_with("Details"),
            "{name}"
        );
    }
}

#[test]
fn a_message_of_reference_data_fails_before_it_is_a_dead_letter() {
    let template = Template::read();
    let variables = &template.get("ReferenceSync").properties["Environment"]["Variables"];
    let receives: i64 = template
        .text(&variables["WEIR_MESSAGES_RECEIVES_MAX"])
        .parse()
        .unwrap();
    let redrive = &template.get("MessagesQueue").properties["RedrivePolicy"];
    assert!(receives < redrive["maxReceiveCount"].as_i64().unwrap());
}

/// A queue's metrics that have an alarm.
fn watched(template: &Template, queue: &str) -> Vec<String> {
    let on_queue = |dimensions: &serde_json::Value| {
        *dimensions
            == serde_json::json!([
                {"Name": "QueueName", "Value": {"Fn::GetAtt": [queue, "QueueName"]}},
            ])
    };
    let alarms = template.of("AWS::CloudWatch::Alarm");
    let mut metrics: Vec<_> = (alarms.iter())
        .filter(|alarm| on_queue(&alarm.properties["Dimensions"]))
        .inspect(|alarm| assert_eq!(alarm.properties["Namespace"], "AWS/SQS", "{}", alarm.id))
        .map(|alarm| text(&alarm.properties["MetricName"]).to_owned())
        .collect();
    metrics.sort();
    metrics
}

#[test]
fn a_queue_that_is_far_behind_has_an_alarm() {
    let template = Template::read();
    for queue in template.of("AWS::SQS::Queue") {
        if !queue.properties["RedrivePolicy"].is_null() {
            let expected = ["ApproximateAgeOfOldestMessage"];
            assert_eq!(watched(&template, queue.id), expected, "{}", queue.id);
        }
    }
}

/// The age of the oldest message tells of none that was received three times, which each is soon that
/// its function hands back: such a message is hidden but for moments.
#[test]
fn a_dead_letter_that_stays_sets_off_an_alarm_whether_it_is_received_or_not() {
    let template = Template::read();
    for queue in template.of("AWS::SQS::Queue") {
        if queue.properties["RedrivePolicy"].is_null() {
            let expected = [
                "ApproximateNumberOfMessagesNotVisible",
                "ApproximateNumberOfMessagesVisible",
            ];
            assert_eq!(watched(&template, queue.id), expected, "{}", queue.id);
        }
    }
}
