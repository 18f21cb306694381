//! The stretch of a file's text that is in memory.
//!
//! Bytes are decoded and their characters checked once, when they come in. What makes them
//! unusable is noted, and raised only when everything before it has been read, so that problems
//! come in file order. Positions are computed on demand from an anchor that moves forward with the
//! reading: no table of lines is kept.

use std::cell::Cell;

use crate::chars::is_xml_char;
use crate::encoding::{Decoder, Detected, detect};
use crate::{Encoding, FileRule, Limit, Position};

#[derive(Debug)]
enum Stage {
    /// The first bytes, until they tell the encoding.
    Detecting(Vec<u8>),
    Decoding(Decoder),
}

/// A known position, as an index into the text.
#[derive(Debug, Clone, Copy)]
struct Anchor {
    index: usize,
    position: Position,
}

#[derive(Debug)]
pub(crate) struct Window {
    text: String,
    /// Where the next token begins.
    cursor: usize,
    /// Where the element begins that is wanted as a whole.
    kept: Option<usize>,
    anchor: Cell<Anchor>,
    stage: Stage,
    /// What is wrong right after the text's last character.
    flaw: Option<FileRule>,
    complete: bool,
    /// Bytes of the file up to here, those before a resumption included.
    received: u64,
    bytes_max: u64,
    traits: Traits,
}

/// What has been seen in the text at all, so that rare things cost nothing where there are none.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Traits {
    /// A closing bracket: `]]>` is possible.
    pub(crate) bracket: bool,
    /// A carriage return: line ends need care.
    pub(crate) carriage_return: bool,
}

impl Window {
    pub(crate) fn new(bytes_max: u64) -> Self {
        Self::at(Stage::Detecting(Vec::new()), Position::START, bytes_max)
    }

    /// Goes on at a position that was reached before, with the bytes from there.
    pub(crate) fn resume(encoding: Encoding, position: Position, bytes_max: u64) -> Self {
        let stage = Stage::Decoding(Decoder::new(encoding));
        Self::at(stage, position, bytes_max)
    }

    fn at(stage: Stage, position: Position, bytes_max: u64) -> Self {
        Self {
            text: String::new(),
            cursor: 0,
            kept: None,
            anchor: Cell::new(Anchor { index: 0, position }),
            stage,
            flaw: None,
            complete: false,
            received: position.byte,
            bytes_max,
            traits: Traits::default(),
        }
    }

    /// The text; everything before [`Self::cursor`] has been read.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn cursor(&self) -> usize {
        self.cursor
    }

    /// Where the element begins that [`Self::keep`] named.
    pub(crate) fn kept(&self) -> Option<usize> {
        self.kept
    }

    /// Whether nothing comes after the text.
    pub(crate) fn complete(&self) -> bool {
        self.complete
    }

    pub(crate) fn traits(&self) -> Traits {
        self.traits
    }

    /// Bytes of the file that have come in.
    pub(crate) fn received(&self) -> u64 {
        self.received
    }

    /// The encoding, UTF-8 until it is known.
    pub(crate) fn encoding(&self) -> Encoding {
        match &self.stage {
            Stage::Detecting(_) => Encoding::Utf8,
            Stage::Decoding(decoder) => decoder.encoding(),
        }
    }

    /// What is wrong at the text's end, to be raised when all of the text has been read.
    pub(crate) fn flaw(&self) -> Option<&FileRule> {
        self.flaw.as_ref()
    }

    /// Takes everything before the index as read, and keeps the text from `kept` on.
    pub(crate) fn advance(&mut self, cursor: usize, kept: Option<usize>) {
        self.cursor = cursor;
        self.kept = kept;
    }

    /// The position of an index that is not before the anchor.
    pub(crate) fn position(&self, index: usize) -> Position {
        let Anchor {
            index: from,
            mut position,
        } = self.anchor.get();
        let piece = self.text.get(from..index).unwrap_or_default();
        position.byte += self.encoding().bytes_of(piece);
        let breaks = count_breaks(piece.as_bytes());
        let mut tail = piece;
        if breaks > 0 {
            position.line += breaks;
            position.column = 1;
            tail = piece.rsplit_once('\n').map_or(piece, |(_, tail)| tail);
        }
        position.column += tail.chars().count() as u64;
        position
    }

    /// The same, and makes it the anchor.
    pub(crate) fn reach(&self, index: usize) -> Position {
        let position = self.position(index);
        self.anchor.set(Anchor { index, position });
        position
    }

    /// Takes the next bytes of the file; what has been read and is not kept goes.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        if self.flaw.is_some() || self.complete {
            return;
        }
        self.compact();
        let room = self.bytes_max.saturating_sub(self.received);
        let allowed = usize::try_from(room).map_or(bytes.len(), |room| room.min(bytes.len()));
        let (bytes, beyond) = bytes.split_at(allowed);
        self.received += bytes.len() as u64;
        self.take(bytes, false);
        if !beyond.is_empty() {
            self.flaw.get_or_insert(FileRule::LimitExceeded {
                limit: Limit::FileBytes,
                max: self.bytes_max,
            });
        }
    }

    /// Says that no more bytes come.
    pub(crate) fn finish(&mut self) {
        if self.flaw.is_none() && !self.complete {
            self.take(&[], true);
        }
        self.complete = true;
    }

    fn compact(&mut self) {
        // The anchor is never beyond what is kept, nor that beyond the cursor.
        let gone = self.kept.unwrap_or(self.cursor);
        let position = self.reach(gone);
        self.anchor.set(Anchor { index: 0, position });
        self.text.drain(..gone);
        self.cursor -= gone;
        self.kept = self.kept.map(|kept| kept - gone);
    }

    fn take(&mut self, bytes: &[u8], whole: bool) {
        let from = self.text.len();
        let taken = match &mut self.stage {
            Stage::Decoding(decoder) => decoder.decode(bytes, &mut self.text),
            Stage::Detecting(head) => {
                head.extend_from_slice(bytes);
                match detect(head, whole) {
                    Detected::Undecided => Ok(()),
                    Detected::Refused(rule) => Err(rule),
                    Detected::Known(encoding, mark_bytes) => {
                        let position = Position {
                            byte: mark_bytes as u64,
                            ..Position::START
                        };
                        self.anchor.set(Anchor { index: 0, position });
                        let mut decoder = Decoder::new(encoding);
                        let head = head.get(mark_bytes..).unwrap_or_default();
                        let taken = decoder.decode(head, &mut self.text);
                        self.stage = Stage::Decoding(decoder);
                        taken
                    }
                }
            }
        };
        let finished = match &mut self.stage {
            Stage::Decoding(decoder) if whole && taken.is_ok() => decoder.finish(),
            _ => Ok(()),
        };
        self.flaw = taken.and(finished).err();
        self.check_characters(from);
    }

    /// Cuts the text before its first forbidden character, if there is one.
    fn check_characters(&mut self, from: usize) {
        let fresh = self.text.get(from..).unwrap_or_default();
        let seen = survey(fresh.as_bytes());
        self.traits.bracket |= seen & SEEN_BRACKET != 0;
        self.traits.carriage_return |= seen & SEEN_RETURN != 0;
        if seen & SEEN_SUSPECT == 0 {
            return;
        }
        let forbidden = fresh.char_indices().find(|(_, c)| !is_xml_char(*c));
        if let Some((at, c)) = forbidden {
            self.text.truncate(from + at);
            self.flaw = Some(FileRule::CharacterForbidden { code: u32::from(c) });
        }
    }
}

/// How many line feeds there are. Counted in bytes over short runs, which is what makes the
/// compiler count many at a time.
fn count_breaks(bytes: &[u8]) -> u64 {
    const RUN: usize = 192;
    bytes
        .chunks(RUN)
        .map(|run| {
            let count = run
                .iter()
                .fold(0_u8, |count, byte| count + u8::from(*byte == b'\n'));
            u64::from(count)
        })
        .sum()
}

const SEEN_SUSPECT: u8 = 1;
const SEEN_BRACKET: u8 = 2;
const SEEN_RETURN: u8 = 4;

/// Which kinds of bytes there are. Written without branches, so that it runs many bytes at a time.
fn survey(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |seen, &byte| {
        let control = u8::from(byte < 0x20) & !u8::from(matches!(byte, b'\t' | b'\n' | b'\r'));
        // EF begins U+FFFE and U+FFFF, and little else.
        let suspect = (control | u8::from(byte == 0xEF)) * SEEN_SUSPECT;
        let bracket = u8::from(byte == b']') * SEEN_BRACKET;
        let carriage_return = u8::from(byte == b'\r') * SEEN_RETURN;
        seen | suspect | bracket | carriage_return
    })
}
