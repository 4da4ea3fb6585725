//! What a pod reaches.

use super::super::{Pod, Programs};
use super::bench::{Bench, Said, ask, get, greeter, program};
use crate::world::Options;
use http::Request;
use serde_json::json;
use std::sync::{Arc, Mutex};
use wire::{Body, Error, Roots, Route, Target, Tls};

const WEB: &str = "registry.example/web";
const PROBE: &str = "registry.example/probe";

/// Hands its pod to the test and stays.
fn vantage(pods: &Arc<Mutex<Vec<Pod>>>) -> crate::Program {
    let pods = pods.clone();
    program(move |pod| {
        pods.lock().unwrap().push(pod);
        std::future::pending()
    })
}

/// A cluster with `web` on the workers and a pod to look from on lily.
async fn look_from_lily(options: Options, on_mesh: bool) -> (Bench, Pod) {
    let (said, pods): (Said, Arc<Mutex<Vec<Pod>>>) = Default::default();
    let programs = Programs::default().with(WEB, greeter(&said)).with(PROBE, vantage(&pods));
    let bench = Bench::with(Options { programs, ..options }, on_mesh).await;
    bench.web(json!({})).await;
    bench.create("/api/v1/namespaces/default/serviceaccounts", json!({"metadata": {"name": "probe"}})).await;
    bench
        .create(
            "/api/v1/namespaces/default/pods",
            json!({
                "metadata": {"name": "probe"},
                "spec": {
                    "nodeSelector": {"kubernetes.io/hostname": "lily"}, "serviceAccountName": "probe",
                    "containers": [{"name": "probe", "image": PROBE}],
                },
            }),
        )
        .await;
    bench.rig.wait(30).await;
    let pod = pods.lock().unwrap().pop().unwrap();
    assert_eq!(pod.node, "lily");
    (bench, pod)
}

#[tokio::test(start_paused = true)]
async fn a_pod_reaches_pods_of_other_nodes_and_services_by_name_and_address() {
    let (bench, pod) = look_from_lily(Options::default(), false).await;
    for web in bench.pods().await {
        let address = web["status"]["podIP"].as_str().unwrap();
        let node = web["spec"]["nodeName"].as_str().unwrap();
        assert_eq!(get(&*pod.wire, address, 8080, "/").await, Ok((200, node.to_owned())));
        let closed = get(&*pod.wire, address, 8081, "/").await;
        assert!(matches!(closed, Err(Error::Refused(_))), "{closed:?}");
    }
    let service = bench.kube("GET", "/api/v1/namespaces/default/services/web", None).await.1;
    let address = service["spec"]["clusterIP"].as_str().unwrap().to_owned();
    for name in ["web", "web.default", "web.default.svc", "web.default.svc.cluster.local", address.as_str()] {
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..16 {
            seen.insert(get(&*pod.wire, name, 80, "/").await.unwrap().1);
        }
        assert_eq!(seen.into_iter().collect::<Vec<_>>(), ["lily", "tulip"], "{name}");
    }
    let unknown = get(&*pod.wire, "nobody.default.svc", 80, "/").await;
    assert_eq!(unknown, Err(Error::NoSuchHost("nobody.default.svc".into())));
    let internet = pod
        .wire
        .call(&Target::https("api.hetzner.cloud", 443), Request::get("/v1/servers").body(Body::default()).unwrap());
    assert_eq!(internet.await.unwrap().status(), 401, "leaves the cluster");
}

#[tokio::test(start_paused = true)]
async fn a_pod_asks_the_api_as_its_account_and_is_refused_what_no_role_allows() {
    let (bench, pod) = look_from_lily(Options::default(), false).await;
    let account = "/var/run/secrets/kubernetes.io/serviceaccount";
    let file = |name: &str| String::from_utf8(pod.files[&format!("{account}/{name}")].clone()).unwrap();
    let roots = Roots::Only(vec![pem::parse(file("ca.crt")).unwrap().into_contents()]);
    let host = "kubernetes.default.svc".to_owned();
    let tls = Some(Tls { server_name: host.clone(), roots, identity: None });
    let target = Target { route: Route::Direct, host, port: 443, tls };
    let list = |token: String| {
        let request =
            Request::get("/api/v1/namespaces/default/pods").header("authorization", format!("Bearer {token}"));
        ask(&*pod.wire, &target, request.body(Body::default()).unwrap())
    };
    let (status, refused) = list(file("token")).await.unwrap();
    assert_eq!(status, 403);
    let who = r#"User \"system:serviceaccount:default:probe\" cannot list resource \"pods\" in API group \"\" in the namespace \"default\""#;
    assert!(refused.contains(who), "{refused}");
    let rbac = "/apis/rbac.authorization.k8s.io/v1/namespaces/default";
    bench
        .create(
            &format!("{rbac}/roles"),
            json!({
                "metadata": {"name": "probe"}, "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}],
            }),
        )
        .await;
    bench.create(&format!("{rbac}/rolebindings"), json!({
        "metadata": {"name": "probe"}, "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "probe"},
        "subjects": [{"kind": "Group", "name": "system:serviceaccounts:default", "apiGroup": "rbac.authorization.k8s.io"}],
    })).await;
    assert_eq!(list(file("token")).await.unwrap().0, 200);
    assert_eq!(list(format!("{}x", file("token"))).await.unwrap().0, 401, "another signature");
    let of_no_account = bench.kube("DELETE", "/api/v1/namespaces/default/serviceaccounts/probe", None).await;
    assert_eq!(of_no_account.0, 200);
    assert_eq!(list(file("token")).await.unwrap().0, 401, "the account is no more");
}

#[tokio::test(start_paused = true)]
async fn a_node_cut_from_its_api_is_unknown_and_its_pods_run_on() {
    let (bench, pod) = look_from_lily(Options::default(), false).await;
    let cut = bench.rig.greenhouse.fault("node no-api for lily").unwrap();
    bench.rig.wait(70).await;
    let lily = bench.kube("GET", "/api/v1/nodes/lily", None).await.1;
    let ready =
        lily["status"]["conditions"].as_array().unwrap().iter().find(|at| at["type"] == "Ready").unwrap().clone();
    assert_eq!(ready["status"], "Unknown");
    assert_eq!(bench.serving().await, ["tulip"]);
    let web = bench.pods().await.swap_remove(0);
    let answer = get(&*pod.wire, web["status"]["podIP"].as_str().unwrap(), 8080, "/").await;
    assert_eq!(answer, Ok((200, "lily".to_owned())));
    assert!(matches!(get(&*pod.wire, "10.96.0.1", 443, "/").await, Err(Error::TimedOut(_))));
    bench.rig.greenhouse.heal(cut);
    bench.rig.wait(30).await;
    assert_eq!(bench.serving().await, ["lily", "tulip"]);
}

#[tokio::test(start_paused = true)]
async fn pods_of_different_nodes_meet_only_while_the_mesh_joins_them() {
    let (bench, pod) = look_from_lily(Options::default(), true).await;
    let tulip = bench.pods().await.swap_remove(1);
    let address = tulip["status"]["podIP"].as_str().unwrap().to_owned();
    assert_eq!(get(&*pod.wire, &address, 8080, "/").await, Ok((200, "tulip".to_owned())));
    let cut = bench.rig.greenhouse.fault("node no-mesh for lily:tulip").unwrap();
    assert!(matches!(get(&*pod.wire, &address, 8080, "/").await, Err(Error::TimedOut(_))));
    bench.rig.greenhouse.heal(cut);
    assert_eq!(get(&*pod.wire, &address, 8080, "/").await, Ok((200, "tulip".to_owned())));
}

#[tokio::test(start_paused = true)]
async fn what_a_pod_has_begun_ends_with_it() {
    let (bench, pod) = look_from_lily(Options::default(), false).await;
    let host = bench.pods().await[1]["status"]["podIP"].as_str().unwrap().to_owned();
    bench.rig.greenhouse.kill("lily").unwrap();
    let answer = pod.time.within(std::time::Duration::from_mins(10), get(&*pod.wire, &host, 8080, "/")).await;
    assert!(answer.is_err(), "a call of a pod that is gone never returns");
}
