//! Files that are too large to be sent in one go, sent to a running local system in parts.

use crate::submit_large::{Fault, Local, PUT, RESERVE, WAIT, is_settled};

const MIB: usize = 1024 * 1024;
/// What is sent in one go here, so that a file in parts need not have 100 MB.
const WHOLE_MOST: usize = 5 * MIB;
/// Three parts: two of 16 MiB, and 1 MiB, which is sent in 16 pieces.
const THREE: usize = 33 * MIB;

fn start() -> Local {
    Local::start_with(u64::try_from(WHOLE_MOST).unwrap())
}

/// What was asked of the API, and how many parts were sent.
fn asked(seen: &[String]) -> (Vec<&str>, usize) {
    let asked = seen.iter().map(String::as_str).filter(|one| *one != PUT);
    // The id of the file is another one every time.
    let asked: Vec<&str> = asked
        .map(|one| {
            if one.ends_with("/parts") {
                "parts"
            } else {
                one
            }
        })
        .collect();
    let sent = seen.len() - asked.len();
    (asked, sent)
}

#[test]
fn above_what_is_sent_in_one_go_a_file_goes_in_parts() {
    let local = start();
    for (number, size, requests) in [
        ("BELOW", WHOLE_MOST - 1, (vec![RESERVE], 1)),
        ("AT", WHOLE_MOST, (vec![RESERVE], 1)),
        ("ABOVE", WHOLE_MOST + 1, (vec![RESERVE, "parts"], 1)),
        ("TWO", 32 * MIB, (vec![RESERVE, "parts"], 2)),
        ("THREE", 32 * MIB + 1, (vec![RESERVE, "parts"], 3)),
    ] {
        let (ran, seen) = local.submit(&local.file_of(number, size), &Fault::None, &WAIT);
        assert_eq!(asked(&seen), requests, "{number}: {ran:?}");
        is_settled(&ran);
    }
}

#[test]
fn the_same_command_again_sends_the_parts_that_are_missing() {
    let local = start();
    for arrived in [1, 2] {
        let path = local.file_of(&format!("STOPPED-{arrived}"), THREE);
        let (first, _) = local.submit(&path, &Fault::StopAfter(arrived), &["--wait"]);
        assert_eq!(first.code, 130, "{first:?}");
        assert!(first.stderr.contains("submit the same file"), "{first:?}");
        let (second, seen) = local.submit(&path, &Fault::None, &["--wait"]);
        assert_eq!(second.code, 0, "{second:?}");
        assert_eq!(asked(&seen), (vec![RESERVE, "parts"], 3 - arrived));
        let said = format!("{arrived} of 3 parts are there already");
        assert!(second.stderr.contains(&said), "{second:?}");
        // All of it is there by now.
        let (third, seen) = local.submit(&path, &Fault::None, &WAIT);
        is_settled(&third);
        assert_eq!(seen, [RESERVE]);
    }
}

#[test]
fn a_part_whose_connection_is_lost_is_sent_again_and_no_other() {
    let local = start();
    for (number, pieces) in [("CUT-0", 0), ("CUT-10", 10)] {
        let path = local.file_of(number, THREE);
        let (ran, seen) = local.submit(&path, &Fault::CutAfter(pieces), &["--wait"]);
        assert_eq!(ran.code, 0, "{ran:?}");
        assert_eq!(asked(&seen), (vec![RESERVE, "parts", "parts"], 4));
        let again = ran.stderr.lines().filter(|line| line.starts_with("part "));
        assert_eq!(again.count(), 1, "{ran:?}");
        assert!(ran.stderr.contains("sending it again in 1 s"), "{ran:?}");
    }
}

#[test]
fn a_part_whose_answer_was_lost_is_not_sent_again() {
    let local = start();
    let path = local.file_of("LOST", THREE);
    let (ran, seen) = local.submit(&path, &Fault::AnswerLost, &WAIT);
    is_settled(&ran);
    assert_eq!(asked(&seen), (vec![RESERVE, "parts", "parts"], 3));
}

#[test]
fn a_part_whose_time_is_over_is_asked_for_again() {
    let local = start();
    let path = local.file_of("LATE", THREE);
    let (ran, seen) = local.submit(&path, &Fault::LateOnce, &WAIT);
    is_settled(&ran);
    assert_eq!(asked(&seen), (vec![RESERVE, "parts", "parts"], 4));
}

#[test]
fn parts_that_were_given_up_are_sent_to_another_place() {
    let local = start();
    let path = local.file_of("GIVEN-UP", 17 * MIB);
    let (ran, seen) = local.submit(&path, &Fault::GivenUp(local.uploads()), &WAIT);
    is_settled(&ran);
    let (asked, _) = asked(&seen);
    let places = asked.iter().filter(|one| **one == RESERVE);
    assert_eq!(places.count(), 2, "{seen:?}");
    assert_eq!(asked[asked.len() - 2..], [RESERVE, "parts"], "{seen:?}");
}

#[test]
fn a_file_that_changes_while_its_parts_are_sent_is_not_taken() {
    let local = start();
    let path = local.file_of("REWRITTEN", THREE);
    let (ran, seen) = local.submit(&path, &Fault::Rewritten(path.clone()), &[]);
    assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{ran:?}");
    assert_eq!(asked(&seen).0, [RESERVE, "parts"]);
    let said = "REWRITTEN.xml changed while it was being uploaded\nhelp: submit it again once";
    assert!(ran.stderr.contains(said), "{ran:?}");

    let path = local.file_of("LONGER", THREE);
    let (ran, seen) = local.submit(&path, &Fault::Longer(path.clone()), &[]);
    assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{ran:?}");
    assert_eq!(asked(&seen), (vec![RESERVE, "parts"], 0));
    assert!(ran.stderr.contains("LONGER.xml changed"), "{ran:?}");
}
