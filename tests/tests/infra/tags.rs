//! Tags, names and what is kept safe.

use serde_json::{Value, json};

use crate::template::Template;

#[test]
fn everything_that_can_be_tagged_is() {
    let template = Template::read();
    let list = json!([
        {"Key": "project", "Value": "weir"},
        {"Key": "stage", "Value": {"Ref": "Stage"}},
    ]);
    let map = json!({"project": "weir", "stage": {"Ref": "Stage"}});
    assert_eq!(template.globals()["Tags"], map);
    for resource in template.resources() {
        let expected = match resource.kind {
            "AWS::S3::Bucket"
            | "AWS::SQS::Queue"
            | "AWS::DynamoDB::Table"
            | "AWS::IAM::Role"
            | "AWS::Logs::LogGroup"
            | "AWS::SNS::Topic"
            | "AWS::SecretsManager::Secret"
            | "AWS::SES::EmailIdentity"
            | "AWS::CloudWatch::Alarm" => &list,
            "AWS::ApiGatewayV2::Api"
            | "AWS::ApiGatewayV2::Stage"
            | "AWS::ApiGatewayV2::DomainName" => &map,
            // What has no tags, and functions, whose tags are those of all together.
            "AWS::Serverless::Function"
            | "AWS::ApiGatewayV2::ApiMapping"
            | "AWS::ApiGatewayV2::Integration"
            | "AWS::ApiGatewayV2::Route"
            | "AWS::CloudWatch::Dashboard"
            | "AWS::Lambda::Permission"
            | "AWS::S3::BucketPolicy"
            | "AWS::SNS::Subscription"
            | "AWS::SQS::QueuePolicy" => &Value::Null,
            other => panic!("{}: say here whether a {other} has tags", resource.id),
        };
        assert_eq!(resource.properties["Tags"], *expected, "{}", resource.id);
    }
}

#[test]
fn the_bucket_is_private_encrypted_and_keeps_what_was_replaced() {
    let template = Template::read();
    let bucket = template.get("Files").properties;
    assert_eq!(bucket["VersioningConfiguration"]["Status"], "Enabled");
    assert_eq!(
        bucket["BucketEncryption"],
        json!({"ServerSideEncryptionConfiguration": [
            {"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}},
        ]})
    );
    for block in [
        "BlockPublicAcls",
        "BlockPublicPolicy",
        "IgnorePublicAcls",
        "RestrictPublicBuckets",
    ] {
        assert_eq!(
            bucket["PublicAccessBlockConfiguration"][block], true,
            "{block}"
        );
    }
    let events = &bucket["NotificationConfiguration"]["QueueConfigurations"][0];
    assert_eq!(events["Event"], "s3:ObjectCreated:*");
    assert_eq!(events["Queue"]["Fn::GetAtt"][0], "UploadsQueue");
}

#[test]
fn what_holds_data_outlives_its_stack_and_whatever_replaces_it() {
    let template = Template::read();
    for kind in [
        "AWS::DynamoDB::Table",
        "AWS::S3::Bucket",
        "AWS::SecretsManager::Secret",
    ] {
        for resource in template.of(kind) {
            let [deleted, replaced] = resource.fate;
            let is_kept = *deleted == "Retain" || *deleted == "RetainExceptOnCreate";
            assert!(is_kept, "{}: {deleted}", resource.id);
            assert_eq!(*replaced, "Retain", "{}", resource.id);
        }
    }
}

#[test]
fn tables_are_encrypted_with_a_key_whose_use_is_logged() {
    let template = Template::read();
    for table in template.of("AWS::DynamoDB::Table") {
        let encryption = &table.properties["SSESpecification"];
        assert_eq!(*encryption, json!({"SSEEnabled": true}), "{}", table.id);
    }
}

#[test]
fn logs_go_and_queues_are_encrypted() {
    let template = Template::read();
    for logs in template.of("AWS::Logs::LogGroup") {
        assert!(!logs.properties["RetentionInDays"].is_null(), "{}", logs.id);
    }
    for queue in template.of("AWS::SQS::Queue") {
        assert_eq!(
            queue.properties["SqsManagedSseEnabled"], true,
            "{}",
            queue.id
        );
    }
}
