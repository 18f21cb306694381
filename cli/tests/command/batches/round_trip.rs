//! The story of `docs/mending.md`.

use std::fs;

use super::local::{Local, counts, cutting, text, xml};

#[test]
fn a_broken_file_is_mended_and_every_charge_is_made_once() {
    let local = Local::start(cutting());
    let sent = local.submit("broken.xml", &xml("B-1", 40, |n| n % 10 == 0));
    assert_eq!(counts(&local.settled(&sent.file)), [0, 36, 4, 0]);

    let path = local.path("errors.csv");
    let get = ["errors", "get", &sent.batch, "--out", text(&path)];
    assert!(
        local
            .well(&get)
            .stdout
            .starts_with("4 details in error of batch B-1 in ")
    );

    // Three are mended, one row is thrown away: it stays in error, to be cancelled.
    let table = fs::read_to_string(&path).unwrap();
    let good = "cf771e8a-5c1a-462f-b4c9-fc745f02d0de";
    let mended = table.replace("\"Fabrikam, purchasing\"", good);
    let (mended, last) = mended.trim_end().rsplit_once("\r\n").unwrap();
    fs::write(&path, format!("{mended}\r\n")).unwrap();
    let put = ["errors", "put", &sent.batch, text(&path), "--yes"];
    let ran = local.well(&put);
    let (confirm, discard) = ("weir drafts confirm", "weir drafts discard");
    assert_eq!(
        ran.stdout,
        format!(
            "3 rows became drafts; 0 asked for nothing new.\nSend them with: {confirm} {0}\n\
             Drop them with: {discard} {0}\n",
            sent.batch
        )
    );
    // Nothing is charged before somebody says so.
    assert_eq!(local.simulator().summary().charges, 36);
    // Sent again, the table says nothing new.
    assert!(
        local
            .well(&put)
            .stdout
            .starts_with("0 rows became drafts; 3 asked")
    );

    let id = mended.lines().nth(1).unwrap().split(',').next().unwrap();
    let one = local.asked(&["drafts", "confirm", &sent.batch, "--detail", id], "y\n");
    assert_eq!(one.code, 0, "{one:?}");
    assert!(
        one.stderr
            .contains("In all 1 detail: 1 Error; 10.50 USD of charges"),
        "{one:?}"
    );
    let rest = local.well(&["drafts", "confirm", &sent.batch, "--yes"]);
    assert!(
        rest.stderr
            .contains("To be sent as drafted: 2 details with a draft"),
        "{rest:?}"
    );
    assert!(
        rest.stdout
            .starts_with("Done: confirmation of drafts, batch B-1.\n"),
        "{rest:?}"
    );
    assert_eq!(counts(&local.settled(&sent.file)), [0, 39, 1, 0]);

    let last = last.split(',').next().unwrap();
    local.well(&["cancel", &sent.batch, "--detail", last, "--yes"]);
    let batch = local.settled(&sent.file);
    assert_eq!(counts(&batch), [0, 39, 0, 1]);
    assert_eq!(batch["status"], "Processed");
    let made = local.simulator().summary();
    assert_eq!((made.charges, made.duplicates), (39, 0));
}
