//! The short way for what files are mostly made of: `<Name>text</Name>`.
//!
//! An element of the format that holds text, written without attributes, references, comments or
//! anything else, is taken at once instead of as three tokens. Whatever is not exactly that, or
//! would break a rule, is left to the long way: the two agree on everything that both can read.

use crate::Element;
use crate::Occurs;
use crate::chars::blank_len;
use crate::machine::Machine;

impl Machine<'_> {
    /// Takes the plain elements that come next; gives the index after the last one.
    pub(crate) fn plain_elements(&mut self, from: usize) -> usize {
        let mut at = from;
        while let Some(end) = self.plain_element(at) {
            at = end;
        }
        at
    }

    fn plain_element(&mut self, at: usize) -> Option<usize> {
        let base = self.kept?;
        let depth = self.state.frames.len();
        let frame = self.state.frames.last_mut()?;
        let parent = frame.node.filter(|parent| !parent.holds_text())?;
        if !self.state.namespaces.default_known() || depth >= self.limits.depth {
            return None;
        }
        let text = self.window.text();
        let unread = text.get(at..)?;
        let blank = blank_len(unread);
        let start = at + blank;
        let tag = unread.get(blank..)?.strip_prefix('<')?;
        let (name, place, child) = child_of(parent, tag, frame.hint.into())?;
        let value = tag.get(name.len() + 1..)?;
        let length = value
            .bytes()
            .position(|byte| byte == b'<' || byte == b'&')?;
        let (value, rest) = value.split_at_checked(length)?;
        let rest = rest
            .strip_prefix("</")?
            .strip_prefix(name)?
            .strip_prefix('>')?;
        let end = text.len() - rest.len();

        let bit = 1_u32 << place;
        let once = child.occurs != Occurs::Many && frame.seen & bit == 0;
        let within = blank <= self.limits.text_bytes
            && length <= self.limits.text_bytes
            && end - base <= self.limits.transaction_bytes;
        let traits = self.window.traits();
        let special = traits.carriage_return || (traits.bracket && value.contains("]]>"));
        if special || !(once && within && child.element.holds_text()) {
            return None;
        }
        frame.seen |= bit;
        frame.hint = u8::try_from(place + 1).unwrap_or(0);
        let own = depth == self.work.capture.depth;
        let value_at = start + "<>".len() + name.len() - base;
        self.work
            .capture
            .plain_text(child.element, start - base, (value_at, length), own);
        Some(end)
    }
}

/// Longer than any name of the format.
const NAME_BYTES_MAX: usize = 32;

/// The child of the format that a tag without attributes begins, its name first.
fn child_of(
    parent: Element,
    tag: &str,
    hint: usize,
) -> Option<(&'static str, usize, crate::Child)> {
    let children = parent.children();
    if let Some(child) = children.get(hint)
        && tag
            .strip_prefix(child.name)
            .is_some_and(|rest| rest.starts_with('>'))
    {
        return Some((child.name, hint, *child));
    }
    let head = tag
        .as_bytes()
        .get(..NAME_BYTES_MAX)
        .unwrap_or(tag.as_bytes());
    let length = head.iter().position(|byte| *byte == b'>')?;
    let (place, child) = parent.find_child(tag.get(..length)?, hint)?;
    Some((child.name, place, child))
}
