//! What a file is called.

use std::fmt;

/// The name of a file: 1 to 255 characters, none of them a control character.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FileName(String);

/// A text that is no name of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FileNameError {
    /// It has no character.
    #[error("must not be empty")]
    Empty,
    /// It has too many.
    #[error("must have at most {max} characters, has {count}", max = FileName::CHARACTERS_MAX)]
    TooLong {
        /// How many it has.
        count: usize,
    },
    /// It has a control character.
    #[error("must not have the control character U+{0:04X}")]
    Control(u32),
}

impl FileName {
    /// Most characters of a name.
    pub const CHARACTERS_MAX: usize = 255;

    /// Takes a text that keeps the rules.
    pub fn new(text: impl Into<String>) -> Result<Self, FileNameError> {
        let text = text.into();
        let count = text.chars().count();
        if count == 0 {
            return Err(FileNameError::Empty);
        }
        if count > Self::CHARACTERS_MAX {
            return Err(FileNameError::TooLong { count });
        }
        match text.chars().find(|c| c.is_control()) {
            Some(control) => Err(FileNameError::Control(u32::from(control))),
            None => Ok(Self(text)),
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_1_to_255_characters_whatever_their_bytes() {
        for (count, is_name) in [
            (0, false),
            (1, true),
            (254, true),
            (255, true),
            (256, false),
        ] {
            for character in ["a", "é", "😀"] {
                let name = FileName::new(character.repeat(count));
                assert_eq!(name.is_ok(), is_name, "{count} of {character}");
            }
        }
        assert_eq!(
            FileName::new("é".repeat(256)),
            Err(FileNameError::TooLong { count: 256 })
        );
    }

    #[test]
    fn a_name_has_no_control_characters() {
        for control in ['\0', '\n', '\u{7f}', '\u{85}'] {
            let refused = FileName::new(format!("a{control}b"));
            assert_eq!(refused, Err(FileNameError::Control(control.into())));
        }
        assert!(FileName::new(" a/b\\c. ").is_ok());
    }
}
