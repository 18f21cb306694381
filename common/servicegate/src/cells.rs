//! A charge or refund as named cells, for people who mend it in a table.
//!
//! A column is an element that holds text and stands in a charge or refund, or in its vehicle; what
//! holds more elements is one cell of JSON. Columns are called as the elements are, in small letters
//! with underscores: `order_number`, `vehicle_odometer`, `lines`. Values are the texts of the file,
//! right or wrong, so that what could not be taken can be seen and mended.
//!
//! What the format does not know has no cell. An element that stands twice keeps its first text.

use quick_xml::events::Event;
use serde_json::{Map, Value};

use crate::Element;
use crate::chars::{push_normalized, trim};
use crate::element::NAME_ATTRIBUTE;

/// Containers whose elements have columns of their own.
pub(crate) const SPREAD: [Element; 1] = [Element::Vehicle];

/// A column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// The element that its cells hold.
    pub element: Element,
    /// The container that it stands in, unless that is the charge or refund itself.
    pub within: Option<Element>,
}

impl Column {
    /// Every column, those of a charge first, in the order of the format.
    pub fn all() -> Vec<Self> {
        let mut columns: Vec<Self> = Vec::new();
        for record in [Element::Charge, Element::Refund] {
            for child in record.children() {
                let element = child.element;
                let found: Vec<Self> = if SPREAD.contains(&element) {
                    let inner = element.children().iter();
                    let name = |child| format!("{}_{}", snake(element), snake(child));
                    inner
                        .map(|child| Self {
                            name: name(child.element),
                            element: child.element,
                            within: Some(element),
                        })
                        .collect()
                } else {
                    vec![Self {
                        name: snake(element),
                        element,
                        within: None,
                    }]
                };
                for column in found {
                    if !columns.contains(&column) {
                        columns.push(column);
                    }
                }
            }
        }
        columns
    }
}

/// `OrderNumber` as `order_number`.
pub(crate) fn snake(element: Element) -> String {
    let mut name = String::new();
    let mut was_small = false;
    for letter in element.name().chars() {
        if letter.is_ascii_uppercase() && was_small {
            name.push('_');
        }
        was_small = !letter.is_ascii_uppercase();
        name.push(letter.to_ascii_lowercase());
    }
    name
}

/// The cells of a record's element, as it stands in the file, in the order of [`Column::all`]; one
/// that the record has not is `None`. `None` for a text that is no such element.
pub fn cells_of(xml: &str) -> Option<Vec<Option<String>>> {
    let root = read(xml)?;
    let cell = |column: &Column| {
        let parent = match column.within {
            None => &root,
            Some(within) => root.child(within)?,
        };
        let node = parent.child(column.element)?;
        Some(if column.element.holds_text() {
            trim(&node.text).to_owned()
        } else {
            node.to_json().to_string()
        })
    };
    Some(Column::all().iter().map(cell).collect())
}

/// An element that is being read.
#[derive(Debug)]
struct Node {
    element: Element,
    /// What an `Item` is called.
    name: Option<String>,
    text: String,
    children: Vec<Node>,
}

impl Node {
    fn child(&self, element: Element) -> Option<&Self> {
        self.children.iter().find(|child| child.element == element)
    }

    /// A list of what can stand many times, an object of what can stand once, else the text.
    fn to_json(&self) -> Value {
        if self.element == Element::Item {
            let name = self.name.as_deref().unwrap_or_default();
            return serde_json::json!({ "name": name, "value": trim(&self.text) });
        }
        let children = self.element.children();
        if children.is_empty() {
            return Value::String(trim(&self.text).to_owned());
        }
        if children
            .iter()
            .all(|child| child.occurs == crate::Occurs::Many)
        {
            return Value::Array(self.children.iter().map(Self::to_json).collect());
        }
        let mut object = Map::new();
        for child in &self.children {
            object
                .entry(snake(child.element))
                .or_insert_with(|| child.to_json());
        }
        Value::Object(object)
    }
}

/// What a tree of open elements holds: the known ones, and how deep an unknown one goes.
#[derive(Debug, Default)]
struct Tree {
    open: Vec<Node>,
    unknown: usize,
    root: Option<Node>,
}

/// Reads a charge or refund. Its text has been through the reader of the format, so nothing that a
/// file may not hold is in it.
fn read(xml: &str) -> Option<Node> {
    let mut reader = quick_xml::Reader::from_str(xml);
    let mut tree = Tree::default();
    loop {
        match reader.read_event().ok()? {
            Event::Start(tag) => tree.start(&tag)?,
            Event::Empty(tag) => {
                tree.start(&tag)?;
                tree.end();
            }
            Event::End(_) => tree.end(),
            Event::Text(text) => tree.text(&normalized(&text)),
            Event::CData(text) => tree.text(&normalized(&text)),
            Event::GeneralRef(reference) => tree.text(&resolved(&reference)?),
            Event::Eof => return tree.root,
            _ => {}
        }
    }
}

/// A piece of text with its line ends as the reader hands them on.
fn normalized(piece: &str) -> String {
    let mut text = String::new();
    push_normalized(&mut text, piece);
    text
}

/// The character that a reference stands for.
fn resolved(reference: &quick_xml::events::BytesRef<'_>) -> Option<String> {
    if let Some(letter) = reference.resolve_char_ref().ok()? {
        return Some(letter.to_string());
    }
    let known = quick_xml::escape::resolve_predefined_entity(reference)?;
    Some(known.to_owned())
}

impl Tree {
    fn start(&mut self, tag: &quick_xml::events::BytesStart<'_>) -> Option<()> {
        let name = tag.name().into_inner();
        let local = name.rsplit(':').next().unwrap_or(name);
        let known = match self.open.last() {
            None => [Element::Charge, Element::Refund]
                .into_iter()
                .find(|element| element.name() == local),
            Some(_) if self.unknown > 0 => None,
            Some(parent) => parent
                .element
                .find_child(local, 0)
                .map(|(_, child)| child.element),
        };
        let Some(element) = known else {
            // Nothing but a charge or refund is asked for.
            self.open.last()?;
            self.unknown += 1;
            return Some(());
        };
        let is_name = |attribute: &quick_xml::events::attributes::Attribute<'_>| {
            attribute.key.into_inner() == NAME_ATTRIBUTE
        };
        let attribute = tag.attributes().flatten().find(is_name);
        let name = attribute.and_then(|attribute| {
            let value = quick_xml::escape::unescape(&attribute.value).ok()?;
            Some(value.into_owned())
        });
        self.open.push(Node {
            element,
            name,
            text: String::new(),
            children: Vec::new(),
        });
        Some(())
    }

    fn text(&mut self, text: &str) {
        if let Some(node) = self.open.last_mut().filter(|_| self.unknown == 0) {
            node.text.push_str(text);
        }
    }

    fn end(&mut self) {
        if self.unknown > 0 {
            self.unknown -= 1;
            return;
        }
        let Some(node) = self.open.pop() else {
            return;
        };
        match self.open.last_mut() {
            Some(parent) => parent.children.push(node),
            None => self.root = Some(node),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(xml: &str, name: &str) -> Option<String> {
        let place = Column::all().iter().position(|column| column.name == name);
        cells_of(xml).unwrap().remove(place.unwrap())
    }

    #[test]
    fn every_element_of_a_charge_or_refund_has_one_column() {
        let names: Vec<String> = Column::all()
            .into_iter()
            .map(|column| column.name)
            .collect();
        let expected = [
            "order_number",
            "po_number",
            "customer_id",
            "buyer_id",
            "authorization_id",
            "previous_charge_id",
            "currency",
            "total_amount",
            "tax_amount",
            "discount_amount",
            "shipping_amount",
            "shipping_tax_amount",
            "shipping_discount_amount",
            "shipping_tax_details",
            "order_url",
            "comment",
            "seller_tax_invoice_number",
            "seller_tax_invoice_url",
            "lines",
            "ship_to",
            "supplier",
            "vehicle_odometer",
            "vehicle_identification_number",
            "vehicle_unit_number",
            "metadata",
            "charge_id",
            "refund_reason",
            "refund_comment",
        ];
        assert_eq!(names, expected);
    }

    #[test]
    fn a_text_is_shown_as_the_file_has_it_right_or_wrong() {
        let xml = "<sg:Charge xmlns:sg='urn:x'><sg:OrderNumber> A &amp; B&#33; </sg:OrderNumber>\
                   <sg:TotalAmount>twelve</sg:TotalAmount><BuyerId><![CDATA[<me>]]></BuyerId>\
                   <Comment/></sg:Charge>";
        assert_eq!(cell(xml, "order_number").unwrap(), "A & B!");
        assert_eq!(cell(xml, "total_amount").unwrap(), "twelve");
        assert_eq!(cell(xml, "buyer_id").unwrap(), "<me>");
        assert_eq!(cell(xml, "comment").unwrap(), "");
        assert_eq!(cell(xml, "po_number"), None);
    }

    #[test]
    fn what_holds_elements_is_json() {
        let xml = "<Charge><Lines><Line><Sku>1</Sku><TaxDetails><TaxDetail><TaxRate>7</TaxRate>\
                   </TaxDetail></TaxDetails></Line><Line/></Lines><ShipTo><CompanyAddress>\
                   <City>Lyon</City></CompanyAddress></ShipTo><Metadata><Item name='a&amp;b'>c\
                   </Item></Metadata><Vehicle><Odometer>5</Odometer></Vehicle></Charge>";
        let lines = r#"[{"sku":"1","tax_details":[{"tax_rate":"7"}]},{}]"#;
        assert_eq!(cell(xml, "lines").unwrap(), lines);
        let ship_to = r#"{"company_address":{"city":"Lyon"}}"#;
        assert_eq!(cell(xml, "ship_to").unwrap(), ship_to);
        assert_eq!(
            cell(xml, "metadata").unwrap(),
            r#"[{"name":"a&b","value":"c"}]"#
        );
        assert_eq!(cell(xml, "vehicle_odometer").unwrap(), "5");
    }

    #[test]
    fn what_the_format_does_not_know_has_no_cell() {
        let xml = "<Refund><Extra><OrderNumber>no</OrderNumber></Extra>\
                   <OrderNumber>yes</OrderNumber><OrderNumber>again</OrderNumber></Refund>";
        assert_eq!(cell(xml, "order_number").unwrap(), "yes");
        assert_eq!(cells_of("<Batch/>"), None);
        assert_eq!(cells_of(""), None);
        assert_eq!(cells_of("<Charge>"), None);
    }
}
