use super::*;
use std::io;
use std::sync::{Arc, Mutex};

use chrono::DateTime;
use proptest::prelude::*;
use serde_json::{Value, json};

struct Written(Arc<Mutex<Vec<u8>>>);

impl io::Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn logged(filter: &str, act: impl FnOnce()) -> Vec<Value> {
    let written = Arc::new(Mutex::new(Vec::new()));
    let (clock, _) = Clock::manual(DateTime::from_timestamp_millis(1_795_348_800_120).unwrap());
    let options = TelemetryOptions {
        filter: filter.to_owned(),
    };
    let subscriber = subscriber(&options, clock, {
        let written = Arc::clone(&written);
        move || Written(Arc::clone(&written))
    });
    tracing::subscriber::with_default(subscriber, act);
    let written = String::from_utf8(written.lock().unwrap().clone()).unwrap();
    assert!(written.is_empty() || written.ends_with('\n'));
    let lines = written.lines().map(serde_json::from_str);
    lines.collect::<Result<_, _>>().unwrap()
}

fn id(id: &str) -> CorrelationId {
    CorrelationId::new(id).unwrap()
}

#[test]
fn a_line_has_time_level_message_correlation_target_and_fields() {
    let lines = logged("info", || {
        let _entered = span(&id("c-1")).entered();
        tracing::info!(file_id = "f-1", records = 7, whole = true, "file stored");
    });
    assert_eq!(
        lines,
        [json!({
            "timestamp": "2026-11-22T12:00:00.120Z",
            "level": "INFO",
            "message": "file stored",
            "correlation_id": "c-1",
            "target": "weir_runtime::telemetry::tests",
            "file_id": "f-1",
            "records": 7,
            "whole": true,
        })]
    );
}

#[test]
fn a_line_outside_of_any_work_has_a_null_correlation() {
    let lines = logged("info", || tracing::info!("started"));
    assert_eq!(lines[0]["correlation_id"], Value::Null);
    assert!(lines[0].as_object().unwrap().contains_key("correlation_id"));
}

#[test]
fn inner_spans_keep_the_correlation_and_inner_fields_win() {
    let lines = logged("info", || {
        let _outer = span(&id("c-1")).entered();
        let _inner = tracing::info_span!("inner", step = 1, detail = "d").entered();
        tracing::info!(step = 2, "done");
    });
    assert_eq!(lines[0]["correlation_id"], "c-1");
    assert_eq!(lines[0]["detail"], "d");
    assert_eq!(lines[0]["step"], 2);
}

#[test]
fn the_correlation_is_there_even_when_only_errors_are_logged() {
    let lines = logged("error", || {
        let _entered = span(&id("c-1")).entered();
        tracing::info!("not logged");
        tracing::error!("logged");
    });
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0]["correlation_id"], "c-1");
}

#[test]
fn a_field_recorded_later_is_in_the_line() {
    let lines = logged("info", || {
        let span = tracing::info_span!("work", outcome = tracing::field::Empty).entered();
        span.record("outcome", "settled");
        tracing::info!("done");
    });
    assert_eq!(lines[0]["outcome"], "settled");
}

#[test]
fn a_field_with_one_of_our_names_is_kept_under_another() {
    let lines = logged("info", || tracing::info!(level = "high", "tide"));
    assert_eq!(lines[0]["level"], "INFO");
    assert_eq!(lines[0]["field_level"], "high");
}

#[test]
fn an_error_is_logged_with_its_causes() {
    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer(#[source] std::num::ParseIntError);

    let error = Outer("".parse::<u8>().unwrap_err());
    let error: &(dyn std::error::Error + 'static) = &error;
    let lines = logged("info", || tracing::error!(error, "failed"));
    assert_eq!(
        lines[0]["error"],
        "outer: cannot parse integer from empty string"
    );
}

#[test]
fn a_text_is_cut_past_8_kib_at_a_character() {
    for (characters, kept) in [(4095, 4095), (4096, 4096), (4097, 4097)] {
        let text = "é".repeat(characters);
        let lines = logged("info", || tracing::info!(text, "long"));
        let logged = lines[0]["text"].as_str().unwrap();
        assert_eq!(logged.chars().count(), kept);
        assert_eq!(logged.ends_with('…'), characters > 4096);
    }
    let text = format!("x{}", "é".repeat(4096));
    let lines = logged("info", || tracing::info!(text, "long"));
    assert_eq!(
        lines[0]["text"].as_str().unwrap().len(),
        8191 + '…'.len_utf8()
    );
}

#[test]
fn a_panic_is_logged_with_its_place_and_correlation() {
    let previous = std::panic::take_hook();
    let lines = logged("info", || {
        std::panic::set_hook(Box::new(log_panic));
        let _entered = span(&id("c-1")).entered();
        let outcome = std::panic::catch_unwind(|| panic!("a broken invariant"));
        assert!(outcome.is_err());
    });
    std::panic::set_hook(previous);
    // The hook is the process's: a panic of another test may be in between, but not in our lines.
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0]["message"], "panicked");
    assert_eq!(lines[0]["reason"], "a broken invariant");
    assert_eq!(lines[0]["correlation_id"], "c-1");
    assert!(
        lines[0]["location"]
            .as_str()
            .unwrap()
            .contains("telemetry/tests.rs")
    );
}

#[test]
fn what_is_logged_is_a_setting_and_a_wrong_one_is_a_problem() {
    let read = |value: &str| {
        let mut reader = Reader::new([("WEIR_LOG".to_owned(), value.to_owned())]);
        let options = TelemetryOptions::read(&mut reader);
        reader.finish().map(|()| options)
    };
    assert_eq!(read("").unwrap(), TelemetryOptions::default());
    assert_eq!(
        read("warn,weir_store=debug").unwrap().filter,
        "warn,weir_store=debug"
    );
    for wrong in ["weir=loud", "weir=", "info, weir = ", "weir=info=debug"] {
        assert!(read(wrong).is_err(), "{wrong:?}");
    }
}

#[test]
fn a_word_that_is_no_level_is_refused_and_not_taken_for_a_module() {
    let read = |value: &str| {
        let mut reader = Reader::new([("WEIR_LOG".to_owned(), value.to_owned())]);
        TelemetryOptions::read(&mut reader);
        reader.finish()
    };
    for level in ["off", "error", "warn", "info", "debug", "trace", "INFO"] {
        assert_eq!(read(level), Ok(()), "{level:?}");
        assert_eq!(read(&format!("info, weir_store::files={level}")), Ok(()));
    }
    for wrong in [
        "infos",
        "verbose",
        "weir_store",
        "info weir_store=debug",
        "info; weir_store=debug",
        "info, weir_store",
        "weir_store:debug",
        "=debug",
        "weir store=debug",
        "weir_store:::files=debug",
        "weir_store[span]=debug",
        "weir_store=infos",
        "debugg, info",
    ] {
        let error = read(wrong).unwrap_err().to_string();
        assert!(error.contains("WEIR_LOG"), "{wrong:?}: {error}");
        assert!(error.contains("off, error, warn, info, debug or trace"));
    }
}

#[test]
fn spaces_and_empty_parts_of_what_is_logged_say_nothing() {
    let read = |value: &str| {
        let mut reader = Reader::new([("WEIR_LOG".to_owned(), value.to_owned())]);
        let options = TelemetryOptions::read(&mut reader);
        reader.finish().unwrap();
        options.filter
    };
    let levels = |value: &str| {
        let lines = logged(&read(value), || {
            tracing::warn!(target: "weir_api", "warn");
            tracing::info!(target: "weir_api", "info");
            tracing::debug!(target: "weir_api", "debug");
            tracing::debug!(target: "weir_store", "debug");
        });
        let place =
            |line: Value| format!("{} {}", line["target"], line["message"]).replace('"', "");
        lines.into_iter().map(place).collect::<Vec<_>>()
    };
    let info = ["weir_api warn", "weir_api info"];
    for value in [
        "info", "info,", ",info", "info ,", "info,,", "info, ,", ",", ", ,",
    ] {
        assert_eq!(levels(value), info, "{value:?}");
    }
    let both = ["weir_api warn", "weir_api info", "weir_store debug"];
    for value in [
        "info,weir_store=debug",
        "info, weir_store=debug",
        "info ,weir_store = debug ,",
        "weir_store= debug,, info",
    ] {
        assert_eq!(levels(value), both, "{value:?}");
    }
}

#[test]
fn a_correlation_id_has_1_to_1024_visible_characters() {
    for (text, is_valid) in [
        ("", false),
        ("a", true),
        (&*"a".repeat(1024), true),
        (&*"a".repeat(1025), false),
        ("a b", false),
        ("a\n", false),
        ("é", false),
        ("~!", true),
    ] {
        assert_eq!(CorrelationId::new(text).is_ok(), is_valid, "{text:?}");
    }
    let (clock, _) = Clock::manual(DateTime::from_timestamp_millis(0).unwrap());
    let made = CorrelationId::generate(&Random::seeded(1), &clock);
    assert_eq!(made.as_str().parse(), Ok(made));
}

proptest! {
    #[test]
    fn a_line_is_one_json_object_whatever_is_logged(text: String, id in "[!-~]{1,40}") {
        let lines = logged("info", || {
            let _entered = span(&CorrelationId::new(id.clone()).unwrap()).entered();
            tracing::info!(text, "logged");
        });
        prop_assert_eq!(lines.len(), 1);
        prop_assert_eq!(&lines[0]["text"], &text);
        prop_assert_eq!(&lines[0]["correlation_id"], &id);
    }
}
