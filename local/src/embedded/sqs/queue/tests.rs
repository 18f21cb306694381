use proptest::prelude::*;

use super::*;

const SECOND: u64 = 1_000;

fn letter(id: &str, group: Option<&str>) -> Letter {
    Letter {
        id: id.to_owned(),
        body: id.into(),
        body_md5: String::new(),
        attributes: Arc::default(),
        trace_header: None,
        group: group.map(Into::into),
        dead_from: None,
        sent_at_ms: 0,
    }
}

fn queue(settings: &[(&str, &str)]) -> Queue {
    let given = settings
        .iter()
        .map(|&(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    Queue::new(Settings::default().with(&given).unwrap(), 0)
}

fn ids(received: &Received) -> Vec<String> {
    let ids = received.deliveries.iter();
    ids.map(|delivery| delivery.letter.id.clone()).collect()
}

#[test]
fn a_message_comes_back_when_its_visibility_ends_and_not_a_millisecond_before() {
    let mut queue = queue(&[("VisibilityTimeout", "30")]);
    queue.send(letter("a", None), None, 0);
    assert_eq!(ids(&queue.receive(10, None, 0).unwrap()), ["a"]);
    let early = queue.receive(10, None, 30 * SECOND - 1).unwrap();
    assert_eq!(
        (ids(&early).len(), early.next_at_ms),
        (0, Some(30 * SECOND))
    );
    let again = queue.receive(10, None, 30 * SECOND).unwrap();
    assert_eq!(again.deliveries[0].receives_count, 2);
    assert_eq!(again.deliveries[0].first_received_at_ms, 0);
}

#[test]
fn a_delay_hides_a_message_and_the_message_s_own_wins_over_the_queue_s() {
    let mut queue = queue(&[("DelaySeconds", "10")]);
    queue.send(letter("slow", None), None, 0);
    queue.send(letter("now", None), Some(0), 0);
    queue.send(letter("later", None), Some(20), 0);
    assert_eq!(queue.counts(0).delayed, 2);
    assert_eq!(ids(&queue.receive(10, None, 0).unwrap()), ["now"]);
    assert_eq!(
        ids(&queue.receive(10, None, 10 * SECOND).unwrap()),
        ["slow"]
    );
    assert_eq!(
        ids(&queue.receive(10, None, 20 * SECOND).unwrap()),
        ["later"]
    );
}

#[test]
fn groups_take_turns_however_long_their_lines_are() {
    let mut queue = queue(&[]);
    for number in 0..1_000 {
        queue.send(letter(&format!("big-{number}"), Some("big")), None, 0);
    }
    queue.send(letter("small-0", Some("small")), None, 0);
    queue.send(letter("small-1", Some("small")), None, 0);
    let first = queue.receive(5, None, 0).unwrap();
    assert_eq!(
        ids(&first),
        ["big-0", "small-0", "big-1", "small-1", "big-2"]
    );
}

#[test]
fn an_old_receipt_deletes_nothing() {
    let mut queue = queue(&[]);
    queue.send(letter("a", None), None, 0);
    let old = queue.receive(1, Some(1), 0).unwrap().deliveries.remove(0);
    let new = queue
        .receive(1, Some(1), SECOND)
        .unwrap()
        .deliveries
        .remove(0);
    queue.delete(&old.receipt).unwrap();
    assert_eq!(queue.counts(SECOND).in_flight, 1);
    queue.delete(&new.receipt).unwrap();
    queue.delete(&new.receipt).unwrap();
    assert_eq!(queue.counts(SECOND), QueueCounts::default());
}

#[test]
fn a_message_that_is_visible_again_can_still_be_deleted_by_its_newest_receipt() {
    let mut queue = queue(&[]);
    queue.send(letter("a", None), None, 0);
    let only = queue.receive(1, Some(1), 0).unwrap().deliveries.remove(0);
    assert_eq!(queue.counts(SECOND).ready, 1);
    queue.delete(&only.receipt).unwrap();
    assert!(
        queue
            .receive(1, None, SECOND)
            .unwrap()
            .deliveries
            .is_empty()
    );
}

#[test]
fn a_receipt_of_another_making_is_refused() {
    let mut queue = queue(&[]);
    for made_up in ["", "x", "a.b.c", "a.1", "a.1.x"] {
        let fault = queue.delete(made_up).unwrap_err();
        assert_eq!(fault.kind(), Kind::ReceiptHandleIsInvalid, "{made_up}");
    }
}

#[test]
fn after_its_last_receive_a_message_is_a_dead_letter() {
    let policy = r#"{"deadLetterTargetArn":"arn:x","maxReceiveCount":2}"#;
    let mut queue = queue(&[("RedrivePolicy", policy)]);
    queue.send(letter("a", None), None, 0);
    for _ in 0..2 {
        let received = queue.receive(1, Some(0), 0).unwrap();
        assert_eq!((received.deliveries.len(), received.dead.len()), (1, 0));
    }
    let last = queue.receive(1, Some(0), 0).unwrap();
    assert_eq!((last.deliveries.len(), last.dead.len()), (0, 1));
    assert_eq!(queue.counts(0), QueueCounts::default());
}

#[test]
fn visibility_can_be_changed_to_twelve_hours_in_all_and_no_further() {
    let mut queue = queue(&[]);
    queue.send(letter("a", None), None, 0);
    let got = queue.receive(1, None, 0).unwrap().deliveries.remove(0);
    let fault = |queue: &mut Queue, seconds, now| {
        let changed = queue.change_visibility(&got.receipt, seconds, now);
        changed.err().map(|fault| fault.kind())
    };
    assert_eq!(fault(&mut queue, 43_200, 0), None);
    assert_eq!(fault(&mut queue, 43_199, SECOND), None);
    assert_eq!(
        fault(&mut queue, 43_200, SECOND),
        Some(Kind::InvalidParameterValue)
    );
    assert_eq!(fault(&mut queue, 0, SECOND), None);
    assert_eq!(queue.counts(SECOND).ready, 1);
    assert_eq!(fault(&mut queue, 1, SECOND), Some(Kind::MessageNotInflight));
}

#[test]
fn a_message_past_its_retention_is_gone() {
    let mut queue = queue(&[("MessageRetentionPeriod", "60")]);
    queue.send(letter("a", None), None, 0);
    queue.send(letter("b", None), None, 0);
    assert_eq!(
        queue
            .receive(1, Some(0), 60 * SECOND - 1)
            .unwrap()
            .deliveries
            .len(),
        1
    );
    let late = queue.receive(10, None, 60 * SECOND).unwrap();
    assert!(late.deliveries.is_empty() && late.dead.is_empty());
}

#[test]
fn one_receive_never_holds_the_same_message_twice() {
    let mut queue = queue(&[]);
    queue.send(letter("a", None), None, 0);
    assert_eq!(queue.receive(10, Some(0), 0).unwrap().deliveries.len(), 1);
}

#[test]
fn no_more_than_the_limit_is_in_flight() {
    let mut queue = queue(&[]);
    for _ in 0..=IN_FLIGHT_MAX {
        queue.send(letter("a", None), None, 0);
    }
    for _ in 0..IN_FLIGHT_MAX / 10 {
        assert_eq!(queue.receive(10, None, 0).unwrap().deliveries.len(), 10);
    }
    assert_eq!(
        queue.receive(1, None, 0).unwrap_err().kind(),
        Kind::OverLimit
    );
}

#[derive(Debug, Clone)]
enum Step {
    Send { delay_s: u64, group: u8 },
    Receive { visibility_s: u64 },
    Delete { pick: usize },
    Change { pick: usize, visibility_s: u64 },
    Wait { seconds: u64 },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..4_u64, 0..3_u8).prop_map(|(delay_s, group)| Step::Send { delay_s, group }),
        (0..4_u64).prop_map(|visibility_s| Step::Receive { visibility_s }),
        any::<usize>().prop_map(|pick| Step::Delete { pick }),
        (any::<usize>(), 0..4_u64)
            .prop_map(|(pick, visibility_s)| Step::Change { pick, visibility_s }),
        (0..4_u64).prop_map(|seconds| Step::Wait { seconds }),
    ]
}

proptest! {
    #[test]
    fn every_message_sent_is_delivered_until_it_is_deleted_and_never_after(
        steps in prop::collection::vec(step(), 0..200)
    ) {
        let mut queue = queue(&[]);
        let (mut now, mut sent) = (0, 0_usize);
        let mut receipts: Vec<(String, String)> = Vec::new();
        let mut live = std::collections::BTreeSet::new();
        for step in steps {
            match step {
                Step::Send { delay_s, group } => {
                    let id = format!("m{sent}");
                    sent += 1;
                    queue.send(letter(&id, Some(&group.to_string())), Some(delay_s), now);
                    live.insert(id);
                }
                Step::Receive { visibility_s } => {
                    for got in queue.receive(3, Some(visibility_s), now).unwrap().deliveries {
                        prop_assert!(live.contains(&got.letter.id));
                        receipts.retain(|(id, _)| *id != got.letter.id);
                        receipts.push((got.letter.id, got.receipt));
                    }
                }
                Step::Delete { pick } if !receipts.is_empty() => {
                    let (id, receipt) = receipts.remove(pick % receipts.len());
                    queue.delete(&receipt).unwrap();
                    prop_assert!(live.remove(&id));
                }
                Step::Change { pick, visibility_s } if !receipts.is_empty() => {
                    // Refused when it is visible already: also fine.
                    let _ = queue.change_visibility(
                        &receipts[pick % receipts.len()].1, visibility_s, now);
                }
                Step::Wait { seconds } => now += seconds * SECOND,
                Step::Delete { .. } | Step::Change { .. } => {}
            }
            let counts = queue.counts(now);
            prop_assert_eq!(counts.ready + counts.in_flight + counts.delayed, live.len());
        }
        now += 100 * SECOND;
        let mut left = std::collections::BTreeSet::new();
        while let Some(got) = queue.receive(1, Some(1_000), now).unwrap().deliveries.pop() {
            left.insert(got.letter.id);
        }
        prop_assert_eq!(left, live);
    }
}
