//! Lists: pages, selectors, tables.

use super::{cases, config_map, pod};
use crate::talk::{Talk, with};
use serde_json::json;

cases![
    a_list_comes_in_pages,
    a_page_is_of_its_lists_revision,
    a_token_that_is_none_is_refused,
    labels_select,
    fields_select,
    a_list_is_of_a_kind,
    a_collection_is_deleted_by_selector,
];

async fn a_list_comes_in_pages(talk: &Talk<'_>) {
    talk.begin().await;
    let all = talk.path("v1", "configmaps");
    for name in ["a", "b", "c", "d", "e"] {
        talk.post(&all, &config_map(name, &json!({}))).await.is(201);
    }
    let mut names = Vec::new();
    let mut path = with(&all, "limit=2");
    for _ in 0..4 {
        let page = talk.get(&path).await.is(200);
        names.extend(page["items"].as_array().unwrap().iter().map(|item| item["metadata"]["name"].clone()));
        let Some(token) = page["metadata"]["continue"].as_str() else { break };
        path = with(&with(&all, "limit=2"), &format!("continue={token}"));
    }
    assert_eq!(names, ["a", "b", "c", "d", "e"]);
    talk.get(&with(&all, "limit=5")).await.is(200);
    talk.get(&with(&all, "limit=9")).await.is(200);
    talk.get(&with(&all, "limit=2&labelSelector=x%3Dy")).await.is(200);
}

async fn a_page_is_of_its_lists_revision(talk: &Talk<'_>) {
    talk.begin().await;
    let all = talk.path("v1", "configmaps");
    for name in ["a", "b", "c"] {
        talk.post(&all, &config_map(name, &json!({}))).await.is(201);
    }
    let page = talk.get(&with(&all, "limit=1")).await.is(200);
    talk.post(&all, &config_map("d", &json!({}))).await.is(201);
    let token = page["metadata"]["continue"].as_str().unwrap().to_owned();
    let rest = talk.get(&with(&all, &format!("continue={token}"))).await.is(200);
    assert_eq!(rest["items"].as_array().unwrap().len(), 2, "a page is of its list's revision");
}

async fn a_token_that_is_none_is_refused(talk: &Talk<'_>) {
    talk.begin().await;
    let all = talk.path("v1", "configmaps");
    talk.get(&with(&all, "limit=1&continue=nonsense")).await.is(400);
    talk.get(&with(&all, "limit=x")).await.is(400);
    talk.get(&with(&all, "resourceVersion=x")).await;
    talk.get(&with(&all, "resourceVersionMatch=Exact")).await;
    talk.get(&with(&all, "resourceVersion=0")).await.is(200);
    talk.get(&with(&all, "resourceVersion=999999999&resourceVersionMatch=Exact&limit=1")).await;
}

async fn labels_select(talk: &Talk<'_>) {
    talk.begin().await;
    let all = talk.path("v1", "configmaps");
    for (name, labels) in [("a", json!({"app": "x", "tier": "1"})), ("b", json!({"app": "y"})), ("c", json!({}))] {
        let mut body = config_map(name, &json!({}));
        body["metadata"]["labels"] = labels;
        talk.post(&all, &body).await.is(201);
    }
    let selectors = [
        "app=x",
        "app==x",
        "app!=x",
        "app",
        "!app",
        "app in (x,y)",
        "app notin (x)",
        "app=x,tier=1",
        "app,tier!=1",
        "app=z",
        "tier in (1),app",
        "",
    ];
    for selector in selectors {
        talk.get(&with(&all, &format!("labelSelector={}", encoded(selector)))).await.is(200);
    }
    for wrong in ["app in x", "=x", "app=x y", "app in (x", "a b", "app>x"] {
        talk.get(&with(&all, &format!("labelSelector={}", encoded(wrong)))).await.is(400);
    }
}

async fn fields_select(talk: &Talk<'_>) {
    talk.begin().await;
    let all = talk.path("v1", "pods");
    for name in ["a", "b"] {
        talk.post(&all, &pod(name)).await.is(201);
    }
    for selector in [
        "metadata.name=a",
        "metadata.name!=a",
        "status.phase=Pending",
        "spec.nodeName=",
        "status.phase=Running,metadata.name=a",
    ] {
        talk.get(&with(&all, &format!("fieldSelector={}", encoded(selector)))).await.is(200);
    }
    for wrong in ["spec.image=x", "metadata.labels=x", "metadata.name"] {
        talk.get(&with(&all, &format!("fieldSelector={}", encoded(wrong)))).await.is(400);
    }
    talk.get(&with(&talk.path("v1", "configmaps"), "fieldSelector=data.k%3D1")).await.is(400);
}

async fn a_list_is_of_a_kind(talk: &Talk<'_>) {
    talk.begin().await;
    talk.get(&talk.path("v1", "pods")).await.is(200);
    talk.get(&talk.path("apps/v1", "deployments")).await.is(200);
    let list = talk.get(&talk.path("coordination.k8s.io/v1", "leases")).await.is(200);
    assert_eq!((&list["kind"], &list["items"]), (&json!("LeaseList"), &json!([])));
}

async fn a_collection_is_deleted_by_selector(talk: &Talk<'_>) {
    talk.begin().await;
    let all = talk.path("v1", "configmaps");
    for (name, app) in [("a", "x"), ("b", "y"), ("c", "x")] {
        let mut body = config_map(name, &json!({}));
        body["metadata"]["labels"] = json!({"app": app});
        talk.post(&all, &body).await.is(201);
    }
    talk.delete(&with(&all, "labelSelector=app%3Dx"), &json!(null)).await.is(200);
    let kept = talk.get(&all).await.is(200);
    assert_eq!(kept["items"].as_array().unwrap().len(), 1);
}

fn encoded(text: &str) -> String {
    let letter = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'_' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    };
    text.bytes().map(letter).collect()
}
