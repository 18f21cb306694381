use super::*;
use proptest::prelude::*;

fn noon() -> DateTime<Utc> {
    DateTime::from_timestamp(1_795_348_800, 0).unwrap()
}

fn after(seconds: u64) -> DateTime<Utc> {
    noon() + Duration::from_secs(seconds)
}

fn breaker() -> Breaker {
    Breaker::new(BreakerOptions::default(), Random::seeded(7))
}

fn pass(breaker: &Breaker, now: DateTime<Utc>) -> Pass {
    match breaker.try_pass(now) {
        Passage::Pass(pass) => pass,
        Passage::Wait { until } => panic!("has to wait until {until}"),
    }
}

fn wait(breaker: &Breaker, now: DateTime<Utc>) -> DateTime<Utc> {
    match breaker.try_pass(now) {
        Passage::Pass(_) => panic!("need not wait"),
        Passage::Wait { until } => until,
    }
}

fn fail(breaker: &Breaker, times: u32) -> Option<BreakerChange> {
    let mut change = None;
    for _ in 0..times {
        change = pass(breaker, noon()).report_sign(Sign::Failing, noon());
    }
    change
}

fn opened(change: Option<BreakerChange>) -> DateTime<Utc> {
    match change {
        Some(BreakerChange::Opened { until }) => until,
        other => panic!("did not open: {other:?}"),
    }
}

#[test]
fn eight_failures_in_a_row_open_it_and_seven_do_not() {
    let breaker = breaker();
    assert_eq!(fail(&breaker, 7), None);
    assert_eq!(breaker.state(), BreakerState::Closed);
    let until = opened(fail(&breaker, 1));
    assert_eq!(breaker.state(), BreakerState::Open { until });
    assert_eq!(wait(&breaker, noon()), until);
}

#[test]
fn one_sign_of_life_ends_the_run() {
    let breaker = breaker();
    fail(&breaker, 7);
    let change = pass(&breaker, noon()).report_sign(Sign::Alive, noon());
    assert_eq!(change, None);
    assert_eq!(fail(&breaker, 7), None);
    opened(fail(&breaker, 1));
}

#[test]
fn the_first_pause_is_between_half_of_five_seconds_and_five_seconds() {
    for seed in 0..50 {
        let breaker = Breaker::new(BreakerOptions::default(), Random::seeded(seed));
        let until = opened(fail(&breaker, 8));
        assert!(until >= noon() + Duration::from_millis(2_500));
        assert!(until <= after(5));
    }
}

#[test]
fn one_probe_is_made_when_the_pause_is_over_and_not_before() {
    let breaker = breaker();
    let until = opened(fail(&breaker, 8));
    assert_eq!(wait(&breaker, until - TimeDelta::nanoseconds(1)), until);
    let probe = pass(&breaker, until);
    assert_eq!(breaker.state(), BreakerState::Probing);
    assert_eq!(wait(&breaker, until), until + PROBE_WAIT);
    let change = probe.report_sign(Sign::Alive, until);
    assert_eq!(change, Some(BreakerChange::Closed));
    drop(pass(&breaker, until));
}

#[test]
fn failed_probes_double_the_pause_up_to_five_minutes_and_an_answered_one_resets_it() {
    let breaker = breaker();
    let mut now = opened(fail(&breaker, 8));
    for whole in [10, 20, 40, 80, 160, 300, 300, 300] {
        let until = opened(pass(&breaker, now).report_sign(Sign::Failing, now));
        let pause = (until - now).to_std().unwrap();
        assert!(pause <= Duration::from_secs(whole), "{whole}: {pause:?}");
        assert!(
            pause >= Duration::from_secs(whole) / 2,
            "{whole}: {pause:?}"
        );
        now = until;
    }
    pass(&breaker, now).report_sign(Sign::Alive, now);
    let mut change = None;
    for _ in 0..8 {
        change = pass(&breaker, now).report_sign(Sign::Failing, now);
    }
    assert!(opened(change) <= now + Duration::from_secs(5));
}

#[test]
fn a_probe_that_is_never_reported_gives_its_place_to_the_next() {
    let breaker = breaker();
    let until = opened(fail(&breaker, 8));
    drop(pass(&breaker, until));
    let probe = pass(&breaker, until);
    wait(&breaker, until);
    probe.report_sign(Sign::Alive, until);
    assert_eq!(breaker.state(), BreakerState::Closed);
}

#[test]
fn late_reports_of_calls_made_before_it_opened_change_nothing() {
    let breaker = breaker();
    let late: Vec<_> = (0..4).map(|_| pass(&breaker, noon())).collect();
    let until = opened(fail(&breaker, 8));
    let mut signs = [Sign::Alive, Sign::Failing].into_iter().cycle();
    for pass in late {
        assert_eq!(pass.report_sign(signs.next().unwrap(), after(1)), None);
    }
    assert_eq!(breaker.state(), BreakerState::Open { until });
    let probe = pass(&breaker, until);
    assert_eq!(
        probe.report_sign(Sign::Alive, until),
        Some(BreakerChange::Closed)
    );
}

#[test]
fn a_pause_that_the_platform_asked_for_is_kept_and_a_shorter_one_does_not_shorten_it() {
    let breaker = breaker();
    breaker.pause_for(noon(), Duration::from_mins(1));
    breaker.pause_for(noon(), Duration::from_secs(30));
    assert_eq!(breaker.state(), BreakerState::Closed);
    assert_eq!(wait(&breaker, after(59)), after(60));
    drop(pass(&breaker, after(60)));
}

#[test]
fn a_clock_that_is_set_back_does_not_prolong_a_pause() {
    let breaker = breaker();
    let until = opened(fail(&breaker, 8));
    let length = until - noon();
    let yesterday = noon() - TimeDelta::days(1);
    assert_eq!(wait(&breaker, yesterday), yesterday + length);
    drop(pass(&breaker, yesterday + length));
    breaker.pause_for(noon(), Duration::from_mins(1));
    assert_eq!(wait(&breaker, yesterday), yesterday + TimeDelta::minutes(1));
}

fn answer(meaning: Meaning<()>) -> Answer<()> {
    Answer {
        http_status: None,
        meaning,
        response_body: None,
        retry_after: None,
        duration: Duration::ZERO,
    }
}

fn transient(reason: FailureReason) -> Meaning<()> {
    Meaning::Transient(crate::Failure {
        reason,
        code: String::new(),
        message: String::new(),
    })
}

#[test]
fn any_answer_of_the_platform_below_500_is_a_sign_of_life() {
    let refusal = || crate::Refusal {
        code: String::new(),
        message: String::new(),
    };
    for meaning in [
        Meaning::Accepted(()),
        Meaning::Refused(refusal()),
        Meaning::CredentialsRefused(refusal()),
        transient(FailureReason::TooManyRequests),
        transient(FailureReason::NotReady),
    ] {
        assert_eq!(Sign::of(&meaning), Sign::Alive, "{meaning:?}");
    }
    for meaning in [
        transient(FailureReason::NotSent),
        transient(FailureReason::TimedOut),
        transient(FailureReason::Cut),
        transient(FailureReason::ServerError),
        Meaning::UnexpectedResponse(crate::Unexpected::Status(302)),
    ] {
        assert_eq!(Sign::of(&meaning), Sign::Failing, "{meaning:?}");
    }
}

#[test]
fn a_reported_answer_brings_its_pause_with_it() {
    let breaker = breaker();
    let answer = Answer {
        retry_after: Some(Duration::from_secs(9)),
        ..answer(transient(FailureReason::TooManyRequests))
    };
    assert_eq!(pass(&breaker, noon()).report(&answer, noon()), None);
    assert_eq!(wait(&breaker, noon()), after(9));
}

#[test]
fn each_set_of_credentials_has_its_own_breaker() {
    let breakers = Breakers::new(BreakerOptions::default(), Random::seeded(1));
    let (one, other): (ApiKey, ApiKey) = (
        "key-number-1".parse().unwrap(),
        "key-number-2".parse().unwrap(),
    );
    opened(fail(&breakers.of(&one), 8));
    wait(&breakers.of(&one), noon());
    drop(pass(&breakers.of(&other), noon()));
}

#[test]
fn at_the_limit_idle_breakers_are_forgotten_and_open_ones_kept() {
    let breakers = Breakers::new(BreakerOptions::default(), Random::seeded(1));
    let key = |number: usize| format!("key-number-{number}").parse::<ApiKey>().unwrap();
    opened(fail(&breakers.of(&key(0)), 8));
    for number in 1..=BREAKERS_MAX {
        breakers.of(&key(number));
    }
    let kept = breakers.by_fingerprint.lock().unwrap().len();
    assert_eq!(kept, 2);
    wait(&breakers.of(&key(0)), noon());
}

/// What a call does, in a simulation of many.
#[derive(Debug, Clone)]
enum Step {
    Ask,
    Report { which: usize, sign: Sign },
    Drop { which: usize },
    Pass { millis: u64 },
    SetBack { millis: u64 },
    Asked { millis: u64 },
}

fn step() -> impl Strategy<Value = Step> {
    let sign = prop_oneof![1 => Just(Sign::Alive), 6 => Just(Sign::Failing)];
    prop_oneof![
        6 => Just(Step::Ask),
        6 => (0..64_usize, sign).prop_map(|(which, sign)| Step::Report { which, sign }),
        1 => (0..64_usize).prop_map(|which| Step::Drop { which }),
        3 => (0..400_000_u64).prop_map(|millis| Step::Pass { millis }),
        1 => (0..400_000_u64).prop_map(|millis| Step::SetBack { millis }),
        1 => (0..100_000_u64).prop_map(|millis| Step::Asked { millis }),
    ]
}

proptest! {
    #[test]
    fn whatever_happens_one_probe_is_under_way_at_most_and_the_breaker_never_sticks(
        steps in prop::collection::vec(step(), 0..200), seed in any::<u64>(),
    ) {
        let breaker = Breaker::new(BreakerOptions::default(), Random::seeded(seed));
        let mut now = noon();
        let mut passes: Vec<(Pass, bool)> = Vec::new();
        for step in steps {
            match step {
                Step::Ask => {
                    let probing_before = breaker.state() == BreakerState::Probing;
                    match breaker.try_pass(now) {
                        Passage::Pass(pass) => {
                            let is_probe = breaker.state() == BreakerState::Probing;
                            prop_assert!(!(probing_before && is_probe));
                            passes.push((pass, is_probe));
                        }
                        Passage::Wait { until } => {
                            prop_assert!(until > now);
                            let longest = Duration::from_mins(5);
                            prop_assert!(until <= now + longest, "{until} {now}");
                        }
                    }
                }
                Step::Report { which, sign } if which < passes.len() => {
                    let (pass, is_probe) = passes.swap_remove(which);
                    let before = breaker.state();
                    let change = pass.report_sign(sign, now);
                    if is_probe && before == BreakerState::Probing {
                        prop_assert_eq!(change == Some(BreakerChange::Closed), sign == Sign::Alive);
                    }
                    // Only a probe closes; nothing but failures opens.
                    prop_assert!(change != Some(BreakerChange::Closed) || is_probe);
                    prop_assert!(change.is_none() || change == Some(BreakerChange::Closed)
                        || sign == Sign::Failing);
                }
                Step::Drop { which } if which < passes.len() => drop(passes.swap_remove(which)),
                Step::Report { .. } | Step::Drop { .. } => {}
                Step::Pass { millis } => now += Duration::from_millis(millis),
                Step::SetBack { millis } => now -= TimeDelta::milliseconds(millis.cast_signed()),
                Step::Asked { millis } => breaker.pause_for(now, Duration::from_millis(millis)),
            }
        }
        // With nothing under way and time gone by, a call passes, and its answer closes it.
        passes.clear();
        now += Duration::from_hours(25);
        let Passage::Pass(pass) = breaker.try_pass(now) else {
            return Err(TestCaseError::fail("stuck"));
        };
        let _ = pass.report_sign(Sign::Alive, now);
        prop_assert_eq!(breaker.state(), BreakerState::Closed);
    }
}
