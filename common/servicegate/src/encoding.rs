//! From the file's bytes to text, exactly: a byte that means nothing is refused where it stands.
//!
//! The decoders are written out rather than taken from a browser's table: there, ISO-8859-1 is
//! another name of Windows-1252, and Windows-1252 knows no undefined byte.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::FileRule;

/// How a file's text is laid out in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Encoding {
    /// UTF-8, with or without a byte order mark.
    Utf8,
    /// UTF-16 with a byte order mark, low byte first.
    Utf16Le,
    /// UTF-16 with a byte order mark, high byte first.
    Utf16Be,
    /// ISO-8859-1: every byte is the character of the same number, the controls 80 to 9F included.
    Latin1,
    /// Windows-1252; its five undefined bytes are refused.
    Windows1252,
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Utf8 => "UTF-8",
            Self::Utf16Le | Self::Utf16Be => "UTF-16",
            Self::Latin1 => "ISO-8859-1",
            Self::Windows1252 => "Windows-1252",
        })
    }
}

impl Encoding {
    /// Whether a declaration of this name fits a file in this encoding; none when no encoding of
    /// the format has the name.
    pub(crate) fn fits_label(self, label: &str) -> Option<bool> {
        let is = |names: &[&str]| names.iter().any(|name| label.eq_ignore_ascii_case(name));
        if is(&["utf-16"]) {
            return Some(matches!(self, Self::Utf16Le | Self::Utf16Be));
        }
        Self::of_label(label).map(|encoding| encoding == self)
    }

    fn of_label(label: &str) -> Option<Self> {
        let is = |names: &[&str]| names.iter().any(|name| label.eq_ignore_ascii_case(name));
        if is(&["utf-8", "utf8"]) {
            Some(Self::Utf8)
        } else if is(&["iso-8859-1", "iso8859-1", "iso_8859-1", "latin1"]) {
            Some(Self::Latin1)
        } else if is(&["windows-1252", "cp1252"]) {
            Some(Self::Windows1252)
        } else if is(&["utf-16le"]) {
            Some(Self::Utf16Le)
        } else if is(&["utf-16be"]) {
            Some(Self::Utf16Be)
        } else {
            None
        }
    }

    /// How many bytes of the file a piece of its text took.
    pub(crate) fn bytes_of(self, text: &str) -> u64 {
        let units = match self {
            Self::Utf8 => text.len(),
            Self::Latin1 | Self::Windows1252 => text.chars().count(),
            Self::Utf16Le | Self::Utf16Be => text.chars().map(|c| c.len_utf16() * 2).sum(),
        };
        units as u64
    }
}

/// What Windows-1252 has from 80 to 9F; zero where it has nothing.
const WINDOWS_1252_HIGH: [u16; 32] = [
    0x20AC, 0, 0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021, 0x02C6, 0x2030, 0x0160, 0x2039,
    0x0152, 0, 0x017D, 0, 0, 0x2018, 0x2019, 0x201C, 0x201D, 0x2022, 0x2013, 0x2014, 0x02DC,
    0x2122, 0x0161, 0x203A, 0x0153, 0, 0x017E, 0x0178,
];

/// What the first bytes of a file say.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Detected {
    /// More bytes are needed to tell.
    Undecided,
    /// The encoding, and how many bytes of a mark to skip.
    Known(Encoding, usize),
    /// None that is supported.
    Refused(FileRule),
}

/// Longest XML declaration that is looked into for an encoding; no real one comes near.
const DECLARATION_BYTES_MAX: usize = 1024;

/// Tells the encoding from the first bytes; `whole` when there are no more.
pub(crate) fn detect(bytes: &[u8], whole: bool) -> Detected {
    if bytes.len() < 4 && !whole {
        return Detected::Undecided;
    }
    match bytes {
        [0xFF, 0xFE, 0, 0, ..]
        | [0, 0, 0xFE, 0xFF, ..]
        | [0, 0, 0, b'<', ..]
        | [b'<', 0, 0, 0, ..] => Detected::Refused(FileRule::EncodingUnsupported {
            declared: "UTF-32".to_owned(),
        }),
        [0xFF, 0xFE, ..] => Detected::Known(Encoding::Utf16Le, 2),
        [0xFE, 0xFF, ..] => Detected::Known(Encoding::Utf16Be, 2),
        [0xEF, 0xBB, 0xBF, ..] => Detected::Known(Encoding::Utf8, 3),
        [0, b'<', ..] | [b'<', 0, ..] => Detected::Refused(FileRule::MarkMissing),
        _ => detect_declared(bytes, whole),
    }
}

fn detect_declared(bytes: &[u8], whole: bool) -> Detected {
    const OPENING: &[u8] = b"<?xml";
    let head = bytes.get(..DECLARATION_BYTES_MAX).unwrap_or(bytes);
    let begins = OPENING.iter().zip(head).all(|(a, b)| a == b);
    let end = head.windows(2).position(|pair| pair == b"?>");
    match end {
        _ if !begins => Detected::Known(Encoding::Utf8, 0),
        Some(end) => Detected::Known(declared_in(head.get(..end).unwrap_or_default()), 0),
        None if whole || head.len() == DECLARATION_BYTES_MAX => Detected::Known(Encoding::Utf8, 0),
        None => Detected::Undecided,
    }
}

/// The encoding that a declaration seems to name. Whether the declaration is sound, and whether it
/// fits, is judged when it is read as text.
fn declared_in(declaration: &[u8]) -> Encoding {
    let label = || {
        let text = std::str::from_utf8(declaration).ok()?;
        let (_, rest) = text.split_once("encoding")?;
        let rest = rest.trim_start().strip_prefix('=')?.trim_start();
        let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''))?;
        rest.split(quote).nth(1)
    };
    match label().and_then(Encoding::of_label) {
        Some(encoding @ (Encoding::Latin1 | Encoding::Windows1252)) => encoding,
        _ => Encoding::Utf8,
    }
}

/// Where decoding stopped, and why: `Err` holds what came before it as good text.
pub(crate) type Decoded = Result<(), FileRule>;

/// Turns bytes into text piece by piece; a character may be cut between two pieces.
#[derive(Debug)]
pub(crate) struct Decoder {
    encoding: Encoding,
    /// The bytes of a character whose rest has not come yet: at most three.
    carried: Vec<u8>,
}

impl Decoder {
    pub(crate) fn new(encoding: Encoding) -> Self {
        Self {
            encoding,
            carried: Vec::new(),
        }
    }

    pub(crate) fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// Appends the text of the bytes. On a byte that cannot be, everything before it has been
    /// appended, so the text's end is where the problem is.
    pub(crate) fn decode(&mut self, bytes: &[u8], text: &mut String) -> Decoded {
        match self.encoding {
            Encoding::Utf8 => self.decode_utf8(bytes, text),
            Encoding::Latin1 => {
                decode_single(bytes, text, |byte| Some(char::from(byte)), self.encoding)
            }
            Encoding::Windows1252 => decode_single(bytes, text, windows_1252, self.encoding),
            Encoding::Utf16Le => self.decode_utf16(bytes, text, u16::from_le_bytes),
            Encoding::Utf16Be => self.decode_utf16(bytes, text, u16::from_be_bytes),
        }
    }

    /// Says that no more bytes come: a character cut by the end of the file is a problem.
    pub(crate) fn finish(&mut self) -> Decoded {
        match self.carried.first() {
            None => Ok(()),
            Some(byte) => Err(self.invalid(*byte)),
        }
    }

    fn invalid(&self, byte: u8) -> FileRule {
        FileRule::EncodingInvalid {
            byte,
            encoding: self.encoding,
        }
    }

    fn decode_utf8(&mut self, bytes: &[u8], text: &mut String) -> Decoded {
        let mut bytes = bytes;
        while !self.carried.is_empty() {
            let Some((first, rest)) = bytes.split_first() else {
                return Ok(());
            };
            self.carried.push(*first);
            match std::str::from_utf8(&self.carried) {
                Ok(character) => {
                    text.push_str(character);
                    self.carried.clear();
                }
                // What was carried can no longer become a character.
                Err(error) if error.error_len().is_some() => return self.finish(),
                Err(_) => {}
            }
            bytes = rest;
        }
        match std::str::from_utf8(bytes) {
            Ok(good) => text.push_str(good),
            Err(error) => {
                let (good, bad) = bytes.split_at(error.valid_up_to());
                text.push_str(std::str::from_utf8(good).unwrap_or_default());
                match (error.error_len(), bad.first()) {
                    (Some(_), Some(byte)) => return Err(self.invalid(*byte)),
                    _ => self.carried.extend_from_slice(bad),
                }
            }
        }
        Ok(())
    }

    fn decode_utf16(
        &mut self,
        bytes: &[u8],
        text: &mut String,
        unit_of: fn([u8; 2]) -> u16,
    ) -> Decoded {
        text.reserve(bytes.len() / 2);
        let mut bytes = bytes;
        // Whatever is carried is completed byte by byte: a unit, or the second half of a pair.
        while !self.carried.is_empty() {
            let Some((first, rest)) = bytes.split_first() else {
                return Ok(());
            };
            self.carried.push(*first);
            bytes = rest;
            self.settle_carried(text, unit_of)?;
        }
        let (pairs, tail) = bytes.as_chunks::<2>();
        let mut pairs = pairs.iter();
        while let Some(pair) = pairs.next() {
            if let Some(c) = char::from_u32(u32::from(unit_of(*pair))) {
                text.push(c);
                continue;
            }
            self.carried.extend_from_slice(pair);
            self.settle_carried(text, unit_of)?;
            if let Some(second) = pairs.next() {
                self.carried.extend_from_slice(second);
                self.settle_carried(text, unit_of)?;
            }
        }
        self.carried.extend_from_slice(tail);
        Ok(())
    }

    /// Turns the carried bytes into a character once they are one; refuses what can become none.
    fn settle_carried(&mut self, text: &mut String, unit_of: fn([u8; 2]) -> u16) -> Decoded {
        let (units, tail) = self.carried.as_chunks::<2>();
        if !tail.is_empty() {
            return Ok(());
        }
        let mut decoded = char::decode_utf16(units.iter().map(|pair| unit_of(*pair)));
        match decoded.next() {
            Some(Ok(c)) => {
                text.push(c);
                self.carried.clear();
                Ok(())
            }
            Some(Err(error)) if units.len() == 1 && error.unpaired_surrogate() < 0xDC00 => Ok(()),
            Some(Err(_)) => self.finish(),
            None => Ok(()),
        }
    }
}

fn windows_1252(byte: u8) -> Option<char> {
    match byte {
        0x80..=0x9F => {
            let code = WINDOWS_1252_HIGH.get(usize::from(byte - 0x80))?;
            char::from_u32(u32::from(*code)).filter(|c| *c != '\0')
        }
        _ => Some(char::from(byte)),
    }
}

/// Decodes an encoding of one byte a character. Runs of ASCII are taken at once.
fn decode_single(
    bytes: &[u8],
    text: &mut String,
    char_of: impl Fn(u8) -> Option<char>,
    encoding: Encoding,
) -> Decoded {
    let mut rest = bytes;
    loop {
        let run = rest
            .iter()
            .position(|byte| !byte.is_ascii())
            .unwrap_or(rest.len());
        let (ascii, tail) = rest.split_at(run);
        text.push_str(std::str::from_utf8(ascii).unwrap_or_default());
        let Some((byte, tail)) = tail.split_first() else {
            return Ok(());
        };
        let byte = *byte;
        text.push(char_of(byte).ok_or(FileRule::EncodingInvalid { byte, encoding })?);
        rest = tail;
    }
}
