use super::*;

const KEY: &str = "sk.not-for-logs.42";
const CLIENT: &str = "11111111-1111-4111-8111-111111111111";

fn read(variables: &[(&str, &str)]) -> (KeySource, String) {
    let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    let mut reader = Reader::new(variables.iter().map(own).collect::<Vec<_>>());
    let source = KeySource::read(&mut reader);
    let problems = reader.finish().err();
    (
        source,
        problems.map_or(String::new(), |error| error.to_string()),
    )
}

#[test]
fn exactly_one_source_of_keys_must_be_set() {
    let many = format!(r#"{{"{CLIENT}":"{KEY}"}}"#);
    for (variables, is_right) in [
        (&[][..], false),
        (&[(SECRET, "weir-dev-three-rivers-keys")][..], true),
        (&[(ONE, KEY)], true),
        (&[(MANY, &many)], true),
        (&[(MANY, &many), (ONE, KEY)], true),
        (&[(SECRET, "a"), (ONE, KEY)], false),
        (&[(SECRET, "a"), (MANY, &many)], false),
        (&[(SECRET, " a")], false),
    ] {
        let (_, problems) = read(variables);
        assert_eq!(problems.is_empty(), is_right, "{variables:?}: {problems}");
    }
}

#[test]
fn the_age_of_what_was_read_is_five_minutes_and_can_be_set_within_limits() {
    for (age, taken) in [
        ("9", None),
        ("10", Some(10)),
        ("", Some(300)),
        ("3600", Some(3_600)),
        ("3601", None),
    ] {
        let set = [(SECRET, "a"), ("WEIR_THREE_RIVERS_SECRET_AGE", age)];
        let (source, problems) = read(&set);
        assert_eq!(problems.is_empty(), taken.is_some(), "{age}: {problems}");
        if let Some(seconds) = taken {
            let KeySource::Secret { age_max, .. } = source else {
                panic!("{source:?}");
            };
            assert_eq!(age_max, Duration::from_secs(seconds));
        }
    }
}

#[test]
fn every_problem_with_keys_in_the_settings_is_told_and_no_key() {
    let bad = format!(r#"{{"{KEY}":"{KEY}","{CLIENT}":"{KEY} {KEY}"}}"#);
    let (source, problems) = read(&[(MANY, &bad), (ONE, "sk not for logs"), (SECRET, "a")]);
    assert_eq!(problems.matches("expected").count(), 4, "{problems}");
    for shown in [problems, format!("{source:?}")] {
        assert!(
            !shown.contains("for-logs") && !shown.contains("for logs"),
            "{shown}"
        );
    }
    let (_, problems) = read(&[(MANY, KEY)]);
    assert!(problems.contains("a JSON object from client id to key"));
    assert!(!problems.contains("for-logs"), "{problems}");
}

#[test]
fn a_set_key_is_its_client_s_and_the_one_for_all_is_everybody_else_s() {
    let many = format!(r#"{{"{CLIENT}":"{KEY}"}}"#);
    let client = CLIENT.parse().unwrap();
    let other = "22222222-2222-4222-8222-222222222222".parse().unwrap();
    let print = |key: &str| key.parse::<ApiKey>().unwrap().fingerprint();
    for (variables, of_other) in [
        (&[(MANY, &*many)][..], None),
        (
            &[(MANY, &many), (ONE, "key-for-all")],
            Some(print("key-for-all")),
        ),
    ] {
        let (KeySource::Settings(keys), _) = read(variables) else {
            panic!("they are settings");
        };
        assert_eq!(keys.of(client).unwrap().fingerprint(), print(KEY));
        assert_eq!(keys.of(other).map(|key| key.fingerprint()), of_other);
    }
}
