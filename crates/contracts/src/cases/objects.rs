//! Creating, reading, replacing; what a body must be.

use super::{cases, config_map, deployment, pod};
use crate::talk::{JSON, Talk, with};
use serde_json::json;

cases![
    an_object_is_made_read_replaced_and_taken_away,
    a_stale_update_is_a_conflict,
    an_equal_update_changes_nothing,
    a_body_must_fit_its_path,
    a_name_must_be_one,
    metadata_is_validated,
    a_generated_name_is_new_each_time,
    a_dry_run_leaves_nothing_behind,
    an_unknown_field_is_dropped_warned_of_or_refused,
    a_field_of_a_wrong_type_is_refused,
    a_namespace_must_be_there,
    a_lease_is_renewed_by_its_holder,
    a_secret_takes_text_and_keeps_bytes,
    an_immutable_config_map_stays_as_it_is,
    what_the_server_owns_is_not_the_clients,
    a_namespace_is_an_object,
];

async fn an_object_is_made_read_replaced_and_taken_away(talk: &Talk<'_>) {
    talk.begin().await;
    let all = talk.path("v1", "configmaps");
    let made = talk.post(&all, &config_map("a", &json!({"k": "1"}))).await.is(201);
    assert_eq!(made["metadata"]["managedFields"][0]["manager"], "contracts");
    let at = format!("{all}/a");
    assert_eq!(talk.get(&at).await.is(200), made);
    talk.post(&all, &config_map("a", &json!({}))).await.refused(409, "AlreadyExists");
    let replaced = talk.put(&at, &config_map("a", &json!({"k": "2", "l": "3"}))).await.is(200);
    assert_eq!(replaced["metadata"]["uid"], made["metadata"]["uid"]);
    assert_ne!(replaced["metadata"]["resourceVersion"], made["metadata"]["resourceVersion"]);
    let gone = talk.delete(&at, &json!(null)).await.is(200);
    assert_eq!(gone["status"], "Success");
    talk.get(&at).await.refused(404, "NotFound");
    talk.put(&at, &config_map("a", &json!({}))).await.refused(404, "NotFound");
    talk.delete(&at, &json!(null)).await.refused(404, "NotFound");
}

async fn a_stale_update_is_a_conflict(talk: &Talk<'_>) {
    talk.begin().await;
    let all = talk.path("v1", "configmaps");
    let at = format!("{all}/a");
    let mut first = talk.post(&all, &config_map("a", &json!({"k": "1"}))).await.is(201);
    first["data"]["k"] = "2".into();
    talk.put(&at, &first).await.is(200);
    first["data"]["k"] = "3".into();
    talk.put(&at, &first).await.refused(409, "Conflict");
    let stale = json!({"metadata": {"resourceVersion": first["metadata"]["resourceVersion"]}, "data": {"k": "4"}});
    talk.patch(&at, crate::talk::MERGE, &stale).await.refused(409, "Conflict");
    first["metadata"]["resourceVersion"] = json!(null);
    first["metadata"]["uid"] = "00000000-0000-0000-0000-000000000000".into();
    talk.put(&at, &first).await.refused(409, "Conflict");
}

async fn an_equal_update_changes_nothing(talk: &Talk<'_>) {
    talk.begin().await;
    let all = talk.path("v1", "configmaps");
    let made = talk.post(&all, &config_map("a", &json!({"k": "1"}))).await.is(201);
    let again = talk.put(&format!("{all}/a"), &made).await.is(200);
    assert_eq!(again["metadata"]["resourceVersion"], made["metadata"]["resourceVersion"]);
    let patched = talk.patch(&format!("{all}/a"), crate::talk::MERGE, &json!({"data": {"k": "1"}})).await.is(200);
    assert_eq!(patched["metadata"]["resourceVersion"], made["metadata"]["resourceVersion"]);
    let all = talk.path("apps/v1", "deployments");
    let made = talk.post(&all, &deployment("d")).await.is(201);
    let again = talk.put(&format!("{all}/d"), &deployment("d")).await.is(200);
    assert_eq!(again["metadata"]["generation"], made["metadata"]["generation"]);
}

async fn a_body_must_fit_its_path(talk: &Talk<'_>) {
    talk.begin().await;
    let all = talk.path("v1", "configmaps");
    talk.post(&all, &deployment("a")).await.refused(400, "BadRequest");
    talk.post(&all, &json!({})).await.refused(422, "Invalid");
    talk.post(&all, &json!({"kind": "ConfigMap"})).await;
    talk.post(&all, &json!({"apiVersion": "v1"})).await;
    let mut elsewhere = config_map("a", &json!({}));
    elsewhere["metadata"]["namespace"] = "elsewhere".into();
    talk.post(&all, &elsewhere).await.refused(400, "BadRequest");
    talk.send("POST", &all, &[("content-type", "text/plain")], "x".into()).await.is(415);
    talk.post(&all, &config_map("a", &json!({}))).await.is(201);
    talk.put(&format!("{all}/a"), &config_map("b", &json!({}))).await.refused(400, "BadRequest");
    talk.post(&format!("{all}/a"), &config_map("a", &json!({}))).await.is(405);
    talk.send("PUT", &all, &[("content-type", JSON)], config_map("a", &json!({})).to_string()).await.is(405);
    talk.get(&talk.path("v1", "roses")).await.is(404);
    talk.get("/apis/nobody.example/v1/roses").await.is(404);
    talk.get("/nowhere").await.is(404);
    let yaml = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: yaml}\ndata: {k: \"1\"}\n";
    talk.send("POST", &all, &[("content-type", "application/yaml")], yaml.into()).await.is(201);
}

async fn a_name_must_be_one(talk: &Talk<'_>) {
    talk.begin().await;
    let all = talk.path("v1", "configmaps");
    for name in ["Not_A_Name", "-x", "a..b", &"a".repeat(254)] {
        talk.post(&all, &config_map(name, &json!({}))).await.refused(422, "Invalid");
    }
    let nameless = json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {}});
    talk.post(&all, &nameless).await.refused(422, "Invalid");
    let mut service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a.b"}});
    service["spec"] = json!({"ports": [{"port": 80}]});
    talk.post(&talk.path("v1", "services"), &service).await.refused(422, "Invalid");
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "a.b"}});
    talk.post("/api/v1/namespaces", &namespace).await.refused(422, "Invalid");
    talk.post(&all, &config_map("ok", &json!({"not/a/key": "x"}))).await.refused(422, "Invalid");
}

async fn metadata_is_validated(talk: &Talk<'_>) {
    talk.begin().await;
    let all = talk.path("v1", "configmaps");
    let wrong = [
        json!({"labels": {"a b": "x"}}),
        json!({"labels": {"a": "x y"}}),
        json!({"labels": {"a": "x".repeat(64)}}),
        json!({"labels": {"/a": "x"}}),
        json!({"annotations": {"a b": "x"}}),
        json!({"finalizers": ["nothing"]}),
        json!({"ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "", "uid": "u"}]}),
        json!({"ownerReferences": [
            {"apiVersion": "v1", "kind": "Pod", "name": "a", "uid": "u", "controller": true},
            {"apiVersion": "v1", "kind": "Pod", "name": "b", "uid": "v", "controller": true},
        ]}),
    ];
    for (at, meta) in wrong.iter().enumerate() {
        let mut body = config_map(&format!("m{at}"), &json!({}));
        body["metadata"].as_object_mut().unwrap().extend(meta.as_object().unwrap().clone());
        talk.post(&all, &body).await.refused(422, "Invalid");
    }
    let mut body = config_map("well", &json!({}));
    body["metadata"]["labels"] = json!({"example.com/a": "x_Y.z", "empty": ""});
    body["metadata"]["annotations"] = json!({"Example.com/b": "anything at all"});
    body["metadata"]["finalizers"] = json!(["example.com/hold"]);
    talk.post(&all, &body).await.is(201);
    talk.patch(&format!("{all}/well"), crate::talk::MERGE, &json!({"metadata": {"labels": {"b": "?"}}}))
        .await
        .refused(422, "Invalid");
}

async fn a_generated_name_is_new_each_time(talk: &Talk<'_>) {
    talk.begin().await;
    let all = talk.path("v1", "configmaps");
    let body = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "rose-"}});
    let mut names = std::collections::BTreeSet::new();
    for _ in 0..5 {
        let made = talk.post(&all, &body).await.is(201);
        let name = made["metadata"]["name"].as_str().unwrap().to_owned();
        assert!(name.starts_with("rose-") && name.len() == 10, "{name}");
        assert!(names.insert(name));
    }
}

async fn a_dry_run_leaves_nothing_behind(talk: &Talk<'_>) {
    talk.begin().await;
    let all = talk.path("v1", "configmaps");
    let dry = with(&all, "dryRun=All");
    let shown = talk.post(&dry, &config_map("a", &json!({"k": "1"}))).await.is(201);
    assert!(shown["metadata"]["uid"].is_string());
    talk.get(&format!("{all}/a")).await.refused(404, "NotFound");
    talk.post(&all, &config_map("a", &json!({"k": "1"}))).await.is(201);
    talk.post(&dry, &config_map("a", &json!({}))).await.refused(409, "AlreadyExists");
    let at = with(&format!("{all}/a"), "dryRun=All");
    talk.put(&at, &config_map("a", &json!({"k": "2"}))).await.is(200);
    talk.patch(&at, crate::talk::MERGE, &json!({"data": {"k": "3"}})).await.is(200);
    talk.apply(&at, "me", &json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"l": "4"}})).await.is(200);
    talk.delete(&at, &json!(null)).await.is(200);
    let kept = talk.get(&format!("{all}/a")).await.is(200);
    assert_eq!(kept["data"], json!({"k": "1"}));
    talk.post(&with(&all, "dryRun=Some"), &config_map("b", &json!({}))).await.refused(422, "Invalid");
}

async fn an_unknown_field_is_dropped_warned_of_or_refused(talk: &Talk<'_>) {
    talk.begin().await;
    let all = talk.path("apps/v1", "deployments");
    let mut body = deployment("a");
    body["bogus"] = 1.into();
    body["spec"]["template"]["spec"]["containers"][0]["imagge"] = "x".into();
    let made = talk.post(&all, &body).await.is(201);
    assert!(made.get("bogus").is_none());
    for way in ["Ignore", "Warn", "Strict"] {
        body["metadata"]["name"] = format!("a-{}", way.to_lowercase()).into();
        let answer = talk.post(&with(&all, &format!("fieldValidation={way}")), &body).await;
        answer.is(if way == "Strict" { 400 } else { 201 });
    }
    talk.post(&with(&all, "fieldValidation=Never"), &body).await;
    let twice = r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"twice"},"data":{"k":"1","k":"2"}}"#;
    talk.send(
        "POST",
        &with(&talk.path("v1", "configmaps"), "fieldValidation=Strict"),
        &[("content-type", JSON)],
        twice.into(),
    )
    .await
    .is(400);
    let patch = json!({"spec": {"nothing": 1}});
    let at = with(&format!("{all}/a"), "fieldValidation=Strict");
    talk.patch(&at, crate::talk::MERGE, &patch).await;
    talk.patch(&at, crate::talk::STRATEGIC, &patch).await;
    talk.apply(&at, "me", &json!({"apiVersion": "apps/v1", "kind": "Deployment", "spec": {"nothing": 1}})).await;
}

async fn a_field_of_a_wrong_type_is_refused(talk: &Talk<'_>) {
    talk.begin().await;
    let all = talk.path("apps/v1", "deployments");
    let mut replicas = deployment("a");
    replicas["spec"]["replicas"] = "three".into();
    let mut labels = deployment("b");
    labels["metadata"]["labels"] = json!({"app": 7});
    let mut containers = deployment("c");
    containers["spec"]["template"]["spec"]["containers"] = json!({"name": "x"});
    let mut paused = deployment("d");
    paused["spec"]["paused"] = "yes".into();
    for wrong in [replicas, labels, containers, paused] {
        talk.post(&all, &wrong).await.refused(400, "BadRequest");
    }
    talk.send("POST", &all, &[("content-type", JSON)], "{not json".into()).await.refused(400, "BadRequest");
    talk.send("POST", &all, &[("content-type", JSON)], "[]".into()).await.refused(400, "BadRequest");
}

async fn a_namespace_must_be_there(talk: &Talk<'_>) {
    let lost = "/api/v1/namespaces/nowhere/configmaps";
    talk.post(lost, &config_map("a", &json!({}))).await.refused(404, "NotFound");
    talk.get(&format!("{lost}/a")).await.refused(404, "NotFound");
    talk.get(lost).await.is(200);
    talk.apply(&format!("{lost}/a"), "me", &config_map("a", &json!({}))).await.refused(404, "NotFound");
}

async fn a_lease_is_renewed_by_its_holder(talk: &Talk<'_>) {
    talk.begin().await;
    let all = talk.path("coordination.k8s.io/v1", "leases");
    let mut lease = json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "l"}});
    lease["spec"] = json!({
        "holderIdentity": "one", "leaseDurationSeconds": 15, "leaseTransitions": 0,
        "acquireTime": "2026-11-23T10:00:00.000001Z", "renewTime": "2026-11-23T10:00:00.000001Z",
    });
    let mut held = talk.post(&all, &lease).await.is(201);
    held["spec"]["renewTime"] = "2026-11-23T10:00:10.500000Z".into();
    let renewed = talk.put(&format!("{all}/l"), &held).await.is(200);
    assert!(renewed["metadata"].get("generation").is_none());
    held["spec"]["holderIdentity"] = "two".into();
    talk.put(&format!("{all}/l"), &held).await.refused(409, "Conflict");
    lease["metadata"]["name"] = "m".into();
    lease["spec"]["leaseDurationSeconds"] = 0.into();
    talk.post(&all, &lease).await.refused(422, "Invalid");
}

async fn a_secret_takes_text_and_keeps_bytes(talk: &Talk<'_>) {
    talk.begin().await;
    let all = talk.path("v1", "secrets");
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"},
        "data": {"a": "YQ=="}, "stringData": {"b": "b"},
    });
    let made = talk.post(&all, &secret).await.is(201);
    assert_eq!((&made["data"], &made["type"]), (&json!({"a": "YQ==", "b": "Yg=="}), &json!("Opaque")));
    talk.patch(&format!("{all}/s"), crate::talk::MERGE, &json!({"stringData": {"a": "c"}})).await.is(200);
    talk.patch(&format!("{all}/s"), crate::talk::MERGE, &json!({"type": "example.com/x"}))
        .await
        .refused(422, "Invalid");
    let mut wrong = secret;
    wrong["metadata"]["name"] = "t".into();
    wrong["data"]["a"] = "not base64!".into();
    talk.post(&all, &wrong).await.refused(400, "BadRequest");
}

async fn an_immutable_config_map_stays_as_it_is(talk: &Talk<'_>) {
    talk.begin().await;
    let all = talk.path("v1", "configmaps");
    let mut body = config_map("a", &json!({"k": "1"}));
    body["immutable"] = true.into();
    talk.post(&all, &body).await.is(201);
    talk.patch(&format!("{all}/a"), crate::talk::MERGE, &json!({"data": {"k": "2"}})).await.refused(422, "Invalid");
    talk.patch(&format!("{all}/a"), crate::talk::MERGE, &json!({"immutable": false})).await.refused(422, "Invalid");
    talk.patch(&format!("{all}/a"), crate::talk::MERGE, &json!({"metadata": {"labels": {"l": "1"}}})).await.is(200);
}

async fn what_the_server_owns_is_not_the_clients(talk: &Talk<'_>) {
    talk.begin().await;
    let all = talk.path("v1", "pods");
    let mut body = pod("a");
    body["metadata"]["uid"] = "mine".into();
    body["metadata"]["creationTimestamp"] = "2020-01-01T00:00:00Z".into();
    body["metadata"]["generation"] = 7.into();
    body["metadata"]["deletionTimestamp"] = "2020-01-01T00:00:00Z".into();
    body["metadata"]["selfLink"] = "/x".into();
    body["status"] = json!({"phase": "Running", "podIP": "10.0.0.1"});
    let made = talk.post(&all, &body).await.is(201);
    assert_eq!(made["status"]["phase"], "Pending");
    assert_ne!(made["metadata"]["uid"], "mine");
    body = pod("b");
    body["metadata"]["resourceVersion"] = "5".into();
    talk.post(&all, &body).await;
}

async fn a_namespace_is_an_object(talk: &Talk<'_>) {
    talk.begin().await;
    let at = format!("/api/v1/namespaces/{}", talk.namespace);
    let namespace = talk.get(&at).await.is(200);
    assert_eq!(namespace["metadata"]["labels"]["kubernetes.io/metadata.name"], talk.namespace.as_str());
    talk.patch(&at, crate::talk::MERGE, &json!({"metadata": {"labels": {"team": "garden"}}})).await.is(200);
    let unnamed = json!({"metadata": {"labels": {"kubernetes.io/metadata.name": null}}});
    talk.patch(&at, crate::talk::MERGE, &unnamed).await.is(200);
}
