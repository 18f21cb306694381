//! Functions and their settings.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use weir_runtime::telemetry::TelemetryOptions;
use weir_runtime::{ConfigError, Namespace, Reader};

use crate::template::{Resource, Template, root, text};

type Variables = BTreeMap<String, String>;

/// The names of all functions: a folder each.
pub(crate) fn names() -> Vec<String> {
    let mut names: Vec<_> = std::fs::read_dir(root().join("functions"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.join("Cargo.toml").exists())
        .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
        .collect();
    names.sort();
    names
}

fn name_of(template: &Template, function: &Resource<'_>) -> String {
    let name = template.text(&function.properties["FunctionName"]);
    name.strip_prefix("weir-dev-").unwrap().to_owned()
}

/// What a function finds in its environment.
fn variables(template: &Template, function: &Resource<'_>) -> Variables {
    let shared = template.globals()["Environment"]["Variables"].as_object();
    let own = function.properties["Environment"]["Variables"].as_object();
    let all = shared.into_iter().chain(own).flatten();
    all.map(|(name, value)| (name.clone(), template.text(value)))
        .collect()
}

/// Reads the settings of a function, as it does at its start.
fn read(function: &str, variables: &Variables) -> Result<(), ConfigError> {
    let set = variables
        .iter()
        .map(|(name, value)| (name.clone(), value.clone()));
    // Lambda says where it runs.
    let region = ("AWS_REGION".to_owned(), "eu-central-1".to_owned());
    let mut reader = Reader::new(set.chain([region]));
    let _ = TelemetryOptions::read(&mut reader);
    let _ = Namespace::read(&mut reader);
    let reader_of = &mut reader;
    match function {
        "action-api" => drop(weir_action_api::read(reader_of)),
        "dead-letter" => drop(weir_dead_letter::read(reader_of)),
        "detail-processor" => drop(weir_detail_processor::read(reader_of)),
        "query-api" => drop(weir_query_api::read(reader_of)),
        "reference-sync" => drop(weir_reference_sync::read(reader_of)),
        "settlement-upload" => drop(weir_settlement_upload::read(reader_of)),
        "sweeper" => drop(weir_sweeper::read(reader_of)),
        other => panic!("what {other} reads is not known here"),
    }
    reader.finish()
}

#[test]
fn every_function_is_deployed_from_the_package_that_is_built_of_it() {
    let template = Template::read();
    let mut deployed: Vec<_> = template
        .of("AWS::Serverless::Function")
        .iter()
        .map(|function| {
            let name = name_of(&template, function);
            let package = format!("../target/lambda/{name}/bootstrap.zip");
            assert_eq!(text(&function.properties["CodeUri"]), package);
            name
        })
        .collect();
    deployed.sort();
    assert_eq!(deployed, names());
    assert_eq!(template.globals()["Runtime"], "provided.al2023");
}

#[test]
fn every_function_starts_with_the_settings_that_it_gets() {
    let template = Template::read();
    for function in template.of("AWS::Serverless::Function") {
        let name = name_of(&template, &function);
        let variables = variables(&template, &function);
        if let Err(error) = read(&name, &variables) {
            panic!("{name}: {error}");
        }
    }
}

#[test]
fn no_function_gets_a_setting_that_it_does_not_read() {
    let template = Template::read();
    for function in template.of("AWS::Serverless::Function") {
        let name = name_of(&template, &function);
        let variables = variables(&template, &function);
        for setting in variables.keys() {
            // Nothing takes this, so whoever reads it complains.
            let mut spoilt = variables.clone();
            spoilt.insert(setting.clone(), "\u{7}".to_owned());
            let refused = read(&name, &spoilt).err();
            let problems = refused.iter().flat_map(ConfigError::problems);
            let is_read = problems.into_iter().any(|problem| problem.name == *setting);
            assert!(is_read, "{name} does not read {setting}");
        }
    }
}

/// What each function must have, but for the region, which Lambda says. Of the two that give 3Rivers keys it must
/// have one, and is told of the simpler.
fn required(function: &str) -> Vec<&'static str> {
    let mut required = vec!["WEIR_BUCKET", "WEIR_TABLE_PREFIX"];
    if !["query-api", "reference-sync", "dead-letter"].contains(&function) {
        required.extend(["WEIR_DETAILS_QUEUE_URL", "WEIR_UPLOADS_QUEUE_URL"]);
    }
    if function == "detail-processor" {
        required.extend(["WEIR_THREE_RIVERS_SECRET", "WEIR_THREE_RIVERS_URL"]);
    }
    required.sort_unstable();
    required
}

/// What of a function's settings is wrong, in the order of the names.
fn problems(function: &str, variables: &Variables) -> Vec<String> {
    let refused = read(function, variables).err();
    let problems = refused.iter().flat_map(ConfigError::problems);
    let mut names: Vec<_> = problems.map(|problem| problem.name.clone()).collect();
    names.sort();
    names
}

#[test]
fn a_function_without_a_setting_that_it_must_have_says_which() {
    let template = Template::read();
    for function in template.of("AWS::Serverless::Function") {
        let name = name_of(&template, &function);
        let variables = variables(&template, &function);
        for setting in variables.keys() {
            let mut without = variables.clone();
            without.remove(setting);
            let told = setting.as_str();
            let is_required = required(&name).contains(&told);
            let expected: &[&str] = if is_required { &[told] } else { &[] };
            assert_eq!(problems(&name, &without), expected, "{name}");
        }
    }
}

#[test]
fn a_function_without_any_setting_says_all_that_it_must_have_at_once() {
    for name in names() {
        assert_eq!(
            problems(&name, &Variables::new()),
            required(&name),
            "{name}"
        );
        let error = read(&name, &Variables::new()).unwrap_err().to_string();
        for setting in required(&name) {
            assert!(error.contains(setting), "{name}: {error}");
        }
    }
}

#[test]
fn a_wrong_setting_is_told_without_its_value_however_it_is_wrong() {
    let template = Template::read();
    for function in template.of("AWS::Serverless::Function") {
        let name = name_of(&template, &function);
        let variables = variables(&template, &function);
        let mut spoilt: Variables = (variables.keys())
            .map(|setting| (setting.clone(), format!("hushed-{setting}\u{7}")))
            .collect();
        for keys in [
            r#"{"11111111-0000-4000-8000-000000000001": "hushed\u0007"}"#,
            r#"{"hushed": "hushed-key"}"#,
            r#"{"11111111-0000-4000-8000-000000000001": "hushed-key""#,
            r#"["hushed-key"]"#,
            "hushed-key",
        ] {
            // Those of local runs.
            if name == "detail-processor" {
                spoilt.insert("WEIR_THREE_RIVERS_API_KEYS".to_owned(), keys.to_owned());
                spoilt.insert(
                    "WEIR_THREE_RIVERS_API_KEY".to_owned(),
                    "hushed\u{7}".to_owned(),
                );
            }
            let error = read(&name, &spoilt).unwrap_err();
            let told = format!("{error} {error:?} {error:#?}");
            assert!(!told.contains("hushed"), "{name}: {told}");
            for setting in spoilt.keys() {
                assert!(told.contains(setting.as_str()), "{name}: {setting}: {told}");
            }
        }
    }
}

#[test]
fn the_bucket_and_the_tables_are_called_what_the_functions_are_told() {
    let template = Template::read();
    let told = &template.globals()["Environment"]["Variables"];
    let bucket = &template.get("Files").properties["BucketName"];
    assert_eq!(told["WEIR_BUCKET"], *bucket);
    let prefix = template.text(&told["WEIR_TABLE_PREFIX"]);
    for table in template.of("AWS::DynamoDB::Table") {
        let name = template.text(&table.properties["TableName"]);
        assert!(name.starts_with(&prefix), "{name}");
    }
}

#[test]
fn the_keys_come_from_their_secret_which_one_function_reads_and_no_deployment() {
    let template = Template::read();
    for function in template.of("AWS::Serverless::Function") {
        let own = &function.properties["Environment"]["Variables"];
        let expected = match function.id {
            "DetailProcessor" => json!({"Ref": "ThreeRiversKeys"}),
            _ => Value::Null,
        };
        let id = function.id;
        assert_eq!(own["WEIR_THREE_RIVERS_SECRET"], expected, "{id}");
        for of_local_runs in ["WEIR_THREE_RIVERS_API_KEY", "WEIR_THREE_RIVERS_API_KEYS"] {
            assert_eq!(own[of_local_runs], Value::Null, "{id}");
        }
    }
    let written = std::fs::read_to_string(root().join("infra/template.yaml")).unwrap();
    assert!(!written.contains("{{resolve:"), "a deployment reads keys");
}

#[test]
fn the_processor_s_time_is_well_above_a_call_s() {
    let template = Template::read();
    // `WEIR_CALL_TIMEOUT` is not set, so it is 20 s; the connection to a table may take another 20.
    let time = &template.get("DetailProcessor").properties["Timeout"];
    assert!(time.as_i64().unwrap() >= 2 * 20);
}

#[test]
fn the_sweeper_is_called_every_few_minutes_and_done_before_the_next_time() {
    let template = Template::read();
    let sweeper = template.get("Sweeper").properties;
    let schedule = &sweeper["Events"]["Schedule"];
    assert_eq!(schedule["Type"], "ScheduleV2");
    let rate = template.text(&schedule["Properties"]["ScheduleExpression"]);
    assert_eq!(rate, "rate(5 minutes)");
    assert!(sweeper["Timeout"].as_i64().unwrap() < 5 * 60);
}

#[test]
fn a_sweep_that_fails_is_not_tried_again_by_the_schedule_nor_by_lambda() {
    let template = Template::read();
    let sweeper = template.get("Sweeper").properties;
    let never = json!({"MaximumRetryAttempts": 0, "MaximumEventAgeInSeconds": 60});
    let schedule = &sweeper["Events"]["Schedule"]["Properties"];
    assert_eq!(schedule["RetryPolicy"], never);
    assert_eq!(sweeper["EventInvokeConfig"], never);
}
