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
            _ => &Value::Null,
        };
        assert_eq!(resource.properties["Tags"], *expected, "{}", resource.id);
    }
}

#[test]
fn the_bucket_is_private_encrypted_and_keeps_what_was_replaced() {
    let template = Template::read();
    let bucket = template.get("Files").properties;
    assert_eq!(bucket["VersioningConfiguration"]["Status"], "Enabled");
    assert!(bucket["BucketEncryption"].is_object());
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
