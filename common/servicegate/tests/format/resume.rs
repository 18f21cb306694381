//! Reading goes on where it stopped, and does not depend on how the bytes come.

use crate::support::{fixture, fixtures, read};
use proptest::prelude::*;
use weir_servicegate::{Checkpoint, FileProblem, Item, Options, Parser, Reader, Source, Step};

/// Reads by pushing pieces of the given sizes in turn.
pub(crate) fn read_in_pieces(
    bytes: &[u8],
    sizes: &[usize],
    options: Options,
) -> (Vec<Item>, Option<FileProblem>) {
    let mut parser = Parser::new(options);
    let mut sizes = sizes.iter().copied().cycle();
    let mut rest = bytes;
    let mut items = Vec::new();
    loop {
        match parser.next() {
            Ok(Step::Item(item)) => items.push(item),
            Ok(Step::Done) => return (items, None),
            Err(problem) => return (items, Some(problem)),
            Ok(Step::Rewind { byte_offset }) => {
                rest = &bytes[usize::try_from(byte_offset).unwrap()..];
            }
            Ok(Step::NeedInput) if rest.is_empty() => parser.finish(),
            Ok(Step::NeedInput) => {
                let (piece, tail) = rest.split_at(sizes.next().unwrap().min(rest.len()));
                parser.push(piece);
                rest = tail;
            }
        }
    }
}

/// Reads one item in each process, so to speak: every checkpoint goes through JSON.
fn read_interrupted(bytes: &[u8]) -> (Vec<Item>, Option<FileProblem>) {
    let open = |offset: u64| Ok(&bytes[usize::try_from(offset).unwrap()..]);
    let mut reader = Reader::new(open, Options::default());
    let mut items = Vec::new();
    loop {
        match reader.next_item() {
            Ok(Some(item)) => items.push(item),
            Ok(None) => return (items, None),
            Err(weir_servicegate::ReadError::File(problem)) => return (items, Some(*problem)),
            Err(error) => panic!("{error}"),
        }
        let checkpoint = reader.checkpoint().expect("one after every item");
        let json = serde_json::to_string(&checkpoint).unwrap();
        assert!(json.len() < 4_096, "{}", json.len());
        let again: Checkpoint = serde_json::from_str(&json).unwrap();
        assert_eq!(again, checkpoint);
        reader = Reader::resume(open, again, Options::default());
        assert_eq!(reader.checkpoint(), Some(checkpoint));
    }
}

fn every_sample() -> Vec<(String, Vec<u8>)> {
    let folders = ["", "broken", "records"];
    let mut samples = Vec::new();
    for folder in folders {
        for entry in std::fs::read_dir(fixtures().join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                samples.push((path.display().to_string(), std::fs::read(&path).unwrap()));
            }
        }
    }
    assert!(samples.len() > 60);
    samples
}

#[test]
fn a_reader_interrupted_after_every_item_gives_the_same_items() {
    for (name, bytes) in every_sample() {
        assert_eq!(read_interrupted(&bytes), read(&bytes), "{name}");
    }
}

#[test]
fn the_size_of_the_pieces_does_not_matter() {
    for (name, bytes) in every_sample() {
        let whole = read(&bytes);
        for sizes in [&[1][..], &[2], &[3], &[7, 1, 64], &[1000]] {
            assert_eq!(
                read_in_pieces(&bytes, sizes, Options::default()),
                whole,
                "{name} in pieces of {sizes:?}"
            );
        }
    }
}

#[test]
fn a_batch_is_read_again_from_the_checkpoint_of_its_start() {
    let bytes = fixture("golden.xml");
    let open = |offset: u64| Ok(&bytes[usize::try_from(offset).unwrap()..]);
    let mut reader = Reader::new(open, Options::default());
    let mut checkpoints = Vec::new();
    let mut items = Vec::new();
    while let Some(item) = reader.next_item().unwrap() {
        if matches!(item, Item::BatchStart(_)) {
            checkpoints.push((reader.checkpoint().unwrap(), items.len() + 1));
        }
        items.push(item);
    }
    assert_eq!(checkpoints.len(), 2);
    for (checkpoint, from) in checkpoints {
        let header = checkpoint.batch().unwrap().clone();
        let Item::BatchStart(start) = &items[from - 1] else {
            panic!("a start");
        };
        assert_eq!(
            (&header.number, header.ordinal),
            (&start.number, start.ordinal)
        );
        assert_eq!(checkpoint.records_read(), 0);
        let mut reader = Reader::resume(open, checkpoint, Options::default());
        let mut again = Vec::new();
        while let Some(item) = reader.next_item().unwrap() {
            again.push(item);
        }
        assert_eq!(again, items[from..]);
    }
}

#[test]
fn there_is_no_checkpoint_amid_a_record() {
    let bytes = fixture("golden.xml");
    let amid = bytes
        .windows(8)
        .position(|window| window == b"<PoNumbe")
        .unwrap();
    let mut parser = Parser::new(Options::default());
    assert_eq!(parser.checkpoint(), None);
    parser.push(&bytes[..amid]);
    while parser.next() != Ok(Step::NeedInput) {
        assert!(parser.checkpoint().is_some());
    }
    assert_eq!(parser.checkpoint(), None);
}

/// A source that fails now and then.
struct Flaky<'a> {
    bytes: &'a [u8],
    opened: u32,
}

struct FlakyRead<'a> {
    rest: &'a [u8],
    reads: u32,
}

impl<'a> Source for Flaky<'a> {
    type Read = FlakyRead<'a>;
    fn open_at(&mut self, byte_offset: u64) -> std::io::Result<FlakyRead<'a>> {
        self.opened += 1;
        if self.opened.is_multiple_of(2) {
            return Err(std::io::Error::other("not now"));
        }
        let rest = &self.bytes[usize::try_from(byte_offset).unwrap()..];
        Ok(FlakyRead { rest, reads: 0 })
    }
}

impl std::io::Read for FlakyRead<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.reads += 1;
        if self.reads == 3 {
            return Err(std::io::Error::other("cut off"));
        }
        let count = self.rest.len().min(buffer.len()).min(700);
        buffer[..count].copy_from_slice(&self.rest[..count]);
        self.rest = &self.rest[count..];
        Ok(count)
    }
}

#[test]
fn a_source_that_fails_is_no_problem_of_the_file_and_can_be_tried_again() {
    let bytes = fixture("golden.xml");
    let mut reader = Reader::new(
        Flaky {
            bytes: &bytes,
            opened: 0,
        },
        Options::default(),
    );
    let mut items = Vec::new();
    let mut failures = 0;
    loop {
        match reader.next_item() {
            Ok(Some(item)) => items.push(item),
            Ok(None) => break,
            Err(weir_servicegate::ReadError::Source(_)) => failures += 1,
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(items, read(&bytes).0);
    assert!(failures > 3);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_pieces_give_the_same_items(sizes in prop::collection::vec(1_usize..5000, 1..20), form in 0..4_usize) {
        let name = ["golden.xml", "golden-utf-16be.xml", "golden-headers-last.xml", "golden-windows-1252.xml"][form];
        let bytes = fixture(name);
        prop_assert_eq!(read_in_pieces(&bytes, &sizes, Options::default()), read(&bytes));
    }
}
