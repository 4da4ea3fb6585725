//! Kinds of a client's own: definitions, their schemas, and objects of them.

use super::cases;
use crate::talk::{MERGE, STRATEGIC, Talk, with};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use std::time::Duration;

cases![
    what_is_too_long_ago_is_expired,
    a_definition_makes_a_kind,
    a_definition_is_validated,
    a_schema_fills_prunes_and_refuses,
    applied_custom_objects_are_owned_by_schema
];

const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";

fn definition(group: &str, schema: &Value) -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": format!("roses.{group}")},
        "spec": {
            "group": group, "scope": "Namespaced",
            "names": {"plural": "roses", "singular": "rose", "kind": "Rose", "shortNames": ["ro"]},
            "versions": [{
                "name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema},
                "subresources": {"status": {}},
                "additionalPrinterColumns": [{"name": "Colour", "type": "string", "jsonPath": ".spec.colour"}],
            }],
        },
    })
}

fn schema() -> Value {
    json!({
        "type": "object", "required": ["spec"],
        "properties": {
            "spec": {
                "type": "object", "required": ["colour"],
                "properties": {
                    "colour": {"type": "string", "enum": ["red", "white"]},
                    "petals": {"type": "integer", "minimum": 1, "maximum": 100, "default": 5},
                    "name": {"type": "string", "maxLength": 8, "pattern": "^[a-z]+$"},
                    "thorns": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["at"], "maxItems": 3, "items": {
                        "type": "object", "required": ["at"],
                        "properties": {"at": {"type": "string"}, "sharp": {"type": "boolean", "default": true}},
                    }},
                    "tags": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
                    "soil": {"type": "object", "additionalProperties": {"type": "string"}},
                    "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
                    "size": {"x-kubernetes-int-or-string": true},
                    "notes": {"type": "array", "items": {"type": "string"}},
                },
            },
            "status": {"type": "object", "properties": {"bloom": {"type": "boolean"}}},
        },
    })
}

fn rose(group: &str, name: &str, spec: &Value) -> Value {
    json!({"apiVersion": format!("{group}/v1"), "kind": "Rose", "metadata": {"name": name}, "spec": spec})
}

/// Defines roses in a group of the case's own, and waits until they are served.
async fn define(talk: &Talk<'_>, group: &str) {
    talk.post(DEFINITIONS, &definition(group, &schema())).await.is(201);
    let aside = talk.by("admin");
    for _ in 0..200 {
        let made = aside.get(&format!("{DEFINITIONS}/roses.{group}")).await.is(200);
        let conditions = made["status"]["conditions"].as_array().cloned().unwrap_or_default();
        let served = aside.get(&talk.path(&format!("{group}/v1"), "roses")).await.status == 200;
        if conditions.iter().any(|at| at["type"] == "Established" && at["status"] == "True") && served {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn a_definition_makes_a_kind(talk: &Talk<'_>) {
    talk.begin().await;
    let group = "kind.example.com";
    talk.get(&talk.path(&format!("{group}/v1"), "roses")).await.is(404);
    define(talk, group).await;
    let defined = talk.get(&format!("{DEFINITIONS}/roses.{group}")).await.is(200);
    assert_eq!(defined["status"]["acceptedNames"]["kind"], "Rose");
    talk.get(&format!("/apis/{group}/v1")).await.is(200);
    let all = talk.path(&format!("{group}/v1"), "roses");
    let at = format!("{all}/a");
    let made = talk.post(&all, &rose(group, "a", &json!({"colour": "red"}))).await.is(201);
    assert_eq!((&made["spec"]["petals"], &made["metadata"]["generation"]), (&json!(5), &json!(1)));
    talk.get(&all).await.is(200);
    let patched = talk.patch(&at, MERGE, &json!({"spec": {"petals": 7}, "status": {"bloom": true}})).await.is(200);
    assert_eq!((&patched["metadata"]["generation"], patched.get("status")), (&json!(2), None));
    let bloomed = talk
        .patch(&format!("{at}/status"), MERGE, &json!({"spec": {"petals": 9}, "status": {"bloom": true}}))
        .await
        .is(200);
    assert_eq!((&bloomed["spec"]["petals"], &bloomed["status"]["bloom"]), (&json!(7), &json!(true)));
    talk.patch(&at, STRATEGIC, &json!({})).await.is(415);
    talk.put(&at, &rose(group, "a", &json!({"colour": "white"}))).await;
    let mut updated = talk.get(&at).await.is(200);
    updated["spec"] = json!({"colour": "white"});
    talk.put(&at, &updated).await.is(200);
    talk.get(&format!("{all}/none")).await.refused(404, "NotFound");
    talk.post(&all, &rose(group, "a", &json!({"colour": "red"}))).await.refused(409, "AlreadyExists");
    talk.delete(&at, &json!(null)).await.is(200);
    talk.get(&format!("{all}/a/scale")).await.is(404);
}

async fn a_definition_is_validated(talk: &Talk<'_>) {
    talk.begin().await;
    let mut misnamed = definition("bad.example.com", &schema());
    misnamed["metadata"]["name"] = "tulips.bad.example.com".into();
    talk.post(DEFINITIONS, &misnamed).await.refused(422, "Invalid");
    let mut unstored = definition("bad.example.com", &schema());
    unstored["spec"]["versions"][0]["storage"] = false.into();
    talk.post(DEFINITIONS, &unstored).await.refused(422, "Invalid");
    let mut schemaless = definition("bad.example.com", &schema());
    schemaless["spec"]["versions"][0].as_object_mut().unwrap().remove("schema");
    talk.post(DEFINITIONS, &schemaless).await.refused(422, "Invalid");
}

async fn a_schema_fills_prunes_and_refuses(talk: &Talk<'_>) {
    talk.begin().await;
    let group = "schema.example.com";
    define(talk, group).await;
    let all = talk.path(&format!("{group}/v1"), "roses");
    let rich = json!({
        "colour": "red", "bogus": 1, "thorns": [{"at": "top", "x": 1}, {"at": "low", "sharp": false}], "tags": ["a", "b"],
        "soil": {"ph": "7"}, "free": {"any": {"thing": [1]}}, "size": "25%", "name": "rose", "notes": ["a", "a"],
    });
    let made = talk.post(&all, &rose(group, "a", &rich)).await.is(201);
    assert_eq!(made["spec"]["thorns"], json!([{"at": "top", "sharp": true}, {"at": "low", "sharp": false}]));
    let wrong = [
        json!({}),
        json!({"colour": "blue"}),
        json!({"colour": "red", "petals": 0}),
        json!({"colour": "red", "petals": 101}),
        json!({"colour": "red", "petals": "many"}),
        json!({"colour": "red", "name": "Rose"}),
        json!({"colour": "red", "name": "roseroserose"}),
        json!({"colour": "red", "thorns": [{"sharp": true}]}),
        json!({"colour": "red", "thorns": [{"at": "a"}, {"at": "a"}]}),
        json!({"colour": "red", "thorns": [{"at": "a"}, {"at": "b"}, {"at": "c"}, {"at": "d"}]}),
        json!({"colour": "red", "tags": ["a", "a"]}),
        json!({"colour": "red", "soil": {"ph": 7}}),
        json!({"colour": "red", "size": true}),
        json!({"colour": 1}),
        json!("red"),
    ];
    for spec in wrong {
        talk.post(&all, &rose(group, "w", &spec)).await.refused(422, "Invalid");
    }
    talk.post(&all, &json!({"apiVersion": format!("{group}/v1"), "kind": "Rose", "metadata": {"name": "w"}}))
        .await
        .refused(422, "Invalid");
    talk.post(&all, &json!({"apiVersion": format!("{group}/v1"), "kind": "Tulip", "metadata": {"name": "w"}}))
        .await
        .refused(422, "Invalid");
    talk.post(&with(&all, "fieldValidation=Strict"), &rose(group, "s", &json!({"colour": "red", "bogus": 1})))
        .await
        .is(400);
    talk.post(&with(&all, "fieldValidation=Ignore"), &rose(group, "i", &json!({"colour": "red", "bogus": 1})))
        .await
        .is(201);
    talk.patch(&format!("{all}/a"), MERGE, &json!({"spec": {"petals": null, "colour": "white"}})).await.is(200);
    talk.patch(&format!("{all}/a"), MERGE, &json!({"spec": {"colour": null}})).await.refused(422, "Invalid");
}

async fn applied_custom_objects_are_owned_by_schema(talk: &Talk<'_>) {
    talk.begin().await;
    let group = "owned.example.com";
    define(talk, group).await;
    let at = talk.path(&format!("{group}/v1"), "roses/a");
    talk.apply(
        &at,
        "one",
        &rose(group, "a", &json!({"colour": "red", "thorns": [{"at": "top"}], "tags": ["a"], "notes": ["x"]})),
    )
    .await
    .is(201);
    talk.apply(&at, "two", &json!({"apiVersion": format!("{group}/v1"), "kind": "Rose", "spec": {"thorns": [{"at": "low", "sharp": false}], "tags": ["b"]}})).await.is(200);
    talk.apply(
        &at,
        "two",
        &json!({"apiVersion": format!("{group}/v1"), "kind": "Rose", "spec": {"colour": "white", "notes": ["y"]}}),
    )
    .await
    .refused(409, "Conflict");
    let less = talk.apply(&at, "one", &rose(group, "a", &json!({"colour": "red"}))).await.is(200);
    assert_eq!(less["spec"]["thorns"], json!([{"at": "low", "sharp": false}]));
}

/// The API server remembers nothing of a kind from before it was defined.
async fn what_is_too_long_ago_is_expired(talk: &Talk<'_>) {
    talk.begin().await;
    let group = "past.example.com";
    define(talk, group).await;
    let all = talk.path(&format!("{group}/v1"), "roses");
    let events = talk.watch(&with(&all, "resourceVersion=1&timeoutSeconds=5"), 1, async {}).await;
    assert_eq!((&events[0]["type"], &events[0]["object"]["code"]), (&json!("ERROR"), &json!(410)));
    for name in ["a", "b", "c"] {
        talk.post(&all, &rose(group, name, &json!({"colour": "red"}))).await.is(201);
    }
    talk.side().compact();
    let old = URL_SAFE_NO_PAD.encode(r#"{"v":"meta.k8s.io/v1","rv":1,"start":"a\u0000"}"#);
    let expired = talk.get(&with(&all, &format!("limit=1&continue={old}"))).await.refused(410, "Expired");
    let token = expired["metadata"]["continue"].as_str().unwrap().to_owned();
    let rest = talk.get(&with(&all, &format!("continue={token}"))).await.is(200);
    assert_eq!(rest["items"].as_array().unwrap().len(), 2, "what there is now after the first");
}
