//! YAML 1.2 as far as it says what it means.
//!
//! Refused: anchors and aliases, by which a small file becomes a large one; tags; a second document;
//! names that are no text. A plain scalar is what the core schema of YAML 1.2 makes of it, so `NO` is a
//! text and `0042` is none: what is not a text can be put in quotes.

use saphyr_parser::{Event, Marker, Parser, ScalarStyle};

use crate::node::{DEPTH_MAX, Held, Node, Position, Problem};

/// A list or map that is not closed yet.
enum Open {
    List(Position, Vec<Node>),
    Map(Position, Vec<(String, Node)>, Option<String>),
}

/// Reads the one value that a file holds.
pub(crate) fn read(text: &str) -> Result<Node, Problem> {
    let mut open: Vec<Open> = Vec::new();
    let mut root = None;
    for event in Parser::new_from_str(text.strip_prefix('\u{feff}').unwrap_or(text)) {
        let (event, span) = event.map_err(|error| {
            let reason = format!("this is not valid YAML: {}", error.info());
            Problem::new(position(error.marker()), "", reason)
        })?;
        let at = position(&span.start);
        let refused = |reason: &str| Err(Problem::new(at, "", reason));
        let done = match event {
            Event::Alias(_) => return refused(NO_ANCHORS),
            Event::Scalar(_, _, anchor, _)
            | Event::SequenceStart(anchor, _)
            | Event::MappingStart(anchor, _)
                if anchor != 0 =>
            {
                return refused(NO_ANCHORS);
            }
            Event::Scalar(_, _, _, Some(_))
            | Event::SequenceStart(_, Some(_))
            | Event::MappingStart(_, Some(_)) => {
                return refused("tags are not understood: leave it out");
            }
            Event::Scalar(text, style, ..) => {
                if let Some(Open::Map(_, _, name @ None)) = open.last_mut() {
                    *name = Some(text.into_owned());
                    continue;
                }
                let is_text = style != ScalarStyle::Plain || is_plain_text(&text);
                let held = if is_text {
                    Held::Text(text.into_owned())
                } else {
                    Held::NoText
                };
                Node { at, held }
            }
            Event::SequenceStart(..) | Event::MappingStart(..) => {
                if matches!(open.last(), Some(Open::Map(_, _, None))) {
                    return refused("a name must be a text");
                }
                if open.len() == DEPTH_MAX {
                    return refused("this stands too deep within other lists and maps");
                }
                open.push(match event {
                    Event::SequenceStart(..) => Open::List(at, Vec::new()),
                    _ => Open::Map(at, Vec::new(), None),
                });
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => match open.pop() {
                Some(Open::List(at, items)) => Node {
                    at,
                    held: Held::List(items),
                },
                Some(Open::Map(at, members, _)) => Node {
                    at,
                    held: Held::Map(members),
                },
                // The parser closes what it has opened.
                None => continue,
            },
            Event::DocumentStart(_) if root.is_some() => {
                return refused("a file is one document: remove the others");
            }
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => continue,
        };
        match open.last_mut() {
            None => root = Some(done),
            Some(Open::List(_, items)) => items.push(done),
            Some(Open::Map(_, members, name)) => {
                members.extend(name.take().map(|name| (name, done)));
            }
        }
    }
    root.ok_or_else(|| Problem::new(Position::START, "", "the file holds nothing"))
}

const NO_ANCHORS: &str = "anchors and aliases are not understood: write it out";

fn position(marker: &Marker) -> Position {
    Position {
        line: marker.line(),
        column: marker.col() + 1,
    }
}

/// Whether what stands without quotes is a text to YAML 1.2.
fn is_plain_text(text: &str) -> bool {
    let word = text.trim_start_matches(['+', '-']).to_ascii_lowercase();
    let is_other = match word.as_str() {
        "" | "~" | "null" | "true" | "false" | ".inf" | ".nan" => true,
        word if word.starts_with("0x") || word.starts_with("0o") => {
            word.bytes().skip(2).all(|byte| byte.is_ascii_hexdigit())
        }
        word => {
            word.starts_with(|first: char| first.is_ascii_digit() || first == '.')
                && word.parse::<f64>().is_ok()
        }
    };
    !is_other
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_yaml_takes_for_no_text_is_none() {
        for text in [
            "", "~", "null", "True", "false", "0042", "-1", "+1.5", "1e3", ".5", "0x1F", "0o17",
            ".inf", "-.INF", ".NaN",
        ] {
            assert!(!is_plain_text(text), "{text}");
        }
        for text in [
            "NO",
            "yes",
            "NW-0042",
            "1.2.3",
            "2026-01-01",
            "inf",
            "nan",
            "e3",
            "1e",
            "--a",
            "0xyz",
            ".",
            "11111111-0000-4000-8000-000000000001",
        ] {
            assert!(is_plain_text(text), "{text}");
        }
    }

    #[test]
    fn what_does_not_say_what_it_means_is_refused_at_its_place() {
        for (text, line, column) in [
            ("", 1, 1),
            ("# nothing\n", 1, 1),
            ("a: &x b", 1, 4),
            ("a: &x [b]\nc: *x", 1, 4),
            ("a: !!str b", 1, 4),
            ("a: 1\n---\nb: 2", 2, 1),
            ("? [a]\n: b", 1, 3),
            ("a: [b\n", 2, 1),
            ("b: a: c", 1, 5),
        ] {
            let problem = read(text).unwrap_err();
            let at = (problem.line, problem.column);
            assert_eq!(at, (line, column), "{text:?}: {problem}");
        }
    }

    #[test]
    fn lists_and_maps_stand_within_each_other_up_to_a_depth() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        for (depth, is_good) in [(7, true), (8, true), (9, false), (5_000, false)] {
            assert_eq!(read(&nested(depth)).is_ok(), is_good, "{depth}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_without_a_panic(text in "[-a:\\[\\]{}&*!?'\"|>#,\\n 0~\\\\\t]{0,40}") {
            let _ = read(&text);
        }
    }
}
