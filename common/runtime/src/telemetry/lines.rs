//! The layer that writes an event as one line of JSON.

use std::error::Error;
use std::fmt::{Debug, Write as _};
use std::io::Write as _;

use chrono::SecondsFormat;
use serde_json::{Map, Value, json};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use crate::clock::Clock;

/// How long a text field may be, in bytes, so that a line stays far below what CloudWatch takes.
const TEXT_BYTES_MAX: usize = 8 * 1024;

/// What a line begins with, in this order.
const FIRST: [&str; 5] = ["timestamp", "level", "message", "correlation_id", "target"];

pub(super) struct JsonLines<W> {
    clock: Clock,
    writer: W,
}

impl<W> JsonLines<W> {
    pub(super) fn new(clock: Clock, writer: W) -> Self {
        Self { clock, writer }
    }
}

impl<S, W> Layer<S> for JsonLines<W>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'w> MakeWriter<'w> + 'static,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if let Some(span) = context.span(id) {
            let mut fields = Fields::default();
            attributes.record(&mut fields);
            span.extensions_mut().insert(fields);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<Fields>()
        {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        for span in context.event_scope(event).into_iter().flatten() {
            if let Some(outer) = span.extensions().get::<Fields>() {
                for (name, value) in &outer.0 {
                    // From the innermost span outwards: what is there already wins.
                    fields.0.entry(name).or_insert_with(|| value.clone());
                }
            }
        }
        event.record(&mut fields);
        let metadata = event.metadata();
        let now = self.clock.now();
        let mut line = fields.0;
        for (name, value) in [
            (
                "timestamp",
                json!(now.to_rfc3339_opts(SecondsFormat::Millis, true)),
            ),
            ("level", json!(metadata.level().as_str())),
            ("target", json!(metadata.target())),
        ] {
            // A field that takes one of our names is kept under another.
            if let Some(theirs) = line.insert(name.to_owned(), value) {
                line.insert(format!("field_{name}"), theirs);
            }
        }
        // There is nowhere left to report that logs cannot be written.
        let _ = self
            .writer
            .make_writer_for(metadata)
            .write_all(text(line).as_bytes());
    }
}

fn text(mut line: Map<String, Value>) -> String {
    let mut text = String::with_capacity(512);
    for name in FIRST {
        let value = line.remove(name).unwrap_or_default();
        push(&mut text, name, &value);
    }
    for (name, value) in &line {
        push(&mut text, name, value);
    }
    text.push_str("}\n");
    text
}

fn push(text: &mut String, name: &str, value: &Value) {
    text.push(if text.is_empty() { '{' } else { ',' });
    // Writing to a string does not fail.
    let _ = write!(text, "{}:{value}", Value::from(name));
}

#[derive(Default)]
struct Fields(Map<String, Value>);

impl Fields {
    fn put(&mut self, field: &Field, value: impl Into<Value>) {
        // The prefix of a raw identifier, such as `r#type`, is no part of the name.
        let name = field.name();
        let name = name.strip_prefix("r#").unwrap_or(name);
        self.0.insert(name.to_owned(), value.into());
    }

    fn put_text(&mut self, field: &Field, mut text: String) {
        if text.len() > TEXT_BYTES_MAX {
            text.truncate(text.floor_char_boundary(TEXT_BYTES_MAX));
            text.push('…');
        }
        self.put(field, text);
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.put_text(field, format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put_text(field, value.to_owned());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value);
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        let mut text = value.to_string();
        let mut cause = value.source();
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        self.put_text(field, text);
    }
}
