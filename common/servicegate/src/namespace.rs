//! Namespace bindings in scope.

use serde::{Deserialize, Serialize};

use crate::NAMESPACE;

const XML_URI: &str = "http://www.w3.org/XML/1998/namespace";
const XMLNS_URI: &str = "http://www.w3.org/2000/xmlns/";

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Binding {
    /// Empty for the default namespace.
    prefix: String,
    uri: String,
}

/// The bindings of all open elements, outermost first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Namespaces {
    bindings: Vec<Binding>,
    /// Whether an element without a prefix is in the format's namespace or in none.
    default_known: bool,
}

impl Default for Namespaces {
    fn default() -> Self {
        Self {
            bindings: Vec::new(),
            default_known: true,
        }
    }
}

/// Whether an element of this namespace is one of the format.
fn is_known(uri: &str) -> bool {
    uri.is_empty() || uri == NAMESPACE
}

impl Namespaces {
    pub(crate) fn len(&self) -> usize {
        self.bindings.len()
    }

    /// Binds a prefix (empty: the default namespace); says what is wrong with the declaration.
    pub(crate) fn bind(&mut self, prefix: &str, uri: &str) -> Result<(), &'static str> {
        match (prefix, uri) {
            ("xml", XML_URI) => return Ok(()),
            ("xml" | "xmlns", _) => return Err("the prefixes `xml` and `xmlns` cannot be bound"),
            (_, XML_URI | XMLNS_URI) => return Err("XML's own namespaces cannot be bound"),
            ("", _) => {}
            (_, "") => return Err("a prefix cannot be bound to no namespace"),
            _ => {}
        }
        self.bindings.push(Binding {
            prefix: prefix.to_owned(),
            uri: uri.to_owned(),
        });
        self.refresh();
        Ok(())
    }

    /// Drops the bindings beyond the first `count`.
    pub(crate) fn truncate(&mut self, count: usize) {
        if self.bindings.len() > count {
            self.bindings.truncate(count);
            self.refresh();
        }
    }

    fn refresh(&mut self) {
        self.default_known = self.uri_of("").is_none_or(is_known);
    }

    /// The namespace of a prefix in scope.
    pub(crate) fn uri_of(&self, prefix: &str) -> Option<&str> {
        if prefix == "xml" {
            return Some(XML_URI);
        }
        let mut inner_first = self.bindings.iter().rev();
        inner_first
            .find(|binding| binding.prefix == prefix)
            .map(|binding| binding.uri.as_str())
    }

    /// Whether elements without a prefix are the format's.
    pub(crate) fn default_known(&self) -> bool {
        self.default_known
    }

    /// Whether elements of a prefix are the format's; none when the prefix is not bound.
    pub(crate) fn knows(&self, prefix: &str) -> Option<bool> {
        if prefix.is_empty() {
            return Some(self.default_known);
        }
        self.uri_of(prefix).map(is_known)
    }
}
