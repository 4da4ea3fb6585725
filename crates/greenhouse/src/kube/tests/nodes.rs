use super::{Api, node};
use serde_json::{Value, json};
use std::time::Duration;

fn ready(node: &Value) -> &Value {
    let conditions = node["status"]["conditions"].as_array().unwrap();
    conditions.iter().find(|at| at["type"] == "Ready").unwrap()
}

fn taints(node: &Value) -> Vec<String> {
    let taints = node["spec"]["taints"].as_array().cloned().unwrap_or_default();
    taints.iter().map(|at| format!("{}:{}", at["key"].as_str().unwrap(), at["effect"].as_str().unwrap())).collect()
}

#[tokio::test(start_paused = true)]
async fn a_kubelet_registers_its_node_as_talos_does() {
    let api = Api::new();
    api.report(&node("rose", true));
    let (status, rose) = api.get("/api/v1/nodes/rose").await;
    assert_eq!(status, 200);
    assert_eq!(rose["metadata"]["labels"]["kubernetes.io/hostname"], "rose");
    assert_eq!(rose["metadata"]["labels"]["node-role.kubernetes.io/control-plane"], "");
    assert_eq!(rose["spec"]["podCIDR"], "10.244.0.0/24");
    assert_eq!(taints(&rose), ["node-role.kubernetes.io/control-plane:NoSchedule"]);
    assert_eq!(ready(&rose)["status"], "True");
    assert_eq!(rose["status"]["nodeInfo"]["kubeletVersion"], "v1.37.1");
    assert_eq!(rose["status"]["capacity"]["memory"], "4194304Ki");
    assert_eq!(rose["status"]["allocatable"]["cpu"], "1950m");
    api.report(&node("lily", false));
    assert_eq!(api.get("/api/v1/nodes/lily").await.1["spec"]["podCIDR"], "10.244.1.0/24");
}

#[tokio::test(start_paused = true)]
async fn heartbeats_renew_the_lease_and_touch_the_node_every_five_minutes() {
    let api = Api::new();
    let lily = node("lily", false);
    api.live(&[&lily], 60).await;
    let version = |node: &Value| node["metadata"]["resourceVersion"].clone();
    let before = version(&api.get("/api/v1/nodes/lily").await.1);
    let lease = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/lily";
    let renewed = api.get(lease).await.1["spec"]["renewTime"].clone();
    api.live(&[&lily], 60).await;
    assert_eq!(version(&api.get("/api/v1/nodes/lily").await.1), before);
    assert_ne!(api.get(lease).await.1["spec"]["renewTime"], renewed);
    api.live(&[&lily], 300).await;
    assert_ne!(version(&api.get("/api/v1/nodes/lily").await.1), before);
}

#[tokio::test(start_paused = true)]
async fn a_silent_node_is_unknown_and_tainted_after_fifty_seconds_and_comes_back() {
    let api = Api::new();
    let lily = node("lily", false);
    api.live(&[&lily], 30).await;
    api.world.time().sleep(Duration::from_secs(39)).await;
    assert_eq!(ready(&api.get("/api/v1/nodes/lily").await.1)["status"], "True");
    api.world.time().sleep(Duration::from_secs(3)).await;
    let silent = api.get("/api/v1/nodes/lily").await.1;
    assert_eq!(
        (&ready(&silent)["status"], &ready(&silent)["reason"]),
        (&json!("Unknown"), &json!("NodeStatusUnknown"))
    );
    let unreachable = ["node.kubernetes.io/unreachable:NoSchedule", "node.kubernetes.io/unreachable:NoExecute"];
    assert_eq!(taints(&silent), unreachable);
    api.report(&lily);
    let back = api.get("/api/v1/nodes/lily").await.1;
    assert_eq!((&ready(&back)["status"], taints(&back)), (&json!("True"), Vec::new()));
    api.world.time().sleep(Duration::from_secs(55)).await;
    assert_eq!(ready(&api.get("/api/v1/nodes/lily").await.1)["status"], "Unknown", "and is watched again");
}

#[tokio::test(start_paused = true)]
async fn a_node_that_is_not_ready_says_why_and_is_tainted() {
    let api = Api::new();
    let mut lily = node("lily", false);
    lily.ready = Err("container runtime network not ready: cni plugin not initialized".into());
    api.report(&lily);
    let waiting = api.get("/api/v1/nodes/lily").await.1;
    assert_eq!(ready(&waiting)["reason"], "KubeletNotReady");
    assert!(taints(&waiting).contains(&"node.kubernetes.io/not-ready:NoSchedule".into()));
    lily.ready = Ok(());
    api.report(&lily);
    assert_eq!(taints(&api.get("/api/v1/nodes/lily").await.1), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_deleted_node_stays_deleted_until_its_machine_boots_again() {
    let api = Api::new();
    let mut lily = node("lily", false);
    api.live(&[&lily], 30).await;
    assert_eq!(api.write("DELETE", "/api/v1/nodes/lily", &json!({})).await.1["status"], "Success");
    api.live(&[&lily], 30).await;
    assert_eq!(api.get("/api/v1/nodes/lily").await.0, 404);
    lily.boot_id = "another boot".into();
    api.report(&lily);
    assert_eq!(api.get("/api/v1/nodes/lily").await.0, 200);
}

#[tokio::test(start_paused = true)]
async fn talos_takes_back_a_label_that_it_no_longer_finds_configured_and_leaves_others() {
    let api = Api::new();
    let mut lily = node("lily", false);
    api.report(&lily);
    let patch = json!({"metadata": {"labels": {"mine": "1"}}}).to_string();
    api.send("PATCH", "/api/v1/nodes/lily", "application/merge-patch+json", patch).await;
    lily.labels.clear();
    api.report(&lily);
    let labels = api.get("/api/v1/nodes/lily").await.1["metadata"]["labels"].clone();
    assert_eq!((&labels["mine"], &labels["bouquet.dev/cluster"]), (&json!("1"), &Value::Null));
}
