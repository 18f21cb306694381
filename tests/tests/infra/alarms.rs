//! Alarms and the dashboard: what they watch is there to be watched.

use std::collections::BTreeSet;

use serde_json::Value;
use weir_runtime::Metric;

use crate::functions::names;
use crate::template::{Template, target, text};

fn is_known(metric: &str, function: &str) -> bool {
    Metric::ALL.iter().any(|known| known.name() == metric)
        && names().iter().any(|known| known == function)
}

/// Where the functions put their metrics: no other deployment does.
fn own_namespace(template: &Template) -> String {
    let told = &template.globals()["Environment"]["Variables"];
    let namespace = template.text(&told["WEIR_METRICS_NAMESPACE"]);
    assert_eq!(namespace, "weir-dev");
    namespace
}

#[test]
fn every_alarm_on_the_code_s_own_metrics_is_on_one_that_there_is() {
    let template = Template::read();
    let mut watched = BTreeSet::new();
    for alarm in template.of("AWS::CloudWatch::Alarm") {
        let properties = alarm.properties;
        let namespace = template.text(&properties["Namespace"]);
        if namespace.starts_with("AWS/") {
            continue;
        }
        assert_eq!(namespace, own_namespace(&template), "{}", alarm.id);
        let metric = text(&properties["MetricName"]);
        let dimension = &properties["Dimensions"][0];
        assert_eq!(dimension["Name"], "function", "{}", alarm.id);
        assert!(is_known(metric, text(&dimension["Value"])), "{}", alarm.id);
        watched.insert(metric.to_owned());
    }
    for metric in [
        Metric::CredentialsRefused,
        Metric::OutcomeUnknown,
        Metric::BreakerOpen,
        Metric::FilesError,
        Metric::DetailsError,
        Metric::RecordsFailed,
        Metric::Swept,
        Metric::MessagesFailed,
        Metric::DeadLetters,
        Metric::PlatformCallTime,
    ] {
        assert!(
            watched.contains(metric.name()),
            "no alarm on {}",
            metric.name()
        );
    }
}

#[test]
fn every_alarm_tells_somebody() {
    let template = Template::read();
    for alarm in template.of("AWS::CloudWatch::Alarm") {
        assert_eq!(
            target(&alarm.properties["AlarmActions"][0]),
            "AlarmTopic",
            "{}",
            alarm.id
        );
        assert!(!text(&alarm.properties["AlarmDescription"]).is_empty());
    }
}

#[test]
fn every_function_has_alarms_on_its_failures_and_throttles() {
    let template = Template::read();
    for function in template.of("AWS::Serverless::Function") {
        for metric in ["Errors", "Throttles"] {
            let watched = template.of("AWS::CloudWatch::Alarm").iter().any(|alarm| {
                alarm.properties["MetricName"] == metric
                    && alarm.properties["Dimensions"][0]["Value"]["Ref"] == function.id
            });
            assert!(watched, "{} of {}", metric, function.id);
        }
    }
}

#[test]
fn the_dashboard_shows_what_there_is() {
    let template = Template::read();
    let body = &template.get("Dashboard").properties["DashboardBody"]["Fn::Sub"];
    let body: Value = serde_json::from_str(text(body)).unwrap();
    let mut shown = 0;
    for widget in body["widgets"].as_array().unwrap() {
        for metric in widget["properties"]["metrics"].as_array().unwrap() {
            let namespace = text(&metric[0]).replace("${Stage}", "dev");
            if namespace == own_namespace(&template) {
                assert!(is_known(text(&metric[1]), text(&metric[3])), "{metric}");
                shown += 1;
            }
        }
    }
    assert!(shown > 10, "{shown}");
}
