//! JSON, merge and strategic merge patches.

use super::{cases, config_map, deployment};
use crate::talk::{JSON_PATCH, MERGE, STRATEGIC, Talk};
use serde_json::json;

cases![
    a_merge_patch_sets_and_removes,
    a_json_patch_is_all_or_nothing,
    a_strategic_patch_merges_lists_by_key,
    a_strategic_patch_deletes_and_replaces,
    a_patch_of_an_unknown_kind_is_refused,
    a_patch_may_not_move_an_object,
];

async fn a_merge_patch_sets_and_removes(talk: &Talk<'_>) {
    talk.begin().await;
    let all = talk.path("v1", "configmaps");
    let at = format!("{all}/a");
    talk.post(&all, &config_map("a", &json!({"k": "1", "l": "2"}))).await.is(201);
    let patched = talk
        .patch(&at, MERGE, &json!({"data": {"k": null, "m": "3"}, "metadata": {"labels": {"x": "y"}}}))
        .await
        .is(200);
    assert_eq!(patched["data"], json!({"l": "2", "m": "3"}));
    talk.patch(&at, MERGE, &json!({"data": null})).await.is(200);
    talk.patch(&at, MERGE, &json!({"metadata": {"labels": null, "uid": "x"}})).await;
    talk.patch(&at, MERGE, &json!([])).await;
    talk.patch(&at, MERGE, &json!({"data": {"k": 7}})).await;
    talk.patch(&format!("{all}/none"), MERGE, &json!({})).await.refused(404, "NotFound");
    let all = talk.path("apps/v1", "deployments");
    talk.post(&all, &deployment("d")).await.is(201);
    let patch =
        json!({"spec": {"replicas": 0, "template": {"spec": {"containers": [{"name": "other", "image": "b"}]}}}});
    let patched = talk.patch(&format!("{all}/d"), MERGE, &patch).await.is(200);
    assert_eq!(patched["metadata"]["generation"], 2);
}

async fn a_json_patch_is_all_or_nothing(talk: &Talk<'_>) {
    talk.begin().await;
    let all = talk.path("v1", "configmaps");
    let at = format!("{all}/a");
    talk.post(&all, &config_map("a", &json!({"k": "1"}))).await.is(201);
    let patch = json!([
        {"op": "test", "path": "/data/k", "value": "1"}, {"op": "add", "path": "/data/l", "value": "2"},
        {"op": "copy", "from": "/data/l", "path": "/data/m"}, {"op": "move", "from": "/data/k", "path": "/data/n~1o"},
    ]);
    talk.patch(&at, JSON_PATCH, &patch).await.refused(422, "Invalid");
    let patch = json!([
        {"op": "test", "path": "/data/k", "value": "1"}, {"op": "add", "path": "/data/l", "value": "2"},
        {"op": "copy", "from": "/data/l", "path": "/data/m"}, {"op": "move", "from": "/data/k", "path": "/data/n"},
    ]);
    let patched = talk.patch(&at, JSON_PATCH, &patch).await.is(200);
    assert_eq!(patched["data"], json!({"l": "2", "m": "2", "n": "1"}));
    let failing = json!([{"op": "remove", "path": "/data/m"}, {"op": "test", "path": "/data/l", "value": "9"}]);
    talk.patch(&at, JSON_PATCH, &failing).await;
    talk.patch(&at, JSON_PATCH, &json!([{"op": "remove", "path": "/data/none"}])).await;
    talk.patch(&at, JSON_PATCH, &json!([{"op": "replace", "path": "/data/none", "value": "1"}])).await;
    talk.patch(&at, JSON_PATCH, &json!([{"op": "add", "path": "/spec/none", "value": "1"}])).await;
    talk.patch(&at, JSON_PATCH, &json!([{"op": "prune", "path": "/data/l"}])).await;
    talk.patch(&at, JSON_PATCH, &json!({"data": {}})).await;
    talk.get(&at).await.is(200);
}

async fn a_strategic_patch_merges_lists_by_key(talk: &Talk<'_>) {
    talk.begin().await;
    let all = talk.path("apps/v1", "deployments");
    let at = format!("{all}/d");
    talk.post(&all, &deployment("d")).await.is(201);
    let patches = [
        json!({"spec": {"template": {"spec": {"containers": [{"name": "side", "image": "example.com/side:1"}]}}}}),
        json!({"spec": {"template": {"spec": {"containers": [{"name": "main", "image": "example.com/web:2", "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]}]}}}}),
        json!({"spec": {"template": {"spec": {"containers": [{"name": "main", "env": [{"name": "B", "value": "3"}], "ports": [{"containerPort": 443, "name": "https"}]}]}}}}),
        json!({"spec": {"template": {"spec": {"tolerations": [{"key": "a", "operator": "Exists"}]}}}}),
        json!({"spec": {"template": {"spec": {"tolerations": [{"key": "b", "operator": "Exists"}]}}}}),
        json!({"spec": {"template": {"spec": {"$setElementOrder/containers": [{"name": "side"}, {"name": "main"}], "containers": [{"name": "side", "image": "example.com/side:2"}]}}}}),
    ];
    for patch in patches {
        talk.patch(&at, STRATEGIC, &patch).await.is(200);
    }
    let nameless = json!({"spec": {"template": {"spec": {"containers": [{"image": "x"}]}}}});
    talk.patch(&at, STRATEGIC, &nameless).await;
    let finalizers = json!({"metadata": {"finalizers": ["example.com/a"]}});
    talk.patch(&at, STRATEGIC, &finalizers).await.is(200);
    let finalizers = json!({"metadata": {"finalizers": ["example.com/b"]}});
    let both = talk.patch(&at, STRATEGIC, &finalizers).await.is(200);
    assert_eq!(both["metadata"]["finalizers"].as_array().unwrap().len(), 2);
    let fewer = json!({"metadata": {"$deleteFromPrimitiveList/finalizers": ["example.com/a"]}});
    talk.patch(&at, STRATEGIC, &fewer).await.is(200);
}

async fn a_strategic_patch_deletes_and_replaces(talk: &Talk<'_>) {
    talk.begin().await;
    let all = talk.path("apps/v1", "deployments");
    let at = format!("{all}/d");
    let mut body = deployment("d");
    body["spec"]["template"]["spec"]["containers"].as_array_mut().unwrap().push(json!({"name": "side", "image": "s"}));
    body["spec"]["template"]["spec"]["volumes"] =
        json!([{"name": "v", "emptyDir": {}}, {"name": "w", "hostPath": {"path": "/x"}}]);
    talk.post(&all, &body).await.is(201);
    let patches = [
        json!({"spec": {"template": {"spec": {"containers": [{"name": "side", "$patch": "delete"}]}}}}),
        json!({"spec": {"template": {"spec": {"volumes": [{"name": "v", "emptyDir": null, "hostPath": {"path": "/y"}}]}}}}),
        json!({"spec": {"template": {"spec": {"volumes": [{"$patch": "replace"}, {"name": "only", "emptyDir": {}}]}}}}),
        json!({"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}}),
        json!({"metadata": {"labels": {"$patch": "replace", "new": "1"}}}),
        json!({"spec": {"template": {"spec": {"volumes": null}}}}),
    ];
    for patch in patches {
        talk.patch(&at, STRATEGIC, &patch).await.is(200);
    }
    talk.patch(&at, STRATEGIC, &json!({"metadata": {"labels": {"$patch": "shake"}}})).await;
}

async fn a_patch_of_an_unknown_kind_is_refused(talk: &Talk<'_>) {
    talk.begin().await;
    let all = talk.path("v1", "configmaps");
    talk.post(&all, &config_map("a", &json!({}))).await.is(201);
    talk.patch(&format!("{all}/a"), "application/json", &json!({})).await.is(415);
    talk.patch(&all, MERGE, &json!({})).await.is(405);
}

async fn a_patch_may_not_move_an_object(talk: &Talk<'_>) {
    talk.begin().await;
    let all = talk.path("v1", "configmaps");
    let at = format!("{all}/a");
    talk.post(&all, &config_map("a", &json!({}))).await.is(201);
    talk.patch(&at, MERGE, &json!({"metadata": {"name": "b"}})).await;
    talk.patch(&at, MERGE, &json!({"metadata": {"namespace": "elsewhere"}})).await;
    talk.patch(&at, MERGE, &json!({"kind": "Secret"})).await;
    talk.patch(&at, MERGE, &json!({"metadata": {"generation": 9, "creationTimestamp": null}})).await;
}
