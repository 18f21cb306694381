use super::*;
use proptest::prelude::*;

fn rate(text: &str) -> Rate {
    text.parse().unwrap()
}

fn one_of_each() -> Faults {
    Faults {
        errors: BTreeMap::from([(500, rate("0.1")), (429, rate("0.1"))]),
        cut_before: rate("0.1"),
        cut_after_commit: rate("0.1"),
        cut_in_answer: rate("0.1"),
        never_answer: rate("0.1"),
        ..Faults::default()
    }
}

#[test]
fn a_rate_is_from_zero_to_one_with_at_most_six_decimals() {
    assert_eq!(rate("0"), Rate::NEVER);
    assert_eq!(rate("0.000001"), Rate::per_million(1).unwrap());
    assert_eq!(rate("0.999999"), Rate::per_million(999_999).unwrap());
    assert_eq!(rate("1"), Rate::ALWAYS);
    for text in [
        "1.000001",
        "2",
        "-0.1",
        "0.0000001",
        "",
        "x",
        "1e-2",
        "\"0.1\"",
    ] {
        assert_eq!(text.parse::<Rate>(), Err(RateError), "{text}");
    }
    assert!(Rate::per_million(1_000_001).is_err());
}

#[test]
fn faults_are_written_as_they_are_read() {
    let json = r#"{"latency":{"min_ms":5,"max_ms":40},"errors":{"429":0.01,"500":0.005},"retry_after_s":2,"cut_before":0.001,"cut_after_commit":0.002,"cut_in_answer":0,"never_answer":1}"#;
    let faults: Faults = serde_json::from_str(json).unwrap();
    assert_eq!(serde_json::to_string(&faults).unwrap(), json);
    let none: Faults = serde_json::from_str("{}").unwrap();
    assert_eq!(none, Faults::default());
    assert!(serde_json::from_str::<Faults>(r#"{"cut_befor":0.1}"#).is_err());
}

#[test]
fn rates_may_come_to_one_and_no_more() {
    let faults = |errors: &str, never: &str| Faults {
        errors: BTreeMap::from([(500, rate(errors))]),
        never_answer: rate(never),
        ..Faults::default()
    };
    assert_eq!(faults("0.5", "0.499999").check(), Ok(()));
    assert_eq!(faults("0.5", "0.5").check(), Ok(()));
    assert_eq!(
        faults("0.5", "0.500001").check(),
        Err(FaultsError::RatesTooHigh)
    );
}

#[test]
fn statuses_latency_and_waits_have_bounds() {
    let status = |status| Faults {
        errors: BTreeMap::from([(status, Rate::ALWAYS)]),
        ..Faults::default()
    };
    for (value, taken) in [(399, false), (400, true), (599, true), (600, false)] {
        assert_eq!(status(value).check().is_ok(), taken, "{value}");
    }
    let latency = |min_ms, max_ms| Faults {
        latency: Latency { min_ms, max_ms },
        ..Faults::default()
    };
    assert!(latency(5, 5).check().is_ok());
    assert!(latency(6, 5).check().is_err());
    assert!(latency(0, LATENCY_MS_MAX).check().is_ok());
    assert!(latency(0, LATENCY_MS_MAX + 1).check().is_err());
    let wait = |retry_after_s| Faults {
        retry_after_s: Some(retry_after_s),
        ..Faults::default()
    };
    assert!(wait(RETRY_AFTER_S_MAX).check().is_ok());
    assert!(wait(RETRY_AFTER_S_MAX + 1).check().is_err());
}

#[test]
fn a_rate_of_zero_never_happens_and_one_always() {
    let mut dice = Dice::new(1);
    let never = Faults::default();
    let always = Faults {
        cut_in_answer: Rate::ALWAYS,
        ..Faults::default()
    };
    for number in 0..1_000 {
        let key = format!("k{number}");
        assert_eq!(dice.plan(&never, Some(&key)).fault, Fault::None);
        assert_eq!(dice.plan(&always, Some(&key)).fault, Fault::CutInAnswer);
    }
}

#[test]
fn faults_come_about_as_often_as_they_are_to() {
    let mut dice = Dice::new(42);
    let mut counts: HashMap<String, u32> = HashMap::new();
    for number in 0..100_000 {
        let plan = dice.plan(&one_of_each(), Some(&format!("k{number}")));
        let name = match plan.fault {
            Fault::Error { status, .. } => status.to_string(),
            other => format!("{other:?}"),
        };
        *counts.entry(name).or_default() += 1;
    }
    let about = |name: &str, wanted: u32| {
        let count = counts[name];
        assert!(count.abs_diff(wanted) < 500, "{name}: {count}");
    };
    for name in ["500", "429", "CutBefore", "CutAfterCommit", "CutInAnswer"] {
        about(name, 10_000);
    }
    about("NeverAnswer { is_made: true }", 5_000);
    about("NeverAnswer { is_made: false }", 5_000);
    about("None", 40_000);
}

#[test]
fn latency_takes_every_value_within_its_bounds_and_none_outside() {
    let faults = Faults {
        latency: Latency {
            min_ms: 10,
            max_ms: 14,
        },
        ..Faults::default()
    };
    let mut dice = Dice::new(3);
    let mut seen = std::collections::BTreeSet::new();
    for number in 0..1_000 {
        let plan = dice.plan(&faults, Some(&number.to_string()));
        seen.insert((plan.before + plan.after).as_millis());
    }
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), [10, 11, 12, 13, 14]);
}

proptest! {
    #[test]
    fn what_meets_a_key_does_not_depend_on_when_it_comes(
        seed in any::<u64>(), order in Just((0..12_u32).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        let plans = |order: &[u32]| {
            let mut dice = Dice::new(seed);
            let mut plans = BTreeMap::new();
            for number in order {
                // Twelve requests under four keys.
                let key = format!("k{}", number % 4);
                let plan = dice.plan(&one_of_each(), Some(&key));
                dice.plan(&one_of_each(), None);
                plans.entry(key).or_insert_with(Vec::new).push(plan);
            }
            plans
        };
        let in_order: Vec<_> = (0..12).collect();
        prop_assert_eq!(plans(&order), plans(&in_order));
    }

    #[test]
    fn a_rate_is_written_as_it_is_read(millionths in 0..=PER_MILLION) {
        let rate = Rate::per_million(millionths).unwrap();
        prop_assert_eq!(rate.to_string().parse(), Ok(rate));
    }
}
