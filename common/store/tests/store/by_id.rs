use std::fmt::Debug;
use std::slice::from_ref;

use chrono::DateTime;
use weir_domain::{BatchOrdinal, CustomerId, MessageId, MessageStatus};
use weir_store::{
    Client, Customer, Message, MessageMark, Program, ReportSchedule, Seller, SellerContact,
    StoreError,
};

use crate::make::{self, id};
use crate::tables_of::Tables;

#[tokio::test]
async fn any_number_is_read_in_the_order_asked_for_each_once_and_what_is_not_there_is_left_out() {
    let tables = Tables::new().await;
    let store = &tables.store;
    for number in 0..205 {
        store.put_customer(&make::customer(number)).await.unwrap();
    }
    let wanted = |numbers: &[u128]| numbers.iter().map(|n| id(*n)).collect::<Vec<CustomerId>>();
    let found = |ids: Vec<CustomerId>| async move {
        let found = store.customers(&ids).await.unwrap();
        found.into_iter().map(|found| found.id).collect::<Vec<_>>()
    };
    for count in [0, 1, 99, 100, 101, 200, 201, 205] {
        let numbers: Vec<u128> = (0..count).rev().collect();
        assert_eq!(found(wanted(&numbers)).await, wanted(&numbers), "{count}");
    }
    let asked = wanted(&[7, 900, 3, 7, 901, 5, 3]);
    assert_eq!(found(asked).await, wanted(&[7, 3, 5]));
}

#[tokio::test]
async fn batches_and_files_are_read_as_they_were_written() {
    let tables = Tables::new().await;
    let store = &tables.store;
    let mut without_program = make::file(2);
    (without_program.client_id, without_program.program_id) = (None, None);
    let files = [make::file(1), without_program];
    for file in &files {
        store.create_file(file).await.unwrap();
    }
    let mut without_seller = make::batch(1, 2);
    (without_seller.seller_id, without_seller.seller_name) = (None, None);
    let batches = [make::batch(1, 1), without_seller];
    for batch in &batches {
        store.create_batch(batch).await.unwrap();
    }
    let ids = [files[1].id, make::file_id(9), files[0].id];
    let read = store.files(&ids).await.unwrap();
    assert_eq!(read, [files[1].clone(), files[0].clone()]);
    let ids = [batches[1].id, batches[0].id];
    let read = store.batches(&ids).await.unwrap();
    assert_eq!(read, [batches[1].clone(), batches[0].clone()]);
    let ordinal = |number| BatchOrdinal::new(number).unwrap();
    let file = files[0].id;
    let read = store.batches_of_file(file, ordinal(1), ordinal(100)).await;
    assert_eq!(read.unwrap(), batches);
}

fn same<T: PartialEq + Debug>(read: Result<Vec<T>, StoreError>, written: &[T]) {
    assert_eq!(read.unwrap(), written);
}

#[tokio::test]
async fn reference_data_is_read_as_it_was_written_and_a_write_replaces_what_was_there() {
    let tables = Tables::new().await;
    let store = &tables.store;
    let client = make::client(1);
    let (program, seller, customer) = (make::program(2), make::seller(3), make::customer(4));
    let (contact, schedule) = (make::contact(5), make::schedule(6));
    store.put_client(&client).await.unwrap();
    store.put_program(&program).await.unwrap();
    store.put_seller(&seller).await.unwrap();
    store.put_customer(&customer).await.unwrap();
    store.put_seller_contact(&contact).await.unwrap();
    store.put_report_schedule(&schedule).await.unwrap();
    assert_eq!(store.client(id(1)).await, Ok(Some(client.clone())));
    assert_eq!(store.program(id(2)).await, Ok(Some(program.clone())));
    assert_eq!(store.seller(id(3)).await, Ok(Some(seller.clone())));
    let by_alternate = store
        .seller_by_alternate_id(id(2), seller.alternate_seller_id.as_ref().unwrap())
        .await;
    assert_eq!(by_alternate, Ok(Some(seller.clone())));
    same(store.clients(&[id(1)]).await, from_ref(&client));
    same(store.programs(&[id(2)]).await, from_ref(&program));
    same(store.sellers(&[id(3)]).await, from_ref(&seller));
    same(store.customers(&[id(4)]).await, from_ref(&customer));
    same(store.seller_contacts(&[id(5)]).await, from_ref(&contact));
    same(store.report_schedules(&[id(6)]).await, from_ref(&schedule));
    // An id says nothing about the kind: only the key does.
    same::<Client>(store.clients(&[id(2)]).await, &[]);

    let (client, program) = (bare_client(&client), bare_program(&program));
    let (seller, customer) = (bare_seller(&seller), bare_customer(&customer));
    let (contact, schedule) = (bare_contact(&contact), bare_schedule(&schedule));
    store.put_client(&client).await.unwrap();
    store.put_program(&program).await.unwrap();
    store.put_seller(&seller).await.unwrap();
    store.put_customer(&customer).await.unwrap();
    store.put_seller_contact(&contact).await.unwrap();
    store.put_report_schedule(&schedule).await.unwrap();
    same(store.clients(&[id(1)]).await, &[client]);
    same(store.programs(&[id(2)]).await, &[program]);
    same(store.sellers(&[id(3)]).await, &[seller]);
    same(store.customers(&[id(4)]).await, &[customer]);
    same(store.seller_contacts(&[id(5)]).await, &[contact]);
    same(store.report_schedules(&[id(6)]).await, &[schedule]);
}

fn bare_client(client: &Client) -> Client {
    Client {
        processed_message_ts: None,
        ..client.clone()
    }
}

fn bare_program(program: &Program) -> Program {
    Program {
        reply_to_email: None,
        support_email: None,
        sender_email: None,
        processed_message_ts: None,
        ..program.clone()
    }
}

fn bare_seller(seller: &Seller) -> Seller {
    Seller {
        alternate_seller_id: None,
        status: None,
        processed_message_ts: None,
        ..seller.clone()
    }
}

fn bare_customer(customer: &Customer) -> Customer {
    Customer {
        name: None,
        processed_message_ts: None,
        ..customer.clone()
    }
}

fn bare_contact(contact: &SellerContact) -> SellerContact {
    SellerContact {
        name: None,
        email: None,
        country: None,
        state: None,
        city: None,
        street: None,
        post_code: None,
        processed_message_ts: None,
        ..contact.clone()
    }
}

fn bare_schedule(schedule: &ReportSchedule) -> ReportSchedule {
    ReportSchedule {
        seller_id: None,
        schedule_week_day: None,
        recipient_emails: Vec::new(),
        last_scheduled_at: None,
        ..schedule.clone()
    }
}

/// A text that cannot be compressed much.
fn noise(characters: usize, seed: u64) -> String {
    let mut state = seed | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        char::from(b' ' + u8::try_from(state % 95).unwrap())
    };
    (0..characters).map(|_| next()).collect()
}

#[tokio::test]
async fn a_message_is_read_as_it_was_written_whatever_is_missing() {
    let tables = Tables::new().await;
    let store = &tables.store;
    let full = make::message(1);
    let bare = Message {
        id: id(2),
        group_id: None,
        subject: None,
        body: String::new(),
        attributes: None,
        error_log: None,
        failure_count: 0,
        failed_at: None,
        processed_at: None,
        ..full.clone()
    };
    store.put_message(&full).await.unwrap();
    store.put_message(&bare).await.unwrap();
    same(store.messages(&[id(2), id(1)]).await, &[bare, full]);
}

#[tokio::test]
async fn messages_larger_together_than_one_answer_all_come_back() {
    let tables = Tables::new().await;
    let store = &tables.store;
    let message = |number: u128| Message {
        id: id(number),
        body: noise(256 << 10, u64::try_from(number).unwrap()),
        ..make::message(0)
    };
    let messages: Vec<Message> = (1..=80).map(message).collect();
    for message in &messages {
        store.put_message(message).await.unwrap();
    }
    let ids: Vec<MessageId> = messages.iter().map(|message| message.id).collect();
    same(store.messages(&ids).await, &messages);
}

#[tokio::test]
async fn a_message_is_kept_once_and_what_is_there_is_told() {
    let tables = Tables::new().await;
    let store = &tables.store;
    let first = make::message(1);
    assert_eq!(store.keep_message(&first).await.unwrap(), first);
    let second = Message {
        body: "another".to_owned(),
        ..first.clone()
    };
    assert_eq!(store.keep_message(&second).await.unwrap(), first);
    same(store.messages(&[first.id]).await, &[first]);
}

#[tokio::test]
async fn a_message_that_was_processed_stays_so_and_one_that_failed_need_not() {
    let tables = Tables::new().await;
    let store = &tables.store;
    let message = Message {
        status: MessageStatus::Unprocessed,
        ..make::message(1)
    };
    let at = |minute: i64| DateTime::from_timestamp(minute * 60, 0).unwrap();
    let failed = |minute| MessageMark::Failed {
        at: at(minute),
        error_log: format!("why {minute}"),
    };
    let mark = async |mark: MessageMark| {
        let is_marked = store.mark_message(message.id, &mark).await.unwrap();
        let found = store.messages(&[message.id]).await.unwrap();
        (found.into_iter().next().unwrap(), is_marked)
    };
    store.keep_message(&message).await.unwrap();
    for minute in 0..2 {
        let (found, is_marked) = mark(failed(minute)).await;
        assert_eq!((found.status, is_marked), (MessageStatus::Failed, true));
        let count = message.failure_count + u32::try_from(minute).unwrap() + 1;
        assert_eq!(
            (found.failed_at, found.failure_count),
            (Some(at(minute)), count)
        );
        assert_eq!(found.error_log, Some(format!("why {minute}")));
    }
    let (found, is_marked) = mark(MessageMark::Processed { at: at(2) }).await;
    assert!(is_marked);
    assert_eq!(found.status, MessageStatus::Processed);
    assert_eq!((found.processed_at, found.updated_at), (Some(at(2)), at(2)));
    assert_eq!(mark(failed(3)).await, (found, false));
}

#[tokio::test]
async fn what_is_not_there_cannot_be_marked() {
    let tables = Tables::new().await;
    let at = DateTime::UNIX_EPOCH;
    let mark = MessageMark::Processed { at };
    let refused = tables.store.mark_message(id(1), &mark).await;
    assert!(
        matches!(refused, Err(StoreError::Refused { .. })),
        "{refused:?}"
    );
}
