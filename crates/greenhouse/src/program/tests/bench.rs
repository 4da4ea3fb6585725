//! A cluster of three machines on the open internet whose pods run a test's programs.

use super::super::{Pod, Program, Programs};
use crate::talos::tests::mesh;
use crate::talos::tests::rig::{Recipe, Rig, packed};
use crate::world::Options;
use futures::future::BoxFuture;
use http::Request;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use wire::{Body, Error, Roots, Route, Target, Tls, Wire};

pub(super) struct Bench {
    pub rig: Rig,
}

/// What pods have said.
pub(super) type Said = Arc<Mutex<Vec<String>>>;

pub(super) fn program<F>(work: impl Fn(Pod) -> F + Send + Sync + 'static) -> Program
where
    F: Future<Output = ()> + Send + 'static,
{
    Arc::new(move |pod| -> BoxFuture<'static, ()> { Box::pin(work(pod)) })
}

/// A program that says who it is and answers with its node's name on port 8080.
pub(super) fn greeter(said: &Said) -> Program {
    let said = said.clone();
    program(move |pod| {
        let said = said.clone();
        async move {
            said.lock().unwrap().push(format!("{} starts", pod.node));
            let node = pod.node.clone();
            pod.doors.open(8080, None, axum::Router::new().fallback(move || std::future::ready(node.clone())));
            pod.term.asked().await;
            said.lock().unwrap().push(format!("{} is asked to end", pod.node));
        }
    })
}

impl Bench {
    /// rose (1), a control plane, and lily (2) and tulip (3), workers, all ready.
    pub(super) async fn new(programs: Programs) -> Self {
        Self::with(Options { programs, ..Options::default() }, false).await
    }

    pub(super) async fn with(options: Options, on_mesh: bool) -> Self {
        let rig = Rig::with(&options);
        let endpoint = "https://198.51.100.1:6443";
        for (id, name) in [(1, "rose"), (2, "lily"), (3, "tulip")] {
            let mut recipe = Recipe::new(name, id == 1, endpoint);
            if on_mesh {
                recipe.auth_key = Some(mesh::key(&rig, 3600).await);
                recipe.node_subnet = "100.64.0.0/10";
                mesh::meshed(&rig, id, &recipe.text(&rig.secrets));
                continue;
            }
            let id = rig.machine(id, Some(packed(&recipe.text(&rig.secrets))));
            rig.on(id);
        }
        rig.wait(60).await;
        rig.bootstrap(1).await.unwrap();
        rig.wait(120).await;
        let bench = Bench { rig };
        let nodes = bench.kube("GET", "/api/v1/nodes", None).await.1;
        assert_eq!(nodes["items"].as_array().unwrap().len(), 3, "{nodes}");
        bench
    }

    /// As an administrator, from the operator's machine.
    pub(super) async fn kube(&self, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        let kube = &self.rig.secrets.kube;
        let roots = Roots::Only(vec![kube.der()]);
        let identity = Some(kube.user("admin", "system:masters"));
        let tls = Tls { server_name: "198.51.100.1".into(), roots, identity };
        let target = Target { route: Route::Direct, host: "198.51.100.1".into(), port: 6443, tls: Some(tls) };
        let kind = if method == "PATCH" { "application/merge-patch+json" } else { "application/json" };
        let request = Request::builder().method(method).uri(path).header("content-type", kind);
        let body = body.map_or_else(Body::default, |body| Body::from(bytes::Bytes::from(body.to_string())));
        let (status, text) = ask(&*self.rig.greenhouse.wire(), &target, request.body(body).unwrap()).await.unwrap();
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    pub(super) async fn create(&self, path: &str, body: Value) {
        let (status, answer) = self.kube("POST", path, Some(body)).await;
        assert_eq!(status, 201, "{path}: {answer}");
    }

    /// A DaemonSet `web` on the workers, and a service before it.
    pub(super) async fn web(&self, container: Value) {
        let labels = json!({"app": "web"});
        let mut whole = json!({"name": "web", "image": "registry.example/web:1.0@sha256:00"});
        whole.as_object_mut().unwrap().extend(container.as_object().unwrap().clone());
        self.create(
            "/apis/apps/v1/namespaces/default/daemonsets",
            json!({
                "metadata": {"name": "web"},
                "spec": {"selector": {"matchLabels": labels}, "template": {
                    "metadata": {"labels": labels},
                    "spec": {"containers": [whole], "terminationGracePeriodSeconds": 20},
                }},
            }),
        )
        .await;
        self.create(
            "/api/v1/namespaces/default/services",
            json!({
                "metadata": {"name": "web"},
                "spec": {"selector": labels, "ports": [{"name": "http", "port": 80, "targetPort": 8080}]},
            }),
        )
        .await;
    }

    /// The pods of that DaemonSet, by node.
    pub(super) async fn pods(&self) -> Vec<Value> {
        let path = "/api/v1/namespaces/default/pods?labelSelector=app%3Dweb";
        let mut pods = self.kube("GET", path, None).await.1["items"].as_array().unwrap().clone();
        pods.sort_by_key(|pod| pod["spec"]["nodeName"].to_string());
        pods
    }

    /// Nodes whose endpoints of the service are ready.
    pub(super) async fn serving(&self) -> Vec<String> {
        let path = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices?labelSelector=kubernetes.io/service-name%3Dweb";
        let slices = self.kube("GET", path, None).await.1;
        let endpoints = slices["items"][0]["endpoints"].as_array().unwrap();
        let ready = endpoints.iter().filter(|at| at["conditions"]["ready"] == true);
        let mut nodes: Vec<String> = ready.map(|at| at["nodeName"].as_str().unwrap().to_owned()).collect();
        nodes.sort();
        nodes
    }
}

pub(super) async fn ask(wire: &dyn Wire, target: &Target, request: Request<Body>) -> Result<(u16, String), Error> {
    let answer = wire.call(target, request).await?;
    let status = answer.status().as_u16();
    let bytes = answer.into_body().collect(1 << 20).await.unwrap();
    Ok((status, String::from_utf8_lossy(&bytes).into_owned()))
}

pub(super) async fn get(wire: &dyn Wire, host: &str, port: u16, path: &str) -> Result<(u16, String), Error> {
    ask(wire, &Target::plain(host, port), Request::get(path).body(Body::default()).unwrap()).await
}
