//! `infra/template.yaml` as JSON, `CloudFormation`'s short tags written out: `!Ref X` is `{"Ref": "X"}`.

use std::path::{Path, PathBuf};

use saphyr_parser::{Event, Parser, ScalarStyle, Tag};
use serde_json::{Map, Value, json};

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The template.
pub(crate) struct Template(Value);

/// A resource of it.
pub(crate) struct Resource<'a> {
    pub(crate) id: &'a str,
    pub(crate) kind: &'a str,
    pub(crate) properties: &'a Value,
    /// What becomes of it when it leaves the template, and when it is replaced.
    pub(crate) fate: [&'a Value; 2],
}

enum Open {
    List(Option<String>, Vec<Value>),
    Map(Map<String, Value>, Option<String>),
}

impl Template {
    pub(crate) fn read() -> Self {
        let text = std::fs::read_to_string(root().join("infra/template.yaml")).unwrap();
        Self(parse(&text))
    }

    pub(crate) fn resources(&self) -> impl Iterator<Item = Resource<'_>> {
        let resources = self.0["Resources"].as_object().unwrap();
        resources.iter().map(|(id, resource)| Resource {
            id,
            kind: resource["Type"].as_str().unwrap(),
            properties: &resource["Properties"],
            fate: [
                &resource["DeletionPolicy"],
                &resource["UpdateReplacePolicy"],
            ],
        })
    }

    pub(crate) fn of(&self, kind: &str) -> Vec<Resource<'_>> {
        let found: Vec<_> = (self.resources())
            .filter(|resource| resource.kind == kind)
            .collect();
        assert!(!found.is_empty(), "there is no {kind}");
        found
    }

    pub(crate) fn get(&self, id: &str) -> Resource<'_> {
        (self.resources().find(|resource| resource.id == id))
            .unwrap_or_else(|| panic!("there is no {id}"))
    }

    pub(crate) fn parameter(&self, name: &str) -> &Value {
        &self.0["Parameters"][name]
    }

    pub(crate) fn globals(&self) -> &Value {
        &self.0["Globals"]["Function"]
    }

    /// The text that a value comes to, with the parameters' defaults; `dev` is the stage.
    pub(crate) fn text(&self, value: &Value) -> String {
        match value {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            Value::Object(call) => {
                let (name, argument) = call.iter().next().unwrap();
                match name.as_str() {
                    "Ref" => self.named(argument.as_str().unwrap()),
                    "Fn::GetAtt" => format!("{}.{}", text(&argument[0]), text(&argument[1])),
                    "Fn::Sub" => self.substituted(argument.as_str().unwrap()),
                    _ => panic!("not understood: {value}"),
                }
            }
            _ => panic!("no text: {value}"),
        }
    }

    fn substituted(&self, text: &str) -> String {
        let Some((before, rest)) = text.split_once("${") else {
            return text.to_owned();
        };
        let (name, after) = rest.split_once('}').unwrap();
        format!("{before}{}{}", self.named(name), self.substituted(after))
    }

    fn named(&self, name: &str) -> String {
        match name {
            "Stage" => return "dev".to_owned(),
            "ThreeRiversUrl" => return "https://3rivers.example.com".to_owned(),
            _ => {}
        }
        match &self.0["Parameters"][name] {
            Value::Null if name.ends_with("Queue") => format!("https://sqs.example.com/{name}"),
            Value::Null => name.to_owned(),
            parameter => self.text(&parameter["Default"]),
        }
    }
}

/// The logical id that a reference leads to.
pub(crate) fn target(value: &Value) -> &str {
    (value["Ref"].as_str())
        .or_else(|| value["Fn::GetAtt"][0].as_str())
        .unwrap_or_else(|| panic!("no reference: {value}"))
}

pub(crate) fn text(value: &Value) -> &str {
    (value.as_str()).unwrap_or_else(|| panic!("no text: {value}"))
}

pub(crate) fn list(value: &Value) -> Vec<&Value> {
    match value {
        Value::Null => Vec::new(),
        Value::Array(values) => values.iter().collect(),
        one => vec![one],
    }
}

fn parse(text: &str) -> Value {
    let mut open: Vec<Open> = Vec::new();
    let mut root = None;
    for event in Parser::new_from_str(text) {
        let (event, _) = event.unwrap();
        let done = match event {
            Event::Scalar(text, style, _, tag) => match open.last_mut() {
                Some(Open::Map(_, name @ None)) => {
                    *name = Some(text.into_owned());
                    continue;
                }
                _ => called(function(tag.as_deref()), scalar(&text, style)),
            },
            Event::SequenceStart(_, tag) => {
                open.push(Open::List(function(tag.as_deref()), Vec::new()));
                continue;
            }
            Event::MappingStart(..) => {
                open.push(Open::Map(Map::new(), None));
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => match open.pop().unwrap() {
                Open::List(function, values) => called(function, Value::Array(values)),
                Open::Map(members, _) => Value::Object(members),
            },
            Event::Alias(_) => panic!("CloudFormation knows no aliases"),
            _ => continue,
        };
        match open.last_mut() {
            None => root = Some(done),
            Some(Open::List(_, values)) => values.push(done),
            Some(Open::Map(members, name)) => {
                let name = name.take().unwrap();
                let before = members.insert(name.clone(), done);
                assert!(before.is_none(), "{name} is there twice");
            }
        }
    }
    root.unwrap()
}

fn scalar(text: &str, style: ScalarStyle) -> Value {
    if style != ScalarStyle::Plain {
        return json!(text);
    }
    match text {
        "true" => json!(true),
        "false" => json!(false),
        _ => (text.parse::<i64>()).map_or_else(|_| json!(text), |number| json!(number)),
    }
}

/// The function that a short tag stands for.
fn function(tag: Option<&Tag>) -> Option<String> {
    match tag?.suffix.as_str() {
        "Ref" => Some("Ref".to_owned()),
        name => Some(format!("Fn::{name}")),
    }
}

fn called(function: Option<String>, argument: Value) -> Value {
    match function {
        None => argument,
        Some(name) if name == "Fn::GetAtt" => {
            let (id, attribute) = text(&argument).split_once('.').unwrap();
            json!({ name: [id, attribute] })
        }
        Some(name) => json!({ name: argument }),
    }
}
