//! Reference data is written over what was read, and changed in the order of its times.

use chrono::TimeDelta;
use uuid::Uuid;
use weir_domain::AlternateSellerId;
use weir_store::{
    Changed, Deletion, Kept, Parent, Reference, ReferenceChange, ReferenceKind, ReferenceWrite,
    StoreError, TOMBSTONE_DAYS, Written,
};

use crate::make::{self, at, id};
use crate::tables_of::Tables;

fn client(name: &str) -> Reference {
    let mut client = make::client(1);
    name.clone_into(&mut client.name);
    Reference::Client(client)
}

fn write(over: Option<Kept>, after: Option<Reference>, millis: i64) -> ReferenceWrite {
    ReferenceWrite {
        kind: ReferenceKind::Client,
        id: client("").id(),
        over,
        after,
        changed_at: at(millis),
        parent: Parent::Any,
        marked_by: None,
    }
}

#[tokio::test]
async fn a_write_takes_effect_only_over_what_was_read() {
    let tables = Tables::new().await;
    let store = &tables.store;
    let first = write(None, Some(client("A")), 1);
    assert_eq!(store.write_reference(&first).await, Ok(Written::Done));
    let again = store.write_reference(&first).await;
    assert!(
        matches!(again, Err(StoreError::Conflict { .. })),
        "{again:?}"
    );
    let kept = store.kept_reference(first.kind, first.id).await.unwrap();
    assert_eq!(kept.as_ref().unwrap().changed_at, at(1));
    let second = write(kept.clone(), Some(client("B")), 2);
    assert_eq!(store.write_reference(&second).await, Ok(Written::Done));
    let late = store.write_reference(&write(kept, None, 3)).await;
    assert!(matches!(late, Err(StoreError::Conflict { .. })), "{late:?}");
    assert_eq!(store.client(id(1)).await.unwrap().unwrap().name, "B");
}

#[tokio::test]
async fn a_tombstone_is_known_and_seen_by_no_reader() {
    let tables = Tables::new().await;
    let store = &tables.store;
    let put = |name: &str| ReferenceChange::Put(Box::new(client(name)));
    let (kind, client_id) = (ReferenceKind::Client, client("").id());
    assert!(!store.is_reference_known(kind, client_id).await.unwrap());
    let delete = ReferenceChange::Delete(kind, client_id);
    // Even of what has not been there: whatever made it is older.
    assert_eq!(
        store.change_reference(&delete, at(5)).await,
        Ok(Changed::Applied)
    );
    assert_eq!(
        store.change_reference(&put("A"), at(4)).await,
        Ok(Changed::Older)
    );
    assert_eq!(
        store.change_reference(&put("A"), at(5)).await,
        Ok(Changed::Older)
    );
    assert_eq!(store.client(id(1)).await, Ok(None));
    assert_eq!(store.clients(&[id(1)]).await, Ok(Vec::new()));
    assert!(store.is_reference_known(kind, client_id).await.unwrap());
    assert_eq!(
        store.change_reference(&put("B"), at(6)).await,
        Ok(Changed::Applied)
    );
    assert_eq!(store.client(id(1)).await.unwrap().unwrap().name, "B");
    assert!(TOMBSTONE_DAYS >= TimeDelta::days(90).num_days());
}

#[tokio::test]
async fn changes_in_any_order_end_in_the_newest() {
    let orders = [
        [1, 2, 3],
        [1, 3, 2],
        [2, 1, 3],
        [2, 3, 1],
        [3, 1, 2],
        [3, 2, 1],
    ];
    for order in orders {
        let tables = Tables::new().await;
        for millis in order {
            let change = match millis {
                2 => ReferenceChange::Delete(ReferenceKind::Client, client("").id()),
                _ => ReferenceChange::Put(Box::new(client(&millis.to_string()))),
            };
            tables
                .store
                .change_reference(&change, at(millis))
                .await
                .unwrap();
        }
        let left = tables.store.client(id(1)).await.unwrap().unwrap();
        assert_eq!(left.name, "3", "{order:?}");
    }
}

#[tokio::test]
async fn a_write_asks_for_what_it_is_to_belong_to() {
    let tables = Tables::new().await;
    let store = &tables.store;
    let program = Reference::Program(make::program(1));
    let (kind, parent) = (ReferenceKind::Client, client("").id());
    let under = |parent| ReferenceWrite {
        kind: ReferenceKind::Program,
        id: program.id(),
        over: None,
        after: Some(program.clone()),
        changed_at: at(9),
        parent,
        marked_by: None,
    };
    let there = under(Parent::There(kind, parent));
    let refused = store.write_reference(&there).await;
    assert!(matches!(refused, Err(StoreError::Conflict { .. })));
    let delete = ReferenceChange::Delete(kind, parent);
    store.change_reference(&delete, at(1)).await.unwrap();
    let refused = store.write_reference(&there).await;
    assert!(matches!(refused, Err(StoreError::Conflict { .. })));
    let put = ReferenceChange::Put(Box::new(client("A")));
    store.change_reference(&put, at(2)).await.unwrap();
    assert_eq!(store.write_reference(&there).await, Ok(Written::Done));
}

#[tokio::test]
async fn what_is_there_moves_nowhere_and_a_tombstone_says_what_it_belonged_to() {
    let tables = Tables::new().await;
    let store = &tables.store;
    let program = |client: u128| {
        let mut program = make::program(1);
        program.client_id = id(client);
        Reference::Program(program)
    };
    let put = |client| ReferenceChange::Put(Box::new(program(client)));
    let (kind, key) = (ReferenceKind::Program, program(1).id());
    let delete = ReferenceChange::Delete(kind, key);
    let owner = async || {
        let kept = store.kept_reference(kind, key).await.unwrap().unwrap();
        (kept.reference.is_some(), kept.owner)
    };
    // One that was never there belonged to nobody knows what.
    let change =
        async |change: &ReferenceChange, millis| store.change_reference(change, at(millis)).await;
    assert_eq!(change(&delete, 1).await, Ok(Changed::Applied));
    assert_eq!(owner().await, (false, None));
    assert_eq!(change(&put(1), 2).await, Ok(Changed::Applied));
    let moves = Changed::Moves {
        member: "client_id",
        is: Some(id(1)),
    };
    assert_eq!(change(&put(2), 3).await, Ok(moves));
    assert_eq!(change(&put(2), 1).await, Ok(Changed::Older));
    assert_eq!(owner().await, (true, Some(program(1).owner())));
    // It stays known, however often it is deleted.
    for millis in [4, 5] {
        assert_eq!(change(&delete, millis).await, Ok(Changed::Applied));
        assert_eq!(owner().await, (false, Some(program(1).owner())));
    }
    assert_eq!(change(&put(2), 6).await, Ok(Changed::Applied));
    assert_eq!(owner().await, (true, Some(program(2).owner())));
}

#[tokio::test]
async fn an_alternate_id_leads_to_one_seller_at_a_time() {
    let tables = Tables::new().await;
    let store = &tables.store;
    let alternate: AlternateSellerId = "ALT-X".parse().unwrap();
    let seller = |number, has_it: bool| {
        let mut seller = make::seller(number);
        seller.program_id = id(1);
        seller.alternate_seller_id = has_it.then(|| alternate.clone());
        seller
    };
    let put =
        |number, has_it| ReferenceChange::Put(Box::new(Reference::Seller(seller(number, has_it))));
    let leads_to = async || {
        let found = store
            .seller_by_alternate_id(id(1), &alternate)
            .await
            .unwrap();
        found.map(|seller| seller.id)
    };
    assert_eq!(
        store.change_reference(&put(1, true), at(1)).await,
        Ok(Changed::Applied)
    );
    assert_eq!(leads_to().await, Some(id(1)));
    let taken = store.change_reference(&put(2, true), at(2)).await;
    assert_eq!(taken, Ok(Changed::AlternateIdTaken(id(1))));
    assert_eq!(store.seller(id(2)).await, Ok(None));
    assert_eq!(
        store.change_reference(&put(1, false), at(3)).await,
        Ok(Changed::Applied)
    );
    assert_eq!(leads_to().await, None);
    assert_eq!(
        store.change_reference(&put(2, true), at(4)).await,
        Ok(Changed::Applied)
    );
    assert_eq!(leads_to().await, Some(id(2)));
    // A way that was left behind is taken over.
    store.put_seller(&seller(2, false)).await.unwrap();
    assert_eq!(
        store.change_reference(&put(1, true), at(5)).await,
        Ok(Changed::Applied)
    );
    assert_eq!(leads_to().await, Some(id(1)));
    let delete = ReferenceChange::Delete(ReferenceKind::Seller, seller(1, true).id.uuid());
    assert_eq!(
        store.change_reference(&delete, at(6)).await,
        Ok(Changed::Applied)
    );
    assert_eq!(leads_to().await, None);
}

/// Everything in every order.
fn orders<T: Clone>(all: &[T]) -> Vec<Vec<T>> {
    if all.is_empty() {
        return vec![Vec::new()];
    }
    let mut found = Vec::new();
    for index in 0..all.len() {
        let mut rest = all.to_vec();
        let first = rest.remove(index);
        found.extend(orders(&rest).into_iter().map(|order| {
            let mut order = order;
            order.insert(0, first.clone());
            order
        }));
    }
    found
}

#[tokio::test]
async fn of_changes_of_one_time_the_same_one_stays_whatever_comes_first() {
    let tables = Tables::new().await;
    let store = &tables.store;
    let kind = ReferenceKind::Client;
    let put = |name: &str| ReferenceChange::Put(Box::new(client(name)));
    let delete = ReferenceChange::Delete(kind, client("").id());
    for (round, (changes, left)) in [
        (vec![put("A"), put("B"), put("C")], Some("C")),
        (vec![put("A"), put("B"), delete], None),
    ]
    .into_iter()
    .enumerate()
    {
        for (number, order) in orders(&changes).into_iter().enumerate() {
            let number = i64::try_from(10 * round + number).unwrap();
            for change in order.iter().chain(&changes) {
                store.change_reference(change, at(number)).await.unwrap();
            }
            let found = store.client(id(1)).await.unwrap();
            assert_eq!(found.map(|found| found.name).as_deref(), left, "{order:?}");
        }
    }
}

#[tokio::test]
async fn of_changes_of_one_time_that_come_at_once_the_same_one_stays() {
    let tables = Tables::new().await;
    let store = &tables.store;
    let put = |number: i32| ReferenceChange::Put(Box::new(client(&format!("client {number}"))));
    for round in 0..10 {
        let changes: Vec<_> = (0..5).map(put).collect();
        let all = changes
            .iter()
            .map(|change| store.change_reference(change, at(round)));
        for changed in futures::future::join_all(all).await {
            changed.unwrap();
        }
        let found = store.client(id(1)).await.unwrap().unwrap();
        assert_eq!(found.name, "client 4");
    }
}

#[tokio::test]
async fn times_that_differ_by_a_microsecond_are_told_apart() {
    let tables = Tables::new().await;
    let store = &tables.store;
    let put = |name: &str| ReferenceChange::Put(Box::new(client(name)));
    let later = |micros: i64, nanos: i64| {
        at(7) + TimeDelta::microseconds(micros) + TimeDelta::nanoseconds(nanos)
    };
    for (name, when, changed) in [
        ("Z", later(1, 0), Changed::Applied),
        ("Z", later(1, 999), Changed::Older),
        ("A", later(1, 999), Changed::Older),
        ("A", later(2, 0), Changed::Applied),
        ("Z", later(1, 0), Changed::Older),
    ] {
        let found = store.change_reference(&put(name), when).await;
        assert_eq!(found, Ok(changed), "{name} {when}");
    }
}

#[tokio::test]
async fn what_was_written_without_having_been_read_can_be_changed() {
    let tables = Tables::new().await;
    let store = &tables.store;
    let written = make::client(1);
    store.put_client(&written).await.unwrap();
    let (kind, client_id) = (ReferenceKind::Client, client("").id());
    let kept = store
        .kept_reference(kind, client_id)
        .await
        .unwrap()
        .unwrap();
    assert_eq!((kept.changed_at, kept.revision), (written.updated_at, 0));
    let by = Uuid::from_u128(1);
    let deletion = Deletion { by, until: at(9) };
    let marked = store.begin_deletion(kind, client_id, &kept, deletion).await;
    assert_eq!(marked, Ok(()));
    store.end_deletion(kind, client_id, by).await.unwrap();
    let put = |name: &str| ReferenceChange::Put(Box::new(client(name)));
    let before = written.updated_at - TimeDelta::microseconds(1);
    assert_eq!(
        store.change_reference(&put("A"), before).await,
        Ok(Changed::Older)
    );
    let after = written.updated_at + TimeDelta::microseconds(1);
    assert_eq!(
        store.change_reference(&put("B"), after).await,
        Ok(Changed::Applied)
    );
    // Whoever read it before that is too late.
    let late = store.write_reference(&write(Some(kept), None, 1)).await;
    assert!(matches!(late, Err(StoreError::Conflict { .. })), "{late:?}");
    // Written so again, it can be changed again.
    store.put_client(&written).await.unwrap();
    assert_eq!(
        store.change_reference(&put("C"), after).await,
        Ok(Changed::Applied)
    );
    assert_eq!(store.client(id(1)).await.unwrap().unwrap().name, "C");
}

#[tokio::test]
async fn nothing_comes_under_what_is_marked_unless_it_takes_the_mark_off() {
    let tables = Tables::new().await;
    let store = &tables.store;
    store.put_client(&make::client(1)).await.unwrap();
    let (kind, parent) = (ReferenceKind::Client, client("").id());
    let by = Uuid::from_u128;
    let mark = async |number| {
        let kept = store.kept_reference(kind, parent).await.unwrap().unwrap();
        let deletion = Deletion {
            by: by(number),
            until: at(9),
        };
        store
            .begin_deletion(kind, parent, &kept, deletion)
            .await
            .unwrap();
        let marked = store.kept_reference(kind, parent).await.unwrap().unwrap();
        assert_eq!(marked.deletion, Some(deletion));
        assert_eq!(
            Kept {
                deletion: None,
                ..marked.clone()
            },
            Kept {
                deletion: None,
                ..kept
            }
        );
        marked
    };
    let under = |number, parent| {
        let mut program = make::program(number);
        program.client_id = id(1);
        ReferenceWrite {
            kind: ReferenceKind::Program,
            id: program.id.uuid(),
            over: None,
            after: Some(Reference::Program(program)),
            changed_at: at(9),
            parent,
            marked_by: None,
        }
    };
    mark(1).await;
    // A mark takes the place of the one that was read.
    let marked = mark(2).await;
    let refused = |written| matches!(written, Err(StoreError::Conflict { .. }));
    for asked in [
        Parent::There(kind, parent),
        Parent::Lapsed(kind, parent, by(1)),
    ] {
        assert!(refused(store.write_reference(&under(1, asked)).await));
    }
    let gone = |kept: &Kept, number| ReferenceWrite {
        marked_by: Some(by(number)),
        ..write(Some(kept.clone()), None, 100)
    };
    assert!(refused(store.write_reference(&gone(&marked, 1)).await));
    let lapsed = under(1, Parent::Lapsed(kind, parent, by(2)));
    assert_eq!(store.write_reference(&lapsed).await, Ok(Written::Done));
    assert!(refused(store.write_reference(&gone(&marked, 2)).await));
    let there = under(2, Parent::There(kind, parent));
    assert_eq!(store.write_reference(&there).await, Ok(Written::Done));
    let marked = mark(3).await;
    let deleted = store.write_reference(&gone(&marked, 3)).await;
    assert_eq!(deleted, Ok(Written::Done));
    assert_eq!(store.client(id(1)).await, Ok(None));
}
