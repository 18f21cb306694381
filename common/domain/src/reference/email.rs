//! E-mail addresses.
//!
//! An address is what RFC 6531 calls a mailbox: letters of any script on both sides of the `@`. It
//! comes without a name and angle brackets, without comments, and without an IP address in the place
//! of the domain. Whether anybody reads it is not asked.

use std::fmt;
use std::str::FromStr;

use email_address::Options;

/// A text that is no address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be an e-mail address")]
pub struct EmailError;

/// An e-mail address. At most 64 bytes before the `@` and 254 after it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EmailAddress(String);

impl EmailAddress {
    /// The address.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for EmailAddress {
    type Err = EmailError;

    fn from_str(text: &str) -> Result<Self, EmailError> {
        let options = Options::default()
            .with_no_minimum_sub_domains()
            .without_domain_literal()
            .without_display_text();
        // The control characters beyond ASCII are none that RFC 6532 means, and would break lines.
        if text.chars().any(char::is_control) {
            return Err(EmailError);
        }
        match email_address::EmailAddress::parse_with_options(text, options) {
            Ok(_) => Ok(Self(text.to_owned())),
            Err(_) => Err(EmailError),
        }
    }
}

impl fmt::Display for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn is_address(text: &str) -> bool {
        text.parse::<EmailAddress>().is_ok()
    }

    #[test]
    fn an_address_may_be_in_any_script() {
        for text in [
            "reports@example.com",
            "пошта@укр.нет",
            "用户@例え.テスト",
            "josé+billing@example.com",
            "o'hara_1@mail.example.com",
            "\"two words\"@example.com",
            "\"a@b\"@example.com",
            "postmaster@localhost",
            "a@1.example.com",
        ] {
            assert!(is_address(text), "{text}");
        }
    }

    #[test]
    fn what_lacks_a_part_or_has_a_space_or_a_control_character_is_no_address() {
        for text in [
            "",
            "@",
            "reports",
            "reports@",
            "@example.com",
            "reports@@example.com",
            "two words@example.com",
            " reports@example.com",
            "reports@example.com ",
            "reports@exam ple.com",
            "reports@example..com",
            "reports@.example.com",
            "reports@example.com.",
            "reports@-example.com",
            ".reports@example.com",
            "re..ports@example.com",
            "reports@example.com\n",
            "reports@example.com\r\nBcc: all@example.com",
            "\"a\r\nb\"@example.com",
            "re\0ports@example.com",
            "re\u{85}ports@example.com",
            "\"\"@example.com",
            "\"@example.com",
            "\"a\"b\"@example.com",
            "Reports <reports@example.com>",
            "<reports@example.com>",
            "reports@[127.0.0.1]",
            "reports@example.com,others@example.com",
            "reports@example.com;others@example.com",
            "mailto:",
        ] {
            assert!(!is_address(text), "{text:?}");
        }
    }

    #[test]
    fn the_local_part_has_at_most_64_bytes() {
        for (length, is_valid) in [(63, true), (64, true), (65, false)] {
            let text = format!("{}@example.com", "a".repeat(length));
            assert_eq!(is_address(&text), is_valid, "{length}");
        }
    }

    proptest! {
        #[test]
        fn no_text_of_an_address_can_break_a_line(text in any::<String>()) {
            if let Ok(address) = text.parse::<EmailAddress>() {
                prop_assert!(!address.as_str().chars().any(char::is_control));
                prop_assert!(address.as_str().contains('@'));
            }
        }

        #[test]
        fn letters_of_any_script_make_an_address(local in "\\p{L}{1,12}", domain in "\\p{L}{1,12}") {
            let text = format!("{local}@{domain}.example.com");
            prop_assert!(is_address(&text), "{text}");
        }
    }
}
