//! The checksums that S3 knows: CRC-32, CRC-32C and CRC-64/NVME.
//!
//! The SDK's S3 client takes them from the crate `crc-fast`, which finds one of more than a hundred
//! algorithms while it runs, and so brings the tables of all: 660 kB that hardly compress, a seventh of a
//! function's package. This crate stands in its place, with its name and the part of its interface that is
//! used, and takes the three from the crate `crc`. A client that asks for more does not compile.
//!
//! Invariant: the checksums are those of the catalogue of parametrised CRC algorithms, for any bytes in
//! pieces of any size.

use std::fmt;

use crc::{CRC_32_ISCSI, CRC_32_ISO_HDLC, CRC_64_NVME, Crc};

/// An algorithm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CrcAlgorithm {
    /// CRC-32/ISO-HDLC, which is meant by CRC-32 alone.
    Crc32IsoHdlc,
    /// CRC-32/ISCSI, or CRC-32C.
    Crc32Iscsi,
    /// CRC-64/NVME.
    Crc64Nvme,
}

static ISO_HDLC: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);
static ISCSI: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);
static NVME: Crc<u64> = Crc::<u64>::new(&CRC_64_NVME);

/// A checksum in the making.
#[derive(Clone)]
pub struct Digest(State);

#[derive(Clone)]
enum State {
    Of32(crc::Digest<'static, u32>),
    Of64(crc::Digest<'static, u64>),
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({:x})", self.finalize())
    }
}

impl Digest {
    /// Of no bytes yet.
    pub fn new(algorithm: CrcAlgorithm) -> Self {
        Self(match algorithm {
            CrcAlgorithm::Crc32IsoHdlc => State::Of32(ISO_HDLC.digest()),
            CrcAlgorithm::Crc32Iscsi => State::Of32(ISCSI.digest()),
            CrcAlgorithm::Crc64Nvme => State::Of64(NVME.digest()),
        })
    }

    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.0 {
            State::Of32(digest) => digest.update(bytes),
            State::Of64(digest) => digest.update(bytes),
        }
    }

    /// The checksum of the bytes so far, in the lower bits.
    pub fn finalize(&self) -> u64 {
        match self.0.clone() {
            State::Of32(digest) => digest.finalize().into(),
            State::Of64(digest) => digest.finalize(),
        }
    }
}

/// The checksum of bytes, in the lower bits.
pub fn checksum(algorithm: CrcAlgorithm, bytes: &[u8]) -> u64 {
    let mut digest = Digest::new(algorithm);
    digest.update(bytes);
    digest.finalize()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ALL: [CrcAlgorithm; 3] = [
        CrcAlgorithm::Crc32IsoHdlc,
        CrcAlgorithm::Crc32Iscsi,
        CrcAlgorithm::Crc64Nvme,
    ];

    #[test]
    fn the_check_values_are_those_of_the_catalogue() {
        let checks = [0xcbf4_3926, 0xe306_9283, 0xae8b_1486_0a79_9888];
        for (algorithm, expected) in ALL.into_iter().zip(checks) {
            assert_eq!(checksum(algorithm, b"123456789"), expected, "{algorithm:?}");
            assert_eq!(checksum(algorithm, b""), 0, "{algorithm:?}");
        }
    }

    proptest! {
        #[test]
        fn bytes_in_pieces_have_the_checksum_of_the_whole(
            bytes in prop::collection::vec(any::<u8>(), 0..100),
            cut in any::<prop::sample::Index>(),
        ) {
            for algorithm in ALL {
                let (first, rest) = bytes.split_at(cut.index(bytes.len() + 1));
                let mut digest = Digest::new(algorithm);
                digest.update(first);
                digest.update(rest);
                prop_assert_eq!(digest.finalize(), checksum(algorithm, &bytes));
            }
        }
    }
}
