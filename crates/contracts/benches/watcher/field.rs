//! What all cases have: a control plane, a zone, nodes with doors, and the two that are compared as programs.

use crate::zone::{ZONE, Zone};
use contracts::{Authority, ControlPlane, Door, Pod, Stage, own};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Where the nodes' doors are, behind 127.0.1.x.
const DOOR_PORT: u16 = 18_080;
const SYSTEM: &str = "bouquet-system";
/// Whatever is waited for comes within it, or never.
pub const LIMIT: Duration = Duration::from_mins(20);
const VANTAGES: usize = 3;

pub struct Field {
    pub stage: Stage,
    pub zone: Zone,
    pub doors: Vec<Door>,
    peer: assets::Program,
    trust: PathBuf,
    kubeconfig: PathBuf,
    peers: std::cell::Cell<u16>,
}

/// `NotReady` as the node controller writes it, and not.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Health {
    Ready,
    Unknown,
}

pub fn name(number: usize) -> String {
    format!("n{number}")
}

pub fn address(number: usize) -> String {
    format!("127.0.1.{}", number + 1)
}

impl Field {
    /// With so many nodes; `None` where a program is missing.
    pub async fn new(nodes: usize) -> Option<Self> {
        const WHAT: &str = "the watcher beside external-dns";
        let (authority, peer) = (Authority::new(), assets::needed("external-dns", WHAT)?);
        let plane = ControlPlane::start(&authority, WHAT)?;
        let zone = Zone::serve(&authority);
        let pem = authority.pem.clone();
        let stage = Stage::new(authority, plane).await;
        let (trust, kubeconfig) = (stage.write("ca.pem", &pem), stage.kubeconfig_of_admin());
        let last = |number: usize| u8::try_from(number + 1).unwrap();
        let doors = (0..nodes).map(|number| Door::open(([127, 0, 1, last(number)], DOOR_PORT).into())).collect();
        let field = Field { stage, zone, doors, peer, trust, kubeconfig, peers: 7_979.into() };
        for namespace in [SYSTEM, "shop"] {
            field.apply(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})).await;
        }
        field.apply(serde_json::to_value(addons::ingress_nodes()).unwrap()).await;
        for number in 0..nodes {
            let object = node(number);
            field.apply(object.clone()).await;
            field.health(number, Health::Ready).await;
        }
        Some(field)
    }

    async fn apply(&self, object: Value) {
        self.stage.hand.apply(&object).await;
    }

    /// What the node controller says of a node.
    pub async fn health(&self, number: usize, health: Health) {
        let ready = if health == Health::Ready { "True" } else { "Unknown" };
        let status = json!({
            "addresses": [{"type": "ExternalIP", "address": address(number)}, {"type": "Hostname", "address": name(number)}],
            "conditions": [{"type": "Ready", "status": ready, "reason": "Bench", "message": "",
                "lastHeartbeatTime": "2026-12-01T08:00:00Z", "lastTransitionTime": "2026-12-01T08:00:00Z"}],
        });
        self.stage.hand.tell(&node(number), &status).await;
    }

    /// external-dns, with what it is told beside the zone.
    pub fn start_peer(&self, owner: &str, flags: &[&str]) -> Pod {
        let port = self.peers.replace(self.peers.get() + 1);
        let mut command = self.peer.command();
        command.args(["--provider=cloudflare", "--policy=sync", "--registry=txt"]).args(flags);
        command.arg(format!("--txt-owner-id={owner}")).arg(format!("--domain-filter={ZONE}"));
        command.arg(format!("--metrics-address=127.0.0.1:{port}"));
        command.arg(format!("--kubeconfig={}", self.kubeconfig.display()));
        command
            .env("CF_API_TOKEN", "bench")
            .env("CLOUDFLARE_BASE_URL", &self.zone.url)
            .env("SSL_CERT_FILE", &self.trust);
        self.stage.start(owner, &mut command)
    }

    /// The watcher as it is installed: on three nodes, with a state that is new.
    pub async fn start_watchers(&self, profile: &str) -> Vec<Pod> {
        self.forget().await;
        let anchor = self.zone.url.trim_start_matches("https://localhost:").split('/').next().unwrap();
        let config = format!(
            "cluster: garden\npool: lb.{ZONE}\nprofile: {profile}\nprovider: {{ cloudflare: {{}} }}\n\
             canary: {{ host: canary.{ZONE}, scheme: http, port: {DOOR_PORT} }}\ncontrolProbes: ['127.0.0.1:{anchor}']\n\
             allowAddresses: [127.0.0.0/8]\n"
        );
        let config = self.stage.write("config.yaml", &config);
        let mut pods = Vec::new();
        for number in 0..VANTAGES {
            let (pod, at) = (pod(SYSTEM, "bouquet-watcher", number), format!("127.0.2.{}", number + 1));
            self.apply(pod.clone()).await;
            self.stage.hand.tell(&pod, &json!({"phase": "Running", "podIP": at, "podIPs": [{"ip": at}]})).await;
            let mut command = watcher();
            command.arg("--config").arg(&config).arg("--kubeconfig").arg(&self.kubeconfig);
            command.args(["--listen", &at, "--namespace", SYSTEM, "--node", &name(number)]);
            command.arg("--pod").arg(format!("bouquet-watcher-{number}"));
            command.env("CLOUDFLARE_API_TOKEN", "bench").env("CLOUDFLARE_BASE_URL", &self.zone.url);
            command.env("SSL_CERT_FILE", &self.trust);
            pods.push(self.stage.start(&format!("watcher-{number}"), &mut command));
        }
        pods
    }

    /// What an earlier run of the watcher has left in Kubernetes.
    async fn forget(&self) {
        let lease = format!("/apis/coordination.k8s.io/v1/namespaces/{SYSTEM}/leases/bouquet-watcher");
        // It may never have been.
        let _ = self.stage.hand.call("DELETE", &lease, &Value::Null).await;
        let _ = self.stage.hand.call("DELETE", "/apis/bouquet.dev/v1alpha1/ingressnodes", &Value::Null).await;
    }

    /// Waits until so many nodes serve and are published, in the watchers' own word.
    pub async fn until_serving(&self, nodes: usize) {
        let serves = |node: &Value| node["verdict"] == "Serving" && node["published"] == true;
        let all = async || {
            let status = status().await.unwrap_or_default();
            status["nodes"].as_array().is_some_and(|at| at.len() == nodes && at.iter().all(serves))
        };
        self.stage.until("all nodes serve and are published", LIMIT, all).await;
    }
}

/// The watcher that is released, where it is built; else the one that tests have.
fn watcher() -> Command {
    let released = std::env::var_os("BOUQUET_WATCHER").map(PathBuf::from);
    Command::new(released.unwrap_or_else(|| own("bouquet-watcher")))
}

fn node(number: usize) -> Value {
    json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name(number), "labels": {"bouquet.dev/ingress": "true"}}})
}

/// A pod of an application on a node.
pub fn pod(namespace: &str, app: &str, number: usize) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": format!("{app}-{number}"), "namespace": namespace, "labels": {"app.kubernetes.io/name": app}},
        "spec": {"nodeName": name(number), "containers": [{"name": "it", "image": "it"}]},
    })
}

/// What the first watcher says.
async fn status() -> Option<Value> {
    let mut stream = TcpStream::connect("127.0.2.1:9402").await.ok()?;
    stream.write_all(b"GET /api/status HTTP/1.1\r\nHost: watcher\r\nConnection: close\r\n\r\n").await.ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.ok()?;
    let answer = String::from_utf8(answer).ok()?;
    let (start, end) = (answer.find('{')?, answer.rfind('}')?);
    serde_json::from_str(answer.get(start..=end)?).ok()
}
