//! The checksums that S3 knows: CRC-32, CRC-32C and CRC-64/NVME.
//!
//! The SDK's S3 client takes them from the crate `crc-fast`, which finds one of more than a hundred
//! algorithms while it runs, and so brings the tables of all: 660 kB that hardly compress, a seventh of a
//! function's package. This crate stands in its place, with its name and the part of its interface that is
//! used. A client that asks for more does not compile.
//!
//! Invariant: the checksums are those of the catalogue of parametrised CRC algorithms, for any bytes in
//! pieces of any size. The tables are made when a checksum is first needed.

use std::sync::LazyLock;

/// An algorithm. All are reflected, begin with ones and are inverted at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CrcAlgorithm {
    /// CRC-32/ISO-HDLC, which is meant by CRC-32 alone.
    Crc32IsoHdlc,
    /// CRC-32/ISCSI, or CRC-32C.
    Crc32Iscsi,
    /// CRC-64/NVME.
    Crc64Nvme,
}

/// What each byte does to a checksum that is so many bytes before its end.
type Tables = [[u64; 256]; 8];

static ISO_HDLC: LazyLock<Box<Tables>> = LazyLock::new(|| tables(0xedb8_8320));
static ISCSI: LazyLock<Box<Tables>> = LazyLock::new(|| tables(0x82f6_3b78));
static NVME: LazyLock<Box<Tables>> = LazyLock::new(|| tables(0x9a6c_9329_ac4b_c9b5));

impl CrcAlgorithm {
    fn tables(self) -> &'static Tables {
        match self {
            Self::Crc32IsoHdlc => &ISO_HDLC,
            Self::Crc32Iscsi => &ISCSI,
            Self::Crc64Nvme => &NVME,
        }
    }

    /// All the bits of a checksum.
    fn ones(self) -> u64 {
        match self {
            Self::Crc32IsoHdlc | Self::Crc32Iscsi => u64::from(u32::MAX),
            Self::Crc64Nvme => u64::MAX,
        }
    }
}

/// The tables of a reflected polynomial.
fn tables(polynomial: u64) -> Box<Tables> {
    let mut tables = Box::new([[0_u64; 256]; 8]);
    let [nearest, ..] = tables.as_mut();
    for (byte, entry) in (0_u64..).zip(nearest) {
        *entry = (0..8).fold(byte, |rest, _| {
            (rest >> 1) ^ if rest & 1 == 1 { polynomial } else { 0 }
        });
    }
    for further in 1..tables.len() {
        for byte in 0..=u8::MAX {
            let nearer = entry(&tables, further - 1, byte);
            let [low, ..] = nearer.to_le_bytes();
            let moved = (nearer >> 8) ^ entry(&tables, 0, low);
            if let Some(entry) =
                (tables.get_mut(further)).and_then(|table| table.get_mut(usize::from(byte)))
            {
                *entry = moved;
            }
        }
    }
    tables
}

#[expect(
    clippy::indexing_slicing,
    reason = "there are eight tables with an entry for every byte, and this is the inner loop"
)]
fn entry(tables: &Tables, table: usize, byte: u8) -> u64 {
    tables[table][usize::from(byte)]
}

/// A checksum in the making.
#[derive(Debug, Clone, Copy)]
pub struct Digest {
    algorithm: CrcAlgorithm,
    state: u64,
}

impl Digest {
    /// Of no bytes yet.
    pub fn new(algorithm: CrcAlgorithm) -> Self {
        let state = algorithm.ones();
        Self { algorithm, state }
    }

    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        let tables = self.algorithm.tables();
        let (eights, rest) = bytes.as_chunks::<8>();
        let mut state = self.state;
        for eight in eights {
            let mixed = (state ^ u64::from_le_bytes(*eight)).to_le_bytes();
            state = (0..8)
                .zip(mixed.iter().rev())
                .fold(0, |sum, (table, byte)| sum ^ entry(tables, table, *byte));
        }
        for byte in rest {
            let [low, ..] = state.to_le_bytes();
            state = (state >> 8) ^ entry(tables, 0, low ^ byte);
        }
        self.state = state;
    }

    /// The checksum of the bytes so far, in the lower bits.
    pub fn finalize(&self) -> u64 {
        self.state ^ self.algorithm.ones()
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

    /// As the definition has it: bit by bit.
    fn by_bits(polynomial: u64, ones: u64, bytes: &[u8]) -> u64 {
        let mut state = ones;
        for byte in bytes {
            state ^= u64::from(*byte);
            for _ in 0..8 {
                let is_odd = state & 1 == 1;
                state >>= 1;
                if is_odd {
                    state ^= polynomial;
                }
            }
        }
        state ^ ones
    }

    proptest! {
        #[test]
        fn bytes_in_pieces_have_the_checksum_of_the_definition(
            bytes in prop::collection::vec(any::<u8>(), 0..100),
            cut in any::<prop::sample::Index>(),
        ) {
            let polynomials = [0xedb8_8320, 0x82f6_3b78, 0x9a6c_9329_ac4b_c9b5];
            for (algorithm, polynomial) in ALL.into_iter().zip(polynomials) {
                let (first, rest) = bytes.split_at(cut.index(bytes.len() + 1));
                let mut digest = Digest::new(algorithm);
                digest.update(first);
                digest.update(rest);
                let expected = by_bits(polynomial, algorithm.ones(), &bytes);
                prop_assert_eq!(digest.finalize(), expected);
            }
        }
    }
}
