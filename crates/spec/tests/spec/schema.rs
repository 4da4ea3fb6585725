use crate::EXAMPLES;
use serde_json::Value;
use std::fs;
use std::path::Path;

/// The text as any YAML parser sees it, without our reader.
pub fn json(text: &str) -> Value {
    let options = serde_saphyr::options! { strict_booleans: true };
    serde_saphyr::from_str_with_options(text, options).unwrap()
}

pub fn violations(text: &str) -> Vec<String> {
    let validator = jsonschema::validator_for(&spec::json_schema()).unwrap();
    let json = json(text);
    validator.iter_errors(&json).map(|error| format!("{}: {error}", error.instance_path())).collect()
}

#[test]
fn the_committed_schema_is_current() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/bouquet.schema.json");
    let schema = serde_json::to_string_pretty(&spec::json_schema()).unwrap() + "\n";
    if std::env::var_os("BOUQUET_UPDATE").is_some() {
        fs::write(&file, &schema).unwrap();
    }
    assert_eq!(fs::read_to_string(&file).unwrap(), schema, "run the tests with BOUQUET_UPDATE=1 to write it anew");
}

#[test]
fn every_example_fits_the_schema() {
    for (name, text) in EXAMPLES.iter().chain(&[("long-forms", include_str!("long-forms.yaml"))]) {
        assert_eq!(violations(text), Vec::<String>::new(), "{name}");
    }
}

#[test]
fn the_schema_sees_what_an_editor_should_underline() {
    let minimal = "cluster: a\nnodes: { rose: { role: control-plane, on: hetzner/hel1/cax11 } }\n";
    assert_eq!(violations(minimal), Vec::<String>::new());
    for (before, after) in [
        ("cluster: a", "cluster: A"),
        ("cluster: a", "clutser: a"),
        ("control-plane", "master"),
        ("hetzner/hel1/cax11", "aws/eu-central-1/t4g.small"),
        ("hetzner/hel1/cax11", "[]"),
        ("cax11 }", "cax11, memory: 24 }"),
        ("cluster: a", "cluster: a\ndns: cloudflare"),
        ("cluster: a", "cluster: a\nbackup: { to: s3://bucket, every: 24 }"),
    ] {
        assert!(minimal.contains(before));
        assert_ne!(violations(&minimal.replace(before, after)), Vec::<String>::new(), "{after}");
    }
}
