//! Attributes and the XML declaration, read strictly.

use crate::FileRule;
use crate::chars::{is_space, push_normalized, resolve_reference, split_name};

/// What is wrong, and how many bytes into the piece.
pub(crate) type MarkupError = (FileRule, usize);

/// An attribute as written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Attribute<'a> {
    pub(crate) name: &'a str,
    /// Empty when there is none.
    pub(crate) prefix: &'a str,
    pub(crate) local: &'a str,
    /// Between the quotes, references not resolved.
    pub(crate) value: &'a str,
    /// Where the name begins in the piece.
    pub(crate) at: usize,
}

fn malformed(detail: &str, at: usize) -> MarkupError {
    let detail = detail.to_owned();
    (FileRule::Malformed { detail }, at)
}

/// Walks over the attributes of a tag, given everything between its name and its end.
pub(crate) struct Attributes<'a> {
    piece: &'a str,
    at: usize,
}

impl<'a> Attributes<'a> {
    pub(crate) fn new(piece: &'a str) -> Self {
        Self { piece, at: 0 }
    }

    fn rest(&self) -> &'a str {
        self.piece.get(self.at..).unwrap_or_default()
    }

    fn skip_space(&mut self) -> bool {
        let spaces = self
            .rest()
            .bytes()
            .take_while(|byte| is_space(*byte))
            .count();
        self.at += spaces;
        spaces > 0
    }

    /// The next attribute; none at the end.
    pub(crate) fn next(&mut self) -> Result<Option<Attribute<'a>>, MarkupError> {
        let spaced = self.skip_space();
        let rest = self.rest();
        if rest.is_empty() {
            return Ok(None);
        }
        if !spaced {
            return Err(malformed(
                "white space is missing before an attribute",
                self.at,
            ));
        }
        let at = self.at;
        let name_len = rest
            .find(['=', ' ', '\t', '\r', '\n'])
            .unwrap_or(rest.len());
        let (name, _) = rest.split_at(name_len);
        let Some((prefix, local)) = split_name(name) else {
            return Err(malformed("an attribute's name is not a name", at));
        };
        self.at += name_len;
        self.skip_space();
        if !self.rest().starts_with('=') {
            return Err(malformed("an attribute has no `=`", self.at));
        }
        self.at += 1;
        self.skip_space();
        let value = self.quoted()?;
        Ok(Some(Attribute {
            name,
            prefix,
            local,
            value,
            at,
        }))
    }

    fn quoted(&mut self) -> Result<&'a str, MarkupError> {
        let at = self.at;
        let mut chars = self.rest().chars();
        let quote = chars.next().filter(|c| matches!(c, '"' | '\''));
        let value = quote.and_then(|quote| chars.as_str().split_once(quote));
        let Some((value, _)) = value else {
            return Err(malformed("an attribute's value is not in quotes", at));
        };
        if value.contains('<') {
            return Err(malformed(
                "`<` in an attribute's value must be written `&lt;`",
                at,
            ));
        }
        self.at += value.len() + 2;
        Ok(value)
    }
}

/// Appends an attribute's value as XML hands it on: references resolved, literal white space
/// turned into blanks.
pub(crate) fn push_value(to: &mut String, value: &str) -> Result<(), FileRule> {
    let mut rest = value;
    while let Some((head, tail)) = rest.split_once('&') {
        push_literal(to, head);
        let Some((name, tail)) = tail.split_once(';') else {
            let detail = "`&` must be written `&amp;`".to_owned();
            return Err(FileRule::Malformed { detail });
        };
        to.push(resolve_reference(name).ok_or_else(|| undefined(name))?);
        rest = tail;
    }
    push_literal(to, rest);
    Ok(())
}

fn push_literal(to: &mut String, piece: &str) {
    if piece.bytes().any(|byte| byte < b' ') {
        let mut text = String::new();
        push_normalized(&mut text, piece);
        to.push_str(&text.replace(['\t', '\n'], " "));
    } else {
        to.push_str(piece);
    }
}

/// The rule that an unresolved reference breaks.
pub(crate) fn undefined(name: &str) -> FileRule {
    FileRule::ReferenceUndefined {
        name: crate::chars::excerpt(name),
    }
}

/// Reads what stands between `<?xml` and `?>`; gives the encoding it names.
pub(crate) fn read_declaration(piece: &str) -> Result<Option<&str>, MarkupError> {
    let wrong = |at| malformed("the XML declaration is not of its form", at);
    let mut attributes = Attributes::new(piece);
    let mut expected = ["version", "encoding", "standalone"].into_iter();
    let mut encoding = None;
    let mut versioned = false;
    while let Some(attribute) = attributes.next()? {
        // The three come in this order, the last two may be absent.
        if !expected.any(|name| name == attribute.name) {
            return Err(wrong(attribute.at));
        }
        let sound = match attribute.name {
            "version" => {
                versioned = true;
                attribute.value == "1.0"
            }
            "encoding" => {
                encoding = Some(attribute.value);
                versioned && is_encoding_name(attribute.value)
            }
            _ => versioned && matches!(attribute.value, "yes" | "no"),
        };
        if !sound {
            return Err(wrong(attribute.at));
        }
    }
    if versioned {
        Ok(encoding)
    } else {
        Err(wrong(0))
    }
}

fn is_encoding_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|byte| byte.is_ascii_alphabetic())
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(piece: &str) -> Result<Vec<(String, String)>, MarkupError> {
        let mut attributes = Attributes::new(piece);
        let mut read = Vec::new();
        while let Some(attribute) = attributes.next()? {
            let mut value = String::new();
            push_value(&mut value, attribute.value).map_err(|rule| (rule, attribute.at))?;
            read.push((attribute.name.to_owned(), value));
        }
        Ok(read)
    }

    #[test]
    fn attributes_are_names_with_quoted_values_and_space_between() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(names(""), Ok(vec![]));
        assert_eq!(names(" \r\n"), Ok(vec![]));
        let read = names(" a = '1>\"' b:c=\"&lt;\tx&#10;y\r\nz\" ");
        assert_eq!(read, Ok(vec![pair("a", "1>\""), pair("b:c", "< x\ny z")]));
        for piece in [
            " a",
            " a=",
            " a=1",
            " a='1",
            " a='1'b='2'",
            " a='<'",
            " a='&'",
            " a='&x;'",
            " 1='1'",
            " a:b:c='1'",
            "a='1'",
            " ='1'",
            " a=\"1'",
            " /",
            " a='&#0;'",
        ] {
            assert!(names(piece).is_err(), "{piece}");
        }
    }

    #[test]
    fn a_declaration_has_a_version_then_perhaps_an_encoding_and_standalone() {
        assert_eq!(read_declaration(" version='1.0'"), Ok(None));
        let full = " version=\"1.0\" encoding=\"UTF-8\" standalone='yes' ";
        assert_eq!(read_declaration(full), Ok(Some("UTF-8")));
        for piece in [
            "",
            " ",
            " encoding='UTF-8'",
            " version='1.1'",
            " version='1.0' encoding=''",
            " encoding='UTF-8' version='1.0'",
            " version='1.0' version='1.0'",
            " version='1.0' standalone='maybe'",
            " version='1.0' encoding='é'",
            " version='1.0' x='1'",
            "version='1.0'",
        ] {
            assert!(read_declaration(piece).is_err(), "{piece}");
        }
    }
}
