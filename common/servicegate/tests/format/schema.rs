//! The schema and the sample files belong to the same table.

use std::collections::BTreeSet;

use crate::support::golden;
use weir_servicegate::{Element, METADATA_ITEMS_MAX, NAMESPACE, Occurs, VERSION};

const SCHEMA: &str = include_str!("../../servicegate-v2.xsd");

/// The values of an attribute in the schema's own elements.
fn values<'a>(tag: &str, attribute: &str) -> Vec<&'a str> {
    SCHEMA
        .split('<')
        .filter(|piece| piece.starts_with(tag))
        .filter_map(|piece| piece.split_once(&format!(" {attribute}=\"")))
        .filter_map(|(_, rest)| rest.split_once('"'))
        .map(|(value, _)| value)
        .collect()
}

#[test]
fn the_schema_names_every_element_and_no_other() {
    let named: BTreeSet<&str> = values("xs:element", "name").into_iter().collect();
    let known: BTreeSet<&str> = Element::ALL.iter().map(|element| element.name()).collect();
    assert_eq!(named, known);
}

/// The elements in the definition of a type, in order, and whether each is required.
fn defined(type_name: &str) -> Vec<(String, bool, bool)> {
    let opening = format!("<xs:complexType name=\"{type_name}\">");
    let (_, rest) = SCHEMA.split_once(&opening).unwrap();
    let (body, _) = rest.split_once("</xs:complexType>").unwrap();
    body.split("<xs:element ")
        .skip(1)
        .map(|piece| {
            let tag = piece.split('>').next().unwrap();
            let name = tag.split('"').nth(1).unwrap().to_owned();
            (
                name,
                !tag.contains("minOccurs=\"0\""),
                tag.contains("maxOccurs"),
            )
        })
        .collect()
}

#[test]
fn the_schema_has_the_same_children_in_the_writers_order() {
    let types = [
        (Element::SettlementFile, "SettlementFileType"),
        (Element::FileHeader, "FileHeaderType"),
        (Element::Batch, "BatchType"),
        (Element::BatchHeader, "BatchHeaderType"),
        (Element::Charge, "ChargeType"),
        (Element::Refund, "RefundType"),
        (Element::Lines, "LineList"),
        (Element::Line, "LineType"),
        (Element::ShippingTaxDetails, "TaxDetailList"),
        (Element::TaxDetails, "TaxDetailList"),
        (Element::TaxDetail, "TaxDetailType"),
        (Element::ShipTo, "ShipToType"),
        (Element::Supplier, "SupplierType"),
        (Element::CompanyAddress, "AddressType"),
        (Element::Tracking, "TrackingType"),
        (Element::Vehicle, "VehicleType"),
        (Element::Metadata, "MetadataType"),
    ];
    for (element, type_name) in types {
        let children = element.children();
        let names: Vec<&str> = children.iter().map(|child| child.element.name()).collect();
        let defined = defined(type_name);
        assert_eq!(
            defined.iter().map(|(name, ..)| name).collect::<Vec<_>>(),
            names,
            "{type_name}"
        );
        for (child, (name, required, _)) in children.iter().zip(&defined) {
            // A choice between two says by itself that one is needed.
            let chosen = ["SellerId", "AlternateSellerId", "Charge", "Refund", "Batch"];
            if !chosen.contains(&name.as_str()) {
                assert_eq!(
                    *required,
                    child.occurs == Occurs::Required,
                    "{type_name}: {name}"
                );
            }
        }
    }
    let with_children = Element::ALL
        .iter()
        .filter(|element| !element.children().is_empty());
    assert_eq!(with_children.count(), types.len());
}

#[test]
fn the_schema_states_namespace_version_and_limits() {
    assert!(SCHEMA.contains(&format!("targetNamespace=\"{NAMESPACE}\"")));
    assert!(SCHEMA.contains(&format!("fixed=\"{VERSION}\"")));
    assert!(SCHEMA.contains(&format!(
        "name=\"Item\" type=\"ItemType\" minOccurs=\"0\" maxOccurs=\"{METADATA_ITEMS_MAX}\""
    )));
    assert!(
        SCHEMA.contains("name=\"Batch\" type=\"BatchType\" minOccurs=\"1\" maxOccurs=\"10000\"")
    );
    for reason in weir_domain::RefundReason::ALL {
        assert!(SCHEMA.contains(&format!("<xs:enumeration value=\"{}\"/>", reason.name())));
    }
}

#[test]
fn the_golden_file_shows_every_element() {
    let golden = golden();
    for element in Element::ALL {
        let name = element.name();
        let shown = golden.contains(&format!("<{name}>")) || golden.contains(&format!("<{name} "));
        assert!(shown, "{name}");
    }
}
