use super::*;
use chrono::DateTime;
use proptest::prelude::*;

#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Written {
    fn lines(&self) -> Vec<Value> {
        let written = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        let lines = written.lines().map(serde_json::from_str);
        lines.collect::<Result<_, _>>().unwrap()
    }
}

fn metrics() -> (Metrics, Written) {
    let (clock, _) = Clock::manual(DateTime::from_timestamp_millis(1_795_348_800_123).unwrap());
    let written = Written::default();
    let namespace = Namespace::read(&mut reader("weir-dev"));
    let metrics = Metrics::new(namespace, "measured", clock, written.clone());
    (metrics, written)
}

fn reader(namespace: &str) -> Reader {
    Reader::new([("WEIR_METRICS_NAMESPACE".to_owned(), namespace.to_owned())])
}

/// The rules of the format's JSON schema that concern us, written out.
fn check_shape(line: &Value) {
    let aws = &line["_aws"];
    assert!(aws["Timestamp"].is_u64(), "{line}");
    let directives = aws["CloudWatchMetrics"].as_array().unwrap();
    assert!(!directives.is_empty(), "{line}");
    for directive in directives {
        let namespace = directive["Namespace"].as_str().unwrap();
        assert!((1..=255).contains(&namespace.len()), "{line}");
        for dimensions in directive["Dimensions"].as_array().unwrap() {
            let dimensions = dimensions.as_array().unwrap();
            assert!(dimensions.len() <= 30, "{line}");
            for dimension in dimensions {
                let value = line[dimension.as_str().unwrap()].as_str().unwrap();
                assert!((1..=1024).contains(&value.len()), "{line}");
            }
        }
        let definitions = directive["Metrics"].as_array().unwrap();
        assert!((1..=100).contains(&definitions.len()), "{line}");
        for definition in definitions {
            let name = definition["Name"].as_str().unwrap();
            assert!((1..=1024).contains(&name.len()), "{line}");
            let unit = definition["Unit"].as_str().unwrap();
            assert!(["Count", "Milliseconds"].contains(&unit), "{line}");
            match &line[name] {
                Value::Number(_) => {}
                Value::Array(values) => {
                    assert!((1..=100).contains(&values.len()), "{line}");
                    assert!(values.iter().all(Value::is_number), "{line}");
                }
                other => panic!("{other} is no metric value"),
            }
        }
    }
}

#[test]
fn a_flush_writes_one_line_in_the_embedded_metric_format() {
    let (metrics, written) = metrics();
    metrics.count(Metric::FilesStored, 2);
    metrics.clone().count(Metric::FilesStored, 1);
    metrics.count(Metric::RecordsFailed, 0);
    metrics.duration(Metric::PlatformCallTime, Duration::from_micros(12_999));
    metrics.flush();
    let lines = written.lines();
    lines.iter().for_each(check_shape);
    assert_eq!(
        lines,
        [json!({
            "_aws": {
                "Timestamp": 1_795_348_800_123_u64,
                "CloudWatchMetrics": [{
                    "Namespace": "weir-dev",
                    "Dimensions": [["function"]],
                    "Metrics": [
                        {"Name": "files_stored", "Unit": "Count"},
                        {"Name": "records_failed", "Unit": "Count"},
                        {"Name": "platform_call_time", "Unit": "Milliseconds"},
                    ],
                }],
            },
            "function": "measured",
            "files_stored": 3,
            "records_failed": 0,
            "platform_call_time": [12],
        })]
    );
}

#[test]
fn a_namespace_has_up_to_255_characters_that_cloudwatch_takes() {
    let is_taken = |namespace: &str| {
        let mut reader = reader(namespace);
        let _ = Namespace::read(&mut reader);
        reader.finish().is_ok()
    };
    assert_eq!(Namespace::read(&mut reader("")), Namespace::default());
    for good in ["w", "Weir/dev.1-a_b#c", &"w".repeat(254), &"w".repeat(255)] {
        assert!(is_taken(good), "{good}");
    }
    for bad in ["weir dev", "weir:dev", "wéir", "\u{7}", &"w".repeat(256)] {
        assert!(!is_taken(bad), "{bad}");
    }
}

#[test]
fn a_flush_with_nothing_to_say_writes_nothing() {
    let (metrics, written) = metrics();
    metrics.flush();
    metrics.count(Metric::Swept, 1);
    metrics.flush();
    metrics.flush();
    assert_eq!(written.lines().len(), 1);
}

#[test]
fn a_document_holds_at_most_a_hundred_durations() {
    for (recorded, lines_expected) in [(99, 1), (100, 1), (101, 2)] {
        let (metrics, written) = metrics();
        for _ in 0..recorded {
            metrics.duration(Metric::InvocationTime, Duration::from_millis(1));
        }
        metrics.flush();
        let lines = written.lines();
        lines.iter().for_each(check_shape);
        assert_eq!(lines.len(), lines_expected);
    }
}

#[test]
fn a_count_saturates() {
    let (metrics, written) = metrics();
    metrics.count(Metric::Swept, u64::MAX);
    metrics.count(Metric::Swept, 1);
    metrics.flush();
    assert_eq!(written.lines()[0]["swept"], u64::MAX);
}

#[test]
fn a_line_that_cannot_be_written_harms_nobody() {
    struct Full;
    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let metrics = Metrics::new(Namespace::default(), "measured", Clock::system(), Full);
    metrics.count(Metric::Swept, 1);
    metrics.flush();
}

#[test]
fn names_are_unique_and_in_snake_case() {
    let names: std::collections::BTreeSet<_> = Metric::ALL.iter().map(|m| m.name()).collect();
    assert_eq!(names.len(), Metric::ALL.len());
    let is_snake = |name: &str| name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    assert!(names.iter().all(|name| is_snake(name)));
}

proptest! {
    #[test]
    fn what_is_written_adds_up_to_what_was_counted(
        counted in proptest::collection::vec((0_usize..100, 0_u64..1000, any::<bool>()), 0..50)
    ) {
        let counts: Vec<_> = Metric::ALL
            .iter()
            .filter(|metric| metric.unit() == Unit::Count)
            .collect();
        let (metrics, written) = metrics();
        let mut expected = BTreeMap::<_, u64>::new();
        for (index, value, flush) in counted {
            let metric = *counts[index % counts.len()];
            metrics.count(metric, value);
            *expected.entry(metric).or_default() += value;
            if flush {
                metrics.flush();
            }
        }
        metrics.flush();
        for (metric, sum) in expected {
            let written: u64 = written.lines().iter().filter_map(|line| line[metric.name()].as_u64()).sum();
            prop_assert_eq!(written, sum);
        }
    }
}

#[test]
fn a_metric_is_recorded_by_the_functions_that_are_said_to_and_by_no_other() {
    let (clock, _) = Clock::manual(DateTime::UNIX_EPOCH);
    for function in EVERY {
        let metrics = Metrics::new(Namespace::default(), *function, clock.clone(), io::sink());
        for metric in Metric::ALL {
            assert!(!metric.functions().is_empty(), "{metric:?}");
            let is_said_to = metric.functions().contains(function);
            assert_eq!(metrics.may_record(*metric), is_said_to, "{metric:?}");
        }
    }
    assert!(Metrics::discarded(clock).may_record(Metric::Swept));
}
