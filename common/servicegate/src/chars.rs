//! Which characters and names XML 1.0 allows.

/// XML's own white space, and nothing else of Unicode's.
pub(crate) fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

/// Whether a text is nothing but white space.
pub(crate) fn is_blank(text: &str) -> bool {
    text.bytes().all(is_space)
}

/// How much white space a text begins with.
pub(crate) fn blank_len(text: &str) -> usize {
    text.bytes().take_while(|byte| is_space(*byte)).count()
}

/// The text without white space at either end.
pub(crate) fn trim(text: &str) -> &str {
    let outer = |byte: Option<&u8>| byte.is_some_and(|byte| is_space(*byte));
    let bytes = text.as_bytes();
    if outer(bytes.first()) || outer(bytes.last()) {
        text.trim_matches([' ', '\t', '\r', '\n'])
    } else {
        text
    }
}

/// Production `Char`.
pub(crate) fn is_xml_char(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{FFFD}' | '\u{10000}'..)
}

/// Production `NameStartChar` without the colon.
fn is_name_start(c: char) -> bool {
    matches!(c, 'A'..='Z' | 'a'..='z' | '_' | '\u{C0}'..='\u{D6}' | '\u{D8}'..='\u{F6}'
        | '\u{F8}'..='\u{2FF}' | '\u{370}'..='\u{37D}' | '\u{37F}'..='\u{1FFF}'
        | '\u{200C}'..='\u{200D}' | '\u{2070}'..='\u{218F}' | '\u{2C00}'..='\u{2FEF}'
        | '\u{3001}'..='\u{D7FF}' | '\u{F900}'..='\u{FDCF}' | '\u{FDF0}'..='\u{FFFD}'
        | '\u{10000}'..='\u{EFFFF}')
}

/// Production `NameChar` without the colon.
fn is_name_char(c: char) -> bool {
    is_name_start(c)
        || matches!(c, '-' | '.' | '0'..='9' | '\u{B7}' | '\u{300}'..='\u{36F}'
            | '\u{203F}'..='\u{2040}')
}

/// A name without a colon.
pub(crate) fn is_plain_name(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(is_name_start) && chars.all(is_name_char)
}

/// Splits a qualified name into prefix (empty when there is none) and local part; `None` when it
/// is not one.
pub(crate) fn split_name(name: &str) -> Option<(&str, &str)> {
    match name.split_once(':') {
        Some((prefix, local)) => {
            (is_plain_name(prefix) && is_plain_name(local)).then_some((prefix, local))
        }
        None => is_plain_name(name).then_some(("", name)),
    }
}

/// The character that a reference such as `amp` or `#x41` (without `&` and `;`) stands for.
pub(crate) fn resolve_reference(name: &str) -> Option<char> {
    match name {
        "amp" => return Some('&'),
        "lt" => return Some('<'),
        "gt" => return Some('>'),
        "quot" => return Some('"'),
        "apos" => return Some('\''),
        _ => {}
    }
    let number = name.strip_prefix('#')?;
    let (digits, radix) = match number.strip_prefix('x') {
        Some(digits) => (digits, 16),
        None => (number, 10),
    };
    // `from_str_radix` would take a sign.
    if digits.is_empty() || !digits.chars().all(|c| c.is_digit(radix)) {
        return None;
    }
    // Leading zeros are legal in any number, so an overflow can only be a real one.
    let code = u32::from_str_radix(digits, radix).ok()?;
    char::from_u32(code).filter(|c| is_xml_char(*c))
}

/// Appends a literal piece of the file with its line ends as XML hands them on: CR LF and a lone
/// CR become LF.
pub(crate) fn push_normalized(to: &mut String, piece: &str) {
    if !piece.contains('\r') {
        to.push_str(piece);
        return;
    }
    let mut rest = piece;
    while let Some((head, tail)) = rest.split_once('\r') {
        to.push_str(head);
        to.push('\n');
        rest = tail.strip_prefix('\n').unwrap_or(tail);
    }
    to.push_str(rest);
}

/// At most forty characters of a text for a message, so that no message grows with its input.
pub(crate) fn excerpt(text: &str) -> String {
    const CHARACTERS_MAX: usize = 40;
    let mut excerpt: String = text.chars().take(CHARACTERS_MAX).collect();
    if excerpt.len() < text.len() {
        excerpt.push('…');
    }
    excerpt
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_one_of_five_names_or_a_number_of_an_allowed_character() {
        for (name, c) in [
            ("amp", '&'),
            ("lt", '<'),
            ("gt", '>'),
            ("quot", '"'),
            ("apos", '\''),
            ("#65", 'A'),
            ("#x41", 'A'),
            ("#x0041", 'A'),
            ("#x1F600", '😀'),
            ("#9", '\t'),
        ] {
            assert_eq!(resolve_reference(name), Some(c), "{name}");
        }
        for name in [
            "",
            "nbsp",
            "#",
            "#x",
            "#0",
            "#x1",
            "#xB",
            "#xD800",
            "#xFFFE",
            "#xFFFF",
            "#x110000",
            "#+65",
            "#x+41",
            "#X41",
            "# 65",
            "#-1",
            "#99999999999",
        ] {
            assert_eq!(resolve_reference(name), None, "{name}");
        }
    }

    #[test]
    fn a_name_begins_with_a_letter_and_has_at_most_one_colon() {
        assert_eq!(split_name("Charge"), Some(("", "Charge")));
        assert_eq!(split_name("sg:Charge"), Some(("sg", "Charge")));
        assert_eq!(split_name("élan-1.x"), Some(("", "élan-1.x")));
        for name in [
            "", ":", "a:", ":a", "a:b:c", "1a", "-a", "a b", "a/b", "a<", "\u{D7}",
        ] {
            assert_eq!(split_name(name), None, "{name}");
        }
    }

    #[test]
    fn line_ends_become_line_feeds() {
        let mut text = String::new();
        push_normalized(&mut text, "a\r\nb\rc\n\r\r\nd");
        assert_eq!(text, "a\nb\nc\n\n\nd");
    }
}
