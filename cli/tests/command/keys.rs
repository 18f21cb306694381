//! `weir keys` on the tables of a local system, and what its API makes of the keys.

use std::collections::BTreeSet;
use std::io::{Cursor, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;
use weir_cli::Outside;
use weir_domain::Permission;
use weir_local::system::{Ports, System, SystemOptions};
use weir_runtime::{Clock, Http, HttpOptions, Random, Reader};
use weir_simulator::Faults;

use crate::weir::{Run, command, run};

const CLIENT: &str = "11111111-0000-4000-8000-000000000001";
const PROGRAM: &str = "22222222-0000-4000-8000-000000000001";
const SELLER: &str = "33333333-0000-4000-8000-000000000001";
const OTHER_CLIENT: &str = "11111111-0000-4000-8000-000000000002";
const OTHER_PROGRAM: &str = "22222222-0000-4000-8000-000000000002";
const OTHER_SELLER: &str = "33333333-0000-4000-8000-000000000009";
const NOBODY: &str = "99999999-0000-4000-8000-000000000009";
/// There is no such file.
const FILE: &str = "/v1/files/8a0b7c6d-0000-8000-8000-000000000001";

/// A running local system.
pub(crate) struct Local {
    system: Option<System>,
    runtime: tokio::runtime::Runtime,
    settings: Vec<(String, String)>,
    _folder: tempfile::TempDir,
}

impl Local {
    pub(crate) fn start() -> Self {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let options = SystemOptions {
            data: folder.path().to_owned(),
            listen: "127.0.0.1:0".parse().unwrap(),
            ports: Ports::default(),
            faults: Faults::default(),
            seed: 1,
            register_sellers_of: None,
            sweep_every: Duration::from_secs(5),
            settings: Vec::new(),
        };
        let system = runtime.block_on(System::start(options)).unwrap();
        Self {
            settings: system.environment().to_vec(),
            system: Some(system),
            runtime,
            _folder: folder,
        }
    }

    /// The binary with the settings of the functions.
    pub(crate) fn weir(&self, arguments: &[&str]) -> Run {
        let mut command = command(arguments);
        command.envs(self.settings.iter().map(|(name, value)| (name, value)));
        run(command)
    }

    pub(crate) fn keys(&self) -> Vec<Value> {
        let ran = self.weir(&["keys", "list", "--json"]);
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
        serde_json::from_str(&ran.stdout).unwrap()
    }

    fn key(&self, id: &str) -> Value {
        let mut keys = self.keys().into_iter();
        keys.find(|key| key["id"] == id).unwrap()
    }

    /// A client with a program and a seller of its own.
    fn add_another_program(&self) {
        let store = self.system.as_ref().unwrap().store();
        self.runtime.block_on(async {
            let mut client = store
                .client(CLIENT.parse().unwrap())
                .await
                .unwrap()
                .unwrap();
            client.id = OTHER_CLIENT.parse().unwrap();
            store.put_client(&client).await.unwrap();
            let mut program = store
                .program(PROGRAM.parse().unwrap())
                .await
                .unwrap()
                .unwrap();
            program.id = OTHER_PROGRAM.parse().unwrap();
            program.client_id = client.id;
            store.put_program(&program).await.unwrap();
            let mut seller = store
                .seller(SELLER.parse().unwrap())
                .await
                .unwrap()
                .unwrap();
            seller.id = OTHER_SELLER.parse().unwrap();
            (seller.client_id, seller.program_id) = (client.id, program.id);
            store.put_seller(&seller).await.unwrap();
        });
    }

    /// What the API answers to a key that asks for a file which does not exist.
    pub(crate) fn status(&self, key: &str) -> u16 {
        let api = &self.system.as_ref().unwrap().ready().api;
        let mut stream = connect(api.trim_start_matches("http://"));
        let request = format!(
            "GET {FILE} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nauthorization: {key}\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer.split(' ').nth(1).unwrap().parse().unwrap()
    }

    /// The command in this process, with somebody at the keyboard.
    fn asked(&self, arguments: &[&str], answer: &str) -> (u8, String, String) {
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let settings = || Reader::new(self.settings.iter().cloned());
        let outside = Outside {
            clock: Clock::system(),
            random: Random::system(),
            connect: &|| Http::new(&HttpOptions::default()),
            settings: &settings,
            answers: Some(&mut Cursor::new(answer.as_bytes())),
            stdout: &mut stdout,
            stderr: &mut stderr,
            stdout_colours: false,
            stderr_colours: false,
            stderr_is_terminal: false,
            whole_bytes_max: weir_cli::WHOLE_BYTES_MAX,
            interrupt: Box::pin(std::future::pending()),
        };
        let arguments = std::iter::once("weir").chain(arguments.iter().copied());
        let code = weir_cli::run(arguments.map(Into::into), outside);
        let code = self.runtime.block_on(code);
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (code, text(stdout), text(stderr))
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        // Where the runtime is, whose tasks end with it.
        let _entered = self.runtime.enter();
        drop(self.system.take());
    }
}

#[allow(clippy::disallowed_methods, reason = "as a client does")]
fn connect(addr: &str) -> TcpStream {
    TcpStream::connect(addr).unwrap()
}

#[test]
fn a_key_is_made_shown_once_listed_and_revoked() {
    let local = Local::start();
    let made = local.weir(&[
        "keys",
        "create",
        "--name",
        "reports",
        "--permission",
        "files:read",
        "--permission",
        "batches:read",
        "--client-id",
        CLIENT,
        "--program-id",
        PROGRAM,
        "--seller-id",
        SELLER,
        "--expires-in",
        "90d",
        "--json",
    ]);
    assert_eq!(made.code, 0, "{made:?}");
    assert!(made.stderr.contains("not shown again"), "{made:?}");
    let made = made.json();
    let (key, id) = (made["key"].as_str().unwrap(), made["id"].as_str().unwrap());
    assert_eq!(uuid::Uuid::try_parse(key).unwrap().get_version_num(), 4);
    assert_ne!(key, id);
    assert_eq!(
        local.status(key),
        404,
        "it is let in, and the file does not exist"
    );

    let listed = local.key(id);
    assert_eq!(listed["state"], "active");
    assert_eq!(
        listed["permissions"],
        serde_json::json!(["batches:read", "files:read"])
    );
    let scope = ["client_id", "program_id", "seller_id"].map(|name| &listed[name]);
    assert_eq!(scope, [CLIENT, PROGRAM, SELLER]);
    let time = |name: &str| {
        listed[name]
            .as_str()
            .unwrap()
            .parse::<chrono::DateTime<chrono::Utc>>()
    };
    let (created, expires) = (time("created_at").unwrap(), time("expires_at").unwrap());
    let lasts = expires - created;
    assert!((lasts - chrono::TimeDelta::days(90)).abs() <= chrono::TimeDelta::seconds(1));
    for shown in [
        local.weir(&["keys", "list"]).stdout,
        local.weir(&["keys", "list", "--json"]).stdout,
    ] {
        assert!(shown.contains(id) && !shown.contains(key), "{shown}");
    }

    let other = local
        .weir(&["keys", "create", "--name", "other", "--all-read", "--json"])
        .json();
    let (other, other_id) = (
        other["key"].as_str().unwrap(),
        other["id"].as_str().unwrap(),
    );
    let revoked = local.weir(&["keys", "revoke", other_id, "--yes"]);
    assert_eq!((revoked.code, revoked.stderr.as_str()), (0, ""));
    assert!(revoked.stdout.contains("60 s"), "{revoked:?}");
    // Nobody remembers it, as it was never used.
    assert_eq!(local.status(other), 401);
    let listed = local.key(other_id);
    assert_eq!(listed["state"], "revoked");
    let again = local.weir(&["keys", "revoke", other_id, "--yes", "--json"]);
    assert_eq!(
        (again.code, &again.json()),
        (0, &listed),
        "the first time stays"
    );
    assert_eq!(local.key(id)["state"], "active");
}

#[test]
fn a_key_that_may_read_everything_may_change_nothing() {
    let local = Local::start();
    let made = local
        .weir(&["keys", "create", "--name", "all", "--all-read", "--json"])
        .json();
    let may = made["permissions"].as_array().unwrap().iter();
    let may: BTreeSet<_> = may.map(|name| name.as_str().unwrap().to_owned()).collect();
    let reads = Permission::ALL
        .iter()
        .filter(|permission| permission.is_read());
    assert_eq!(may, reads.map(ToString::to_string).collect());
    assert!(made.get("expires_at").is_none() && made.get("client_id").is_none());

    let demo = local.key("55555555-0000-4000-8000-000000000001");
    let may = demo["permissions"].as_array().unwrap();
    assert_eq!((demo["name"].as_str(), may.len()), (Some("demo"), 7));

    // Said, where a permission by itself is not enough.
    let sends = [
        "keys",
        "create",
        "--name",
        "s",
        "--permission",
        "settlements:write",
    ];
    let made = local.weir(&sends);
    assert!(made.stderr.contains("cannot send files"), "{made:?}");
    let scoped = [
        &sends[..],
        &["--client-id", CLIENT, "--program-id", PROGRAM],
    ]
    .concat();
    let made = local.weir(&scoped);
    assert!(!made.stderr.contains("cannot send files"), "{made:?}");
}

#[test]
fn a_permission_that_is_none_is_refused_with_all_there_are() {
    for wrong in ["files", "files:delete", "keys:write", ""] {
        let ran = run(command(&[
            "keys",
            "create",
            "--name",
            "n",
            "--permission",
            wrong,
        ]));
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""));
        for permission in Permission::ALL {
            assert!(ran.stderr.contains(permission.name()), "{wrong}: {ran:?}");
        }
    }
}

#[test]
fn a_key_is_never_limited_to_what_does_not_exist_or_belong_together() {
    let local = Local::start();
    let before = local.keys().len();
    for (scope, expected) in [
        (&["--client-id", NOBODY][..], "there is no client 99999999"),
        (
            &["--client-id", CLIENT, "--program-id", NOBODY],
            "there is no program 99999999",
        ),
        (
            &[
                "--client-id",
                CLIENT,
                "--program-id",
                PROGRAM,
                "--seller-id",
                NOBODY,
            ],
            "there is no seller 99999999",
        ),
    ] {
        let create = ["keys", "create", "--name", "n", "--all-read"];
        let ran = local.weir(&[&create[..], scope].concat());
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{ran:?}");
        assert!(ran.stderr.contains(expected), "{ran:?}");
    }
    local.add_another_program();
    for (program, seller, expected) in [
        (
            OTHER_PROGRAM,
            None,
            "is of the client 11111111-0000-4000-8000-000000000002, not of",
        ),
        (
            PROGRAM,
            Some(OTHER_SELLER),
            "is in the program 22222222-0000-4000-8000-000000000002, not",
        ),
    ] {
        let mut create = vec!["keys", "create", "--name", "n", "--all-read"];
        create.extend(["--client-id", CLIENT, "--program-id", program]);
        if let Some(seller) = seller {
            create.extend(["--seller-id", seller]);
        }
        let ran = local.weir(&create);
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{ran:?}");
        assert!(ran.stderr.contains(expected), "{ran:?}");
    }
    assert_eq!(local.keys().len(), before);
}

#[test]
fn nothing_is_revoked_unless_a_person_says_yes() {
    let local = Local::start();
    let made = local
        .weir(&["keys", "create", "--name", "asked", "--all-read", "--json"])
        .json();
    let id = made["id"].as_str().unwrap();
    let revoke = ["keys", "revoke", id];

    let ran = local.weir(&revoke);
    assert_eq!((ran.code, ran.stdout.as_str()), (2, ""));
    assert!(ran.stderr.contains("--yes"), "{ran:?}");
    for no in ["", "\n", "n\n", "no\n", "yess\n"] {
        let (code, stdout, stderr) = local.asked(&revoke, no);
        assert_eq!((code, stdout.as_str()), (130, ""), "{no:?}");
        assert!(stderr.contains("Revoke the key asked ("), "{stderr}");
        assert!(stderr.contains("nothing was revoked"), "{stderr}");
    }
    assert_eq!(local.key(id)["state"], "active");
    let (code, stdout, _) = local.asked(&revoke, " Yes\n");
    assert_eq!((code, stdout.contains("is revoked")), (0, true), "{stdout}");
    assert_eq!(local.key(id)["state"], "revoked");
    let (code, stdout, stderr) = local.asked(&revoke, "");
    assert_eq!((code, stderr.as_str()), (0, ""));
    assert!(stdout.contains("was revoked before"), "{stdout}");

    let ran = local.weir(&["keys", "revoke", NOBODY, "--yes"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (3, ""));
    assert!(ran.stderr.contains("there is no key") && ran.stderr.contains("weir keys list"));
}

#[test]
fn settings_that_are_missing_are_named_all_at_once() {
    let mut asked = command(&["keys", "list"]);
    asked
        .env_remove("AWS_REGION")
        .env_remove("WEIR_TABLE_PREFIX");
    asked.env("AWS_ACCESS_KEY_ID", "s3cret");
    let ran = run(asked);
    assert_eq!((ran.code, ran.stdout.as_str()), (2, ""));
    for expected in [
        "AWS_REGION",
        "WEIR_TABLE_PREFIX",
        "AWS_SECRET_ACCESS_KEY",
        "functions.env",
    ] {
        assert!(ran.stderr.contains(expected), "{ran:?}");
    }
    assert!(!ran.stderr.contains("s3cret"), "{ran:?}");
}

#[test]
fn tables_that_cannot_be_reached_end_in_3_with_what_to_look_at() {
    let mut asked = command(&["keys", "list"]);
    asked.envs([
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "id"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:1"),
        ("WEIR_TABLE_PREFIX", "weir-"),
    ]);
    let ran = run(asked);
    assert_eq!((ran.code, ran.stdout.as_str()), (3, ""));
    assert!(ran.stderr.contains("WEIR_TABLE_PREFIX"), "{ran:?}");
}
