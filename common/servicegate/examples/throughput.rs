//! How fast the reader is next to a bare event loop, and how much memory it takes.
//!
//! `cargo run --profile bench-local -p weir-servicegate --example throughput -- [MEGABYTES [check]]`
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::float_arithmetic,
    clippy::cast_precision_loss,
    reason = "a measurement by hand"
)]

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom};
use std::path::Path;
use std::time::Duration;

use weir_servicegate::{Options, Reader, SellerReference, check, generate};

fn main() {
    let megabytes: u32 = std::env::args()
        .nth(1)
        .map_or(60, |text| text.parse().unwrap());
    let path = std::env::temp_dir().join("weir-throughput.xml");
    let plan = generate::Plan {
        seed: 7,
        prefix: "DEMO".to_owned(),
        created_at: None,
        batches: 4,
        records_per_batch: megabytes * 185,
        sellers: vec![SellerReference::Alternate("NW-0042".parse().unwrap())],
        buyers: vec![(
            "cf771e8a-5c1a-462f-b4c9-fc745f02d0de".parse().unwrap(),
            None,
        )],
        currency: "USD".parse().unwrap(),
        refund_every: 10,
        error_every: 1000,
    };
    let started = cpu_time();
    let out = BufWriter::new(File::create(&path).unwrap());
    let contents = generate::generate(&plan, out).unwrap();
    let bytes = std::fs::metadata(&path).unwrap().len();
    report("generate and write", bytes, started);
    println!("{contents:?}, {bytes} bytes");
    let check_only = std::env::args().any(|text| text == "check");
    let rounds = if bytes > 200_000_000 { 1 } else { 3 };
    for _ in 0..rounds {
        if check_only {
            measure_check(&path, bytes);
            continue;
        }
        let started = cpu_time();
        let mut bare = quick_xml::Reader::from_reader(BufReader::with_capacity(
            128 * 1024,
            File::open(&path).unwrap(),
        ));
        let mut buffer = Vec::new();
        while bare.read_event_into(&mut buffer).unwrap() != quick_xml::events::Event::Eof {
            buffer.clear();
        }
        report("bare events, buffered file", bytes, started);

        if bytes < 200_000_000 {
            let mut text = String::new();
            File::open(&path)
                .unwrap()
                .read_to_string(&mut text)
                .unwrap();
            let started = cpu_time();
            let mut bare = quick_xml::Reader::from_str(&text);
            while bare.read_event().unwrap() != quick_xml::events::Event::Eof {}
            report("bare events, in memory", bytes, started);
        }

        measure_check(&path, bytes);

        let started = cpu_time();
        let mut reader = Reader::new(open(&path), Options::default());
        while reader.next_item().unwrap().is_some() {}
        report("read with source texts", bytes, started);
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find(|line| line.starts_with("VmHWM"));
    println!("{}", peak.unwrap_or("peak memory unknown"));
    std::fs::remove_file(&path).unwrap();
}

fn open(path: &Path) -> impl FnMut(u64) -> io::Result<File> {
    move |offset| {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(offset))?;
        Ok(file)
    }
}

fn measure_check(path: &Path, bytes: u64) {
    let started = cpu_time();
    let checked = check(open(path), Options::default(), |_| {}).unwrap();
    report("check", bytes, started);
    assert!(checked.sound);
}

fn report(what: &str, bytes: u64, started: Duration) {
    let seconds = cpu_time().saturating_sub(started).as_secs_f64();
    println!("{what:28} {:8.1} MB/s", bytes as f64 / 1e6 / seconds);
}

/// The time that this thread has been computing: what others do on the machine is not measured.
fn cpu_time() -> Duration {
    let status = std::fs::read_to_string("/proc/self/schedstat").unwrap();
    Duration::from_nanos(status.split(' ').next().unwrap().parse().unwrap())
}
