//! Compression of what is heavy: XML, requests, responses.
//!
//! A payload of one transaction is about a kilobyte, too short to be compressed well by itself.
//! Against a dictionary of what such texts look like it shrinks to a quarter, so that with its keys
//! it fits one write unit. The first byte of a compressed text names the dictionary; a dictionary
//! that has been in use is never changed, a better one gets the next number.

use std::cell::RefCell;

use zstd::bulk::{Compressor, Decompressor};

/// Texts like those that are stored, the likeliest last.
const DICTIONARY_1: &[u8] = include_bytes!("payload-dictionary-1.txt");
const DICTIONARY_1_NUMBER: u8 = 1;
/// zstd's default: higher levels gain little on a kilobyte.
const LEVEL: i32 = 3;
/// Nothing that is stored is longer: a transaction's XML is at most 256 KiB of the file, a
/// response at most 1 MiB; in UTF-8 and with its request a payload stays below this.
const TEXT_BYTES_MAX: usize = 8 << 20;

thread_local! {
    // A context costs more to make than a payload to compress.
    static COMPRESSOR: RefCell<Option<Compressor<'static>>> =
        RefCell::new(Compressor::with_dictionary(LEVEL, DICTIONARY_1).ok());
    static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> =
        RefCell::new(Decompressor::with_dictionary(DICTIONARY_1).ok());
}

/// Compresses a text; `None` when it is longer than anything that may be stored.
pub(crate) fn compress(text: &[u8]) -> Option<Vec<u8>> {
    if text.len() > TEXT_BYTES_MAX {
        return None;
    }
    let body = COMPRESSOR.with_borrow_mut(|compressor| compressor.as_mut()?.compress(text).ok())?;
    let mut stored = Vec::with_capacity(body.len() + 1);
    stored.push(DICTIONARY_1_NUMBER);
    stored.extend(body);
    Some(stored)
}

/// The text of a stored payload; `None` when it is not one.
pub(crate) fn decompress(stored: &[u8]) -> Option<Vec<u8>> {
    let (number, body) = stored.split_first()?;
    if *number != DICTIONARY_1_NUMBER {
        return None;
    }
    DECOMPRESSOR.with_borrow_mut(|decompressor| {
        let capacity = Decompressor::upper_bound(body).unwrap_or(TEXT_BYTES_MAX);
        decompressor
            .as_mut()?
            .decompress(body, capacity.min(TEXT_BYTES_MAX))
            .ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_text_as_long_as_allowed_comes_back_and_a_longer_one_is_refused() {
        for length in [TEXT_BYTES_MAX - 1, TEXT_BYTES_MAX] {
            let text = vec![b'x'; length];
            assert_eq!(decompress(&compress(&text).unwrap()).unwrap(), text);
        }
        assert_eq!(compress(&vec![b'x'; TEXT_BYTES_MAX + 1]), None);
    }

    #[test]
    fn a_payload_of_an_unknown_dictionary_is_not_guessed_at() {
        let mut stored = compress(b"<Charge/>").unwrap();
        stored[0] = 9;
        assert_eq!(decompress(&stored), None);
        assert_eq!(decompress(&[]), None);
    }

    proptest! {
        #[test]
        fn what_is_compressed_comes_back(text in prop::collection::vec(any::<u8>(), 0..4_000)) {
            prop_assert_eq!(decompress(&compress(&text).unwrap()).unwrap(), text);
        }

        #[test]
        fn any_bytes_are_refused_without_a_panic(stored in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = decompress(&stored);
        }
    }
}
