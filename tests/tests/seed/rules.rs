//! What is created, left, changed and refused.

use chrono::TimeDelta;
use serde_json::json;
use weir_seed::{ApplyError, Policy, State};
use weir_store::{ApiKeyHash, ApiKeyRecord, Deletion, ReferenceKind};

use crate::{counts, file, id, kept, keys, load, parts, seed, seeder};

#[tokio::test]
async fn what_is_missing_is_created_and_what_is_the_same_is_not_written() {
    let parts = parts().await;
    let seeder = seeder(&parts, parts.store.clone());
    let (_, applied) = load(&seeder, &file(2, "a"), Policy::Refuse).await;
    assert_eq!(
        (counts(&applied), applied.stopped.clone()),
        ([12, 0, 0, 0], None)
    );
    assert_eq!(kept(&parts.store, &file(2, "a")).await.len(), 12);
    let written = parts.store.capacity().total().write;
    for policy in [Policy::Refuse, Policy::Leave, Policy::Update] {
        let (_, again) = load(&seeder, &file(2, "a"), policy).await;
        assert_eq!((counts(&again), again.stopped), ([0, 0, 12, 0], None));
        assert!(again.keys.is_empty());
    }
    let after = parts.store.capacity().total().write;
    assert!((after - written).abs() < 0.01, "{written} {after}");
}

#[tokio::test]
async fn a_difference_changes_nothing_unless_it_is_asked_for() {
    let parts = parts().await;
    let seeder = seeder(&parts, parts.store.clone());
    load(&seeder, &file(1, "a"), Policy::Refuse).await;
    let before = kept(&parts.store, &file(2, "a")).await;
    // Some of it is new, and some differs.
    let (plan, refused) = load(&seeder, &file(2, "b"), Policy::Refuse).await;
    assert_eq!(refused.stopped, Some(ApplyError::Differs));
    assert_eq!(kept(&parts.store, &file(2, "a")).await, before);
    let differing = plan.count(|state| matches!(state, State::Differs(_)));
    assert_eq!(differing, 6);
    let differs = plan.steps.iter().find_map(|step| match &step.state {
        State::Differs(differences) => differences.first(),
        _ => None,
    });
    let client = differs.unwrap();
    assert_eq!(client.member, "name");
    assert_eq!(client.is.as_deref(), Some("client a"));
    assert_eq!(client.wanted.as_deref(), Some("client b"));

    let (_, left) = load(&seeder, &file(2, "b"), Policy::Leave).await;
    assert_eq!(counts(&left), [5, 0, 1, 6]);
    let (_, updated) = load(&seeder, &file(2, "b"), Policy::Update).await;
    assert_eq!((counts(&updated), updated.stopped), ([0, 6, 6, 0], None));
    let (_, again) = load(&seeder, &file(2, "b"), Policy::Refuse).await;
    assert_eq!(counts(&again), [0, 0, 12, 0]);
}

#[tokio::test]
async fn a_change_keeps_what_no_file_can_say() {
    let parts = parts().await;
    let seeder = seeder(&parts, parts.store.clone());
    let seller_id = id(3, 1).parse().unwrap();
    load(&seeder, &file(1, "a"), Policy::Refuse).await;
    let mut seller = parts.store.seller(seller_id).await.unwrap().unwrap();
    seller.processed_message_ts = Some(seller.updated_at);
    parts.store.put_seller(&seller).await.unwrap();
    load(&seeder, &file(1, "b"), Policy::Update).await;
    let after = parts.store.seller(seller_id).await.unwrap().unwrap();
    assert_eq!(after.name, "seller 1 b");
    assert_eq!(after.created_at, seller.created_at);
    assert_eq!(after.processed_message_ts, seller.processed_message_ts);
    assert!(after.updated_at > seller.updated_at);
}

#[tokio::test]
async fn what_would_belong_to_nothing_or_move_is_refused_whole() {
    let parts = parts().await;
    let seeder = seeder(&parts, parts.store.clone());
    let mut orphans = file(1, "a");
    orphans["clients"] = json!([]);
    let (plan, applied) = load(&seeder, &orphans, Policy::Update).await;
    assert_eq!(applied.stopped, Some(ApplyError::Obstacles));
    // All but the client hang on it, the key too.
    assert_eq!(plan.obstacles().len(), 6);
    assert!(plan.obstacles()[0].reason.contains("there is no client"));
    assert!(kept(&parts.store, &file(1, "a")).await.is_empty());

    load(&seeder, &file(1, "a"), Policy::Refuse).await;
    let mut moved = file(1, "a");
    moved["clients"]
        .as_array_mut()
        .unwrap()
        .push(json!({"id": id(1, 2), "name": "other"}));
    moved["programs"][0]["client_id"] = json!(id(1, 2));
    let (plan, applied) = load(&seeder, &moved, Policy::Update).await;
    assert_eq!(applied.stopped, Some(ApplyError::Obstacles));
    let told: Vec<_> = plan.obstacles().into_iter().map(|it| it.reason).collect();
    assert!(
        told.iter()
            .any(|told| told.starts_with("its client_id is ")),
        "{told:?}"
    );
    let of_another = |told: &String| told.contains("is of the client");
    assert_eq!(
        told.iter().filter(|told| of_another(told)).count(),
        4,
        "{told:?}"
    );
}

#[tokio::test]
async fn an_alternate_id_moves_from_one_seller_to_another_and_never_round_in_a_circle() {
    let parts = parts().await;
    let seeder = seeder(&parts, parts.store.clone());
    load(&seeder, &file(3, "a"), Policy::Refuse).await;
    // Each takes that of the next, the last a new one: only from the last to the first can it go.
    let mut moved = file(3, "a");
    for (at, alternate) in ["S-2", "S-3", "S-4"].into_iter().enumerate() {
        moved["sellers"][at]["alternate_seller_id"] = json!(alternate);
    }
    let (_, applied) = load(&seeder, &moved, Policy::Update).await;
    assert_eq!((counts(&applied)[1], applied.stopped), (3, None));

    let mut swapped = moved.clone();
    swapped["sellers"][0]["alternate_seller_id"] = json!("S-3");
    swapped["sellers"][1]["alternate_seller_id"] = json!("S-2");
    let (plan, applied) = load(&seeder, &swapped, Policy::Update).await;
    assert_eq!(applied.stopped, Some(ApplyError::Obstacles));
    assert_eq!(plan.obstacles().len(), 2);

    let mut taken = file(1, "a");
    taken["sellers"][0]["alternate_seller_id"] = json!("S-4");
    let (plan, applied) = load(&seeder, &taken, Policy::Update).await;
    assert_eq!(applied.stopped, Some(ApplyError::Obstacles));
    let told = plan.obstacles()[0].reason.clone();
    assert!(told.contains("has its alternate_seller_id"), "{told}");
}

#[tokio::test]
async fn somebody_elses_change_in_between_is_never_lost() {
    let parts = parts().await;
    let seeder = seeder(&parts, parts.store.clone());
    load(&seeder, &file(1, "a"), Policy::Refuse).await;
    let plan = seeder.plan(&seed(&file(1, "b")), &mut || {}).await.unwrap();
    load(&seeder, &file(1, "c"), Policy::Update).await;
    let applied = seeder.apply(&plan, Policy::Update, &mut || {}).await;
    let client = id(1, 1).parse().unwrap();
    let meanwhile = ApplyError::Meanwhile(ReferenceKind::Client, client);
    assert_eq!(applied.stopped, Some(meanwhile));
    let name = parts
        .store
        .client(id(1, 1).parse().unwrap())
        .await
        .unwrap()
        .unwrap()
        .name;
    assert_eq!(name, "client c");
}

#[tokio::test]
async fn a_key_is_made_once_with_a_secret_that_works_and_stays_as_it_is() {
    let parts = parts().await;
    let seeder = seeder(&parts, parts.store.clone());
    let (_, applied) = load(&seeder, &file(1, "a"), Policy::Refuse).await;
    let [made] = &applied.keys[..] else {
        panic!("{applied:?}")
    };
    let hash = ApiKeyHash::of(&made.secret);
    let found = parts.store.api_key(&hash).await.unwrap().unwrap();
    assert_eq!(found.permissions, ["reference:read"]);
    assert_eq!(found.client_id, Some(id(1, 1).parse().unwrap()));
    assert!(!format!("{applied:?}").contains(&made.secret));

    let mut more = file(1, "a");
    more["api_keys"][0]["permissions"] = json!(["reference:read", "reference:write"]);
    let (plan, again) = load(&seeder, &more, Policy::Update).await;
    assert!(plan.keys[0].is_other());
    assert!(again.keys.is_empty());
    assert_eq!(keys(&parts.store).await, [found]);
}

#[tokio::test]
async fn a_key_whose_time_is_over_is_told_and_one_whose_time_is_not_is_as_it_was() {
    let parts = parts().await;
    let seeder = seeder(&parts, parts.store.clone());
    load(&seeder, &file(1, "a"), Policy::Refuse).await;
    let now = parts.timeline.clock().now();
    for (seconds, is_told) in [(60, false), (-60, true)] {
        // The one that the file has made is given another time.
        let (hash, kept) = parts.store.api_keys().await.unwrap().remove(0);
        let record = ApiKeyRecord {
            expires_at: Some(now + TimeDelta::seconds(seconds)),
            ..kept
        };
        parts.store.put_api_key(&hash, &record).await.unwrap();
        let (plan, _) = load(&seeder, &file(1, "a"), Policy::Refuse).await;
        assert_eq!(plan.keys[0].is_other(), is_told, "{seconds}");
    }
}

#[tokio::test]
async fn what_belongs_to_something_that_is_being_deleted_is_told_so() {
    let parts = parts().await;
    let seeder = seeder(&parts, parts.store.clone());
    load(&seeder, &file(1, "a"), Policy::Refuse).await;
    let mut changed = file(1, "a");
    changed["sellers"][0]["name"] = json!("another name");
    let plan = seeder.plan(&seed(&changed), &mut || {}).await.unwrap();
    let program = plan
        .steps
        .iter()
        .find(|step| step.wanted.kind() == ReferenceKind::Program)
        .unwrap();
    let (kind, program) = (program.wanted.kind(), program.wanted.id());
    let store = &parts.store;
    let over = store.kept_reference(kind, program).await.unwrap().unwrap();
    let deletion = Deletion {
        by: parts.random.uuid_v4(),
        until: parts.timeline.clock().now() + TimeDelta::minutes(1),
    };
    store
        .begin_deletion(kind, program, &over, deletion)
        .await
        .unwrap();
    let applied = seeder.apply(&plan, Policy::Update, &mut || {}).await;
    let Some(ApplyError::BeingDeleted(of, _)) = applied.stopped else {
        panic!("{applied:?}");
    };
    assert_eq!(of, ReferenceKind::Seller);
    // Once it is given up, all of it is done.
    store
        .end_deletion(kind, program, deletion.by)
        .await
        .unwrap();
    let (_, again) = load(&seeder, &changed, Policy::Update).await;
    assert_eq!(again.stopped, None);
}
