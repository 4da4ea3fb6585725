//! How containers start, serve and end.

use super::super::Programs;
use super::bench::{Bench, Said, greeter, program};
use crate::world::Options;
use axum::http::StatusCode;
use serde_json::json;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

const IMAGE: &str = "registry.example/web";

#[tokio::test(start_paused = true)]
async fn a_program_runs_once_a_pod_and_sees_its_node_variables_and_files() {
    let seen: Said = Arc::default();
    let tell = seen.clone();
    let web = program(move |pod| {
        let files =
            ["/etc/web/colour", "/etc/pod/me", "/var/run/secrets/kubernetes.io/serviceaccount/namespace"].map(|path| {
                pod.files.get(path).map(|bytes| String::from_utf8_lossy(bytes).into_owned()).unwrap_or_default()
            });
        let env = ["ME", "WHERE", "KEY", "GREETING", "KUBERNETES_SERVICE_HOST"].map(|name| pod.env[name].clone());
        tell.lock().unwrap().push(format!(
            "{} {:?} {env:?} {files:?} {:?}",
            pod.node,
            pod.args,
            pod.env["ADDRESS"] == pod.address.to_string()
        ));
        std::future::pending()
    });
    let bench = Bench::new(Programs::default().with(IMAGE, web)).await;
    bench
        .create(
            "/api/v1/namespaces/default/configmaps",
            json!({"metadata": {"name": "web"}, "data": {"colour": "red"}}),
        )
        .await;
    bench
        .create("/api/v1/namespaces/default/secrets", json!({"metadata": {"name": "web"}, "stringData": {"key": "s3"}}))
        .await;
    let field = |name: &str, path: &str| json!({"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}});
    bench.create("/apis/apps/v1/namespaces/default/daemonsets", json!({
        "metadata": {"name": "web"},
        "spec": {"selector": {"matchLabels": {"app": "web"}}, "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {
                "containers": [{
                    "name": "web", "image": "registry.example/web:1@sha256:00", "args": ["--node=$(WHERE)"],
                    "env": [
                        field("ME", "metadata.namespace"), field("WHERE", "spec.nodeName"), field("ADDRESS", "status.podIP"),
                        {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "web", "key": "key"}}},
                        {"name": "GREETING", "value": "from $(WHERE)"},
                    ],
                    "volumeMounts": [
                        {"name": "config", "mountPath": "/etc/web"}, {"name": "me", "mountPath": "/etc/pod"},
                    ],
                }],
                "volumes": [
                    {"name": "config", "configMap": {"name": "web"}},
                    {"name": "me", "projected": {"sources": [
                        {"downwardAPI": {"items": [{"path": "me", "fieldRef": {"fieldPath": "metadata.namespace"}}]}},
                    ]}},
                ],
            },
        }},
    })).await;
    bench.rig.wait(30).await;
    let mut seen = seen.lock().unwrap().clone();
    seen.sort();
    let line = |node: &str| {
        format!(
            "{node} [\"--node={node}\"] [\"default\", \"{node}\", \"s3\", \"from {node}\", \"10.96.0.1\"] \
             [\"red\", \"default\", \"default\"] true"
        )
    };
    assert_eq!(seen, [line("lily"), line("tulip")]);
}

#[tokio::test(start_paused = true)]
async fn a_readiness_probe_gates_the_endpoints() {
    let well = Arc::new(AtomicBool::new(false));
    let health = well.clone();
    let web = program(move |pod| {
        let well = health.clone();
        async move {
            let answer = move || {
                let status = if well.load(Ordering::SeqCst) { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
                std::future::ready(status)
            };
            pod.doors.open(8080, None, axum::Router::new().route("/ready", axum::routing::get(answer)));
            std::future::pending::<()>().await;
        }
    });
    let bench = Bench::new(Programs::default().with(IMAGE, web)).await;
    bench.web(json!({
        "ports": [{"name": "http", "containerPort": 8080}],
        "readinessProbe": {"httpGet": {"path": "/ready", "port": "http"}, "periodSeconds": 5, "failureThreshold": 2},
    })).await;
    bench.rig.wait(60).await;
    assert!(bench.pods().await.iter().all(|pod| pod["status"]["phase"] == "Running"));
    assert_eq!(bench.serving().await, Vec::<String>::new());
    well.store(true, Ordering::SeqCst);
    bench.rig.wait(6).await;
    assert_eq!(bench.serving().await, ["lily", "tulip"]);
    well.store(false, Ordering::SeqCst);
    bench.rig.wait(5).await;
    assert_eq!(bench.serving().await, ["lily", "tulip"], "one failure is not two");
    bench.rig.wait(6).await;
    assert_eq!(bench.serving().await, Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_liveness_probe_that_fails_restarts_the_container() {
    let starts = Arc::new(AtomicU64::new(0));
    let count = starts.clone();
    let web = program(move |pod| {
        count.fetch_add(1, Ordering::SeqCst);
        async move {
            pod.doors.open(8080, None, axum::Router::new());
            pod.term.asked().await;
        }
    });
    let bench = Bench::new(Programs::default().with(IMAGE, web)).await;
    bench.web(json!({"livenessProbe": {"httpGet": {"path": "/live", "port": 8080}, "periodSeconds": 10}})).await;
    bench.rig.wait(20).await;
    assert_eq!(starts.load(Ordering::SeqCst), 2, "one on each node");
    bench.rig.wait(15).await;
    assert_eq!(starts.load(Ordering::SeqCst), 4);
    assert!(bench.pods().await.iter().all(|pod| pod["status"]["containerStatuses"][0]["restartCount"] == 1));
}

#[tokio::test(start_paused = true)]
async fn a_deleted_pod_is_asked_to_end_and_dropped_after_its_grace() {
    struct Dropped(Arc<Mutex<Vec<String>>>, String);
    impl Drop for Dropped {
        fn drop(&mut self) {
            self.0.lock().unwrap().push(format!("{} dropped", self.1));
        }
    }
    let said: Said = Arc::default();
    let tell = said.clone();
    let web = program(move |pod| {
        let said = tell.clone();
        async move {
            let _dropped = Dropped(said.clone(), pod.node.clone());
            pod.term.asked().await;
            said.lock().unwrap().push(format!("{} asked", pod.node));
            std::future::pending::<()>().await;
        }
    });
    let bench = Bench::new(Programs::default().with(IMAGE, web)).await;
    bench.web(json!({})).await;
    bench.rig.wait(30).await;
    let lily = bench.pods().await[0]["metadata"]["name"].as_str().unwrap().to_owned();
    bench.kube("DELETE", &format!("/api/v1/namespaces/default/pods/{lily}"), None).await;
    bench.rig.wait(10).await;
    assert_eq!(*said.lock().unwrap(), ["lily asked"]);
    bench.rig.wait(12).await;
    assert_eq!(*said.lock().unwrap(), ["lily asked", "lily dropped"]);
    bench.rig.wait(30).await;
    assert!(bench.pods().await.iter().all(|pod| pod["metadata"]["name"] != *lily), "another has taken its place");
}

#[tokio::test(start_paused = true)]
async fn a_machine_without_power_drops_its_pods_unasked_and_starts_them_anew() {
    let said: Said = Arc::default();
    let bench = Bench::new(Programs::default().with(IMAGE, greeter(&said))).await;
    bench.web(json!({})).await;
    bench.rig.wait(30).await;
    bench.rig.greenhouse.kill("machine-2").unwrap();
    bench.rig.wait(60).await;
    assert_eq!(said.lock().unwrap().len(), 2, "nothing starts on a machine without power");
    bench.rig.greenhouse.start("machine-2").unwrap();
    bench.rig.wait(120).await;
    let mut said = said.lock().unwrap().clone();
    said.sort();
    assert_eq!(said, ["lily starts", "lily starts", "tulip starts"]);
    let pods = bench.pods().await;
    assert_eq!(pods[0]["status"]["containerStatuses"][0]["restartCount"], 1);
    assert_eq!(bench.serving().await, ["lily", "tulip"]);
}

#[tokio::test(start_paused = true)]
async fn a_container_that_exits_is_restarted_with_back_off_and_is_not_ready_meanwhile() {
    let starts: Arc<Mutex<Vec<i64>>> = Arc::default();
    let count = starts.clone();
    let web = program(move |pod| {
        if pod.node == "lily" {
            count.lock().unwrap().push(pod.time.now().as_second());
        }
        let node = pod.node;
        async move {
            if node != "lily" {
                std::future::pending::<()>().await;
            }
            pod.time.sleep(Duration::from_secs(1)).await;
        }
    });
    let bench = Bench::new(Programs::default().with(IMAGE, web)).await;
    bench.web(json!({})).await;
    bench.rig.wait(60).await;
    let lily = bench.pods().await.swap_remove(0);
    let status = &lily["status"]["containerStatuses"][0];
    assert_eq!(status["state"]["waiting"]["reason"], "CrashLoopBackOff", "{status}");
    assert_eq!(status["lastState"]["terminated"]["exitCode"], 0);
    assert_eq!(bench.serving().await, ["tulip"]);
    let starts = starts.lock().unwrap();
    let pauses: Vec<i64> = starts.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!(pauses, [1, 11, 21]);
}

#[tokio::test(start_paused = true)]
async fn the_same_seed_runs_the_same_programs_at_the_same_times() {
    async fn life() -> (String, Vec<String>) {
        let said: Said = Arc::default();
        let tell = said.clone();
        let web = program(move |pod| {
            let number = pod.time.rng("draw").between(0, 1 << 30);
            tell.lock().unwrap().push(format!("{} {} {number}", pod.name, pod.time.now()));
            std::future::ready(())
        });
        let programs = Programs::default().with(IMAGE, web);
        let bench = Bench::with(Options { programs, ..Options::default() }, false).await;
        bench.web(json!({})).await;
        bench.rig.wait(60).await;
        let said = said.lock().unwrap().clone();
        (bench.rig.greenhouse.log(), said)
    }
    let (one, other) = (life().await, life().await);
    assert!(one.1.len() > 4);
    assert_eq!(one, other);
    let draws = one.1.iter().map(|line| line.rsplit(' ').next()).collect::<std::collections::BTreeSet<_>>();
    assert_eq!(draws.len(), one.1.len(), "each start draws its own numbers");
}
