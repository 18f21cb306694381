use crate::weir::{Run, command, golden, run};

/// Validates the golden file after `change`; the folder's name is cut out of what is shown.
fn validate(arguments: &[&str], change: impl Fn(String) -> Vec<u8>) -> Run {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file.xml");
    std::fs::write(&path, change(std::fs::read_to_string(golden()).unwrap())).unwrap();
    let mut command = command(&["validate", path.to_str().unwrap()]);
    command.args(arguments);
    let mut ran = run(command);
    let folder = format!("{}/", folder.path().to_str().unwrap());
    ran.stdout = ran.stdout.replace(&folder, "");
    ran
}

#[test]
fn a_sound_file_ends_in_0_with_what_it_holds() {
    let ran = validate(&[], String::into_bytes);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    insta::assert_snapshot!(ran.stdout);
}

#[test]
fn a_record_in_error_ends_in_1_at_its_place() {
    let ran = validate(&[], |xml| {
        xml.replacen("<BuyerId>", "<BuyerId>x", 1).into_bytes()
    });
    assert_eq!((ran.code, ran.stderr.as_str()), (1, ""));
    insta::assert_snapshot!(ran.stdout);
}

#[test]
fn a_control_total_that_cannot_be_checked_is_a_note() {
    let ran = validate(&[], |xml| {
        xml.replacen("<TotalAmount>", "<TotalAmount>?", 1)
            .into_bytes()
    });
    assert_eq!(ran.code, 1);
    insta::assert_snapshot!(ran.stdout);
}

#[test]
fn a_file_that_is_not_sound_ends_in_1_with_every_problem() {
    let broken = |xml: String| {
        let xml = xml.replacen("<BatchCount>2<", "<BatchCount>7<", 1);
        xml.replacen("<BuyerId>", "<BuyerId>\u{9b}", 1).into_bytes()
    };
    let ran = validate(&[], broken);
    assert_eq!(ran.code, 1);
    insta::assert_snapshot!(ran.stdout);
    let ran = validate(&["--json"], broken);
    assert_eq!((ran.code, ran.stderr.as_str()), (1, ""));
    insta::assert_json_snapshot!(ran.json());
}

#[test]
fn a_file_cut_off_anywhere_ends_in_1() {
    let whole = std::fs::read_to_string(golden()).unwrap().trim_end().len();
    for cut in [0, 1, whole / 3, whole / 2, whole - 1] {
        let ran = validate(&[], |xml| xml.as_bytes()[..cut].to_vec());
        assert_eq!(ran.code, 1, "cut at {cut}");
        assert!(ran.stdout.contains("file.xml: not sound"), "{ran:?}");
    }
}

#[test]
fn what_is_no_xml_at_all_is_told_in_one_line_that_no_terminal_obeys() {
    let ran = validate(&[], |_| b"%PDF-1.7 \x1b[2J".to_vec());
    assert_eq!(ran.code, 1);
    assert!(
        ran.stdout
            .starts_with("file.xml:1:10: error file.character_forbidden at /:"),
        "{ran:?}"
    );
    assert!(!ran.stdout.contains('\u{1b}'), "{ran:?}");
}

#[test]
fn json_of_a_sound_file_is_one_document() {
    let ran = validate(&["--json"], String::into_bytes);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    let document = ran.json();
    assert_eq!(
        (&document["valid"], &document["sound"]),
        (&true.into(), &true.into())
    );
    assert_eq!(document["totals"]["charges"], 2);
    assert_eq!(document["problems"], serde_json::json!([]));
}
