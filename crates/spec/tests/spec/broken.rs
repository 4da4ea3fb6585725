use crate::listing;
use std::fs;
use std::path::Path;

/// Every file of `broken/` has its faults in `snapshots/`.
#[test]
fn broken_files_get_all_their_faults_at_once() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/spec/broken");
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 12, "only {} broken files", files.len());
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let reading = spec::read(&text);
        assert!(reading.cluster.is_none() && reading.has_errors(), "{} was accepted", file.display());
        let name = file.file_stem().unwrap().to_str().unwrap();
        insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false }, {
            insta::assert_snapshot!(name, listing(&text, &reading));
        });
    }
}
