//! Verbs that need nobody else: what they print and what they leave behind.

use crate::desk::{Desk, MISSION, Said};

#[test]
fn version_is_told_without_reading_anything() {
    let desk = Desk::new("version");
    desk.write("bouquet.yaml", "{").write(".env", "{");
    let said = desk.run(&["--version"]);
    assert_eq!((said.exit, said.err.as_str()), (Some(0), ""));
    assert_eq!(said.out, format!("bouquet {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn without_a_verb_help_is_printed_as_wrong_usage() {
    let said = Desk::new("no-verb").run(&[]);
    assert_eq!((said.exit, said.out.as_str()), (Some(2), ""));
    assert!(said.err.contains("Usage: bouquet [OPTIONS] <COMMAND>"), "{}", said.err);
    assert!(said.err.contains("bouquet demo"), "{}", said.err);
}

#[test]
fn help_fits_the_page_for_every_verb() {
    let desk = Desk::new("help");
    let verbs = "init check plan apply status destroy demo greenhouse kubeconfig talosconfig node graph explain schema completions";
    let verbs: Vec<&str> = verbs.split(' ').collect();
    for verb in verbs {
        let said = desk.run(&[verb, "--help"]);
        assert_eq!(said.exit, Some(0), "{verb}");
        assert!(said.out.lines().all(|line| line.chars().count() <= 100), "{verb}:\n{}", said.out);
    }
}

#[test]
fn every_listed_code_can_be_explained() {
    let desk = Desk::new("explain");
    let list: serde_json::Value = serde_json::from_str(&desk.run(&["-o", "json", "explain"]).out).expect("a list");
    let codes: Vec<&str> =
        list.as_array().expect("a list").iter().map(|page| page["code"].as_str().expect("a code")).collect();
    assert!(codes.len() > 50 && codes.is_sorted(), "{codes:?}");
    for code in codes {
        let said = desk.run(&["explain", code]);
        assert_eq!((said.exit, said.err.as_str()), (Some(0), ""), "{code}");
        assert!(said.out.starts_with(&format!("# {code}: ")), "{}", said.out);
        assert!(said.out.contains("What to do"), "{}", said.out);
    }
}

#[test]
fn an_unknown_code_is_wrong_usage_and_the_nearest_is_named() {
    let desk = Desk::new("unknown-code");
    let said = desk.run(&["explain", "BQ0130"]);
    assert_eq!((said.exit, said.out.as_str()), (Some(2), ""));
    assert!(said.err.contains("error[BQ0604]: there is no error code `BQ0130`"), "{}", said.err);
    assert!(said.err.contains("did you mean `bouquet explain BQ0"), "{}", said.err);
    let said = desk.run(&["explain", "nonsense"]);
    assert!(!said.err.contains("did you mean"), "{}", said.err);
    assert_eq!(desk.run(&["explain", "103"]).out, desk.run(&["explain", "BQ0103"]).out);
}

#[test]
fn init_writes_a_file_without_faults_and_never_overwrites() {
    let desk = Desk::new("init");
    let said = desk.run(&["init"]);
    assert_eq!((said.exit, said.out.as_str()), (Some(0), ""), "{said:?}");
    assert_eq!(desk.names(), ["bouquet.yaml"]);
    let written = desk.read("bouquet.yaml");
    assert!(written.lines().any(|line| line.trim_start().starts_with('#')), "{written}");
    // Credentials are all that the next step lacks.
    let events = desk.run(&["-o", "json", "plan"]).events();
    let faults = events[0]["faults"].as_array().expect("faults");
    assert!(faults.iter().all(|fault| fault["code"] == "BQ0206"), "{faults:?}");

    let again = desk.run(&["init", "other"]);
    assert_eq!(again.exit, Some(1));
    assert!(again.err.contains("error[BQ0605]: bouquet.yaml is there already"), "{}", again.err);
    assert_eq!(desk.read("bouquet.yaml"), written);
}

#[test]
fn init_takes_name_and_domain_and_refuses_what_cannot_be_one() {
    let desk = Desk::new("init-domain");
    assert_eq!(desk.run(&["-f", "garden.yaml", "init", "garden", "--domain", "garden.example.com"]).exit, Some(0));
    let written = desk.read("garden.yaml");
    assert!(written.contains("\ncluster: garden\n") && written.contains("\ndomain: garden.example.com"), "{written}");
    let said = desk.run(&["init", "--", "-Garden"]);
    assert_eq!(said.exit, Some(1));
    assert!(said.err.contains("error[BQ0108]"), "{}", said.err);
    assert_eq!(desk.names(), ["garden.yaml"]);
}

#[test]
fn completions_are_for_bouquet_in_every_shell() {
    let desk = Desk::new("completions");
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let said = desk.run(&["completions", shell]);
        assert_eq!((said.exit, said.err.as_str()), (Some(0), ""), "{shell}");
        assert!(said.out.contains("bouquet") && said.out.contains("talosconfig"), "{shell}");
    }
    assert_eq!(desk.run(&["completions", "cmd"]).exit, Some(2));
}

#[test]
fn the_schema_is_one_json_document_wherever_it_goes() {
    let desk = Desk::new("schema");
    let said = desk.run(&["schema", "-"]);
    let schema: serde_json::Value = serde_json::from_str(&said.out).expect("JSON");
    assert!(schema["$schema"].as_str().is_some_and(|url| url.contains("json-schema.org")), "{schema}");
    assert!(schema["properties"]["nodes"].is_object(), "{schema}");
    assert_eq!(desk.run(&["schema"]).exit, Some(0));
    assert_eq!(desk.read("bouquet.schema.json"), said.out);
}

#[test]
fn a_missing_cluster_file_says_how_to_get_one() {
    let said = Desk::new("no-file").run(&["plan"]);
    assert_eq!(said.exit, Some(1));
    assert!(said.err.contains("error[BQ0602]: bouquet.yaml: there is no such file"), "{}", said.err);
    assert!(said.err.contains("`bouquet init`"), "{}", said.err);
}

#[test]
fn the_demo_is_the_same_for_the_same_seed_and_says_that_it_is_simulated() {
    let desk = Desk::new("demo");
    let said = desk.run(&["demo"]);
    assert_eq!((said.exit, said.out.as_str()), (Some(0), ""), "{said:?}");
    let ours = said.err.lines().filter(|line| !MISSION.contains(line));
    for line in ours {
        assert!(line.chars().count() <= 80, "{line}");
    }
    let last: Vec<&str> = said.err.lines().rev().take(8).collect();
    let last = last.join("\n");
    assert!(last.contains("simulated") && last.contains("bouquet init"), "{last}");
    assert_eq!(desk.run(&["demo"]).err, said.err);
    assert_eq!(desk.names(), Vec::<String>::new());
    let told: Said = desk.run(&["-o", "json", "demo"]);
    assert_eq!(told.summary()["failed"], 0);
}
