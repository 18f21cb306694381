//! The model that histories are played again on, and the laws of what hands were told.
//!
//! 1. A history is dense; each event is a step of the table, and shows the detail as the model has it.
//! 2. What hands do has their name, and what the processor does has none.
//! 3. A call is made of a detail that was open, with the request that it had.
//! 4. Who was told that all named details were changed changed each of them once; who was told that
//!    none was changed none. An action on the whole batch changes a detail at most once.
//! 5. From a second after the answer to a cancel of the batch no call of it begins, but of what was
//!    opened again since.
//! 6. Counters and status of the batch are those of its details; nothing is open, nothing goes on.
//! 7. A detail that is Processed has the charge or refund that 3Rivers made, and that alone. What
//!    else 3Rivers made is of a detail that says so, or of one that a person had the call forgotten of.
//! 8. The records of what hands asked tell how many details each request changed, neither more nor less,
//!    whatever was lost, repeated or stopped; what was asked of the whole batch has ended.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use weir_domain::{
    Amount, AskedAction, BatchAction, BatchStatus, Counters, DetailEvent, DetailStatus,
    EventNumber, FileId, TransactionType,
};
use weir_store::{Batch, CreatedRange, Detail, Direction, Event};
use weir_tests::laws::{self, Books};
use weir_tests::rig::Rig;

use super::actions_model::{Deed, Told};

/// Where the time passes forty times as fast, a moment's delay of the machine counts forty times.
const SLACK: TimeDelta = TimeDelta::milliseconds(2_500);

/// A detail's history as the model has it.
#[derive(Debug, Default)]
struct Played {
    /// Whether a person had a call forgotten that may have been taken.
    is_forgotten: bool,
    /// What was done by hand, with the correlation id of the request and who made it.
    by_hand: Vec<(String, Option<String>, DetailEvent)>,
    /// When each call was begun, and when the detail had last been opened before.
    calls: Vec<(DateTime<Utc>, DateTime<Utc>)>,
    names: BTreeSet<String>,
}

/// Plays what happened to a detail again. `first` is how it was made.
fn played(first: Model, events: &[Event]) -> Played {
    let mut model = first;
    let mut played = Played::default();
    let mut opened_at = DateTime::<Utc>::MIN_UTC;
    let mut last_at = opened_at;
    for (number, event) in (1..).zip(events) {
        let context = || format!("{model:?}\n{events:#?}");
        let after = &event.detail;
        assert_eq!(after.events, number, "{}", context());
        assert!(after.updated_at >= last_at, "{}", context());
        last_at = after.updated_at;
        let name: DetailEvent = event.name.parse().unwrap();
        let next = model.after(name, event);
        let shown = Model::of(after);
        assert_eq!(next.as_ref(), Ok(&shown), "{name}\n{}", context());
        let is_by_hand = event.actor.is_some();
        let of_hands = [
            DetailEvent::Cancelled,
            DetailEvent::Retried,
            DetailEvent::Drafted,
            DetailEvent::DraftDropped,
            DetailEvent::DraftConfirmed,
        ];
        assert!(is_by_hand || !of_hands.contains(&name), "{}", context());
        if is_by_hand {
            assert_eq!(after.user_updated_by, event.actor, "{}", context());
            assert!(event.calls.is_empty(), "{}", context());
            let (asked, actor) = (event.correlation_id.clone(), event.actor.clone());
            played.by_hand.push((asked, actor, name));
        }
        for call in &event.calls {
            assert!(model.status.is_open(), "{}", context());
            assert_eq!(call.request_version, model.request_version, "{}", context());
            assert!(call.at >= opened_at, "{}", context());
            played.calls.push((call.at, opened_at));
        }
        if matches!(name, DetailEvent::Retried | DetailEvent::DraftConfirmed) {
            opened_at = after.updated_at;
            let before = number
                .checked_sub(2)
                .and_then(|last: u32| events.get(last as usize));
            let was_unclear = before.is_some_and(|event| event.detail.attempted_at.is_some());
            played.is_forgotten |= was_unclear && after.attempted_at.is_none();
        }
        played.names.insert(event.name.clone());
        model = shown;
    }
    played
}

/// What of a detail the events decide.
#[derive(Debug, Clone, PartialEq)]
struct Model {
    status: DetailStatus,
    request_version: u32,
    draft_version: Option<u32>,
    payload_versions: u32,
    retry_count: u32,
}

impl Model {
    fn of(detail: &Detail) -> Self {
        Self {
            status: detail.status,
            request_version: detail.request_version,
            draft_version: detail.draft_version,
            payload_versions: detail.payload_versions,
            retry_count: detail.retry_count,
        }
    }

    /// How a record of the file is made.
    fn made(line: u32) -> Self {
        let is_wrong = line % 8 == 5;
        Self {
            status: if is_wrong {
                DetailStatus::Error
            } else {
                DetailStatus::Unprocessed
            },
            request_version: u32::from(!is_wrong),
            draft_version: None,
            payload_versions: 1,
            retry_count: 0,
        }
    }

    fn after(&self, name: DetailEvent, event: &Event) -> Result<Self, String> {
        let mut next = self.clone();
        next.status = self
            .status
            .after(name)
            .map_err(|refused| refused.to_string())?;
        match name {
            DetailEvent::Drafted => {
                next.payload_versions += 1;
                next.draft_version = Some(next.payload_versions);
            }
            DetailEvent::DraftDropped if self.draft_version.is_some() => next.draft_version = None,
            DetailEvent::DraftConfirmed if self.draft_version.is_some() => {
                next.request_version = self.draft_version.unwrap_or_default();
                next.draft_version = None;
                next.retry_count = 0;
            }
            DetailEvent::DraftDropped | DetailEvent::DraftConfirmed => {
                return Err("there is no draft".to_owned());
            }
            DetailEvent::Retried if self.draft_version.is_some() || self.request_version == 0 => {
                return Err("it must not be retried".to_owned());
            }
            DetailEvent::Retried => next.retry_count = 0,
            DetailEvent::Failed => next.retry_count += 1,
            DetailEvent::Rejected if event.actor.is_some() => {
                let code = event.detail.error_code.as_deref();
                if code != Some("bcs.outcome_unknown") || event.detail.attempted_at.is_none() {
                    return Err("a hand rejects nothing else".to_owned());
                }
            }
            DetailEvent::Cancelled => {
                let is_unclear = event.detail.attempted_at.is_some();
                if is_unclear && self.status.is_open() {
                    return Err("it may have been taken".to_owned());
                }
            }
            _ => {}
        }
        Ok(next)
    }
}

/// Holds a world at rest against all of it; tells which events it had.
pub(super) async fn check(rig: &Rig, file: FileId, deeds: &[Deed]) -> BTreeSet<String> {
    let store = &rig.parts.store;
    let books = Books::of(store, file).await;
    let (batch, details) = &books.batches[0];
    check_batch(batch, details);
    laws::check_records(store, &books).await;
    let mut all = Vec::new();
    for detail in details {
        let numbers: Vec<_> = (1..=detail.events)
            .map(|number| (detail.line(), EventNumber::new(number).unwrap()))
            .collect();
        let events = store.events(&batch.place(), &numbers).await.unwrap();
        assert_eq!(events.len(), numbers.len(), "{detail:#?}");
        all.push((detail, played(Model::made(detail.line().get()), &events)));
    }
    for deed in deeds {
        check_deed(deed, &all);
    }
    check_asked(rig, file, &all).await;
    check_platform(rig, &all).await;
    all.into_iter()
        .flat_map(|(_, played)| played.names)
        .collect()
}

fn check_batch(batch: &Batch, details: &[Detail]) {
    let mut counted = Counters::default();
    for detail in details {
        assert!(!detail.status.is_open(), "{detail:#?}");
        counted.add(detail.status, detail.has_draft());
    }
    assert_eq!(batch.counters, counted);
    assert_eq!(batch.status, BatchStatus::of(&counted), "{batch:#?}");
    assert_eq!(batch.task, None);
}

/// Each request's records tell exactly how many details have an event of it.
async fn check_asked(rig: &Rig, file: FileId, all: &[(&Detail, Played)]) {
    let (store, range) = (&rig.parts.store, CreatedRange::ALL);
    let records = store.asked(file, range, Direction::Forward, 1_000).await;
    let mut told: BTreeMap<(String, String), u64> = BTreeMap::new();
    for record in records.unwrap() {
        let is_whole = !record.asked.contains("lines") && record.action != AskedAction::WriteDrafts;
        assert!(!is_whole || record.ended_at.is_some(), "{record:#?}");
        assert_eq!(record.left_count, 0, "{record:#?}");
        if record.changed_count > 0 {
            *told
                .entry((record.correlation_id, record.actor))
                .or_default() += record.changed_count;
        }
    }
    let mut done: BTreeMap<(String, String), u64> = BTreeMap::new();
    for (asked, actor, _) in all.iter().flat_map(|(_, played)| &played.by_hand) {
        *done
            .entry((asked.clone(), actor.clone().unwrap()))
            .or_default() += 1;
    }
    assert_eq!(told, done);
}

fn check_deed(deed: &Deed, all: &[(&Detail, Played)]) {
    let mut done = BTreeMap::new();
    for (detail, played) in all {
        let ours = played
            .by_hand
            .iter()
            .filter(|(asked, ..)| *asked == deed.correlation_id);
        let mut events: Vec<DetailEvent> = Vec::new();
        for (_, actor, event) in ours {
            assert_eq!(actor.as_ref(), Some(&deed.actor));
            events.push(*event);
        }
        if !events.is_empty() {
            assert_eq!(events.len(), 1, "{deed:?} of {}: {events:?}", detail.id);
            done.insert(detail.line().get(), events[0]);
        }
    }
    match (&deed.lines, deed.told) {
        (Some(lines), Told::Done) => {
            let changed: BTreeSet<u32> = done.keys().copied().collect();
            assert_eq!(changed, *lines, "{deed:?}");
        }
        (_, Told::Refused) => assert!(done.is_empty(), "{deed:?}: {done:?}"),
        (_, Told::Partly(count)) => assert_eq!(done.len(), count, "{deed:?}: {done:?}"),
        (Some(lines), Told::Nothing) => {
            assert!(
                done.keys().all(|line| lines.contains(line)),
                "{deed:?}: {done:?}"
            );
        }
        (None, Told::Done | Told::Nothing) => {}
    }
    if deed.action == BatchAction::Cancel && deed.lines.is_none() && deed.told == Told::Done {
        let until = deed.answered_at + TimeDelta::seconds(1) + SLACK;
        for (detail, played) in all {
            for (at, opened_at) in &played.calls {
                let is_late = *opened_at < deed.begun_at && *at > until;
                assert!(!is_late, "{deed:?}: {at} {opened_at}\n{detail:#?}");
            }
        }
    }
}

async fn check_platform(rig: &Rig, all: &[(&Detail, Played)]) {
    let platform = rig.parts.platform();
    let (charges, refunds) = (platform.charges().await, platform.refunds().await);
    let mut made: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (id, charge) in &charges {
        let mut named = charge["metadata"].as_array().unwrap().iter();
        let of = named
            .find(|entry| entry["name"] == "batch_detail_id")
            .unwrap();
        let of = of["value"].as_str().unwrap().to_owned();
        made.entry(of).or_default().push(id.clone());
    }
    let (mut refunds_known, mut may_be_more, mut forgotten) = (BTreeSet::new(), 0, 0);
    for (detail, played) in all {
        let is_charge = detail.transaction_type == TransactionType::Charge;
        let its = made.remove(&detail.id.to_string()).unwrap_or_default();
        forgotten += u64::from(played.is_forgotten);
        let may_be = detail.attempted_at.is_some() || played.is_forgotten;
        assert!(its.len() <= 1 || played.is_forgotten, "{detail:#?} {its:?}");
        match detail.status {
            DetailStatus::Processed if is_charge => {
                let charge = detail.charge_id.unwrap().to_string();
                assert!(its.contains(&charge), "{detail:#?} {its:?}");
                let total = charges[&charge]["total_amount"].as_i64();
                assert_eq!(total, detail.amount.map(Amount::minor), "{detail:#?}");
            }
            DetailStatus::Processed => {
                let refund = detail.refund_id.unwrap().to_string();
                let total = refunds[&refund]["total_amount"].as_i64();
                assert_eq!(total, detail.amount.map(Amount::minor), "{detail:#?}");
                assert!(refunds_known.insert(refund), "{detail:#?}");
            }
            _ => {
                assert!(its.is_empty() || may_be, "{detail:#?} {its:?}");
                may_be_more += usize::from(!is_charge && may_be);
            }
        }
    }
    assert!(made.is_empty(), "charges of no detail: {made:?}");
    assert!(
        refunds.len() <= refunds_known.len() + may_be_more,
        "refunds of no detail"
    );
    assert!(platform.summary().await.duplicates <= forgotten);
}
