//! The one table of the format: every element's name, what stands in it, and how often.

use serde::{Deserialize, Serialize};

/// The namespace of the format. Elements in no namespace are taken as well.
pub const NAMESPACE: &str = "urn:servicegate:batch:v2";
/// The value of the root's attribute `version`.
pub const VERSION: &str = "2.0";
/// The attribute of the root that states the format's version.
pub(crate) const VERSION_ATTRIBUTE: &str = "version";
/// The attribute of `Item` that holds its name.
pub(crate) const NAME_ATTRIBUTE: &str = "name";
/// Most `Item` elements in a `Metadata`.
pub const METADATA_ITEMS_MAX: u32 = 50;

macro_rules! elements {
    ($($variant:ident),+ $(,)?) => {
        /// An element of the format. The variant is spelt as the element is.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[expect(missing_docs, reason = "the name says it; the format's page explains each")]
        pub enum Element { $($variant),+ }

        impl Element {
            /// Every element of the format.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The element's local name.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => stringify!($variant)),+ }
            }
        }
    };
}

elements! {
    SettlementFile,
    FileHeader, FileReference, CreatedAt, BatchCount, TransactionCount,
    Batch,
    BatchHeader, BatchNumber, SellerId, AlternateSellerId, Currency, ChargeTotal, RefundTotal,
    Charge, Refund,
    OrderNumber, PoNumber, CustomerId, BuyerId, AuthorizationId, PreviousChargeId,
    OrderUrl, Comment, SellerTaxInvoiceNumber, SellerTaxInvoiceUrl,
    ChargeId, RefundReason, RefundComment,
    TotalAmount, TaxAmount, DiscountAmount, ShippingAmount, ShippingTaxAmount,
    ShippingDiscountAmount, ShippingTaxDetails,
    Lines, Line, Sku, Description, Quantity, UnitPrice, Subtotal,
    TaxDetails, TaxDetail, TaxType, TaxRate,
    ShipTo, RecipientName, CompanyName, Pickup, CompanyAddress,
    AddressLine1, AddressLine2, City, State, Zip, Country,
    Tracking, TrackingNumber, TrackingUrl, Carrier,
    Supplier,
    Vehicle, Odometer, IdentificationNumber, UnitNumber,
    Metadata, Item,
}

/// How often an element stands in its parent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Occurs {
    /// At most once.
    Optional,
    /// Exactly once.
    Required,
    /// Any number of times; numbered in paths.
    Many,
}

/// An element within its parent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Child {
    /// Which element.
    pub element: Element,
    /// Its name, at hand for comparing.
    pub(crate) name: &'static str,
    /// How often.
    pub occurs: Occurs,
}

/// What stands in an element.
pub(crate) struct Shape {
    /// The known children; none where the element holds text. At most 32, one bit each.
    pub(crate) children: &'static [Child],
    /// The bits of the children that must be there.
    pub(crate) required: u32,
}

const fn required_bits(mut children: &[Child]) -> u32 {
    let mut bits = 0;
    let mut bit: u32 = 1;
    while let [child, rest @ ..] = children {
        if matches!(child.occurs, Occurs::Required) {
            bits |= bit;
        }
        bit = bit.wrapping_shl(1);
        children = rest;
    }
    bits
}

macro_rules! shapes {
    ($($parent:ident { $($child:ident $occurs:ident),+ $(,)? })+) => {
        impl Element {
            pub(crate) fn shape(self) -> &'static Shape {
                static TEXT: Shape = Shape { children: &[], required: 0 };
                match self {
                    $(Self::$parent => {
                        const CHILDREN: &[Child] = &[$(Child {
                            element: Element::$child,
                            name: stringify!($child),
                            occurs: Occurs::$occurs,
                        }),+];
                        static SHAPE: Shape =
                            Shape { children: CHILDREN, required: required_bits(CHILDREN) };
                        &SHAPE
                    })+
                    _ => &TEXT,
                }
            }

            /// Whether the element holds text.
            pub(crate) fn holds_text(self) -> bool {
                !matches!(self, $(Self::$parent)|+)
            }
        }
    };
}

shapes! {
    SettlementFile { FileHeader Optional, Batch Many }
    FileHeader {
        FileReference Optional, CreatedAt Optional, BatchCount Optional,
        TransactionCount Optional,
    }
    Batch { BatchHeader Required, Charge Many, Refund Many }
    BatchHeader {
        BatchNumber Required, SellerId Optional, AlternateSellerId Optional, Currency Optional,
        TransactionCount Optional, ChargeTotal Optional, RefundTotal Optional,
    }
    Charge {
        OrderNumber Required, PoNumber Optional, CustomerId Optional, BuyerId Required,
        AuthorizationId Optional, PreviousChargeId Optional, Currency Optional,
        TotalAmount Required, TaxAmount Optional, DiscountAmount Optional,
        ShippingAmount Optional, ShippingTaxAmount Optional, ShippingDiscountAmount Optional,
        ShippingTaxDetails Optional, OrderUrl Optional, Comment Optional,
        SellerTaxInvoiceNumber Optional, SellerTaxInvoiceUrl Optional, Lines Optional,
        ShipTo Optional, Supplier Optional, Vehicle Optional, Metadata Optional,
    }
    Refund {
        OrderNumber Required, ChargeId Optional, RefundReason Optional, RefundComment Optional,
        Currency Optional, TotalAmount Required, TaxAmount Optional, DiscountAmount Optional,
        ShippingAmount Optional, ShippingTaxAmount Optional, ShippingDiscountAmount Optional,
        ShippingTaxDetails Optional, Lines Optional, Vehicle Optional, Metadata Optional,
    }
    ShippingTaxDetails { TaxDetail Many }
    Lines { Line Many }
    Line {
        Sku Optional, Description Optional, Quantity Required, UnitPrice Required,
        TaxAmount Optional, DiscountAmount Optional, Subtotal Optional, TaxDetails Optional,
    }
    TaxDetails { TaxDetail Many }
    TaxDetail { TaxType Optional, TaxRate Optional, TaxAmount Required }
    ShipTo {
        RecipientName Optional, CompanyName Optional, Pickup Optional, CompanyAddress Optional,
        Tracking Optional,
    }
    CompanyAddress {
        AddressLine1 Optional, AddressLine2 Optional, City Optional, State Optional,
        Zip Optional, Country Optional,
    }
    Tracking { TrackingNumber Optional, TrackingUrl Optional, Carrier Optional }
    Supplier { CompanyName Optional, CompanyAddress Optional }
    Vehicle { Odometer Optional, IdentificationNumber Optional, UnitNumber Optional }
    Metadata { Item Many }
}

impl Element {
    /// The known children of the element, in the order in which the writer puts them; none where
    /// it holds text.
    pub fn children(self) -> &'static [Child] {
        self.shape().children
    }

    /// Finds a child by name, looking first where the last one was found: files keep an order,
    /// so the first comparison mostly hits.
    pub(crate) fn find_child(self, name: &str, hint: usize) -> Option<(usize, Child)> {
        let children = self.shape().children;
        let is_it = |child: &&Child| child.name == name;
        if let Some(child) = children.get(hint).filter(is_it) {
            return Some((hint, *child));
        }
        let place = children.iter().position(|child| child.name == name)?;
        Some((place, *children.get(place)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_element_but_the_root_stands_in_another() {
        let children: BTreeSet<Element> = Element::ALL
            .iter()
            .flat_map(|element| element.children())
            .map(|child| child.element)
            .collect();
        for element in Element::ALL {
            let is_root = *element == Element::SettlementFile;
            assert_eq!(children.contains(element), !is_root, "{element:?}");
        }
    }

    #[test]
    fn no_element_has_more_children_than_there_are_bits() {
        assert!(
            Element::ALL
                .iter()
                .all(|element| element.children().len() <= 32)
        );
    }

    #[test]
    fn a_child_is_found_whatever_the_hint() {
        for hint in 0..40 {
            let (place, child) = Element::Charge.find_child("OrderNumber", hint).unwrap();
            assert_eq!((place, child.element), (0, Element::OrderNumber));
            assert!(Element::Charge.find_child("ordernumber", hint).is_none());
        }
    }
}
