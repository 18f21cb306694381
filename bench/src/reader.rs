//! The reader: with all its checks next to a bare event loop, and its memory on a large file.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::anyhow;
use quick_xml::events::Event;
use weir_servicegate::{Item, Once, Options, Reader, Source};

use crate::child::{self, Role};
use crate::measure::Values;
use crate::{Setting, machine, sample};

/// Size of the file that is read for speed, in MB.
const SPEED_MB: u32 = 60;
/// Size of the file that is read for memory, in MB.
const MEMORY_MB: u32 = 1_000;
/// Rounds, each of which reads the file in every way.
const ROUNDS: usize = 7;
/// How many bytes the bare loop reads at a time: as many as the reader.
const CHUNK_BYTES: usize = 128 * 1024;

/// The reader's speed and the bare loop's: the median of several rounds, in which they take turns,
/// by the time that the thread computes. Reading the file, which is in the page cache, is part of
/// both.
pub(crate) fn speed(setting: &Setting) -> anyhow::Result<Values> {
    std::fs::create_dir_all(&setting.scratch)?;
    let path = setting.scratch.join("reader.xml");
    sample::write_mb(SPEED_MB, BufWriter::new(File::create(&path)?))?;
    let mut times = [const { Vec::new() }; 3];
    for _ in 0..ROUNDS {
        let [check, keep, bare] = &mut times;
        check.push(timed(|| read_all(opener(&path), false).map(drop))?);
        keep.push(timed(|| read_all(opener(&path), true).map(drop))?);
        bare.push(timed(|| bare_events(&path))?);
    }
    let megabytes = std::fs::metadata(&path)?.len() as f64 / 1e6;
    std::fs::remove_file(&path)?;
    let [check, keep, bare] = times.map(|times| megabytes / median(times).as_secs_f64());
    Ok(Values::from([
        ("reader.mb_per_s".to_owned(), check),
        ("reader.keep_xml_mb_per_s".to_owned(), keep),
        ("reader.bare_mb_per_s".to_owned(), bare),
        ("reader.ratio_to_bare".to_owned(), check / bare),
    ]))
}

/// The peak memory of a process that reads a large file. The file is made here and goes through a
/// pipe, so it lies nowhere and what makes it is not counted.
pub(crate) fn memory(setting: &Setting) -> anyhow::Result<Values> {
    let mut child = child::start(Role::Read, setting, Stdio::piped())?;
    let input = child
        .stdin
        .take()
        .ok_or_else(|| anyhow!("a child has no standard input"))?;
    let written = sample::write_mb(MEMORY_MB, BufWriter::with_capacity(CHUNK_BYTES, input));
    let values = child::finish(child)?;
    written?;
    Ok(values)
}

/// The child's part: reads standard input as the split does, source texts included, and drops what
/// it has read.
pub(crate) fn read_input() -> anyhow::Result<Values> {
    let bytes = read_all(Once::new(io::stdin().lock()), true)?;
    anyhow::ensure!(
        bytes >= u64::from(MEMORY_MB) * 1_000_000,
        "the file was only {bytes} bytes"
    );
    let peak = machine::peak_mb()?;
    Ok(Values::from([("reader.peak_mb_1gb".to_owned(), peak)]))
}

/// Reads a sound file to its end and tells its size. Every rule of the format is checked.
fn read_all(source: impl Source, keep_xml: bool) -> anyhow::Result<u64> {
    let options = Options {
        keep_xml,
        ..Options::default()
    };
    let mut reader = Reader::new(source, options);
    let mut bytes = 0;
    while let Some(item) = reader.next_item()? {
        match item {
            Item::Problem(problem) => anyhow::bail!("the file is not sound: {problem}"),
            Item::End(_) => bytes = reader.position().byte,
            _ => {}
        }
    }
    Ok(bytes)
}

/// The least that any reader does: the events of the file, one after the other.
fn bare_events(path: &Path) -> anyhow::Result<()> {
    let file = BufReader::with_capacity(CHUNK_BYTES, File::open(path)?);
    let mut reader = quick_xml::Reader::from_reader(file);
    let mut buffer = Vec::new();
    while reader.read_event_into(&mut buffer)? != Event::Eof {
        buffer.clear();
    }
    Ok(())
}

fn opener(path: &Path) -> impl FnMut(u64) -> io::Result<Box<dyn Read>> {
    move |offset| {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(offset))?;
        Ok(Box::new(file))
    }
}

fn timed(work: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<Duration> {
    let begun = machine::thread_time()?;
    work()?;
    Ok(machine::thread_time()?.saturating_sub(begun))
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or(Duration::MAX)
}
