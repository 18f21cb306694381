//! The bodies that operations take, as schemas.

use serde_json::{Map, Value, json};
use weir_settlement::schema::{BodySchema, Member, MemberRule};

/// A body of JSON.
pub(super) fn request(schema: &BodySchema) -> Value {
    json!({
        "required": schema.members.iter().any(|member| member.is_required),
        "description": "At most 64 KiB. Members that are not listed are ignored.",
        "content": { "application/json": { "schema": object(schema.members) } },
    })
}

fn object(members: &[Member]) -> Value {
    let mut properties = Map::new();
    for member in members {
        let mut property = schema_of(member.rule);
        if let Some(property) = property.as_object_mut() {
            property.insert(
                "description".to_owned(),
                format!("{}.", member.about).into(),
            );
        }
        properties.insert(member.name.to_owned(), property);
    }
    let required = members.iter().filter(|member| member.is_required);
    let required: Vec<&str> = required.map(|member| member.name).collect();
    json!({
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": true,
    })
}

fn schema_of(rule: MemberRule) -> Value {
    match rule {
        MemberRule::Text {
            chars_min,
            chars_max,
        } => {
            let mut schema = json!({ "type": "string" });
            if let Some(schema) = schema.as_object_mut() {
                if chars_min > 0 {
                    schema.insert("minLength".to_owned(), chars_min.into());
                }
                if let Some(max) = chars_max {
                    schema.insert("maxLength".to_owned(), max.into());
                }
            }
            schema
        }
        MemberRule::OneOf(words) => json!({ "type": "string", "enum": words }),
        MemberRule::Email { chars_max } => {
            json!({ "type": "string", "format": "idn-email", "maxLength": chars_max })
        }
        MemberRule::Emails => json!({
            "type": "array",
            "items": { "type": "string", "format": "idn-email" },
            "minItems": 1,
        }),
        MemberRule::Id => json!({ "type": "string", "format": "uuid" }),
        MemberRule::Whole { min, max } => {
            json!({ "type": "integer", "format": "int64", "minimum": min, "maximum": max })
        }
        MemberRule::Flag => json!({ "type": "boolean" }),
        MemberRule::Ids { items_max } => json!({
            "type": "array",
            "items": { "type": "string", "format": "uuid" },
            "maxItems": items_max,
        }),
        MemberRule::Objects {
            members,
            items_min,
            items_max,
        } => json!({
            "type": "array",
            "items": object(members),
            "minItems": items_min,
            "maxItems": items_max,
        }),
    }
}

/// What a member may be, in words.
pub(super) fn words(rule: MemberRule) -> String {
    match rule {
        MemberRule::Text {
            chars_min,
            chars_max: Some(max),
        } => format!("a text of {chars_min} to {max} characters"),
        MemberRule::Text { .. } => "a text".to_owned(),
        MemberRule::OneOf(words) => format!("one of {}", words.join(", ")),
        MemberRule::Email { chars_max } => {
            format!("an e-mail address of at most {chars_max} characters")
        }
        MemberRule::Emails => "at least one e-mail address".to_owned(),
        MemberRule::Id => "a UUID".to_owned(),
        MemberRule::Whole { min, max } => format!("a whole number from {min} to {max}"),
        MemberRule::Flag => "true or false".to_owned(),
        MemberRule::Ids { items_max } => format!("at most {items_max} UUIDs"),
        MemberRule::Objects {
            members,
            items_min,
            items_max,
        } => {
            let each = |member: &Member| format!("{} ({})", member.name, words(member.rule));
            let each: Vec<String> = members.iter().map(each).collect();
            format!(
                "{items_min} to {items_max} objects of {}",
                each.join(" and ")
            )
        }
    }
}
