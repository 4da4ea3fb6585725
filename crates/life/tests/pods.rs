//! Programs in the pods of a whole cluster: two clouds, their firewalls, one tailnet.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests fail as tests do")]

use bytes::Bytes;
use futures::future::BoxFuture;
use greenhouse::{Options, Pod, Program, Programs};
use http::Request;
use life::{Life, MISSION, alone};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use wire::{Body, Error, Roots, Route, Target, Tls, Wire};

const IMAGE: &str = "registry.example/vantage";

type Pods = Arc<Mutex<BTreeMap<String, Pod>>>;

/// Answers 404 to everything, and hands its pod to the test.
fn vantage(pods: &Pods) -> Program {
    let pods = pods.clone();
    Arc::new(move |pod| -> BoxFuture<'static, ()> {
        pods.lock().unwrap().insert(pod.node.clone(), pod.clone());
        Box::pin(async move {
            pod.doors.open(8000, None, axum::Router::new());
            pod.term.asked().await;
        })
    })
}

async fn ask(wire: &dyn Wire, target: &Target, request: Request<Body>) -> Result<(u16, Value), Error> {
    let answer = wire.call(target, request).await?;
    let status = answer.status().as_u16();
    let bytes = answer.into_body().collect(16 << 20).await.unwrap();
    Ok((status, serde_json::from_slice(&bytes).unwrap_or_default()))
}

async fn get(wire: &dyn Wire, host: &str, port: u16) -> Result<u16, Error> {
    Ok(ask(wire, &Target::plain(host, port), Request::get("/").body(Body::default()).unwrap()).await?.0)
}

/// The administrator's way to the API.
async fn kube(life: &Life, method: &str, path: &str, body: Value) -> (u16, Value) {
    let observed = life.observe().await;
    let host = observed.device("rose").and_then(|device| device.address).unwrap().to_string();
    let bundle = life.subject.bundle.as_ref().unwrap();
    let (time, day) = (life.reach.line.time(), Duration::from_hours(24));
    let admin = talos::kubernetes_admin(bundle, time.now(), day, &mut time.rng("administrator")).unwrap();
    let tls = Tls {
        server_name: host.clone(),
        roots: Roots::Only(vec![bundle.k8s.der().unwrap()]),
        identity: Some(admin.identity),
    };
    let target = Target { route: Route::Mesh, host, port: 6443, tls: Some(tls) };
    let request = Request::builder().method(method).uri(path).header("content-type", "application/json");
    let request = request.body(Body::from(Bytes::from(body.to_string()))).unwrap();
    ask(&*life.world.wire(), &target, request).await.unwrap()
}

fn daemons() -> Value {
    let labels = json!({"app": "vantage"});
    json!({
        "metadata": {"name": "vantage"},
        "spec": {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": {
            "tolerations": [{"operator": "Exists"}],
            "containers": [{
                "name": "vantage", "image": IMAGE, "ports": [{"containerPort": 8000, "hostPort": 80}, {"containerPort": 8000, "hostPort": 8443, "name": "shut"}],
                "readinessProbe": {"tcpSocket": {"port": 8000}},
            }],
        }}},
    })
}

/// The mission's cluster with a vantage on each node.
async fn garden() -> (Life, BTreeMap<String, Pod>) {
    let pods = Pods::default();
    let programs = Programs::default().with(IMAGE, vantage(&pods));
    let life = Life::with(&Options { programs, ..Options::default() }, MISSION);
    let outcome = life.apply().await;
    assert!(outcome.is_ok(), "{:#?}\n{}", outcome.failed, life.world.log());
    let (status, made) = kube(&life, "POST", "/apis/apps/v1/namespaces/kube-system/daemonsets", daemons()).await;
    assert_eq!(status, 201, "{made}");
    life.reach.line.time().sleep(Duration::from_mins(1)).await;
    let set = kube(&life, "GET", "/apis/apps/v1/namespaces/kube-system/daemonsets/vantage", json!({})).await.1;
    assert_eq!(set["status"]["numberReady"], 3, "{set}");
    let pods = pods.lock().unwrap().clone();
    (life, pods)
}

#[test]
fn pods_of_two_clouds_meet_over_the_mesh_and_not_without_it() {
    alone(async {
        let (life, pods) = garden().await;
        for (from, to) in [("lily", "tulip"), ("tulip", "lily"), ("rose", "tulip")] {
            let (wire, address) = (&pods[from].wire, pods[to].address.to_string());
            assert_eq!(get(&**wire, &address, 8000).await, Ok(404), "{from} to {to}");
        }
        let cut = life.world.fault("node no-mesh for lily:tulip").unwrap();
        let lost = get(&*pods["lily"].wire, &pods["tulip"].address.to_string(), 8000).await;
        assert!(matches!(lost, Err(Error::TimedOut(_))), "{lost:?}");
        life.world.heal(cut);
        life.world.kill("tulip").unwrap();
        let dead = get(&*pods["lily"].wire, &pods["tulip"].address.to_string(), 8000).await;
        assert!(matches!(dead, Err(Error::TimedOut(_))), "{dead:?}");
    });
}

#[test]
fn a_published_port_stands_behind_the_clouds_firewall_but_for_its_own_node() {
    alone(async {
        let (life, pods) = garden().await;
        let nodes = kube(&life, "GET", "/api/v1/nodes", json!({})).await.1;
        assert_eq!(nodes["items"].as_array().unwrap().len(), 3);
        let observed = life.observe().await;
        for (name, pod) in &pods {
            let public =
                observed.machine(name).and_then(|machine| machine.addresses.first().copied()).unwrap().to_string();
            assert_eq!(get(&*pod.wire, &public, 8443).await, Ok(404), "{name} to itself");
            let outside = get(&*life.world.wire(), &public, 8443).await;
            assert!(matches!(outside, Err(Error::TimedOut(_))), "{name}: {outside:?}");
            let outside = get(&*life.world.wire(), &public, 80).await;
            // The control plane of a cluster that has workers takes no visitors.
            if name == "rose" {
                assert!(matches!(outside, Err(Error::TimedOut(_))), "{outside:?}");
                continue;
            }
            assert_eq!(outside, Ok(404), "{name} from the internet");
            let mesh = observed.device(name).and_then(|device| device.address).unwrap().to_string();
            let other = if name == "lily" { "tulip" } else { "lily" };
            assert_eq!(get(&*pods[other].wire, &mesh, 80).await, Ok(404), "{other} to {name} over the mesh");
        }
    });
}
