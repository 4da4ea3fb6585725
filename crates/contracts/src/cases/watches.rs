//! Watches: what is told, from when, and what is too old.

use super::{cases, config_map};
use crate::talk::{MERGE, Talk, with};
use serde_json::{Value, json};

cases![
    a_watch_tells_every_change_in_order,
    a_watch_without_a_revision_begins_with_what_is_there,
    a_watch_from_a_revision_tells_what_has_happened_since,
    a_watch_from_no_revision_at_all_is_refused,
    initial_events_end_with_a_bookmark,
    a_selector_turns_changes_into_comings_and_goings,
    a_watch_of_one_object,
];

fn kinds(events: &[Value]) -> Vec<String> {
    events.iter().map(|event| event["type"].as_str().unwrap_or("?").to_owned()).collect()
}

async fn a_watch_tells_every_change_in_order(talk: &Talk<'_>) {
    talk.begin().await;
    let all = talk.path("v1", "configmaps");
    let revision = talk.get(&all).await.is(200)["metadata"]["resourceVersion"].as_str().unwrap().to_owned();
    let work = async {
        talk.post(&all, &config_map("a", &json!({"k": "1"}))).await.is(201);
        talk.patch(&format!("{all}/a"), MERGE, &json!({"data": {"k": "2"}})).await.is(200);
        talk.patch(&format!("{all}/a"), MERGE, &json!({"data": {"k": "2"}})).await.is(200);
        talk.post(&all, &config_map("b", &json!({}))).await.is(201);
        talk.delete(&format!("{all}/a"), &json!(null)).await.is(200);
    };
    let events = talk.watch(&with(&all, &format!("resourceVersion={revision}&timeoutSeconds=5")), 4, work).await;
    assert_eq!(kinds(&events), ["ADDED", "MODIFIED", "ADDED", "DELETED"]);
}

async fn a_watch_without_a_revision_begins_with_what_is_there(talk: &Talk<'_>) {
    talk.begin().await;
    let all = talk.path("v1", "configmaps");
    talk.post(&all, &config_map("a", &json!({}))).await.is(201);
    let work = async {
        talk.post(&all, &config_map("b", &json!({}))).await.is(201);
    };
    let events = talk.watch(&with(&all, "timeoutSeconds=5"), 2, work).await;
    assert_eq!(kinds(&events), ["ADDED", "ADDED"]);
}

async fn a_watch_from_a_revision_tells_what_has_happened_since(talk: &Talk<'_>) {
    talk.begin().await;
    let all = talk.path("v1", "configmaps");
    let made = talk.post(&all, &config_map("a", &json!({}))).await.is(201);
    talk.patch(&format!("{all}/a"), MERGE, &json!({"data": {"k": "2"}})).await.is(200);
    talk.delete(&format!("{all}/a"), &json!(null)).await.is(200);
    let revision = made["metadata"]["resourceVersion"].as_str().unwrap();
    let path = with(&all, &format!("resourceVersion={revision}&timeoutSeconds=5"));
    let events = talk.watch(&path, 2, async {}).await;
    assert_eq!(kinds(&events), ["MODIFIED", "DELETED"]);
}

async fn a_watch_from_no_revision_at_all_is_refused(talk: &Talk<'_>) {
    talk.begin().await;
    talk.watch(&with(&talk.path("v1", "configmaps"), "resourceVersion=rose"), 1, async {}).await;
}

async fn initial_events_end_with_a_bookmark(talk: &Talk<'_>) {
    talk.begin().await;
    let all = talk.path("v1", "configmaps");
    talk.post(&all, &config_map("a", &json!({}))).await.is(201);
    let wish = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&timeoutSeconds=5";
    let events = talk.watch(&with(&all, wish), 2, async {}).await;
    assert_eq!(kinds(&events), ["ADDED", "BOOKMARK"]);
    assert_eq!(events[1]["object"]["metadata"]["annotations"]["k8s.io/initial-events-end"], "true");
    talk.watch(&with(&all, "sendInitialEvents=true&timeoutSeconds=5"), 1, async {}).await;
    talk.watch(&with(&all, "resourceVersionMatch=NotOlderThan&timeoutSeconds=5"), 1, async {}).await;
    talk.watch(&with(&all, "sendInitialEvents=true&resourceVersionMatch=Exact&timeoutSeconds=5"), 1, async {}).await;
}

async fn a_selector_turns_changes_into_comings_and_goings(talk: &Talk<'_>) {
    talk.begin().await;
    let all = talk.path("v1", "configmaps");
    let revision = talk.get(&all).await.is(200)["metadata"]["resourceVersion"].as_str().unwrap().to_owned();
    let label = |value: Value| json!({"metadata": {"labels": {"app": value}}});
    let work = async {
        talk.post(&all, &config_map("a", &json!({}))).await.is(201);
        talk.patch(&format!("{all}/a"), MERGE, &label("x".into())).await.is(200);
        talk.patch(&format!("{all}/a"), MERGE, &json!({"data": {"k": "1"}})).await.is(200);
        talk.patch(&format!("{all}/a"), MERGE, &label("y".into())).await.is(200);
        talk.delete(&format!("{all}/a"), &json!(null)).await.is(200);
    };
    let path = with(&all, &format!("labelSelector=app%3Dx&resourceVersion={revision}&timeoutSeconds=5"));
    let events = talk.watch(&path, 3, work).await;
    assert_eq!(kinds(&events), ["ADDED", "MODIFIED", "DELETED"]);
}

async fn a_watch_of_one_object(talk: &Talk<'_>) {
    talk.begin().await;
    let all = talk.path("v1", "configmaps");
    talk.post(&all, &config_map("a", &json!({}))).await.is(201);
    talk.post(&all, &config_map("b", &json!({}))).await.is(201);
    let work = async {
        talk.delete(&format!("{all}/b"), &json!(null)).await.is(200);
        talk.delete(&format!("{all}/a"), &json!(null)).await.is(200);
    };
    let events = talk.watch(&with(&all, "fieldSelector=metadata.name%3Da&timeoutSeconds=5"), 2, work).await;
    assert_eq!(kinds(&events), ["ADDED", "DELETED"]);
}
