//! The reference page: the document for people, one file that needs nothing else.

use std::fmt::Write as _;

use weir_query::{Cost, Kind, Operator, Resource, Rule};
use weir_settlement::schema::BodySchema;

use super::{ABOUT, bodies, operation_id, tag};
use crate::operations::{Answers, Operation, Takes, operations};

const STYLE: &str = include_str!("page.css");

pub(super) fn html() -> String {
    let operations = operations();
    let mut html = String::from("<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">");
    html.push_str("<meta name=\"viewport\" content=\"width=device-width\"><title>Weir API</title>");
    let _ = write!(html, "<style>{STYLE}</style></head><body>");
    contents(&mut html, &operations);
    html.push_str("<main><h1>Weir API</h1>");
    let _ = write!(
        html,
        "<p>As a document: <a href=\"openapi.json\">openapi.json</a></p>"
    );
    about(&mut html);
    for operation in &operations {
        section(&mut html, operation);
    }
    html.push_str("<h2 id=\"resources\">Resources</h2>");
    let mut shown: Vec<&str> = Vec::new();
    for operation in &operations {
        let resource = operation.answers.resource();
        if !shown.contains(&resource.name) {
            shown.push(resource.name);
            fields(&mut html, resource);
        }
    }
    html.push_str("</main></body></html>");
    html
}

/// A text as it can stand in HTML.
fn escaped(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    text.replace('>', "&gt;").replace('"', "&quot;")
}

fn anchor(resource: &Resource) -> String {
    resource.name.replace(' ', "-")
}

fn contents(html: &mut String, operations: &[Operation]) {
    html.push_str("<nav><strong>Operations</strong><ul>");
    for operation in operations {
        let _ = write!(
            html,
            "<li><a href=\"#{}\"><b class=\"{method}\">{method}</b> {}</a></li>",
            operation_id(operation),
            escaped(operation.name),
            method = operation.method,
        );
    }
    html.push_str("</ul><a href=\"#resources\">Resources</a></nav>");
}

/// The introduction: paragraphs with bold words and code, which is all that it uses of Markdown.
fn about(html: &mut String) {
    for paragraph in ABOUT.split("\n\n") {
        let mut text = escaped(paragraph.trim());
        for (mark, open, close) in [("**", "<strong>", "</strong>"), ("`", "<code>", "</code>")] {
            let mut parts = text.split(mark);
            let mut marked = parts.next().unwrap_or_default().to_owned();
            for (number, part) in parts.enumerate() {
                marked.push_str(if number % 2 == 0 { open } else { close });
                marked.push_str(part);
            }
            text = marked;
        }
        let _ = write!(html, "<p>{text}</p>");
    }
}

fn section(html: &mut String, operation: &Operation) {
    let resource = operation.answers.resource();
    let many = match operation.answers {
        Answers::One(_) => "one",
        Answers::List(_) => "a list of",
        Answers::Csv(_) => "a table, as CSV, of",
        Answers::Drafted(_) => "how many drafts there are now of",
        Answers::Place(_) => "where to send the bytes of, and",
        Answers::Parts(_) => "where to send parts of, and which are there, of",
        Answers::Problems(_) => "a list, as JSON or CSV, of",
        Answers::Nothing(_) => "nothing, and there is no more of",
    };
    let _ = write!(
        html,
        "<section id=\"{}\"><h3>{}</h3><p><b class=\"{method}\">{method}</b> <code>{}</code></p>\
         <p>Answers {many} <a href=\"#{}\">{}</a>. Needs <code>{}</code>.</p>",
        operation_id(operation),
        escaped(operation.name),
        escaped(operation.path),
        anchor(resource),
        tag(operation),
        operation.permission.name(),
        method = operation.method,
    );
    match operation.takes {
        Takes::Query(resource) => filters(html, resource),
        Takes::Lines => {
            html.push_str("<p>Takes <code>from_line</code> and <code>to_line</code>.</p>");
        }
        Takes::ErrorsTable => html.push_str(
            "<p>Takes the table of errors, mended, as CSV of at most 4 MiB and 5 000 rows, or a form \
             with it.</p>",
        ),
        Takes::Problems => html.push_str(
            "<p>Takes <code>page_size</code>, <code>page_number</code>, <code>cursor</code> and \
             <code>format</code>: <code>json</code> or <code>csv</code>.</p>",
        ),
        Takes::Fields(_) => html.push_str("<p>Takes <code>fields</code>.</p>"),
        Takes::SettlementFile => html.push_str(
            "<p>Takes an XML file of at most 4 MiB, or a form with it, and \
             <code>X-File-Name</code>. With <code>validate_only=true</code> it is judged and not \
             kept.</p>",
        ),
        Takes::Body(schema) => members(html, schema),
        Takes::Nothing => {}
    }
    if operation.takes_key() {
        html.push_str("<p>Takes <code>Idempotency-Key</code>.</p>");
    }
    html.push_str("</section>");
}

fn members(html: &mut String, schema: &BodySchema) {
    html.push_str("<p>Takes JSON:</p><table><tr><th>Member</th><th>Is</th><th>Means</th></tr>");
    for member in schema.members {
        let needed = if member.is_required {
            ""
        } else {
            ", or is left out"
        };
        let _ = write!(
            html,
            "<tr><td><code>{}</code></td><td>{}{needed}</td><td>{}.</td></tr>",
            member.name,
            escaped(&bodies::words(member.rule)),
            escaped(member.about),
        );
    }
    html.push_str("</table>");
}

fn filters(html: &mut String, resource: &Resource) {
    html.push_str(
        "<details><summary>Takes <code>sort_column[]</code>, <code>page_size</code>, \
         <code>page_number</code>, <code>cursor</code>, <code>fields</code> and filters</summary>\
         <table><tr><th>Filter</th><th>Takes</th><th>Operators</th></tr>",
    );
    for parameter in resource.parameters {
        let operators = Operator::ALL
            .iter()
            .filter(|(name, operator)| !name.is_empty() && operator.applies_to(parameter.rule))
            .map(|(name, _)| format!(":{name}"));
        let operators: Vec<_> = operators.collect();
        let _ = write!(
            html,
            "<tr><td><code>{}</code></td><td>{}</td><td><code>{}</code></td></tr>",
            parameter.name,
            escaped(&words_of(parameter.rule)),
            operators.join(" "),
        );
    }
    html.push_str("</table></details>");
}

fn words_of(rule: Rule) -> String {
    match rule {
        Rule::Id => "a UUID".to_owned(),
        Rule::Text {
            chars_min,
            chars_max: Some(max),
            begins_with: "",
        } => format!("a text of {chars_min} to {max} characters"),
        Rule::Text {
            begins_with: "", ..
        } => "a text".to_owned(),
        Rule::Text { begins_with, .. } => format!("a text that begins with {begins_with}"),
        Rule::Integer {
            min: i64::MIN,
            max: i64::MAX,
        } => "a whole number".to_owned(),
        Rule::Integer { min, max: i64::MAX } => format!("a whole number of at least {min}"),
        Rule::Integer { min, max } => format!("a whole number from {min} to {max}"),
        Rule::Time => "a day or a time".to_owned(),
        Rule::OneOf(words) => format!("one of {}", words.join(", ")),
        Rule::SomeOf(words) => format!("some of {}", words.join(", ")),
        Rule::Emails => "e-mail addresses".to_owned(),
    }
}

fn fields(html: &mut String, resource: &Resource) {
    let _ = write!(
        html,
        "<section id=\"{}\"><h3>{}</h3><table><tr><th>Field</th><th>Is</th><th></th></tr>",
        anchor(resource),
        resource.name,
    );
    for field in resource.fields {
        let kind = match field.kind {
            Kind::Id => "UUID".to_owned(),
            Kind::Text => "text".to_owned(),
            Kind::Integer => "whole number".to_owned(),
            Kind::Time => "time".to_owned(),
            Kind::OneOf(words) => words.join(", "),
            Kind::Several([]) => "texts".to_owned(),
            Kind::Several(words) => format!("some of {}", words.join(", ")),
        };
        let cost = match field.cost {
            Cost::Light => "",
            Cost::Heavy => " (costs a look-up: leave it out with <code>fields</code>)",
        };
        let _ = write!(
            html,
            "<tr><td><code>{}</code></td><td>{kind}</td><td>{}{cost}</td></tr>",
            field.name,
            escaped(field.about),
        );
    }
    html.push_str("</table></section>");
}
