use super::{Api, node};
use serde_json::{Value, json};
use std::time::Duration;

async fn pods(api: &Api, query: &str) -> Vec<Value> {
    api.get(&format!("/api/v1/pods?{query}")).await.1["items"].as_array().unwrap().clone()
}

fn names(pods: &[Value]) -> Vec<&str> {
    pods.iter().map(|pod| pod["metadata"]["name"].as_str().unwrap()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_control_plane_and_a_worker_come_to_run_the_system_pods() {
    let api = Api::new();
    let (rose, lily) = (node("rose", true), node("lily", false));
    api.live(&[&rose, &lily], 30).await;
    let on_rose = pods(&api, "fieldSelector=spec.nodeName%3Drose").await;
    for prefix in ["kube-apiserver-rose", "kube-scheduler-rose", "kube-flannel-", "kube-proxy-"] {
        assert!(names(&on_rose).iter().any(|name| name.starts_with(prefix)), "{prefix}: {:?}", names(&on_rose));
    }
    assert_eq!(pods(&api, "labelSelector=k8s-app%3Dkube-dns").await.len(), 2);
    assert!(pods(&api, "fieldSelector=status.phase!%3DRunning").await.is_empty());
    let flannel = api.get("/apis/apps/v1/namespaces/kube-system/daemonsets/kube-flannel").await.1;
    assert_eq!(
        (&flannel["status"]["desiredNumberScheduled"], &flannel["status"]["numberReady"]),
        (&json!(2), &json!(2))
    );
    let coredns = api.get("/apis/apps/v1/namespaces/kube-system/deployments/coredns").await.1;
    assert_eq!(coredns["status"]["readyReplicas"], 2);
    let flannel_runs = |state: &mut crate::world::State| {
        let cluster = crate::kube::cluster(state, api.id).unwrap();
        crate::kube::pods::has_ready(&cluster.store, "lily", "kube-flannel")
    };
    assert!(api.world.with(flannel_runs));
}

#[tokio::test(start_paused = true)]
async fn a_cluster_at_rest_writes_nothing_but_leases() {
    let api = Api::new();
    let lily = node("lily", false);
    api.live(&[&lily], 60).await;
    let newest = |api: &Api| api.world.with(|state| state.kube.clusters[&api.id].store.revision());
    let before = newest(&api);
    api.live(&[&lily], 100).await;
    assert_eq!(newest(&api) - before, 10);
}

#[tokio::test(start_paused = true)]
async fn a_drained_pod_comes_up_on_another_node() {
    let api = Api::new();
    let (lily, tulip) = (node("lily", false), node("tulip", false));
    api.live(&[&lily, &tulip], 30).await;
    let cordon = json!({"spec": {"unschedulable": true}}).to_string();
    api.send("PATCH", "/api/v1/nodes/lily", "application/merge-patch+json", cordon).await;
    let dns = pods(&api, "labelSelector=k8s-app%3Dkube-dns&fieldSelector=spec.nodeName%3Dlily").await;
    assert_eq!(dns.len(), 1);
    let name = dns[0]["metadata"]["name"].as_str().unwrap();
    let path = format!("/api/v1/namespaces/kube-system/pods/{name}/eviction");
    let eviction = json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}});
    assert_eq!(api.write("POST", &path, &eviction).await.0, 201);
    api.live(&[&lily, &tulip], 20).await;
    let dns = pods(&api, "labelSelector=k8s-app%3Dkube-dns&fieldSelector=status.phase%3DRunning").await;
    let on: Vec<&Value> = dns.iter().map(|pod| &pod["spec"]["nodeName"]).collect();
    assert_eq!(on, [&json!("tulip"), &json!("tulip")]);
}

#[tokio::test(start_paused = true)]
async fn a_budget_that_allows_nothing_refuses_the_eviction() {
    let api = Api::new();
    let lily = node("lily", false);
    api.live(&[&lily], 30).await;
    let budget = json!({
        "apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "dns"},
        "spec": {"minAvailable": 2, "selector": {"matchLabels": {"k8s-app": "kube-dns"}}},
    });
    let budgets = "/apis/policy/v1/namespaces/kube-system/poddisruptionbudgets";
    assert_eq!(api.write("POST", budgets, &budget).await.0, 201);
    let dns = pods(&api, "labelSelector=k8s-app%3Dkube-dns").await;
    let path = format!("/api/v1/namespaces/kube-system/pods/{}/eviction", names(&dns)[0]);
    let eviction = json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {}});
    let (status, refused) = api.write("POST", &path, &eviction).await;
    assert_eq!((status, &refused["reason"]), (429, &json!("TooManyRequests")));
    let why = "The disruption budget dns needs 2 healthy pods and has 2 currently";
    assert_eq!(refused["details"]["causes"][0]["message"], why);
    let looser = json!({"spec": {"minAvailable": 1}}).to_string();
    api.send("PATCH", &format!("{budgets}/dns"), "application/merge-patch+json", looser).await;
    assert_eq!(api.write("POST", &path, &eviction).await.0, 201);
}

#[tokio::test(start_paused = true)]
async fn pods_of_a_dead_node_are_not_ready_then_terminating_and_their_work_moves() {
    let api = Api::new();
    let (lily, tulip) = (node("lily", false), node("tulip", false));
    api.live(&[&lily, &tulip], 30).await;
    api.live(&[&tulip], 70).await;
    let on_lily = pods(&api, "fieldSelector=spec.nodeName%3Dlily").await;
    let is_ready = |pod: &Value| crate::kube::evict::is_ready(pod);
    assert!(!on_lily.is_empty() && !on_lily.iter().any(is_ready));
    api.live(&[&tulip], 320).await;
    let dns = pods(&api, "labelSelector=k8s-app%3Dkube-dns").await;
    assert_eq!(dns.len(), 3, "one of them Terminating on the dead node: {:?}", names(&dns));
    assert_eq!(dns.iter().filter(|pod| pod["metadata"]["deletionTimestamp"].is_string()).count(), 1);
    api.write("DELETE", "/api/v1/nodes/lily", &json!({})).await;
    api.world.time().sleep(Duration::from_secs(1)).await;
    assert!(pods(&api, "fieldSelector=spec.nodeName%3Dlily").await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_deleted_deployment_takes_its_pods() {
    let api = Api::new();
    let lily = node("lily", false);
    api.live(&[&lily], 30).await;
    api.write("DELETE", "/apis/apps/v1/namespaces/kube-system/deployments/coredns", &json!({})).await;
    api.live(&[&lily], 20).await;
    assert!(pods(&api, "labelSelector=k8s-app%3Dkube-dns").await.is_empty());
}
