//! Every parameter of every list: what it takes and what it refuses, at, below and above its limits.

use weir_api::Takes;
use weir_query::{Field, Operator, PAGE_SIZE_MAX, Parameter, QUERY_BYTES_MAX, Rule, VALUES_MAX};

use crate::asking::small;
use crate::cases::{Case, cases, operator};
use crate::schema::{is_error, places};

/// The cases that are lists.
fn lists() -> impl Iterator<Item = Case> {
    let asked = small();
    let is_list = |case: &Case| matches!(case.operation.takes, Takes::Query(_));
    cases(asked).into_iter().filter(is_list)
}

/// A text of some characters, one of which is of more than one byte.
fn text(begins_with: &str, chars: usize) -> String {
    let rest = chars.saturating_sub(begins_with.chars().count());
    let plain = "a".repeat(rest.saturating_sub(1));
    let last = if rest > 0 { "ä" } else { "" };
    format!("{begins_with}{plain}{last}")
}

fn encoded(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    };
    text.bytes().map(byte).collect()
}

/// Values that a rule allows, those at its limits among them.
fn good(rule: Rule) -> Vec<String> {
    match rule {
        Rule::Id => vec!["8a0b7c6d-0000-4000-8000-000000000001".to_owned()],
        Rule::Text {
            chars_min,
            chars_max,
            begins_with,
        } => {
            let least = chars_min.max(begins_with.chars().count());
            // Where there is no bound, what a query can hold at most is one.
            let most = chars_max.unwrap_or(1_200).min(1_200);
            vec![text(begins_with, least), text(begins_with, most)]
        }
        Rule::Integer { min, max } => vec![min.to_string(), max.to_string()],
        Rule::Time => [
            "2026-11-22",
            "2026-11-22T08:30:00Z",
            "2026-11-22T08:30:00.250Z",
        ]
        .map(str::to_owned)
        .into(),
        Rule::OneOf(words) | Rule::SomeOf(words) => {
            words.iter().map(|word| (*word).to_owned()).collect()
        }
        Rule::Emails => vec!["a@example.com".to_owned(), "пошта@example.com".to_owned()],
    }
}

/// Values that a rule does not allow: beyond its limits, of another type, of another form.
fn bad(rule: Rule) -> Vec<String> {
    let some = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect();
    match rule {
        Rule::Id => some(&[
            "",
            "x",
            "1",
            "8a0b7c6d00004000800000000000001",
            "8a0b7c6d-0000-4000-8000-00000000000g",
        ]),
        Rule::Text {
            chars_min,
            chars_max,
            begins_with,
        } => {
            let mut values: Vec<String> = Vec::new();
            values.extend((chars_min > 0).then(String::new));
            values.extend(chars_max.map(|max| text(begins_with, max + 1)));
            values.extend((!begins_with.is_empty()).then(|| "x".to_owned()));
            values
        }
        Rule::Integer { min, max } => {
            let mut values: Vec<String> =
                some(&["", "x", "1.0", "1e3", "+1", " 1", "9223372036854775808"]);
            values.push((i128::from(min) - 1).to_string());
            values.push((i128::from(max) + 1).to_string());
            values
        }
        Rule::Time => some(&[
            "",
            "x",
            "2026",
            "2026-02-30",
            "2026-11-22T08:30:00",
            "2026-11-22T08:30:00+01:00",
            "2026-11-22 08:30:00Z",
            "1763800200",
        ]),
        Rule::OneOf(words) | Rule::SomeOf(words) => {
            let other_case = words[0].to_lowercase();
            vec![String::new(), "x".to_owned(), other_case]
        }
        Rule::Emails => some(&["", "x", "@example.com", "x@"]),
    }
}

/// A parameter with an operator and a value, as it stands in a query.
fn pair(parameter: &Parameter, operator: &str, value: &str) -> String {
    let colon = if operator.is_empty() { "" } else { ":" };
    format!("{}{colon}{operator}={}", parameter.name, encoded(value))
}

#[test]
fn every_parameter_takes_what_its_rule_allows() {
    let asked = small();
    for case in lists() {
        for parameter in case.resource.parameters {
            for value in good(parameter.rule) {
                let query = format!("?page_size=1&{}", pair(parameter, "", &value));
                let answered = case.get(asked, &query);
                assert_eq!(answered.status, 200, "{query}: {}", answered.text);
            }
        }
    }
}

/// What each operator keeps is a law of its own; here they are tried all at once.
#[test]
fn every_parameter_takes_every_operator_that_applies_to_its_rule_and_no_other() {
    let asked = small();
    for case in lists() {
        for parameter in case.resource.parameters {
            let short = |value: &String| !value.is_empty() && value.len() < 100;
            let value = good(parameter.rule).into_iter().find(short);
            let value = value.unwrap_or_else(|| "a".to_owned());
            let operators = Operator::ALL.iter().skip(1);
            let (apply, others): (Vec<_>, Vec<_>) =
                operators.partition(|(_, operator)| operator.applies_to(parameter.rule));
            let pairs = |operators: &[&(&str, Operator)]| -> Vec<String> {
                let pair = |(name, _): &&(&str, Operator)| pair(parameter, name, &value);
                operators.iter().map(pair).collect()
            };
            let query = format!("?page_size=1&{}", pairs(&apply).join("&"));
            let answered = case.get(asked, &query);
            assert_eq!(answered.status, 200, "{query}: {}", answered.text);
            if !others.is_empty() {
                let answered = case.get(asked, &format!("?{}", pairs(&others).join("&")));
                let place =
                    |(name, _): &&(&str, Operator)| format!("/query/{}:{name}", parameter.name);
                assert_eq!(
                    places(&answered),
                    others.iter().map(place).collect::<Vec<_>>()
                );
            }
        }
    }
}

#[test]
fn every_parameter_refuses_what_its_rule_does_not_allow_by_name() {
    let asked = small();
    for case in lists() {
        for parameter in case.resource.parameters {
            for value in bad(parameter.rule) {
                let query = format!("?{}", pair(parameter, "", &value));
                let answered = case.get(asked, &query);
                assert_eq!(
                    places(&answered),
                    [format!("/query/{}", parameter.name)],
                    "{query}"
                );
            }
            for operator in ["eq", "GTE", "gte:", "like"] {
                let query = format!("?{}", pair(parameter, operator, &good(parameter.rule)[0]));
                let answered = case.get(asked, &query);
                assert_eq!(
                    places(&answered),
                    [format!("/query/{}:{operator}", parameter.name)]
                );
            }
        }
    }
}

#[test]
fn several_values_are_taken_up_to_a_hundred_and_each_is_held_to_the_rule() {
    let asked = small();
    for case in lists().filter(|case| case.ids.is_empty()) {
        for parameter in case.resource.parameters {
            // Within a text a comma parts, and an empty one is none.
            let value = good(parameter.rule).remove(0);
            if value.is_empty() {
                continue;
            }
            let value = value.replace('ä', "a");
            let many = |count| vec![value.as_str(); count].join(",");
            for (count, is_taken) in [(VALUES_MAX, true), (VALUES_MAX + 1, false)] {
                let query = format!(
                    "?page_size=1&{}",
                    pair(parameter, "in", &many(count)).replace("%2C", ",")
                );
                let answered = case.get(asked, &query);
                if is_taken {
                    assert_eq!(answered.status, 200, "{query}: {}", answered.text);
                } else {
                    assert_eq!(places(&answered), [format!("/query/{}:in", parameter.name)]);
                }
            }
            for wrong in bad(parameter.rule)
                .into_iter()
                .filter(|wrong| wrong.len() < 100)
            {
                let query = format!("?{}", pair(parameter, "in", &format!("{value},{wrong}")));
                let answered = case.get(asked, &query);
                assert_eq!(
                    places(&answered),
                    [format!("/query/{}:in", parameter.name)],
                    "{query}"
                );
            }
        }
    }
}

#[test]
fn every_field_can_be_sorted_by_both_ways_and_nothing_else() {
    let asked = small();
    for case in lists() {
        // Every field by itself, and all of them at once the other way; what sorts one list sorts
        // another, so under a path all of them at once are enough.
        let columns = |first| -> Vec<String> {
            let signs = ["", "-"].into_iter().cycle().skip(first);
            let fields = case.resource.fields.iter().zip(signs);
            let column =
                |(field, sign): (&Field, &str)| format!("sort_column[]={sign}{}", field.name);
            fields.map(column).collect()
        };
        let mut pairs = vec![columns(1).join("&")];
        if case.ids.is_empty() {
            pairs.extend(columns(0));
        }
        for pair in pairs {
            let answered = case.get(asked, &format!("?page_size=1&{pair}"));
            assert_eq!(answered.status, 200, "{pair}: {}", answered.text);
        }
        for wrong in ["", "-", "nothing", "--id", "+id", "id,status", "ID"] {
            let answered = case.get(asked, &format!("?sort_column[]={}", encoded(wrong)));
            assert_eq!(places(&answered), ["/query/sort_column[]"], "{wrong}");
        }
        let once = case.get(asked, "?sort_column[]=id");
        let twice = case.get(asked, "?sort_column[]=id&sort_column[]=-id");
        assert_eq!(twice.body, once.body);
    }
}

#[test]
fn a_page_has_its_limits() {
    let asked = small();
    for case in lists() {
        for (query, is_taken) in [
            ("page_size=1", true),
            ("page_size=249", true),
            ("page_size=250", true),
            ("page_size=251", false),
            ("page_size=0", false),
            ("page_size=-1", false),
            ("page_size=x", false),
            ("page_size=", false),
            ("page_size=1.5", false),
            ("page_number=1", true),
            ("page_number=4294967295", true),
            ("page_number=4294967296", false),
            ("page_number=0", false),
            ("page_number=-1", false),
            ("page_number=x", false),
        ] {
            let answered = case.get(asked, &format!("?{query}"));
            if is_taken {
                assert_eq!(answered.status, 200, "{query}: {}", answered.text);
                assert!(answered.rows().len() <= usize::try_from(PAGE_SIZE_MAX).unwrap());
            } else {
                let name = query.split('=').next().unwrap();
                assert_eq!(places(&answered), [format!("/query/{name}")], "{query}");
            }
        }
    }
}

#[test]
fn what_is_no_parameter_is_refused_by_name() {
    let asked = small();
    for case in cases(asked) {
        for name in [
            "nothing",
            "sort_column",
            "page",
            "ID",
            "status_",
            ":gte",
            "id[]",
        ] {
            let answered = case.get(asked, &format!("?{name}=1"));
            assert_eq!(
                places(&answered),
                [format!("/query/{name}")],
                "{}",
                case.operation.path
            );
        }
        if case.has_fields() && !case.is_list() {
            let answered = case.get(asked, "?page_size=1&id=x&fields=id");
            assert_eq!(places(&answered), ["/query/page_size", "/query/id"]);
        }
    }
}

#[test]
fn every_problem_of_a_query_is_told_at_once() {
    let asked = small();
    for case in lists() {
        let wrong = case.resource.parameters.iter().filter_map(|parameter| {
            let value = bad(parameter.rule).into_iter().next()?;
            Some((
                format!("/query/{}", parameter.name),
                pair(parameter, "", &value),
            ))
        });
        let wrong = wrong.chain([
            ("/query/page_size".to_owned(), "page_size=0".to_owned()),
            ("/query/page_number".to_owned(), "page_number=0".to_owned()),
            ("/query/fields".to_owned(), "fields=nothing".to_owned()),
            (
                "/query/sort_column[]".to_owned(),
                "sort_column[]=nothing".to_owned(),
            ),
            ("/query/nothing".to_owned(), "nothing=1".to_owned()),
        ]);
        let (wanted, pairs): (Vec<String>, Vec<String>) = wrong.unzip();
        let answered = case.get(asked, &format!("?{}", pairs.join("&")));
        assert_eq!(places(&answered), wanted, "{}", case.operation.path);
    }
}

#[test]
fn a_parameter_is_given_once_with_an_operator() {
    let asked = small();
    for case in lists() {
        for pairs in [
            "page_size=1&page_size=1",
            "fields=id&fields=id",
            "created_at=2026-11-22&created_at=2026-11-22",
        ] {
            let answered = case.get(asked, &format!("?{pairs}"));
            let name = pairs.split('=').next().unwrap();
            assert_eq!(places(&answered), [format!("/query/{name}")]);
        }
        let range = "?page_size=1&created_at:gte=2026-11-01&created_at:lt=2026-11-22";
        assert_eq!(case.get(asked, range).status, 200);
    }
}

#[test]
fn a_query_is_as_long_as_it_may_be_and_no_longer() {
    let asked = small();
    for case in lists().filter(|case| case.ids.is_empty()) {
        for (bytes, is_taken) in [
            (QUERY_BYTES_MAX - 1, true),
            (QUERY_BYTES_MAX, true),
            (QUERY_BYTES_MAX + 1, false),
        ] {
            let query = format!("page_size=1{}", "&".repeat(bytes - "page_size=1".len()));
            let target = format!("{}?{query}", case.target());
            let answered = asked.get(operator(asked), &target);
            if is_taken {
                assert_eq!(answered.status, 200, "{}", answered.text);
            } else {
                is_error(&answered, 400, "invalid_parameter");
                assert_eq!(places(&answered), ["/query"]);
            }
        }
    }
}
