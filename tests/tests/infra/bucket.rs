//! The upload bucket.

use weir_settlement::upload::PARTS_KEPT_DAYS;

use crate::template::{Template, list, text};

#[test]
fn parts_that_are_not_completed_are_kept_as_long_as_the_api_says() {
    let template = Template::read();
    let [ref bucket] = template.of("AWS::S3::Bucket")[..] else {
        panic!("there is one bucket");
    };
    let rules = &bucket.properties["LifecycleConfiguration"]["Rules"];
    let rules = rules.as_array().unwrap().iter();
    let kept = rules.filter(|rule| !rule["AbortIncompleteMultipartUpload"].is_null());
    let kept: Vec<_> = kept
        .map(|rule| {
            assert_eq!(rule["Status"], "Enabled");
            assert!(rule["Prefix"].is_null() && rule["Filter"].is_null());
            rule["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"].as_u64()
        })
        .collect();
    assert_eq!(kept, [Some(PARTS_KEPT_DAYS.into())]);
}

#[test]
fn whoever_signs_for_parts_may_put_them_and_list_them_and_nobody_else_lists() {
    let template = Template::read();
    let mut may_list = Vec::new();
    for role in template.of("AWS::IAM::Role") {
        for policy in role.properties["Policies"].as_array().into_iter().flatten() {
            for statement in list(&policy["PolicyDocument"]["Statement"]) {
                let actions: Vec<_> = list(&statement["Action"])
                    .iter()
                    .map(|one| text(one))
                    .collect();
                if actions.contains(&"s3:ListMultipartUploadParts") {
                    assert!(actions.contains(&"s3:PutObject"), "{}", role.id);
                    may_list.push(role.id);
                }
            }
        }
    }
    assert_eq!(may_list, ["ActionApiRole"]);
}
