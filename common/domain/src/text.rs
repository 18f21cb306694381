//! Texts with a meaning and a length: a value of such a type has been checked.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Why a text is not such a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// Fewer characters than the least.
    #[error("must not be empty")]
    Empty,
    /// More characters than the most. Characters are Unicode scalar values, not bytes.
    #[error("must have at most {max} characters, has {actual}")]
    TooLong {
        /// Most characters allowed.
        max: usize,
        /// Characters found.
        actual: usize,
    },
}

macro_rules! text {
    ($(#[$doc:meta])* $name:ident, $max:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Most characters of such a text.
            pub const CHARACTERS_MAX: usize = $max;

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = TextError;
            fn from_str(text: &str) -> Result<Self, TextError> {
                text.to_owned().try_into()
            }
        }

        impl TryFrom<String> for $name {
            type Error = TextError;
            fn try_from(text: String) -> Result<Self, TextError> {
                if text.is_empty() {
                    return Err(TextError::Empty);
                }
                // Most texts are short: counting bytes first spares the walk over characters.
                if text.len() > $max {
                    let actual = text.chars().count();
                    if actual > $max {
                        return Err(TextError::TooLong { max: $max, actual });
                    }
                }
                Ok(Self(text))
            }
        }

        impl From<$name> for String {
            fn from(text: $name) -> String {
                text.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text!(
    /// A seller's number for a batch: 1–20 characters, unique for the seller.
    BatchNumber, 20
);
text!(
    /// A client's own id of a seller: 1–50 characters.
    AlternateSellerId, 50
);
text!(
    /// An order's number: 1–824 characters.
    OrderNumber, 824
);
text!(
    /// A purchase order's number: 1–200 characters.
    PoNumber, 200
);
text!(
    /// The uploader's name for a file: 1–100 characters.
    FileReference, 100
);
text!(
    /// One of the vehicle's three texts: 1–100 characters.
    VehicleText, 100
);
text!(
    /// The name of a metadata item: 1–100 characters.
    MetadataName, 100
);
text!(
    /// The value of a metadata item: 1–500 characters.
    MetadataValue, 500
);
text!(
    /// Any other text of a transaction: 1–1024 characters.
    ShortText, 1024
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_taken_up_to_its_last_character_and_refused_beyond() {
        assert_eq!("".parse::<BatchNumber>(), Err(TextError::Empty));
        for length in [1, 19, 20] {
            assert!(
                "é".repeat(length).parse::<BatchNumber>().is_ok(),
                "{length}"
            );
        }
        let refused = "é".repeat(21).parse::<BatchNumber>();
        assert_eq!(
            refused,
            Err(TextError::TooLong {
                max: 20,
                actual: 21
            })
        );
    }

    #[test]
    fn every_kind_has_the_length_of_the_format() {
        fn holds<T: FromStr<Err = TextError>>(max: usize) {
            assert!("x".repeat(max - 1).parse::<T>().is_ok());
            assert!("x".repeat(max).parse::<T>().is_ok());
            assert!("x".repeat(max + 1).parse::<T>().is_err());
        }
        holds::<BatchNumber>(20);
        holds::<AlternateSellerId>(50);
        holds::<OrderNumber>(824);
        holds::<PoNumber>(200);
        holds::<FileReference>(100);
        holds::<VehicleText>(100);
        holds::<MetadataName>(100);
        holds::<MetadataValue>(500);
        holds::<ShortText>(1024);
    }
}
