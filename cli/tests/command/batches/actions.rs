use weir_domain::{BatchId, LineNumber};
use weir_simulator::Faults;

use super::local::{Local, counts, refusing, text, xml};

#[test]
fn a_batch_is_cancelled_once_somebody_says_yes_and_sent_after_all_only_when_that_is_said() {
    let local = Local::start(refusing());
    let sent = local.submit("a.xml", &xml("B-1", 5, |n| n == 5));
    let batch = || local.status(&sent.file)["batches"][0].clone();

    // Nobody can be asked, or the answer is no.
    let ran = local.weir(&["cancel", &sent.batch]);
    assert_eq!((ran.code, ran.stdout.as_str()), (2, ""));
    for said in [
        "Batch B-1 of Northwind Parts: 5 details: 4 unprocessed, 1 in error\n",
        "To be cancelled: 5 details,",
        "error: nobody can be asked whether that is meant",
        "help: see that it is, and give --yes\n",
    ] {
        assert!(ran.stderr.contains(said), "{}", ran.stderr);
    }
    for answer in ["n\n", "", "\n", "yeah\n"] {
        let ran = local.asked(&["cancel", &sent.batch], answer);
        assert_eq!((ran.code, ran.stdout.as_str()), (130, ""));
        assert!(ran.stderr.contains("Cancel all of that? [y/N] "), "{ran:?}");
        assert!(ran.stderr.contains("error: nothing was changed"), "{ran:?}");
    }
    assert_eq!(counts(&batch()), [4, 0, 1, 0]);

    let ran = local.asked(&["cancel", &sent.batch], "Y\n");
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(
        ran.stdout.starts_with("Done: cancel, batch B-1.\n\nBatch "),
        "{ran:?}"
    );
    assert_eq!(counts(&batch()), [0, 0, 0, 5]);

    for arguments in [
        &["cancel"][..],
        &["retry"],
        &["drafts", "confirm"],
        &["drafts", "discard"],
    ] {
        let ran = local.well(&[arguments, &[&sent.batch]].concat());
        assert!(
            ran.stdout
                .starts_with("Nothing to do: no detail of batch B-1 "),
            "{ran:?}"
        );
    }
    local.simulator().set_faults(Faults::default()).unwrap();

    // One of them has no request that could be sent.
    let ran = local.well(&["retry", &sent.batch, "--cancelled", "--yes", "--json"]);
    let shown = ran.json();
    assert_eq!(
        (shown["action"].as_str(), &shown["done"]),
        (Some("retry_cancelled"), &true.into())
    );
    assert_eq!(shown["batch"]["file_id"], sent.file.as_str());
    assert_eq!(ran.stderr, "");
    assert_eq!(counts(&local.settled(&sent.file)), [0, 4, 0, 1]);
    let made = local.simulator().summary();
    assert_eq!((made.charges, made.duplicates), (4, 0));
}

#[test]
fn details_are_named_and_all_of_them_are_refused_where_one_is() {
    let local = Local::start(Faults::default());
    let sent = local.submit("a.xml", &xml("B-1", 4, |n| n > 2));
    let other = local.submit("b.xml", &xml("B-2", 1, |_| true));
    local.settled(&sent.file);
    let (broken, foreign) = (local.in_error(&sent), local.in_error(&other));
    assert_eq!(broken.len(), 2);
    let batch = || local.status(&sent.file)["batches"][0].clone();

    // What has no request cannot be sent again.
    let ran = local.weir(&["retry", &sent.batch, "--detail", &broken[0], "--yes"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (3, ""));
    assert!(ran.stderr.contains("In all 1 detail: 1 Error"), "{ran:?}");
    let why = format!(
        "{}: its record states no request that could be sent",
        broken[0]
    );
    assert!(ran.stderr.contains(&why), "{ran:?}");

    // What is not of the batch is found before anything is asked for.
    let both = [
        "cancel",
        &sent.batch,
        "--detail",
        &broken[0],
        "--detail",
        &foreign[0],
        "--yes",
    ];
    let ran = local.weir(&both);
    assert_eq!((ran.code, ran.stdout.as_str()), (3, ""));
    assert!(
        ran.stderr.contains("1 of the details are not in the batch"),
        "{ran:?}"
    );
    assert!(ran.stderr.contains(&foreign[0]), "{ran:?}");
    assert_eq!(counts(&batch()), [0, 2, 2, 0]);

    // Named twice counts once.
    let twice = [
        "cancel",
        &sent.batch,
        "--detail",
        &broken[0],
        "--detail",
        &broken[0],
        "--yes",
    ];
    let ran = local.well(&twice);
    assert!(
        ran.stdout
            .starts_with("Done: cancel, 1 detail of batch B-1.\n"),
        "{ran:?}"
    );
    assert_eq!(counts(&batch()), [0, 2, 1, 1]);
    let ran = local.weir(&twice);
    assert_eq!(ran.code, 3);
    assert!(ran.stderr.contains("it is cancelled already"), "{ran:?}");

    // A settled one never changes.
    let batch = sent.batch.parse::<BatchId>().unwrap();
    let settled = batch.detail(LineNumber::FIRST).to_string();
    let ran = local.weir(&["cancel", &sent.batch, "--detail", &settled, "--yes"]);
    assert_eq!(ran.code, 3, "{ran:?}");
    assert!(
        ran.stderr.contains("1 Processed; 10.51 USD of charges\n"),
        "{ran:?}"
    );
    assert!(
        ran.stderr.contains("a settled detail never changes"),
        "{ran:?}"
    );
}

#[test]
fn a_thousand_details_are_one_request_and_more_are_several() {
    let local = Local::start(Faults::default());
    let sent = local.submit("a.xml", &xml("B-1", 2_001, |_| true));
    let broken = local.in_error(&sent);
    assert_eq!(broken.len(), 2_001);
    let cancel = |ids: &[String]| {
        let mut arguments = vec!["cancel", &sent.batch, "--yes"];
        arguments.extend(ids.iter().flat_map(|id| ["--detail", id.as_str()]));
        local.well(&arguments)
    };
    let ran = cancel(&broken[..1_000]);
    assert!(ran.stderr.contains("… and 980 more\n"), "{}", ran.stderr);
    assert!(!ran.stderr.contains("cancelling"), "{}", ran.stderr);
    let ran = cancel(&broken[1_000..]);
    let steps = "cancelling: 1 of 1 001 left\ncancelling: 0 of 1 001 left\n";
    assert!(ran.stderr.ends_with(steps), "{}", ran.stderr);
    assert!(
        ran.stdout
            .starts_with("Done: cancel, 1 001 details of batch B-1.\n")
    );
    let batch = &local.status(&sent.file)["batches"][0];
    assert_eq!(counts(batch), [0, 0, 0, 2_001]);
}

#[test]
fn a_batch_that_could_not_be_taken_is_taken_again_by_a_retry() {
    let local = Local::start(Faults::default());
    let first = local.submit("a.xml", &xml("B-1", 2, |_| false));
    // Its number is in use.
    let second = local.submit("b.xml", &xml("B-1", 1, |_| false));
    let ran = local.asked(&["retry", &second.batch], "no\n");
    assert_eq!(ran.code, 130);
    assert!(
        ran.stderr.contains("To be taken again from its file"),
        "{ran:?}"
    );
    let ran = local.well(&["retry", &second.batch, "--yes", "--json"]);
    assert_eq!(ran.json()["action"], "take_again");
    assert_eq!(ran.json()["batch"]["status"], "Error");
    assert_eq!(counts(&local.settled(&first.file)), [0, 2, 0, 0]);
}

#[test]
fn a_batch_that_there_is_not_and_a_key_that_may_not_are_told() {
    let local = Local::start(Faults::default());
    let nobody = "8a0b7c6d-0000-8000-8000-000000000001";
    for arguments in [
        &["cancel", nobody, "--yes"][..],
        &["retry", nobody, "--yes"],
        &["drafts", "confirm", nobody, "--yes"],
        &["errors", "get", nobody],
    ] {
        let ran = local.weir(arguments);
        assert_eq!((ran.code, ran.stdout.as_str()), (3, ""));
        assert!(ran.stderr.contains("help: check the id;"), "{ran:?}");
    }
    let path = local.path("t.csv");
    std::fs::write(&path, "batch_detail_id\nx\n").unwrap();
    let ran = local.weir(&["errors", "put", nobody, text(&path), "--yes"]);
    assert_eq!(ran.code, 3);
}
