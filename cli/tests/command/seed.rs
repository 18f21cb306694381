//! `weir seed` on the tables of a local system.

use serde_json::Value;
use weir_seed::FILE_BYTES_MAX;

use crate::keys::Local;
use crate::weir::{Run, command, run};

const CLIENT: &str = "\
clients:
  - id: 11111111-0000-4000-8000-000000000003
    name: Wide World
";
const KEY: &str = "\
api_keys:
  - id: 55555555-0000-4000-8000-000000000003
    name: wide
    client_id: 11111111-0000-4000-8000-000000000003
    permissions: [files:read]
";

/// A folder with a file.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self, name: &str, text: &str) -> String {
        let path = self.0.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// What was shown, without where the folder is.
    fn shown(&self, ran: &Run) -> String {
        let folder = format!("{}/", self.0.path().display());
        let shown = format!("exit {}\n{}---\n{}", ran.code, ran.stdout, ran.stderr);
        shown.replace(&folder, "")
    }
}

#[test]
fn a_file_is_loaded_once_and_its_key_works() {
    let (local, folder) = (Local::start(), Folder::new());
    let file = folder.file("wide.yaml", &format!("{CLIENT}{KEY}"));

    let ran = local.weir(&["seed", &file, "--dry-run"]);
    insta::assert_snapshot!("dry_run", folder.shown(&ran));

    let ran = local.weir(&["seed", &file]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stdout.ends_with("\ncreated 2\n"), "{ran:?}");
    assert!(ran.stderr.contains("keep them now"), "{ran:?}");
    let key = ran.stdout.lines().next().unwrap();
    let key = key.strip_prefix("Key:         ").unwrap();
    // The key is known, and the file is not there.
    assert_eq!(local.status(key), 404);

    let ran = local.weir(&["seed", &file]);
    let shown = (ran.code, ran.stdout.as_str(), ran.stderr.as_str());
    assert_eq!(shown, (0, "unchanged 2\n", ""));
}

#[test]
fn what_differs_is_listed_and_changed_only_with_update() {
    let (local, folder) = (Local::start(), Folder::new());
    local.weir(&["seed", &folder.file("a.yaml", CLIENT)]);
    let text = CLIENT.replace("Wide World", "Wide World Importers") + KEY;
    let file = folder.file("b.yml", &text);

    let refused = local.weir(&["seed", &file]);
    insta::assert_snapshot!("differs", folder.shown(&refused));
    assert_eq!(local.keys().len(), 1);
    let dry = local.weir(&["seed", &file, "--dry-run"]);
    assert_eq!(dry.code, 1);

    let ran = local.weir(&["seed", &file, "--update", "--json"]);
    assert_eq!((ran.code, ran.json()["updated"].as_u64()), (0, Some(1)));
    let made = &ran.json()["keys"][0];
    assert_eq!(local.status(made["key"].as_str().unwrap()), 404);
    let differing = &ran.json()["differing"][0];
    assert_eq!(differing["members"][0]["is"], "Wide World");
    assert_eq!(differing["members"][0]["in_file"], "Wide World Importers");

    let file = folder.file("c.yaml", &KEY.replace("files:read", "batches:read"));
    let ran = local.weir(&["seed", &file, "--update"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (0, "unchanged 1\n"));
    assert!(ran.stderr.contains("stays so: revoke it"), "{ran:?}");
}

#[test]
fn the_demo_is_there_as_its_file_says() {
    let (local, folder) = (Local::start(), Folder::new());
    let file = folder.file("demo.yaml", weir_local::demo::FILE);
    let ran = local.weir(&["seed", &file, "--json"]);
    let shown: Value = ran.json();
    assert_eq!((ran.code, shown["unchanged"].as_u64()), (0, Some(7)));
    assert_eq!(shown["done"], true);
}

#[test]
fn every_problem_is_told_at_its_place_before_any_table_is_asked() {
    let folder = Folder::new();
    let text = "clients:\n  - id: x\n    name: 1\n    \"\\e[2J\": A\nbuyers: []\n";
    // Without settings: none is needed.
    let ran = run(command(&["seed", &folder.file("bad.yaml", text)]));
    insta::assert_snapshot!("problems", folder.shown(&ran));
    let ran = run(command(&[
        "seed",
        &folder.file("bad.json", "{\"a\": 1"),
        "--json",
    ]));
    assert_eq!((ran.code, ran.json()["done"].as_bool()), (1, Some(false)));
    assert_eq!(ran.json()["problems"][0]["line"], 1);
    assert!(!ran.json()["problems"].to_string().contains('\u{1b}'));
}

#[test]
fn what_would_belong_to_nothing_is_told_at_its_place() {
    let (local, folder) = (Local::start(), Folder::new());
    let ran = local.weir(&["seed", &folder.file("key.yaml", KEY)]);
    insta::assert_snapshot!("dangling", folder.shown(&ran));
}

#[test]
fn a_file_that_is_no_seed_file_is_wrong_usage() {
    let folder = Folder::new();
    for (file, why) in [
        (folder.file("a.txt", CLIENT), "name it .yaml or .yml"),
        (folder.file("none", CLIENT), "name it .yaml or .yml"),
        (
            format!("{}/no.yaml", folder.0.path().display()),
            "cannot read",
        ),
        // There are no settings.
        (folder.file("a.yaml", CLIENT), "AWS_REGION"),
    ] {
        let ran = run(command(&["seed", &file]));
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{file}");
        assert!(ran.stderr.contains(why), "{ran:?}");
    }
    let padded = |bytes: usize| format!("{CLIENT}{}", "#".repeat(bytes - CLIENT.len()));
    for (bytes, code) in [(FILE_BYTES_MAX, 2), (FILE_BYTES_MAX + 1, 1)] {
        let ran = run(command(&[
            "seed",
            &folder.file("large.yaml", &padded(bytes)),
        ]));
        assert_eq!(ran.code, code, "{ran:?}");
    }
}
