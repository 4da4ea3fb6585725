//! What is said about a wrong cluster file, as a picture: `broken/NAME.yaml` gives `broken/NAME.txt`.
//!
//! `BOUQUET_UPDATE=1` paints the pictures anew; look at them before you commit them.

use crate::desk::{Desk, Said};
use std::path::{Path, PathBuf};

fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/broken");
    let entries = std::fs::read_dir(folder).expect("the folder of broken files");
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .collect();
    files.sort();
    files
}

fn said_about(desk: &Desk, path: &Path, args: &[&str]) -> Said {
    desk.write("bouquet.yaml", &std::fs::read_to_string(path).expect("a broken file"));
    desk.run(args)
}

#[test]
fn a_wrong_file_is_answered_with_a_picture_of_all_its_faults() {
    let desk = Desk::new("broken");
    let files = files();
    assert!(files.len() >= 12, "{}", files.len());
    for path in files {
        let said = said_about(&desk, &path, &["check"]);
        assert_eq!(said.exit, Some(1), "{}: {said:?}", path.display());
        assert_eq!(said.out, "", "{}", path.display());
        let golden = path.with_extension("txt");
        if std::env::var_os("BOUQUET_UPDATE").is_some() {
            std::fs::write(&golden, &said.err).expect("the picture is written");
        }
        let expected = std::fs::read_to_string(&golden).unwrap_or_default();
        assert_eq!(said.err, expected, "{}", golden.display());
    }
}

#[test]
fn no_line_about_a_wrong_file_is_longer_than_the_page() {
    let desk = Desk::new("narrow");
    for path in files() {
        let said = said_about(&desk, &path, &["check"]);
        for line in said.err.lines() {
            assert!(line.chars().count() <= 80, "{}: {line}", path.display());
        }
    }
}

#[test]
fn a_secret_in_a_file_is_not_repeated() {
    let desk = Desk::new("secret");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/broken/secrets-in-file.yaml");
    let said = said_about(&desk, &path, &["-o", "json", "plan"]);
    assert_eq!(said.exit, Some(1));
    for secret in ["9f8e7d6c5b4a39281706", "kVerySecret1CNTRL", "c2VjcmV0LWtleS1vZi1vdXJz"] {
        assert!(!said.out.contains(secret), "{}", said.out);
        assert!(!said.err.contains(secret), "{}", said.err);
    }
}

#[test]
fn programs_are_told_the_same_faults_with_their_places() {
    let desk = Desk::new("programs");
    for path in files() {
        let said = said_about(&desk, &path, &["-o", "json", "apply"]);
        let events = said.events();
        assert_eq!(events.len(), 2, "{}: {}", path.display(), said.out);
        assert_eq!(events[0]["event"], "error");
        let faults = events[0]["faults"].as_array().expect("faults");
        assert!(faults.iter().any(|fault| fault["severity"] == "error"), "{faults:?}");
        for fault in faults {
            let head = format!("{}[{}]: ", fault["severity"].as_str().unwrap(), fault["code"].as_str().unwrap());
            assert!(said.err.contains(&head), "{head} in {}", said.err);
            assert!(fault["place"]["line"].is_u64(), "{fault}");
        }
        assert_eq!((&events[1]["event"], &events[1]["exit"]), (&"summary".into(), &1.into()));
    }
}
