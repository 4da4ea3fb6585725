//! Deletion: finalizers, preconditions, propagation, grace.

use super::{cases, config_map, deployment, pod};
use crate::talk::{MERGE, Talk, with};
use serde_json::{Value, json};

cases![
    a_finalizer_holds_an_object,
    a_deletion_has_preconditions,
    propagation_is_a_finalizer_or_none,
    a_pod_without_a_node_goes_at_once,
    a_pod_on_a_node_has_its_grace,
    a_namespace_that_goes_takes_nothing_in,
];

fn held(name: &str) -> Value {
    let mut body = config_map(name, &json!({}));
    body["metadata"]["finalizers"] = json!(["example.com/hold"]);
    body
}

async fn a_finalizer_holds_an_object(talk: &Talk<'_>) {
    talk.begin().await;
    let all = talk.path("v1", "configmaps");
    let at = format!("{all}/a");
    talk.post(&all, &held("a")).await.is(201);
    let going = talk.delete(&at, &json!(null)).await.is(200);
    assert!(going["metadata"]["deletionTimestamp"].is_string());
    talk.get(&at).await.is(200);
    talk.delete(&at, &json!(null)).await.is(200);
    let another = json!({"metadata": {"finalizers": ["example.com/hold", "example.com/more"]}});
    talk.patch(&at, MERGE, &another).await;
    talk.patch(&at, MERGE, &json!({"metadata": {"deletionTimestamp": null}})).await;
    talk.patch(&at, MERGE, &json!({"data": {"k": "still"}})).await.is(200);
    let last = talk.patch(&at, MERGE, &json!({"metadata": {"finalizers": null}})).await.is(200);
    assert!(last["metadata"]["deletionTimestamp"].is_string());
    talk.get(&at).await.refused(404, "NotFound");
}

async fn a_deletion_has_preconditions(talk: &Talk<'_>) {
    talk.begin().await;
    let all = talk.path("v1", "configmaps");
    let at = format!("{all}/a");
    let made = talk.post(&all, &config_map("a", &json!({}))).await.is(201);
    let other = "00000000-0000-0000-0000-000000000000";
    talk.delete(&at, &json!({"preconditions": {"uid": other}})).await.refused(409, "Conflict");
    talk.delete(&at, &json!({"preconditions": {"resourceVersion": "1"}})).await.refused(409, "Conflict");
    let right = json!({"preconditions": {
        "uid": made["metadata"]["uid"], "resourceVersion": made["metadata"]["resourceVersion"],
    }});
    talk.delete(&at, &right).await.is(200);
    talk.post(&all, &config_map("a", &json!({}))).await.is(201);
    talk.delete(&at, &json!({"kind": "DeleteOptions", "apiVersion": "v1", "gracePeriodSeconds": 0})).await.is(200);
    talk.post(&all, &config_map("b", &json!({}))).await.is(201);
    talk.delete(&format!("{all}/b"), &json!({"propagationPolicy": "Sideways"})).await;
    talk.delete(&with(&format!("{all}/b"), "gracePeriodSeconds=-1"), &json!(null)).await;
}

async fn propagation_is_a_finalizer_or_none(talk: &Talk<'_>) {
    talk.begin().await;
    let all = talk.path("apps/v1", "deployments");
    for (name, policy) in [("a", "Foreground"), ("b", "Background"), ("c", "Orphan")] {
        talk.post(&all, &deployment(name)).await.is(201);
        talk.delete(&format!("{all}/{name}"), &json!({"propagationPolicy": policy})).await.is(200);
        talk.get(&format!("{all}/{name}")).await;
    }
    talk.post(&all, &deployment("d")).await.is(201);
    talk.delete(&with(&format!("{all}/d"), "propagationPolicy=Foreground"), &json!(null)).await.is(200);
    talk.delete(&format!("{all}/d"), &json!({"propagationPolicy": "Background"})).await.is(200);
}

async fn a_pod_without_a_node_goes_at_once(talk: &Talk<'_>) {
    talk.begin().await;
    let all = talk.path("v1", "pods");
    talk.post(&all, &pod("a")).await.is(201);
    let gone = talk.delete(&format!("{all}/a"), &json!(null)).await.is(200);
    assert_eq!(gone["kind"], "Pod");
    talk.get(&format!("{all}/a")).await.refused(404, "NotFound");
}

async fn a_pod_on_a_node_has_its_grace(talk: &Talk<'_>) {
    talk.begin().await;
    let all = talk.path("v1", "pods");
    let at = format!("{all}/a");
    let mut body = pod("a");
    body["spec"]["nodeName"] = "rose".into();
    talk.post(&all, &body).await.is(201);
    let going = talk.delete(&at, &json!(null)).await.is(200);
    assert_eq!(going["metadata"]["deletionGracePeriodSeconds"], 30);
    talk.delete(&at, &json!({"gracePeriodSeconds": 60})).await.is(200);
    let sooner = talk.delete(&at, &json!({"gracePeriodSeconds": 5})).await.is(200);
    assert_eq!(sooner["metadata"]["deletionGracePeriodSeconds"], 5);
    talk.get(&at).await.is(200);
    talk.delete(&at, &json!({"gracePeriodSeconds": 0})).await.is(200);
    talk.get(&at).await.refused(404, "NotFound");
}

async fn a_namespace_that_goes_takes_nothing_in(talk: &Talk<'_>) {
    talk.begin().await;
    let all = talk.path("v1", "configmaps");
    let at = format!("/api/v1/namespaces/{}", talk.namespace);
    talk.post(&all, &config_map("a", &json!({}))).await.is(201);
    let going = talk.delete(&at, &json!(null)).await.is(200);
    assert_eq!(going["status"]["phase"], "Terminating");
    talk.post(&all, &config_map("b", &json!({}))).await.refused(403, "Forbidden");
    talk.patch(&format!("{all}/a"), MERGE, &json!({"data": {"k": "1"}})).await.is(200);
    talk.delete(&format!("{all}/a"), &json!(null)).await.is(200);
    let mut empty = talk.get(&at).await.is(200);
    empty["spec"]["finalizers"] = json!([]);
    talk.put(&format!("{at}/finalize"), &empty).await.is(200);
    talk.get(&at).await.refused(404, "NotFound");
    talk.delete("/api/v1/namespaces/default", &json!(null)).await.refused(403, "Forbidden");
}
