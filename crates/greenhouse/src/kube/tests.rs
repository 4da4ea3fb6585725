//! The API as a client meets it: through the router, with a certificate.

mod nodes;
mod watching;
mod workloads;
mod writes;

use super::{ClusterId, NodeReport, create, kubelet_reports, router};
use crate::net::{From, OPERATOR, Peer};
use crate::world::{Greenhouse, Options, World};
use axum::body::Body;
use http::{Request, Response};
use http_body_util::BodyExt;
use jiff::Timestamp;
use rcgen::{CertificateParams, DnType, KeyPair};
use serde_json::Value;
use std::time::Duration;
use tower::ServiceExt;
use wire::{Rng, Time};

struct Api {
    world: World,
    id: ClusterId,
}

impl Api {
    fn new() -> Self {
        let time = Time::starting_at("2026-11-22T10:00:00Z".parse::<Timestamp>().unwrap(), Rng::seeded(1));
        let world = Greenhouse::new(&Options::default(), time).unwrap().world;
        let id = world.with(|state| create(state, "1.37.1"));
        Api { world, id }
    }

    async fn raw(&self, request: Request<Body>) -> Response<Body> {
        router(&self.world, self.id).oneshot(request).await.unwrap()
    }

    /// As `system:masters`.
    async fn send(&self, method: &str, path: &str, content_type: &str, body: impl Into<Body>) -> (u16, Value) {
        let request = Request::builder().method(method).uri(path).header("content-type", content_type);
        let mut request = request.body(body.into()).unwrap();
        request.extensions_mut().insert(peer(Some(certificate("admin", &["system:masters"]))));
        let response = self.raw(request).await;
        let status = response.status().as_u16();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        let value = serde_json::from_slice(&bytes);
        (status, value.unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&bytes).into_owned())))
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        self.send("GET", path, "application/json", Body::empty()).await
    }

    async fn write(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        self.send(method, path, "application/json", body.to_string()).await
    }

    fn report(&self, report: &NodeReport) {
        self.world.with(|state| kubelet_reports(&self.world, state, self.id, report));
    }

    /// Lets the nodes live for so many seconds, with a heartbeat every ten.
    async fn live(&self, nodes: &[&NodeReport], seconds: u64) {
        for _ in 0..seconds.div_ceil(10) {
            for node in nodes {
                self.report(node);
            }
            self.world.time().sleep(Duration::from_secs(10)).await;
        }
    }
}

fn peer(certificate: Option<Vec<u8>>) -> Peer {
    Peer { address: OPERATOR, from: From::Operator, to: None, certificates: certificate.map(|leaf| vec![leaf]) }
}

fn certificate(user: &str, groups: &[&str]) -> Vec<u8> {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, user);
    for group in groups {
        params.distinguished_name.push(DnType::OrganizationName, *group);
    }
    params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
}

fn node(name: &str, control_plane: bool) -> NodeReport {
    let taint = ("node-role.kubernetes.io/control-plane".to_owned(), String::new(), "NoSchedule".to_owned());
    NodeReport {
        name: name.into(),
        addresses: vec![("InternalIP", "100.64.0.7".into()), ("Hostname", name.into())],
        labels: [("bouquet.dev/cluster".to_owned(), "b".to_owned())].into(),
        taints: if control_plane { vec![taint] } else { Vec::new() },
        kubelet: "1.37.1".into(),
        os_image: "Talos (v1.14.6)".into(),
        arch: "arm64",
        provider_id: None,
        cores: 2,
        memory_mib: 4096,
        boot_id: format!("boot-of-{name}"),
        machine: None,
        control_plane,
        ready: Ok(()),
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_certificate_nothing_is_answered() {
    let api = Api::new();
    let mut request = Request::get("/version").body(Body::empty()).unwrap();
    request.extensions_mut().insert(peer(None));
    let response = api.raw(request).await;
    assert_eq!(response.status(), 401);
    let status: Value = serde_json::from_slice(&response.into_body().collect().await.unwrap().to_bytes()).unwrap();
    assert_eq!((&status["kind"], &status["reason"]), (&"Status".into(), &"Unauthorized".into()));
}

#[tokio::test(start_paused = true)]
async fn a_user_without_a_role_sees_the_version_and_no_objects() {
    let api = Api::new();
    let ask = |path: &str| {
        let mut request = Request::get(path).body(Body::empty()).unwrap();
        request.extensions_mut().insert(peer(Some(certificate("mallory", &["visitors"]))));
        api.raw(request)
    };
    assert_eq!(ask("/version").await.status(), 200);
    let refused = ask("/api/v1/namespaces/kube-system/secrets").await;
    assert_eq!(refused.status(), 403);
    let status: Value = serde_json::from_slice(&refused.into_body().collect().await.unwrap().to_bytes()).unwrap();
    let expected = "secrets is forbidden: User \"mallory\" cannot list resource \"secrets\" in API group \"\" in the \
                    namespace \"kube-system\"";
    assert_eq!(status["message"], expected);
}

#[tokio::test(start_paused = true)]
async fn a_new_cluster_says_its_version_and_what_it_serves() {
    let api = Api::new();
    assert_eq!(api.get("/version").await.1["gitVersion"], "v1.37.1");
    assert_eq!(api.get("/readyz").await, (200, Value::String("ok".into())));
    let groups = api.get("/apis").await.1;
    let names: Vec<&str> = groups["groups"].as_array().unwrap().iter().map(|at| at["name"].as_str().unwrap()).collect();
    assert!(names.contains(&"policy") && names.contains(&"apps"), "{names:?}");
    let core = api.get("/api/v1").await.1;
    assert!(core["resources"].as_array().unwrap().iter().any(|at| at["name"] == "pods/eviction"));
    assert_eq!(api.get("/apis/nobody.example").await, (404, Value::String("404 page not found\n".into())));
    assert_eq!(api.get("/api/v1/roses").await.1["reason"], "NotFound");
    let namespaces = api.get("/api/v1/namespaces").await.1;
    let names = namespaces["items"].as_array().unwrap().iter().map(|at| at["metadata"]["name"].clone());
    let born = ["default", "kube-node-lease", "kube-public", "kube-system"];
    assert_eq!(names.collect::<Vec<_>>(), born);
}

#[tokio::test(start_paused = true)]
async fn without_a_quorum_every_answer_about_objects_is_the_etcd_timeout() {
    let api = Api::new();
    api.world.with(|state| super::set_available(state, api.id, false));
    let asked = api.world.now();
    let (status, answer) = api.get("/api/v1/nodes").await;
    assert_eq!((status, &answer["message"]), (500, &"etcdserver: request timed out".into()));
    assert!(api.world.now().duration_since(asked).as_secs() >= 7);
    let (status, text) = api.get("/readyz").await;
    assert!(status == 500 && text.as_str().unwrap().contains("[-]etcd failed"));
    assert_eq!(api.get("/version").await.0, 200);
    api.world.with(|state| super::set_available(state, api.id, true));
    assert_eq!(api.get("/api/v1/nodes").await.0, 200);
}
