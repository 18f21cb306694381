//! Cursors: where a page ended, so that the next begins there at the same cost at any depth.
//!
//! A cursor is opaque to callers. It holds the last row's place and no secret: whoever changes one
//! begins elsewhere, within what they may see all the same. It is bound to the resource, its filters
//! and its sort; the size of the page may change from one to the next.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::DateTime;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;
use weir_store::CreatedId;

use crate::schema::{Kind, Resource};
use crate::{Query, Value};

/// Most characters of a cursor.
const CHARS_MAX: usize = 2_048;

/// Where a page ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    /// The last row's values of the columns that it was sorted by; none where they are too long.
    pub(crate) values: Vec<Value<'static>>,
    /// Where the last row stands in the order in which rows are read.
    pub(crate) position: CreatedId,
}

/// What a cursor's text holds.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Form {
    /// Which question it belongs to.
    q: u64,
    /// Creation, in milliseconds since 1970.
    c: i64,
    i: Uuid,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    v: Vec<Option<FormValue>>,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum FormValue {
    Number(i64),
    Text(String),
    Texts(Vec<String>),
}

impl Cursor {
    /// Its text. Values that are too long are left out: the row is then found by its id.
    pub(crate) fn write(&self, resource: &Resource, query: &Query) -> Option<String> {
        let form = |values: &[Value<'static>]| {
            let form = Form {
                q: question(resource, query),
                c: self.position.created_ms,
                i: self.position.id,
                v: values.iter().map(form_of).collect(),
            };
            // Numbers and texts always have a JSON form.
            let json = serde_json::to_vec(&form).ok()?;
            Some(URL_SAFE_NO_PAD.encode(json))
        };
        let text = form(&self.values)?;
        if text.len() <= CHARS_MAX {
            Some(text)
        } else {
            form(&[])
        }
    }

    /// Reads a text, or says in words why it is no cursor of this question.
    pub(crate) fn read(text: &str, resource: &Resource, query: &Query) -> Result<Self, String> {
        let form = Some(text).filter(|text| text.len() <= CHARS_MAX);
        let form = form.and_then(|text| URL_SAFE_NO_PAD.decode(text).ok());
        let form: Option<Form> = form.and_then(|json| serde_json::from_slice(&json).ok());
        let form = form.ok_or("must be as a Link header gave it")?;
        let is_whole = form.v.len() == query.sort.len() || form.v.is_empty();
        if form.q != question(resource, query) || !is_whole {
            return Err("belongs to another list, other filters or another sort".to_owned());
        }
        let columns = query.sort.iter().map(|column| column.field.kind);
        let values = form.v.into_iter().zip(columns).map(|(value, kind)| {
            let Some(value) = value else {
                return Some(Value::Absent);
            };
            value_of(value, kind)
        });
        let values: Option<Vec<_>> = values.collect();
        Ok(Self {
            values: values.ok_or("must be as a Link header gave it")?,
            position: CreatedId {
                created_ms: form.c,
                id: form.i,
            },
        })
    }
}

fn form_of(value: &Value<'static>) -> Option<FormValue> {
    match value {
        Value::Absent => None,
        Value::Id(id) => Some(FormValue::Text(id.to_string())),
        Value::Text(text) => Some(FormValue::Text(text.to_string())),
        Value::Integer(number) => Some(FormValue::Number(*number)),
        Value::Time(time) => Some(FormValue::Number(time.timestamp_millis())),
        Value::Texts(texts) => Some(FormValue::Texts(texts.to_vec())),
    }
}

fn value_of(value: FormValue, kind: Kind) -> Option<Value<'static>> {
    match (kind, value) {
        (Kind::Id, FormValue::Text(text)) => Some(Value::Id(Uuid::try_parse(&text).ok()?)),
        (Kind::Text | Kind::OneOf(_), FormValue::Text(text)) => Some(Value::Text(text.into())),
        (Kind::Integer, FormValue::Number(number)) => Some(Value::Integer(number)),
        (Kind::Time, FormValue::Number(millis)) => {
            Some(Value::Time(DateTime::from_timestamp_millis(millis)?))
        }
        (Kind::Several(_), FormValue::Texts(texts)) => Some(Value::Texts(texts.into())),
        _ => None,
    }
}

/// Tells one question from another: the resource, its filters and its sort, 53 bits of their hash.
fn question(resource: &Resource, query: &Query) -> u64 {
    let columns: Vec<_> = query
        .sort
        .iter()
        .map(|column| (column.field.name, column.is_descending))
        .collect();
    let mut text = format!("{}\n{columns:?}", resource.name);
    for filter in &query.filters {
        filter.write(&mut text);
    }
    let hash = Sha256::digest(text.as_bytes());
    let first = hash.first_chunk::<8>().copied().unwrap_or_default();
    u64::from_be_bytes(first) >> 11
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DETAIL;

    fn query() -> Query {
        Query::parse(&DETAIL, Vec::new(), "sort_column[]=order_number").unwrap()
    }

    fn sorted_by(text: &str) -> Cursor {
        Cursor {
            values: vec![Value::Text(text.to_owned().into())],
            position: CreatedId {
                created_ms: 1_795_348_800_000,
                id: Uuid::from_u128(7),
            },
        }
    }

    #[test]
    fn a_cursor_has_2048_characters_at_most_and_leaves_out_values_that_do_not_fit() {
        let write = |cursor: &Cursor| cursor.write(&DETAIL, &query()).unwrap();
        let bare = URL_SAFE_NO_PAD.decode(write(&sorted_by(""))).unwrap().len();
        // Four characters hold three bytes.
        let fits = CHARS_MAX / 4 * 3 - bare;
        for (length, is_whole) in [(fits - 1, true), (fits, true), (fits + 1, false)] {
            let cursor = sorted_by(&"x".repeat(length));
            let text = write(&cursor);
            assert!(text.len() <= CHARS_MAX, "{length}");
            assert_eq!(text.len() >= CHARS_MAX - 2, is_whole, "{length}");
            let read = Cursor::read(&text, &DETAIL, &query()).unwrap();
            assert_eq!(read.position, cursor.position);
            assert_eq!(read.values, if is_whole { cursor.values } else { vec![] });
        }
    }

    #[test]
    fn a_cursor_of_more_than_2048_characters_is_read_as_none() {
        let text = sorted_by("x").write(&DETAIL, &query()).unwrap();
        let json = URL_SAFE_NO_PAD.decode(text).unwrap();
        // Spaces change nothing of what it says.
        let padded = |bytes: usize| {
            let spaces = vec![b' '; bytes - json.len()];
            URL_SAFE_NO_PAD.encode([&spaces[..], &json].concat())
        };
        for (bytes, chars, is_read) in [
            (1_535, 2_047, true),
            (1_536, 2_048, true),
            (1_537, 2_050, false),
        ] {
            let text = padded(bytes);
            assert_eq!(text.len(), chars);
            let read = Cursor::read(&text, &DETAIL, &query());
            assert_eq!(read.is_ok(), is_read, "{chars}");
        }
    }
}
