use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use uuid::Uuid;
use weir_domain::{ProgramId, SellerId};
use weir_store::{
    Batch, BatchesOf, CreatedId, CreatedRange, Customer, Direction, File, FilesOf, Message, Month,
    ReferenceKind, ReferencesOf, ReportSchedule, Seller, Store, StoreError,
};

use crate::make::{self, at, id};
use crate::tables_of::Tables;

/// A month in milliseconds, more or less.
const MONTH_MS: i64 = 30 * 24 * 3_600_000;

/// One way of asking for keys, and what it is to find, in order.
#[derive(Debug, Clone)]
struct Asked {
    of: Of,
    all: Vec<CreatedId>,
}

#[derive(Debug, Clone, Copy)]
enum Of {
    Batches(BatchesOf),
    Files(FilesOf),
    Messages(Month),
    References(ReferencesOf),
}

async fn keys(
    store: &Store,
    of: Of,
    range: CreatedRange,
    direction: Direction,
    limit: u32,
) -> Result<Vec<CreatedId>, StoreError> {
    match of {
        Of::Batches(of) => store.batch_keys(of, range, direction, limit).await,
        Of::Files(of) => store.file_keys(of, range, direction, limit).await,
        Of::Messages(of) => store.message_keys(of, range, direction, limit).await,
        Of::References(of) => store.reference_keys(of, range, direction, limit).await,
    }
}

/// Every place in order, then the asking.
fn asked(of: Of, places: impl Iterator<Item = CreatedId>) -> Asked {
    let mut all: Vec<CreatedId> = places.collect();
    all.sort_unstable();
    Asked { of, all }
}

/// Times that meet often: within four months, a few milliseconds each.
fn time_of(number: u32) -> chrono::DateTime<chrono::Utc> {
    at(i64::from(number % 4) * MONTH_MS + i64::from(number % 7))
}

async fn batches(store: &Store) -> Vec<Asked> {
    let batch = |number: u32| Batch {
        program_id: id(u128::from(number % 2)),
        seller_id: (!number.is_multiple_of(5)).then(|| id(u128::from(number % 3))),
        created_at: time_of(number),
        ..make::batch(number, 1 + number % 10)
    };
    let batches: Vec<Batch> = (0..60).map(batch).collect();
    for batch in &batches {
        store.create_batch(batch).await.unwrap();
    }
    let of = |of: BatchesOf, is_of: &dyn Fn(&Batch) -> bool| {
        let places = batches.iter().filter(|batch| is_of(batch));
        let place = |batch: &Batch| CreatedId::new(batch.created_at, batch.id);
        asked(Of::Batches(of), places.map(place))
    };
    let months = (0..4).map(|number| {
        let month = Month::of(time_of(number));
        of(BatchesOf::Month(month), &|batch| {
            Month::of(batch.created_at) == month
        })
    });
    let programs = (0..3).map(|number| {
        let program: ProgramId = id(number);
        of(BatchesOf::Program(program), &|batch| {
            batch.program_id == program
        })
    });
    let sellers = (0..4).map(|number| {
        let seller: SellerId = id(number);
        of(BatchesOf::Seller(seller), &|batch| {
            batch.seller_id == Some(seller)
        })
    });
    months.chain(programs).chain(sellers).collect()
}

async fn files(store: &Store) -> Vec<Asked> {
    let file = |number: u32| File {
        program_id: (!number.is_multiple_of(3)).then(|| id(u128::from(number % 3))),
        created_at: time_of(number),
        ..make::file(number)
    };
    let files: Vec<File> = (0..40).map(file).collect();
    for file in &files {
        store.create_file(file).await.unwrap();
    }
    let of = |of: FilesOf, is_of: &dyn Fn(&File) -> bool| {
        let places = files.iter().filter(|file| is_of(file));
        let place = |file: &File| CreatedId::new(file.created_at, file.id);
        asked(Of::Files(of), places.map(place))
    };
    let months = (0..4).map(|number| {
        let month = Month::of(time_of(number));
        of(FilesOf::Month(month), &|file| {
            Month::of(file.created_at) == month
        })
    });
    let programs = (0..3).map(|number| {
        let program: ProgramId = id(number);
        of(FilesOf::Program(program), &|file| {
            file.program_id == Some(program)
        })
    });
    months.chain(programs).collect()
}

async fn messages(store: &Store) -> Vec<Asked> {
    let message = |number: u32| Message {
        id: id(u128::from(number)),
        created_at: time_of(number),
        ..make::message(0)
    };
    let messages: Vec<Message> = (0..40).map(message).collect();
    for message in &messages {
        store.put_message(message).await.unwrap();
    }
    let months = (0..4).map(|number| {
        let month = Month::of(time_of(number));
        let of_month = messages.iter();
        let of_month = of_month.filter(|message| Month::of(message.created_at) == month);
        let place = |message: &Message| CreatedId::new(message.created_at, message.id);
        asked(Of::Messages(month), of_month.map(place))
    });
    months.collect()
}

async fn references(store: &Store) -> Vec<Asked> {
    let mut made: Vec<(ReferenceKind, Option<Uuid>, CreatedId)> = Vec::new();
    for number in 0..60_u32 {
        let (own, created_at) = (1_000 + u128::from(number), time_of(number));
        let above: Uuid = id(u128::from(number % 2));
        let customer = Customer {
            created_at,
            program_id: above.try_into().unwrap(),
            ..make::customer(own)
        };
        let seller = Seller {
            created_at,
            program_id: above.try_into().unwrap(),
            ..make::seller(own)
        };
        let schedule = ReportSchedule {
            created_at,
            program_id: above.try_into().unwrap(),
            ..make::schedule(own)
        };
        let kind = match number % 6 {
            0 => {
                let mut client = make::client(own);
                client.created_at = created_at;
                store.put_client(&client).await.unwrap();
                ReferenceKind::Client
            }
            1 => {
                let mut program = make::program(own);
                (program.created_at, program.client_id) = (created_at, above.try_into().unwrap());
                store.put_program(&program).await.unwrap();
                ReferenceKind::Program
            }
            2 => {
                store.put_seller(&seller).await.unwrap();
                ReferenceKind::Seller
            }
            3 => {
                store.put_customer(&customer).await.unwrap();
                ReferenceKind::Customer
            }
            4 => {
                let mut contact = make::contact(own);
                (contact.created_at, contact.seller_id) = (created_at, above.try_into().unwrap());
                store.put_seller_contact(&contact).await.unwrap();
                ReferenceKind::SellerContact
            }
            _ => {
                store.put_report_schedule(&schedule).await.unwrap();
                ReferenceKind::ReportSchedule
            }
        };
        let parent = (kind != ReferenceKind::Client).then_some(above);
        made.push((kind, parent, CreatedId::new(created_at, id::<Uuid>(own))));
    }
    let kinds = [
        ReferenceKind::Client,
        ReferenceKind::Program,
        ReferenceKind::Seller,
        ReferenceKind::Customer,
        ReferenceKind::SellerContact,
        ReferenceKind::ReportSchedule,
    ];
    let mut all = Vec::new();
    for kind in kinds {
        for parent in [
            None,
            Some(id::<Uuid>(0)),
            Some(id::<Uuid>(1)),
            Some(id::<Uuid>(2)),
        ] {
            let of = ReferencesOf { kind, parent };
            let is_of = |one: &&(ReferenceKind, Option<Uuid>, CreatedId)| {
                one.0 == kind && (parent.is_none() || one.1 == parent)
            };
            let places = made.iter().filter(is_of).map(|(_, _, place)| *place);
            all.push(asked(Of::References(of), places));
        }
    }
    all
}

/// An end of a range: a place that exists, one beside it, or none in particular.
fn end(all: &[CreatedId], choice: (usize, u8)) -> CreatedId {
    let (index, kind) = choice;
    let place = all.get(index % all.len().max(1)).copied();
    let place = place.unwrap_or(CreatedId::new(at(0), Uuid::nil()));
    match kind {
        0 => CreatedId::MIN.previous(),
        1 => CreatedId::MAX.next(),
        2 => place.next(),
        3 => place.previous(),
        _ => place,
    }
}

#[test]
fn pages_of_keys_are_those_of_a_sorted_list_in_both_directions() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let tables = runtime.block_on(Tables::new());
    let store = &tables.store;
    let mut asked = runtime.block_on(batches(store));
    asked.extend(runtime.block_on(files(store)));
    asked.extend(runtime.block_on(messages(store)));
    asked.extend(runtime.block_on(references(store)));
    assert!(asked.iter().filter(|asked| asked.all.len() > 3).count() > 20);
    let choice = || (0..40_usize, 0..8_u8);
    let strategy = (0..asked.len(), choice(), choice(), any::<bool>(), 1..12_u32);
    let mut runner = TestRunner::new(Config::with_cases(400));
    let checked = runner.run(&strategy, |(index, from, to, is_forward, limit)| {
        let Asked { of, all } = &asked[index];
        let (from, to) = (end(all, from), end(all, to));
        let is_within = |place: &CreatedId| from <= *place && *place <= to;
        let mut expected: Vec<_> = all.iter().copied().filter(is_within).collect();
        let direction = if is_forward {
            Direction::Forward
        } else {
            expected.reverse();
            Direction::Backward
        };
        let mut range = CreatedRange { from, to };
        let mut found: Vec<CreatedId> = Vec::new();
        loop {
            let page = runtime
                .block_on(keys(store, *of, range, direction, limit))
                .unwrap();
            prop_assert!(page.len() <= limit as usize);
            found.extend_from_slice(&page);
            let Some(last) = page.last().filter(|_| page.len() == limit as usize) else {
                break;
            };
            match direction {
                Direction::Forward => range.from = last.next(),
                Direction::Backward => range.to = last.previous(),
            }
        }
        prop_assert_eq!(found, expected);
        Ok(())
    });
    checked.unwrap();
}

#[tokio::test]
async fn an_answer_has_at_most_a_thousand_keys() {
    let tables = Tables::new().await;
    for number in 0..1_001_i64 {
        let customer = Customer {
            created_at: at(number),
            ..make::customer(number.try_into().unwrap())
        };
        tables.store.put_customer(&customer).await.unwrap();
    }
    let of = Of::References(ReferencesOf {
        kind: ReferenceKind::Customer,
        parent: None,
    });
    let all = CreatedRange::ALL;
    for (limit, count) in [(0, 0), (1, 1), (999, 999), (1_000, 1_000), (1_001, 1_000)] {
        for direction in [Direction::Forward, Direction::Backward] {
            let found = keys(&tables.store, of, all, direction, limit)
                .await
                .unwrap();
            assert_eq!(found.len(), count, "{limit} {direction:?}");
        }
    }
}
