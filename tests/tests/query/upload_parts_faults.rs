//! Files that are sent in parts, while requests break off, meet each other, or lose their way.

use std::time::Duration;

use weir_domain::{FileStatus, ObjectIdentity};
use weir_runtime::Random;
use weir_tests::faults::{Fault, FaultyClient, Rates, Service};
use weir_tests::parts::BUCKET;

use crate::asking::answered;
use crate::idempotency::{World, is_replayed, post, router};
use crate::reference_changes::id_of;
use crate::upload_parts::{Sender, announced, sound};
use crate::uploads::PATH;

#[test]
fn a_place_for_parts_whose_making_broke_off_anywhere_is_one_file_with_one_upload() {
    let world = World::new();
    let sender = Sender::new(&world.asked);
    let mut number = 0;
    for is_after in [false, true] {
        for at in 1.. {
            number += 1;
            let name = format!("place-{number}.xml");
            let bytes = sound(&format!("PLACE-{number}")).into_bytes();
            let request = || post(&sender.key, &name, PATH, &announced(&name, &bytes));
            let (cut, place) = world.cut_at(at, is_after);
            let is_cut = world.asked.wait(async {
                tokio::select! {
                    biased;
                    () = place.reached.notified() => true,
                    _ = answered(cut, request()) => false,
                }
            });
            // A run that got nowhere is waited for.
            let mut first = world.send(request());
            if first.status == 409 {
                world.jump(Duration::from_secs(40));
                first = world.send(request());
            }
            assert_eq!(first.status, 200, "{at} {is_after}: {}", first.text);
            let again = world.send(request());
            assert!(is_replayed(&again));
            assert_eq!(again.text, first.text);
            let id = id_of(&first.body["file"]);
            assert_eq!(sender.send(&id, &bytes), [1], "{at} {is_after}");
            assert_eq!(sender.complete(&id).status, 200);
            let rows = world
                .asked
                .all(&sender.key, &format!("/v1/files?name={name}"));
            assert_eq!(rows.len(), 1, "{at} {is_after}");
            if !is_cut {
                assert!(at > 5, "{at}: it claims, looks, begins, makes and keeps");
                break;
            }
        }
    }
}

#[test]
fn a_completion_that_broke_off_anywhere_is_done_again_and_makes_one_object() {
    let world = World::new();
    let sender = Sender::new(&world.asked);
    let mut number = 0;
    for is_after in [false, true] {
        for at in 1.. {
            number += 1;
            let bytes = sound(&format!("CUT-{number}")).into_bytes();
            let id = id_of(&sender.reserve(&bytes)["file"]);
            sender.send(&id, &bytes);
            let objects = sender.object_count();
            let target = format!("{PATH}/{id}/complete");
            let (cut, place) = world.cut_at(at, is_after);
            let request = http::Request::post(&target).header("Authorization", &sender.key);
            let request = request.body(axum::body::Body::empty()).unwrap();
            let is_cut = world.asked.wait(async {
                tokio::select! {
                    biased;
                    () = place.reached.notified() => true,
                    _ = answered(cut, request) => false,
                }
            });
            let done = sender.complete(&id);
            assert_eq!(done.status, 200, "{at} {is_after}: {}", done.text);
            assert_eq!(sender.object_count(), objects + 1, "{at} {is_after}");
            let file = sender.work(&id);
            assert_eq!((file.status, file.batch_count), (FileStatus::Processed, 1));
            if !is_cut {
                assert!(at > 6, "{at}: it looks, lists, joins, binds and wakes");
                break;
            }
        }
    }
}

#[test]
fn completed_by_many_at_once_under_faults_it_is_one_file_with_one_object() {
    let world = World::new();
    let sender = Sender::new(&world.asked);
    let faults: Vec<(Fault, u64)> = Fault::ALL.map(|fault| (fault, 40)).into();
    let services = [Service::Dynamodb, Service::S3, Service::Sqs];
    let rates = services
        .into_iter()
        .fold(Rates::default(), |rates, service| {
            rates.of(service, &faults)
        });
    let parts = &world.asked.parts;
    let http = FaultyClient::new(
        parts.network.aws.clone(),
        rates,
        Random::seeded(23),
        parts.timeline.clock().clone(),
        Duration::from_millis(20),
    );
    let store = world.asked.wait(parts.store_through(http.shared()));
    let lossy = router(&world.asked, store);
    for round in 0..8 {
        let bytes = sound(&format!("MANY-{round}")).into_bytes();
        let id = id_of(&sender.reserve(&bytes)["file"]);
        sender.send(&id, &bytes);
        let objects = sender.object_count();
        let all = (0..4).map(|_| {
            let target = format!("{PATH}/{id}/complete");
            let request = http::Request::post(&target).header("Authorization", &sender.key);
            answered(
                lossy.clone(),
                request.body(axum::body::Body::empty()).unwrap(),
            )
        });
        for answered in world.asked.wait(futures::future::join_all(all)) {
            let status = answered.status.as_u16();
            assert!([200, 409, 503].contains(&status), "{}", answered.text);
            if status == 409 {
                assert!(
                    answered.headers.contains_key("retry-after"),
                    "{}",
                    answered.text
                );
            }
        }
        assert_eq!(sender.complete(&id).status, 200);
        assert_eq!(sender.object_count(), objects + 1, "{round}");
        let file = sender.work(&id);
        assert_eq!((file.status, file.batch_count), (FileStatus::Processed, 1));
        let object: &ObjectIdentity = file.object().unwrap();
        let found = parts.store.find_object(BUCKET, &object.key);
        assert_eq!(world.asked.wait(found).unwrap().as_ref(), Some(object));
    }
    world.asked.wait(http.heal());
    assert!(http.met().len() > 5);
}
