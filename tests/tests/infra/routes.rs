//! Routes.

use std::collections::BTreeMap;

use crate::template::{Template, target, text};

#[test]
fn every_operation_has_a_route_to_the_function_that_answers_it() {
    let template = Template::read();
    let mut made = BTreeMap::new();
    for route in template.of("AWS::ApiGatewayV2::Route") {
        let key = text(&route.properties["RouteKey"]).to_owned();
        let integration = template.text(&route.properties["Target"]);
        let integration = integration.strip_prefix("integrations/").unwrap();
        let integration = template.get(integration);
        assert_eq!(integration.properties["PayloadFormatVersion"], "2.0");
        let function = target(&integration.properties["IntegrationUri"]).to_owned();
        assert!(made.insert(key.clone(), function).is_none(), "{key} twice");
    }
    let mut expected: BTreeMap<String, String> = weir_api::operations()
        .iter()
        .map(|operation| {
            let function = if operation.is_read() {
                "QueryApi"
            } else {
                "ActionApi"
            };
            let key = format!("{} {}", operation.method, operation.path);
            (key, function.to_owned())
        })
        .collect();
    // The document and its page; then whatever is at no path, for the API's own 404 and 405.
    for (key, function) in [
        ("GET /", "QueryApi"),
        ("GET /openapi.json", "QueryApi"),
        ("GET /{proxy+}", "QueryApi"),
        ("HEAD /", "QueryApi"),
        ("HEAD /{proxy+}", "QueryApi"),
        ("$default", "ActionApi"),
    ] {
        expected.insert(key.to_owned(), function.to_owned());
    }
    for (key, function) in &expected {
        assert_eq!(made.get(key), Some(function), "{key}");
    }
    for key in made.keys() {
        assert!(expected.contains_key(key), "{key} is no operation");
    }
}

#[test]
fn a_gateway_of_ones_own_signs_every_request() {
    let template = Template::read();
    for route in template.of("AWS::ApiGatewayV2::Route") {
        let by = &route.properties["AuthorizationType"]["Fn::If"];
        assert_eq!(
            *by,
            serde_json::json!(["IsUpstream", "AWS_IAM", "NONE"]),
            "{}",
            route.id
        );
    }
}

#[test]
fn an_answer_comes_before_the_gateway_gives_up() {
    let template = Template::read();
    for integration in template.of("AWS::ApiGatewayV2::Integration") {
        let function = template.get(target(&integration.properties["IntegrationUri"]));
        let time = function.properties["Timeout"].as_i64().unwrap();
        let limit = integration.properties["TimeoutInMillis"].as_i64().unwrap();
        assert!(time * 1_000 < limit && limit <= 30_000, "{}", function.id);
    }
}
