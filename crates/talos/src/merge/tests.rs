use super::*;
use proptest::prelude::*;
use serde_json::json;

fn merged(left: &str, patch: &str) -> Result<Vec<Value>, MergeError> {
    let mut documents = yaml::read_all(left).expect("left is YAML");
    apply(&mut documents, patch)?;
    Ok(documents)
}

/// (what, configuration, patch, result)
const TABLE: &[(&str, &str, &str, &str)] = &[
    ("maps merge", "machine: {a: 1, b: 2}", "machine: {b: 3, c: 4}", "machine: {a: 1, b: 3, c: 4}"),
    ("lists append", "machine: {certSANs: [a]}", "machine: {certSANs: [b]}", "machine: {certSANs: [a, b]}"),
    ("empty and zero do not replace", "machine: {a: x, b: 1}", "machine: {a: '', b: 0}", "machine: {a: x, b: 1}"),
    ("null does not replace", "machine: {a: {b: 1}}", "machine: {a: null}", "machine: {a: {b: 1}}"),
    ("false replaces", "machine: {a: true}", "machine: {a: false}", "machine: {a: false}"),
    (
        "pod ranges are replaced",
        "cluster: {network: {podSubnets: [10.244.0.0/16]}}",
        "cluster: {network: {podSubnets: [10.1.0.0/16]}}",
        "cluster: {network: {podSubnets: [10.1.0.0/16]}}",
    ),
    (
        "the audit policy is replaced whole",
        "cluster: {apiServer: {auditPolicy: {kind: Policy, rules: [a]}}}",
        "cluster: {apiServer: {auditPolicy: {kind: Other}}}",
        "cluster: {apiServer: {auditPolicy: {kind: Other}}}",
    ),
    (
        "an argument is replaced whole",
        "cluster: {apiServer: {extraArgs: {a: [x], b: y}}}",
        "cluster: {apiServer: {extraArgs: {a: [z]}}}",
        "cluster: {apiServer: {extraArgs: {a: [z], b: y}}}",
    ),
    (
        "admission plugins merge by name",
        "cluster: {apiServer: {admissionControl: [{name: A, configuration: {x: [1]}}]}}",
        "cluster: {apiServer: {admissionControl: [{name: A, configuration: {x: [2]}}, {name: B}]}}",
        "cluster: {apiServer: {admissionControl: [{name: A, configuration: {x: [1, 2]}}, {name: B}]}}",
    ),
    (
        "documents meet by kind and name",
        "{kind: R, name: a, x: 1}\n---\n{kind: R, name: b, x: 1}",
        "{kind: R, name: b, x: 2}",
        "{kind: R, name: a, x: 1}\n---\n{kind: R, name: b, x: 2}",
    ),
    ("a new document is appended", "machine: {a: 1}", "{kind: R, x: 1}", "machine: {a: 1}\n---\n{kind: R, x: 1}"),
    (
        "rule ports are replaced",
        "{kind: NetworkRuleConfig, name: a, portSelector: {ports: [1]}, ingress: [{subnet: a}]}",
        "{kind: NetworkRuleConfig, name: a, portSelector: {ports: [2]}, ingress: [{subnet: b}]}",
        "{kind: NetworkRuleConfig, name: a, portSelector: {ports: [2]}, ingress: [{subnet: b}]}",
    ),
    (
        "delete takes a document away",
        "machine: {a: 1}\n---\n{apiVersion: v1alpha1, kind: R, name: b}",
        "{apiVersion: v1alpha1, kind: R, name: b, $patch: delete}",
        "machine: {a: 1}",
    ),
    (
        "delete takes a field away",
        "machine: {a: {b: 1}, c: 2}",
        "machine: {a: {$patch: delete}, d: 3}",
        "machine: {c: 2, d: 3}",
    ),
    (
        "delete takes a list item away",
        "cluster: {apiServer: {admissionControl: [{name: A}, {name: B}]}}",
        "cluster: {apiServer: {admissionControl: [{name: A, $patch: delete}]}}",
        "cluster: {apiServer: {admissionControl: [{name: B}]}}",
    ),
];

#[test]
fn merge_follows_the_table() {
    for (what, left, patch, wanted) in TABLE {
        assert_eq!(merged(left, patch), Ok(yaml::read_all(wanted).expect("wanted is YAML")), "{what}");
    }
}

#[test]
fn what_cannot_be_placed_is_refused() {
    for (left, patch, wanted) in [
        ("machine: {a: [1]}", "machine: {a: {b: 1}}", MergeError::Shape { path: "machine.a".into() }),
        ("machine: {a: {b: 1}}", "machine: {a: x}", MergeError::Shape { path: "machine.a".into() }),
        ("machine: {}", "[{op: remove, path: /machine}]", MergeError::NotADocument),
        (
            "machine: {a: 1}",
            "machine: {b: {$patch: delete}}",
            MergeError::NothingToDelete { path: "v1alpha1: machine.b".into() },
        ),
        ("machine: {a: 1}", "{kind: R, $patch: delete}", MergeError::NothingToDelete { path: "R".into() }),
        ("machine: {a: 1}", "$patch: delete", MergeError::BadDelete { path: "v1alpha1".into() }),
        ("machine: {a: [1]}", "machine: {a: [{$patch: delete}]}", MergeError::BadDelete { path: "machine.a".into() }),
        (
            "machine: {a: [1]}",
            "machine: {a: [{b: {c: {$patch: delete}}}]}",
            MergeError::BadDelete { path: "machine.a".into() },
        ),
    ] {
        assert_eq!(merged(left, patch), Err(wanted), "{patch}");
    }
    assert!(matches!(merged("machine: {}", "a: ["), Err(MergeError::NotYaml(_))));
}

fn value(depth: u32) -> BoxedStrategy<Value> {
    let leaf = prop_oneof![
        "[a-z]{0,3}".prop_map(Value::from),
        (0..3i64).prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
    ];
    leaf.prop_recursive(depth, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map("[a-c]", inner, 0..3).prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
    .boxed()
}

proptest! {
    #[test]
    fn an_empty_patch_changes_nothing(left in value(3)) {
        let mut documents = vec![json!({ "machine": left })];
        let before = documents.clone();
        apply(&mut documents, "machine:\n").expect("nothing to object to");
        prop_assert_eq!(documents, before);
    }

    #[test]
    fn merging_never_panics_and_keeps_keys(left in value(3), right in value(3)) {
        let mut documents = vec![json!({ "machine": { "kept": left, "x": 1 } })];
        let patch = yaml::write(&json!({ "machine": { "kept": right } }));
        if apply(&mut documents, &patch).is_ok() {
            prop_assert_eq!(documents.len(), 1);
            prop_assert!(documents[0]["machine"].get("kept").is_some());
            prop_assert_eq!(&documents[0]["machine"]["x"], &json!(1));
        }
    }

    #[test]
    fn deleting_what_was_added_gives_back_what_was(left in value(2), added in value(2)) {
        let before = vec![json!({ "machine": { "kept": left } })];
        let mut documents = before.clone();
        apply(&mut documents, &yaml::write(&json!({ "machine": { "added": added } }))).expect("a new key always fits");
        apply(&mut documents, "machine: {added: {$patch: delete}}").expect("it is there");
        prop_assert_eq!(documents, before);
    }
}
