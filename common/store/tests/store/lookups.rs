use weir_domain::{ChargeId, DetailId, TransactionType};
use weir_store::{Batch, Detail, Payload, PutBuffer, Store};

use crate::make::{self, id};
use crate::tables_of::Tables;

fn refund(batch: &Batch, line: u32) -> Detail {
    Detail {
        transaction_type: TransactionType::Refund,
        ..make::detail(batch, line)
    }
}

async fn put(store: &Store, ways: &[(ChargeId, &Detail)]) {
    let mut puts = PutBuffer::new(store, 4);
    for (charge, detail) in ways {
        puts.put_charge(*charge, detail).await.unwrap();
    }
    puts.flush().await.unwrap();
}

#[tokio::test]
async fn a_charge_leads_to_the_detail_that_made_it_and_then_to_its_refunds() {
    let tables = Tables::new().await;
    let store = &tables.store;
    let batch = make::batch(1, 1);
    // The refunds' ids come before the charge's.
    let refunds = [refund(&batch, 1), refund(&batch, 2)];
    let charge = make::detail(&batch, 3);
    let (one, other): (ChargeId, ChargeId) = (id(1), id(2));
    put(
        store,
        &[(one, &refunds[0]), (one, &refunds[1]), (other, &refunds[0])],
    )
    .await;
    assert_eq!(store.detail_of_charge(one).await, Ok(None));
    put(store, &[(one, &charge)]).await;
    assert_eq!(store.detail_of_charge(one).await, Ok(Some(charge.id)));
    let all = vec![charge.id, refunds[0].id, refunds[1].id];
    assert_eq!(store.details_of_charge(one, 9).await, Ok(Some(all)));
    assert_eq!(
        store.details_of_charge(other, 9).await,
        Ok(Some(vec![refunds[0].id]))
    );
    assert_eq!(store.detail_of_charge(other).await, Ok(None));
    assert_eq!(
        store.details_of_charge(id(3), 9).await,
        Ok(Some(Vec::new()))
    );
}

#[tokio::test]
async fn a_refund_that_names_its_charge_is_found_by_it_from_the_start() {
    let tables = Tables::new().await;
    let batch = make::batch(1, 1);
    let named = Detail {
        charge_id: Some(id(1)),
        ..refund(&batch, 1)
    };
    let mut puts = PutBuffer::new(&tables.store, 4);
    for detail in [&named, &refund(&batch, 2), &make::detail(&batch, 3)] {
        let place = batch.place();
        puts.put_detail(&place, id(1), detail, &Payload::default())
            .await
            .unwrap();
    }
    puts.flush().await.unwrap();
    let found = tables.store.details_of_charge(id(1), 9).await;
    assert_eq!(found, Ok(Some(vec![named.id])));
}

#[tokio::test]
async fn an_order_leads_to_every_charge_and_refund_of_the_seller_however_many() {
    let tables = Tables::new().await;
    let store = &tables.store;
    let batch = make::batch(1, 1);
    // Keys so long that the entries fill more than one page.
    let number = "x".repeat(250);
    let mut puts = PutBuffer::new(store, 4);
    let (mut charges, mut refunds): (Vec<DetailId>, Vec<DetailId>) = (Vec::new(), Vec::new());
    for line in 1..=5_000 {
        let detail = match line % 1_000 {
            0 => refund(&batch, line),
            _ => make::detail(&batch, line),
        };
        let detail = Detail {
            order_number: Some(number.clone()),
            ..detail
        };
        match detail.transaction_type {
            TransactionType::Charge => charges.push(detail.id),
            TransactionType::Refund => refunds.push(detail.id),
        }
        puts.put_detail(&batch.place(), id(1), &detail, &Payload::default())
            .await
            .unwrap();
    }
    puts.flush().await.unwrap();
    let expected: Vec<DetailId> = charges.into_iter().chain(refunds).collect();
    assert_eq!(
        store.details_of_order(id(1), &number, 5_000).await,
        Ok(Some(expected))
    );
    assert_eq!(
        store.details_of_order(id(1), &number, 4_994).await,
        Ok(None)
    );
    assert_eq!(
        store.details_of_order(id(2), &number, 9).await,
        Ok(Some(Vec::new()))
    );
    assert_eq!(
        store.details_of_order(id(1), "x", 9).await,
        Ok(Some(Vec::new()))
    );
}
