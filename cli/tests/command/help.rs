use crate::weir::{command, run};

fn help(arguments: &[&str]) -> String {
    let mut command = command(arguments);
    // A variable that is set must not show.
    command
        .env("WEIR_API_KEY", "s3cret")
        .env("WEIR_API", "http://s3cret.example.com");
    let ran = run(command);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    assert!(!ran.stdout.contains("s3cret"));
    ran.stdout
}

#[test]
fn help_tells_what_can_be_done_and_what_the_exit_codes_mean() {
    insta::assert_snapshot!("weir", help(&["--help"]));
    insta::assert_snapshot!("weir_validate", help(&["validate", "--help"]));
    insta::assert_snapshot!("weir_submit", help(&["submit", "--help"]));
    insta::assert_snapshot!("weir_status", help(&["status", "--help"]));
    assert_eq!(
        help(&["--version"]),
        concat!("weir ", env!("CARGO_PKG_VERSION"), "\n")
    );
}

#[test]
fn wrong_usage_ends_in_2() {
    for arguments in [
        &[][..],
        &["settle"],
        &["validate"],
        &["status", "not-a-uuid"],
        &["submit", "a.xml", "--timeout", "5"],
        &["submit", "a.xml", "--wait", "--timeout", "0"],
        &["submit", "a.xml", "--correlation-id", "two words"],
    ] {
        let ran = run(command(arguments));
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{arguments:?}");
        assert!(
            ran.stderr.contains("Usage") || ran.stderr.contains("--help"),
            "{ran:?}"
        );
    }
}
