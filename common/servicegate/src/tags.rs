//! Tags: names, attributes, namespaces, and the place that an element has in the format.

use quick_xml::events::BytesStart;
use weir_domain::ErrorCode;

use crate::chars::{excerpt, is_blank, split_name};
use crate::element::{Child, NAME_ATTRIBUTE, VERSION_ATTRIBUTE};
use crate::machine::{Flaw, Flow, Machine};
use crate::markup::{Attributes, push_value};
use crate::state::{Frame, Phase};
use crate::{Element, FileRule, Limit, Occurs, VERSION};

/// What a tag says beyond its name.
#[derive(Default)]
struct Tag<'a> {
    name: &'a str,
    /// Whether it has attributes at all.
    attributes: Option<&'a str>,
    at: usize,
}

impl Machine<'_> {
    pub(crate) fn start(&mut self, tag: &BytesStart<'_>, at: usize) -> Result<Flow, Flaw> {
        if self.state.frames.len() >= self.limits.depth {
            return Err(Flaw::limit(Limit::Depth, self.limits.depth as u64, at));
        }
        let raw = tag.attributes_raw();
        let tag = Tag {
            name: tag.name().into_inner(),
            attributes: (!is_blank(raw)).then_some(raw),
            at,
        };
        self.check_name(tag.name, at)?;
        let bindings = self.state.namespaces.len();
        if let Some(raw) = tag.attributes {
            self.attributes(raw, at + 1 + tag.name.len())?;
        }
        let mut frame = Frame {
            node: None,
            name_start: small(self.state.names.len()),
            bindings: small(bindings),
            seen: 0,
            hint: 0,
            repeated: 0,
            index: 0,
        };
        let repeated = match self.state.frames.last().copied() {
            None => {
                self.root(&tag)?;
                frame.node = Some(Element::SettlementFile);
                None
            }
            Some(Frame { node: None, .. }) => {
                self.known_name(&tag)?;
                None
            }
            Some(Frame {
                node: Some(parent), ..
            }) => {
                let found = self.child(parent, &tag)?;
                if self.header_is_wanted(found) {
                    self.state.namespaces.truncate(bindings);
                    return Ok(Flow::LookAhead);
                }
                self.place_child(parent, found, &mut frame)
            }
        };
        if frame.node.is_none_or(|element| element.name() != tag.name) {
            self.state.names.push_str(tag.name);
        }
        self.state.frames.push(frame);
        if let Some(element) = repeated {
            return Ok(self.repeated(element, at));
        }
        if let Some(element) = frame.node {
            self.begin(element, &frame, &tag)?;
        }
        Ok(Flow::Go)
    }

    fn check_name(&self, name: &str, at: usize) -> Result<(), Flaw> {
        let max = self.limits.name_bytes;
        if name.len() > max {
            return Err(Flaw::limit(Limit::NameBytes, max as u64, at));
        }
        Ok(())
    }

    fn root(&mut self, tag: &Tag<'_>) -> Result<(), Flaw> {
        if self.state.phase == Phase::Epilog {
            return Err(Flaw::new(FileRule::ContentAfterRoot, tag.at));
        }
        let known = self.known_name(tag)?;
        if known != Some(Element::SettlementFile.name()) {
            let found = excerpt(tag.name);
            return Err(Flaw::new(FileRule::RootUnknown { found }, tag.at));
        }
        let found = Self::attribute(tag, VERSION_ATTRIBUTE);
        if found.as_deref() != Some(VERSION) {
            let found = found.as_deref().map(excerpt);
            return Err(Flaw::new(FileRule::VersionUnknown { found }, tag.at));
        }
        self.state.phase = Phase::Root;
        Ok(())
    }

    /// The local name of a tag when it is in the format's namespace or in none.
    fn known_name<'t>(&self, tag: &Tag<'t>) -> Result<Option<&'t str>, Flaw> {
        let Some((prefix, local)) = split_name(tag.name) else {
            let detail = "this is not the name of an element";
            return Err(Flaw::malformed(detail, tag.at));
        };
        match self.state.namespaces.knows(prefix) {
            Some(known) => Ok(known.then_some(local)),
            None => Err(unbound(prefix, tag.at)),
        }
    }

    fn child(&self, parent: Element, tag: &Tag<'_>) -> Result<Option<(usize, Child)>, Flaw> {
        let hint = self
            .state
            .frames
            .last()
            .map_or(0, |frame| frame.hint.into());
        // A name of the format has no colon and is a legal name.
        if self.state.namespaces.default_known()
            && let Some(found) = parent.find_child(tag.name, hint)
        {
            return Ok(Some(found));
        }
        let known = self.known_name(tag)?;
        Ok(known.and_then(|local| parent.find_child(local, hint)))
    }

    /// Enters a child into its parent's list; gives it back when it may not stand again.
    fn place_child(
        &mut self,
        parent: Element,
        found: Option<(usize, Child)>,
        frame: &mut Frame,
    ) -> Option<Element> {
        let Some((place, child)) = found else {
            self.text_only(parent);
            return None;
        };
        let index = self.next_index(parent, child);
        let outer = self.state.frames.last_mut()?;
        let bit = 1_u32 << place;
        if child.occurs != Occurs::Many && outer.seen & bit != 0 {
            return Some(child.element);
        }
        outer.seen |= bit;
        let next = if child.occurs == Occurs::Many {
            place
        } else {
            place + 1
        };
        outer.hint = u8::try_from(next).unwrap_or(0);
        if index > 0 {
            outer.repeated = index;
        }
        if !self.passes_over(child.element) {
            frame.index = index;
            frame.node = Some(child.element);
        }
        None
    }

    /// The number of a repeatable child: each kind is counted by itself.
    fn next_index(&self, parent: Element, child: Child) -> u32 {
        if child.occurs != Occurs::Many {
            return 0;
        }
        let before = match (parent, child.element) {
            (Element::Batch, element) => self.state.batch.as_ref().map_or(0, |batch| {
                if element == Element::Charge {
                    batch.charges
                } else {
                    batch.refunds
                }
            }),
            (Element::SettlementFile, _) => self.state.batches,
            _ => self.state.frames.last().map_or(0, |frame| frame.repeated),
        };
        before.saturating_add(1)
    }

    /// An element within a text.
    fn text_only(&mut self, parent: Element) {
        if parent.holds_text() && self.work.capture.active() {
            let at = self.work.capture.text_at() + self.kept.unwrap_or_default();
            let why = (
                ErrorCode::FormatInvalid,
                "must hold text alone: an element stands in it",
            );
            self.fault(at, parent, self.state.path(), why);
        }
    }

    fn repeated(&mut self, element: Element, at: usize) -> Flow {
        // The path names the element although it is passed over from here on.
        let path = self.state.path();
        if self.work.capture.active() {
            let why = (
                ErrorCode::ElementRepeated,
                "stands more than once: keep one",
            );
            self.fault(at, element, path, why);
            return Flow::Go;
        }
        self.problem(FileRule::ElementRepeated { element }, at, path);
        Flow::Stop
    }

    /// Reads a tag's attributes: names, values, limits; binds the namespaces they declare.
    fn attributes(&mut self, raw: &str, base: usize) -> Result<(), Flaw> {
        let flaw = |(rule, at): (FileRule, usize)| Flaw::new(rule, base + at);
        let mut attributes = Attributes::new(raw);
        let mut count = 0;
        self.work.attribute_names.clear();
        while let Some(attribute) = attributes.next().map_err(flaw)? {
            let at = base + attribute.at;
            count += 1;
            if count > self.limits.attributes_per_element {
                let max = self.limits.attributes_per_element as u64;
                return Err(Flaw::limit(Limit::AttributesPerElement, max, at));
            }
            if attribute.value.len() > self.limits.text_bytes {
                return Err(self.text_limit(at));
            }
            self.check_name(attribute.name, at)?;
            self.work.value.clear();
            push_value(&mut self.work.value, attribute.value)
                .map_err(|rule| Flaw::new(rule, at))?;
            let declared = match (attribute.prefix, attribute.local) {
                ("", "xmlns") => Some(""),
                ("xmlns", prefix) => Some(prefix),
                _ => None,
            };
            if let Some(prefix) = declared {
                self.check_name(&self.work.value, at)?;
                let bound = self.state.namespaces.bind(prefix, &self.work.value);
                bound.map_err(|detail| Flaw::malformed(detail, at))?;
            }
            let name = (attribute.prefix.to_owned(), attribute.local.to_owned());
            if self.work.attribute_names.contains(&name) {
                return Err(repeated_attribute(attribute.name, at));
            }
            self.work.attribute_names.push(name);
        }
        self.expanded_names(base)
    }

    /// Prefixes of attributes are bound, and no two lead to the same name.
    fn expanded_names(&self, at: usize) -> Result<(), Flaw> {
        let mut seen: Vec<(&str, &str)> = Vec::new();
        for (prefix, local) in &self.work.attribute_names {
            if prefix.is_empty() || prefix == "xmlns" {
                continue;
            }
            let uri = self.state.namespaces.uri_of(prefix);
            let expanded = (uri.ok_or_else(|| unbound(prefix, at))?, local.as_str());
            if seen.contains(&expanded) {
                return Err(repeated_attribute(local, at));
            }
            seen.push(expanded);
        }
        Ok(())
    }

    /// The value of an attribute without a prefix.
    fn attribute(tag: &Tag<'_>, name: &str) -> Option<String> {
        let mut attributes = Attributes::new(tag.attributes?);
        while let Ok(Some(attribute)) = attributes.next() {
            if attribute.name == name {
                let mut value = String::new();
                push_value(&mut value, attribute.value).ok()?;
                return Some(value);
            }
        }
        None
    }

    /// What an element of the format sets going.
    fn begin(&mut self, element: Element, frame: &Frame, tag: &Tag<'_>) -> Result<(), Flaw> {
        match element {
            Element::SettlementFile => Ok(()),
            Element::Batch => self.begin_batch(tag.at),
            Element::FileHeader | Element::BatchHeader | Element::Charge | Element::Refund => {
                self.begin_capture(element, tag.at)
            }
            _ => {
                let at = tag.at - self.kept.unwrap_or(tag.at);
                if !element.holds_text() {
                    self.work.capture.open(element, frame.index, at);
                    return Ok(());
                }
                if element == Element::Item {
                    self.item_name(frame.index, tag);
                }
                self.work.capture.open_text(at);
                Ok(())
            }
        }
    }

    fn item_name(&mut self, index: u32, tag: &Tag<'_>) {
        let at = tag.at - self.kept.unwrap_or(tag.at);
        if let Some(name) = Self::attribute(tag, NAME_ATTRIBUTE) {
            self.work.capture.item_name(index, at, &name);
        } else {
            let path = format!("{}/@{NAME_ATTRIBUTE}", self.state.path());
            let why = (ErrorCode::ElementMissing, "has no attribute `name`: add it");
            self.fault(tag.at, Element::Item, path, why);
        }
    }

    pub(crate) fn end(&mut self, name: &str, at: usize, end: usize) -> Result<Flow, Flaw> {
        let depth = self.state.frames.len();
        let expected = match depth.checked_sub(1) {
            Some(top) => self.state.name_of(top),
            None => return Err(Flaw::malformed("this end tag ends nothing", at)),
        };
        if name != expected {
            let (expected, found) = (excerpt(expected), excerpt(name));
            return Err(Flaw::new(
                FileRule::EndTagMismatched { expected, found },
                at,
            ));
        }
        self.close(at, end)
    }

    /// The open element ends; `at` is where its end tag begins.
    pub(crate) fn close(&mut self, at: usize, end: usize) -> Result<Flow, Flaw> {
        let Some(frame) = self.state.frames.last().copied() else {
            return Ok(Flow::Go);
        };
        let flow = match frame.node {
            Some(element) => self.finish(element, &frame, at, end)?,
            None => Flow::Go,
        };
        self.state.frames.pop();
        self.state.names.truncate(frame.name_start as usize);
        self.state.namespaces.truncate(frame.bindings as usize);
        Ok(flow)
    }
}

fn unbound(prefix: &str, at: usize) -> Flaw {
    let prefix = excerpt(prefix);
    Flaw::new(FileRule::PrefixUnbound { prefix }, at)
}

fn repeated_attribute(name: &str, at: usize) -> Flaw {
    let name = excerpt(name);
    Flaw::new(FileRule::AttributeRepeated { name }, at)
}

/// Lengths here are bounded by the limits, far below 32 bits.
fn small(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}
