use uuid::Uuid;
use weir_store::{ApiKeyHash, ApiKeyRecord, StoreError};

use crate::make::{at, id};
use crate::tables_of::Tables;

fn record(number: u128) -> ApiKeyRecord {
    ApiKeyRecord {
        id: Uuid::from_u128(number),
        name: format!("key {number}"),
        permissions: vec!["batches:read".to_owned()],
        client_id: Some(id(1)),
        program_id: None,
        seller_id: None,
        created_at: at(number.try_into().unwrap()),
        expires_at: None,
        revoked_at: None,
    }
}

fn hash(number: u128) -> ApiKeyHash {
    ApiKeyHash::of(&number.to_string())
}

#[tokio::test]
async fn a_key_is_made_once_and_listed_with_the_others() {
    let store = Tables::new().await;
    let store = &store.store;
    for number in 1..=3 {
        store
            .create_api_key(&hash(number), &record(number))
            .await
            .unwrap();
    }
    let again = store.create_api_key(&hash(1), &record(9)).await;
    assert!(
        matches!(again, Err(StoreError::Conflict { .. })),
        "{again:?}"
    );
    let mut keys = store.api_keys().await.unwrap();
    keys.sort_by_key(|(_, record)| record.id);
    let expected: Vec<_> = (1..=3)
        .map(|number| (hash(number), record(number)))
        .collect();
    assert_eq!(keys, expected);
}

#[tokio::test]
async fn a_revoked_key_stays_with_the_time_it_was_first_revoked_at() {
    let store = Tables::new().await;
    let store = &store.store;
    store.create_api_key(&hash(1), &record(1)).await.unwrap();
    let revoke = |number, millis| store.revoke_api_key(Uuid::from_u128(number), at(millis));
    assert_eq!(revoke(2, 5).await, Ok(false));
    assert_eq!(revoke(1, 10).await, Ok(true));
    assert_eq!(revoke(1, 20).await, Ok(true));
    let revoked = ApiKeyRecord {
        revoked_at: Some(at(10)),
        ..record(1)
    };
    assert_eq!(store.api_key(&hash(1)).await, Ok(Some(revoked)));
}

#[tokio::test]
async fn every_key_with_an_id_is_revoked_and_no_other() {
    let store = Tables::new().await;
    let store = &store.store;
    for (secret, number) in [(1, 1), (2, 1), (3, 2), (4, 1)] {
        let (hash, record) = (hash(secret), record(number));
        store.create_api_key(&hash, &record).await.unwrap();
    }
    let first = ApiKeyRecord {
        revoked_at: Some(at(5)),
        ..record(1)
    };
    store.put_api_key(&hash(4), &first).await.unwrap();
    let revoked = store.revoke_api_key(Uuid::from_u128(1), at(10)).await;
    assert_eq!(revoked, Ok(true));
    for (secret, expected) in [
        (1, Some(at(10))),
        (2, Some(at(10))),
        (3, None),
        (4, Some(at(5))),
    ] {
        let key = store.api_key(&hash(secret)).await.unwrap().unwrap();
        assert_eq!(key.revoked_at, expected, "{secret}");
    }
}
