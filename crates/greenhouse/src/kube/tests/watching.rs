use super::{Api, certificate, node, peer};
use axum::body::Body;
use http::Request;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use std::time::Duration;

struct Watch {
    body: Body,
    pending: Vec<u8>,
}

impl Watch {
    async fn open(api: &Api, path: &str) -> Self {
        let mut request = Request::get(path).body(Body::empty()).unwrap();
        request.extensions_mut().insert(peer(Some(certificate("admin", &["system:masters"]))));
        Watch { body: api.raw(request).await.into_body(), pending: Vec::new() }
    }

    async fn next(&mut self) -> Option<(String, Value)> {
        while !self.pending.contains(&b'\n') {
            let frame = self.body.frame().await?.unwrap();
            self.pending.extend_from_slice(frame.data_ref().unwrap());
        }
        let end = self.pending.iter().position(|byte| *byte == b'\n').unwrap();
        let line: Vec<u8> = self.pending.drain(..=end).collect();
        let event: Value = serde_json::from_slice(&line).unwrap();
        Some((event["type"].as_str().unwrap().to_owned(), event["object"].clone()))
    }
}

#[tokio::test(start_paused = true)]
async fn a_watch_from_a_list_sees_what_came_after_it() {
    let api = Api::new();
    api.report(&node("rose", true));
    let revision = api.get("/api/v1/nodes").await.1["metadata"]["resourceVersion"].as_str().unwrap().to_owned();
    let path = format!("/api/v1/nodes?watch=true&resourceVersion={revision}&timeoutSeconds=30");
    let mut watch = Watch::open(&api, &path).await;
    api.report(&node("lily", false));
    let (kind, object) = watch.next().await.unwrap();
    assert_eq!((kind.as_str(), &object["metadata"]["name"]), ("ADDED", &json!("lily")));
    api.write("DELETE", "/api/v1/nodes/lily", &json!({})).await;
    assert_eq!(watch.next().await.unwrap().0, "DELETED");
    assert!(watch.next().await.is_none(), "the timeout ends it");
}

#[tokio::test(start_paused = true)]
async fn an_object_that_leaves_the_selection_is_deleted_for_the_watch() {
    let api = Api::new();
    api.report(&node("lily", false));
    let mut watch = Watch::open(&api, "/api/v1/nodes?watch=1&labelSelector=bouquet.dev/cluster%3Db").await;
    assert_eq!(watch.next().await.unwrap().0, "ADDED");
    let patch = json!({"metadata": {"labels": {"bouquet.dev/cluster": "other"}}}).to_string();
    api.send("PATCH", "/api/v1/nodes/lily", "application/merge-patch+json", patch).await;
    assert_eq!(watch.next().await.unwrap().0, "DELETED");
}

#[tokio::test(start_paused = true)]
async fn a_watch_from_a_forgotten_revision_is_told_that_it_expired() {
    let api = Api::new();
    let lily = node("lily", false);
    for _ in 0..5000 {
        api.report(&lily);
        api.world.time().sleep(Duration::from_millis(10)).await;
    }
    let mut watch = Watch::open(&api, "/api/v1/nodes?watch=1&resourceVersion=2").await;
    let (kind, object) = watch.next().await.unwrap();
    assert_eq!((kind.as_str(), &object["code"], &object["reason"]), ("ERROR", &json!(410), &json!("Expired")));
    assert!(watch.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_streaming_list_ends_its_beginning_with_a_marked_bookmark() {
    let api = Api::new();
    let path = "/api/v1/namespaces?watch=1&sendInitialEvents=true&allowWatchBookmarks=true\
                &resourceVersionMatch=NotOlderThan";
    let mut watch = Watch::open(&api, path).await;
    for _ in 0..4 {
        assert_eq!(watch.next().await.unwrap().0, "ADDED");
    }
    let (kind, object) = watch.next().await.unwrap();
    assert_eq!(kind, "BOOKMARK");
    assert_eq!(object["metadata"]["annotations"]["k8s.io/initial-events-end"], "true");
    let (kind, object) = watch.next().await.unwrap();
    assert_eq!((kind.as_str(), &object["metadata"]["annotations"]), ("BOOKMARK", &Value::Null), "a minute later");
}

#[tokio::test(start_paused = true)]
async fn pages_of_a_list_cover_it_once() {
    let api = Api::new();
    let mut names = Vec::new();
    let mut token = String::new();
    loop {
        let page = api.get(&format!("/api/v1/namespaces?limit=3&continue={token}")).await.1;
        let items = page["items"].as_array().unwrap();
        names.extend(items.iter().map(|at| at["metadata"]["name"].as_str().unwrap().to_owned()));
        match page["metadata"]["continue"].as_str() {
            Some(next) => token = next.replace('=', "%3D").replace('+', "%2B"),
            None => break,
        }
    }
    assert_eq!(names, ["default", "kube-node-lease", "kube-public", "kube-system"]);
    assert_eq!(api.get("/api/v1/namespaces?continue=nonsense").await.0, 400);
}
