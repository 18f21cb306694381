//! JSON with the place of each value.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::node::{DEPTH_MAX, Held, Node, Position, Problem};

/// Reads the one value that a file holds.
pub(crate) fn read(text: &str) -> Result<Node, Problem> {
    let raw: &RawValue = serde_json::from_str(text).map_err(|error| {
        let (line, column) = (error.line().max(1), error.column().max(1));
        let at = Position { line, column };
        Problem::new(at, "", format!("this is not valid JSON: {error}"))
    })?;
    let mut cursor = Cursor {
        text,
        byte: 0,
        at: Position::START,
    };
    cursor.node(raw, 0)
}

/// The members of an object in their order, repeated names included.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Members<'de>, A::Error> {
        let mut found = Vec::new();
        while let Some(member) = members.next_entry()? {
            found.push(member);
        }
        Ok(Members(found))
    }
}

/// How far the text was gone through. Values are met in their order, so no part is counted twice.
struct Cursor<'a> {
    text: &'a str,
    byte: usize,
    at: Position,
}

impl<'a> Cursor<'a> {
    fn node(&mut self, raw: &'a RawValue, depth: usize) -> Result<Node, Problem> {
        let text = raw.get();
        let at = self.go_to(text);
        let failed = |error: serde_json::Error| {
            Problem::new(at, "", format!("this is not valid JSON: {error}"))
        };
        if depth == DEPTH_MAX && text.starts_with(['[', '{']) {
            let reason = "this stands too deep within other lists and maps";
            return Err(Problem::new(at, "", reason));
        }
        let held = match text.bytes().next() {
            Some(b'"') => Held::Text(serde_json::from_str(text).map_err(failed)?),
            Some(b'[') => {
                let items: Vec<&RawValue> = serde_json::from_str(text).map_err(failed)?;
                let nodes = items.into_iter().map(|item| self.node(item, depth + 1));
                Held::List(nodes.collect::<Result<_, _>>()?)
            }
            Some(b'{') => {
                let Members(members) = serde_json::from_str(text).map_err(failed)?;
                let mut nodes = Vec::with_capacity(members.len());
                for (name, value) in members {
                    nodes.push((name, self.node(value, depth + 1)?));
                }
                Held::Map(nodes)
            }
            _ => Held::NoText,
        };
        Ok(Node { at, held })
    }

    /// Where a part of the text begins.
    fn go_to(&mut self, part: &str) -> Position {
        let start = part.as_ptr().addr() - self.text.as_ptr().addr();
        for next in self.text.get(self.byte..start).unwrap_or_default().chars() {
            if next == '\n' {
                self.at.line += 1;
                self.at.column = 1;
            } else {
                self.at.column += 1;
            }
        }
        self.byte = start;
        self.at
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_value_knows_its_place() {
        let node = read("{\"ä\": [\n  \"b\", 1, {\"c\": \"\\ud83d\\ude00\"}]}").unwrap();
        let list = node.member("ä").unwrap();
        assert_eq!(list.at, Position { line: 1, column: 7 });
        let Held::List(items) = &list.held else {
            panic!("{list:?}")
        };
        let places: Vec<_> = items
            .iter()
            .map(|item| (item.at.line, item.at.column))
            .collect();
        assert_eq!(places, [(2, 3), (2, 8), (2, 11)]);
        assert_eq!(items[1].held, Held::NoText);
        assert_eq!(
            items[2].member("c").unwrap().held,
            Held::Text("😀".to_owned())
        );
    }

    #[test]
    fn what_is_no_json_is_refused_at_its_place() {
        for (text, line) in [("", 1), ("{", 1), ("{\n\"a\": }", 2), ("{}\n{}", 2)] {
            assert_eq!(read(text).unwrap_err().line, line, "{text:?}");
        }
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        for (depth, is_good) in [(7, true), (8, true), (9, false), (5_000, false)] {
            assert_eq!(read(&nested(depth)).is_ok(), is_good, "{depth}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_without_a_panic(text in "[\\[\\]{}\",:a0\\\\un \\n]{0,40}") {
            let _ = read(&text);
        }
    }
}
