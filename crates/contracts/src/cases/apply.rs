//! Server-side apply: who owns which field.

use super::{cases, config_map, deployment};
use crate::talk::{APPLY, MERGE, Talk, with};
use serde_json::{Value, json};

cases![
    an_applied_object_is_made_and_changed,
    a_field_of_another_manager_is_a_conflict_unless_forced,
    a_field_that_is_left_out_goes,
    managers_share_what_they_agree_on,
    lists_are_owned_by_their_keys,
    an_update_takes_ownership,
    apply_is_refused_without_a_manager,
    managed_fields_can_be_cleared_and_not_forged,
    atomic_fields_are_owned_whole,
    an_applied_service_owns_its_ports,
];

fn applied(data: &Value) -> Value {
    config_map("a", data)
}

fn manager_of(object: &Value, manager: &str) -> Option<Value> {
    let entries = object["metadata"]["managedFields"].as_array()?;
    entries.iter().find(|entry| entry["manager"] == manager).cloned()
}

async fn an_applied_object_is_made_and_changed(talk: &Talk<'_>) {
    talk.begin().await;
    let at = talk.path("v1", "configmaps/a");
    let made = talk.apply(&at, "me", &applied(&json!({"k": "1"}))).await.is(201);
    let entry = manager_of(&made, "me").unwrap();
    assert_eq!((&entry["operation"], &entry["fieldsV1"]["f:data"]["f:k"]), (&json!("Apply"), &json!({})));
    let same = talk.apply(&at, "me", &applied(&json!({"k": "1"}))).await.is(200);
    assert_eq!(same["metadata"]["resourceVersion"], made["metadata"]["resourceVersion"]);
    talk.apply(&at, "me", &applied(&json!({"k": "2", "l": "3"}))).await.is(200);
    talk.apply(&talk.path("apps/v1", "deployments/d"), "me", &deployment("d")).await.is(201);
    talk.apply(&talk.path("apps/v1", "deployments/d"), "me", &deployment("d")).await.is(200);
}

async fn a_field_of_another_manager_is_a_conflict_unless_forced(talk: &Talk<'_>) {
    talk.begin().await;
    let at = talk.path("v1", "configmaps/a");
    talk.apply(&at, "one", &applied(&json!({"k": "1", "l": "1"}))).await.is(201);
    let refused = talk.apply(&at, "two", &applied(&json!({"k": "2"}))).await.refused(409, "Conflict");
    assert_eq!(refused["details"]["causes"][0]["field"], ".data.k");
    talk.apply(&at, "two", &applied(&json!({"k": "2", "l": "2"}))).await.refused(409, "Conflict");
    let forced = talk.apply(&with(&at, "force=true"), "two", &applied(&json!({"k": "2"}))).await.is(200);
    assert!(manager_of(&forced, "one").unwrap()["fieldsV1"]["f:data"].get("f:k").is_none());
    talk.apply(&at, "one", &applied(&json!({"k": "1", "l": "1"}))).await.refused(409, "Conflict");
    talk.patch(&with(&at, "fieldManager=three"), MERGE, &json!({"data": {"l": "3", "m": "3"}})).await.is(200);
    talk.apply(&at, "one", &applied(&json!({"l": "1", "m": "1"}))).await.refused(409, "Conflict");
    talk.apply(&with(&at, "force=true"), "one", &applied(&json!({"l": "1", "m": "1", "k": "1"}))).await.is(200);
}

async fn a_field_that_is_left_out_goes(talk: &Talk<'_>) {
    talk.begin().await;
    let at = talk.path("v1", "configmaps/a");
    talk.apply(&at, "one", &applied(&json!({"k": "1", "l": "1", "m": "1"}))).await.is(201);
    talk.apply(&at, "two", &applied(&json!({"l": "1"}))).await.is(200);
    let less = talk.apply(&at, "one", &applied(&json!({"m": "1"}))).await.is(200);
    assert_eq!(less["data"], json!({"l": "1", "m": "1"}));
    let mut none = applied(&json!({}));
    none.as_object_mut().unwrap().remove("data");
    talk.apply(&at, "one", &none).await.is(200);
    talk.apply(&at, "two", &none).await.is(200);
    let all = talk.path("apps/v1", "deployments/d");
    let mut body = deployment("d");
    body["spec"]["replicas"] = 3.into();
    body["spec"]["template"]["spec"]["containers"][0]["env"] =
        json!([{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]);
    talk.apply(&all, "one", &body).await.is(201);
    body["spec"].as_object_mut().unwrap().remove("replicas");
    body["spec"]["template"]["spec"]["containers"][0]["env"] = json!([{"name": "B", "value": "2"}]);
    let less = talk.apply(&all, "one", &body).await.is(200);
    assert_eq!(less["spec"]["replicas"], 1);
}

async fn managers_share_what_they_agree_on(talk: &Talk<'_>) {
    talk.begin().await;
    let at = talk.path("v1", "configmaps/a");
    talk.apply(&at, "one", &applied(&json!({"k": "1"}))).await.is(201);
    let both = talk.apply(&at, "two", &applied(&json!({"k": "1"}))).await.is(200);
    assert!(manager_of(&both, "one").is_some() && manager_of(&both, "two").is_some());
    talk.apply(&at, "one", &applied(&json!({"k": "2"}))).await.refused(409, "Conflict");
    talk.patch(&with(&at, "fieldManager=three"), MERGE, &json!({"data": {"k": "3"}})).await.is(200);
    talk.apply(&at, "two", &applied(&json!({"k": "3"}))).await.is(200);
}

async fn lists_are_owned_by_their_keys(talk: &Talk<'_>) {
    talk.begin().await;
    let at = talk.path("apps/v1", "deployments/d");
    talk.apply(&at, "one", &deployment("d")).await.is(201);
    let side = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"},
        "spec": {"template": {"spec": {"containers": [{"name": "side", "image": "example.com/side"}]}}},
    });
    let both = talk.apply(&at, "two", &side).await.is(200);
    assert_eq!(both["spec"]["template"]["spec"]["containers"].as_array().unwrap().len(), 2);
    let mut image = side.clone();
    image["spec"]["template"]["spec"]["containers"][0] = json!({"name": "main", "image": "example.com/web:9"});
    let refused = talk.apply(&at, "two", &image).await.refused(409, "Conflict");
    assert_eq!(refused["details"]["causes"][0]["field"], ".spec.template.spec.containers[name=\"main\"].image");
    let mut ports = deployment("d");
    ports["spec"]["template"]["spec"]["containers"][0]["ports"] =
        json!([{"containerPort": 81}, {"containerPort": 80, "protocol": "UDP"}]);
    talk.apply(&at, "one", &ports).await.is(200);
    let gone = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}});
    talk.apply(&at, "two", &gone).await.is(200);
    let mut twice = deployment("d");
    twice["spec"]["template"]["spec"]["containers"] = json!([{"name": "x", "image": "a"}, {"name": "x", "image": "b"}]);
    talk.apply(&at, "one", &twice).await;
    let mut nameless = deployment("d");
    nameless["spec"]["template"]["spec"]["containers"] = json!([{"image": "a"}]);
    talk.apply(&at, "one", &nameless).await;
    let held = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"finalizers": ["example.com/a"]}});
    talk.apply(&at, "three", &held).await.is(200);
    let held = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"finalizers": ["example.com/b"]}});
    talk.apply(&at, "four", &held).await.is(200);
    talk.apply(&at, "three", &gone).await.is(200);
}

async fn an_update_takes_ownership(talk: &Talk<'_>) {
    talk.begin().await;
    let at = talk.path("v1", "configmaps/a");
    let mut object = talk.apply(&at, "one", &applied(&json!({"k": "1", "l": "1"}))).await.is(201);
    object["data"] = json!({"k": "2", "l": "1", "m": "1"});
    let updated = talk.put(&with(&at, "fieldManager=two"), &object).await.is(200);
    assert!(manager_of(&updated, "one").unwrap()["fieldsV1"]["f:data"].get("f:k").is_none());
    let mut object = updated;
    object["data"] = json!({"l": "1"});
    talk.put(&with(&at, "fieldManager=three"), &object).await.is(200);
    talk.apply(&at, "one", &applied(&json!({"k": "1", "l": "1"}))).await.is(200);
    object["metadata"]["resourceVersion"] = json!(null);
    object["data"] = json!(null);
    talk.put(&with(&at, "fieldManager=four"), &object).await.is(200);
}

async fn apply_is_refused_without_a_manager(talk: &Talk<'_>) {
    talk.begin().await;
    let at = talk.path("v1", "configmaps/a");
    talk.patch(&at, APPLY, &applied(&json!({}))).await.refused(422, "Invalid");
    talk.apply(&at, &"m".repeat(129), &applied(&json!({}))).await;
    talk.patch(&with(&at, "force=true"), MERGE, &json!({})).await;
    let mut forged = applied(&json!({}));
    forged["metadata"]["managedFields"] = json!([{"manager": "x", "operation": "Apply", "apiVersion": "v1"}]);
    talk.apply(&at, "me", &forged).await.is(400);
    talk.apply(&at, "me", &json!({"data": {}})).await.is(400);
    talk.apply(&at, "me", &json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "b"}})).await.is(400);
    talk.apply(&at, "me", &json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"k": 7}})).await;
    talk.apply(
        &at,
        "me",
        &json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"uid": "00000000-0000-0000-0000-000000000000"}}),
    )
    .await;
    talk.patch(&with(&at, "fieldManager=me"), APPLY, &json!([])).await.is(400);
}

async fn managed_fields_can_be_cleared_and_not_forged(talk: &Talk<'_>) {
    talk.begin().await;
    let at = talk.path("v1", "configmaps/a");
    talk.apply(&at, "one", &applied(&json!({"k": "1"}))).await.is(201);
    talk.patch(&at, MERGE, &json!({"metadata": {"managedFields": [{}]}})).await.is(200);
    talk.apply(&at, "two", &applied(&json!({"k": "2"}))).await;
    let forged = json!({"metadata": {"managedFields": [{"manager": "x", "operation": "Dream", "apiVersion": "v1"}]}});
    talk.patch(&at, MERGE, &forged).await;
    talk.patch(&at, MERGE, &json!({"metadata": {"managedFields": []}})).await.is(200);
}

async fn atomic_fields_are_owned_whole(talk: &Talk<'_>) {
    talk.begin().await;
    let at = talk.path("apps/v1", "deployments/d");
    let mut body = deployment("d");
    body["spec"]["template"]["spec"]["nodeSelector"] = json!({"a": "1"});
    body["spec"]["template"]["spec"]["tolerations"] = json!([{"key": "a", "operator": "Exists"}]);
    talk.apply(&at, "one", &body).await.is(201);
    let other = json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "spec": {"template": {"spec": {"nodeSelector": {"b": "1"}, "tolerations": [{"key": "b", "operator": "Exists"}]}}},
    });
    talk.apply(&at, "two", &other).await.refused(409, "Conflict");
    let forced = talk.apply(&with(&at, "force=true"), "two", &other).await.is(200);
    assert_eq!(forced["spec"]["template"]["spec"]["nodeSelector"], json!({"b": "1"}));
}

async fn an_applied_service_owns_its_ports(talk: &Talk<'_>) {
    talk.begin().await;
    let at = talk.path("v1", "services/s");
    let service = |ports: Value| json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}, "spec": {"selector": {"a": "b"}, "ports": ports}});
    talk.apply(&at, "one", &service(json!([{"port": 80, "name": "http"}]))).await.is(201);
    talk.apply(
        &at,
        "one",
        &service(json!([{"port": 80, "name": "http"}, {"port": 443, "name": "https", "targetPort": "tls"}])),
    )
    .await
    .is(200);
    talk.apply(&at, "two", &service(json!([{"port": 80, "name": "web"}]))).await.refused(409, "Conflict");
    talk.apply(&at, "one", &service(json!([{"port": 443, "name": "https"}]))).await.is(200);
}
