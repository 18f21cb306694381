//! Alarms and the dashboard: what they watch is there to be watched, and sounds when it should.

use std::collections::BTreeSet;

use serde_json::Value;
use weir_runtime::Metric;
use weir_store::TABLES;

use crate::functions::names;
use crate::template::{Resource, Template, list, root, target, text};

fn is_known(metric: &str, function: &str) -> bool {
    (Metric::ALL.iter())
        .any(|known| known.name() == metric && known.functions().contains(&function))
}

/// Where the functions put their metrics: no other deployment does.
fn own_namespace(template: &Template) -> String {
    let told = &template.globals()["Environment"]["Variables"];
    let namespace = template.text(&told["WEIR_METRICS_NAMESPACE"]);
    assert_eq!(namespace, "weir-dev");
    namespace
}

/// The alarms on the code's own metrics: metric, function, alarm.
fn own_alarms(template: &Template) -> Vec<(String, String, Resource<'_>)> {
    let mut own = Vec::new();
    for alarm in template.of("AWS::CloudWatch::Alarm") {
        let properties = alarm.properties;
        let namespace = template.text(&properties["Namespace"]);
        if namespace.starts_with("AWS/") {
            continue;
        }
        assert_eq!(namespace, own_namespace(template), "{}", alarm.id);
        let dimension = &properties["Dimensions"][0];
        assert_eq!(dimension["Name"], "function", "{}", alarm.id);
        let function = text(&dimension["Value"]).to_owned();
        own.push((text(&properties["MetricName"]).to_owned(), function, alarm));
    }
    own
}

#[test]
fn a_metric_with_an_alarm_has_one_for_every_function_that_records_it_and_for_no_other() {
    let template = Template::read();
    let own = own_alarms(&template);
    let mut alarmed: Vec<_> = own
        .iter()
        .map(|(metric, function, _)| (metric.as_str(), function.as_str()))
        .collect();
    let metrics: BTreeSet<_> = alarmed.iter().map(|(metric, _)| *metric).collect();
    let mut expected: Vec<_> = (Metric::ALL.iter())
        .filter(|metric| metrics.contains(metric.name()))
        .flat_map(|metric| metric.functions().iter().map(|name| (metric.name(), *name)))
        .collect();
    alarmed.sort_unstable();
    expected.sort_unstable();
    assert_eq!(alarmed, expected);
}

#[test]
fn what_a_person_must_look_at_has_an_alarm() {
    let template = Template::read();
    let own = own_alarms(&template);
    for metric in [
        Metric::BatchesRefused,
        Metric::BreakerOpen,
        Metric::CredentialsMissing,
        Metric::CredentialsRefused,
        Metric::CredentialsUnread,
        Metric::DeadLetters,
        Metric::DetailsError,
        Metric::DetailsUnreadable,
        Metric::FilesError,
        Metric::MessagesFailed,
        Metric::OutcomeUnknown,
        Metric::PlatformCallTime,
        Metric::RecordsFailed,
        Metric::Swept,
    ] {
        let is_watched = own.iter().any(|(name, _, _)| name == metric.name());
        assert!(is_watched, "no alarm on {}", metric.name());
    }
}

#[test]
fn the_functions_that_are_said_to_record_metrics_are_those_there_are() {
    let every = Metric::InvocationTime.functions().iter().copied();
    let every: BTreeSet<_> = every.map(str::to_owned).collect();
    assert_eq!(every, names().into_iter().collect());
}

/// Metrics and when their alarms sound: of what statistic, in how many periods of how many seconds.
const RULES: &[(&str, &str)] = &[
    ("5xx", "Sum >= 5, 1 of 300 s"),
    (
        "ApproximateAgeOfOldestMessage",
        "Maximum >= 3600, 2 of 300 s",
    ),
    (
        "ApproximateNumberOfMessagesNotVisible",
        "Maximum >= 1, 4 of 300 s",
    ),
    (
        "ApproximateNumberOfMessagesVisible",
        "Maximum >= 1, 3 of 300 s",
    ),
    ("Errors", "Sum >= 1, 2 of 300 s"),
    ("Invocations", "Sum < 1, 3 of 300 s, also without a figure"),
    ("Latency", "p99 > LatencyMaxMs, 3 of 300 s"),
    ("ReadThrottleEvents", "Sum >= 1, 3 of 300 s"),
    ("Throttles", "Sum >= 1, 3 of 300 s"),
    ("WriteThrottleEvents", "Sum >= 1, 3 of 300 s"),
    ("batches_refused", "Sum >= 1, 1 of 300 s"),
    ("breaker_open", "Sum >= 1, 3 of 300 s"),
    ("credentials_missing", "Sum >= 1, 1 of 60 s"),
    ("credentials_refused", "Sum >= 1, 1 of 60 s"),
    ("credentials_unread", "Sum >= 1, 1 of 60 s"),
    ("dead_letters", "Sum >= 1, 1 of 60 s"),
    ("details_error", "Sum >= DetailsErrorMax, 1 of 3600 s"),
    ("details_unreadable", "Sum >= 1, 1 of 60 s"),
    // It tells at every sweep: once an hour would be once, and each few minutes would be a stream.
    ("details_unreadable", "Sum >= 1, 1 of 900 s"),
    ("files_error", "Sum >= FilesErrorMax, 1 of 3600 s"),
    ("messages_failed", "Sum >= 1, 1 of 60 s"),
    ("outcome_unknown", "Sum >= 1, 1 of 60 s"),
    ("platform_call_time", "p99 >= 15000, 3 of 300 s"),
    ("records_failed", "Sum >= 1, 6 of 300 s"),
    ("swept", "Sum >= 1, 4 of 900 s"),
];

fn rule(alarm: &Resource<'_>) -> String {
    let is = alarm.properties;
    // All of the periods, and no other way to reckon.
    for other in [
        "DatapointsToAlarm",
        "Metrics",
        "EvaluateLowSampleCountPercentile",
    ] {
        assert!(is[other].is_null(), "{}: {other}", alarm.id);
    }
    let statistic = is["Statistic"]
        .as_str()
        .or(is["ExtendedStatistic"].as_str());
    let than = match text(&is["ComparisonOperator"]) {
        "GreaterThanOrEqualToThreshold" => ">=",
        "GreaterThanThreshold" => ">",
        "LessThanThreshold" => "<",
        other => panic!("{}: {other}", alarm.id),
    };
    let threshold = match &is["Threshold"] {
        Value::Number(number) => number.to_string(),
        parameter => text(&parameter["Ref"]).to_owned(),
    };
    let missing = match text(&is["TreatMissingData"]) {
        "notBreaching" => "",
        "breaching" => ", also without a figure",
        other => panic!("{}: {other}", alarm.id),
    };
    let (periods, seconds) = (&is["EvaluationPeriods"], &is["Period"]);
    let statistic = statistic.unwrap();
    format!("{statistic} {than} {threshold}, {periods} of {seconds} s{missing}")
}

#[test]
fn an_alarm_sounds_when_it_is_meant_to() {
    let template = Template::read();
    let alarms = template.of("AWS::CloudWatch::Alarm");
    let rules: BTreeSet<_> = alarms
        .iter()
        .map(|alarm| {
            (
                text(&alarm.properties["MetricName"]).to_owned(),
                rule(alarm),
            )
        })
        .collect();
    let owned = |(metric, rule): &(&str, &str)| ((*metric).to_owned(), (*rule).to_owned());
    assert_eq!(rules, RULES.iter().map(owned).collect());
}

#[test]
fn no_two_alarms_have_one_name_or_watch_the_same() {
    let template = Template::read();
    let mut names = BTreeSet::new();
    let mut watched = BTreeSet::new();
    for alarm in template.of("AWS::CloudWatch::Alarm") {
        let name = template.text(&alarm.properties["AlarmName"]);
        assert!(name.starts_with("weir-dev-"), "{name}");
        assert!(names.insert(name), "{}", alarm.id);
        let what = ["Namespace", "MetricName", "Dimensions"].map(|of| &alarm.properties[of]);
        assert!(watched.insert(format!("{what:?}")), "{}", alarm.id);
    }
}

#[test]
fn a_sweeper_that_is_not_called_for_three_times_its_longest_rate_sets_off_an_alarm() {
    let template = Template::read();
    let rate = template.parameter("SweepRate");
    let minutes_max = 5;
    assert_eq!(rate["AllowedPattern"], r"^rate\([1-5] minutes?\)$");
    let alarm = template.get("SweeperSilentAlarm").properties;
    assert_eq!(alarm["Dimensions"][0]["Value"]["Ref"], "Sweeper");
    let number = |name: &str| alarm[name].as_i64().unwrap();
    let waits = number("EvaluationPeriods") * number("Period");
    assert_eq!(waits, 3 * minutes_max * 60);
}

#[test]
fn every_table_has_alarms_on_its_throttles_and_every_index_on_its_writes() {
    let template = Template::read();
    let mut watched: Vec<(String, String, Option<String>)> = Vec::new();
    for alarm in template.of("AWS::CloudWatch::Alarm") {
        let is = alarm.properties;
        if is["Namespace"] == "AWS/DynamoDB" {
            let dimensions = list(&is["Dimensions"]);
            assert_eq!(dimensions[0]["Name"], "TableName", "{}", alarm.id);
            let table = template.get(target(&dimensions[0]["Value"]));
            let index = dimensions.get(1).map(|dimension| {
                assert_eq!(
                    dimension["Name"], "GlobalSecondaryIndexName",
                    "{}",
                    alarm.id
                );
                text(&dimension["Value"]).to_owned()
            });
            let table = template.text(&table.properties["TableName"]);
            watched.push((text(&is["MetricName"]).to_owned(), table, index));
        }
    }
    let mut expected = Vec::new();
    for table in TABLES {
        let name = format!("weir-dev-{}", table.name);
        expected.push(("ReadThrottleEvents".to_owned(), name.clone(), None));
        let indexes = table
            .indexes
            .iter()
            .map(|index| Some(index.name.to_owned()));
        for index in indexes.chain([None]) {
            expected.push(("WriteThrottleEvents".to_owned(), name.clone(), index));
        }
    }
    watched.sort();
    expected.sort();
    assert_eq!(watched, expected);
}

#[test]
fn the_cost_page_tells_how_many_alarms_and_metrics_there_are_and_what_watching_costs() {
    let page = std::fs::read_to_string(root().join("docs/cost.md")).unwrap();
    let alarms = Template::read().of("AWS::CloudWatch::Alarm").len();
    let recorded = Metric::ALL.iter().map(|metric| metric.functions().len());
    let metrics: usize = recorded.sum();
    let dollars = |cents: usize| format!("{}.{:02}", cents / 100, cents % 100);
    // The dashboard, the secret and the idle queues are as the page has them.
    let sum = dollars(alarms * 10 + metrics * 30 + 300 + 40 + 160);
    for sentence in [
        format!(
            "0.10 a month each: {} for all {alarms} ",
            dollars(alarms * 10)
        ),
        format!(
            "0.30 a month each: {} for all {metrics} ",
            dollars(metrics * 30)
        ),
        format!("costs {sum} dollars a month"),
    ] {
        assert!(page.contains(&sentence), "{sentence}");
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
                let (metric, function) = (text(&metric[1]), text(&metric[3]));
                assert!(is_known(metric, function), "{metric} {function}");
                shown += 1;
            }
        }
    }
    assert!(shown > 10, "{shown}");
}

#[test]
fn the_dashboard_is_of_one_region_and_as_all_of_an_account_share_their_names_says_so() {
    let template = Template::read();
    let name = template.text(&template.get("Dashboard").properties["DashboardName"]);
    assert_eq!(name, "weir-dev-AWS::Region");
}
