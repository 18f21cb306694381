use std::fs;

use weir_simulator::Faults;

use super::local::{Local, text, xml};

#[test]
fn the_errors_of_a_batch_are_fetched_into_a_file_that_is_never_written_over() {
    let local = Local::start(Faults::default());
    let sent = local.submit("a.xml", &xml("B-1", 3, |n| n == 2));
    let printed = local.well(&["errors", "get", &sent.batch]);
    assert_eq!(printed.stdout.lines().count(), 2);
    let hint = format!(
        "help: mend the table, then send it with: weir errors put {} FILE\n",
        sent.batch
    );
    assert_eq!(printed.stderr, hint);

    let out = local.path("errors.csv");
    let ran = local.well(&["errors", "get", &sent.batch, "--out", text(&out)]);
    assert_eq!(
        ran.stdout,
        format!("1 detail in error of batch B-1 in {}\n", text(&out))
    );
    assert!(
        ran.stderr
            .contains(&format!("weir errors put {} {}", sent.batch, text(&out)))
    );
    assert_eq!(fs::read_to_string(&out).unwrap(), printed.stdout);

    fs::write(&out, "mended by hand").unwrap();
    let ran = local.weir(&["errors", "get", &sent.batch, "--out", text(&out)]);
    assert_eq!((ran.code, ran.stdout.as_str()), (2, ""));
    assert!(
        ran.stderr
            .contains("is there already\nhelp: give another name"),
        "{ran:?}"
    );
    assert_eq!(fs::read_to_string(&out).unwrap(), "mended by hand");

    let nowhere = local.path("no/folder.csv");
    let ran = local.weir(&["errors", "get", &sent.batch, "--out", text(&nowhere)]);
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("cannot write "), "{ran:?}");

    let other = local.path("other.csv");
    let ran = local.well(&[
        "errors",
        "get",
        &sent.batch,
        "--out",
        text(&other),
        "--json",
    ]);
    assert_eq!((&ran.json()["rows"], ran.stderr.as_str()), (&1.into(), ""));
    assert_eq!(
        local.weir(&["errors", "get", &sent.batch, "--json"]).code,
        2
    );
}

#[test]
fn a_batch_without_errors_has_a_table_without_rows() {
    let local = Local::start(Faults::default());
    let sent = local.submit("a.xml", &xml("B-1", 1, |_| false));
    local.settled(&sent.file);
    let ran = local.well(&["errors", "get", &sent.batch]);
    assert!(ran.stdout.starts_with("batch_detail_id,line,"), "{ran:?}");
    assert_eq!(ran.stdout.lines().count(), 1);
    assert_eq!(ran.stderr, "help: no detail of the batch is in error\n");
    // Nor is there anything to send back.
    let path = local.path("none.csv");
    fs::write(&path, &ran.stdout).unwrap();
    let ran = local.weir(&["errors", "put", &sent.batch, text(&path), "--yes"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (1, ""));
    assert!(
        ran.stderr.contains("it has no row below its header"),
        "{ran:?}"
    );
}

#[test]
fn a_table_is_taken_whole_or_its_problems_are_told_by_row_and_column() {
    let local = Local::start(Faults::default());
    let sent = local.submit("a.xml", &xml("B-1", 2, |_| true));
    let path = local.path("errors.csv");
    local.well(&["errors", "get", &sent.batch, "--out", text(&path)]);
    let put = ["errors", "put", &sent.batch, text(&path)];
    let table = fs::read_to_string(&path).unwrap();

    // As it came, it says nothing new; what cannot be asked is not sent.
    let ran = local.weir(&put);
    assert_eq!((ran.code, ran.stdout.as_str()), (2, ""));
    assert!(
        ran.stderr.contains("To be compared with it: 2 rows\n  "),
        "{ran:?}"
    );
    let ran = local.asked(&put, "n\n");
    assert_eq!((ran.code, ran.stdout.as_str()), (130, ""));
    let ran = local.asked(&put, "y\n");
    assert_eq!(
        (ran.code, ran.stdout.as_str()),
        (0, "0 rows became drafts; 2 asked for nothing new.\n")
    );

    let buyer = "\"Fabrikam, purchasing\"";
    let good = "cf771e8a-5c1a-462f-b4c9-fc745f02d0de";
    fs::write(
        &path,
        table.replacen(buyer, good, 1).replace("10.52", "10.5x"),
    )
    .unwrap();
    let ran = local.weir(&[&put[..], &["--yes"]].concat());
    assert_eq!(ran.code, 1, "{ran:?}");
    let name = text(&path);
    assert!(
        ran.stdout
            .contains(&format!("{name}:3: error at total_amount: ")),
        "{ran:?}"
    );
    assert!(
        ran.stdout
            .contains(": nothing of the table was taken. Mend the table,"),
        "{ran:?}"
    );
    let ran = local.weir(&[&put[..], &["--yes", "--json"]].concat());
    let shown = ran.json();
    assert_eq!(
        (ran.code, &shown["done"], &shown["drafted"]),
        (1, &false.into(), &0.into())
    );
    let rows: Vec<_> = shown["problems"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["row"])
        .collect();
    assert!(rows.iter().all(|row| **row == 3), "{shown}");

    fs::write(&path, table.replace("buyer_id", "buyer")).unwrap();
    let ran = local.weir(&[&put[..], &["--yes"]].concat());
    assert!(
        ran.stdout.contains(&format!("{name}:1: error at buyer: ")),
        "{ran:?}"
    );

    // Drafts, and none any more.
    fs::write(&path, table.replace(buyer, good)).unwrap();
    let ran = local.well(&[&put[..], &["--yes", "--json"]].concat());
    assert_eq!(
        (&ran.json()["done"], &ran.json()["drafted"]),
        (&true.into(), &2.into())
    );
    let ran = local.well(&["drafts", "discard", &sent.batch, "--yes"]);
    assert!(
        ran.stderr
            .contains("2 in error, 2 with a draft\nTo lose their drafts"),
        "{ran:?}"
    );
    assert!(
        ran.stdout
            .starts_with("Done: discarding of drafts, batch B-1.\n"),
        "{ran:?}"
    );
    assert_eq!(local.simulator().summary().requests, 0);
}

#[test]
fn what_is_no_table_is_refused_before_anything_is_asked() {
    let local = Local::start(Faults::default());
    let nobody = "8a0b7c6d-0000-8000-8000-000000000001";
    let path = local.path("t.csv");
    for (bytes, why) in [
        (&b""[..], "it is empty"),
        (b"batch_detail_id\n\xff\n", "it is not UTF-8"),
        (b"batch_detail_id\n\"x\n", "is not closed"),
        (
            b"batch_detail_id\nx\"y\n",
            "a quote stands amid a cell on line 2",
        ),
    ] {
        fs::write(&path, bytes).unwrap();
        let ran = local.weir(&["errors", "put", nobody, text(&path), "--yes"]);
        assert_eq!((ran.code, ran.stdout.as_str()), (1, ""));
        assert!(ran.stderr.contains(why), "{ran:?}");
    }
    let missing = local.path("missing.csv");
    let ran = local.weir(&["errors", "put", nobody, text(&missing), "--yes"]);
    assert_eq!(ran.code, 2);
    let folder = local.path("");
    assert_eq!(
        local
            .weir(&["errors", "put", nobody, text(&folder), "--yes"])
            .code,
        2
    );
}

#[test]
fn a_table_of_more_rows_than_one_request_takes_goes_and_comes_in_parts() {
    const ROWS: usize = 5_001;
    let local = Local::start(Faults::default());
    let sent = local.submit("a.xml", &xml("B-1", ROWS, |_| true));
    let path = local.path("errors.csv");
    let ran = local.well(&["errors", "get", &sent.batch, "--out", text(&path), "--json"]);
    assert_eq!(ran.json()["rows"], ROWS);
    let table = fs::read_to_string(&path).unwrap();
    let put = ["errors", "put", &sent.batch, text(&path), "--yes"];

    // The last row is in the second part: what came before it was taken.
    let (before, last) = table.trim_end().rsplit_once("\r\n").unwrap();
    let good = "cf771e8a-5c1a-462f-b4c9-fc745f02d0de";
    let mended = before.replacen("\"Fabrikam, purchasing\"", good, 7);
    fs::write(
        &path,
        format!("{mended}\r\n{}\r\n", last.replace("10.5", "1x.")),
    )
    .unwrap();
    let ran = local.weir(&put);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(
        ran.stderr
            .contains("5 001 rows, in 2 parts, each applied by itself"),
        "{ran:?}"
    );
    assert!(
        ran.stdout
            .contains(&format!("{}:{}: error at ", text(&path), ROWS + 1)),
        "{ran:?}"
    );
    let taken = "the first 5 000 rows were taken, 7 of them as drafts, and nothing more";
    assert!(ran.stdout.contains(taken), "{}", ran.stdout);

    fs::write(&path, format!("{mended}\r\n{last}\r\n")).unwrap();
    let ran = local.well(&put);
    let done = "0 rows became drafts; 5 001 asked for nothing new.\n";
    assert_eq!(ran.stdout, done);
}
