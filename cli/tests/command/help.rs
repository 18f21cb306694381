use crate::weir::{command, run};

const UUID: &str = "8a0b7c6d-0000-4000-8000-000000000001";

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
    insta::assert_snapshot!("weir_cancel", help(&["cancel", "--help"]));
    insta::assert_snapshot!("weir_retry", help(&["retry", "--help"]));
    insta::assert_snapshot!("weir_errors", help(&["errors", "--help"]));
    insta::assert_snapshot!("weir_errors_get", help(&["errors", "get", "--help"]));
    insta::assert_snapshot!("weir_errors_put", help(&["errors", "put", "--help"]));
    insta::assert_snapshot!("weir_drafts", help(&["drafts", "--help"]));
    insta::assert_snapshot!("weir_keys", help(&["keys", "--help"]));
    insta::assert_snapshot!("weir_keys_create", help(&["keys", "create", "--help"]));
    insta::assert_snapshot!("weir_messages", help(&["messages", "--help"]));
    insta::assert_snapshot!("weir_seed", help(&["seed", "--help"]));
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
        &["cancel"],
        &["cancel", "not-a-uuid"],
        &["retry", UUID, "--detail", UUID, "--cancelled"],
        &["drafts", UUID],
        &["errors", "put", UUID],
        &["keys"],
        &["keys", "create", "--name", "n"],
        &["keys", "create", "--permission", "files:read"],
        &["keys", "create", "--name", "", "--all-read"],
        &[
            "keys",
            "create",
            "--name",
            "n",
            "--all-read",
            "--expires-in",
            "soon",
        ],
        &[
            "keys",
            "create",
            "--name",
            "n",
            "--all-read",
            "--client-id",
            "x",
        ],
        &[
            "keys",
            "create",
            "--name",
            "n",
            "--all-read",
            "--program-id",
            UUID,
        ],
        &[
            "keys",
            "create",
            "--name",
            "n",
            "--all-read",
            "--client-id",
            UUID,
            "--seller-id",
            UUID,
        ],
        &["keys", "revoke"],
        &["keys", "revoke", "not-a-uuid"],
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
